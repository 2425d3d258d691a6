//! Keeping a worker: started when needed, killed when it takes too long or talks nonsense, started anew after that.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::Event;
use super::intake::Intake;
use super::keeping::Kept;
use crate::config_file::{Keytab, Loaded};
use crate::directory::look::{Ask, Told};
use crate::directory::{Depth, Mark, Traffic, readable};
use crate::failure::{Failure, FailureKind};
use crate::frame;
use crate::job::{Done, Job, Part};
use crate::local_names::Ids;
use crate::table::Staged;

/// Most entries and ids that an answer may have; beyond that the worker is not believed.
const ENTRIES_MAX: usize = 5_000_000;
/// Most bytes that an answer may come in: one with a million accounts. A worker that sends without end must not fill the
/// memory of root's process.
const BYTES_MAX: u64 = 512 << 20;
/// The same for what looks at a directory.
const LOOK_MAX: u64 = 4 << 20;
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
    /// Counts the workers of this process.
    number: u64,
    /// Whether somebody waits for it to speak by itself.
    is_watched: bool,
    /// Who proves this host's identity for it, with `bind = "gssapi"`.
    keeper: Option<Kept>,
}

/// A question to the worker.
pub(super) struct Question<'a> {
    pub(super) loaded: &'a Loaded,
    pub(super) since: Option<Mark>,
    pub(super) depth: Depth,
}

/// What an answer came to: the entries and how it ended, or why there are none.
pub(super) type Answered = Result<(Staged, Done), (Failure, Traffic)>;

/// Starts workers as one unprivileged user.
pub(super) struct Supervisor {
    user: Ids,
    worker: Option<Worker>,
    started: u64,
}

impl Supervisor {
    pub(super) const fn new(user: Ids) -> Self {
        Self { user, worker: None, started: 0 }
    }

    /// Asks the worker; `heard` is told how many entries have come in.
    ///
    /// A worker that says why it has no answer is kept, with what it knows about the servers: which of them is dead. One
    /// that is late, gone or talks nonsense is ended, and one that reports a fault of its own. So is one with a keeper,
    /// whatever it says: a ticket may be to blame, or a keeper that still waits for a KDC.
    pub(super) fn fetch(&mut self, question: Question<'_>, heard: &mut dyn FnMut([usize; 3])) -> Answered {
        let answered = self.try_fetch(question, heard);
        let faults = [FailureKind::Worker, FailureKind::Internal];
        let has_keeper = self.worker.as_ref().is_some_and(|worker| worker.keeper.is_some());
        if answered.as_ref().is_err_and(|(failure, _)| has_keeper || faults.contains(&failure.kind)) {
            self.end_worker();
        }
        answered
    }

    fn try_fetch(&mut self, question: Question<'_>, heard: &mut dyn FnMut([usize; 3])) -> Answered {
        let failed = |kind, reason: String| (Failure::new(kind, reason), Traffic::default());
        let Question { loaded, since, depth } = question;
        let deadline = loaded.config.directory.timeout * TIMEOUTS;
        let job = Job {
            config: loaded.text.clone(),
            secret: loaded.secret().map_err(|error| failed(FailureKind::Config, error.to_string()))?,
            deadline_seconds: deadline.as_secs(),
            since,
            depth,
        };
        let keytab = loaded.keytab().map_err(|error| failed(FailureKind::Config, error.to_string()))?;
        let worker = self
            .worker(keytab)
            .map_err(|error| failed(FailureKind::Worker, format!("the worker cannot be started: {error}")))?;
        let lost = |error: io::Error| {
            let what = format!("the worker is lost ({error}); a new one is started at the next refresh");
            failed(FailureKind::Worker, what)
        };
        worker.socket.set_write_timeout(Some(GRACE)).map_err(lost)?;
        frame::write(&mut worker.socket, &job, frame::WORKER_MAX).map_err(lost)?;
        receive(&worker.socket, Instant::now() + deadline + GRACE, heard).map_err(lost)?
    }

