//! Which processes end with a session, and which do not.
//!
//! Those that can be of no session but ones that end, and the process that opened it (sshd's monitor process, su, sudo).
//! Never root's processes, never what may belong to a session that goes on, never what belongs to nobody: somebody who came
//! in as themselves and used sudo keeps the shell they came in with, because it runs under another uid.

use std::collections::{BTreeMap, BTreeSet};

use svcauth_host::sessions::{Attribution, Process, Processes, Seen, Session};

/// What there is of one session that is to end.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Its processes, which run as the account.
    pub(super) own: Vec<Seen>,
    /// The process that opened it, unless that has opened another one that goes on.
    pub(super) opener: Option<Seen>,
    /// The real uid of whoever called the opener, where that is in the session too: the terminal may be theirs.
    pub(super) caller: Option<u32>,
    /// Processes that may as well belong to a session that goes on, and with whose.
    pub(super) shared: BTreeMap<u32, String>,
}

impl Found {
    /// Whether there is nothing to end.
    pub(super) fn is_over(&self) -> bool {
        self.own.is_empty() && self.opener.is_none()
    }

    /// Its terminals, by device number.
    pub(super) fn terminals(&self) -> impl Iterator<Item = u32> {
        self.all().filter_map(|seen| seen.terminal)
    }

    /// Who may own them: the account, root, and whoever went on from a terminal of their own by su or sudo.
    pub(super) fn owners(&self, session: &Session) -> Vec<u32> {
        session.uid.into_iter().chain(self.caller).chain([0]).collect()
    }

    /// Everything that ends, the opener last.
    pub(super) fn all(&self) -> impl Iterator<Item = &Seen> {
        self.own.iter().chain(&self.opener)
    }
}

/// What there is of each of the sessions in `ending`, by id.
///
/// `sessions` must be all of the host, and looked at later than `processes`: a process of a session that is not among them
/// would count for another.
pub(super) fn find(
    ending: &BTreeSet<&str>,
    sessions: &[Session],
    processes: &Processes,
    uid_of: impl Fn(&str) -> Option<u32>,
) -> BTreeMap<String, Found> {
    let attribution = Attribution::new(sessions, uid_of);
    let is_ending = |session: &Session| ending.contains(session.id.as_str());
    let mut found: BTreeMap<String, Found> = BTreeMap::new();
    let mut seen: Vec<&Seen> = processes.iter().filter(|seen| is_ours(seen.process)).collect();
    seen.sort_by_key(|seen| seen.process.pid);
    for seen in seen {
        let candidates = attribution.candidates(seen, processes);
        let Some(first) = candidates.iter().find(|session| is_ending(session)) else { continue };
        let of = found.entry(first.id.clone()).or_default();
        let others: Vec<&str> = candidates
            .iter()
            .filter(|session| !is_ending(session))
            .map(|session| session.origin.name())
            .collect();
        let is_opener =
            candidates.iter().any(|session| session.process == seen.process && session.ended.is_none());
        match (others.is_empty(), is_opener) {
            // A program that opens sessions for several people must not end with the first of them.
            (false, true) => {}
            (false, false) => {
                of.shared.insert(seen.process.pid, others.join(", "));
            }
            (true, true) => {
                of.caller = processes.get(seen.parent).map(|caller| caller.uids[0]);
                of.opener = Some(seen.clone());
            }
            (true, false) if seen.uids != [0; 4] => of.own.push(seen.clone()),
            (true, false) => {}
        }
    }
    found
}

/// Of which processes one look at them alone tells that they end: nobody else's session of their account is in their audit
/// session, so no ancestor can make them another's.
pub(super) struct Certain<'a> {
    ending: &'a BTreeSet<String>,
    around: BTreeMap<u32, Vec<(&'a Session, Option<u32>)>>,
}

impl<'a> Certain<'a> {
    /// `sessions` must be all of the host.
    pub(super) fn new(
        ending: &'a BTreeSet<String>,
        sessions: &'a [Session],
        uid_of: impl Fn(&str) -> Option<u32>,
    ) -> Self {
        let mut around: BTreeMap<u32, Vec<(&Session, Option<u32>)>> = BTreeMap::new();
        for session in sessions {
            if let Some(id) = session.audit_session {
                let uid = session.uid.or_else(|| uid_of(&session.account));
                around.entry(id).or_default().push((session, uid));
            }
        }
        around.retain(|_, all| all.iter().any(|(session, _)| ending.contains(&session.id)));
        Self { ending, around }
    }

    /// Whether it can have anything to do with this audit session.
    pub(super) fn has(&self, audit_session: Option<u32>) -> bool {
        audit_session.is_some_and(|id| self.around.contains_key(&id))
    }

