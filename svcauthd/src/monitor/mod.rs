//! The monitor: root, no network. Asks its worker for a candidate, checks it, publishes it, and answers the socket.
//!
//! One thread does all of that in order; the socket's threads only read the `Board` and hand requests over. A login
//! never waits for any of them.

mod alarms;
mod board;
mod commands;
mod deeds;
mod exposition;
mod intake;
mod jitter;
mod keeping;
mod log;
#[expect(unsafe_code, reason = "an option of the C library's allocator")]
mod malloc_ffi;
mod metrics;
mod mirror;
mod outages;
mod publisher;
mod recorder;
mod refused_key;
mod revocation;
mod server;
#[cfg(test)]
mod session_fixture;
mod start;
pub(crate) mod supervisor;
mod sweep;

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use svcauth_core::config::DirectoryKind;
use svcauth_host::clock::Clock;
use svcauth_host::confirmed;
use svcauth_host::snapshot_file::open_access;

pub use start::{StartError, run};

use self::alarms::Alarms;
use self::board::Board;
use self::log::{Level, Log};
use self::metrics::{Metrics, Refresh};
use self::mirror::Mirror;
use self::outages::Outage;
use self::publisher::{PublishError, Published, Publisher};
use self::recorder::Recorder;
use self::revocation::Revocation;
use self::supervisor::{Question, Supervisor};
use self::sweep::Sweeper;
use crate::candidate::Refusal;
use crate::config_file::Loaded;
use crate::control::Counts;
use crate::directory::{Depth, Extent};
use crate::failure::{Failure, FailureKind};
use crate::local_names::LocalNames;

/// Seconds since boot in which a host counts as booting.
const BOOTING: u64 = 600;
/// How many times as long as a refresh took the next one waits, that a change of the directory asks for.
const REST: u32 = 4;

/// What the monitor's thread is asked to do.
pub(crate) enum Event {
    /// Fetch and publish now, and tell the sender.
    Sync {
        /// What for.
        order: Order,
        /// Who waits.
        reply: Sender<Heard>,
    },
    /// Take the group that has the name of a role now for the role, and publish.
    Approve {
        /// What an access rule calls the role.
        role: String,
        /// Who waits for the id of the group and the generation.
        reply: Sender<Result<(String, u64), String>>,
    },
    /// Read the configuration again (SIGHUP).
    Reload,
    /// This worker spoke without being asked, or is gone.
    Stirred {
        /// Which one.
        worker: u64,
    },
}

/// A refresh that somebody asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// Publish even what is suspiciously small.
    pub(crate) accept_shrink: bool,
    /// How much is read.
    pub(crate) depth: Depth,
}

/// What somebody who waits for a refresh hears.
#[derive(Debug)]
pub(crate) enum Heard {
    /// So many entries have come in.
    Progress(Counts),
    /// It is over: the generation, or why there is none.
    Done(Result<u64, String>),
}

/// The refresh that comes by itself.
const ROUTINE: Order = Order { accept_shrink: false, depth: Depth::Changes };

/// The monitor with all it holds.
struct Monitor {
    loaded: Loaded,
    supervisor: Supervisor,
    mirror: Mirror,
    publisher: Publisher,
    alarms: Alarms,
    outage: Outage,
    board: Board,
    metrics: Metrics,
    log: Log,
    /// What the LDIF file looked like when it was last fetched.
    seen: Option<FileMark>,
    revocation: Revocation,
    sweeper: Sweeper,
    /// Where those who watch the worker report.
    events: Sender<Event>,
    recorder: Recorder,
    /// Changes that the directory tells of are not asked for before.
    rested: Instant,
}

/// What changes when somebody edits a file: inode, length, time of modification.
type FileMark = (u64, u64, i64, i64);

