//! Counting decisions: whoever decides notes one line, and the daemon counts the lines from time to time.
//!
//! Decisions are made inside sshd, su and sudo, which must not wait for the daemon, and it may be absent. So a decision is
//! one write(2) to a file that only root can reach; the file has a greatest size and is gone at the next boot. A decision
//! that cannot be noted is not counted, and stays what it is: the audit record, not this, says who did what.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::geteuid;
use svcauth_core::policy::Reason;

use crate::paths;

/// A file as long as this takes no more: about 40,000 decisions that nobody has counted yet. In bytes.
const FILE_MAX: u64 = 1 << 20;
/// No line is longer. In bytes.
const LINE_MAX: u64 = 64;

/// What a decision was asked through. A closed set, whatever services a host has: each is a time series of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceClass {
    /// sshd
    Sshd,
    /// su, su-l
    Su,
    /// runuser, runuser-l
    Runuser,
    /// sudo, sudo-i
    Sudo,
    /// login
    Login,
    /// cron, crond, atd
    Cron,
    /// Any other.
    Other,
}

impl ServiceClass {
    /// Every class there is.
    pub const ALL: &'static [Self] =
        &[Self::Sshd, Self::Su, Self::Runuser, Self::Sudo, Self::Login, Self::Cron, Self::Other];

    /// The class of a PAM service.
    #[must_use]
    pub fn of(service: &str) -> Self {
        match service {
            "sshd" => Self::Sshd,
            "su" | "su-l" => Self::Su,
            "runuser" | "runuser-l" => Self::Runuser,
            "sudo" | "sudo-i" => Self::Sudo,
            "login" => Self::Login,
            "cron" | "crond" | "atd" => Self::Cron,
            _ => Self::Other,
        }
    }

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sshd => "sshd",
            Self::Su => "su",
            Self::Runuser => "runuser",
            Self::Sudo => "sudo",
            Self::Login => "login",
            Self::Cron => "cron",
            Self::Other => "other",
        }
    }
}

/// One kind of decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind {
    /// Why it was denied; `None`: it was allowed.
    pub denied: Option<Reason>,
    /// What it was asked through.
    pub service: ServiceClass,
}

/// Notes a decision. Never waits, and never says whether it worked: nothing may depend on it.
pub fn note(denied: Option<Reason>, service: &str) {
    let _ = note_in(Path::new(paths::DECISIONS), Kind { denied, service: ServiceClass::of(service) });
}

fn note_in(path: &Path, kind: Kind) -> io::Result<()> {
    // A write beyond the caller's `ulimit -f` would kill this process.
    if getrlimit(Resource::RLIMIT_FSIZE)?.0 < FILE_MAX + LINE_MAX {
        return Ok(());
    }
    // Not waiting concerns a FIFO that somebody has put there.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let mut file =
        OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(flags.bits()).open(path)?;
    if len_of_own(&file)? < FILE_MAX {
        file.write_all(line(kind).as_bytes())?;
    }
    Ok(())
}

/// `deny not_in_role sshd`: words and not numbers, because the module of yesterday may write to the daemon of today.
fn line(kind: Kind) -> String {
    let verdict = kind.denied.map_or_else(|| "allow -".to_owned(), |reason| format!("deny {reason}"));
    format!("{verdict} {}\n", kind.service.as_str())
}

fn parse(line: &[u8]) -> Option<Kind> {
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let denied = match (words.next()?, words.next()?) {
        ("allow", "-") => None,
        ("deny", reason) => Some(reason.parse().ok()?),
        _ => return None,
    };
    let name = words.next()?;
    let service = ServiceClass::ALL.iter().copied().find(|class| class.as_str() == name)?;
    words.next().is_none().then_some(Kind { denied, service })
}

/// The length of a plain file that nobody else can read or write.
fn len_of_own(file: &File) -> io::Result<u64> {
    let meta = file.metadata()?;
    let is_own = meta.is_file() && meta.uid() == geteuid().as_raw() && meta.mode() & 0o077 == 0;
    is_own.then_some(meta.len()).ok_or_else(|| ErrorKind::PermissionDenied.into())
}

/// What was noted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// How many of each kind.
    pub decisions: BTreeMap<Kind, u64>,
    /// How many files were full, and so may have missed decisions.
    pub full: u64,
}

/// Counts what was noted; there is one in the daemon.
#[derive(Debug)]
pub struct Counter {
    path: PathBuf,
    /// The file counted last, which has no name any more. Whoever had it open then may have written to it since.
    last: Option<Taken>,
}

#[derive(Debug)]
struct Taken {
    file: File,
    /// A line that was not complete yet.
    rest: Vec<u8>,
}

impl Default for Counter {
    fn default() -> Self {
        Self::at(Path::new(paths::DECISIONS))
    }
}

impl Counter {
    /// Counts what is noted in this file.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), last: None }
    }

    /// Adds what was noted since the last call. What cannot be read is not counted.
    pub fn count_into(&mut self, counts: &mut Counts) {
        if let Some(last) = self.last.take() {
            let _ = read_lines(last, counts);
        }
        let taken = self.path.with_extension("counted");
        // Left by a daemon that died between the next two lines; it is read once, as any other.
        let _ = take(&taken, counts);
        if fs::rename(&self.path, &taken).is_ok() {
            self.last = take(&taken, counts).ok();
        }
    }
}

/// Reads a file and removes it, whatever it is.
fn take(path: &Path, counts: &mut Counts) -> io::Result<Taken> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path);
    if fs::remove_file(path).is_err() {
        // A folder that somebody has put there.
        let _ = fs::remove_dir(path);
    }
    let file = opened?;
    if len_of_own(&file)? >= FILE_MAX {
        counts.full += 1;
    }
    read_lines(Taken { file, rest: Vec::new() }, counts)
}

/// Counts the complete lines up to the end of the file.
fn read_lines(mut taken: Taken, counts: &mut Counts) -> io::Result<Taken> {
    let mut text = std::mem::take(&mut taken.rest);
    // The greatest size, and the lines of those who saw it one line below that at the same time.
    (&taken.file).take(2 * FILE_MAX).read_to_end(&mut text)?;
    let complete = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    taken.rest = text.split_off(complete);
    for kind in text.split(|byte| *byte == b'\n').filter_map(parse) {
        *counts.decisions.entry(kind).or_default() += 1;
    }
    Ok(taken)
}

#[cfg(test)]
#[path = "decisions_tests.rs"]
mod tests;
