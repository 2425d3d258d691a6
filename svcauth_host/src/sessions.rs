//! The session registry: who is behind each session of a managed account on this host.
//!
//! The PAM module writes an entry before it lets anybody in and removes it when the session ends; a later su or sudo in
//! the same audit session finds its origin here. Only root can write the folder. Sessions whose monitor was killed leave
//! their entry behind: readers tell by [`Session::process`] and the boot.

mod attribution;
mod entry;
mod process;
mod processes;
mod record;

use std::fmt;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::sys::resource::{Resource, getrlimit};

use crate::paths;
use crate::snapshot_file::read_trusted;
pub use attribution::{Attribution, Behind};
pub use entry::{Session, SessionOrigin, Unreadable};
pub use process::{Process, current_ancestry, current_audit_session};
pub use processes::{Processes, Seen};

/// An entry stays below this, key ids of hostile authorities included: 256 KiB.
const ENTRY_MAX: u64 = 256 << 10;
/// Files looked at in one listing; a host has a few hundred sessions.
const LISTED_MAX: usize = 65_536;

/// Entries of one audit session. Whoever calls su may kill it with SIGKILL, and so leave its entry behind, as often as they
/// like: the folder must not fill up with what they leave, and keep everybody else out.
const PER_AUDIT_SESSION: usize = 256;

/// Why the registry cannot be used.
#[derive(Debug)]
pub enum RegistryError {
    /// The folder could have been prepared by others than root.
    Untrusted(PathBuf, &'static str),
    /// The caller's limit on file sizes (`ulimit -f`) would kill this process at its first write.
    FileSizeLimit,
    /// The entry is larger than an entry may be.
    TooLong,
    /// The audit session has as many live sessions as it may have.
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
            Self::TooMany => write!(f, "this audit session has {PER_AUDIT_SESSION} sessions open already"),
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
    pub fn at(folder: &Path) -> Result<Self, RegistryError> {
        if let Some(parent) = folder.parent() {
            make_folder(parent, 0o755)?;
            check_folder(parent, 0o022)?;
        }
        make_folder(folder, 0o700)?;
        check_folder(folder, 0o077)?;
        Ok(Self(folder.to_owned()))
    }

    /// Writes an entry: whole or not at all.
    ///
    /// # Errors
    /// [`RegistryError`]; then nothing is registered.
    pub fn register(&self, session: &Session) -> Result<(), RegistryError> {
        let text = session.to_string();
        if text.len() as u64 > ENTRY_MAX {
            return Err(RegistryError::TooLong);
        }
        if getrlimit(Resource::RLIMIT_FSIZE).is_ok_and(|(soft, _)| soft < ENTRY_MAX) {
            return Err(RegistryError::FileSizeLimit);
        }
        self.make_room(session)?;
        let path = self.path_of(session);
        let unfinished = self.0.join(format!(".{}.new", session.id));
        let written = write_new(&unfinished, &text).and_then(|()| fs::rename(&unfinished, &path));
        written.map_err(|error| {
            let _ = fs::remove_file(&unfinished);
            RegistryError::Refused(path, error)
        })
    }

    /// Removes what dead processes left behind in the audit session, once there are very many. Who still runs below one of
    /// those has no origin any more, and is refused by the next su.
    fn make_room(&self, session: &Session) -> Result<(), RegistryError> {
        let prefix = prefix_of(session.audit_session);
        if self.names(|name| name.starts_with(&prefix))?.len() < PER_AUDIT_SESSION {
            return Ok(());
        }
        let (live, dead): (Vec<Session>, Vec<Session>) = self
            .listed(&session.boot_id, |name| name.starts_with(&prefix))?
            .into_iter()
            .partition(|other| other.process.is_alive());
        dead.iter().try_for_each(|left| self.remove(left))?;
        // Where the kernel has no audit sessions, all sessions of the host count as one.
        let is_full = session.audit_session.is_some() && live.len() >= PER_AUDIT_SESSION;
        if is_full { Err(RegistryError::TooMany) } else { Ok(()) }
    }

    /// Removes an entry; that it is gone already is no error.
    ///
    /// # Errors
    /// [`RegistryError::Refused`].
    pub fn remove(&self, session: &Session) -> Result<(), RegistryError> {
        let path = self.path_of(session);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(RegistryError::Refused(path, error)),
            _ => Ok(()),
        }
    }

