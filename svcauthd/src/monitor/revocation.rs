//! Ending sessions that the published state no longer allows: whoever has left the group is out, also of the connection
//! that is still open (sshd asks PAM once per connection, however many commands run over it).
//!
//! What is ended is the process that opened the session (sshd's monitor process, su, sudo), so that it closes what it
//! opened and the end is recorded. Root's sessions are never ended.

use std::collections::BTreeSet;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use svcauth_core::audit::{Event, Record};
use svcauth_core::policy::{Circumstances, Decision, Origin, Person, Reason, Source, decide};
use svcauth_core::snapshot::access::AccessSnapshot;
use svcauth_core::snapshot::{Invalid, ReadAt};
use svcauth_host::audit;
use svcauth_host::clock::Clock;
use svcauth_host::confirmed;
use svcauth_host::host_names::host_names;
use svcauth_host::sessions::{Registry, Session, SessionOrigin};
use svcauth_host::snapshot_file::open_access;

/// Sessions that were told to end and have not yet ended.
#[derive(Default)]
pub(super) struct Revocation {
    told: BTreeSet<String>,
}

impl Revocation {
    /// Holds every live session against what is published now. A snapshot or registry that cannot be read ends nobody.
    pub(super) fn review(&mut self) {
        let clock = Clock::now();
        let Some(boot_id) = clock.boot_id.as_deref() else { return };
        let Ok(snapshot) = open_access() else { return };
        let sessions = Registry::open().and_then(|registry| registry.sessions(boot_id)).unwrap_or_default();
        let live: Vec<Session> = sessions.into_iter().filter(|session| session.process.is_alive()).collect();
        let mut refused = BTreeSet::new();
        for session in &live {
            let Ok(Some(reason)) = refusal(&snapshot, session, &clock) else { continue };
            if !self.told.contains(&session.id) {
                record(session, reason, snapshot.header().generation, &clock);
            }
            end(session);
            refused.insert(session.id.clone());
        }
        self.told = refused;
    }
}

/// Why a session would not be opened again; `None`: it would.
fn refusal<R: ReadAt>(
    snapshot: &AccessSnapshot<R>,
    session: &Session,
    clock: &Clock,
) -> Result<Option<Reason>, Invalid> {
    let SessionOrigin::Person(login) = &session.origin else { return Ok(None) };
    let Some(account) = snapshot.account(&session.account)? else { return Ok(None) };
    let policy = snapshot.policy()?;
    let person = snapshot.person(login)?.map_or_else(|| Person::without_roles(login), |known| known.person);
    let hosts = host_names();
    let names: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let at = Circumstances {
        service: Some(&session.service),
        hosts: &names,
        source: Source::of(&session.service, session.from.as_deref()),
        now: snapshot.header().not_before(clock.wall),
        age: confirmed::age(snapshot.header(), clock),
    };
    match decide(&policy, &account, Origin::Person(&person), &at).decision {
        // The directory's silence is a reason to open no session, and none to end one.
        Decision::Allow | Decision::Deny(Reason::Stale) => Ok(None),
        Decision::Deny(reason) => Ok(Some(reason)),
    }
}

fn end(session: &Session) {
    // Looked at once more: between two looks the kernel may have given the number to another process.
    if let (true, Ok(pid)) = (session.process.is_alive(), i32::try_from(session.process.pid)) {
        // A process that ended by itself is as good.
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
}

fn record(session: &Session, reason: Reason, generation: u64, clock: &Clock) {
    let record = Record {
        time: Some(clock.wall.saturating_mul(1_000_000)),
        reason: Some(reason.code().to_owned()),
        generation: Some(generation),
        duration_seconds: Some(clock.boottime.saturating_sub(session.since_boot)),
        ..session.record(Event::SessionRevoked)
    };
    // The session ends whether or not a log takes the record.
    let _ = audit::write(&record);
}

#[cfg(test)]
mod tests {
    use svcauth_core::id::IdRange;
    use svcauth_core::policy::{
        AccessRule, Account, AuditMode, Held, Need, Pattern, Policy, Role, RoleRef, Roles,
    };
    use svcauth_core::snapshot::Stamp;
    use svcauth_core::snapshot::access::{AccessFile, AccessSnapshot};
    use svcauth_host::sessions::Process;

    use super::{Clock, Person, Reason, Session, SessionOrigin, refusal};

    fn snapshot(people: &[Person]) -> Vec<u8> {
        let id_range = IdRange::new(7000, 7999).unwrap();
        let created = Clock::now().wall;
        let stamp = Stamp { generation: 1, created, seed: [1, 2], id_range, counts: [1, 0, 2] };
        let rule = AccessRule {
            line: 1,
            accounts: vec![Pattern::new("deployer")],
            roles: Roles::Named(vec![RoleRef(0)]),
            need: Need::Any,
            services: vec!["sshd".to_owned()],
            hosts: Vec::new(),
            from: vec!["10.0.0.0/8".parse().unwrap()],
        };
        let policy = Policy {
            roles: vec![Role { name: "application".to_owned(), id: Some("1".to_owned()), ..Role::default() }],
            rules: vec![rule],
            max_stale: 3600,
            audit: AuditMode::Required,
            trusted_ca: Vec::new(),
            key_id: None,
            id_range,
            local_accounts: Vec::new(),
        };
        let mut file = AccessFile::new(stamp, &policy).unwrap();
        let deployer = Account {
            name: "deployer".to_owned(),
            id: "1".to_owned(),
            uid: Some(7001),
            disabled: false,
            expires: None,
            locked_until: None,
            hosts: None,
            roles: Vec::new(),
        };
        file.account(&deployer).unwrap();
        people.iter().for_each(|person| file.person(person, &[], &[]).unwrap());
        file.finish().unwrap()
    }

    fn session(account: &str, origin: SessionOrigin, from: &str) -> Session {
        Session {
            id: "b-1-2".to_owned(),
            boot_id: "boot".to_owned(),
            audit_session: Some(7),
            process: Process { pid: 1, start: 1 },
            account: account.to_owned(),
            uid: Some(7001),
            origin,
            evidence: None,
            key_fingerprint: None,
            cert_key_id: None,
            cert_serial: None,
            cert_ca: None,
            principal: None,
            first_evidence: None,
            on_behalf_of: None,
            service: "sshd".to_owned(),
            from: Some(from.to_owned()),
            tty: None,
            chain: None,
            since: 1,
            since_boot: 1,
            generation: Some(1),
            ended: None,
        }
    }

    #[test]
    fn only_sessions_that_would_not_be_opened_again_are_ended() {
        let bob = Person {
            held: vec![Held { role: RoleRef(0), path: vec!["application".to_owned()] }],
            ..Person::without_roles("bob")
        };
        let file = snapshot(&[bob, Person::without_roles("carol")]);
        let snapshot = AccessSnapshot::open(file.as_slice(), file.len() as u64).unwrap();
        let person = |login: &str| SessionOrigin::Person(login.to_owned());
        for (session, reason) in [
            (session("deployer", person("bob"), "10.1.2.3"), None),
            (session("deployer", person("carol"), "10.1.2.3"), Some(Reason::NotInRole)),
            (session("deployer", person("gone"), "10.1.2.3"), Some(Reason::NotInRole)),
            (session("deployer", person("bob"), "192.0.2.1"), Some(Reason::SourceNotAllowed)),
            (session("deployer", SessionOrigin::Root, "10.1.2.3"), None),
            (session("local", person("carol"), "10.1.2.3"), None),
        ] {
            assert_eq!(refusal(&snapshot, &session, &Clock::now()).unwrap(), reason, "{session:?}");
        }
    }
}