    /// Whether the process ends.
    pub(super) fn includes(&self, seen: &Seen) -> bool {
        let Some(around) = seen.audit_session.and_then(|id| self.around.get(&id)) else { return false };
        let fits = |uid: &Option<u32>| uid.is_some_and(|uid| seen.has_uid(uid));
        let may_fit = |uid: &Option<u32>| uid.is_none_or(|uid| seen.has_uid(uid));
        let is_ending = |session: &Session| self.ending.contains(&session.id);
        is_ours(seen.process)
            && seen.uids != [0; 4]
            && around.iter().all(|(session, uid)| {
                session.process != seen.process && (is_ending(session) || !may_fit(uid))
            })
            && around.iter().any(|(session, uid)| {
                is_ending(session) && fits(uid) && session.process.start <= seen.process.start
            })
    }
}

/// Whatever a registry says: neither process 1 nor this daemon.
fn is_ours(process: Process) -> bool {
    process.pid > 1 && process.pid != std::process::id()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use svcauth_host::sessions::{Process, Processes, Seen, Session, SessionOrigin};

    use super::{Certain, find};
    use crate::monitor::session_fixture::session as example;

    const DEPLOYER: u32 = 7001;
    const POSTGRES: u32 = 7002;
    const BOB: u32 = 1002;

    fn session(id: &str, opener: u32, audit_session: Option<u32>, person: &str) -> Session {
        Session {
            id: id.to_owned(),
            audit_session,
            process: Process { pid: opener, start: u64::from(opener) },
            uid: Some(DEPLOYER),
            ..example("deployer", SessionOrigin::Person(person.to_owned()), "::1")
        }
    }

    fn process(pid: u32, parent: u32, uid: u32, audit_session: Option<u32>) -> Seen {
        Seen {
            process: Process { pid, start: u64::from(pid) },
            parent,
            uids: [uid; 4],
            audit_session,
            terminal: None,
        }
    }

    /// What ends, the openers with a `!`, what is left alone because nobody can tell in brackets.
    fn ended(ending: &[&str], sessions: &[Session], processes: &[Seen]) -> String {
        let ending: BTreeSet<&str> = ending.iter().copied().collect();
        let all: Processes = processes.iter().cloned().collect();
        let words = find(&ending, sessions, &all, |_| None).into_values().map(|found| {
            let own = found.own.iter().map(|seen| seen.process.pid.to_string());
            let opener = found.opener.iter().map(|seen| format!("!{}", seen.process.pid));
            let shared = found.shared.iter().map(|(pid, with)| format!("({pid} {with})"));
            own.chain(opener).chain(shared).collect::<Vec<_>>().join(" ")
        });
        words.collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn the_processes_of_one_person_end_daemonised_ones_too_and_nobody_elses() {
        let sessions = [session("a", 10, Some(6), "alice"), session("b", 20, Some(7), "bob")];
        let processes = [
            process(10, 1, 0, Some(6)),
            process(11, 10, DEPLOYER, Some(6)),
            process(12, 1, DEPLOYER, Some(6)),
            process(20, 1, 0, Some(7)),
            process(21, 20, DEPLOYER, Some(7)),
            process(22, 1, DEPLOYER, Some(7)),
            // Root, through sudo; and an account that he became in a session of its own.
            process(23, 21, 0, Some(7)),
            process(24, 21, POSTGRES, Some(7)),
            process(30, 1, DEPLOYER, Some(8)),
        ];
        assert_eq!(ended(&["b"], &sessions, &processes), "21 22 !20");
        assert_eq!(ended(&["a", "b"], &sessions, &processes), "11 12 !10; 21 22 !20");
        assert_eq!(ended(&[], &sessions, &processes), "");
    }

    #[test]
    fn a_person_who_used_sudo_keeps_the_shell_they_came_in_with() {
        let sessions = [session("s", 12, Some(7), "bob")];
        let processes = [
            process(11, 10, BOB, Some(7)),
            process(12, 11, 0, Some(7)),
            process(13, 12, DEPLOYER, Some(7)),
            process(14, 1, BOB, Some(7)),
        ];
        assert_eq!(ended(&["s"], &sessions, &processes), "13 !12");
    }

    #[test]
    fn each_step_of_a_chain_ends_alone() {
        let mut postgres = session("p", 12, Some(7), "bob");
        (postgres.account, postgres.uid) = ("postgres".to_owned(), Some(POSTGRES));
        let sessions = [session("d", 10, Some(7), "bob"), postgres];
        let mut sudo = process(12, 11, 0, Some(7));
        sudo.uids = [DEPLOYER, 0, 0, 0];
        let processes = [
            process(10, 1, 0, Some(7)),
            process(11, 10, DEPLOYER, Some(7)),
            sudo,
            process(13, 12, POSTGRES, Some(7)),
            process(14, 1, POSTGRES, Some(7)),
            process(15, 1, DEPLOYER, Some(7)),
        ];
        assert_eq!(ended(&["d"], &sessions, &processes), "11 15 !10");
        assert_eq!(ended(&["p"], &sessions, &processes), "13 14 !12");
    }

    #[test]
    fn what_may_belong_to_a_session_that_goes_on_is_left_alone_and_named() {
        let sessions = [session("a", 10, Some(7), "alice"), session("b", 20, Some(7), "bob")];
        let processes = [
            process(20, 1, 0, Some(7)),
            process(21, 20, DEPLOYER, Some(7)),
            process(23, 1, DEPLOYER, Some(7)),
        ];
        assert_eq!(ended(&["b"], &sessions, &processes), "21 !20 (23 alice)");
        assert_eq!(ended(&["a", "b"], &sessions, &processes), "23; 21 !20");
    }

    #[test]
    fn two_sessions_of_one_person_are_told_apart_or_both_left_alone() {
        let sessions = [session("ssh", 10, Some(7), "bob"), session("sudo", 20, Some(7), "bob")];
        let processes = [
            process(10, 1, 0, Some(7)),
            process(11, 10, DEPLOYER, Some(7)),
            process(20, 11, 0, Some(7)),
            process(21, 20, DEPLOYER, Some(7)),
            process(22, 1, DEPLOYER, Some(7)),
        ];
        assert_eq!(ended(&["ssh"], &sessions, &processes), "11 !10 (22 bob)");
        assert_eq!(ended(&["sudo"], &sessions, &processes), "21 !20 (22 bob)");
        assert_eq!(ended(&["ssh", "sudo"], &sessions, &processes), "11 22 !10; 21 !20");
    }

    #[test]
    fn a_session_that_has_ended_has_no_opener_any_more() {
        let over = Session { ended: Some(1), ..session("b", 20, Some(7), "bob") };
        let processes = [process(20, 1, 0, Some(7)), process(22, 1, DEPLOYER, Some(7))];
        assert_eq!(ended(&["b"], &[over], &processes), "22");
        assert_eq!(ended(&["b"], &[session("b", 20, Some(7), "bob")], &processes), "22 !20");
    }

    #[test]
    fn what_is_certain_needs_no_ancestors_and_agrees_with_a_whole_look() {
        let mut postgres = session("p", 12, Some(7), "bob");
        (postgres.account, postgres.uid) = ("postgres".to_owned(), Some(POSTGRES));
        let mut sudo = process(12, 11, 0, Some(7));
        sudo.uids = [DEPLOYER, 0, 0, 0];
        let processes = [
            process(11, 10, DEPLOYER, Some(7)),
            sudo,
            process(13, 12, POSTGRES, Some(7)),
            process(14, 11, 0, Some(7)),
            process(15, 1, DEPLOYER, Some(7)),
            process(16, 1, DEPLOYER, Some(8)),
            process(9, 1, DEPLOYER, Some(7)),
        ];
        let ending = BTreeSet::from(["d".to_owned()]);
        let certain = |sessions: &[Session]| {
            let certain = Certain::new(&ending, sessions, |_| None);
            let all = processes.iter().filter(|seen| certain.includes(seen));
            all.map(|seen| seen.process.pid).collect::<Vec<_>>()
        };
        let bob = session("d", 10, Some(7), "bob");
        assert_eq!(certain(&[bob.clone(), postgres.clone()]), [11, 15]);
        let none: [u32; 0] = [];
        assert_eq!(certain(&[postgres]), none);
        // Another session of the account in the same audit session, or one whose uid nobody knows.
        assert_eq!(certain(&[bob.clone(), session("e", 12, Some(7), "alice")]), none);
        let unknown = Session { uid: None, ..session("e", 12, Some(7), "alice") };
        assert_eq!(certain(&[bob, unknown]), none);
    }

    #[test]
    fn a_program_that_opened_sessions_for_two_ends_with_neither() {
        let sessions = [session("a", 10, Some(7), "alice"), session("b", 10, Some(7), "bob")];
        let processes = [process(10, 1, 0, Some(7)), process(11, 10, DEPLOYER, Some(7))];
        assert_eq!(ended(&["b"], &sessions, &processes), "(11 alice)");
        assert_eq!(ended(&["a", "b"], &sessions, &processes), "11 !10");
    }

    #[test]
    fn without_an_audit_session_what_has_left_the_tree_is_nobodys() {
        let sessions = [session("b", 20, None, "bob")];
        let processes =
            [process(20, 9, 0, None), process(21, 20, DEPLOYER, None), process(22, 1, DEPLOYER, None)];
        assert_eq!(ended(&["b"], &sessions, &processes), "21 !20");
    }

    #[test]
    fn no_entry_makes_this_daemon_or_process_1_end() {
        let own = std::process::id();
        let sessions = [session("x", own, Some(7), "bob"), session("y", 1, Some(8), "bob")];
        let processes = [process(own, 1, 0, Some(7)), process(1, 0, 0, Some(8))];
        assert_eq!(ended(&["x", "y"], &sessions, &processes), "");
        let elsewhere = [session("x", own + 1, Some(7), "bob")];
        assert_eq!(ended(&["x"], &elsewhere, &[process(own + 1, 1, 0, Some(7))]), format!("!{}", own + 1));
    }
}
