//! Starting the keeper of a keytab beside a worker. Both live and die together, and a changed keytab ends them.

use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::config_file::Keytab;
use crate::local_names::Ids;

/// A keeper, and what it was given.
pub(super) struct Kept {
    child: Child,
    keytab: Keytab,
}

impl Kept {
    /// Starts a keeper; the descriptor is its worker's end of their socket.
    ///
    /// It begins as root and becomes the user by itself: see [`crate::keeper::run`].
    pub(super) fn start(user: Ids, keytab: Keytab) -> io::Result<(Self, OwnedFd)> {
        let (socket, theirs) = UnixStream::pair()?;
        let mut command = Command::new("/proc/self/exe");
        command.arg0("svcauthd").args(["keeper", &user.uid.to_string(), &user.gid.to_string(), "--"]);
        command.args(&keytab.principal).env_clear().current_dir("/");
        let given = Stdio::from(sealed(&keytab.bytes)?);
        let child = command.stdin(given).stdout(Stdio::from(OwnedFd::from(theirs))).spawn()?;
        Ok((Self { child, keytab }, OwnedFd::from(socket)))
    }

    /// Whether it lives and has this keytab.
    pub(super) fn has(&mut self, keytab: &Keytab) -> bool {
        self.keytab == *keytab && matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // Already dead is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The bytes in a file without a name, which nobody can change any more.
fn sealed(bytes: &[u8]) -> io::Result<OwnedFd> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let mut file = std::fs::File::from(memfd_create("svcauth-keytab", flags)?);
    file.write_all(bytes)?;
    let seals =
        SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use super::sealed;
    use std::fs::File;
    use std::io::Write as _;
    use std::os::unix::fs::FileExt as _;

    #[test]
    fn a_sealed_keytab_can_be_read_and_not_changed() {
        let mut file = File::from(sealed(b"\x05\x02key").unwrap());
        let mut read = [0; 5];
        file.read_exact_at(&mut read, 0).unwrap();
        assert_eq!(&read, b"\x05\x02key");
        assert!(file.write_all(b"x").is_err());
        assert!(file.write_all_at(b"x", 0).is_err());
        assert!(file.set_len(0).is_err());
    }
}
