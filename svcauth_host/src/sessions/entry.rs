//! One session as the registry keeps it: a text of `key value` lines, in one order, each key at most once.
//!
//! Foreign text (key ids, terminals) is escaped, so a value is always one line. Read back strictly: a line that is not
//! understood makes the entry unreadable, because half an entry is somebody else's session.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use svcauth_core::origin::Evidence;

use super::process::Process;

/// Who is behind a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionOrigin {
    /// A person of the directory, by login name.
    Person(String),
    /// The superuser of this host. Never inherited: a process of the account is not root.
    Root,
    /// The account itself, by name: a job of cron or at, with nobody behind it. Never inherited either.
    Local(String),
}

/// A session of a managed account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its name in records: unique on this host, made of hexadecimal digits and `-`.
    pub id: String,
    /// The boot it belongs to.
    pub boot_id: String,
    /// The kernel's audit session; `None` where there is none.
    pub audit_session: Option<u32>,
    /// The process that opened it (sshd, su, sudo).
    pub process: Process,
    /// The account.
    pub account: String,
    /// Its uid, where the snapshot knows it.
    pub uid: Option<u32>,
    /// Who is behind it.
    pub origin: SessionOrigin,
    /// What proves that.
    pub evidence: Option<Evidence>,
    /// The fingerprint of the key, or of the key inside the certificate.
    pub key_fingerprint: Option<String>,
    /// The key id of the certificate.
    pub cert_key_id: Option<String>,
    /// The serial of the certificate.
    pub cert_serial: Option<u64>,
    /// The fingerprint of the authority that signed the certificate.
    pub cert_ca: Option<String>,
    /// The Kerberos principal.
    pub principal: Option<String>,
    /// Where the evidence is inherited: what proved the origin of the first session of the chain.
    pub first_evidence: Option<Evidence>,
    /// On whose behalf the origin acts, as a trusted authority says. Nothing is decided by it.
    pub on_behalf_of: Option<String>,
    /// The PAM service.
    pub service: String,
    /// The address it comes from.
    pub from: Option<String>,
    /// The terminal.
    pub tty: Option<String>,
    /// The sessions before this one, oldest first, joined by `/`.
    pub chain: Option<String>,
    /// When it began, in seconds since 1970 (UTC).
    pub since: u64,
    /// When it began, in seconds since boot.
    pub since_boot: u64,
    /// The generation of the snapshot that allowed it.
    pub generation: Option<u64>,
    /// When it ended, in seconds since 1970 (UTC), and its end was recorded; the entry stays while processes of it live.
    pub ended: Option<u64>,
}

/// A text that is no [`Session`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Lines(f);
        out.line("svcauth_session", "1")?;
        out.line("session", &self.id)?;
        out.line("boot", &self.boot_id)?;
        out.maybe("audit_session", self.audit_session)?;
        out.line("pid", self.process.pid)?;
        out.line("process_start", self.process.start)?;
        out.line("account", &self.account)?;
        out.maybe("uid", self.uid)?;
        match &self.origin {
            SessionOrigin::Person(login) => out.line("person", login)?,
            SessionOrigin::Root => out.line("root", "yes")?,
            SessionOrigin::Local(account) => out.line("local", account)?,
        }
        out.maybe("evidence", self.evidence)?;
        out.maybe("key_fingerprint", self.key_fingerprint.as_deref())?;
        out.maybe("cert_key_id", self.cert_key_id.as_deref())?;
        out.maybe("cert_serial", self.cert_serial)?;
        out.maybe("cert_ca", self.cert_ca.as_deref())?;
        out.maybe("principal", self.principal.as_deref())?;
        out.maybe("first_evidence", self.first_evidence)?;
        out.maybe("on_behalf_of", self.on_behalf_of.as_deref())?;
        out.line("service", &self.service)?;
        out.maybe("from", self.from.as_deref())?;
        out.maybe("tty", self.tty.as_deref())?;
        out.maybe("chain", self.chain.as_deref())?;
        out.line("since", self.since)?;
        out.line("since_boot", self.since_boot)?;
        out.maybe("generation", self.generation)?;
        out.maybe("ended", self.ended)?;
        out.line("end", "")
    }
}

struct Lines<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl Lines<'_, '_> {
    fn line(&mut self, key: &str, value: impl fmt::Display) -> fmt::Result {
        writeln!(self.0, "{key} {}", escape(&value.to_string()))
    }
    fn maybe(&mut self, key: &str, value: Option<impl fmt::Display>) -> fmt::Result {
        value.map_or(Ok(()), |value| self.line(key, value))
    }
}

impl FromStr for Session {
    type Err = Unreadable;
    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let mut from = Fields(text);
        if from.must::<u32>("svcauth_session")? != 1 {
            return Err(Unreadable);
        }
        let session = Self {
            id: from.must("session")?,
            boot_id: from.must("boot")?,
            audit_session: from.maybe("audit_session")?,
            process: Process { pid: from.must("pid")?, start: from.must("process_start")? },
            account: from.must("account")?,
            uid: from.maybe("uid")?,
            origin: from.origin()?,
            evidence: from.maybe("evidence")?,
            key_fingerprint: from.maybe("key_fingerprint")?,
            cert_key_id: from.maybe("cert_key_id")?,
            cert_serial: from.maybe("cert_serial")?,
            cert_ca: from.maybe("cert_ca")?,
            principal: from.maybe("principal")?,
            first_evidence: from.maybe("first_evidence")?,
            on_behalf_of: from.maybe("on_behalf_of")?,
            service: from.must("service")?,
            from: from.maybe("from")?,
            tty: from.maybe("tty")?,
            chain: from.maybe("chain")?,
            since: from.must("since")?,
            since_boot: from.must("since_boot")?,
            generation: from.maybe("generation")?,
            ended: from.maybe("ended")?,
        };
        // A job belongs to the account that it runs as, or the entry is not ours.
        let is_own = !matches!(&session.origin, SessionOrigin::Local(name) if *name != session.account);
        (from.0 == "end \n" && is_own).then_some(session).ok_or(Unreadable)
    }
}

