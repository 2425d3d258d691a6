//! Where the entries lie: in 256 folders below the registry's, each made when it is first needed, by the kernel's audit
//! session, or, where there is none, by the process that opened the session.
//!
//! The names of folders and entries are made of digits, whatever the account and the origin are called: `a8/168.ID` is a
//! session of the audit session 168, `67/none.4711.ID` one that the process 4711 opened without any.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::OFlag;

use super::entry::Session;
use super::{ENTRY_MAX, RegistryError};
use crate::snapshot_file::{SnapshotError, read_trusted};

/// Files looked at in one listing.
const LISTED_MAX: usize = 65_536;
/// An entry that is still unfinished after this time belongs to a process that was killed while it wrote.
const UNFINISHED_MAX: Duration = Duration::from_secs(60);

/// What a session is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// The kernel's audit session.
    Audit(u32),
    /// The pid of the process that opened it, where there is no audit session.
    Opener(u32),
}

impl Key {
    pub(super) fn of(session: &Session) -> Self {
        session.audit_session.map_or(Self::Opener(session.process.pid), Self::Audit)
    }

    /// The folder. Both numbers are given out one after the other, so the last digits spread them evenly.
    fn shard(self) -> String {
        let (Self::Audit(number) | Self::Opener(number)) = self;
        format!("{:02x}", number % 256)
    }

    /// What the names of its entries begin with.
    pub(super) fn prefix(self) -> String {
        match self {
            Self::Audit(id) => format!("{id}."),
            Self::Opener(pid) => format!("none.{pid}."),
        }
    }
}

