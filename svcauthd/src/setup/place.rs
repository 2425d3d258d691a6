//! Puts the files in place: all of them or none, each by one rename, the old ones kept.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::sys::signal::{SigSet, Signal};
use svcauth_core::audit::rfc3339;

/// A file that is to be written.
pub struct New {
    /// Where.
    pub path: PathBuf,
    /// Its whole content.
    pub bytes: Vec<u8>,
    /// Its mode.
    pub mode: u32,
}

impl New {
    /// Whether it is there already, byte for byte.
    #[must_use]
    pub fn is_there(&self) -> bool {
        fs::read(&self.path).is_ok_and(|bytes| bytes == self.bytes)
    }
}

/// What was done.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Placed {
    /// Files that are new or different now.
    pub written: Vec<PathBuf>,
    /// Where the old ones are.
    pub kept: Vec<PathBuf>,
}

/// Writes these files, in this order; what is there already is left alone. Old ones are kept under a name with `stamp`.
///
/// Signals wait meanwhile: it is done or not, and nothing between.
///
/// # Errors
/// The first that failed; then all is as it was before.
pub fn place(files: &[New], stamp: &str) -> io::Result<Placed> {
    let signals: SigSet =
        [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT].into_iter().collect();
    let old = signals.thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK).map_err(io::Error::from)?;
    let mut work = Work::default();
    let done = files.iter().filter(|file| !file.is_there()).try_for_each(|file| work.stage(file));
    let done = done.and_then(|()| work.publish(stamp));
    if done.is_err() {
        work.undo();
    }
    old.thread_set_mask().map_err(io::Error::from)?;
    done.map(|()| Placed {
        written: work.staged.into_iter().map(|(_, to)| to).collect(),
        kept: work.kept.into_iter().map(|(_, kept)| kept).collect(),
    })
}

#[derive(Default)]
struct Work {
    /// Folders that were made.
    folders: Vec<PathBuf>,
    /// Temporary files, and what they become.
    staged: Vec<(PathBuf, PathBuf)>,
    /// Where each old file was, and where it is kept.
    kept: Vec<(PathBuf, PathBuf)>,
    /// How many of the staged files have their names.
    published: usize,
}

impl Work {
    fn stage(&mut self, file: &New) -> io::Result<()> {
        let folder = file.path.parent().ok_or_else(|| io::Error::other("a file without a folder"))?;
        if !folder.is_dir() {
            fs::create_dir(folder).map_err(|error| named(folder, &error))?;
            self.folders.push(folder.to_owned());
        }
        let temporary = beside(&file.path, ".setup-new");
        // One that a crash has left.
        let _ = fs::remove_file(&temporary);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(file.mode);
        let mut opened = options.open(&temporary).map_err(|error| named(&temporary, &error))?;
        self.staged.push((temporary.clone(), file.path.clone()));
        let exact = std::os::unix::fs::PermissionsExt::from_mode(file.mode);
        let written = opened.set_permissions(exact).and_then(|()| opened.write_all(&file.bytes));
        written.and_then(|()| opened.sync_all()).map_err(|error| named(&temporary, &error))
    }

    fn publish(&mut self, stamp: &str) -> io::Result<()> {
        for (temporary, path) in &self.staged {
            if path.exists() {
                let kept = beside(path, &format!(".bak-{stamp}"));
                // A second name for the old file: the first one is there all the time.
                let _ = fs::remove_file(&kept);
                fs::hard_link(path, &kept).map_err(|error| named(&kept, &error))?;
                self.kept.push((path.clone(), kept));
            }
            fs::rename(temporary, path).map_err(|error| named(path, &error))?;
            self.published += 1;
        }
        let folders = self.staged.iter().filter_map(|(_, path)| path.parent());
        for folder in folders {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| named(folder, &error))?;
        }
        Ok(())
    }

    /// As before, as far as can be: what fails here was failing already.
    fn undo(&mut self) {
        for (temporary, path) in self.staged.iter().take(self.published) {
            if !self.kept.iter().any(|(old, _)| old == path) {
                let _ = fs::remove_file(path);
            }
            let _ = fs::remove_file(temporary);
        }
        for (path, kept) in &self.kept {
            let _ = fs::rename(kept, path);
            // rename(2) of two names of one file does nothing at all.
            let _ = fs::remove_file(kept);
        }
        for (temporary, _) in &self.staged {
            let _ = fs::remove_file(temporary);
        }
        for folder in &self.folders {
            let _ = fs::remove_dir(folder);
        }
    }
}

fn beside(path: &Path, more: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(more);
    PathBuf::from(name)
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// A moment as a part of a file name: `20261231-235959`, in UTC.
#[must_use]
pub fn stamp(seconds: u64) -> String {
    let text = rfc3339(seconds.saturating_mul(1_000_000));
    let digits: String = text.chars().filter(char::is_ascii_digit).take(14).collect();
    let (day, time) = digits.split_at_checked(8).unwrap_or((&digits, ""));
    format!("{day}-{time}")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    use super::{New, place};

    fn scratch(test: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("svcauth-place-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        folder
    }

    fn new(path: PathBuf, text: &str) -> New {
        New { path, bytes: text.as_bytes().to_vec(), mode: 0o600 }
    }

    fn names(folder: &PathBuf) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn files_are_written_with_their_modes_and_old_ones_are_kept() {
        let folder = scratch("written");
        fs::write(folder.join("b"), "old").unwrap();
        let files = [new(folder.join("a"), "A"), new(folder.join("b"), "B")];
        let placed = place(&files, "now").unwrap();
        assert_eq!(names(&folder), ["a", "b", "b.bak-now"]);
        assert_eq!((placed.written.len(), placed.kept), (2, vec![folder.join("b.bak-now")]));
        assert_eq!(fs::read_to_string(folder.join("b")).unwrap(), "B");
        assert_eq!(fs::read_to_string(folder.join("b.bak-now")).unwrap(), "old");
        assert_eq!(fs::metadata(folder.join("a")).unwrap().permissions().mode() & 0o777, 0o600);
        let again = place(&files, "later").unwrap();
        assert_eq!((again.written.len(), names(&folder).len()), (0, 3), "what is there is left alone");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_moment_is_a_part_of_a_name() {
        assert_eq!(super::stamp(1_798_761_599), "20261231-235959");
    }

    #[test]
    fn when_one_cannot_be_written_all_is_as_before() {
        let folder = scratch("undone");
        fs::write(folder.join("a"), "old").unwrap();
        // A folder that is not empty stands where the second one belongs.
        fs::create_dir(folder.join("b")).unwrap();
        fs::write(folder.join("b/x"), "").unwrap();
        let files = [new(folder.join("a"), "A"), new(folder.join("c"), "C"), new(folder.join("b"), "B")];
        assert!(place(&files, "now").is_err());
        assert_eq!(names(&folder), ["a", "b"]);
        assert_eq!(fs::read_to_string(folder.join("a")).unwrap(), "old");
        let deep = [new(folder.join("made/a"), "A"), new(folder.join("b"), "B")];
        assert!(place(&deep, "now").is_err());
        assert_eq!(names(&folder), ["a", "b"], "a folder that was made is gone");
        fs::remove_dir_all(&folder).unwrap();
    }
}