/// The lines that are still to be read.
struct Fields<'a>(&'a str);

impl Fields<'_> {
    /// The value of the next line if it has this key.
    fn maybe<T: FromStr>(&mut self, key: &str) -> Result<Option<T>, Unreadable> {
        let (line, rest) = self.0.split_once('\n').ok_or(Unreadable)?;
        let Some(value) = line.strip_prefix(key).and_then(|value| value.strip_prefix(' ')) else {
            return Ok(None);
        };
        self.0 = rest;
        unescape(value)?.parse().map(Some).map_err(|_| Unreadable)
    }

    fn must<T: FromStr>(&mut self, key: &str) -> Result<T, Unreadable> {
        self.maybe(key)?.ok_or(Unreadable)
    }

    fn origin(&mut self) -> Result<SessionOrigin, Unreadable> {
        if let Some(login) = self.maybe::<String>("person")? {
            return Ok(SessionOrigin::Person(login));
        }
        match self.maybe::<String>("root")?.as_deref() {
            None => self.must("local").map(SessionOrigin::Local),
            Some("yes") => Ok(SessionOrigin::Root),
            Some(_) => Err(Unreadable),
        }
    }
}

/// Letters, digits and signs of ASCII stay; every other byte, blank and backslash included, becomes `\xNN`.
fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_graphic() && byte != b'\\' {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

fn unescape(text: &str) -> Result<String, Unreadable> {
    if !text.contains('\\') {
        return Ok(text.to_owned());
    }
    let mut parts = text.split('\\');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let part = part.strip_prefix('x').ok_or(Unreadable)?;
        let (digits, rest) = part.split_at_checked(2).ok_or(Unreadable)?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| Unreadable)?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).map_err(|_| Unreadable)
}

#[cfg(test)]
pub(super) mod tests {
    use super::{Evidence, Process, Session, SessionOrigin, Unreadable};

    pub(crate) fn example() -> Session {
        Session {
            id: "3f2a9c1e-1a2b-4c8d1e2f3".to_owned(),
            boot_id: "3f2a9c1e-0000-4000-8000-000000000000".to_owned(),
            audit_session: Some(168),
            process: Process { pid: 4711, start: 8_123_456 },
            account: "deployer".to_owned(),
            uid: Some(7001),
            origin: SessionOrigin::Person("bob".to_owned()),
            evidence: Some(Evidence::Certificate),
            key_fingerprint: Some("SHA256:abc".to_owned()),
            cert_key_id: Some("bob@example.com\nperson carol\n \\ \u{202e}é".to_owned()),
            cert_serial: Some(u64::MAX),
            cert_ca: Some("SHA256:def".to_owned()),
            principal: Some("bob@EXAMPLE.COM".to_owned()),
            first_evidence: Some(Evidence::Gssapi),
            on_behalf_of: Some("alice\nroot yes \u{1b}[2J".to_owned()),
            service: "sshd".to_owned(),
            from: Some("::1".to_owned()),
            tty: Some(String::new()),
            chain: Some("a/b".to_owned()),
            since: 1_700_000_000,
            since_boot: 99,
            generation: Some(42),
            ended: None,
        }
    }

    #[test]
    fn a_session_is_read_as_it_was_written_whatever_its_values_hold() {
        let full = Session { ended: Some(1_700_000_100), ..example() };
        assert_eq!(full.to_string().parse(), Ok(full.clone()));
        let bare = Session {
            audit_session: None,
            uid: None,
            origin: SessionOrigin::Root,
            evidence: None,
            key_fingerprint: None,
            cert_key_id: None,
            cert_serial: None,
            cert_ca: None,
            principal: None,
            first_evidence: None,
            on_behalf_of: None,
            from: None,
            tty: None,
            chain: None,
            generation: None,
            ended: None,
            ..full
        };
        assert_eq!(bare.to_string().parse(), Ok(bare.clone()));
        let local = Session { origin: SessionOrigin::Local(bare.account.clone()), ..bare };
        assert_eq!(local.to_string().parse(), Ok(local.clone()));
    }

    #[test]
    fn an_entry_cut_anywhere_is_refused() {
        let text = example().to_string();
        assert!(text.parse::<Session>().is_ok());
        for len in 0..text.len() {
            assert_eq!(text[..len].parse::<Session>(), Err(Unreadable), "{len}");
        }
    }

    #[test]
    fn a_line_that_is_unknown_doubled_or_in_the_wrong_place_makes_an_entry_unreadable() {
        let text = example().to_string();
        for (from, to) in [
            ("svcauth_session 1", "svcauth_session 2"),
            ("person bob", "person bob\nperson carol"),
            ("person bob", "person bob\nroot yes"),
            ("person bob", "root no"),
            ("person bob", "local alice"),
            ("person bob", "root yes\nlocal deployer"),
            ("first_evidence gssapi", "first_evidence password"),
            ("account deployer\n", ""),
            ("since 1700000000", "since -1"),
            ("evidence certificate", "evidence password"),
            ("service sshd", "service sshd\nwhatever 1"),
            ("chain a/b", "chain a\\/b"),
            ("chain a/b", "chain a\\xff"),
            ("end \n", "end \nend \n"),
        ] {
            let damaged = text.replacen(from, to, 1);
            assert_ne!(damaged, text, "{from:?} is in the text");
            assert_eq!(damaged.parse::<Session>(), Err(Unreadable), "{from:?} -> {to:?}");
        }
    }
}
