//! A source while the worker lives: what outlasts one fetch.

use super::mark::Mark;
use super::reach::Reach;
use super::traffic::Traffic;
use super::{FetchError, Sink, file, ldap};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;
use svcauth_core::config::{Config, DirectoryKind, LdapDirectory};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Runtime;

/// How much a fetch may cost, and what its answer has to include.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Depth {
    /// What has changed, as cheaply as can be. A removal may be learnt later where the source keeps it from us.
    Changes,
    /// What has changed, with every removal: the answer includes the directory's present state.
    Exact,
    /// Everything anew.
    Whole,
}

/// One fetch.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What to read.
    pub config: &'a Config,
    /// The bind password (first line of `bind_password_file`, without its newline), for `bind = "simple"` only.
    pub secret: Option<&'a str>,
    /// The fetch ends then at the latest, but for a file system that hangs.
    pub deadline: Instant,
    /// Where the last answer ended; `None`: everything is asked for.
    pub since: Option<&'a Mark>,
    /// How much is asked for.
    pub depth: Depth,
}

/// How a fetch that worked ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The server or file that gave it all.
    pub server: String,
    /// Where the next fetch can begin; `None` where only whole fetches are possible.
    pub mark: Option<Mark>,
    /// Whether [`Source::wait`] will notice changes by itself.
    pub live: bool,
    /// Something about the answer that an administrator should know: why it is a whole one although less was asked for.
    pub note: Option<String>,
}

/// Why [`Source::wait`] came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// The descriptor can be read.
    Asked,
    /// The directory changed, or the connection that would tell is gone: a fetch of [`Depth::Changes`] says which.
    Stirred,
}

/// What a worker keeps between two fetches: its runtime, what it learned about the servers, and the connection on which one
/// tells of changes.
#[derive(Debug, Default)]
pub struct Source {
    runtime: Option<Runtime>,
    reach: Reach,
    held: ldap::Held,
}

impl Source {
    /// Asks the directory, blocking, entry by entry into `sink`.
    ///
    /// # Errors
    /// [`FetchError`]: which server or file, at which step, and why. What the sink has is then worth nothing, and the
    /// caller keeps the data and the mark of the last good fetch.
    pub fn fetch(&mut self, request: &Request<'_>, sink: &mut dyn Sink) -> Result<Answer, FetchError> {
        match &request.config.directory.kind {
            DirectoryKind::Ldif { file: path } => {
                let server = file::fetch(request.config, path, sink)?;
                Ok(Answer { server, ..Answer::default() })
            }
            DirectoryKind::Ldap(ldap) | DirectoryKind::Ad(ldap) => {
                // The library panics on what it does not expect; the guard should leave it no occasion to.
                let asked = catch_unwind(AssertUnwindSafe(|| self.ask(ldap, request, sink)));
                let answer = asked
                    .unwrap_or_else(|_| Err(FetchError::Internal("the LDAP library panicked".to_owned())));
                if answer.is_err() {
                    self.hang_up();
                }
                answer
            }
        }
    }

    /// What was asked of the directory so far, and how much that was.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.reach.traffic()
    }

    fn ask(
        &mut self,
        ldap: &LdapDirectory,
        request: &Request<'_>,
        sink: &mut dyn Sink,
    ) -> Result<Answer, FetchError> {
        let Self { runtime, reach, held } = self;
        let runtime = match runtime {
            Some(runtime) => runtime,
            None => runtime.insert(started().map_err(|error| FetchError::Internal(error.to_string()))?),
        };
        let deadline = request.deadline.into();
        let fetch = ldap::fetch(ldap, request, held, reach, sink);
        let work = async { tokio::time::timeout_at(deadline, fetch).await };
        runtime.block_on(work).unwrap_or(Err(FetchError::Deadline))
    }

    /// Gives up every connection. A name lookup that hangs in libc sits in a thread of the runtime; it is not waited for.
    fn hang_up(&mut self) {
        self.held = ldap::Held::default();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Waits until `asked` can be read or the directory stirs, whichever is first.
    ///
    /// # Errors
    /// When the operating system refuses to wait for `asked`.
    pub fn wait(&mut self, asked: BorrowedFd<'_>) -> io::Result<Wake> {
        let Some(runtime) = self.runtime.as_ref().filter(|_| self.held.is_live()) else {
            return readable(asked);
        };
        let held = &mut self.held;
        runtime.block_on(async {
            let asked = watched(asked)?;
            tokio::select! {
                biased;
                ready = asked.readable() => ready.map(|_| Wake::Asked),
                () = held.stirs() => Ok(Wake::Stirred),
            }
        })
    }
}

/// The descriptor as the runtime waits for it.
#[allow(
    deprecated,
    reason = "it asks for a promise that a borrowed descriptor gives: to stay open meanwhile"
)]
fn watched(asked: BorrowedFd<'_>) -> io::Result<AsyncFd<RawFd>> {
    AsyncFd::with_interest(asked.as_raw_fd(), Interest::READABLE)
}

/// Waits for the descriptor alone.
///
/// # Errors
/// As poll(2).
pub fn readable(asked: BorrowedFd<'_>) -> io::Result<Wake> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    loop {
        match poll(&mut [PollFd::new(asked, PollFlags::POLLIN)], PollTimeout::NONE) {
            Ok(_) => return Ok(Wake::Asked),
            Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn started() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