impl Monitor {
    /// Serves events and refreshes in time, until the last sender is gone.
    fn serve(&mut self, events: &Receiver<Event>) {
        let mut due = self.first_due();
        self.board.next_refresh(due);
        loop {
            match events.recv_timeout(self.wait(due)) {
                Ok(Event::Sync { order, reply }) => {
                    // Nobody may be waiting any more; the refresh was worth it all the same.
                    let result = self.refresh(order, &mut |counts| {
                        let _ = reply.send(Heard::Progress(counts));
                    });
                    let _ = reply.send(Heard::Done(result));
                    due = self.next_due();
                }
                Ok(Event::Approve { role, reply }) => {
                    let _ = reply.send(self.approve(&role));
                    due = self.next_due();
                }
                Ok(Event::Reload) => {
                    self.reload();
                    self.refresh(ROUTINE, &mut |_| {}).ok();
                    due = self.next_due();
                }
                Ok(Event::Stirred { worker }) => {
                    if self.supervisor.has_stirred(worker) {
                        due = due.min(self.rested);
                    } else {
                        self.supervisor.watch(&self.events);
                    }
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() >= due || self.file_changed() => {
                    self.refresh(ROUTINE, &mut |_| {}).ok();
                    due = self.next_due();
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// At once; but when a host has just booted, others may have as well, and what was published before still serves.
    fn first_due(&self) -> Instant {
        let now = Clock::now();
        let age = open_access().ok().and_then(|snapshot| confirmed::age(snapshot.header(), &now).0);
        let is_fresh = age.is_some_and(|age| age < self.loaded.config.limits.max_stale.as_secs() / 2);
        let is_boot = now.boottime < BOOTING && is_fresh;
        Instant::now()
            + if is_boot { jitter::part(self.loaded.config.directory.refresh) } else { Duration::ZERO }
    }

    /// A file is looked at every second, a server when the refresh is due.
    fn wait(&self, due: Instant) -> Duration {
        let left = due.saturating_duration_since(Instant::now());
        if self.watched().is_some() { left.min(Duration::from_secs(1)) } else { left }
    }

    fn next_due(&self) -> Instant {
        let due = Instant::now() + jitter::later(self.outage.wait(self.loaded.config.directory.refresh));
        self.board.next_refresh(due);
        due
    }

    fn watched(&self) -> Option<&std::path::Path> {
        match &self.loaded.config.directory.kind {
            DirectoryKind::Ldif { file } => Some(file),
            DirectoryKind::Ldap(_) | DirectoryKind::Ad(_) => None,
        }
    }

    fn mark(&self) -> Option<FileMark> {
        use std::os::unix::fs::MetadataExt;
        let meta = std::fs::metadata(self.watched()?).ok()?;
        Some((meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec()))
    }

    fn file_changed(&self) -> bool {
        self.watched().is_some() && self.mark() != self.seen
    }

    /// One refresh: fetch, check, publish. What failed is on the board, in the log, and left the old generation in place.
    fn refresh(&mut self, order: Order, heard: &mut dyn FnMut(Counts)) -> Result<u64, String> {
        let seen = self.mark();
        let published = self.bring_up_to_date(order, heard);
        self.seen = seen;
        match published {
            Ok((server, published)) => {
                self.worked(published.refused);
                if published.is_new {
                    let counts = published.counts;
                    let what = format!(
                        "published generation {} from {server}: {} accounts, {} groups, {} people",
                        published.generation, counts.accounts, counts.groups, counts.people
                    );
                    self.log.say(Level::Info, &what);
                    deeds::published(published.generation, &what);
                }
                self.revocation.published();
                self.sweeper.nudge();
                Ok(published.generation)
            }
            Err(failure) => {
                self.metrics.failed(&failure);
                self.outage.bind_was_refused(failure.kind == FailureKind::Bind);
                let reason = failure.reason;
                self.alarms.refresh_failed(&reason);
                if self.outage.failed(&reason, Instant::now()) {
                    self.log
                        .say(Level::Warning, &format!("refresh failed, the old generation stays: {reason}"));
                }
                self.board.failed(&reason);
                Err(reason)
            }
        }
    }

    /// Brings the mirror up to date and publishes it; gives the server that answered.
    fn bring_up_to_date(
        &mut self,
        order: Order,
        heard: &mut dyn FnMut(Counts),
    ) -> Result<(String, Published), Failure> {
        let started = Instant::now();
        let unread = |error| format!("the local users and groups cannot be read: {error}");
        let local = LocalNames::read().map_err(|error| Failure::new(FailureKind::Publish, unread(error)))?;
        let (since, depth) = self.mirror.ask(order.depth, &local);
        let question = Question { loaded: &self.loaded, since, depth };
        let mut count = |counts: [usize; 3]| {
            let [accounts, groups, people] = counts.map(|count| u32::try_from(count).unwrap_or(u32::MAX));
            heard(Counts { accounts, groups, people });
        };
        let answered = self.supervisor.fetch(question, &mut count);
        self.metrics.asked(match &answered {
            Ok((_, done)) => done.traffic,
            Err((_, traffic)) => *traffic,
        });
        let (staged, done) = answered.map_err(|(failure, _)| failure)?;
        let extent = staged.extent();
        let every = self.loaded.config.directory.full_refresh;
        self.mirror.take(staged, &done, depth, &local, every)?;
        if let Some(note) = &done.note {
            self.alarms.noted(note);
            self.log.say(Level::Warning, note);
        }
        if done.live {
            self.supervisor.watch(&self.events);
        }
        self.board.follows(&done);
        let fetch = started.elapsed();
        let published = self.publisher.publish(&self.mirror, &self.loaded, local, order.accept_shrink);
        if matches!(published, Err(PublishError::Shrunk { .. })) {
            self.mirror.doubt();
        }
        let published = published?;
        if extent == Extent::Changes {
            // A directory that changes all the time must not keep a processor busy all the time.
            self.rested = Instant::now() + started.elapsed() * REST;
        }
        let refused = published.refused.as_ref().map(Vec::len);
        self.metrics.refreshed(&Refresh { extent, fetch, publish: started.elapsed() - fetch, refused });
        Ok((done.server, published))
    }

    fn approve(&mut self, role: &str) -> Result<(String, u64), String> {
        let id = self.publisher.approve(role)?;
        self.log.say(Level::Info, &format!("the group {id} is approved for the role \"{role}\""));
        let published = self.refresh(ROUTINE, &mut |_| {});
        let generation = published
            .map_err(|reason| format!("approved, and counts from the next refresh that works: {reason}"))?;
        Ok((id, generation))
    }

    /// What a refresh that worked ends.
    fn worked(&mut self, refused: Option<Vec<Refusal>>) {
        self.alarms.refresh_worked(refused);
        if let Some((failures, length)) = self.outage.ended(Instant::now()) {
            let what = format!("refresh works again, after {failures} that failed in {} s", length.as_secs());
            self.log.say(Level::Info, &what);
        }
        self.board.refreshed();
    }

    /// Reads the configuration again; a faulty one is reported and the old one stays.
    fn reload(&mut self) {
        match Loaded::read() {
            Ok(loaded) => {
                self.log.say(Level::Info, "configuration read again");
                self.board.configured(&loaded.config);
                self.publisher.configured(&loaded);
                self.recorder.configured(loaded.config.audit);
                self.revocation.configured(&loaded.config);
                self.mirror.forget();
                self.loaded = loaded;
            }
            Err(error) => {
                let reason = format!("the old configuration stays: {error}");
                self.log.say(Level::Warning, &reason);
                self.board.not_configured(&reason);
            }
        }
    }
}
