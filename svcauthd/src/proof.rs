//! Proving the audit trail: every line rests on the line before, and the end is where it should be.
//!
//! Belongs here: going through the files of a trail as a chain, and naming the first line that does not fit. Never here: the
//! form of a line (`svcauth_core::audit::chain`), and how the answer looks.
//!
//! What is proven: nobody has changed, removed, moved or added a line without making everything behind it anew. Whoever is
//! root can make it anew, the head included. Against root only an anchor proves something that was written down elsewhere.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use svcauth_core::audit::chain::{Anchor, Broken, Fault, Head, SEALED_MAX, Sealed, Walk};

use crate::trail::{Entry, TrailFile};

/// How much is read at a time, in bytes.
const BLOCK: usize = 1 << 20;
/// The daemon may be writing the last line right now: so often and so long it is waited for.
const WAITS: u32 = 20;
const WAIT: Duration = Duration::from_millis(50);
/// The alarm behind the beginning of a file that says that the file before has an unfinished end.
const UNFINISHED: &str = "audit_file_unfinished";

/// What the files are held against.
#[derive(Clone, Debug, Default)]
pub struct Against {
    /// Where the daemon says that the trail stands, and where it begins.
    pub head: Option<Head>,
    /// What was written down elsewhere.
    pub anchors: Vec<Anchor>,
    /// The daemon may be writing to the last file right now.
    pub is_live: bool,
}

/// The first fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// The line in it, from 1.
    pub line: u64,
    /// What it is.
    pub fault: Fault,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many files there are.
    pub files: usize,
    /// How many lines fit.
    pub lines: u64,
    /// Their length, in bytes.
    pub bytes: u64,
    /// The number of the first line.
    pub first: Option<u64>,
    /// The last line that fits.
    pub last: Option<Anchor>,
    /// What is no fault, and worth knowing: a file ends in the middle of a line, and the next one says so.
    pub notes: Vec<String>,
    /// The first fault; `None`: the trail is whole.
    pub fault: Option<Place>,
}

/// Goes through the files, oldest first, up to the first fault.
///
/// # Errors
/// A file cannot be read; the text names it.
pub fn prove(files: &[TrailFile], against: &Against) -> io::Result<Report> {
    let mut proof = Proof { files, against, walk: Walk::new(), report: Report::default(), end: None };
    proof.report.files = files.len();
    let fault = proof.run()?;
    let Proof { walk, mut report, .. } = proof;
    (report.first, report.last, report.fault) = (walk.first(), walk.last(), fault);
    Ok(report)
}

struct Proof<'a> {
    files: &'a [TrailFile],
    against: &'a Against,
    walk: Walk,
    report: Report,
    /// The place behind the last line that fits.
    end: Option<(PathBuf, u64)>,
}

/// A line, and where it is.
struct Spot<'a> {
    index: usize,
    path: &'a Path,
    number: u64,
    /// Where the next one begins, in bytes.
    next: u64,
}

