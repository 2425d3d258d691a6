//! One file that changes: its bytes before and after, and putting either in place.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nix::fcntl::OFlag;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Trouble;
use super::attributes::Attributes;

/// Longer is no file that this changes: 1 MiB.
const MAX: u64 = 1 << 20;

/// What a file holds, and whose it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Content {
    /// Its bytes.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub bytes: Vec<u8>,
    /// Its mode, as in `0o644`.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// What it has besides, for the case that it is gone when it is put back; `None`: nobody has looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Attributes>,
}

/// Attributes do not count: whoever sets one, as a new label, has not edited the file, and it stays with the file.
impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        let of = |it: &Self| (it.mode, it.uid, it.gid);
        of(self) == of(other) && self.bytes == other.bytes
    }
}

impl Eq for Content {}

pub(super) fn to_base64<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&STANDARD.encode(bytes))
}

pub(super) fn from_base64<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    STANDARD.decode(String::deserialize(from)?).map_err(serde::de::Error::custom)
}

/// The place of the host that a file belongs to. The order is that of switching on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// PAM's common stacks, and what pam-auth-update(8) remembers of them.
    Pam,
    /// sshd's drop-in.
    Sshd,
    /// The name service switch.
    Nsswitch,
}

/// One file that changes; `None` is no file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Which file.
    pub path: PathBuf,
    /// Where it belongs.
    pub part: Part,
    /// What it is before.
    pub old: Option<Content>,
    /// What it is afterwards.
    pub new: Option<Content>,
}

impl Content {
    /// A new file of root that everybody may read.
    #[must_use]
    pub const fn fresh(bytes: Vec<u8>) -> Self {
        Self { bytes, mode: 0o644, uid: 0, gid: 0, attributes: None }
    }

    /// The same file with other bytes.
    #[must_use]
    pub fn with(&self, bytes: Vec<u8>) -> Self {
        let attributes = self.attributes.clone();
        Self { bytes, attributes, ..*self }
    }

    /// What the file is now; `None` when there is none.
    ///
    /// # Errors
    /// It is no regular file (a symbolic link is none: what it points to belongs to somebody else), or cannot be read.
    pub fn read(path: &Path) -> Result<Option<Self>, Trouble> {
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Ok(meta) if meta.is_symlink() => return Err(symlink(path)),
            Ok(_) | Err(_) => {}
        }
        Self::read_file(path).map(Some)
    }

    fn read_file(path: &Path) -> Result<Self, Trouble> {
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let opened = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path);
        let file = opened.map_err(|error| named(path, &error))?;
        let meta = file.metadata().map_err(|error| named(path, &error))?;
        if !meta.is_file() || meta.len() > MAX {
            let what =
                "it is no regular file of a sensible size; put one in its place and run the command again";
            return Err(Trouble::new(format!("{}: {what}", path.display())));
        }
        let attributes = Attributes::of(&file).map_err(|error| named(path, &error))?;
        let mut bytes = Vec::new();
        file.take(MAX).read_to_end(&mut bytes).map_err(|error| named(path, &error))?;
        let (mode, attributes) = (meta.mode() & 0o7777, Some(attributes));
        Ok(Self { bytes, mode, uid: meta.uid(), gid: meta.gid(), attributes })
    }
}

fn symlink(path: &Path) -> Trouble {
    let to = fs::read_link(path).unwrap_or_default();
    Trouble::new(format!(
        "{}: it is a symbolic link to {}, so something else manages it; make it a file (cp --remove-destination {} {}) \
         or change what it points to by hand, as the manual page svcauth(1) says, and run the command again",
        path.display(),
        to.display(),
        to.display(),
        path.display()
    ))
}

/// What the system said about a file, with what usually stands behind it.
pub(super) fn named(path: &Path, error: &io::Error) -> Trouble {
    let hint = match error.raw_os_error() {
        Some(libc::EPERM) => "; is it immutable? lsattr(1) shows it, chattr -i takes it away",
        Some(libc::EROFS) => "; mount it writable (mount -o remount,rw) and run the command again",
        Some(libc::EBUSY) => {
            "; something is mounted over it: change it where it comes from, outside of this host"
        }
        Some(libc::ENOSPC | libc::EDQUOT) => "; make room and run the command again",
        _ => "",
    };
    Trouble::new(format!("{}: {error}{hint}", path.display()))
}

