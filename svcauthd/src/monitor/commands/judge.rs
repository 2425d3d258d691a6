//! May this be run? The same question that PAM asked when the session was opened, put to what is published now, and then
//! what the limits of the granting rules say to it.

use svcauth_core::command::protocol::Ask;
use svcauth_core::command::{Access, Files, Limits, Plan, Refusal, Ruling, Wish, admit};
use svcauth_core::policy::{
    Account, Age, Circumstances, Decision, Origin, Person, Policy, Reason, RoleRef, Source, Verdict, decide,
    granting,
};
use svcauth_core::snapshot::access::AccessSnapshot;
use svcauth_core::snapshot::{Invalid, ReadAt};
use svcauth_host::sessions::{Session, SessionOrigin};

/// What a wish came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Judged {
    /// The roles that the decision rests on; of a refusal for roles, those that are missing.
    pub(super) roles: Vec<String>,
    pub(super) ruled: Ruled,
    /// Whether what the terminal shows is recorded, should it run by the account's own shell.
    pub(super) is_taped: bool,
}

/// What becomes of a wish.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ruled {
    /// It runs.
    Run(Plan),
    /// It runs because a rule is learning, and this is why it would not.
    Learn(Plan, Refusal),
    /// It does not.
    Refuse(Reason, Option<String>),
}

/// Everything that the answer depends on beside the wish.
pub(super) struct Bench<'a, R> {
    pub(super) snapshot: &'a AccessSnapshot<R>,
    pub(super) policy: &'a Policy,
    pub(super) account: &'a Account,
    pub(super) age: Age,
    pub(super) hosts: &'a [String],
    /// Seconds since 1970 (UTC), not before the snapshot.
    pub(super) now: u64,
}

/// What somebody asks for.
pub(super) fn wish(ask: &Ask) -> Wish<'_> {
    ask.line.as_deref().map_or(Wish::Shell, Wish::Line)
}

impl<R: ReadAt> Bench<'_, R> {
    /// Decides about a wish in a session.
    pub(super) fn judge(&self, session: &Session, ask: &Ask) -> Result<Judged, Invalid> {
        let person = match &session.origin {
            SessionOrigin::Person(login) => {
                let known = self.snapshot.person(login)?;
                Some(known.map_or_else(|| Person::without_roles(login), |known| known.person))
            }
            SessionOrigin::Root | SessionOrigin::Local(_) => None,
        };
        let origin = match (&person, &session.origin) {
            (Some(person), _) => Origin::Person(person),
            (None, SessionOrigin::Root) => Origin::Root,
            // The user manager too: what runs below it is nobody's in particular, and a rule has to name its service.
            (None, _) => Origin::Local,
        };
        let hosts: Vec<&str> = self.hosts.iter().map(String::as_str).collect();
        let at = Circumstances {
            service: Some(&session.service),
            hosts: &hosts,
            source: Source::of(&session.service, session.from.as_deref()),
            now: self.now,
            age: self.age,
        };
        let verdict = decide(self.policy, self.account, origin, &at);
        let (ruled, is_taped) = match verdict.decision {
            Decision::Deny(reason) => (Ruled::Refuse(reason, None), false),
            Decision::Allow if origin == Origin::Root => (Ruled::Run(unlimited(ask)), false),
            Decision::Allow => self.limited(origin, &at, ask),
        };
        Ok(Judged { roles: self.names(&verdict), ruled, is_taped })
    }

    /// What the rules make of it, and whether what the terminal shows is recorded: of `ssh -t HOST bash`, too, which is a shell
    /// by another name.
    fn limited(&self, origin: Origin<'_>, at: &Circumstances<'_>, ask: &Ask) -> (Ruled, bool) {
        let rules = granting(self.policy, self.account, origin, at);
        let limits: Vec<Option<&Limits>> = rules.iter().map(|rule| rule.limits.as_ref()).collect();
        // One rule that limits nothing is enough; no rule at all limits everything.
        if limits.iter().any(Option::is_none) {
            return (Ruled::Run(unlimited(ask)), false);
        }
        let limits: Vec<&Limits> = limits.into_iter().flatten().collect();
        let is_taped = limits.iter().any(|one| one.record) && (ask.line.is_none() || ask.terminal);
        (ruled(&limits, ask), is_taped)
    }

    fn names(&self, verdict: &Verdict) -> Vec<String> {
        let name = |role: &RoleRef| self.policy.roles.get(role.0 as usize);
        verdict.roles.iter().filter_map(name).map(|role| role.name.clone()).collect()
    }
}