impl Proof<'_> {
    fn run(&mut self) -> io::Result<Option<Place>> {
        for (index, file) in self.files.iter().enumerate() {
            if let Some(place) = self.file(index, file)? {
                return Ok(Some(place));
            }
        }
        Ok(self.missing_end())
    }

    fn file(&mut self, index: usize, file: &TrailFile) -> io::Result<Option<Place>> {
        let mut reader = reader(file, 0);
        let (mut line, mut offset) = (Vec::new(), 0);
        self.walk.begin_file();
        self.end = Some((file.path.clone(), 1));
        for number in 1.. {
            line.clear();
            self.next_line(index, &mut reader, &mut line).map_err(named(&file.path))?;
            if line.is_empty() {
                break;
            }
            offset += line.len() as u64;
            let spot = Spot { index, path: &file.path, number, next: offset };
            let place = self.line(&spot, &line)?;
            match place {
                // The daemon went on in the next file, behind the last line that fits.
                Some(place) if self.is_told(index)? => {
                    self.report.notes.push(format!(
                        "{}:{}: the file ends in an unfinished line, as the next file says",
                        place.path.display(),
                        place.line
                    ));
                    break;
                }
                Some(place) => return Ok(Some(place)),
                None => self.end = Some((file.path.clone(), number + 1)),
            }
        }
        Ok(None)
    }

    /// A line with its newline. Of the last file an unfinished one is waited for: the daemon may be writing it.
    fn next_line(&self, index: usize, reader: &mut Lines<'_>, line: &mut Vec<u8>) -> io::Result<()> {
        let most = SEALED_MAX as u64 + 1;
        reader.by_ref().take(most).read_until(b'\n', line)?;
        for _ in 0..WAITS {
            let left = most.saturating_sub(line.len() as u64);
            let may_grow = self.against.is_live && index + 1 == self.files.len();
            if line.is_empty() || line.ends_with(b"\n") || left == 0 || !may_grow {
                break;
            }
            std::thread::sleep(WAIT);
            reader.by_ref().take(left).read_until(b'\n', line)?;
        }
        Ok(())
    }

    fn line(&mut self, spot: &Spot<'_>, line: &[u8]) -> io::Result<Option<Place>> {
        let place = |fault| Some(Place { path: spot.path.to_owned(), line: spot.number, fault });
        let Some(whole) = line.strip_suffix(b"\n") else {
            let fault = if line.len() > SEALED_MAX { Fault::Garbage } else { Fault::Unfinished };
            return Ok(place(fault));
        };
        let was_begun = self.walk.first().is_some();
        match self.walk.step(whole) {
            Ok(anchor) => {
                self.report.lines += 1;
                self.report.bytes += line.len() as u64;
                let missing = self.missing_before().filter(|_| !was_begun);
                Ok(missing.or_else(|| self.rewritten(anchor)).and_then(place))
            }
            Err(broken) => Ok(Some(self.broken(spot, broken)?)),
        }
    }

    /// What a line that does not fit means.
    fn broken(&self, spot: &Spot<'_>, broken: Broken) -> io::Result<Place> {
        let mut error = None;
        let later = |seq| {
            comes_later(self.files.get(spot.index..).unwrap_or_default(), spot.next, seq).unwrap_or_else(
                |why| {
                    error = Some(why);
                    false
                },
            )
        };
        let fault = Fault::of(broken, &self.walk, later);
        if let Some(error) = error {
            return Err(error);
        }
        // A gap between two files: the end of the first of them is missing.
        let behind = self.walk.last().filter(|_| spot.number == 1 && spot.index > 0);
        if let (Fault::Removed { from, to }, Some(_)) = (fault, behind)
            && matches!(broken, Broken::Number { .. })
        {
            let (path, line) = self.end_of(spot.index - 1)?;
            return Ok(Place { path, line, fault: Fault::Cut { from, to } });
        }
        Ok(Place { path: spot.path.to_owned(), line: spot.number, fault })
    }

    /// The place behind the last line of a file.
    fn end_of(&self, index: usize) -> io::Result<(PathBuf, u64)> {
        let Some(file) = self.files.get(index) else { return Ok((PathBuf::new(), 1)) };
        let lines = reader(file, 0).split(b'\n').try_fold(1, |count, line| line.map(|_| count + 1));
        Ok((file.path.clone(), lines.map_err(named(&file.path))?))
    }

    /// Files that should be there, before the first.
    fn missing_before(&self) -> Option<Fault> {
        let (head, first) = (self.against.head?, self.walk.first()?);
        (head.first < first).then_some(Fault::FilesMissing { from: head.first, to: first.saturating_sub(1) })
    }

    /// A line that is sound, and another than the one that was written down.
    fn rewritten(&self, anchor: Anchor) -> Option<Fault> {
        let known = self.known().find(|known| known.seq == anchor.seq && known.hash != anchor.hash)?;
        Some(Fault::Rewritten { seq: known.seq })
    }

    fn known(&self) -> impl Iterator<Item = Anchor> {
        let head = self.against.head.map(|head| head.last);
        self.against.anchors.iter().copied().chain(head)
    }

    /// Whether the end is missing, or what was written down is older than everything that is kept.
    fn missing_end(&self) -> Option<Place> {
        let last = self.walk.last().unwrap_or_default();
        let newest = self.known().map(|known| known.seq).max()?;
        let (path, line) = self.end.clone()?;
        if newest > last.seq {
            return Some(Place { path, line, fault: Fault::Cut { from: last.seq + 1, to: newest } });
        }
        let first = self.walk.first()?;
        let old = self.against.anchors.iter().find(|anchor| anchor.seq < first)?;
        let path = self.files.first()?.path.clone();
        Some(Place { path, line: 1, fault: Fault::NotKept { seq: old.seq } })
    }

    /// Whether the next file goes on behind the last line that fits, and says that this one has an unfinished end. Then no line
    /// that was ever sealed is missing.
    fn is_told(&self, index: usize) -> io::Result<bool> {
        let Some(next) = self.files.get(index + 1) else { return Ok(false) };
        let mut lines = reader(next, 0).take(2 * SEALED_MAX as u64).split(b'\n');
        let mut line = || lines.next().transpose().map_err(named(&next.path)).map(Option::unwrap_or_default);
        let (begin, alarm) = (line()?, line()?);
        let mut walk = self.walk.clone();
        walk.begin_file();
        let is_whole = walk.step(&begin).is_ok() && walk.step(&alarm).is_ok();
        let entry: Option<Entry> = serde_json::from_slice(&alarm).ok();
        Ok(is_whole && entry.and_then(|entry| entry.reason).as_deref() == Some(UNFINISHED))
    }
}

type Lines<'a> = BufReader<At<'a>>;

/// Reads at a place of its own: the same file is read at several.
struct At<'a>(&'a File, u64);

impl Read for At<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read_at(into, self.1)?;
        self.1 += count as u64;
        Ok(count)
    }
}

fn reader(file: &TrailFile, offset: u64) -> Lines<'_> {
    BufReader::with_capacity(BLOCK, At(&file.file, offset))
}

fn named(path: &Path) -> impl Fn(io::Error) -> io::Error + '_ {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Whether a line of this number comes behind an offset of the first of these files.
fn comes_later(files: &[TrailFile], mut offset: u64, seq: u64) -> io::Result<bool> {
    for file in files {
        let mut reader = reader(file, offset);
        let mut line = Vec::new();
        loop {
            line.clear();
            reader
                .by_ref()
                .take(SEALED_MAX as u64 + 1)
                .read_until(b'\n', &mut line)
                .map_err(named(&file.path))?;
            if line.is_empty() {
                break;
            }
            if Sealed::parse(line.strip_suffix(b"\n").unwrap_or(&line)).is_some_and(|it| it.seq == seq) {
                return Ok(true);
            }
        }
        offset = 0;
    }
    Ok(false)
}

#[cfg(test)]
#[path = "proof_tests.rs"]
mod tests;
