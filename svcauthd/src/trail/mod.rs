//! Reading the audit trail: `/var/log/svcauth/audit.jsonl` and the files that were rotated away, as one row of records.
//!
//! Belongs here: which files there are and in which order, their lines, and typed access to what a line says. Never here:
//! writing the trail, proving it (`svcauth log verify`), and how a record looks on a screen.
//!
//! Nothing in a file is believed to be well formed: a line may be of any length, may be no record, and the last may be
//! incomplete. Memory is bounded by one line of [`LINE_MAX`] bytes, and a line that is no record stops nobody.

mod behind;
mod entry;
mod files;
mod follow;
mod last;
mod lines;

use std::io;
use std::path::{Path, PathBuf};

use svcauth_host::paths;

pub use behind::waiting;
pub use entry::Entry;
pub use files::TrailFile;
pub use follow::{Follower, News};
pub use last::Spot;
pub use lines::{LINE_MAX, Line, Lines, NoRecord};

/// The files of the trail, oldest first, all open: a rotation while they are read loses nothing.
#[derive(Debug)]
pub struct Trail {
    files: Vec<TrailFile>,
}

impl Trail {
    /// The trail of this host. One that has not begun yet has no files.
    ///
    /// # Errors
    /// The folder or a file of it cannot be read; the text names it.
    pub fn open() -> io::Result<Self> {
        Self::of(Path::new(paths::AUDIT_FILE))
    }

    /// `current` and its rotated files `current.1`, `current.2` and so on.
    ///
    /// # Errors
    /// The folder or a file of it cannot be read; the text names it.
    pub fn of(current: &Path) -> io::Result<Self> {
        Ok(Self { files: files::row(current)? })
    }

    /// Exactly these files, in the order given.
    ///
    /// # Errors
    /// One of them cannot be read; the text names it.
    pub fn of_files(paths: &[PathBuf]) -> io::Result<Self> {
        Ok(Self { files: paths.iter().map(|path| TrailFile::open(path)).collect::<io::Result<_>>()? })
    }

    /// The files, oldest first.
    #[must_use]
    pub fn files(&self) -> &[TrailFile] {
        &self.files
    }

    /// Every line of every file, oldest first.
    #[must_use]
    pub fn lines(&self) -> Lines<'_> {
        Lines::new(&self.files)
    }

    /// What every record says, oldest first. Lines that are no records are passed over.
    pub fn entries(&self) -> impl Iterator<Item = io::Result<Entry>> {
        self.lines().filter_map(|line| line.map(|line| line.entry().ok()).transpose())
    }
}

#[cfg(test)]
mod follow_tests;
#[cfg(test)]
mod schema_tests;
#[cfg(test)]
pub(crate) mod tests;
