//! Keeping a worker: started when needed, killed when it takes too long or talks nonsense, started anew after that.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::intake::Intake;
use crate::candidate::Candidate;
use crate::config_file::Loaded;
use crate::frame;
use crate::local_names::Ids;
use crate::worker::{Job, Part};

/// Most entries that a candidate may have; beyond that the worker is not believed.
const ENTRIES_MAX: usize = 5_000_000;
/// Most bytes that a candidate may come in: one with a million accounts. A worker that sends without end must not fill the
/// memory of root's process.
const BYTES_MAX: u64 = 512 << 20;
/// Longest text that is shown of what a worker says, in characters; more would not fit into a reply of the socket.
const SAID_MAX: usize = 2000;
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
        receive(&worker.socket, Instant::now() + deadline + GRACE).map_err(lost)?
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
fn receive(socket: &UnixStream, deadline: Instant) -> io::Result<Result<Candidate, String>> {
    let mut candidate = Candidate::default();
    let mut intake = Intake::new(socket, deadline, BYTES_MAX);
    loop {
        match frame::read::<Part>(&mut intake, frame::WORKER_MAX)? {
            Some(Part::Accounts(entries)) => candidate.accounts.extend(entries),
            Some(Part::Groups(entries)) => candidate.groups.extend(entries),
            Some(Part::People(entries)) => candidate.people.extend(entries),
            Some(Part::Refused(entries)) => candidate.refused.extend(entries),
            Some(Part::Done { server }) => {
                candidate.server = shortened(server);
                return Ok(Ok(candidate));
            }
            Some(Part::Failed { reason }) => return Ok(Err(shortened(reason))),
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

fn shortened(text: String) -> String {
    match text.char_indices().nth(SAID_MAX) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned() + " ...",
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::time::{Duration, Instant};

    use super::{SAID_MAX, receive};
    use crate::frame;
    use crate::worker::Part;

    fn received(part: &Part) -> Result<super::Candidate, String> {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let part = part.clone();
        let worker = std::thread::spawn(move || frame::write(&mut theirs, &part, frame::WORKER_MAX));
        let received = receive(&ours, Instant::now() + Duration::from_secs(20)).unwrap();
        worker.join().unwrap().unwrap();
        received
    }

    #[test]
    fn what_a_worker_says_at_length_still_fits_into_a_reply_of_the_socket() {
        let short = Part::Failed { reason: "no".to_owned() };
        assert_eq!(received(&short).unwrap_err(), "no");
        // A control character takes six bytes in JSON.
        let long = "\u{1}".repeat(100_000);
        let reason = received(&Part::Failed { reason: long.clone() }).unwrap_err();
        assert_eq!(reason.chars().count(), SAID_MAX + 4);
        let server = received(&Part::Done { server: long }).unwrap().server;
        for text in [reason, server] {
            assert!(frame::write(&mut Vec::new(), &text, frame::CONTROL_MAX / 4).is_ok());
        }
    }
}