fn ruled(limits: &[&Limits], ask: &Ask) -> Ruled {
    match admit(limits, wish(ask)) {
        Ruling::Run(plan) if needs_confinement(&plan) && !ask.can_confine => Ruled::Refuse(
            Reason::CommandNotAllowed,
            Some("this kernel cannot confine a program to paths (Landlock, Linux 5.13)".to_owned()),
        ),
        Ruling::Run(plan) => Ruled::Run(plan),
        Ruling::Learn(plan, refusal) => Ruled::Learn(plan, refusal),
        Ruling::Refuse(refusal) => Ruled::Refuse(refusal.reason, Some(refusal.detail)),
    }
}

/// What sshd and su would have run without svcauth-shell.
pub(super) fn unlimited(ask: &Ask) -> Plan {
    match ask.line {
        Some(_) => Plan::Line,
        None => Plan::Shell { record: false },
    }
}

/// Whether a program may touch less than its account.
fn needs_confinement(plan: &Plan) -> bool {
    let Plan::Program(program) = plan else { return false };
    let is_less = |files: &Files| files.access == Access::Read || !files.paths.iter().any(|path| path == "/");
    program.files.as_ref().is_some_and(is_less)
}

#[cfg(test)]
mod tests {
    use svcauth_core::command::{CommandRule, Program};

    use super::super::fixture::{account, person, policy, rule, snapshot};
    use super::{
        Access, AccessSnapshot, Age, Ask, Bench, Files, Judged, Limits, Person, Plan, Reason, Ruled, Session,
        SessionOrigin,
    };
    use crate::monitor::session_fixture::session;
    use svcauth_core::command::Mode;
    use svcauth_core::policy::AccessRule;

    fn ask(line: Option<&str>) -> Ask {
        let line = line.map(|line| line.as_bytes().to_vec());
        Ask { line, terminal: false, can_confine: true, resume: None }
    }

    fn judged(rules: Vec<AccessRule>, people: &[Person], session: &Session, ask: &Ask, age: u64) -> Judged {
        let policy = policy(rules);
        let file = snapshot(&policy, people);
        let snapshot = AccessSnapshot::open(file.as_slice(), file.len() as u64).unwrap();
        let policy = snapshot.policy().unwrap();
        let (account, hosts) = (account(), Vec::new());
        let bench = Bench {
            snapshot: &snapshot,
            policy: &policy,
            account: &account,
            age: Age(Some(age)),
            hosts: &hosts,
            now: 1,
        };
        bench.judge(session, ask).unwrap()
    }

    fn words(line: &[&str]) -> Limits {
        let words = line.iter().map(|word| word.parse().unwrap()).collect();
        Limits { commands: vec![CommandRule::Words(words)], ..Limits::default() }
    }

    fn by(name: &str) -> Session {
        session("deployer", SessionOrigin::Person(name.to_owned()), "10.1.2.3")
    }

    fn reason(judged: &Judged) -> Option<Reason> {
        match &judged.ruled {
            Ruled::Refuse(reason, _) => Some(*reason),
            Ruled::Run(_) | Ruled::Learn(..) => None,
        }
    }

    #[test]
    fn a_command_is_held_against_the_rules_that_grant_the_session_and_against_no_other() {
        let rules = || vec![rule(0, Some(words(&["/usr/bin/uptime"]))), rule(1, None)];
        let people = [person("bob", &[0]), person("dan", &[1]), person("eve", &[0, 1])];
        let judge = |name: &str, line: &str| judged(rules(), &people, &by(name), &ask(Some(line)), 1);
        let program = Program {
            path: "/usr/bin/uptime".to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            files: None,
        };
        let uptime = judge("bob", "uptime");
        assert_eq!(uptime.ruled, Ruled::Run(Plan::Program(program)));
        assert_eq!(uptime.roles, ["application"]);
        assert_eq!(reason(&judge("bob", "ls /")), Some(Reason::CommandNotAllowed));
        // Whom one rule does not limit is not limited.
        assert_eq!(judge("dan", "ls /").ruled, Ruled::Run(Plan::Line));
        assert_eq!(judge("eve", "ls /; id").ruled, Ruled::Run(Plan::Line));
        let carol = judge("carol", "ls /");
        assert_eq!((reason(&carol), carol.roles), (Some(Reason::NotInRole), vec!["application".to_owned()]));
    }

