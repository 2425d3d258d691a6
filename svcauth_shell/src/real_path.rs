//! Opening the path of a rule, without following a link that somebody but root has made.
//!
//! Who may write the folder that holds a path of a rule could replace it by a link to `/`, and the next command would be
//! confined to that.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open as open_path, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};

/// As many as the kernel follows (path_resolution(7)).
const LINKS_MAX: u32 = 40;

const FLAGS: OFlag = OFlag::O_PATH.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// Opens an absolute path, to name it and not to read it.
///
/// # Errors
/// What is wrong with it, to be said behind its name.
pub(crate) fn open(path: &str) -> Result<OwnedFd, String> {
    if !path.starts_with('/') {
        return Err("does not begin with /".to_owned());
    }
    let mut links = 0;
    let mut rest = parts(OsStr::new(path));
    let mut here = root()?;
    while let Some(part) = rest.pop_front() {
        let next = openat(&here, part.as_os_str(), FLAGS, Mode::empty()).map_err(why)?;
        let stat = fstat(&next).map_err(why)?;
        if kind(&stat) != SFlag::S_IFLNK {
            here = next;
            continue;
        }
        links += 1;
        if stat.st_uid != 0 || links > LINKS_MAX {
            return Err(format!(
                "leads through the link {}, which somebody but root has made; write the path without links",
                part.to_string_lossy()
            ));
        }
        let target = readlinkat(&next, "").map_err(why)?;
        if target.as_bytes().first() == Some(&b'/') {
            here = root()?;
        }
        let mut target = parts(&target);
        target.append(&mut rest);
        rest = target;
    }
    Ok(here)
}

fn root() -> Result<OwnedFd, String> {
    open_path("/", FLAGS, Mode::empty()).map_err(why)
}

fn parts(path: &OsStr) -> VecDeque<OsString> {
    let parts = path.as_bytes().split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    parts.map(|part| OsStr::from_bytes(part).to_owned()).collect()
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}

fn why(errno: Errno) -> String {
    match errno {
        Errno::ENOENT | Errno::ENOTDIR => "does not exist".to_owned(),
        Errno::EACCES => "cannot be reached by this account".to_owned(),
        other => format!("cannot be opened: {}", other.desc()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsRawFd as _;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use super::open;

    fn opened(path: &str) -> Result<PathBuf, String> {
        open(path).map(|fd| fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap())
    }

    #[test]
    fn a_path_without_links_and_one_with_links_of_root_are_opened() {
        assert_eq!(opened("/"), Ok("/".into()));
        assert_eq!(opened("//usr/./bin/"), Ok("/usr/bin".into()));
        assert_eq!(opened("/usr/bin/../lib"), Ok("/usr/lib".into()));
        // A link of the distribution's, by root, relative or not.
        let link = "/etc/mtab";
        if fs::symlink_metadata(link).is_ok_and(|found| found.is_symlink()) {
            assert!(opened(link).unwrap().starts_with("/proc"), "{:?}", opened(link));
        }
    }

    #[test]
    fn what_is_not_there_is_said_so() {
        assert_eq!(opened("/nowhere/at/all"), Err("does not exist".to_owned()));
        assert_eq!(opened("/etc/passwd/x"), Err("does not exist".to_owned()));
        assert_eq!(opened("relative"), Err("does not begin with /".to_owned()));
    }

    #[test]
    fn a_link_of_somebody_but_root_is_not_followed() {
        let folder = std::env::temp_dir().join(format!("svcauth-real-path-{}", std::process::id()));
        fs::create_dir_all(folder.join("target")).unwrap();
        let link = folder.join("link");
        symlink("target", &link).unwrap();
        let owner = std::os::unix::fs::lchown(&link, Some(12345), Some(12345));
        let found = opened(link.to_str().unwrap());
        let plain = opened(folder.join("target").to_str().unwrap());
        let _ = fs::remove_dir_all(&folder);
        assert_eq!(plain, Ok(folder.join("target")));
        // Without root the link is the tester's own, who is not root either.
        assert!(owner.is_ok() || !nix::unistd::geteuid().is_root());
        assert!(found.unwrap_err().contains("which somebody but root has made"));
    }
}
