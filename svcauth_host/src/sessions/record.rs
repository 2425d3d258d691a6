//! What audit records say about a session: the same whoever writes them, so that the lines of one session fit together.

use svcauth_core::audit::{Event, Record};

use super::entry::{Session, SessionOrigin};
use crate::clock::Clock;

impl SessionOrigin {
    /// The name of who is behind it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Person(name) | Self::Local(name) => name,
            Self::Root => "root",
        }
    }

    /// The word for it in the key `origin_kind` of a record.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Person(_) => "person",
            Self::Root => "root",
            Self::Local(_) => "local",
        }
    }
}

impl Session {
    /// A record about this session with all that its entry knows. When, why, on which host and for how long is for the
    /// caller to add.
    #[must_use]
    pub fn record(&self, event: Event) -> Record {
        Record {
            event,
            account: Some(self.account.clone()),
            uid: self.uid,
            origin: Some(self.origin.name().to_owned()),
            origin_kind: Some(self.origin.kind().to_owned()),
            on_behalf_of: self.on_behalf_of.clone(),
            evidence: self.evidence.map(|evidence| evidence.as_str().to_owned()),
            key_fingerprint: self.key_fingerprint.clone(),
            cert_key_id: self.cert_key_id.clone(),
            cert_serial: self.cert_serial,
            cert_ca: self.cert_ca.clone(),
            principal: self.principal.clone(),
            first_evidence: self.first_evidence.map(|evidence| evidence.as_str().to_owned()),
            service: Some(self.service.clone()),
            from: self.from.clone(),
            tty: self.tty.clone(),
            session: Some(self.id.clone()),
            chain: self.chain.clone(),
            generation: self.generation,
            pid: Some(self.process.pid),
            ..Record::default()
        }
    }

    /// The record that nobody else has written: the process that opened the session was killed before it could end it. The
    /// duration is up to the moment at which that was seen.
    #[must_use]
    pub fn end_of_killed(&self, seen: &Clock, host: Option<String>) -> Record {
        Record {
            time: Some(seen.wall.saturating_mul(1_000_000)),
            host,
            duration_seconds: Some(seen.boottime.saturating_sub(self.since_boot)),
            detail: Some("the process that opened the session was killed".to_owned()),
            ..self.record(Event::SessionEnd)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::example;
    use super::{Event, Session, SessionOrigin};

    #[test]
    fn a_record_about_a_session_says_all_that_its_entry_knows() {
        let session = example();
        let line = session.record(Event::SessionEnd).to_json();
        let known = [&session.id, &session.account, &session.service].map(String::as_str).into_iter();
        let maybe =
            [&session.key_fingerprint, &session.cert_ca, &session.principal, &session.from, &session.chain];
        let known: Vec<&str> = known.chain(maybe.into_iter().flatten().map(String::as_str)).collect();
        assert!(known.len() > 6, "the example is too poor: {known:?}");
        for word in known {
            assert!(line.contains(word), "{word} is not in {line}");
        }
        assert!(line.contains(r#""event":"session_end""#), "{line}");
        assert!(line.contains(r#""origin_kind":"person""#), "{line}");
    }

    #[test]
    fn root_and_jobs_are_named_as_what_they_are() {
        let job = SessionOrigin::Local("deployer".to_owned());
        for (origin, name, kind) in [(SessionOrigin::Root, "root", "root"), (job, "deployer", "local")] {
            let record = Session { origin, ..example() }.record(Event::SessionEnd);
            assert_eq!((record.origin.as_deref(), record.origin_kind.as_deref()), (Some(name), Some(kind)));
        }
    }

    #[test]
    fn what_an_authority_says_of_a_behalf_is_one_value_of_one_line() {
        let line = example().record(Event::SessionStart).to_line();
        let words = "start account=deployer origin=bob on_behalf_of=\"alice\\x0aroot yes \\x1b[2J\" evidence=certificate ";
        assert!(line.starts_with(words) && line.contains(" first_evidence=gssapi "), "{line}");
    }
}