    /// Every readable entry of this boot, live or left behind, in no order.
    ///
    /// # Errors
    /// [`RegistryError::Refused`] when the folder cannot be listed.
    pub fn sessions(&self, boot_id: &str) -> Result<Vec<Session>, RegistryError> {
        self.listed(boot_id, |_| true)
    }

    /// The sessions that the calling process is part of, in no order: those of its audit session; where the kernel has
    /// none, those that one of its ancestors opened.
    ///
    /// # Errors
    /// [`RegistryError::Refused`] when the folder cannot be listed.
    pub fn around_caller(&self, boot_id: &str) -> Result<Vec<Session>, RegistryError> {
        let audit_session = current_audit_session();
        let prefix = prefix_of(audit_session);
        let mut found = self.listed(boot_id, |name| name.starts_with(&prefix))?;
        if audit_session.is_none() {
            let ancestry = current_ancestry();
            found.retain(|session| ancestry.contains(&session.process));
        }
        found.retain(|session| session.audit_session == audit_session);
        Ok(found)
    }

    fn listed(&self, boot_id: &str, wanted: impl Fn(&str) -> bool) -> Result<Vec<Session>, RegistryError> {
        let sessions = self.names(wanted)?.into_iter().filter_map(|name| {
            let text = read_trusted(&self.0.join(&name), ENTRY_MAX).ok()?;
            let session: Session = text.parse().ok()?;
            // A file under a name that is not its own was put there by hand.
            (name_of(&session) == name && session.boot_id == boot_id).then_some(session)
        });
        Ok(sessions.collect())
    }

    fn names(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<String>, RegistryError> {
        let entries = fs::read_dir(&self.0).map_err(|error| RegistryError::Refused(self.0.clone(), error))?;
        let names =
            entries.take(LISTED_MAX).flatten().filter_map(|entry| entry.file_name().into_string().ok());
        Ok(names.filter(|name| !name.starts_with('.') && wanted(name)).collect())
    }

    fn path_of(&self, session: &Session) -> PathBuf {
        self.0.join(name_of(session))
    }
}

/// Numbers only, whatever the account and the origin are called; the audit session first, to find its entries by name.
fn name_of(session: &Session) -> String {
    let digits = session.id.chars().filter(|c| c.is_ascii_hexdigit() || *c == '-');
    prefix_of(session.audit_session) + &digits.collect::<String>()
}

fn prefix_of(audit_session: Option<u32>) -> String {
    audit_session.map_or_else(|| "none.".to_owned(), |id| format!("{id}."))
}

fn make_folder(path: &Path, mode: u32) -> Result<(), RegistryError> {
    let refused = |error| RegistryError::Refused(path.to_owned(), error);
    match DirBuilder::new().mode(mode).create(path) {
        // The caller's umask took part.
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(mode)).map_err(refused),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(refused(error)),
    }
}

