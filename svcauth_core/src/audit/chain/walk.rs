//! Walking the lines of a row of files.

use super::{Anchor, LineHash, Sealed};

/// Goes from line to line, and stops to be of use at the first that does not fit.
#[derive(Clone, Debug, Default)]
pub struct Walk {
    /// The line before; `None` before the first line of the first file.
    last: Option<Anchor>,
    /// The number of the first line.
    first: Option<u64>,
    /// The next line is the first of a file.
    begins: bool,
}

/// Why a line does not fit behind those before it. [`super::Fault::of`] says what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// It is no sealed line.
    NotSealed,
    /// It carries another number than the one that comes next.
    Number {
        /// The number that comes next.
        expected: u64,
        /// The number that it has.
        found: u64,
        /// Nothing but the number was changed.
        renumbered: bool,
    },
    /// It is the first of a file, and does not say what it follows.
    NoBeginning {
        /// The number that should stand there.
        expected: u64,
    },
    /// Its hash is not that of what it holds.
    Seal,
    /// It is the first of a file, and sound, but continues another line than the last of the file before.
    Fork,
}

impl Walk {
    /// A walk that has not begun.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The next line is the first of a file.
    pub const fn begin_file(&mut self) {
        self.begins = true;
    }

    /// The last line that fitted.
    #[must_use]
    pub const fn last(&self) -> Option<Anchor> {
        self.last
    }

    /// The number of the first line.
    #[must_use]
    pub const fn first(&self) -> Option<u64> {
        self.first
    }

    /// The next line, without its newline.
    ///
    /// # Errors
    /// [`Broken`]; the walk then stays where it was.
    pub fn step(&mut self, line: &[u8]) -> Result<Anchor, Broken> {
        let sealed = Sealed::parse(line).ok_or(Broken::NotSealed)?;
        let previous = self.fits(&sealed)?;
        if !sealed.is_sealed_behind(previous) {
            return Err(Broken::Seal);
        }
        if self.last.is_some_and(|last| last.hash != previous) {
            return Err(Broken::Fork);
        }
        self.first = self.first.or(Some(sealed.seq));
        self.last = Some(sealed.anchor());
        self.begins = false;
        Ok(sealed.anchor())
    }

    /// The hash that the line must rest on, if its number and form are right.
    fn fits(&self, sealed: &Sealed<'_>) -> Result<LineHash, Broken> {
        if self.begins && sealed.prev.is_none() {
            let expected = self.last.map_or(sealed.seq.saturating_sub(1), |last| last.seq.saturating_add(1));
            return Err(Broken::NoBeginning { expected });
        }
        if let Some(last) = self.last {
            let expected = last.seq.saturating_add(1);
            if sealed.seq != expected {
                let renumbered = sealed.was_numbered(expected, last.hash);
                return Err(Broken::Number { expected, found: sealed.seq, renumbered });
            }
        }
        match (self.begins, sealed.prev, self.last) {
            (true, Some(prev), _) => Ok(prev),
            (false, None, Some(last)) => Ok(last.hash),
            // A beginning inside a file, or a line where no file has begun.
            _ => Err(Broken::NotSealed),
        }
    }
}
