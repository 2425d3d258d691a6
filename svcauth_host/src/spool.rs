//! The spool: where records wait for the daemon that writes them into the audit file.
//!
//! Belongs here: appending a record, from inside sshd, su, sudo and the daemon alike, and ([`drain`]) taking them out again.
//! Never here: what becomes of them.
//!
//! Whoever calls su may stop it with SIGSTOP at any place. So nobody waits for anybody: a record is one write(2) with
//! O_APPEND to a file on tmpfs, which no full or hanging disk reaches, and the only locks are asked for without waiting. A
//! writer holds a shared lock on the file while it writes. The daemon renames a file that it has read, waits until it gets
//! the exclusive lock, and only then removes it: a writer that opened the file before and was stopped is either waited for,
//! or finds afterwards that the file has no name any more, and writes to the new one.

pub mod drain;

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, Flock, FlockArg, OFlag, fcntl};
use nix::libc;
use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::geteuid;
use svcauth_core::audit::{Record, VALUE_MAX};

use crate::paths;

/// Refusals, which anybody can cause, are taken while the spool holds less. In bytes.
pub const REFUSALS_MAX: u64 = 4 << 20;
/// All other records are taken while it holds less. In bytes.
pub const SPOOL_MAX: u64 = 16 << 20;
/// No line is longer, in bytes. Of a longer record the values are cut, and say so.
pub const LINE_MAX: usize = 128 << 10;
/// Of each value, in turn, until the line fits: 19 values with six bytes for each of theirs.
const CAPS: [usize; 2] = [VALUE_MAX, 256];
/// What is left between the end of the file and the caller's `ulimit -f`, for those who write at the same time. In bytes.
const MARGIN: u64 = 1 << 20;
/// How often another file is tried, when the one that was opened was taken away meanwhile.
const TRIES: usize = 16;

/// Why the spool did not take a record.
#[derive(Debug)]
pub enum SpoolError {
    /// Only root writes to it.
    NotRoot,
    /// It holds as much as it may.
    Full,
    /// The caller's limit on file sizes (`ulimit -f`) would kill this process at its first write.
    FileSizeLimit,
    /// What stands in its place is not what only root can have written.
    Untrusted,
    /// The operating system refused it.
    Refused(io::Error),
}

impl fmt::Display for SpoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRoot => f.write_str("only root writes to it"),
            Self::Full => f.write_str("it is full; is svcauthd running, and can it write /var/log/svcauth?"),
            Self::FileSizeLimit => f.write_str("the limit on file sizes (ulimit -f) leaves no room"),
            Self::Untrusted => f.write_str("it is no plain file that only root can write; remove it"),
            Self::Refused(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for SpoolError {}

impl From<io::Error> for SpoolError {
    fn from(error: io::Error) -> Self {
        Self::Refused(error)
    }
}

/// Appends a record. Never waits.
///
/// # Errors
/// [`SpoolError`]; then the daemon will not see this record.
pub fn append(record: &Record) -> Result<(), SpoolError> {
    if !geteuid().is_root() {
        return Err(SpoolError::NotRoot);
    }
    append_to(Path::new(paths::AUDIT_SPOOL), record)
}

/// Appends to this spool; the files of a spool belong to whoever calls.
///
/// # Errors
/// [`SpoolError`].
pub fn append_to(path: &Path, record: &Record) -> Result<(), SpoolError> {
    let line = line_of(record);
    let file = open(path)?;
    let meta = file.metadata()?;
    let most = if record.is_refusal() { REFUSALS_MAX } else { SPOOL_MAX };
    // What was read is punched out of the file: its length says less than what it takes of the memory.
    if meta.len().min(meta.blocks().saturating_mul(512)) >= most {
        return Err(SpoolError::Full);
    }
    let end = meta.len().saturating_add(line.len() as u64).saturating_add(MARGIN);
    if getrlimit(Resource::RLIMIT_FSIZE).map_err(io::Error::from)?.0 < end {
        return Err(SpoolError::FileSizeLimit);
    }
    // One call: what several calls write could have other lines in between. What is cut short here is no record, and the
    // newline that the next one begins with keeps it apart.
    let written = loop {
        match (&*file).write(&line) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => break other?,
        }
    };
    if written == line.len() { Ok(()) } else { Err(SpoolError::Refused(ErrorKind::StorageFull.into())) }
}

/// The JSON of the record between two newlines, so that a torn line before it takes nothing of it along.
fn line_of(record: &Record) -> Vec<u8> {
    let mut json = record.to_json();
    for cap in CAPS {
        if json.len() + 2 <= LINE_MAX {
            break;
        }
        json = record.shortened(cap).to_json();
    }
    format!("\n{json}\n").into_bytes()
}

/// The file, with a lock that keeps the daemon from removing it.
fn open(path: &Path) -> Result<Flock<File>, SpoolError> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    for _ in 0..TRIES {
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o600).custom_flags(flags.bits());
        let file = match options.open(path) {
            Ok(file) => file,
            // A link, a FIFO that nobody reads, a folder: whatever it is, it is not the spool.
            Err(error) if is_another_thing(&error) => return Err(SpoolError::Untrusted),
            Err(error) => return Err(error.into()),
        };
        let meta = file.metadata()?;
        if !meta.is_file() || meta.uid() != geteuid().as_raw() || meta.mode() & 0o077 != 0 {
            return Err(SpoolError::Untrusted);
        }
        // Only a file that was renamed is ever locked by the daemon.
        let Ok(locked) = Flock::lock(file, FlockArg::LockSharedNonblock) else { continue };
        if locked.metadata()?.nlink() > 0 {
            return Ok(locked);
        }
    }
    Err(SpoolError::Refused(io::Error::other("it is replaced faster than it can be opened")))
}

fn is_another_thing(error: &io::Error) -> bool {
    let codes = [Errno::ELOOP, Errno::ENXIO, Errno::EISDIR, Errno::ENODEV];
    error.raw_os_error().is_some_and(|code| codes.contains(&Errno::from_raw(code)))
}

/// Whether somebody takes out of the spool what is put into it.
///
/// The daemon holds a lock as long as its recorder lives. The question does not take the lock, not even for a moment: a
/// process that is stopped right then must not keep the recorder from starting.
#[must_use]
pub fn has_recorder() -> bool {
    is_held(Path::new(paths::RECORDER_LOCK)).unwrap_or(false)
}

fn is_held(path: &Path) -> io::Result<bool> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() || meta.uid() != geteuid().as_raw() || meta.mode() & 0o022 != 0 {
        return Ok(false);
    }
    let mut lock = whole_file();
    fcntl(&file, FcntlArg::F_OFD_GETLK(&mut lock))?;
    Ok(i32::from(lock.l_type) != libc::F_UNLCK)
}

/// A lock on the whole of a file, as fcntl(2) wants it described.
fn whole_file() -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

#[cfg(test)]
#[path = "spool_tests.rs"]
mod tests;
