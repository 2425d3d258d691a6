//! The recorder: takes records out of the spool and writes them into the audit file, sealed as a chain.
//!
//! One thread of the daemon, for which nobody waits. Before it appends anything it writes down, on tmpfs, what it is about to
//! append and how far it then is in the spool: whoever kills it at whatever place, the next one finishes that very write, and
//! no record is lost or there twice. As long as the disk takes nothing, records stay in the spool.
//!
//! Belongs here: the spool's lines becoming the file's, floods, rotation, the head. Never here: the form of a line
//! (`svcauth_core::audit::chain`), reading the trail (`crate::trail`) and proving it (`svcauth log verify`).

mod audit_file;
mod crash;
mod flood;
mod own_file;
mod progress;
mod rotated;
mod spooled;
mod standing;
mod take;
mod tally;
#[cfg(test)]
mod tests;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use svcauth_core::audit::chain::Anchor;
use svcauth_core::audit::{AlarmKind, Event, Record};
use svcauth_core::config::Audit;
use svcauth_host::clock::Clock;
use svcauth_host::spool::drain::{Drain, RecorderLock};
use svcauth_host::{audit, paths};

use self::audit_file::Places;
pub(super) use self::tally::Tally;
use self::writer::Writer;
use super::board::Board;
use super::log::{Level, Log};
use super::metrics::Metrics;
use crate::state_dir::StateDir;

/// How often the spool is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How often a disk is tried that takes nothing.
const AGAIN: Duration = Duration::from_secs(1);
/// How often the log is told where the chain stands.
const ANCHOR: Duration = Duration::from_secs(600);

/// The recorder of this daemon, as the rest of it sees it; every clone is the same.
#[derive(Clone, Debug)]
pub(super) struct Recorder(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    wishes: Mutex<Wishes>,
    changed: Condvar,
}

/// What the recorder is asked to do.
#[derive(Debug)]
struct Wishes {
    settings: Audit,
    /// Somebody waits until all that is in the spool is written.
    finish: bool,
}

impl Recorder {
    /// Takes the lock by which everybody sees that records are written, and starts.
    ///
    /// # Errors
    /// The lock cannot be had.
    pub(super) fn start(
        settings: Audit,
        run_dir: StateDir,
        state: StateDir,
        board: Board,
        metrics: Metrics,
    ) -> io::Result<Self> {
        let lock = RecorderLock::take()?;
        let recorder = Self(Arc::new(Shared {
            wishes: Mutex::new(Wishes { settings, finish: false }),
            changed: Condvar::new(),
        }));
        let places =
            Places { file: PathBuf::from(paths::AUDIT_FILE), head: (state, name_of(paths::AUDIT_HEAD)) };
        let writer = Writer::new(places, Drain::default(), run_dir);
        let own = recorder.clone();
        std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || own.run(writer, &board, &metrics, &lock))?;
        Ok(recorder)
    }

    /// The configuration was read again.
    pub(super) fn configured(&self, settings: Audit) {
        self.wishes().settings = settings;
    }

    /// Returns when all that is in the spool is written, or the time is over.
    pub(super) fn finish(&self, within: Duration) {
        self.wishes().finish = true;
        self.0.changed.notify_all();
        let left = self.0.changed.wait_timeout_while(self.wishes(), within, |wishes| wishes.finish);
        drop(left);
    }

    fn wishes(&self) -> MutexGuard<'_, Wishes> {
        self.0.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, mut writer: Writer, board: &Board, metrics: &Metrics, _lock: &RecorderLock) {
        let mut told = Told { log: Log::new(), trouble: None, anchored: None, board, metrics };
        loop {
            let (settings, finish) = {
                let wishes = self.wishes();
                (wishes.settings, wishes.finish)
            };
            let outcome = writer.step(&settings, finish);
            let pause = match &outcome {
                Ok(true) => continue,
                Ok(false) => LOOK,
                Err(_) => AGAIN,
            };
            told.hear(outcome.map(drop), &writer);
            let mut wishes = self.wishes();
            // Whoever waits waits for this step: one that began after the wish.
            if finish {
                wishes.finish = false;
                self.0.changed.notify_all();
            }
            let waited = self.0.changed.wait_timeout_while(wishes, pause, |wishes| !wishes.finish);
            drop(waited);
        }
    }
}

fn name_of(path: &'static str) -> &'static str {
    Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or(path)
}

/// What others were told about the recorder.
struct Told<'a> {
    log: Log,
    board: &'a Board,
    metrics: &'a Metrics,
    trouble: Option<String>,
    anchored: Option<(Anchor, Instant)>,
}

impl Told<'_> {
    fn hear(&mut self, outcome: io::Result<()>, writer: &Writer) {
        match outcome {
            Err(error) => self.failed(&error.to_string()),
            Ok(()) => {
                if self.trouble.take().is_some() {
                    self.log.say(Level::Info, "the audit file is written again");
                    self.board.audit(None);
                }
            }
        }
        self.metrics.recorded(writer.anchor().map(|anchor| anchor.seq), writer.tally());
        if let Some(anchor) = writer.anchor() {
            self.anchor(anchor, writer.is_rotated());
        }
    }

    /// Trouble is told when it begins, and when it becomes another.
    fn failed(&mut self, why: &str) {
        self.board.audit(Some(why));
        let is_new = self.trouble.is_none();
        if self.trouble.as_deref() != Some(why) {
            self.log.say(
                Level::Warning,
                &format!("the audit file cannot be written, records wait in the spool: {why}"),
            );
            self.trouble = Some(why.to_owned());
        }
        if is_new {
            let record = Record {
                event: Event::Alarm,
                time: Some(Clock::now().wall.saturating_mul(1_000_000)),
                reason: Some(AlarmKind::AuditUnwritable.as_str().to_owned()),
                detail: Some(why.to_owned()),
                pid: Some(std::process::id()),
                ..Record::default()
            };
            let _ = audit::write(&record);
        }
    }

    /// An anchor in the host's log: where that goes off the host, root of this host cannot write the file anew without being
    /// found out.
    fn anchor(&mut self, anchor: Anchor, at_once: bool) {
        let is_due = self.anchored.is_none_or(|(_, when)| at_once || when.elapsed() >= ANCHOR);
        if is_due && self.anchored.is_none_or(|(last, _)| last != anchor) {
            self.log.say(Level::Info, &format!("the audit trail stands at {anchor}"));
            self.anchored = Some((anchor, Instant::now()));
        }
    }
}
