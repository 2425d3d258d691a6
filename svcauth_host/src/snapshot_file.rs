//! Opening what root published, and nothing else: a regular file, owned by root, writable by nobody else.

use std::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;
use svcauth_core::snapshot::access::AccessSnapshot;
use svcauth_core::snapshot::{
    FileKind, Invalid, PasswdEntry, ReadAt, RecordKind, Snapshot, Table, Unreadable,
};

use crate::paths;

/// A file that only root can have written. Read by pread(2), never mapped: a cut file is an error and no SIGBUS.
#[derive(Debug)]
pub struct SnapshotFile(File);

impl ReadAt for SnapshotFile {
    fn read_exact_at(&self, offset: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        self.0.read_exact_at(into, offset).map_err(|_| Unreadable)
    }
}

/// Why a published file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotError {
    /// There is no such file.
    Missing,
    /// There is one, and it cannot be trusted.
    Untrusted(&'static str),
    /// There is one, and it is damaged.
    Invalid(Invalid),
    /// The operating system refused it, with its words.
    Refused(String),
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str(
                "there is no snapshot; is svcauthd running, and has it reached the directory once?",
            ),
            Self::Untrusted(why) => write!(f, "{why}; remove it and run: systemctl restart svcauthd"),
            Self::Invalid(why) => write!(f, "{why}; remove it and run: systemctl restart svcauthd"),
            Self::Refused(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for SnapshotError {}

impl From<Invalid> for SnapshotError {
    fn from(why: Invalid) -> Self {
        Self::Invalid(why)
    }
}

/// Opens `access.snap`.
///
/// # Errors
/// [`SnapshotError`].
pub fn open_access() -> Result<AccessSnapshot<SnapshotFile>, SnapshotError> {
    let (file, len) = open_trusted(Path::new(paths::ACCESS_SNAPSHOT))?;
    Ok(AccessSnapshot::open(SnapshotFile(file), len)?)
}

/// Opens `accounts.snap`.
///
/// # Errors
/// [`SnapshotError`].
pub fn open_accounts() -> Result<Snapshot<SnapshotFile>, SnapshotError> {
    let (file, len) = open_trusted(Path::new(paths::ACCOUNTS_SNAPSHOT))?;
    Ok(Snapshot::open(SnapshotFile(file), len, FileKind::Accounts)?)
}

/// An account as `accounts.snap` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its name.
    pub name: String,
    /// Its home directory.
    pub home: String,
    /// Its login shell.
    pub shell: String,
}

/// The account that `accounts.snap` shows for a uid.
///
/// # Errors
/// [`SnapshotError`].
pub fn shown_by_uid(uid: u32) -> Result<Option<Shown>, SnapshotError> {
    let snapshot = open_accounts()?;
    for place in snapshot.find(Table::PasswdById, &uid.to_le_bytes())? {
        let mut record = vec![0; (place.len as usize).min(1 << 20)];
        let entry = PasswdEntry::parse(snapshot.read(place, RecordKind::Passwd, &mut record)?)?;
        if entry.uid.get() == uid {
            let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
            let (name, home, shell) = (text(entry.name), text(entry.home), text(entry.shell));
            return Ok(Some(Shown { name, home, shell }));
        }
    }
    Ok(None)
}

/// Whether `accounts.snap` shows an account of this name; a file that cannot be used shows none.
#[must_use]
pub fn is_shown(account: &str) -> bool {
    let shown = || -> Result<bool, SnapshotError> {
        let snapshot = open_accounts()?;
        for place in snapshot.find(Table::PasswdByName, account.as_bytes())? {
            // A passwd entry is far below this; a longer record is none of ours.
            let mut record = vec![0; (place.len as usize).min(1 << 20)];
            let entry = PasswdEntry::parse(snapshot.read(place, RecordKind::Passwd, &mut record)?)?;
            if entry.name.to_bytes() == account.as_bytes() {
                return Ok(true);
            }
        }
        Ok(false)
    };
    shown().unwrap_or(false)
}

/// A small text file that only root can have written, at most `max` bytes long.
///
/// # Errors
/// [`SnapshotError`].
pub fn read_trusted(path: &Path, max: u64) -> Result<String, SnapshotError> {
    read_text(open_trusted(path)?, max)
}

/// A small file that only root can have written, whatever is in it.
///
/// # Errors
/// [`SnapshotError`].
pub fn read_trusted_bytes(path: &Path, max: u64) -> Result<Vec<u8>, SnapshotError> {
    read_bytes(open_trusted(path)?, max)
}

/// A small text file whoever may have written it: for what can only make an answer stricter.
pub(crate) fn read_whoever_wrote_it(path: &Path, max: u64) -> Result<String, SnapshotError> {
    // Links are followed: a link is one of the things that make a file untrusted, and its text still says something.
    let (file, meta) = open_plain(path, OFlag::empty())?;
    read_text((file, meta.len()), max)
}

fn read_text(opened: (File, u64), max: u64) -> Result<String, SnapshotError> {
    let bytes = read_bytes(opened, max)?;
    String::from_utf8(bytes).map_err(|_| SnapshotError::Untrusted("it is not a text in UTF-8"))
}

fn read_bytes((file, len): (File, u64), max: u64) -> Result<Vec<u8>, SnapshotError> {
    if len > max {
        return Err(SnapshotError::Untrusted("it is longer than it may be"));
    }
    // Room for all of it, and for the read that finds its end: what the system says of its length the file need not keep.
    let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0) + 64);
    file.take(max).read_to_end(&mut bytes).map_err(|error| SnapshotError::Refused(error.to_string()))?;
    Ok(bytes)
}

/// Opens a file and checks who can have written it; never follows a link.
fn open_trusted(path: &Path) -> Result<(File, u64), SnapshotError> {
    let (file, meta) = open_plain(path, OFlag::O_NOFOLLOW)?;
    if meta.uid() != 0 {
        return Err(SnapshotError::Untrusted("it is not owned by root"));
    }
    if meta.mode() & 0o022 != 0 {
        return Err(SnapshotError::Untrusted("it is writable by others than root"));
    }
    Ok((file, meta.len()))
}

/// Opens a regular file; never waits (FIFO).
fn open_plain(path: &Path, more: OFlag) -> Result<(File, Metadata), SnapshotError> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY | more;
    let file = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(SnapshotError::Missing),
        Err(error) if error.raw_os_error() == Some(nix::errno::Errno::ELOOP as i32) => {
            return Err(SnapshotError::Untrusted("it is a symbolic link"));
        }
        Err(error) => return Err(SnapshotError::Refused(error.to_string())),
    };
    let meta = file.metadata().map_err(|error| SnapshotError::Refused(error.to_string()))?;
    if !meta.file_type().is_file() {
        return Err(SnapshotError::Untrusted("it is not a regular file"));
    }
    Ok((file, meta))
}
