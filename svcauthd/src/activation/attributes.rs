//! What a file has besides bytes, owner and mode: the access control list, the attributes that somebody gave it, the label of
//! SELinux. They belong to the place: a file that takes the place of another one gets what that one had.
//!
//! Never carried over is what vouches for the bytes (`security.ima`, `security.evm`) or gives rights to a program.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::fcntl::OFlag;
use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fremovexattr, fsetxattr};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::change::{from_base64, to_base64};

/// The access control list of acl(5); the mode is a part of it.
const ACL: &[u8] = b"system.posix_acl_access";
/// The label of SELinux.
const LABEL: &[u8] = b"security.selinux";
/// Whoever may write a file may give it attributes of this kind (xattr(7)).
const OF_USERS: &[u8] = b"user.";
/// No name list and no value is longer: `XATTR_LIST_MAX`, `XATTR_SIZE_MAX`.
const MAX: usize = 64 << 10;

/// All of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes(Vec<Attribute>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Attribute {
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    name: Vec<u8>,
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    value: Vec<u8>,
}

impl Attributes {
    /// Those of the file that is at this path now; `None` when there is none.
    pub(super) fn at(path: &Path) -> io::Result<Option<Self>> {
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        match OpenOptions::new().read(true).custom_flags(flags.bits()).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
            Ok(file) => Self::of(&file).map(Some),
        }
    }

    /// Those of an open file.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let mut list = vec![0; MAX];
        let len = match flistxattr(file, list.as_mut_slice()) {
            Err(Errno::OPNOTSUPP) => return Ok(Self::default()),
            other => other?,
        };
        list.truncate(len);
        let mut found = Vec::new();
        for name in list.split(|byte| *byte == 0).filter(|name| is_carried(name)) {
            found.extend(value(file, name)?.map(|value| Attribute { name: name.to_vec(), value }));
        }
        Ok(Self(found))
    }

    /// Gives them to a new file. To be called before its mode is set, which is the last word about a list. A label that the
    /// kernel does not take is left to the kernel: a new file has the one of its folder.
    pub(super) fn give(&self, file: &File) -> io::Result<()> {
        if !self.0.iter().any(|it| it.name == ACL) {
            // The folder may give a list to every new file in it.
            match fremovexattr(file, ACL) {
                Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
                Err(error) => return Err(error.into()),
            }
        }
        for Attribute { name, value } in &self.0 {
            match fsetxattr(file, name.as_slice(), value, XattrFlags::empty()) {
                Err(error) if name != LABEL => return Err(error.into()),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }
}

fn is_carried(name: &[u8]) -> bool {
    name == ACL || name == LABEL || name.starts_with(OF_USERS)
}

/// `None` when somebody has just taken it away.
fn value(file: &File, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut value = vec![0; MAX];
    match fgetxattr(file, name, value.as_mut_slice()) {
        Err(Errno::NODATA) => Ok(None),
        Err(error) => Err(error.into()),
        Ok(len) => {
            value.truncate(len);
            Ok(Some(value))
        }
    }
}

#[cfg(test)]
#[path = "attributes_tests.rs"]
mod tests;
