//! The session registry: who is behind each session of a managed account on this host.
//!
//! The PAM module writes an entry before it lets anybody in. When the session ends it removes the entry, or marks it as
//! ended while processes of the session live on (nohup, setsid): a later su or sudo in the same audit session finds its
//! origin here, and so do `svcauth who` and revocation. Only root can write the folder. Sessions whose opener was killed
//! leave their entry behind: readers tell by [`Session::process`] and the boot, and the daemon sweeps it.
//!
//! No login costs more because others are logged in: the entries lie in 256 folders, by audit session, and a login looks
//! into its own.

mod attribution;
mod entry;
mod folder;
mod process;
mod processes;
mod record;
mod rest;
mod room;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use nix::sys::resource::{Resource, getrlimit};

use self::folder::Key;
use crate::paths;
pub use attribution::{Attribution, Behind};
pub use entry::{Session, SessionOrigin, Unreadable};
pub use folder::Folder;
pub use process::{Process, current_ancestry, current_audit_session};
pub use processes::{Place, Processes, Seen, pids};
pub use rest::{Rest, may_have_processes};

/// An entry stays below this, key ids of hostile authorities included: 256 KiB.
const ENTRY_MAX: u64 = 256 << 10;

/// Why the registry cannot be used.
#[derive(Debug)]
pub enum RegistryError {
    /// The folder could have been prepared by others than root.
    Untrusted(PathBuf, &'static str),
    /// The caller's limit on file sizes (`ulimit -f`) would kill this process at its first write.
    FileSizeLimit,
    /// The entry is larger than an entry may be.
    TooLong,
    /// The audit session has as many sessions as it may have.
    TooMany,
    /// The operating system refused it.
    Refused(PathBuf, io::Error),
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untrusted(path, why) => {
                write!(f, "{}: {why}; remove it, svcauth makes it anew", path.display())
            }
            Self::FileSizeLimit => {
                f.write_str("the limit on file sizes (ulimit -f) leaves no room for a session entry")
            }
            Self::TooLong => write!(f, "a session entry would be longer than {ENTRY_MAX} bytes"),
            Self::TooMany => {
                write!(f, "this audit session has {} sessions open already", room::PER_AUDIT_SESSION)
            }
            Self::Refused(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for RegistryError {}

/// The folder of the entries, checked.
#[derive(Clone, Debug)]
pub struct Registry(PathBuf);

impl Registry {
    /// Opens the registry of this host, and makes its folder when there is none.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn open() -> Result<Self, RegistryError> {
        Self::at(Path::new(paths::SESSIONS_DIR))
    }

    /// Opens a registry in this folder; its parent may be missing too.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn at(path: &Path) -> Result<Self, RegistryError> {
        if let Some(parent) = path.parent() {
            folder::make(parent, 0o755)?;
            folder::check(parent, 0o022)?;
        }
        folder::make(path, 0o700)?;
        folder::check(path, 0o077)?;
        Ok(Self(path.to_owned()))
    }

    /// Writes an entry: whole or not at all. Gives the sessions whose entries had to make room, and whose end nobody has
    /// recorded: their openers were killed.
    ///
    /// # Errors
    /// [`RegistryError`]; then nothing is registered.
    pub fn register(&self, session: &Session) -> Result<Vec<Session>, RegistryError> {
        let folder = Folder::made(&self.0, Key::of(session))?;
        let text = text_of(session)?;
        let unrecorded = room::make(&folder, session)?;
        folder.write(session, &text)?;
        Ok(unrecorded)
    }

    /// Marks an entry as ended at this moment (seconds since 1970): its session is closed, and processes of it live on.
    ///
    /// # Errors
    /// [`RegistryError`]; then the entry is as before.
    pub fn mark_ended(&self, session: &Session, at: u64) -> Result<(), RegistryError> {
        let ended = Session { ended: Some(at), ..session.clone() };
        let folder = Folder::made(&self.0, Key::of(session))?;
        folder.write(&ended, &text_of(&ended)?)
    }

    /// The entry of this session as it is now; `None` when it is gone.
    ///
    /// # Errors
    /// [`RegistryError`] when it cannot be read.
    pub fn reread(&self, session: &Session) -> Result<Option<Session>, RegistryError> {
        let Some(folder) = Folder::existing(&self.0, Key::of(session))? else { return Ok(None) };
        Ok(folder.read_of(session)?.filter(|found| found.id == session.id))
    }

    /// Removes an entry; that it is gone already is no error.
    ///
    /// # Errors
    /// [`RegistryError::Refused`].
    pub fn remove(&self, session: &Session) -> Result<(), RegistryError> {
        Folder::existing(&self.0, Key::of(session))?.map_or(Ok(()), |folder| folder.remove(session))
    }

    /// Every readable entry of this boot, open, ended or left behind, in no order.
    ///
    /// # Errors
    /// [`RegistryError`] when not all of them can be read.
    pub fn sessions(&self, boot_id: &str) -> Result<Vec<Session>, RegistryError> {
        let mut all = Vec::new();
        for folder in self.folders()? {
            all.extend(folder.sessions(boot_id)?);
        }
        Ok(all)
    }

    /// The folders that hold the entries: for whoever reads all of them and shares the work among threads.
    ///
    /// # Errors
    /// [`RegistryError`] when they cannot be listed.
    pub fn folders(&self) -> Result<Vec<Folder>, RegistryError> {
        Folder::all(&self.0)
    }

    /// The sessions of this audit session: open, ended or left behind; in no order.
    ///
    /// # Errors
    /// [`RegistryError`] when not all of them can be read.
    pub fn in_audit_session(&self, id: u32, boot_id: &str) -> Result<Vec<Session>, RegistryError> {
        self.found(Key::Audit(id), boot_id)
    }

    /// The sessions that the calling process is part of, in no order: those of its audit session; where the kernel has
    /// none, those that one of its ancestors opened.
    ///
    /// # Errors
    /// [`RegistryError`] when not all of them can be read.
    pub fn around_caller(&self, boot_id: &str) -> Result<Vec<Session>, RegistryError> {
        self.around(current_audit_session(), &current_ancestry(), boot_id)
    }

    /// The sessions that a process may be part of: those of its audit session; where it is in none, those that it or one of
    /// its ancestors opened.
    ///
    /// # Errors
    /// [`RegistryError`] when not all of them can be read.
    pub fn around(
        &self,
        audit_session: Option<u32>,
        ancestry: &[Process],
        boot_id: &str,
    ) -> Result<Vec<Session>, RegistryError> {
        if let Some(id) = audit_session {
            return self.in_audit_session(id, boot_id);
        }
        let mut all = Vec::new();
        for process in ancestry {
            let found = self.found(Key::Opener(process.pid), boot_id)?;
            all.extend(found.into_iter().filter(|session| session.process == *process));
        }
        Ok(all)
    }

    fn found(&self, key: Key, boot_id: &str) -> Result<Vec<Session>, RegistryError> {
        Folder::existing(&self.0, key)?.map_or(Ok(Vec::new()), |folder| folder.found(key, boot_id))
    }
}

fn text_of(session: &Session) -> Result<String, RegistryError> {
    let text = session.to_string();
    if text.len() as u64 > ENTRY_MAX {
        return Err(RegistryError::TooLong);
    }
    if getrlimit(Resource::RLIMIT_FSIZE).is_ok_and(|(soft, _)| soft < ENTRY_MAX) {
        return Err(RegistryError::FileSizeLimit);
    }
    Ok(text)
}

#[cfg(test)]
#[path = "sessions/registry_tests.rs"]
mod tests;
