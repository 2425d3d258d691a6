//! Going on after the daemon was away: the shell names what it was allowed, and the kernel says whose it is.

use std::io;
use std::path::Path;

use svcauth_core::audit::{Event, Record};
use svcauth_core::command::protocol::Answer;
use svcauth_core::policy::{AuditMode, Reason};
use svcauth_host::paths;
use svcauth_host::sessions::{Session, SessionOrigin};

use super::case::{Case, Opened};
use super::cast::Origin;
use super::peer::ticks_per_second;
use super::record;
use super::recording::Folder;
use super::running::Running;
use super::tape::Tape;
use super::target::{self, Target};

impl Case<'_> {
    /// Goes on with what was allowed under this name. Nothing new is allowed by it, so nothing is decided again.
    pub(super) fn resume(self, id: &str) -> Opened {
        let (account, is_required) = match target::of(self.peer.uid, &self.clock) {
            Target::NotManaged => return Opened::Over(Answer::NotManaged),
            Target::Managed(managed) => {
                (Some(managed.account.name), managed.policy.audit == AuditMode::Required)
            }
            Target::Unusable(unusable) => (unusable.account, true),
        };
        let session = match self.session(account.as_deref()) {
            Ok(session) => session,
            Err((reason, _)) => return self.not_resumed(account.as_deref(), reason),
        };
        let is_strict = is_required && session.origin != SessionOrigin::Root;
        let tape = match self.tape(id, &session, is_strict) {
            Ok(tape) => tape,
            Err(error) => {
                // A name that is not theirs is nothing that an administrator could mend, and anybody may say one.
                if is_of_the_disk(&error) {
                    self.room.trouble.raise(&error);
                }
                return self.not_resumed(account.as_deref(), Reason::AuditUnavailable);
            }
        };
        let about = self.record(&session.account, Some(&session));
        // Its own word for what it runs, as everything that it tells.
        let record = Record { event: Event::CommandEnd, command: record::command(&self.ask), ..about };
        // Of a command, the process of svcauth-shell began when the command did.
        let since = ticks_per_second().map_or(self.clock.boottime, |ticks| self.peer.process.start / ticks);
        Opened::Running(Answer::Resumed, Box::new(Running::new(record, since, tape)))
    }

    /// The recording, where there is one.
    fn tape(&self, id: &str, session: &Session, is_strict: bool) -> io::Result<Option<Tape>> {
        let process = self.peer.process;
        let rest = id.strip_prefix(&session.id).and_then(|rest| rest.strip_prefix('-')).unwrap_or_default();
        if rest.strip_prefix('p').and_then(|pid| pid.parse().ok()) == Some(process.pid) {
            return Ok(None);
        }
        let number = rest.parse().map_err(|_| io::Error::other("nothing of this session has that name"))?;
        let is_own = |origin: &Origin| (origin.pid, origin.process_start) == (process.pid, process.start);
        let folder = Folder::open(Path::new(paths::RECORDINGS_DIR))?;
        let mut recording = folder.resume(&session.id, number, is_own)?;
        recording.mark("svcauthd was away: what was shown meanwhile may be missing")?;
        Ok(Some(Tape::new(recording, is_strict, self.room.trouble.clone())))
    }

    fn not_resumed(&self, account: Option<&str>, reason: Reason) -> Opened {
        let account = account.unwrap_or("this account");
        let message = record::message(&self.ask, account, reason, None);
        Opened::Over(Answer::Refused { reason: reason.code().to_owned(), message })
    }
}

/// Whether the kernel says so, and of more than that there is no such file or that somebody still writes it.
fn is_of_the_disk(error: &io::Error) -> bool {
    error.raw_os_error().is_some()
        && !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use std::io;

    #[test]
    fn only_what_the_kernel_says_of_the_disk_is_an_alarm() {
        let error = |code: nix::errno::Errno| io::Error::from(code);
        use nix::errno::Errno;
        for code in [Errno::ENOSPC, Errno::EIO, Errno::EROFS, Errno::EACCES] {
            assert!(super::is_of_the_disk(&error(code)), "{code}");
        }
        for code in [Errno::ENOENT, Errno::EWOULDBLOCK] {
            assert!(!super::is_of_the_disk(&error(code)), "{code}");
        }
        assert!(!super::is_of_the_disk(&io::Error::other("nothing of this session has that name")));
    }
}
