//! Who asks: the kernel's word about the other end of a connection, and the session that it belongs to.

use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{SysconfVar, sysconf};
use svcauth_core::policy::Reason;
use svcauth_host::local_users;
use svcauth_host::sessions::{Attribution, Behind, Process, Processes, Registry, Session};

/// The process that connected.
#[derive(Debug)]
pub(super) struct Peer {
    /// Its effective uid when it connected (SO_PEERCRED, unix(7)).
    pub(super) uid: u32,
    /// Which process it is.
    pub(super) process: Process,
    /// The kernel's handle of it (SO_PEERPIDFD, Linux 6.5), which no other process with its pid can be behind.
    handle: Option<OwnedFd>,
}

/// Why nobody is known to be behind a process, and what an administrator should know about it.
pub(super) type Unknown = (Reason, String);

impl Peer {
    /// The process at the other end; `None` when it has ended, is outside of this process namespace, or another one has its
    /// pid by now.
    pub(super) fn of(stream: &UnixStream) -> Option<Self> {
        let accepted = ticks_since_boot()?;
        let credentials = getsockopt(stream, sockopt::PeerCredentials).ok()?;
        let pid = u32::try_from(credentials.pid()).ok().filter(|pid| *pid != 0)?;
        let handle = match getsockopt(stream, sockopt::PeerPidfd) {
            Ok(handle) => Some(handle),
            // A kernel that does not know it. Of a process that is gone there is another answer.
            Err(Errno::ENOPROTOOPT | Errno::EPERM) => None,
            Err(_) => return None,
        };
        let peer = Self { uid: credentials.uid(), process: Process::by_pid(pid)?, handle };
        (peer.process.start <= accepted && peer.is_there()).then_some(peer)
    }

    /// Whether it still is this very process.
    pub(super) fn is_there(&self) -> bool {
        self.process.is_alive() && !self.handle.as_ref().is_some_and(has_ended)
    }

    /// The session of `account` that it belongs to. `None` for the account: of any.
    pub(super) fn session(
        &self,
        account: Option<&str>,
        registry: &Registry,
        boot_id: &str,
    ) -> Result<Session, Unknown> {
        let processes = Processes::above(self.process.pid);
        let seen = processes.get(self.process.pid).filter(|seen| seen.process == self.process);
        let Some(seen) = seen.filter(|seen| seen.has_uid(self.uid)) else {
            return Err((Reason::NoOrigin, "the process that asked is gone".to_owned()));
        };
        let ancestry: Vec<Process> = processes.ancestry(seen).map(|one| one.process).collect();
        let sessions = registry
            .around(seen.audit_session, &ancestry, boot_id)
            .map_err(|error| (Reason::InternalError, error.to_string()))?;
        let attribution = Attribution::new(&sessions, local_users::uid_of);
        match attribution.behind(seen, &processes) {
            Behind::Session(session) if account.is_none_or(|account| session.account == account) => {
                Ok(session.clone())
            }
            Behind::Session(other) => {
                let what = format!("the process belongs to a session of {}", other.account);
                Err((Reason::NoOrigin, what))
            }
            Behind::Ambiguous(sessions) => Err((Reason::AmbiguousOrigin, several(&sessions))),
            Behind::Nobody => {
                Err((Reason::NoOrigin, "the process belongs to no session that is known".to_owned()))
            }
        }
    }
}

fn several(sessions: &[&Session]) -> String {
    let names: Vec<&str> = sessions.iter().map(|session| session.origin.name()).collect();
    format!("the process may belong to a session of any of: {}", names.join(", "))
}

fn has_ended(handle: &OwnedFd) -> bool {
    let mut ready = [PollFd::new(handle.as_fd(), PollFlags::POLLIN)];
    poll(&mut ready, PollTimeout::ZERO) != Ok(0)
}

/// The clock that the kernel counts the start of processes with (field 22 of /proc/PID/stat).
pub(super) fn ticks_since_boot() -> Option<u64> {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).ok()?;
    let seconds = u64::try_from(now.tv_sec()).ok()?;
    let nanos = u64::try_from(now.tv_nsec()).ok()?;
    let per_second = ticks_per_second()?;
    Some(seconds.saturating_mul(per_second) + nanos * per_second / 1_000_000_000)
}

/// Clock ticks in one second (sysconf(3)).
pub(super) fn ticks_per_second() -> Option<u64> {
    let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten()?;
    u64::try_from(ticks).ok().filter(|ticks| *ticks > 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::process::{Command, Stdio};

    use svcauth_host::sessions::Process;

    use super::{Peer, ticks_since_boot};

    #[test]
    fn the_other_end_is_the_process_that_connected() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let peer = Peer::of(&ours).unwrap();
        assert_eq!(Some(peer.process), Process::current());
        assert_eq!(peer.uid, nix::unistd::geteuid().as_raw());
        assert!(peer.is_there());
        assert!(peer.process.start <= ticks_since_boot().unwrap());
    }

    #[test]
    fn a_process_that_connected_and_ended_is_nobody_although_its_connection_lives_on() {
        let path = std::env::temp_dir().join(format!("svcauth-peer-{}.sock", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        // The child of the one that connects inherits the connection and keeps it open.
        let script = format!(
            "import socket,os,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect({:?})\nos.set_inheritable(s.fileno(),True)\n\
             if os.fork()==0:\n  sys.stdin.read()\n  os._exit(0)\nsys.stdin.read(1)\nos._exit(0)\n",
            path.display().to_string()
        );
        let spawned = Command::new("/usr/bin/python3").args(["-c", &script]).stdin(Stdio::piped()).spawn();
        let Ok(mut first) = spawned else {
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "SKIPPED: no python3");
            return;
        };
        let (stream, _) = listener.accept().unwrap();
        let peer = Peer::of(&stream).unwrap();
        assert_eq!(peer.process.pid, first.id());
        {
            use std::io::Write as _;
            first.stdin.as_mut().unwrap().write_all(b"x").unwrap();
        }
        first.wait().unwrap();
        assert!(!peer.is_there());
        assert!(Peer::of(&stream).is_none(), "who asks now is unknown");
        std::fs::remove_file(&path).unwrap();
    }
}
