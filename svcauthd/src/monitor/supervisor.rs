//! Keeping a worker: started when needed, killed when it takes too long or talks nonsense, started anew after that.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::candidate::Candidate;
use crate::config_file::Loaded;
use crate::frame;
use crate::local_names::Ids;
use crate::worker::{Job, Part};

/// Most entries that a candidate may have; beyond that the worker is not believed.
const ENTRIES_MAX: usize = 5_000_000;
/// What a worker may take beyond the deadline it was given before it is killed.
const GRACE: Duration = Duration::from_secs(5);
/// How many of the directory's timeouts a whole fetch may take.
const TIMEOUTS: u32 = 10;

/// The worker and its socket.
struct Worker {
    child: Child,
    socket: UnixStream,
}

/// Starts workers as one unprivileged user.
pub(super) struct Supervisor {
    user: Ids,
    worker: Option<Worker>,
}

impl Supervisor {
    pub(super) const fn new(user: Ids) -> Self {
        Self { user, worker: None }
    }

    /// Asks the worker for a candidate. After any failure the worker is gone.
    pub(super) fn fetch(&mut self, loaded: &Loaded) -> Result<Candidate, String> {
        let result = self.try_fetch(loaded);
        if result.is_err() {
            self.end_worker();
        }
        result
    }

    fn try_fetch(&mut self, loaded: &Loaded) -> Result<Candidate, String> {
        let deadline = loaded.config.directory.timeout * TIMEOUTS;
        let job = Job {
            config: loaded.text.clone(),
            secret: loaded.secret().map_err(|error| error.to_string())?,
            deadline_seconds: deadline.as_secs(),
        };
        let worker = self.worker().map_err(|error| format!("the worker cannot be started: {error}"))?;
        let lost = |error: io::Error| {
            format!("the worker is lost ({error}); a new one is started at the next refresh")
        };
        worker.socket.set_write_timeout(Some(GRACE)).map_err(lost)?;
        frame::write(&mut worker.socket, &job, frame::WORKER_MAX).map_err(lost)?;
        receive(&mut worker.socket, Instant::now() + deadline + GRACE).map_err(lost)?
    }

    fn worker(&mut self) -> io::Result<&mut Worker> {
        // One that died while it had nothing to do is replaced before it is asked; the refresh need not fail for it.
        let dead = |worker: &mut Worker| !matches!(worker.child.try_wait(), Ok(None));
        if self.worker.as_mut().is_none_or(dead) {
            self.end_worker();
            self.worker = Some(start(self.user)?);
        }
        self.worker.as_mut().ok_or_else(|| io::Error::other("no worker"))
    }

    fn end_worker(&mut self) {
        if let Some(mut worker) = self.worker.take() {
            // Already dead is as good.
            let _ = worker.child.kill();
            let _ = worker.child.wait();
        }
    }
}

/// The worker's own program, as another user, with the socket as standard input and nothing else.
fn start(user: Ids) -> io::Result<Worker> {
    let (socket, theirs) = UnixStream::pair()?;
    // `uid` makes the standard library clear the supplementary groups too; the worker checks all of it again.
    let child = Command::new("/proc/self/exe")
        .arg0("svcauthd")
        .arg("worker")
        .env_clear()
        .current_dir("/")
        .uid(user.uid)
        .gid(user.gid)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .spawn()?;
    Ok(Worker { child, socket })
}

/// Collects the parts of an answer; the outer error is the socket's, the inner one the worker's own.
fn receive(socket: &mut UnixStream, deadline: Instant) -> io::Result<Result<Candidate, String>> {
    let mut candidate = Candidate::default();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time"));
        }
        socket.set_read_timeout(Some(left))?;
        match frame::read::<Part>(socket, frame::WORKER_MAX)? {
            Some(Part::Accounts(entries)) => candidate.accounts.extend(entries),
            Some(Part::Groups(entries)) => candidate.groups.extend(entries),
            Some(Part::People(entries)) => candidate.people.extend(entries),
            Some(Part::Refused(entries)) => candidate.refused.extend(entries),
            Some(Part::Done { server }) => {
                candidate.server = server;
                return Ok(Ok(candidate));
            }
            Some(Part::Failed { reason }) => return Ok(Err(reason)),
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
        let entries = candidate.accounts.len()
            + candidate.groups.len()
            + candidate.people.len()
            + candidate.refused.len();
        if entries > ENTRIES_MAX {
            return Err(io::Error::other("more entries than a directory can have"));
        }
    }
}
