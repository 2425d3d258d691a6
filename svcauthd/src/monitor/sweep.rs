//! Sweeping the session registry: what nobody closes, and what nobody needs any more.
//!
//! An entry tells who is behind processes, and goes when the last of them has gone. Where sshd, su or sudo was killed before
//! it could close its session, the record of the end is written here. A thread of its own: no refresh waits for it.

use std::collections::{HashMap, HashSet};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use svcauth_host::audit;
use svcauth_host::clock::Clock;
use svcauth_host::host_names::host_names;
use svcauth_host::local_users;
use svcauth_host::sessions::{Processes, Registry, RegistryError, Rest, Session};

/// How often the registry is swept, and after each refresh.
const INTERVAL: Duration = Duration::from_secs(60);
/// So many seconds nobody has closed a session whose opener is dead: some programs let another process do that.
const KILLED: u64 = 5;

/// The thread that sweeps.
pub(super) struct Sweeper(SyncSender<()>);

impl Sweeper {
    /// Starts it; it ends with the daemon.
    pub(super) fn start() -> Self {
        let (nudge, nudges) = sync_channel(1);
        std::thread::spawn(move || {
            let mut sweep = Sweep::default();
            while nudges.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Disconnected) {
                // What cannot be read now is swept another time; the login that meets it reports it.
                let _ = sweep.this_host();
            }
        });
        Self(nudge)
    }

    /// Sweeps soon, and does not wait for it.
    pub(super) fn nudge(&self) {
        // One that is waiting is enough.
        let _ = self.0.try_send(());
    }
}

/// What one round tells the next.
#[derive(Default)]
struct Sweep {
    /// Sessions whose opener is dead, and when that was first seen.
    killed: HashMap<String, Clock>,
    /// Ended sessions that had no process in the last round. One look may miss a process that begins behind it.
    empty: HashSet<String>,
}

impl Sweep {
    fn this_host(&mut self) -> Result<(), RegistryError> {
        let clock = Clock::now();
        let host = host_names().into_iter().next();
        self.round(&Registry::open()?, &clock, |session, seen| {
            // The session is over whether or not a log takes the record.
            let _ = audit::write(&session.end_of_killed(seen, host.clone()));
        })
    }

    fn round(
        &mut self,
        registry: &Registry,
        clock: &Clock,
        mut record: impl FnMut(&Session, &Clock),
    ) -> Result<(), RegistryError> {
        let Some(boot_id) = clock.boot_id.as_deref() else { return Ok(()) };
        let mut sessions = Vec::new();
        for folder in registry.folders()? {
            folder.clear(boot_id)?;
            sessions.extend(folder.sessions(boot_id)?);
        }
        let killed: Vec<&Session> = sessions
            .iter()
            .filter(|session| session.ended.is_none() && !session.process.is_alive())
            .collect();
        self.killed.retain(|id, _| killed.iter().any(|session| session.id == *id));
        for session in killed {
            let seen = self.killed.entry(session.id.clone()).or_insert_with(|| clock.clone());
            // It may have been closed since it was read.
            let is_open = || Ok(registry.reread(session)?.is_some_and(|entry| entry.ended.is_none()));
            if clock.boottime.saturating_sub(seen.boottime) >= KILLED && is_open()? {
                record(session, seen);
                registry.mark_ended(session, seen.wall)?;
            }
        }
        self.remove_empty(registry, &sessions)
    }

    fn remove_empty(&mut self, registry: &Registry, sessions: &[Session]) -> Result<(), RegistryError> {
        let ended: Vec<&Session> = sessions.iter().filter(|session| session.ended.is_some()).collect();
        let places: HashSet<Option<u32>> = ended.iter().map(|session| session.audit_session).collect();
        let processes = Processes::look(|id| id.is_some() && places.contains(&id));
        let rest = Rest::of(sessions, &processes, local_users::uid_of);
        let empty: Vec<&Session> = ended.into_iter().filter(|session| !rest.includes(session)).collect();
        for session in &empty {
            if self.empty.contains(&session.id) {
                registry.remove(session)?;
            }
        }
        self.empty = empty.iter().map(|session| session.id.clone()).collect();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::path::PathBuf;
    use std::process::{Child, Command};

    use svcauth_host::sessions::{Process, SessionOrigin};

    use super::{Clock, Registry, Session, Sweep};
    use crate::monitor::session_fixture::session as example;

    /// A registry of its own for each test; `None`, said aloud, when not root.
    fn registry(test: &str) -> Option<(Registry, PathBuf)> {
        if !nix::unistd::geteuid().is_root() {
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "SKIPPED {test}: the registry is root's");
            return None;
        }
        let parent = std::env::temp_dir().join(format!("svcauth-sweep-{}-{test}", std::process::id()));
        let _ = std::fs::remove_dir_all(&parent);
        Some((Registry::at(&parent.join("sessions")).unwrap(), parent))
    }

