//! Finding the last lines without reading what is before them.

use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::Trail;
use super::files::TrailFile;
use super::lines::{At, Line, next_line};

/// How much is read at a time, going backwards. In bytes.
const BLOCK: u64 = 1 << 16;

/// Where a line is, in little memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    file: usize,
    offset: u64,
}

impl Trail {
    /// Where the last `count` lines are that are `wanted`, oldest first. Reads from the end, and no further than it must.
    ///
    /// # Errors
    /// A file cannot be read; the text names it.
    pub fn last(&self, count: usize, mut wanted: impl FnMut(&Line) -> bool) -> io::Result<Vec<Spot>> {
        let mut spots = Vec::new();
        for (index, file) in self.files.iter().enumerate().rev() {
            let mut backwards = Backwards::new(file);
            while spots.len() < count {
                let Some(offset) = backwards.next_start()? else { break };
                let line = line_at(file, offset)?;
                if line.is_some_and(|line| wanted(&line)) {
                    spots.push(Spot { file: index, offset });
                }
            }
        }
        spots.reverse();
        Ok(spots)
    }

    /// The line at a spot of this trail; `None` when the file was cut there meanwhile.
    ///
    /// # Errors
    /// The file cannot be read; the text names it.
    pub fn line(&self, spot: Spot) -> io::Result<Option<Line>> {
        self.files.get(spot.file).map_or(Ok(None), |file| line_at(file, spot.offset))
    }

    /// The number of the line at an offset of a file, from 1. Reads the file up to it.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn number(&self, path: &Path, offset: u64) -> io::Result<u64> {
        let found = self.files.iter().find(|file| file.path == path);
        found.map_or(Ok(0), |file| Ok(file.lines_before(offset)? + 1))
    }
}

impl TrailFile {
    /// How many lines end before an offset.
    pub(super) fn lines_before(&self, offset: u64) -> io::Result<u64> {
        let mut before = At::new(&self.file, 0).take(offset);
        let (mut count, mut block) = (0, vec![0; 1 << 16]);
        loop {
            let read = before.read(&mut block)?;
            let bytes = block.get(..read).unwrap_or_default();
            count += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
            if read == 0 {
                return Ok(count);
            }
        }
    }

    /// Where the last complete line ends, in bytes.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn complete(&self) -> io::Result<u64> {
        let mut last = [0];
        let is_complete = match self.length.checked_sub(1) {
            Some(end) => self.file.read_at(&mut last, end)? == 1 && last == *b"\n",
            None => true,
        };
        let begin = if is_complete { None } else { Backwards::new(self).next_start()? };
        Ok(begin.unwrap_or(self.length))
    }
}

fn line_at(file: &TrailFile, offset: u64) -> io::Result<Option<Line>> {
    let rest = At::new(&file.file, offset).take(file.length.saturating_sub(offset));
    let mut reader = io::BufReader::with_capacity(4096, rest);
    next_line(&mut reader, &file.path, offset)
}

/// The beginnings of a file's lines, the last first.
struct Backwards<'a> {
    file: &'a TrailFile,
    /// The bytes of the file from `start` on, so far.
    block: Vec<u8>,
    start: u64,
    /// Beginnings at or behind it were given.
    end: u64,
}

impl<'a> Backwards<'a> {
    const fn new(file: &'a TrailFile) -> Self {
        Self { file, block: Vec::new(), start: file.length, end: file.length }
    }

    fn next_start(&mut self) -> io::Result<Option<u64>> {
        if self.end == 0 {
            return Ok(None);
        }
        // The line end right before `end` is that of the line looked for.
        let mut before = self.end - 1;
        loop {
            let inside = usize::try_from(before.saturating_sub(self.start)).unwrap_or(usize::MAX);
            let searched = self.block.get(..inside.min(self.block.len())).unwrap_or_default();
            if let Some(at) = searched.iter().rposition(|byte| *byte == b'\n') {
                self.end = self.start + at as u64 + 1;
                return Ok(Some(self.end));
            }
            if self.start == 0 {
                self.end = 0;
                return Ok(Some(0));
            }
            before = before.min(self.start);
            self.read_block_before()?;
        }
    }

    fn read_block_before(&mut self) -> io::Result<()> {
        let size = self.start.min(BLOCK);
        self.start -= size;
        self.block.resize(usize::try_from(size).unwrap_or(0), 0);
        self.file
            .file
            .read_exact_at(&mut self.block, self.start)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", self.file.path.display())))
    }
}
