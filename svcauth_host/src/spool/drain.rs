//! Taking records out of the spool: what the daemon's recorder does, and nobody else.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{FallocateFlags, FcntlArg, Flock, FlockArg, OFlag, fallocate, fcntl};
use nix::unistd::geteuid;

use super::whole_file;
use crate::paths;

/// What is punched out of a file is a multiple of this: the page of every machine that matters.
const PAGE: u64 = 1 << 16;

/// Says to everybody that records are taken out of the spool, for as long as it lives.
#[derive(Debug)]
pub struct RecorderLock(#[expect(dead_code, reason = "the lock lives as long as the file is open")] File);

impl RecorderLock {
    /// Takes the lock of this host.
    ///
    /// # Errors
    /// Another recorder has it, or the file cannot be made.
    pub fn take() -> io::Result<Self> {
        Self::take_at(Path::new(paths::RECORDER_LOCK))
    }

    pub(super) fn take_at(path: &Path) -> io::Result<Self> {
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600).custom_flags(flags.bits());
        let file = options.open(path)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        fcntl(&file, FcntlArg::F_OFD_SETLK(&whole_file()))?;
        Ok(Self(file))
    }
}

/// The files of a spool: the one that is written to, and those that were put aside.
#[derive(Clone, Debug)]
pub struct Drain {
    path: PathBuf,
}

/// One file of a spool.
#[derive(Debug)]
pub struct SpoolFile {
    path: PathBuf,
    /// Which of those that were put aside; `None`: the one that is written to.
    pub number: Option<u64>,
    /// Its inode: the same file under another name.
    pub inode: u64,
    file: File,
}

impl Default for Drain {
    fn default() -> Self {
        Self::at(Path::new(paths::AUDIT_SPOOL))
    }
}

impl Drain {
    /// The spool at this path.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// The file that is written to.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every file of the spool that only the caller can have written, the oldest first. What else stands in their place is
    /// removed, and told in `strange`.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn files(&self, strange: &mut Vec<String>) -> io::Result<Vec<SpoolFile>> {
        let mut numbers = self.numbers()?;
        numbers.sort_unstable();
        let mut files = Vec::new();
        for number in numbers.into_iter().map(Some).chain([None]) {
            let path = self.path_of(number);
            match open_own(&path) {
                Ok(Some(file)) => {
                    files.push(SpoolFile { inode: file.metadata()?.ino(), path, number, file });
                }
                Ok(None) => {
                    strange.push(path.display().to_string());
                    clear(&path)?;
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(files)
    }

    /// What the files of the spool take of the memory together, in bytes, as far as they are plain files. Looks, and changes
    /// nothing.
    ///
    /// # Errors
    /// The folder or a file cannot be looked at.
    pub fn held(&self) -> io::Result<u64> {
        let mut held = 0_u64;
        for number in self.numbers()?.into_iter().map(Some).chain([None]) {
            match fs::symlink_metadata(self.path_of(number)) {
                Ok(meta) if meta.is_file() => held = held.saturating_add(held_of(&meta)),
                // Something else, or put aside or removed meanwhile.
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(held)
    }

    /// Puts the file that is written to aside, so that it can be removed once nobody writes to it any more.
    ///
    /// # Errors
    /// As rename(2).
    pub fn put_aside(&self, number: u64) -> io::Result<()> {
        fs::rename(&self.path, self.path_of(Some(number)))
    }

    fn path_of(&self, number: Option<u64>) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        if let Some(number) = number {
            name.push(format!(".{number}"));
        }
        name.into()
    }

    fn numbers(&self) -> io::Result<Vec<u64>> {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        let prefix = self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let mut numbers = Vec::new();
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(numbers),
            other => other?,
        };
        for entry in entries {
            let name = entry?.file_name();
            let rest = name.to_str().and_then(|name| name.strip_prefix(prefix)?.strip_prefix('.'));
            let number = rest.and_then(|rest| rest.parse::<u64>().ok().filter(|it| it.to_string() == rest));
            numbers.extend(number);
        }
        Ok(numbers)
    }
}

impl SpoolFile {
    /// Its length, in bytes, what was punched out included.
    ///
    /// # Errors
    /// As fstat(2).
    pub fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Whether nothing was ever written to it.
    ///
    /// # Errors
    /// As fstat(2).
    pub fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// What it takes of the memory, in bytes.
    ///
    /// # Errors
    /// As fstat(2).
    pub fn held(&self) -> io::Result<u64> {
        Ok(held_of(&self.file.metadata()?))
    }

    /// At most `most` bytes from an offset on.
    ///
    /// # Errors
    /// As pread(2).
    pub fn read(&self, offset: u64, most: usize) -> io::Result<Vec<u8>> {
        let left = usize::try_from(self.len()?.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; left.min(most)];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    /// Gives back the memory of what was read. Where the file system cannot do that, it is given back with the file.
    pub fn give_back(&self, taken: u64) {
        let whole_pages = i64::try_from(taken - taken % PAGE).unwrap_or(0);
        if whole_pages > 0 {
            let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
            let _ = fallocate(&self.file, flags, 0, whole_pages);
        }
    }

    /// For a file that was put aside: nobody writes to it, and nobody ever will. `None` while somebody might.
    ///
    /// # Errors
    /// As open(2) and flock(2).
    pub fn close(&self) -> io::Result<Option<Closed>> {
        // A description of its own: the lock belongs to it, and goes with it.
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(&self.path)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Some(Closed { path: self.path.clone(), lock })),
            Err(_) => Ok(None),
        }
    }
}

/// A file that was put aside and to which nobody writes any more.
#[derive(Debug)]
pub struct Closed {
    path: PathBuf,
    lock: Flock<File>,
}

impl Closed {
    /// Removes it. Whoever opened it before finds that it has no name, and opens the new one.
    ///
    /// # Errors
    /// As unlink(2).
    pub fn remove(self) -> io::Result<()> {
        fs::remove_file(&self.path)?;
        drop(self.lock);
        Ok(())
    }
}

/// What was punched out of a file is part of its length, and of nothing else.
fn held_of(meta: &Metadata) -> u64 {
    meta.len().min(meta.blocks().saturating_mul(512))
}

/// A plain file of the caller's that nobody else can write; `None` for anything else.
fn open_own(path: &Path) -> io::Result<Option<File>> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let meta = fs::symlink_metadata(path)?;
    if !meta.is_file() {
        return Ok(None);
    }
    let file = OpenOptions::new().read(true).write(true).custom_flags(flags.bits()).open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() || meta.uid() != geteuid().as_raw() || meta.mode() & 0o022 != 0 {
        return Ok(None);
    }
    if meta.mode() & 0o077 != 0 {
        // Nobody but us has written to it, and from now on nobody else reads it.
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(Some(file))
}

/// Removes whatever it is; a folder that has something in it is put out of the way.
fn clear(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        return fs::remove_dir(path).or_else(|_| fs::rename(path, path.with_extension("obstacle")));
    }
    fs::remove_file(path)
}
