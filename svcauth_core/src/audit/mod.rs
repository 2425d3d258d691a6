//! The audit record: what happened, in one shape for a file, for journald and for syslog.
//!
//! Belongs here: the record, its three encodings, and the escaping of foreign text. Never here: sockets, files and
//! clocks (`svcauth_host`), and deciding what is recorded.
//!
//! Every value may come from somebody hostile: a user name, a key id, a command. Whatever a value holds, a record is
//! exactly one line, no control byte reaches it, and no value can pass for a field.

mod alarm;
pub mod chain;
pub mod escape;
mod event;
mod journal;
mod json;
mod line;
mod time;

use std::borrow::Cow;
use std::string::{String, ToString as _};
use std::vec::Vec;

pub use alarm::AlarmKind;
pub use event::{Event, Severity, Verdict};
pub use line::{LINE_MAX, VALUE_MAX, capped};
pub use time::{parse_rfc3339, rfc3339};

/// One audit record. What is `None` is left out of every encoding; nothing is ever invented.
///
/// The keys of the JSON form are the names of these fields, in this order; `proven` follows them in the records of
/// refused keys. The line has `key`, `age` and `duration` for `key_fingerprint`, `age_seconds` and `duration_seconds`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// When it happened, in microseconds since 1970 (UTC); written as RFC 3339. The line has syslog's time instead.
    pub time: Option<u64>,
    /// What the record is about.
    pub event: Event,
    /// The outcome, where the record is about a decision.
    pub decision: Option<Verdict>,
    /// The code of the reason, such as `not_in_role`.
    pub reason: Option<String>,
    /// `learn` where a rule is still learning: what it does not allow ran, and `reason` says why it would be refused.
    pub mode: Option<String>,
    /// The account that was asked for.
    pub account: Option<String>,
    /// Its uid.
    pub uid: Option<u32>,
    /// The login name of the person or service behind it.
    pub origin: Option<String>,
    /// `person`, `root`, or `local` for a job of the account itself (cron, at), behind which nobody is proven.
    pub origin_kind: Option<String>,
    /// On whose behalf the origin acts, as the extension `origin@svcauth` of its certificate says. The authority vouches for
    /// it, and nothing is decided by it.
    pub on_behalf_of: Option<String>,
    /// What proves the origin: a word of [`crate::origin::Evidence`].
    pub evidence: Option<String>,
    /// The fingerprint of the key, or of the key inside the certificate.
    pub key_fingerprint: Option<String>,
    /// The key id of the certificate.
    pub cert_key_id: Option<String>,
    /// The serial of the certificate. A string in JSON: many authorities use all 64 bits, and jq 1.6 has 53.
    pub cert_serial: Option<u64>,
    /// The fingerprint of the authority that signed the certificate.
    pub cert_ca: Option<String>,
    /// The Kerberos principal.
    pub principal: Option<String>,
    /// Where the evidence is inherited: what proved the origin of the first session of the chain. Key, certificate and
    /// principal of this record are that session's.
    pub first_evidence: Option<String>,
    /// The role that the decision rests on.
    pub role: Option<String>,
    /// The PAM service: `sshd`, `su`, `sudo`.
    pub service: Option<String>,
    /// The address the session comes from.
    pub from: Option<String>,
    /// The terminal.
    pub tty: Option<String>,
    /// The session's name in the session registry.
    pub session: Option<String>,
    /// How the origin got here: the sessions before this one.
    pub chain: Option<String>,
    /// The generation of the snapshot that the decision rests on.
    pub generation: Option<u64>,
    /// The age of that snapshot in seconds.
    pub age_seconds: Option<u64>,
    /// The name of this host.
    pub host: Option<String>,
    /// The process the record is about.
    pub pid: Option<u32>,
    /// The command, as it was asked for; none: a shell.
    pub command: Option<String>,
    /// How the command or session ended.
    pub exit_status: Option<i32>,
    /// How long it took, in seconds.
    pub duration_seconds: Option<u64>,
    /// How many records this one stands for; of a session that was ended, how many processes.
    pub count: Option<u64>,
    /// A sentence for the administrator, in alarms and the records of syncs.
    pub detail: Option<String>,
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value<'a> {
    Text(Cow<'a, str>),
    Unsigned(u64),
    Signed(i64),
}

type Field<'a> = (&'static str, Option<Value<'a>>);

