//! A line on the terminal of a session that ends. Nobody waits for a terminal: one that was stopped with ^S gets no line.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};

use nix::fcntl::OFlag;
use svcauth_core::audit::escape::for_terminal;

/// The major number of pseudo-terminals (devpts, Documentation/admin-guide/devices.txt).
const PTS_MAJOR: u32 = 136;

/// Writes the line to the pseudo-terminal with this device number, as /proc/PID/stat has it; whether it took the line.
///
/// It must belong to one of `owners`: a number that was given to a new login in the meantime is somebody else's screen.
pub(super) fn tell(device: u32, owners: &[u32], line: &str) -> bool {
    let (major, minor) = split(device);
    if major != PTS_MAJOR {
        return false;
    }
    let Some(mut terminal) = open(&format!("/dev/pts/{minor}"), (major, minor), owners) else { return false };
    // Raw mode makes no carriage return of its own.
    let bytes = format!("\r\n{}\r\n", for_terminal(line));
    // One write, and what does not fit is lost: nothing here may wait.
    matches!(terminal.write(bytes.as_bytes()), Ok(written) if written == bytes.len())
}

/// Opens it for writing without making it anybody's controlling terminal, and without following or waiting for anything.
fn open(path: &str, numbers: (u32, u32), owners: &[u32]) -> Option<File> {
    let flags = OFlag::O_NOCTTY | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW;
    let terminal = OpenOptions::new().write(true).custom_flags(flags.bits()).open(path).ok()?;
    let meta = terminal.metadata().ok()?;
    let same = (nix::sys::stat::major(meta.rdev()), nix::sys::stat::minor(meta.rdev()))
        == (u64::from(numbers.0), u64::from(numbers.1));
    (meta.file_type().is_char_device() && same && owners.contains(&meta.uid())).then_some(terminal)
}

/// Major and minor number as the kernel packs them for user space (new_encode_dev in include/linux/kdev_t.h).
const fn split(device: u32) -> (u32, u32) {
    ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xf_ff00))
}

#[cfg(test)]
mod tests {
    use super::{open, split, tell};

    #[test]
    fn device_numbers_are_taken_apart_as_the_kernel_packs_them() {
        assert_eq!(split(34_816), (136, 0));
        assert_eq!(split(34_817), (136, 1));
        assert_eq!(split(34_816 + 255), (136, 255));
        assert_eq!(split((1 << 20) | 34_816), (136, 256));
        assert_eq!(split(1025), (4, 1));
    }

    #[test]
    fn only_the_very_device_is_opened_and_only_for_its_owner() {
        assert!(open("/dev/null", (1, 3), &[0]).is_some());
        assert!(open("/dev/null", (1, 4), &[0]).is_none(), "another device");
        assert!(open("/dev/null", (1, 3), &[7001]).is_none(), "another's device");
        let link = std::env::temp_dir().join(format!("svcauth-terminal-{}", std::process::id()));
        std::os::unix::fs::symlink("/dev/null", &link).unwrap();
        assert!(open(link.to_str().unwrap(), (1, 3), &[0]).is_none(), "a link");
        std::fs::remove_file(&link).unwrap();
        assert!(!tell(1025, &[0], "a console is no pseudo-terminal"));
    }
}