/// Where the new bytes of a file are written before they take its place. No program reads a file of this name: libpam
/// opens files by the name of a service, and sshd those that end in `.conf`.
pub(super) fn temporary(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".svcauth-new");
    path.with_file_name(name)
}

/// Writes the bytes beside the file and syncs them; nobody sees them yet. Attributes are those that the file has now.
pub(super) fn prepare(path: &Path, content: &Content) -> Result<(), Trouble> {
    let temporary = temporary(path);
    discard(path)?;
    let write = || -> io::Result<()> {
        let attributes = Attributes::at(path)?.or_else(|| content.attributes.clone());
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        fchown(&file, Some(content.uid), Some(content.gid))?;
        attributes.map_or(Ok(()), |attributes| attributes.give(&file))?;
        file.set_permissions(Permissions::from_mode(content.mode))?;
        file.write_all(&content.bytes)?;
        file.sync_all()
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&temporary);
        named(path, &error)
    })
}

/// Puts what was prepared in the place of the file by one rename(2), or removes the file, and syncs the folder.
pub(super) fn commit(path: &Path, content: Option<&Content>) -> Result<(), Trouble> {
    let done = match content {
        Some(_) => fs::rename(temporary(path), path),
        None => fs::remove_file(path),
    };
    done.and_then(|()| sync_folder(path)).map_err(|error| named(path, &error))
}

/// Removes what was prepared, if there is something. (A file system that is read-only says so also about a file that is not
/// there.)
pub(super) fn discard(path: &Path) -> Result<(), Trouble> {
    let temporary = temporary(path);
    match fs::symlink_metadata(&temporary) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        _ => fs::remove_file(&temporary).map_err(|error| named(&temporary, &error)),
    }
}

/// Makes the names in the folder of this file outlive a power loss.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("svcauth-change-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn a_file_comes_back_with_its_bytes_and_mode_and_nothing_is_left_beside_it() {
        let folder = scratch("back");
        let path = folder.join("common-account");
        assert_eq!(Content::read(&path), Ok(None));
        fs::write(&path, b"old\xff").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let old = Content::read(&path).unwrap().unwrap();
        assert_eq!((old.bytes.as_slice(), old.mode), (b"old\xff".as_slice(), 0o640));
        for content in [Some(old.with(b"new".to_vec())), Some(old), None] {
            if let Some(content) = &content {
                prepare(&path, content).unwrap();
            }
            commit(&path, content.as_ref()).unwrap();
            assert_eq!(Content::read(&path), Ok(content));
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_is_prepared_is_not_seen_and_can_be_dropped() {
        let folder = scratch("prepared");
        let path = folder.join("10-svcauth.conf");
        prepare(
            &path,
            &Content {
                uid: nix::unistd::geteuid().as_raw(),
                gid: nix::unistd::getegid().as_raw(),
                ..Content::fresh(b"x".to_vec())
            },
        )
        .unwrap();
        assert!(!path.exists() && temporary(&path).exists());
        discard(&path).unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_symbolic_link_and_a_folder_are_refused_with_their_names() {
        let folder = scratch("odd");
        let (link, to) = (folder.join("nsswitch.conf"), folder.join("managed"));
        fs::write(&to, "passwd: files\n").unwrap();
        std::os::unix::fs::symlink(&to, &link).unwrap();
        let told = Content::read(&link).unwrap_err().to_string();
        assert!(told.contains("symbolic link") && told.contains("managed"), "{told}");
        assert!(Content::read(&folder).unwrap_err().to_string().contains("no regular file"));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_journal_keeps_any_bytes() {
        let change = Change {
            path: "/etc/x".into(),
            part: Part::Nsswitch,
            old: None,
            new: Some(Content::fresh(vec![0, 255, b'\n'])),
        };
        let text = serde_json::to_string(&change).unwrap();
        assert_eq!(serde_json::from_str::<Change>(&text).unwrap(), change);
    }
}