/// One of the folders that hold the entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder of this key, made if there is none.
    pub(super) fn made(registry: &Path, key: Key) -> Result<Self, RegistryError> {
        let path = registry.join(key.shard());
        make(&path, 0o700)?;
        check(&path, 0o077)?;
        Ok(Self { path })
    }

    /// The folder of this key, if there is one.
    pub(super) fn existing(registry: &Path, key: Key) -> Result<Option<Self>, RegistryError> {
        let path = registry.join(key.shard());
        match check(&path, 0o077) {
            Ok(()) => Ok(Some(Self { path })),
            Err(RegistryError::Refused(_, error)) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn all(registry: &Path) -> Result<Vec<Self>, RegistryError> {
        let entries =
            fs::read_dir(registry).map_err(|error| RegistryError::Refused(registry.to_owned(), error))?;
        let names = entries.take(LISTED_MAX).flatten().map(|entry| entry.file_name());
        let is_shard = |name: &str| name.len() == 2 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        let paths = names.filter(|name| name.to_str().is_some_and(is_shard)).map(|name| registry.join(name));
        paths.map(|path| check(&path, 0o077).map(|()| Self { path })).collect()
    }

    /// The entries of this boot that can be understood.
    ///
    /// # Errors
    /// [`RegistryError::Refused`] when the operating system refuses one of them: half of them is not all.
    pub fn sessions(&self, boot_id: &str) -> Result<Vec<Session>, RegistryError> {
        self.read_all(self.names()?, |session| session.boot_id == boot_id)
    }

    /// The entries of this boot in these audit sessions, `None` being those in none. The others are not opened: their names
    /// tell enough.
    ///
    /// # Errors
    /// [`RegistryError::Refused`] when the operating system refuses one of them.
    pub fn sessions_in(
        &self,
        wanted: &HashSet<Option<u32>>,
        boot_id: &str,
    ) -> Result<Vec<Session>, RegistryError> {
        let mut names = self.names()?;
        names.retain(|name| match name.split_once('.') {
            Some(("none", _)) => wanted.contains(&None),
            Some((id, _)) => id.parse().is_ok_and(|id| wanted.contains(&Some(id))),
            None => false,
        });
        self.read_all(names, |session| session.boot_id == boot_id)
    }

    /// The entries of this boot with this key.
    pub(super) fn found(&self, key: Key, boot_id: &str) -> Result<Vec<Session>, RegistryError> {
        let prefix = key.prefix();
        let mut names = self.names()?;
        names.retain(|name| name.starts_with(&prefix));
        self.read_all(names, |session| session.boot_id == boot_id && Key::of(session) == key)
    }

    fn read_all(
        &self,
        names: Vec<String>,
        wanted: impl Fn(&Session) -> bool,
    ) -> Result<Vec<Session>, RegistryError> {
        let sessions = names.iter().filter_map(|name| self.read(name).transpose());
        sessions.filter(|read| read.as_ref().map_or(true, &wanted)).collect()
    }

    /// The names of the entries; those that are still being written are left out.
    pub(super) fn names(&self) -> Result<Vec<String>, RegistryError> {
        let mut names = self.listed()?;
        // Every entry has a dot in its name, and no folder has.
        names.retain(|name| !name.starts_with('.') && name.contains('.'));
        Ok(names)
    }

    fn listed(&self) -> Result<Vec<String>, RegistryError> {
        let entries =
            fs::read_dir(&self.path).map_err(|error| RegistryError::Refused(self.path.clone(), error))?;
        let names = entries.take(LISTED_MAX).flatten().map(|entry| entry.file_name());
        Ok(names.filter_map(|name| name.into_string().ok()).collect())
    }

    /// The entry with this name, of whatever boot.
    fn read(&self, name: &str) -> Result<Option<Session>, RegistryError> {
        let path = self.path.join(name);
        let text = match read_trusted(&path, ENTRY_MAX) {
            Ok(text) => text,
            Err(SnapshotError::Refused(why)) => {
                return Err(RegistryError::Refused(path, io::Error::other(why)));
            }
            // Removed meanwhile, or none that root has written.
            Err(_) => return Ok(None),
        };
        // A file in a place that is not its own was put there by hand.
        let is_home =
            |session: &Session| self.path.ends_with(Key::of(session).shard()) && name_of(session) == name;
        Ok(text.parse().ok().filter(is_home))
    }

    /// The entry in the place of this session.
    pub(super) fn read_of(&self, session: &Session) -> Result<Option<Session>, RegistryError> {
        self.read(&name_of(session))
    }

    /// Writes an entry: whole or not at all.
    pub(super) fn write(&self, session: &Session, text: &str) -> Result<(), RegistryError> {
        let path = self.path.join(name_of(session));
        let unfinished = self.path.join(format!(".{}.new", digits_of(session)));
        let written = write_new(&unfinished, text).and_then(|()| fs::rename(&unfinished, &path));
        written.map_err(|error| {
            let _ = fs::remove_file(&unfinished);
            RegistryError::Refused(path, error)
        })
    }

    pub(super) fn remove(&self, session: &Session) -> Result<(), RegistryError> {
        self.remove_name(&name_of(session))
    }

    /// Removes a file; that it is gone already is no error.
    pub(super) fn remove_name(&self, name: &str) -> Result<(), RegistryError> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(RegistryError::Refused(path, error)),
            _ => Ok(()),
        }
    }

    /// Removes what is no session of this boot: entries of another one, what cannot be read, and what processes have left
    /// unfinished that were killed while they wrote.
    ///
    /// # Errors
    /// [`RegistryError::Refused`]
    pub fn clear(&self, boot_id: &str) -> Result<(), RegistryError> {
        for name in self.listed()? {
            let is_rubbish = if name.starts_with('.') {
                self.is_abandoned(&name)
            } else {
                name.contains('.') && self.read(&name)?.is_none_or(|session| session.boot_id != boot_id)
            };
            if is_rubbish {
                self.remove_name(&name)?;
            }
        }
        Ok(())
    }

    fn is_abandoned(&self, name: &str) -> bool {
        let written = fs::symlink_metadata(self.path.join(name)).and_then(|meta| meta.modified());
        written.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > UNFINISHED_MAX))
    }
}

fn name_of(session: &Session) -> String {
    Key::of(session).prefix() + &digits_of(session)
}

fn digits_of(session: &Session) -> String {
    session.id.chars().filter(|c| c.is_ascii_hexdigit() || *c == '-').collect()
}

pub(super) fn make(path: &Path, mode: u32) -> Result<(), RegistryError> {
    let refused = |error| RegistryError::Refused(path.to_owned(), error);
    match DirBuilder::new().mode(mode).create(path) {
        // The caller's umask took part.
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(mode)).map_err(refused),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(refused(error)),
    }
}

pub(super) fn check(path: &Path, forbidden: u32) -> Result<(), RegistryError> {
    let meta = fs::symlink_metadata(path).map_err(|error| RegistryError::Refused(path.to_owned(), error))?;
    let untrusted = |why| Err(RegistryError::Untrusted(path.to_owned(), why));
    if !meta.file_type().is_dir() {
        return untrusted("it is not a folder");
    }
    if meta.uid() != 0 {
        return untrusted("it is not owned by root");
    }
    if meta.mode() & forbidden != 0 {
        return untrusted("others than root have access to it");
    }
    Ok(())
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(path)?;
    file.write_all(text.as_bytes())
}