    /// Has somebody wait for the worker to speak by itself, who then sends one event.
    pub(super) fn watch(&mut self, events: &Sender<Event>) {
        let Some(worker) = self.worker.as_mut().filter(|worker| !worker.is_watched) else {
            return;
        };
        let Ok(socket) = worker.socket.try_clone() else {
            // The refreshes go on; they notice what this would have told at once.
            return;
        };
        worker.is_watched = true;
        let (number, events) = (worker.number, events.clone());
        std::thread::spawn(move || {
            let _ = readable(socket.as_fd());
            let _ = events.send(Event::Stirred { worker: number });
        });
    }

    /// Whether this worker said by itself that the directory has changed. What was to be read may have been an answer
    /// that is taken already.
    pub(super) fn has_stirred(&mut self, number: u64) -> bool {
        let Some(worker) = self.worker.as_mut().filter(|worker| worker.number == number) else {
            return false;
        };
        worker.is_watched = false;
        if !is_readable_now(&worker.socket) {
            return false;
        }
        let mut intake = Intake::new(&worker.socket, Instant::now() + GRACE, BYTES_MAX);
        let said = frame::read::<Part>(&mut intake, frame::WORKER_MAX);
        let has_stirred = matches!(said, Ok(Some(Part::Stirred)));
        if !has_stirred {
            self.end_worker();
        }
        has_stirred
    }

    fn worker(&mut self, keytab: Option<Keytab>) -> io::Result<&mut Worker> {
        // One that died while it had nothing to do is replaced before it is asked; the refresh need not fail for it. So is
        // one whose keytab has changed: the machine's password was, and the old key will soon be good for nothing.
        let dead = |worker: &mut Worker| {
            let kept = match (&mut worker.keeper, &keytab) {
                (None, None) => true,
                (Some(keeper), Some(keytab)) => keeper.has(keytab),
                _ => false,
            };
            !kept || !matches!(worker.child.try_wait(), Ok(None))
        };
        if self.worker.as_mut().is_none_or(dead) {
            self.end_worker();
            self.started += 1;
            self.worker = Some(start("worker", self.user, keytab, self.started)?);
        }
        self.worker.as_mut().ok_or_else(|| io::Error::other("no worker"))
    }

    fn end_worker(&mut self) {
        self.worker = None;
    }
}

/// One whole fetch by a worker of its own, with what need not be in any file yet.
///
/// # Errors
/// As an answer to the monitor: why there are no entries.
pub(crate) fn fetch_once(
    user: Ids,
    job: &Job,
    keytab: Option<Keytab>,
    heard: &mut dyn FnMut([usize; 3]),
) -> Result<(Staged, Done), Failure> {
    let lost = |error: io::Error| Failure::new(FailureKind::Worker, format!("the worker is lost: {error}"));
    let mut worker = start("worker", user, keytab, 1).map_err(lost)?;
    worker.socket.set_write_timeout(Some(GRACE)).map_err(lost)?;
    frame::write(&mut worker.socket, job, frame::WORKER_MAX).map_err(lost)?;
    let deadline = Instant::now() + Duration::from_secs(job.deadline_seconds) + GRACE;
    let answered = receive(&worker.socket, deadline, heard).map_err(lost)?;
    answered.map_err(|(failure, _)| failure)
}

