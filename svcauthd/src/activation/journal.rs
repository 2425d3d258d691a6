//! What is remembered of an activation: the old bytes, and whether it may still be undone by itself.
//!
//! | file in `/var/lib/svcauth/activation` | is there | holds |
//! |---|---|---|
//! | `journal` | from before the first change until it is kept | the changes of this run |
//! | `pending` | as long | who applies it, or until when it is on trial; `svcauth-rollback.service` starts when it is there |
//! | `active` | while svcauth is switched on | the changes since it was off, for `svcauth disable` |
//! | `lock` | always | locked by the one who changes something |
//!
//! The folder is root's alone: the files have the bytes of others.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use svcauth_host::sessions::Process;

use super::Trouble;
use super::change::{Change, named};

/// Where it is kept.
pub const FOLDER: &str = "/var/lib/svcauth/activation";
const JOURNAL: &str = "journal";
const PENDING: &str = "pending";
const ACTIVE: &str = "active";
const LOCK: &str = "lock";
/// Folder of what somebody had changed in a file that was put back.
const ASIDE: &str = "edited";

/// Changes that are not kept yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The boot in which they were made; in a later one they are undone.
    pub boot_id: String,
    /// The pid of the process that makes them.
    pub pid: u32,
    /// When that process started, in clock ticks since boot.
    pub started: u64,
    /// When they stood, in seconds since boot; `None` while they are being made.
    pub activated: Option<u64>,
    /// When they are undone, in seconds since boot; `None` when they are not on trial.
    pub deadline: Option<u64>,
    /// The highest audit session that there was then: a later login has a higher one.
    pub last_session: Option<u32>,
}

impl Pending {
    /// What a marker that cannot be read means: nobody works on it, so the journal is undone.
    fn of_nobody() -> Self {
        Self {
            boot_id: String::new(),
            pid: 0,
            started: 0,
            activated: None,
            deadline: None,
            last_session: None,
        }
    }

    /// Whether the process that makes the changes still runs.
    #[must_use]
    pub fn is_being_applied(&self) -> bool {
        self.activated.is_none() && Process { pid: self.pid, start: self.started }.is_alive()
    }
}

/// The folder, locked for as long as this lives.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    _lock: Flock<File>,
}

impl Journal {
    /// Opens and locks the folder, and makes it if it is not there.
    ///
    /// # Errors
    /// It cannot be made, or somebody else has it.
    pub fn open(folder: &Path) -> Result<Self, Trouble> {
        let make = || -> io::Result<File> {
            fs::create_dir_all(folder)?;
            fs::set_permissions(folder, Permissions::from_mode(0o700))?;
            OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(folder.join(LOCK))
        };
        let file = make().map_err(|error| named(folder, &error))?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| {
            Trouble::new("another svcauth enable, confirm or disable is at work; wait for its end")
        })?;
        Ok(Self { folder: folder.to_owned(), _lock: lock })
    }

    /// Writes down what is about to be changed. From here on it is undone unless it is kept.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn begin(&self, changes: &[Change], pending: &Pending) -> Result<(), Trouble> {
        self.write(JOURNAL, &changes)?;
        self.write(PENDING, pending)
    }

    /// The changes of this run.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn changes(&self) -> Result<Vec<Change>, Trouble> {
        Ok(read(&self.folder.join(JOURNAL))?.unwrap_or_default())
    }

    /// What is not kept yet, if there is something.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn pending(&self) -> Result<Option<Pending>, Trouble> {
        pending_in(&self.folder)
    }

    /// Says how long the changes are on trial.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn mark(&self, pending: &Pending) -> Result<(), Trouble> {
        self.write(PENDING, pending)
    }

    /// From here on the changes stay until `svcauth disable`.
    ///
    /// # Errors
    /// A file cannot be written or removed; then they are still undone.
    pub fn keep(&self) -> Result<(), Trouble> {
        let changes = joined(self.active()?, self.changes()?);
        self.write(ACTIVE, &changes)?;
        self.remove(PENDING)?;
        self.remove(JOURNAL)
    }

    /// The changes of this run are undone.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub fn forget(&self) -> Result<(), Trouble> {
        self.remove(PENDING)?;
        self.remove(JOURNAL)
    }

    /// Nothing of ours is left in the files of the host.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub fn forget_all(&self) -> Result<(), Trouble> {
        self.forget()?;
        self.remove(ACTIVE)
    }

    /// The changes since it was off.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn active(&self) -> Result<Vec<Change>, Trouble> {
        Ok(read(&self.folder.join(ACTIVE))?.unwrap_or_default())
    }

    /// Keeps a copy of what somebody has changed in a file, and says where.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn set_aside(&self, of: &Path, bytes: &[u8]) -> Result<PathBuf, Trouble> {
        let folder = self.folder.join(ASIDE);
        fs::create_dir_all(&folder).map_err(|error| named(&folder, &error))?;
        let name = of.as_os_str().to_string_lossy().trim_start_matches('/').replace('/', "_");
        let path = folder.join(name);
        let write = || -> io::Result<()> {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        write().map_err(|error| named(&path, &error))?;
        Ok(path)
    }

    fn write<T: Serialize + ?Sized>(&self, name: &str, value: &T) -> Result<(), Trouble> {
        let path = self.folder.join(name);
        let text = serde_json::to_string(value).map_err(|error| named(&path, &io::Error::other(error)))?;
        let new = self.folder.join(format!(".{name}.new"));
        let write = || -> io::Result<()> {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            File::open(&self.folder)?.sync_all()
        };
        write().map_err(|error| named(&path, &error))
    }

    fn remove(&self, name: &str) -> Result<(), Trouble> {
        let path = self.folder.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(named(&path, &error)),
            _ => File::open(&self.folder).and_then(|it| it.sync_all()).map_err(|error| named(&path, &error)),
        }
    }
}

