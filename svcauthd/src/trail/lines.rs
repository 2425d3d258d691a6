//! The lines of a row of files, one after the other, with bounded memory.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use super::entry::Entry;
use super::files::TrailFile;

/// The longest line that is kept whole, in bytes: eight times what the spool takes
/// ([`svcauth_host::spool::LINE_MAX`]). Of a longer one the rest is counted.
pub const LINE_MAX: usize = 1 << 20;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The file.
    pub path: PathBuf,
    /// Where it begins there, in bytes.
    pub offset: u64,
    /// Its number there, from 1; `None` where the lines before it were not read ([`super::Trail::number`]).
    pub number: Option<u64>,
    /// Its bytes, without the line end; the first [`LINE_MAX`] of a longer one.
    pub bytes: Vec<u8>,
    /// Its length in the file, in bytes, line end included.
    pub length: u64,
    /// Whether it has its line end. Only the last of a file may lack it: it is being written, or its writer died.
    pub is_complete: bool,
}

/// Why a line is no record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoRecord {
    /// It has no line end.
    Incomplete,
    /// It is longer than any record: so many bytes.
    TooLong(u64),
    /// It is not what the daemon writes: what the parser says.
    Malformed(String),
}

impl fmt::Display for NoRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incomplete => f.write_str("the line is not complete"),
            Self::TooLong(length) => write!(f, "the line has {length} bytes"),
            Self::Malformed(why) => f.write_str(why),
        }
    }
}

impl Line {
    /// What the record says.
    ///
    /// # Errors
    /// [`NoRecord`]: why the line is none.
    pub fn entry(&self) -> Result<Entry, NoRecord> {
        if !self.is_complete {
            return Err(NoRecord::Incomplete);
        }
        let length = self.length - 1;
        if length > self.bytes.len() as u64 {
            return Err(NoRecord::TooLong(length));
        }
        serde_json::from_slice(&self.bytes).map_err(|error| NoRecord::Malformed(error.to_string()))
    }
}

/// Reads at a place of its own, so that several may read one open file.
#[derive(Debug)]
pub(super) struct At<'a> {
    file: &'a File,
    offset: u64,
}

impl<'a> At<'a> {
    pub(super) const fn new(file: &'a File, offset: u64) -> Self {
        Self { file, offset }
    }
}

impl Read for At<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(into, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}

/// The next line of a reader that stands at `offset` of a file; `None` at its end.
pub(super) fn next_line(
    reader: &mut impl BufRead,
    path: &std::path::Path,
    offset: u64,
) -> io::Result<Option<Line>> {
    let (mut bytes, mut length, mut is_complete) = (Vec::new(), 0_u64, false);
    while !is_complete {
        let chunk = match reader.fill_buf() {
            Ok([]) => break,
            Ok(chunk) => chunk,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                return Err(io::Error::new(error.kind(), format!("{}: {error}", path.display())));
            }
        };
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let taken = end.unwrap_or(chunk.len());
        let room = LINE_MAX.saturating_sub(bytes.len()).min(taken);
        bytes.extend_from_slice(chunk.get(..room).unwrap_or_default());
        is_complete = end.is_some();
        let used = taken + usize::from(is_complete);
        length += used as u64;
        reader.consume(used);
    }
    let line = Line { path: path.to_owned(), offset, number: None, bytes, length, is_complete };
    Ok((line.length > 0).then_some(line))
}

/// The lines of a trail: an iterator.
#[derive(Debug)]
pub struct Lines<'a> {
    files: std::slice::Iter<'a, TrailFile>,
    now: Option<Reading<'a>>,
}

/// How far one file has been read.
#[derive(Debug)]
struct Reading<'a> {
    reader: BufReader<io::Take<At<'a>>>,
    file: &'a TrailFile,
    offset: u64,
    number: u64,
}

impl<'a> Lines<'a> {
    pub(super) fn new(files: &'a [TrailFile]) -> Self {
        Self { files: files.iter(), now: None }
    }

    fn next_or_end(&mut self) -> io::Result<Option<Line>> {
        loop {
            if let Some(now) = &mut self.now {
                if let Some(line) = next_line(&mut now.reader, &now.file.path, now.offset)? {
                    now.offset += line.length;
                    now.number += 1;
                    return Ok(Some(Line { number: Some(now.number), ..line }));
                }
            }
            let Some(file) = self.files.next() else { return Ok(None) };
            let whole = At::new(&file.file, 0).take(file.length);
            let reader = BufReader::with_capacity(1 << 16, whole);
            self.now = Some(Reading { reader, file, offset: 0, number: 0 });
        }
    }
}

impl Iterator for Lines<'_> {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_or_end();
        if next.is_err() {
            // A disk that cannot be read is told once, and nobody turns in a circle.
            (self.now, self.files) = (None, [].iter());
        }
        next.transpose()
    }
}
