//! A recording, and what happens when it cannot be written: with `audit = "required"` the shell ends, with `"best_effort"` it
//! goes on, and what is missing is marked.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use svcauth_core::audit::{AlarmKind, Event, Record};
use svcauth_core::command::protocol::Told;
use svcauth_host::{audit, paths};

use super::super::deeds;
use super::recording::Recording;

/// A disk that took nothing is tried again after this time.
const PAUSE: Duration = Duration::from_secs(1);

/// The alarm that recordings cannot be written: told once, until one can.
#[derive(Clone, Default)]
pub(super) struct Trouble(Arc<AtomicBool>);

/// A recording of a shell that runs.
pub(super) struct Tape {
    recording: Recording,
    /// `audit = "required"`.
    is_strict: bool,
    trouble: Trouble,
    missing: Option<Missing>,
}

/// What is not recorded.
struct Missing {
    bytes: u64,
    why: String,
    again: Instant,
}

impl Trouble {
    /// Raises the alarm unless it is on.
    pub(super) fn raise(&self, why: &io::Error) {
        if !self.0.swap(true, Ordering::Relaxed) {
            let about = deeds::record(Event::Alarm, why);
            let reason = Some(AlarmKind::RecordingUnwritable.as_str().to_owned());
            let _ = audit::write(&Record { reason, ..about });
        }
    }

    fn is_over(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl Tape {
    pub(super) fn new(recording: Recording, is_strict: bool, trouble: Trouble) -> Self {
        trouble.is_over();
        Self { recording, is_strict, trouble, missing: None }
    }

    /// Records what the shell tells.
    ///
    /// # Errors
    /// When it cannot be recorded, and must be.
    pub(super) fn take(&mut self, told: &Told) -> io::Result<()> {
        let shown = if let Told::Output(bytes) = told { bytes.len() as u64 } else { 0 };
        let Err(error) = self.catch_up().and_then(|()| self.write(told)) else { return Ok(()) };
        self.trouble.raise(&error);
        if self.is_strict {
            self.recording.give_up();
            return Err(error);
        }
        let missing = self.missing.get_or_insert_with(|| Missing {
            bytes: 0,
            why: error.to_string(),
            again: Instant::now() + PAUSE,
        });
        missing.bytes += shown;
        Ok(())
    }

    fn write(&mut self, told: &Told) -> io::Result<()> {
        match told {
            Told::Output(bytes) => self.recording.output(bytes),
            Told::Size { columns, rows } => self.recording.size(*columns, *rows),
            Told::Exited(_) | Told::Killed(_) | Told::NotStarted(_) => Ok(()),
        }
    }

    /// Marks what is missing, as soon as the disk takes it.
    fn catch_up(&mut self) -> io::Result<()> {
        let Some(missing) = &mut self.missing else { return Ok(()) };
        let Missing { bytes, why, again } = missing;
        if Instant::now() < *again {
            return Err(io::Error::other(why.clone()));
        }
        *again = Instant::now() + PAUSE;
        self.recording.mark(&format!("{bytes} bytes are not recorded: {why}"))?;
        self.missing = None;
        self.trouble.is_over();
        Ok(())
    }

    /// Nothing was allowed in the end: there is nothing to show.
    pub(super) fn discard(self, id: &str) {
        drop(self.recording);
        // One that stays is empty.
        let _ = std::fs::remove_file(format!("{}/{id}.cast", paths::RECORDINGS_DIR));
    }

    /// The end of the shell.
    pub(super) fn end(mut self) {
        if let Some(missing) = &mut self.missing {
            missing.again = Instant::now();
        }
        // It has ended whether or not its last line is on the disk.
        let _ = self.catch_up();
        let _ = self.recording.end();
    }
}