/// The same as [`Journal::pending`] for who only looks.
///
/// # Errors
/// The file cannot be read.
pub fn pending_in(folder: &Path) -> Result<Option<Pending>, Trouble> {
    let text = bytes(&folder.join(PENDING))?;
    Ok(text.map(|text| serde_json::from_slice(&text).unwrap_or_else(|_| Pending::of_nobody())))
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Trouble> {
    let Some(text) = bytes(path)? else { return Ok(None) };
    serde_json::from_slice(&text).map(Some).map_err(|error| named(path, &io::Error::other(error)))
}

fn bytes(path: &Path) -> Result<Option<Vec<u8>>, Trouble> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some).map_err(|error| named(path, &error)),
    }
}

/// Changes upon changes: what was there before the first, and after the last. A file that somebody has changed in between
/// begins anew.
fn joined(before: Vec<Change>, now: Vec<Change>) -> Vec<Change> {
    let mut all = before;
    for change in now {
        match all.iter_mut().find(|earlier| earlier.path == change.path) {
            Some(earlier) if earlier.new == change.old => earlier.new = change.new,
            Some(earlier) => *earlier = change,
            None => all.push(change),
        }
    }
    all.sort_by_key(|change| change.part);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation::change::{Content, Part};

    fn scratch(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("svcauth-journal-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    fn change(path: &str, old: &str, new: &str) -> Change {
        let content = |text: &str| Some(Content::fresh(text.as_bytes().to_vec()));
        Change { path: path.into(), part: Part::Pam, old: content(old), new: content(new) }
    }

    fn pending() -> Pending {
        let own = Process::current().unwrap();
        Pending {
            boot_id: "b".to_owned(),
            pid: own.pid,
            started: own.start,
            activated: None,
            deadline: None,
            last_session: None,
        }
    }

    #[test]
    fn what_was_begun_is_there_until_it_is_kept_and_then_for_disable() {
        let folder = scratch("begun");
        let journal = Journal::open(&folder).unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(journal.pending(), Ok(None));
        let changes = vec![change("/etc/x", "a", "b")];
        journal.begin(&changes, &pending()).unwrap();
        assert!(journal.pending().unwrap().unwrap().is_being_applied());
        assert_eq!(journal.changes(), Ok(changes.clone()));
        journal.keep().unwrap();
        assert_eq!((journal.pending(), journal.changes()), (Ok(None), Ok(Vec::new())));
        assert_eq!(journal.active(), Ok(changes));
        journal.forget_all().unwrap();
        assert_eq!(journal.active(), Ok(Vec::new()));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_marker_that_cannot_be_read_is_one_of_nobody() {
        let folder = scratch("damaged");
        let journal = Journal::open(&folder).unwrap();
        for text in ["", "{", "{\"boot_id\":7}"] {
            fs::write(folder.join(PENDING), text).unwrap();
            let pending = journal.pending().unwrap().unwrap();
            assert!(!pending.is_being_applied() && pending.boot_id.is_empty());
        }
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn only_one_works_at_a_time() {
        let folder = scratch("lock");
        let first = Journal::open(&folder).unwrap();
        assert!(Journal::open(&folder).unwrap_err().to_string().contains("another"));
        drop(first);
        Journal::open(&folder).unwrap();
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_oldest_bytes_are_kept_as_long_as_nobody_else_wrote_the_file() {
        let first = vec![change("/a", "0", "1"), change("/b", "0", "1")];
        let joined =
            joined(first, vec![change("/a", "1", "2"), change("/b", "edited", "2"), change("/c", "0", "1")]);
        assert_eq!(joined, [change("/a", "0", "2"), change("/b", "edited", "2"), change("/c", "0", "1")]);
    }

    #[test]
    fn an_applier_that_has_ended_applies_nothing() {
        let gone = Pending { started: 1, ..pending() };
        assert!(pending().is_being_applied() && !gone.is_being_applied());
        assert!(!Pending { activated: Some(1), ..pending() }.is_being_applied());
    }
}