fn check_folder(path: &Path, forbidden: u32) -> Result<(), RegistryError> {
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::PathBuf;

    use super::entry::tests::example;
    use super::{Registry, RegistryError, Session, current_audit_session};

    const BOOT: &str = "3f2a9c1e-0000-4000-8000-000000000000";

    /// A folder of its own for each test, in a parent that only root can write; `None`, said aloud, when not root.
    fn folder(test: &str) -> Option<PathBuf> {
        if !nix::unistd::geteuid().is_root() {
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "SKIPPED {test}: the registry is root's");
            return None;
        }
        let parent = std::env::temp_dir().join(format!("svcauth-registry-{}-{test}", std::process::id()));
        let _ = fs::remove_dir_all(&parent);
        Some(parent.join("sessions"))
    }

    fn clean(folder: &std::path::Path) {
        fs::remove_dir_all(folder.parent().unwrap()).unwrap();
    }

    #[test]
    fn a_session_is_found_until_it_is_removed_and_leaves_nothing_behind() {
        let Some(folder) = folder("found") else { return };
        let registry = Registry::at(&folder).unwrap();
        let mode = fs::metadata(&folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o700);
        let session = example();
        registry.register(&session).unwrap();
        assert_eq!(registry.sessions(BOOT).unwrap(), std::slice::from_ref(&session));
        assert_eq!(registry.sessions("another boot").unwrap(), []);
        registry.remove(&session).unwrap();
        registry.remove(&session).unwrap();
        assert_eq!(registry.sessions(BOOT).unwrap(), []);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        clean(&folder);
    }

    #[test]
    fn a_caller_is_part_of_the_sessions_of_its_audit_session_and_of_no_other() {
        let Some(folder) = folder("around") else { return };
        let registry = Registry::at(&folder).unwrap();
        let own = Session {
            audit_session: current_audit_session(),
            process: super::Process::current().unwrap(),
            ..example()
        };
        let other = Session {
            id: "1-2".to_owned(),
            audit_session: Some(own.audit_session.unwrap_or(7) + 1),
            ..own.clone()
        };
        for session in [&own, &other] {
            registry.register(session).unwrap();
        }
        assert_eq!(registry.sessions(BOOT).unwrap().len(), 2);
        assert_eq!(registry.around_caller(BOOT).unwrap(), [own]);
        clean(&folder);
    }

    #[test]
    fn an_entry_that_others_could_have_written_does_not_count() {
        let Some(folder) = folder("foreign") else { return };
        let registry = Registry::at(&folder).unwrap();
        let session = example();
        registry.register(&session).unwrap();
        let path = registry.path_of(&session);
        assert_eq!(registry.sessions(BOOT).unwrap().len(), 1);
        fs::copy(&path, folder.join("168.copied-by-hand")).unwrap();
        symlink(&path, folder.join("168.1-1-1")).unwrap();
        assert_eq!(registry.sessions(BOOT).unwrap().len(), 1);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(registry.sessions(BOOT).unwrap(), []);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        if std::os::unix::fs::chown(&path, Some(1), None).is_ok() {
            assert_eq!(registry.sessions(BOOT).unwrap(), []);
        }
        clean(&folder);
    }

    #[test]
    fn a_folder_that_others_could_have_prepared_is_refused() {
        let Some(folder) = folder("folder") else { return };
        Registry::at(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o770)).unwrap();
        assert!(matches!(Registry::at(&folder), Err(RegistryError::Untrusted(..))));
        fs::remove_dir(&folder).unwrap();
        symlink("/", &folder).unwrap();
        assert!(matches!(Registry::at(&folder), Err(RegistryError::Untrusted(..))));
        clean(&folder);
    }

    #[test]
    fn two_sessions_never_share_an_entry_even_when_one_was_left_unfinished() {
        let Some(folder) = folder("unfinished") else {
            return;
        };
        let registry = Registry::at(&folder).unwrap();
        let session = example();
        fs::write(folder.join(format!(".{}.new", session.id)), "x").unwrap();
        assert!(registry.register(&session).is_err());
        assert_eq!(registry.sessions(BOOT).unwrap(), []);
        registry.register(&session).unwrap();
        assert_eq!(registry.sessions(BOOT).unwrap(), [session]);
        clean(&folder);
    }

    #[test]
    fn what_killed_sessions_leave_behind_makes_room_for_new_ones_and_live_ones_do_not() {
        let Some(folder) = folder("room") else { return };
        let registry = Registry::at(&folder).unwrap();
        let live = super::Process::current().unwrap();
        let dead = super::Process { start: live.start + 1, ..live };
        let session = |number: usize, process| Session { id: format!("a-{number:x}"), process, ..example() };
        let most = super::PER_AUDIT_SESSION;
        registry.register(&session(0, live)).unwrap();
        (1..most).for_each(|number| registry.register(&session(number, dead)).unwrap());
        assert_eq!(registry.sessions(BOOT).unwrap().len(), most);
        registry.register(&session(most, live)).unwrap();
        assert_eq!(registry.sessions(BOOT).unwrap().len(), 2);
        (1..most - 1).for_each(|number| registry.register(&session(most + number, live)).unwrap());
        let one_more = session(2 * most, live);
        assert!(matches!(registry.register(&one_more), Err(RegistryError::TooMany)));
        registry.register(&Session { audit_session: Some(169), ..one_more }).unwrap();
        clean(&folder);
    }
}