/// Puts one question to a process of the user svcauth that looks at a directory step by step, and hears it out.
///
/// # Errors
/// When it cannot be started, is late, talks nonsense or ends early.
pub(crate) fn look(
    user: Ids,
    ask: &Ask,
    keytab: Option<Keytab>,
    patience: Duration,
    heard: &mut dyn FnMut(Told),
) -> io::Result<()> {
    let mut looker = start("looker", user, keytab, 1)?;
    looker.socket.set_write_timeout(Some(GRACE))?;
    frame::write(&mut looker.socket, ask, frame::WORKER_MAX)?;
    let mut intake = Intake::new(&looker.socket, Instant::now() + patience + GRACE, LOOK_MAX);
    loop {
        match frame::read::<Told>(&mut intake, frame::WORKER_MAX)? {
            Some(Told::End) => return Ok(()),
            Some(told) => heard(told),
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Already dead is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program of the worker, or of the one that looks for `svcauth setup`, as another user, with the socket as standard
/// input, the way to the keeper, if there is one, as standard output, and nothing else.
fn start(role: &str, user: Ids, keytab: Option<Keytab>, number: u64) -> io::Result<Worker> {
    let (socket, theirs) = UnixStream::pair()?;
    let (keeper, way) = keytab.map(|keytab| Kept::start(user, keytab)).transpose()?.unzip();
    // `uid` makes the standard library clear the supplementary groups too; the worker checks all of it again.
    let child = Command::new("/proc/self/exe")
        .arg0("svcauthd")
        .arg(role)
        .env_clear()
        .current_dir("/")
        .uid(user.uid)
        .gid(user.gid)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(way.map_or_else(Stdio::null, Stdio::from))
        .spawn()?;
    Ok(Worker { child, socket, keeper, number, is_watched: false })
}

fn is_readable_now(socket: &UnixStream) -> bool {
    let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

/// Collects the parts of an answer; the outer error is the socket's, the inner one the worker's own.
fn receive(
    socket: &UnixStream,
    deadline: Instant,
    heard: &mut dyn FnMut([usize; 3]),
) -> io::Result<Answered> {
    let mut staged = Staged::default();
    let mut intake = Intake::new(socket, deadline, BYTES_MAX);
    loop {
        match frame::read::<Part>(&mut intake, frame::WORKER_MAX)? {
            Some(Part::Done(done)) => {
                let done = Done { server: shortened(done.server), note: done.note.map(shortened), ..done };
                return Ok(Ok((staged, done)));
            }
            Some(Part::Failed { failure, traffic }) => {
                return Ok(Err((Failure::new(failure.kind, shortened(failure.reason)), traffic)));
            }
            // Said before it had the question.
            Some(Part::Stirred) => {}
            Some(part) => staged.add(part),
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
        heard(staged.counts());
        if staged.things() > ENTRIES_MAX {
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

    use super::{Answered, Done, Failure, FailureKind, Part, SAID_MAX, Traffic, receive};
    use crate::frame;

    fn received(part: &Part) -> Answered {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let part = part.clone();
        let worker = std::thread::spawn(move || frame::write(&mut theirs, &part, frame::WORKER_MAX));
        let received = receive(&ours, Instant::now() + Duration::from_secs(60), &mut |_| {}).unwrap();
        worker.join().unwrap().unwrap();
        received
    }

    #[test]
    fn what_a_worker_says_at_length_still_fits_into_a_reply_of_the_socket() {
        let failed = |reason: &str| Part::Failed {
            failure: Failure::new(FailureKind::Bind, reason),
            traffic: Traffic { requests: 1, received: 2, sent: 3 },
        };
        let (failure, traffic) = received(&failed("no")).unwrap_err();
        assert_eq!((failure.kind, failure.reason.as_str()), (FailureKind::Bind, "no"));
        assert_eq!(traffic, Traffic { requests: 1, received: 2, sent: 3 });
        // A control character takes six bytes in JSON.
        let long = "\u{1}".repeat(100_000);
        let reason = received(&failed(&long)).unwrap_err().0.reason;
        assert_eq!(reason.chars().count(), SAID_MAX + 4);
        let done = Done { server: long, ..Done::default() };
        let server = received(&Part::Done(done)).unwrap().1.server;
        for text in [reason, server] {
            assert!(frame::write(&mut Vec::new(), &text, frame::CONTROL_MAX / 4).is_ok());
        }
    }
}
