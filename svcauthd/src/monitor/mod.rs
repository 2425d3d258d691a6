//! The monitor: root, no network. Asks its worker for a candidate, checks it, publishes it, and answers the socket.
//!
//! One thread does all of that in order; the socket's threads only read the `Board` and hand requests over. A login
//! never waits for any of them.

mod alarms;
mod board;
mod intake;
mod log;
mod outages;
mod publisher;
mod revocation;
mod server;
mod start;
mod supervisor;

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use svcauth_core::config::DirectoryKind;

pub use start::{StartError, run};

use self::alarms::Alarms;
use self::board::Board;
use self::log::{Level, Log};
use self::outages::Outage;
use self::publisher::Publisher;
use self::revocation::Revocation;
use self::supervisor::Supervisor;
use crate::config_file::Loaded;

/// What the monitor's thread is asked to do.
pub(crate) enum Event {
    /// Fetch and publish now, then tell the sender.
    Sync {
        /// Publish even what is suspiciously small.
        accept_shrink: bool,
        /// Who waits: the generation, or why there is none.
        reply: Sender<Result<u64, String>>,
    },
    /// Read the configuration again (SIGHUP).
    Reload,
}

/// The monitor with all it holds.
struct Monitor {
    loaded: Loaded,
    supervisor: Supervisor,
    publisher: Publisher,
    alarms: Alarms,
    outage: Outage,
    board: Board,
    log: Log,
    /// What the LDIF file looked like when it was last fetched.
    seen: Option<FileMark>,
    revocation: Revocation,
}

/// What changes when somebody edits a file: inode, length, time of modification.
type FileMark = (u64, u64, i64, i64);

impl Monitor {
    /// Serves events and refreshes in time, until the last sender is gone.
    fn serve(&mut self, events: &Receiver<Event>) {
        self.refresh(false).ok();
        let mut due = self.next_due();
        loop {
            match events.recv_timeout(self.wait(due)) {
                Ok(Event::Sync { accept_shrink, reply }) => {
                    // Nobody may be waiting any more; the refresh was worth it all the same.
                    let _ = reply.send(self.refresh(accept_shrink));
                    due = self.next_due();
                }
                Ok(Event::Reload) => {
                    self.reload();
                    self.refresh(false).ok();
                    due = self.next_due();
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() >= due || self.file_changed() => {
                    self.refresh(false).ok();
                    due = self.next_due();
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// A file is looked at every second, a server when the refresh is due.
    fn wait(&self, due: Instant) -> Duration {
        let left = due.saturating_duration_since(Instant::now());
        if self.watched().is_some() { left.min(Duration::from_secs(1)) } else { left }
    }

    fn next_due(&self) -> Instant {
        // Up to a tenth later, so that hosts that started together do not stay together.
        let refresh = self.loaded.config.directory.refresh;
        let share = u32::from(rand_byte()) * 100 / 255;
        let due = Instant::now() + refresh + refresh * share / 1000;
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
    fn refresh(&mut self, accept_shrink: bool) -> Result<u64, String> {
        let seen = self.mark();
        let fetched = self.supervisor.fetch(&self.loaded);
        let published = fetched.and_then(|candidate| {
            self.publisher.publish(candidate, &self.loaded, accept_shrink).map_err(|error| error.to_string())
        });
        self.seen = seen;
        match published {
            Ok(mut published) => {
                self.alarms.refresh_worked(std::mem::take(&mut published.refused));
                if published.is_new {
                    let counts = published.counts;
                    let what = format!(
                        "published generation {} from {}: {} accounts, {} groups, {} people",
                        published.generation, published.server, counts.accounts, counts.groups, counts.people
                    );
                    self.log.say(Level::Info, &what);
                }
                if let Some((failures, length)) = self.outage.ended(Instant::now()) {
                    let what = format!(
                        "refresh works again, after {failures} that failed in {} s",
                        length.as_secs()
                    );
                    self.log.say(Level::Info, &what);
                }
                self.board.refreshed(&published);
                self.revocation.review();
                Ok(published.generation)
            }
            Err(reason) => {
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

    /// Reads the configuration again; a faulty one is reported and the old one stays.
    fn reload(&mut self) {
        match Loaded::read() {
            Ok(loaded) => {
                self.log.say(Level::Info, "configuration read again");
                self.board.configured(&loaded.config);
                self.publisher.configured(&loaded);
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

fn rand_byte() -> u8 {
    let mut byte = [0];
    // Without randomness hosts refresh in step, which is a nuisance and no fault.
    let _ = getrandom::fill(&mut byte);
    let [byte] = byte;
    byte
}
