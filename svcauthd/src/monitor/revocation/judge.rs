//! Would this session be opened again? The same question that PAM asked, put to what is published now.

use svcauth_core::policy::{
    Age, Circumstances, Decision, Family, Origin, Person, Policy, Reason, Source, decide,
};
use svcauth_core::snapshot::access::AccessSnapshot;
use svcauth_core::snapshot::{Invalid, ReadAt};
use svcauth_host::clock::Clock;
use svcauth_host::host_names::host_names;
use svcauth_host::sessions::{Session, SessionOrigin};

use super::statement::Refused;

/// What is published, ready to be asked about many sessions.
pub(super) struct Judge<'a, R> {
    snapshot: &'a AccessSnapshot<R>,
    policy: Policy,
    hosts: Vec<String>,
    now: u64,
}

impl<'a, R: ReadAt> Judge<'a, R> {
    pub(super) fn new(snapshot: &'a AccessSnapshot<R>, clock: &Clock) -> Result<Self, Invalid> {
        let now = snapshot.header().not_before(clock.wall);
        Ok(Self { snapshot, policy: snapshot.policy()?, hosts: host_names(), now })
    }

    /// The generation that decides.
    pub(super) fn generation(&self) -> u64 {
        self.snapshot.header().generation
    }

    /// Why a session would not be opened again; `None`: it would, or nobody asks, because it is root's.
    pub(super) fn refusal(&self, session: &Session) -> Result<Option<Reason>, Invalid> {
        let Some(account) = self.snapshot.account(&session.account)? else { return Ok(None) };
        let person = match &session.origin {
            SessionOrigin::Person(login) => {
                let known = self.snapshot.person(login)?;
                Some(known.map_or_else(|| Person::without_roles(login), |known| known.person))
            }
            // A job of the account itself goes on for as long as the account may have one.
            SessionOrigin::Local(_) => None,
            SessionOrigin::Root => return Ok(None),
        };
        let origin = match &person {
            Some(person) => Origin::Person(person),
            // It was started beside a session, or by a rule; systemd ends it when the last session is over.
            None if is_manager(session) => Origin::BesideSessions,
            None => Origin::Local,
        };
        let names: Vec<&str> = self.hosts.iter().map(String::as_str).collect();
        let at = Circumstances {
            service: Some(&session.service),
            hosts: &names,
            source: Source::of(&session.service, session.from.as_deref()),
            now: self.now,
            // The directory's silence is a reason to open no session, and none to end one. What it said before it fell
            // silent counts: who was to expire today expires today.
            age: Age(Some(0)),
        };
        match decide(&self.policy, &account, origin, &at).decision {
            Decision::Allow => Ok(None),
            Decision::Deny(reason) => Ok(Some(reason)),
        }
    }
}

/// Whether the session is the user manager of its account.
fn is_manager(session: &Session) -> bool {
    Family::of(&session.service) == Family::Manager
}

/// The user managers among `sessions` that cannot go on because somebody may no longer use their account, and that
/// session: whose service is whose in a user manager nobody can tell, so that it ends with the access of any of them.
pub(super) fn shared_managers<'a>(
    sessions: &'a [Session],
    refused: &'a [Refused],
) -> impl Iterator<Item = (&'a Session, &'a Refused)> {
    let is_refused = |session: &Session| refused.iter().any(|known| known.session.id == session.id);
    let managers = sessions.iter().filter(move |session| is_manager(session) && !is_refused(session));
    managers.filter_map(|manager| {
        let cause = refused.iter().find(|known| known.session.account == manager.account)?;
        Some((manager, cause))
    })
}

#[cfg(test)]
mod tests {
    use svcauth_core::id::IdRange;
    use svcauth_core::policy::{
        AccessRule, Account, AuditMode, Held, Need, Pattern, Policy, Role, RoleRef, Roles,
    };
    use svcauth_core::snapshot::Stamp;
    use svcauth_core::snapshot::access::{AccessFile, AccessSnapshot};

    use super::{Clock, Judge, Person, Reason, Refused, Session, SessionOrigin, shared_managers};
    use crate::monitor::session_fixture::session;

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
            limits: None,
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

    fn job(account: &str) -> Session {
        let local = session(account, SessionOrigin::Local(account.to_owned()), "");
        Session { service: "cron".to_owned(), from: None, ..local }
    }

    fn manager(account: &str) -> Session {
        Session { id: format!("manager of {account}"), service: "systemd-user".to_owned(), ..job(account) }
    }

    #[test]
    fn a_user_manager_ends_with_the_access_of_anybody_in_the_account_and_no_other_does() {
        let bob = session("deployer", SessionOrigin::Person("bob".to_owned()), "10.1.2.3");
        let all = [bob.clone(), manager("deployer"), manager("jenkins")];
        let refused = |session: &Session| Refused {
            session: session.clone(),
            reason: Reason::NotInRole,
            generation: 1,
        };
        assert_eq!(shared_managers(&all, &[]).count(), 0);
        let by_bob = [refused(&bob)];
        let ends = shared_managers(&all, &by_bob).map(|(ends, cause)| (&ends.id[..], cause.reason));
        assert_eq!(ends.collect::<Vec<_>>(), [("manager of deployer", Reason::NotInRole)]);
        // Refused for a reason of its own, it keeps that one.
        let both = [refused(&bob), refused(&all[1])];
        assert_eq!(shared_managers(&all, &both).count(), 0);
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
            // No rule names it; it was started beside a session.
            (manager("deployer"), None),
            (job("deployer"), Some(Reason::ServiceNotAllowed)),
        ] {
            let judge = Judge::new(&snapshot, &Clock::now()).unwrap();
            assert_eq!(judge.refusal(&session).unwrap(), reason, "{session:?}");
        }
    }
    #[test]
    fn a_directory_that_is_silent_ends_nobody_and_what_it_said_before_still_counts() {
        let held = vec![Held { role: RoleRef(0), path: vec!["application".to_owned()] }];
        let now = Clock::now();
        let bob = Person { held, expires: Some(now.wall + 100_000), ..Person::without_roles("bob") };
        let file = snapshot(&[bob]);
        let snapshot = AccessSnapshot::open(file.as_slice(), file.len() as u64).unwrap();
        let session = session("deployer", SessionOrigin::Person("bob".to_owned()), "10.1.2.3");
        // Far beyond max_stale, and beyond his last day.
        for (later, reason) in [(50_000, None), (200_000, Some(Reason::PersonExpired))] {
            let clock = Clock { wall: now.wall + later, boottime: now.boottime + later, ..now.clone() };
            let judge = Judge::new(&snapshot, &clock).unwrap();
            assert_eq!(judge.refusal(&session).unwrap(), reason, "{later}");
        }
    }
}
