//! Reading a file in the home of somebody who may have prepared it for root: no link in the home is followed, nothing is
//! waited for, and no more is read than a file of keys is long.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

/// Bytes of a file that are read: ten thousand keys.
const BYTES_MAX: u64 = 4 << 20;

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Contents {
    /// There is no such file.
    Missing,
    /// The whole file.
    Whole(Vec<u8>),
    /// As much as was read of a file that is longer.
    Beginning(Vec<u8>),
}

/// Reads a file of a home, or one elsewhere.
///
/// # Errors
/// Why it is not read, for the administrator.
pub(crate) fn read(home: &Path, path: &Path) -> Result<Contents, String> {
    let opened = match path.strip_prefix(home) {
        Ok(below) => open_below(home, below),
        Err(_) => open_elsewhere(path),
    };
    let file = match opened {
        Ok(file) => file,
        Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(Contents::Missing),
        // O_NOFOLLOW says so of a link where a folder is wanted, too (openat(2)).
        Err(Errno::ELOOP) => return Err("a symbolic link, not followed".to_owned()),
        Err(error) => return Err(error.desc().to_owned()),
    };
    if !file.metadata().map_err(|error| error.to_string())?.is_file() {
        return Err("no regular file".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > BYTES_MAX {
        bytes.truncate(usize::try_from(BYTES_MAX).unwrap_or(usize::MAX));
        return Ok(Contents::Beginning(bytes));
    }
    Ok(Contents::Whole(bytes))
}

const CAREFUL: OFlag =
    OFlag::O_NOFOLLOW.union(OFlag::O_CLOEXEC).union(OFlag::O_NOCTTY).union(OFlag::O_NONBLOCK);

/// The home itself is a name that root or the directory gave; from there on every step belongs to the account.
fn open_below(home: &Path, below: &Path) -> Result<File, Errno> {
    let folder = OFlag::O_DIRECTORY.union(OFlag::O_CLOEXEC);
    let home = OpenOptions::new().read(true).custom_flags(folder.bits()).open(home).map_err(errno)?;
    let mut at = OwnedFd::from(home);
    let mut steps = below.components().peekable();
    while let Some(step) = steps.next() {
        let Component::Normal(name) = step else { return Err(Errno::ELOOP) };
        let kind = if steps.peek().is_some() { OFlag::O_PATH } else { OFlag::O_RDONLY };
        at = openat(&at, name, kind | CAREFUL, Mode::empty())?;
        if kind == OFlag::O_PATH && is_link(&at)? {
            return Err(Errno::ELOOP);
        }
    }
    Ok(File::from(at))
}

/// `O_PATH` with `O_NOFOLLOW` opens a link itself (open(2)).
fn is_link(at: &OwnedFd) -> Result<bool, Errno> {
    let mode = nix::sys::stat::fstat(at)?.st_mode;
    Ok(mode & nix::libc::S_IFMT == nix::libc::S_IFLNK)
}

fn open_elsewhere(path: &Path) -> Result<File, Errno> {
    OpenOptions::new().read(true).custom_flags(CAREFUL.bits()).open(path).map_err(errno)
}

fn errno(error: io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;
    use std::time::Instant;

    use super::{BYTES_MAX, Contents, read};

    fn home(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("svcauth-key-file-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join(".ssh")).unwrap();
        path
    }

    #[test]
    fn a_plain_file_is_read_and_one_that_is_not_there_is_missing() {
        let home = home("plain");
        let file = home.join(".ssh/authorized_keys");
        assert_eq!(read(&home, &file), Ok(Contents::Missing));
        assert_eq!(read(&home.join("none"), &home.join("none/.ssh/authorized_keys")), Ok(Contents::Missing));
        fs::write(&file, "keys").unwrap();
        assert_eq!(read(&home, &file), Ok(Contents::Whole(b"keys".to_vec())));
        // A file of the administrator, outside every home.
        assert_eq!(read(&home.join("other"), &file), Ok(Contents::Whole(b"keys".to_vec())));
        // The home itself may be a link, which the administrator made.
        let link = home.with_extension("link");
        let _ = fs::remove_file(&link);
        symlink(&home, &link).unwrap();
        assert_eq!(read(&link, &link.join(".ssh/authorized_keys")), Ok(Contents::Whole(b"keys".to_vec())));
        fs::remove_file(&link).unwrap();
        fs::remove_dir_all(&home).unwrap();
    }

    #[test]
    fn links_pipes_folders_and_ways_up_are_refused_and_nobody_waits() {
        let home = home("hostile");
        let started = Instant::now();
        let at = |name: &str| home.join(name);
        fs::write(at("real"), "secret").unwrap();
        symlink(at("real"), at(".ssh/link")).unwrap();
        symlink("/etc", at("etc")).unwrap();
        symlink(at(".ssh"), at("alias")).unwrap();
        fs::write(at(".ssh/keys"), "k").unwrap();
        nix::unistd::mkfifo(&at(".ssh/pipe"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        fs::create_dir(at(".ssh/folder")).unwrap();
        for (name, why) in [
            (".ssh/link", "symbolic link"),
            ("etc/passwd", "symbolic link"),
            ("alias/keys", "symbolic link"),
            ("../x", "symbolic link"),
            (".ssh/pipe", "no regular file"),
            (".ssh/folder", "no regular file"),
        ] {
            let refused = read(&home, &at(name)).unwrap_err();
            assert!(refused.contains(why), "{name}: {refused}");
        }
        assert_eq!(read(&home, &at("real/keys")), Ok(Contents::Missing));
        assert!(started.elapsed().as_secs() < 60);
        fs::remove_dir_all(&home).unwrap();
    }

    #[test]
    fn of_a_file_without_end_only_the_beginning_is_read() {
        let home = home("long");
        let file = home.join(".ssh/authorized_keys");
        fs::File::create(&file).unwrap().set_len(1 << 40).unwrap();
        let Ok(Contents::Beginning(bytes)) = read(&home, &file) else { panic!("read as a whole") };
        assert_eq!(bytes.len() as u64, BYTES_MAX);
        fs::remove_dir_all(&home).unwrap();
    }
}
