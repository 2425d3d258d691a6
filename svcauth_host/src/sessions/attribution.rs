//! Which session a live process belongs to.
//!
//! Two facts of the kernel decide: the audit session, which every child inherits and no user can change, and the uid. A
//! process that was put into the background with setsid or nohup has lost its ancestors and keeps both. Several sessions of
//! one account may share an audit session; then the nearest opener among the ancestors tells, and where there is none,
//! nobody guesses: people who cannot be told apart are reported as such, and nothing is ended for either of them.

use std::collections::HashMap;

use super::entry::{Session, SessionOrigin};
use super::process::Process;
use super::processes::{Processes, Seen};

/// Who is behind a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behind<'a> {
    /// This session.
    Session(&'a Session),
    /// One of these sessions, which have different origins, in the order in which they began.
    Ambiguous(Vec<&'a Session>),
    /// No session that is known.
    Nobody,
}

impl<'a> Behind<'a> {
    /// The session, if it is one.
    #[must_use]
    pub fn session(&self) -> Option<&'a Session> {
        match self {
            Self::Session(session) => Some(session),
            Self::Ambiguous(_) | Self::Nobody => None,
        }
    }
}

/// The sessions of this boot, ready to be asked.
#[derive(Debug)]
pub struct Attribution<'a> {
    by_audit_session: HashMap<Option<u32>, Vec<Known<'a>>>,
    by_opener: HashMap<Process, Vec<Known<'a>>>,
}

#[derive(Clone, Copy, Debug)]
struct Known<'a> {
    session: &'a Session,
    uid: Option<u32>,
}

impl<'a> Attribution<'a> {
    /// Makes these sessions ready. The uid of an account of `/etc/passwd` is not in its entry: `uid_of` may know it. Where
    /// it does not, a session has the processes below its opener and no other.
    #[must_use]
    pub fn new(sessions: &'a [Session], uid_of: impl Fn(&str) -> Option<u32>) -> Self {
        let mut known = Self { by_audit_session: HashMap::new(), by_opener: HashMap::new() };
        let mut sorted: Vec<&Session> = sessions.iter().collect();
        sorted.sort_by_key(|session| (session.process.start, session.since_boot, session.since));
        for session in sorted {
            let one = Known { session, uid: session.uid.or_else(|| uid_of(&session.account)) };
            known.by_audit_session.entry(session.audit_session).or_default().push(one);
            known.by_opener.entry(session.process).or_default().push(one);
        }
        known
    }

    /// Whether a session is in this audit session: no other process can belong to one.
    #[must_use]
    pub fn has(&self, audit_session: Option<u32>) -> bool {
        self.by_audit_session.contains_key(&audit_session)
    }

    /// Who is behind the process. `processes` must hold at least those of its audit session.
    #[must_use]
    pub fn behind(&self, seen: &Seen, processes: &Processes) -> Behind<'a> {
        if let Some(session) = self.near(seen, processes).pop() {
            return Behind::Session(session);
        }
        let fitting = self.fitting(seen);
        match fitting.split_last() {
            None => Behind::Nobody,
            Some((last, others)) if others.iter().all(|other| is_one_origin(last, other)) => {
                Behind::Session(last)
            }
            Some(_) => Behind::Ambiguous(fitting),
        }
    }

    /// Every session that the process may belong to, in the order in which they began: more than one also where the same
    /// person is behind them all. For who must not take one session for another.
    #[must_use]
    pub fn candidates(&self, seen: &Seen, processes: &Processes) -> Vec<&'a Session> {
        let near = self.near(seen, processes);
        if near.is_empty() { self.fitting(seen) } else { near }
    }

    /// What the nearest ancestor that opened any has opened, as far as the process can be part of it: one program may open
    /// several sessions, one after the other.
    fn near(&self, seen: &Seen, processes: &Processes) -> Vec<&'a Session> {
        let opened = processes.ancestry(seen).map(|ancestor| self.opened_by(ancestor, seen));
        opened.into_iter().find(|opened| !opened.is_empty()).unwrap_or_default()
    }

    fn opened_by(&self, ancestor: &Seen, seen: &Seen) -> Vec<&'a Session> {
        let opened = self.by_opener.get(&ancestor.process).into_iter().flatten();
        let is_opener = ancestor.process == seen.process;
        opened
            .filter(|known| known.session.audit_session == seen.audit_session)
            .filter(|known| is_opener || known.fits(seen))
            .map(|known| known.session)
            .collect()
    }

    /// Whose audit session and account are those of the process.
    fn fitting(&self, seen: &Seen) -> Vec<&'a Session> {
        if seen.audit_session.is_none() {
            return Vec::new();
        }
        let all = self.by_audit_session.get(&seen.audit_session).into_iter().flatten();
        all.filter(|known| known.fits(seen) && known.uid.is_some()).map(|known| known.session).collect()
    }
}

impl Known<'_> {
    /// Whether the process runs as the account, and began when the session was there.
    fn fits(&self, seen: &Seen) -> bool {
        self.uid.is_none_or(|uid| seen.has_uid(uid)) && seen.process.start >= self.session.process.start
    }
}

fn is_one_origin(one: &Session, other: &Session) -> bool {
    // Two times root is two people, as far as anybody knows: what tells them apart is the chain.
    one.origin == other.origin && (one.origin != SessionOrigin::Root || one.chain == other.chain)
}

#[cfg(test)]
#[path = "attribution_tests.rs"]
mod tests;