    fn session(id: &str, opener: Process, audit_session: Option<u32>) -> Session {
        Session {
            id: id.to_owned(),
            boot_id: Clock::now().boot_id.unwrap(),
            audit_session,
            process: opener,
            from: None,
            ..example("deployer", SessionOrigin::Person("alice".to_owned()), "")
        }
    }

    /// One round at so many seconds after boot; the sessions whose end it recorded, and those that are left.
    fn round(sweep: &mut Sweep, registry: &Registry, at: u64) -> (Vec<String>, Vec<String>) {
        let clock = Clock { boottime: at, ..Clock::now() };
        let mut recorded = Vec::new();
        sweep.round(registry, &clock, |session, _| recorded.push(session.id.clone())).unwrap();
        let left = registry.sessions(clock.boot_id.as_deref().unwrap()).unwrap();
        let mut left: Vec<String> = left
            .into_iter()
            .map(|session| session.id + if session.ended.is_some() { " ended" } else { "" })
            .collect();
        left.sort();
        (recorded, left)
    }

    /// A process of the account in an audit session of its own.
    fn sleeper() -> (Child, Option<u32>) {
        let words = ["-c", "echo 7001 > /proc/self/loginuid; exec setpriv --reuid=7001 sleep 3600"];
        let child = Command::new("sh").args(words).process_group(0).spawn().unwrap();
        let status = format!("/proc/{}/status", child.id());
        while !std::fs::read_to_string(&status).unwrap().contains("Uid:\t7001\t7001\t7001") {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        let id = std::fs::read_to_string(format!("/proc/{}/sessionid", child.id())).unwrap_or_default();
        (child, id.trim().parse().ok().filter(|id| *id != u32::MAX))
    }

    #[test]
    fn a_session_whose_opener_was_killed_ends_once_and_its_entry_goes_with_its_last_process() {
        let Some((registry, parent)) = registry("killed") else { return };
        let own = Process::current().unwrap();
        let (mut child, audit_session) = sleeper();
        if audit_session.is_none() {
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "SKIPPED killed: no audit sessions here");
            child.kill().unwrap();
            child.wait().unwrap();
            return;
        }
        let began = Process::by_pid(child.id()).unwrap();
        let dead = Process { pid: began.pid, start: began.start - 1 };
        for session in [session("1-1", dead, audit_session), session("2-2", own, Some(7))] {
            assert_eq!(registry.register(&session).unwrap(), []);
        }
        let mut sweep = Sweep::default();
        let both = ["1-1", "2-2"].map(str::to_owned).to_vec();
        assert_eq!(round(&mut sweep, &registry, 100), (vec![], both.clone()), "somebody else may close it");
        assert_eq!(round(&mut sweep, &registry, 104), (vec![], both));
        let left = ["1-1 ended", "2-2"].map(str::to_owned).to_vec();
        assert_eq!(round(&mut sweep, &registry, 105), (vec!["1-1".to_owned()], left.clone()));
        for at in [106, 200, 300] {
            assert_eq!(round(&mut sweep, &registry, at), (vec![], left.clone()), "its process lives");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(round(&mut sweep, &registry, 400).1, left, "one look may miss a process");
        assert_eq!(round(&mut sweep, &registry, 500).1, ["2-2"]);
        std::fs::remove_dir_all(parent).unwrap();
    }

    #[test]
    fn a_session_that_was_closed_meanwhile_is_not_recorded_again() {
        let Some((registry, parent)) = registry("closed") else { return };
        let own = Process::current().unwrap();
        let dead = Process { start: own.start + 1, ..own };
        let session = session("1-1", dead, None);
        assert_eq!(registry.register(&session).unwrap(), []);
        let mut sweep = Sweep::default();
        assert_eq!(round(&mut sweep, &registry, 100).0, [""; 0]);
        registry.mark_ended(&session, 1).unwrap();
        assert_eq!(round(&mut sweep, &registry, 200).0, [""; 0]);
        assert_eq!(round(&mut sweep, &registry, 300), (vec![], vec![]));
        assert!(sweep.killed.is_empty());
        std::fs::remove_dir_all(parent).unwrap();
    }
}
