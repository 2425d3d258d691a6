//! How far the recorder is, kept beside the spool: what it has taken from which file, what it has counted, and the very
//! bytes that it is about to append. Whenever the daemon dies, the next one finishes exactly what was begun.

use std::io;

use serde::{Deserialize, Serialize};
use svcauth_core::audit::chain::Anchor;
use svcauth_host::spool::drain::SpoolFile;

use super::flood::Flood;
use super::own_file::{self, named};
use crate::state_dir::StateDir;

/// More than a batch ever takes, in bytes.
const FILE_MAX: u64 = 32 << 20;

/// The whole of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// How much was taken of the files of the spool.
    pub(super) files: Vec<TakenFrom>,
    pub(super) flood: Flood,
    /// What is being appended.
    pub(super) batch: Option<Batch>,
}

/// How much was taken of one file of the spool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TakenFrom {
    pub(super) inode: u64,
    /// Its number, once it was put aside.
    pub(super) number: Option<u64>,
    /// Everything before this is taken, in bytes.
    pub(super) offset: u64,
}

/// Lines on their way into the audit file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Batch {
    /// Device and inode of the audit file.
    pub(super) file: (u64, u64),
    /// Where the lines begin there, in bytes.
    pub(super) start: u64,
    /// The last of the lines, as [`Anchor`] writes itself.
    last: String,
    /// The lines.
    pub(super) lines: String,
}

impl Batch {
    pub(super) fn new(file: (u64, u64), start: u64, last: Anchor, lines: String) -> Self {
        Self { file, start, last: last.to_string(), lines }
    }

    pub(super) fn last(&self) -> Option<Anchor> {
        self.last.parse().ok()
    }
}

impl Progress {
    /// What an earlier recorder of this boot has left.
    ///
    /// # Errors
    /// Why it cannot be used, as a sentence.
    pub(super) fn load(dir: &StateDir, name: &str) -> Result<Self, String> {
        let path = dir.path().join(name);
        let text = own_file::read(&path, FILE_MAX).map_err(|error| named(&path)(error).to_string())?;
        let Some(text) = text else { return Ok(Self::default()) };
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    pub(super) fn save(&self, dir: &StateDir, name: &str) -> io::Result<()> {
        let text = serde_json::to_vec(self).map_err(io::Error::other)?;
        dir.keep(name, &text).map_err(named(&dir.path().join(name)))
    }

    /// Goes by the files that are there: each is known by its inode, and by its number once it has one. An inode may be used
    /// again when its file is gone.
    pub(super) fn list(&mut self, files: &[SpoolFile]) {
        let offset = |file: &SpoolFile| {
            let known = self.files.iter().find(|known| {
                known.inode == file.inode && (known.number.is_none() || known.number == file.number)
            });
            known.map_or(0, |known| known.offset)
        };
        let list =
            |file: &SpoolFile| TakenFrom { inode: file.inode, number: file.number, offset: offset(file) };
        self.files = files.iter().map(list).collect();
    }
}
