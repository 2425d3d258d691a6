//! The steps of the recorder, each of which may fail and is then tried again.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use svcauth_core::audit::chain::{Head, Sealed};
use svcauth_core::audit::{AlarmKind, Record};
use svcauth_core::config::Audit;
use svcauth_host::audit_log::{self, Sinks};
use svcauth_host::clock::Clock;
use svcauth_host::spool::drain::{Closed, Drain, SpoolFile};

use super::audit_file::{AuditFile, Opened, Places};
use super::crash;
use super::progress::{Batch, Progress};
use super::take::Haul;
use super::tally::Tally;
use crate::state_dir::StateDir;

/// How far the recorder is, beside the spool.
const STATE: &str = "recorder.state";
/// A file of the spool as long as this is put aside, in bytes.
const ASIDE: u64 = 1 << 20;
/// How long the host's log may take for an alarm of the recorder.
const PATIENCE: Duration = Duration::from_millis(100);

/// What the recorder works with.
#[derive(Debug)]
pub(super) struct Writer {
    places: Places,
    drain: Drain,
    run_dir: StateDir,
    /// What an earlier recorder has left is read at the first step.
    progress: Option<Progress>,
    file: Option<AuditFile>,
    /// Where the chain stood when the file was last written.
    known: Option<Head>,
    /// The head says something older.
    is_head_behind: bool,
    was_full: bool,
    is_rotated: bool,
    tally: Tally,
}

impl Writer {
    pub(super) const fn new(places: Places, drain: Drain, run_dir: StateDir) -> Self {
        Self {
            places,
            drain,
            run_dir,
            progress: None,
            file: None,
            known: None,
            is_head_behind: false,
            was_full: false,
            is_rotated: false,
            tally: Tally { alarms: BTreeMap::new(), suppressed: 0 },
        }
    }

    /// What it has met so far.
    pub(super) const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Where the chain stands.
    pub(super) fn anchor(&self) -> Option<svcauth_core::audit::chain::Anchor> {
        self.file.as_ref().map(AuditFile::at)
    }

    /// Whether the last step began a new file.
    pub(super) const fn is_rotated(&self) -> bool {
        self.is_rotated
    }

    /// Takes what is in the spool, and writes it; whether there is more.
    pub(super) fn step(&mut self, settings: &Audit, finish: bool) -> io::Result<bool> {
        self.is_rotated = false;
        self.make_ready(settings)?;
        self.finish_batch()?;
        let mut strange = Vec::new();
        let files = self.drain.files(&mut strange)?;
        let mut haul = self.haul(settings, finish, &files)?;
        let held = files.iter().map(SpoolFile::held).sum::<io::Result<u64>>()?;
        haul.tell(&strange, held, &mut self.was_full);
        let (more, closed) = (haul.more, std::mem::take(&mut haul.closed));
        let tally = std::mem::take(&mut haul.tally);
        self.commit(haul)?;
        // What is committed comes into the file, now or later; before, it is taken out of the spool again.
        self.tally.add(&tally);
        self.finish_batch()?;
        self.tidy(&files, closed)?;
        if self.file.as_ref().is_some_and(|file| file.len() >= settings.rotate_size) {
            self.rotate(settings)?;
        }
        self.settle_head()?;
        Ok(more)
    }

    /// Opens the audit file, again when it is no longer what we wrote.
    fn make_ready(&mut self, settings: &Audit) -> io::Result<()> {
        if self.progress.is_none() {
            self.progress = Some(self.load());
        }
        let batch = self.progress.as_ref().and_then(|progress| progress.batch.as_ref());
        if let Some(file) = &self.file {
            if file.is_in_place(batch)? {
                return Ok(());
            }
            self.file = None;
        }
        let mut found = Vec::new();
        let opened = AuditFile::open(&self.places, batch, self.known, settings.keep, &mut found)?;
        for (reason, detail) in found {
            self.raise(opened.is_new, reason, detail);
        }
        self.settle_batch(opened)
    }

    fn load(&mut self) -> Progress {
        Progress::load(&self.run_dir, STATE).unwrap_or_else(|why| {
            self.raise(false, AlarmKind::RecorderStateDamaged, why);
            Progress::default()
        })
    }

    /// An alarm of the file. In a new file it stands already.
    fn raise(&mut self, is_new: bool, kind: AlarmKind, detail: String) {
        let record = Record {
            event: svcauth_core::audit::Event::Alarm,
            time: Some(Clock::now().wall.saturating_mul(1_000_000)),
            reason: Some(kind.as_str().to_owned()),
            detail: Some(detail),
            pid: Some(std::process::id()),
            ..Record::default()
        };
        if is_new {
            self.tally.alarm(kind);
            send(&record);
        } else {
            self.spool(&record);
        }
    }

