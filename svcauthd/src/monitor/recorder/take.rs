//! One step of the recorder: what the spool holds becomes lines.

use std::io;

use svcauth_core::audit::chain::Anchor;
use svcauth_core::audit::escape::bytes_for_terminal;
use svcauth_core::audit::{AlarmKind, Event, Record};
use svcauth_host::clock::Clock;
use svcauth_host::host_names::host_names;
use svcauth_host::spool::REFUSALS_MAX;
use svcauth_host::spool::drain::{Closed, SpoolFile};

use super::flood::Fate;
use super::progress::Progress;
use super::spooled::{Spooled, read};
use super::tally::Tally;

/// How much is taken from a file of the spool at a time, in bytes: more than the longest line.
pub(super) const CHUNK: usize = 1 << 20;
/// How much of a line that is no record is told, in bytes.
const SAMPLE: usize = 200;

/// What was taken.
#[derive(Debug)]
pub(super) struct Haul {
    /// How far the recorder is when the lines are written.
    pub(super) progress: Progress,
    /// The last line.
    pub(super) last: Anchor,
    /// The lines, sealed.
    pub(super) lines: Vec<u8>,
    /// What an administrator should look at; already among the lines.
    pub(super) alarms: Vec<Record>,
    /// Files that can be removed when the lines are written.
    pub(super) closed: Vec<Closed>,
    /// There is more.
    pub(super) more: bool,
    /// What these lines are, in numbers.
    pub(super) tally: Tally,
    /// The first lines that were no records, and their number.
    torn: (Vec<String>, u64),
    budget: u32,
}

impl Haul {
    /// Begins with nothing, behind a line.
    pub(super) fn new(progress: &Progress, last: Anchor, budget: u32) -> Self {
        Self {
            progress: progress.clone(),
            last,
            lines: Vec::new(),
            alarms: Vec::new(),
            closed: Vec::new(),
            more: false,
            tally: Tally::default(),
            torn: (Vec::new(), 0),
            budget,
        }
    }

    /// Seals a record of the daemon's own.
    pub(super) fn add(&mut self, record: &Record) {
        let record = Record {
            time: Some(Clock::now().wall.saturating_mul(1_000_000)),
            host: host_names().into_iter().next(),
            pid: Some(std::process::id()),
            ..record.clone()
        };
        self.last.seal(record.to_json().as_bytes(), &mut self.lines);
    }

    /// Takes what is new in every file, up to a chunk of each.
    pub(super) fn take(&mut self, files: &[SpoolFile]) -> io::Result<()> {
        self.progress.list(files);
        for (index, file) in files.iter().enumerate() {
            // Before it is read: what is written to it after this is written to a file without a name.
            let closed = if file.number.is_some() { file.close()? } else { None };
            let offset = self.progress.files.get(index).map_or(0, |known| known.offset);
            // Somebody has cut it, or put another one with this inode there.
            let offset = if offset > file.len()? { 0 } else { offset };
            let bytes = file.read(offset, CHUNK)?;
            let is_end = bytes.len() < CHUNK;
            let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            let taken =
                if (is_end && closed.is_some()) || (!is_end && whole == 0) { bytes.len() } else { whole };
            bytes
                .get(..taken)
                .unwrap_or_default()
                .split(|byte| *byte == b'\n')
                .for_each(|line| self.line(line));
            if let Some(known) = self.progress.files.get_mut(index) {
                known.offset = offset + taken as u64;
            }
            self.more |= !is_end;
            self.closed.extend(closed.filter(|_| is_end));
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8]) {
        // What was given back reads as zeros.
        let start = line.iter().position(|byte| *byte != 0).unwrap_or(line.len());
        let line = line.get(start..).unwrap_or_default();
        if line.is_empty() {
            return;
        }
        let sealed = match read(line) {
            Spooled::Record(json, alarm) => {
                alarm.into_iter().for_each(|kind| self.tally.alarm(kind));
                Some(json)
            }
            Spooled::Refusal(json, kind, time) => {
                let fate = self.progress.flood.meet(kind, &time, self.budget);
                self.tally.suppressed += u64::from(fate == Fate::Counted);
                (fate == Fate::Kept).then_some(json)
            }
            Spooled::Torn => {
                if self.torn.0.is_empty() {
                    self.torn.0.push(bytes_for_terminal(line.get(..SAMPLE).unwrap_or(line)));
                }
                self.torn.1 += 1;
                None
            }
        };
        if let Some(json) = sealed {
            self.last.seal(json.as_bytes(), &mut self.lines);
        }
    }

    /// Tells what was odd about the spool.
    pub(super) fn tell(&mut self, strange: &[String], held: u64, was_full: &mut bool) {
        let (sample, count) = std::mem::take(&mut self.torn);
        if let Some(sample) = sample.first() {
            let detail = format!("{count} lines of the spool are no records, the first: {sample}");
            self.alarm(AlarmKind::AuditSpoolDamaged, detail);
        }
        if !strange.is_empty() {
            let detail = format!("was not what only root can write, and is removed: {}", strange.join(", "));
            self.alarm(AlarmKind::AuditSpoolReplaced, detail);
        }
        let is_full = held >= REFUSALS_MAX;
        if is_full && !*was_full {
            let detail = format!("the spool held {held} bytes: refusals may be missing from now on");
            self.alarm(AlarmKind::AuditSpoolFull, detail);
        }
        *was_full = is_full;
    }

    fn alarm(&mut self, kind: AlarmKind, detail: String) {
        let record = Record {
            event: Event::Alarm,
            reason: Some(kind.as_str().to_owned()),
            detail: Some(detail),
            ..Record::default()
        };
        self.add(&record);
        self.tally.alarm(kind);
        self.alarms.push(record);
    }
}