    #[test]
    fn who_would_not_be_let_in_again_runs_nothing_more() {
        let rules = || vec![rule(0, None)];
        let bob = person("bob", &[0]);
        let judge = |people: &[Person], session: &Session, age| {
            reason(&judged(rules(), people, session, &ask(Some("id")), age))
        };
        assert_eq!(judge(std::slice::from_ref(&bob), &by("bob"), 1), None);
        assert_eq!(judge(&[], &by("bob"), 1), Some(Reason::NotInRole), "removed from the group");
        let off = Person { disabled: true, ..bob.clone() };
        assert_eq!(judge(&[off], &by("bob"), 1), Some(Reason::PersonDisabled));
        let people = [bob];
        assert_eq!(judge(&people, &by("bob"), 3600), Some(Reason::Stale));
        let far = Session { from: Some("192.0.2.1".to_owned()), ..by("bob") };
        assert_eq!(judge(&people, &far, 1), Some(Reason::SourceNotAllowed));
        let job = Session { service: "cron".to_owned(), from: None, ..session("deployer", local(), "") };
        assert_eq!(judge(&people, &job, 1), Some(Reason::ServiceNotAllowed), "no rule names cron");
        let nightly =
            || vec![AccessRule { services: vec!["cron".to_owned()], from: Vec::new(), ..rule(0, None) }];
        assert_eq!(judged(nightly(), &[], &job, &ask(Some("id")), 1).ruled, Ruled::Run(Plan::Line));
    }

    fn local() -> SessionOrigin {
        SessionOrigin::Local("deployer".to_owned())
    }

    #[test]
    fn nothing_limits_root_and_nothing_keeps_it_out() {
        let root = session("deployer", SessionOrigin::Root, "");
        for age in [1, 1_000_000] {
            let none = judged(vec![rule(0, Some(Limits::default()))], &[], &root, &ask(None), age);
            assert_eq!(none.ruled, Ruled::Run(Plan::Shell { record: false }));
        }
    }

    #[test]
    fn a_line_on_a_terminal_is_recorded_where_shells_are() {
        let of = |limits: Vec<Option<Limits>>, line: Option<&str>, terminal| {
            let rules = limits.into_iter().map(|limits| rule(0, limits)).collect();
            let ask = Ask { terminal, ..ask(line) };
            judged(rules, &[person("bob", &[0])], &by("bob"), &ask, 1).is_taped
        };
        let shell = || Limits { shell: true, commands: vec![CommandRule::Any], ..Limits::default() };
        let taped = || Some(Limits { record: true, ..shell() });
        assert!(of(vec![taped()], None, true) && of(vec![taped()], Some("bash"), true));
        // A shell without a terminal is one; a command without one is a transfer or a script, and its line says what it does.
        assert!(of(vec![taped()], None, false) && !of(vec![taped()], Some("bash"), false));
        assert!(of(vec![taped(), Some(shell())], Some("bash"), true), "as a shell would be");
        assert!(!of(vec![Some(shell())], Some("bash"), true));
        assert!(!of(vec![taped(), None], Some("bash"), true), "whom one rule does not limit");
    }

    #[test]
    fn what_is_confined_to_paths_is_refused_where_the_kernel_cannot() {
        let sftp = |access, path: &str| {
            let files = Files { access, paths: vec![path.to_owned()] };
            super::needs_confinement(&Plan::Program(Program {
                path: "/usr/lib/openssh/sftp-server".to_owned(),
                arguments: Vec::new(),
                environment: Vec::new(),
                files: Some(files),
            }))
        };
        assert!(sftp(Access::Write, "/srv") && sftp(Access::Read, "/"));
        assert!(!sftp(Access::Write, "/"), "as the account may");
        assert!(!super::needs_confinement(&Plan::Line));
    }

    #[test]
    fn a_learning_rule_lets_run_what_is_not_allowed_and_keeps_nobody_in_who_left() {
        let rules = || vec![rule(0, Some(Limits { mode: Mode::Learn, ..words(&["/usr/bin/uptime"]) }))];
        let bob = [person("bob", &[0])];
        let learned = judged(rules(), &bob, &by("bob"), &ask(Some("ls /; id")), 1);
        assert!(matches!(learned.ruled, Ruled::Learn(Plan::Line, _)), "{learned:?}");
        let left = judged(rules(), &[], &by("bob"), &ask(Some("ls /")), 1);
        assert_eq!(reason(&left), Some(Reason::NotInRole));
    }
}
