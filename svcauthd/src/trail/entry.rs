//! What a line of the trail says.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use svcauth_core::audit::{parse_rfc3339, rfc3339};

/// A record as it was read. The fields are those of [`svcauth_core::audit::Record`] with what the file adds; what the line
/// does not have is `None`.
///
/// Words are text and not enums, and keys that are not known are passed over: an older svcauth must be able to show what a
/// newer one wrote. A line that has a key twice is no record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Entry {
    /// The number of the line, over all files, from 1.
    pub seq: Option<u64>,
    /// In the first line of a file: the hash of the line before it, in hex.
    pub prev: Option<String>,
    /// The hash of this line, in hex. Not checked here.
    pub hash: Option<String>,
    /// When it happened, in microseconds since 1970 (UTC).
    #[serde(default, deserialize_with = "time", serialize_with = "text_of_time")]
    pub time: Option<u64>,
    /// What it is about: a word of [`svcauth_core::audit::Event`].
    pub event: String,
    /// `allow` or `deny`.
    pub decision: Option<String>,
    /// The code of the reason.
    pub reason: Option<String>,
    /// `learn` where a rule is still learning.
    pub mode: Option<String>,
    /// The account.
    pub account: Option<String>,
    /// Its uid.
    pub uid: Option<u32>,
    /// The person or service behind it.
    pub origin: Option<String>,
    /// `person`, `root` or `local`.
    pub origin_kind: Option<String>,
    /// On whose behalf the origin acts.
    pub on_behalf_of: Option<String>,
    /// What proves the origin.
    pub evidence: Option<String>,
    /// The fingerprint of the key.
    pub key_fingerprint: Option<String>,
    /// The key id of the certificate.
    pub cert_key_id: Option<String>,
    /// The serial of the certificate, in decimal.
    pub cert_serial: Option<String>,
    /// The fingerprint of the certificate's authority.
    pub cert_ca: Option<String>,
    /// The Kerberos principal.
    pub principal: Option<String>,
    /// Where the evidence is inherited: what proved the origin of the first session of the chain.
    pub first_evidence: Option<String>,
    /// The role that the decision rests on; several with commas between them.
    pub role: Option<String>,
    /// The PAM service.
    pub service: Option<String>,
    /// The address the session comes from.
    pub from: Option<String>,
    /// The terminal.
    pub tty: Option<String>,
    /// The session's name in the session registry.
    pub session: Option<String>,
    /// The sessions before this one.
    pub chain: Option<String>,
    /// The generation of the snapshot.
    pub generation: Option<u64>,
    /// The age of that snapshot, in seconds.
    pub age_seconds: Option<u64>,
    /// The host.
    pub host: Option<String>,
    /// The process.
    pub pid: Option<u32>,
    /// The command.
    pub command: Option<String>,
    /// How the command or session ended.
    pub exit_status: Option<i32>,
    /// How long it took, in seconds.
    pub duration_seconds: Option<u64>,
    /// How many records this one stands for; of a session that was ended, how many processes.
    pub count: Option<u64>,
    /// A sentence for the administrator.
    pub detail: Option<String>,
    /// `no` for a key that was offered and refused.
    pub proven: Option<String>,
}

impl Entry {
    /// The first word of the record's syslog line ([`svcauth_core::audit::Record::verb`]).
    #[must_use]
    pub fn verb(&self) -> &str {
        match (self.event.as_str(), &self.decision) {
            ("decision", Some(decision)) => decision,
            ("command", Some(decision)) if decision == "deny" => "command_refused",
            ("session_start", _) => "start",
            ("session_end", _) => "end",
            ("session_revoked", _) => "revoked",
            (event, _) => event,
        }
    }
}

fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let text = String::deserialize(from)?;
    parse_rfc3339(&text).map(Some).ok_or_else(|| serde::de::Error::custom("time is no time of RFC 3339"))
}

#[expect(clippy::ref_option, reason = "serde calls it so")]
fn text_of_time<S: Serializer>(time: &Option<u64>, into: S) -> Result<S::Ok, S::Error> {
    time.map(rfc3339).serialize(into)
}
