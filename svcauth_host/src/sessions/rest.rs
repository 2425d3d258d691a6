//! What is left of sessions that were closed, or whose opener was killed: their processes, if any live on.

use std::collections::HashSet;
use std::time::Duration;

use super::attribution::Attribution;
use super::entry::Session;
use super::processes::{Processes, Seen};

/// Which of the sessions have live processes besides the ones that opened them.
#[derive(Debug)]
pub struct Rest<'a>(HashSet<&'a str>);

impl<'a> Rest<'a> {
    /// `sessions` must hold all of their audit sessions, and `processes` those of the same audit sessions.
    #[must_use]
    pub fn of(sessions: &'a [Session], processes: &Processes, uid_of: impl Fn(&str) -> Option<u32>) -> Self {
        let attribution = Attribution::new(sessions, &uid_of);
        let openers: HashSet<_> = sessions.iter().map(|session| session.process).collect();
        let nameless: Vec<&Session> = sessions
            .iter()
            .filter(|session| session.uid.is_none() && uid_of(&session.account).is_none())
            .collect();
        let mut left = HashSet::new();
        for seen in processes.iter().filter(|seen| !openers.contains(&seen.process)) {
            let candidates = attribution.candidates(seen, processes);
            if candidates.is_empty() {
                let perhaps = nameless.iter().filter(|session| may_be_of(seen, session, processes));
                left.extend(perhaps.map(|session| session.id.as_str()));
            }
            left.extend(candidates.iter().map(|session| session.id.as_str()));
        }
        Self(left)
    }

    /// Whether processes of this session may live.
    #[must_use]
    pub fn includes(&self, session: &Session) -> bool {
        self.0.contains(session.id.as_str())
    }
}

/// Where nobody knows the account's uid, all that is in the audit session and does not lead to the opener may be of it.
fn may_be_of(seen: &Seen, session: &Session, processes: &Processes) -> bool {
    let leads_to = || {
        let opener = processes.get(session.process.pid).filter(|opener| opener.process == session.process);
        opener.is_some_and(|opener| processes.ancestry(opener).any(|above| above.process == seen.process))
    };
    seen.audit_session.is_some() && seen.audit_session == session.audit_session && !leads_to()
}

/// Whether processes of the session may live besides the one that opened it. Looks at the processes of this host for at most
/// `time`, and says yes when that is not enough. `around` are the sessions of its audit session.
#[must_use]
pub fn may_have_processes(session: &Session, around: &[Session], time: Duration) -> bool {
    if session.audit_session.is_none() {
        // What has left the process tree below the opener is nobody's.
        return false;
    }
    Processes::look_within(|id| id == session.audit_session, time)
        .is_none_or(|processes| Rest::of(around, &processes, |_| None).includes(session))
}

#[cfg(test)]
mod tests {
    use super::{Processes, Rest, Seen, Session};
    use crate::sessions::entry::tests::example;
    use crate::sessions::{Process, SessionOrigin};

    fn session(id: &str, opener: u32, uid: Option<u32>) -> Session {
        let process = Process { pid: opener, start: u64::from(opener) };
        Session { id: id.to_owned(), audit_session: Some(5), process, uid, ..example() }
    }

    fn process(pid: u32, parent: u32, uid: u32) -> Seen {
        let process = Process { pid, start: u64::from(pid) };
        Seen { process, parent, uids: [uid; 4], audit_session: Some(5), terminal: None }
    }

    fn left(sessions: &[Session], processes: &[Seen]) -> Vec<String> {
        let processes: Processes = processes.iter().cloned().collect();
        let rest = Rest::of(sessions, &processes, |_| None);
        let left = sessions.iter().filter(|session| rest.includes(session));
        left.map(|session| session.id.clone()).collect()
    }

    #[test]
    fn a_session_is_left_while_processes_of_its_account_live_that_did_not_open_it() {
        let sessions = [session("a", 10, Some(7001))];
        assert_eq!(left(&sessions, &[process(10, 1, 0), process(12, 1, 7001)]), ["a"]);
        assert_eq!(left(&sessions, &[process(10, 1, 0), process(12, 1, 1001)]), [""; 0]);
        assert_eq!(left(&sessions, &[process(10, 1, 7001)]), [""; 0]);
    }

    #[test]
    fn an_inner_session_is_not_left_because_the_outer_one_goes_on() {
        let sessions = [session("outer", 10, Some(7001)), session("inner", 12, Some(7001))];
        let processes = [process(10, 1, 0), process(11, 10, 7001), process(12, 11, 0)];
        assert_eq!(left(&sessions, &processes), ["outer"]);
        let below = process(13, 12, 7001);
        assert_eq!(left(&sessions, &[&processes[..], &[below]].concat()), ["outer", "inner"]);
    }

    #[test]
    fn sessions_that_cannot_be_told_apart_are_both_left() {
        let one = session("a", 10, Some(7001));
        for person in ["alice", "bob"] {
            let origin = SessionOrigin::Person(person.to_owned());
            let other = Session { origin, ..session("b", 12, Some(7001)) };
            assert_eq!(left(&[one.clone(), other.clone()], &[process(13, 1, 7001)]), ["a", "b"]);
            assert_eq!(left(&[one.clone(), other], &[process(11, 1, 7001)]), ["a"], "b came later");
        }
    }

    #[test]
    fn where_the_uid_is_unknown_all_that_does_not_lead_to_the_opener_may_be_of_the_account() {
        let sessions = [session("a", 12, None)];
        let above = [process(11, 10, 1001), process(12, 11, 0)];
        assert_eq!(left(&sessions, &above), [""; 0]);
        assert_eq!(left(&sessions, &[&above[..], &[process(13, 1, 5)]].concat()), ["a"]);
        let elsewhere = Seen { audit_session: Some(6), ..process(13, 1, 5) };
        assert_eq!(left(&sessions, &[&above[..], &[elsewhere]].concat()), [""; 0]);
    }
}
