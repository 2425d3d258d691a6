//! Publishing: a file is either the old one or the new one, never something between, whatever dies when.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// Who may read a published file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Root: mode 0600.
    Root,
    /// Everybody: mode 0644.
    Everybody,
    /// Root and one group: mode 0640.
    Group(u32),
    /// Root alone: mode 0600.
    Owner,
}

/// Inode, length and time of change (ctime, which nobody can set back): equal as long as nobody touched the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    inode: u64,
    len: u64,
    changed: (i64, i64),
}

/// Makes a directory that everybody can read and only the caller can write, or makes one that is there so: whoever owns the
/// directory of a file can put an older one back in its place, and whoever may write it, another one.
///
/// # Errors
/// As mkdir(2), chown(2) and chmod(2).
pub fn make_own_dir(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    let own = nix::unistd::geteuid().as_raw();
    if fs::metadata(path)?.uid() != own {
        std::os::unix::fs::chown(path, Some(own), None)?;
    }
    fs::set_permissions(path, Permissions::from_mode(0o755))
}

/// The directory of the published state: owned by root, writable by nobody else.
#[derive(Clone, Debug)]
pub struct StateDir(PathBuf);

impl StateDir {
    /// The directory, made if it is not there.
    ///
    /// # Errors
    /// As [`make_own_dir`].
    pub fn open(path: &Path) -> io::Result<Self> {
        make_own_dir(path)?;
        Ok(Self(path.to_owned()))
    }

    /// Replaces a file by one rename(2): temporary file, mode and owner, contents, fsync, rename, fsync of the directory.
    ///
    /// # Errors
    /// Whatever step failed; the old file is still there then, and the temporary one is not.
    pub fn publish(&self, name: &str, contents: &[u8], readers: Readers) -> io::Result<()> {
        self.replace(name, contents, readers, File::sync_all)?;
        File::open(&self.0)?.sync_all()
    }

    /// Replaces a file that everybody may read in the same way, but waits for no disk: after a crash of the host there may be
    /// an older one.
    ///
    /// # Errors
    /// As [`StateDir::publish`].
    pub fn show(&self, name: &str, contents: &[u8]) -> io::Result<()> {
        self.replace(name, contents, Readers::Everybody, |_| Ok(()))
    }

    /// Replaces a file that only the owner reads, and waits for no disk: for what need not outlive this boot.
    ///
    /// # Errors
    /// As [`StateDir::publish`].
    pub fn keep(&self, name: &str, contents: &[u8]) -> io::Result<()> {
        self.replace(name, contents, Readers::Owner, |_| Ok(()))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    fn replace(
        &self,
        name: &str,
        contents: &[u8],
        readers: Readers,
        settle: impl FnOnce(&File) -> io::Result<()>,
    ) -> io::Result<()> {
        let temporary = self.0.join(format!(".{name}.new"));
        let written = self
            .write_new(&temporary, contents, readers)
            .and_then(|file| settle(&file))
            .and_then(|()| fs::rename(&temporary, self.0.join(name)));
        if written.is_err() {
            // What is left of a full disk must not stay on it; the first error is the one to report.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// What a file looks like from outside; `None` when there is none.
    #[must_use]
    pub fn mark(&self, name: &str) -> Option<Mark> {
        let meta = fs::symlink_metadata(self.0.join(name)).ok()?;
        Some(Mark { inode: meta.ino(), len: meta.len(), changed: (meta.ctime(), meta.ctime_nsec()) })
    }

    fn write_new(&self, path: &Path, contents: &[u8], readers: Readers) -> io::Result<File> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let mode = match readers {
            Readers::Root => 0o600,
            Readers::Everybody => 0o644,
            Readers::Owner => 0o600,
            Readers::Group(gid) => {
                fchown(&file, None, Some(gid))?;
                0o640
            }
        };
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(contents)?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::path::PathBuf;

    use super::{Readers, StateDir};

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("svcauth-state-dir-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        path
    }

    #[test]
    fn a_published_file_has_its_contents_and_mode_and_replaces_the_old_one() {
        let path = scratch("mode");
        let dir = StateDir::open(&path).unwrap();
        dir.publish("x.snap", b"old", Readers::Everybody).unwrap();
        dir.publish("x.snap", b"new", Readers::Group(fs::metadata(&path).unwrap().gid())).unwrap();
        assert_eq!(fs::read(path.join("x.snap")).unwrap(), b"new");
        assert_eq!(fs::metadata(path.join("x.snap")).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
        fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn a_directory_that_was_given_away_is_taken_back() {
        let path = scratch("given-away");
        StateDir::open(&path).unwrap();
        let own = fs::metadata(&path).unwrap().uid();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        // Only root can give something away.
        let given = std::os::unix::fs::chown(&path, Some(own + 1), None).is_ok();
        assert!(given || own != 0);
        StateDir::open(&path).unwrap();
        let meta = fs::metadata(&path).unwrap();
        assert_eq!((meta.uid(), meta.mode() & 0o7777), (own, 0o755));
        fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn a_mark_tells_a_touched_file_from_an_untouched_one() {
        let path = scratch("mark");
        let dir = StateDir::open(&path).unwrap();
        assert_eq!(dir.mark("x.snap"), None);
        dir.publish("x.snap", b"old", Readers::Everybody).unwrap();
        let mark = dir.mark("x.snap");
        assert!(mark.is_some() && dir.mark("x.snap") == mark);
        std::thread::sleep(std::time::Duration::from_millis(20));
        fs::write(path.join("x.snap"), b"odd").unwrap();
        assert_ne!(dir.mark("x.snap"), mark);
        fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn a_failure_leaves_the_old_file_and_nothing_else() {
        let path = scratch("failure");
        let dir = StateDir::open(&path).unwrap();
        dir.publish("x.snap", b"old", Readers::Everybody).unwrap();
        // A directory where the temporary file must be: the write fails before anything is touched.
        fs::create_dir(path.join(".x.snap.new")).unwrap();
        assert!(dir.publish("x.snap", b"new", Readers::Everybody).is_err());
        assert_eq!(fs::read(path.join("x.snap")).unwrap(), b"old");
        fs::remove_dir_all(&path).unwrap();
    }
}