impl Record {
    /// How loud the record is.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match (self.event, self.decision) {
            (Event::Alarm, _) => Severity::Warning,
            (Event::KeyRefused | Event::SessionRevoked, _) | (_, Some(Verdict::Deny)) => Severity::Notice,
            _ => Severity::Informational,
        }
    }

    /// Whether it records that somebody was turned away: what anybody can cause, as often as they like.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(
            (self.event, self.decision),
            (Event::Decision | Event::Command | Event::Credential, Some(Verdict::Deny))
                | (Event::KeyRefused, _)
        )
    }

    /// The first word of the line.
    #[must_use]
    pub const fn verb(&self) -> &'static str {
        match (self.event, self.decision) {
            (Event::Decision, Some(verdict)) => verdict.as_str(),
            (Event::Command, Some(Verdict::Deny)) => "command_refused",
            (Event::SessionStart, _) => "start",
            (Event::SessionEnd, _) => "end",
            (Event::SessionRevoked, _) => "revoked",
            (event, _) => event.as_str(),
        }
    }

    /// The record with every text cut to at most `max` bytes and a visible `...(+N bytes)` behind what was cut.
    ///
    /// For a sink that refuses the whole; N counts the bytes that are missing.
    #[must_use]
    pub fn shortened(&self, max: usize) -> Self {
        let mut short = self.clone();
        for text in short.texts_mut().into_iter().flatten() {
            if let Cow::Owned(cut) = line::capped(text, max) {
                *text = cut;
            }
        }
        short
    }

    fn texts_mut(&mut self) -> [Option<&mut String>; 21] {
        [
            self.reason.as_mut(),
            self.mode.as_mut(),
            self.account.as_mut(),
            self.origin.as_mut(),
            self.origin_kind.as_mut(),
            self.on_behalf_of.as_mut(),
            self.evidence.as_mut(),
            self.key_fingerprint.as_mut(),
            self.cert_key_id.as_mut(),
            self.cert_ca.as_mut(),
            self.principal.as_mut(),
            self.first_evidence.as_mut(),
            self.role.as_mut(),
            self.service.as_mut(),
            self.from.as_mut(),
            self.tty.as_mut(),
            self.session.as_mut(),
            self.chain.as_mut(),
            self.host.as_mut(),
            self.command.as_mut(),
            self.detail.as_mut(),
        ]
    }

    /// Every field with its key, in the order of the audit record.
    fn fields(&self) -> Vec<(&'static str, Value<'_>)> {
        let head = [
            ("time", self.time.map(|time| Value::Text(Cow::Owned(rfc3339(time))))),
            ("event", word(self.event.as_str())),
            ("decision", self.decision.and_then(|verdict| word(verdict.as_str()))),
        ];
        let proven = ("proven", (self.event == Event::KeyRefused).then(|| word("no")).flatten());
        head.into_iter()
            .chain(self.who_fields())
            .chain(self.where_fields())
            .chain([("detail", text(&self.detail)), proven])
            .filter_map(|(key, value)| Some((key, value?)))
            .collect()
    }

    fn who_fields(&self) -> [Field<'_>; 14] {
        let serial = self.cert_serial.map(|serial| Value::Text(Cow::Owned(serial.to_string())));
        [
            ("reason", text(&self.reason)),
            ("mode", text(&self.mode)),
            ("account", text(&self.account)),
            ("uid", number(self.uid)),
            ("origin", text(&self.origin)),
            ("origin_kind", text(&self.origin_kind)),
            ("on_behalf_of", text(&self.on_behalf_of)),
            ("evidence", text(&self.evidence)),
            ("key_fingerprint", text(&self.key_fingerprint)),
            ("cert_key_id", text(&self.cert_key_id)),
            ("cert_serial", serial),
            ("cert_ca", text(&self.cert_ca)),
            ("principal", text(&self.principal)),
            ("first_evidence", text(&self.first_evidence)),
        ]
    }

    fn where_fields(&self) -> [Field<'_>; 14] {
        [
            ("role", text(&self.role)),
            ("service", text(&self.service)),
            ("from", text(&self.from)),
            ("tty", text(&self.tty)),
            ("session", text(&self.session)),
            ("chain", text(&self.chain)),
            ("generation", number(self.generation)),
            ("age_seconds", number(self.age_seconds)),
            ("host", text(&self.host)),
            ("pid", number(self.pid)),
            ("command", text(&self.command)),
            ("exit_status", self.exit_status.map(|status| Value::Signed(status.into()))),
            ("duration_seconds", number(self.duration_seconds)),
            ("count", number(self.count)),
        ]
    }
}

fn text(value: &Option<String>) -> Option<Value<'_>> {
    value.as_deref().map(|text| Value::Text(Cow::Borrowed(text)))
}

const fn word(value: &'static str) -> Option<Value<'static>> {
    Some(Value::Text(Cow::Borrowed(value)))
}

fn number(value: Option<impl Into<u64>>) -> Option<Value<'static>> {
    value.map(|value| Value::Unsigned(value.into()))
}

impl Value<'_> {
    /// The value as the line and journald show it, before any escaping.
    fn to_text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Unsigned(value) => Cow::Owned(value.to_string()),
            Self::Signed(value) => Cow::Owned(value.to_string()),
        }
    }
}
