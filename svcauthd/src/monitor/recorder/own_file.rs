//! Files that nobody but the daemon's own user can have written.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::Path;

use nix::fcntl::OFlag;
use nix::unistd::geteuid;

/// Opens a plain file to read and to append, and makes it ours where it was given away: what is in it proves itself. `None`
/// when there is none. Never waits, never follows a link.
pub(super) fn open(path: &Path) -> io::Result<Option<File>> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let opened = OpenOptions::new().read(true).append(true).custom_flags(flags.bits()).open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    if meta.uid() != geteuid().as_raw() {
        fchown(&file, Some(geteuid().as_raw()), None)?;
    }
    if meta.mode() & 0o022 != 0 {
        file.set_permissions(Permissions::from_mode(meta.mode() & 0o7755))?;
    }
    Ok(Some(file))
}

/// A small text; `None` when there is none.
pub(super) fn read(path: &Path, most: u64) -> io::Result<Option<String>> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    check(&file)?;
    let mut text = String::new();
    if file.take(most).read_to_string(&mut text)? as u64 >= most {
        return Err(io::Error::other("it is longer than it may be"));
    }
    Ok(Some(text))
}

fn check(file: &File) -> io::Result<()> {
    let meta = file.metadata()?;
    let what = if !meta.is_file() {
        "it is no plain file"
    } else if meta.uid() != geteuid().as_raw() {
        "it belongs to another user"
    } else if meta.mode() & 0o022 != 0 {
        "others can write it"
    } else {
        return Ok(());
    };
    Err(io::Error::other(what))
}

/// The same error, with the file in front.
pub(super) fn named(path: &Path) -> impl Fn(io::Error) -> io::Error + '_ {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