    /// To the log, and through the spool into the file.
    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "in tests the spool is another")]
    fn spool(&self, record: &Record) {
        let _ = svcauth_host::audit::write(record);
    }

    #[cfg(test)]
    fn spool(&self, record: &Record) {
        let _ = svcauth_host::spool::append_to(self.drain.path(), record);
    }

    /// What an earlier recorder was appending: it is in the file, or can be finished there, or is sealed anew for another.
    fn settle_batch(&mut self, opened: Opened) -> io::Result<()> {
        let Opened { file, is_new, behind } = opened;
        self.known = Some(file.head());
        (self.is_rotated, self.is_head_behind) = (is_new, !is_new);
        let file = &*self.file.insert(file);
        let Some(progress) = &mut self.progress else { return Ok(()) };
        let Some(batch) = &progress.batch else { return Ok(()) };
        if batch.last().is_none_or(|last| behind.seq >= last.seq) {
            progress.batch = None;
            return Ok(());
        }
        if (batch.file, batch.start) == (file.id(), file.len()) {
            return Ok(());
        }
        let (mut at, mut lines) = (file.at(), Vec::new());
        for line in batch.lines.lines() {
            if let Some(sealed) = Sealed::parse(line.as_bytes()) {
                at.seal(&sealed.record(), &mut lines);
            }
        }
        let lines = String::from_utf8(lines).map_err(io::Error::other)?;
        progress.batch = Some(Batch::new(file.id(), file.len(), at, lines));
        progress.save(&self.run_dir, STATE)
    }

    fn haul(&self, settings: &Audit, finish: bool, files: &[SpoolFile]) -> io::Result<Haul> {
        let (progress, at) = (self.progress.clone().unwrap_or_default(), self.anchor().unwrap_or_default());
        let mut haul = Haul::new(&progress, at, settings.denied_per_minute);
        for record in haul.progress.flood.ended(Clock::now().boottime) {
            haul.add(&record);
        }
        haul.take(files)?;
        if finish {
            for record in haul.progress.flood.told() {
                haul.add(&record);
            }
        }
        Ok(haul)
    }

    /// Writes down what will be appended, before it is.
    fn commit(&mut self, haul: Haul) -> io::Result<()> {
        haul.alarms.iter().for_each(send);
        let Some(file) = &self.file else { return Ok(()) };
        let mut progress = haul.progress;
        if !haul.lines.is_empty() {
            let lines = String::from_utf8(haul.lines).map_err(io::Error::other)?;
            progress.batch = Some(Batch::new(file.id(), file.len(), haul.last, lines));
        }
        if self.progress.as_ref() != Some(&progress) {
            progress.save(&self.run_dir, STATE)?;
        }
        self.progress = Some(progress);
        crash::at("saved")
    }

    /// Appends what was written down.
    fn finish_batch(&mut self) -> io::Result<()> {
        let (Some(progress), Some(file)) = (&mut self.progress, &mut self.file) else { return Ok(()) };
        let Some((batch, last)) = progress.batch.as_ref().and_then(|batch| Some((batch, batch.last()?)))
        else {
            return Ok(());
        };
        if let Err(error) = file.append(batch, last) {
            if error.kind() == io::ErrorKind::InvalidData {
                self.file = None;
            }
            return Err(error);
        }
        progress.batch = None;
        self.known = Some(file.head());
        self.is_head_behind = true;
        Ok(())
    }

    fn settle_head(&mut self) -> io::Result<()> {
        if let Some(file) = self.file.as_ref().filter(|_| self.is_head_behind) {
            file.write_head()?;
            self.is_head_behind = false;
        }
        Ok(())
    }

    /// Gives back what the spool no longer needs to hold.
    fn tidy(&self, files: &[SpoolFile], closed: Vec<Closed>) -> io::Result<()> {
        let Some(progress) = &self.progress else { return Ok(()) };
        for (file, known) in files.iter().zip(&progress.files) {
            file.give_back(known.offset);
            if file.number.is_none() && known.offset >= ASIDE && known.offset == file.len()? {
                let next = files.iter().filter_map(|file| file.number).max().unwrap_or(0).saturating_add(1);
                self.drain.put_aside(next)?;
            }
        }
        crash::at("put aside")?;
        closed.into_iter().try_for_each(Closed::remove)?;
        crash::at("removed")
    }

    fn rotate(&mut self, settings: &Audit) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.rotate(settings.keep)?;
        (self.known, self.is_rotated, self.is_head_behind) = (Some(file.head()), true, false);
        Ok(())
    }
}

/// To the host's log alone.
fn send(record: &Record) {
    let _ = audit_log::send(record, &Sinks::default(), PATIENCE);
}
