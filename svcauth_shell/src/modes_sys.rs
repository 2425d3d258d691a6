//! What a transfer may not make of a file: a program that runs as the account, whoever starts it.
//!
//! Landlock knows no rule for modes (landlock(7)). Whoever could make an uploaded program set-uid, and is somebody else on this
//! host besides, would run it as the account: not limited, not recorded, as nobody in particular. So the calls that a transfer
//! gives files their modes by are looked at by seccomp(2). Only those that the host's own rsync, scp and sftp-server make count:
//! nothing that comes from the client runs there.
#![allow(unsafe_code, reason = "prctl(2) takes a pointer: the file that the project keeps it in")]

use libc::{c_long, sock_filter, sock_fprog};
use nix::errno::Errno;

/// Calls with a mode, and which of their arguments it is.
const CALLS: &[(c_long, u32)] = &[
    (libc::SYS_fchmod, 1),
    (libc::SYS_fchmodat, 2),
    (FCHMODAT2, 2),
    (libc::SYS_mknodat, 2),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chmod, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_creat, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mknod, 1),
];
/// Calls whose mode counts only when they may make a file, and which of their arguments says so; the mode is the next one.
/// Otherwise anything may stand there (open(2)).
const OPENS: &[(c_long, u32)] = &[
    (libc::SYS_openat, 2),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, 1),
];
/// `O_TMPFILE` also means `O_DIRECTORY`, which makes nothing.
const MAKES: i32 = libc::O_CREAT | (libc::O_TMPFILE & !libc::O_DIRECTORY);
/// The same number everywhere (Linux 6.6).
const FCHMODAT2: c_long = 452;
/// Its mode is in memory, which a filter cannot read. Programs do without it, as before Linux 5.6.
const OPENAT2: c_long = 437;

/// Whose numbers the above are (`linux/audit.h`). The kernel serves those of 32-bit programs as well, which mean other calls.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: Option<u32> = Some(0xc000_003e);
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: Option<u32> = Some(0xc000_00b7);
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const ARCHITECTURE: Option<u32> = None;
/// From here on the numbers are those of x32, where the kernel has it.
#[cfg(target_arch = "x86_64")]
const OTHERS: Option<u32> = Some(0x4000_0000);
#[cfg(not(target_arch = "x86_64"))]
const OTHERS: Option<u32> = None;

/// Where the number of the call, its architecture and its first argument stand in what a filter looks at (`struct seccomp_data`), in bytes.
const NUMBER: u32 = 0;
const CALLED_AS: u32 = 4;
const ARGUMENTS: u32 = 16;
/// The lower half of an argument, which holds a mode.
const LOWER: u32 = if cfg!(target_endian = "big") { 4 } else { 0 };

/// Keeps this process and all that come from it from making set-uid files. It must not gain rights by execve(2) any more.
///
/// # Errors
/// The kernel has no filters.
pub(crate) fn forbid_set_uid() -> nix::Result<()> {
    let mut filter = filter();
    let len = u16::try_from(filter.len()).map_err(|_| Errno::E2BIG)?;
    let program = sock_fprog { len, filter: filter.as_mut_ptr() };
    // SAFETY: PR_SET_SECCOMP with SECCOMP_MODE_FILTER reads one sock_fprog and `len` sock_filter behind its pointer
    // (PR_SET_SECCOMP(2const)); both live until it comes back, and the kernel keeps a copy.
    let done = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    Errno::result(done).map(drop)
}

fn filter() -> Vec<sock_filter> {
    let mut filter = Vec::new();
    if let Some(own) = ARCHITECTURE {
        filter.extend([load(CALLED_AS), jump(libc::BPF_JEQ, own, 1, 0), refuse(libc::ENOSYS)]);
    }
    filter.push(load(NUMBER));
    if let Some(others) = OTHERS {
        filter.extend([jump(libc::BPF_JGE, others, 0, 1), refuse(libc::ENOSYS)]);
    }
    for (number, mode) in CALLS {
        // Not this call: past those that look at its mode.
        filter.extend([jump(libc::BPF_JEQ, call(*number), 0, 4)]);
        filter.extend(without_set_uid(*mode));
    }
    for (number, flags) in OPENS {
        filter.extend([
            jump(libc::BPF_JEQ, call(*number), 0, 7),
            load_argument(*flags),
            jump(libc::BPF_JSET, MAKES.unsigned_abs(), 1, 0),
            allow(),
        ]);
        filter.extend(without_set_uid(flags + 1));
    }
    filter.extend([jump(libc::BPF_JEQ, call(OPENAT2), 0, 1), refuse(libc::ENOSYS), allow()]);
    filter
}

/// Ends here: by the mode that this argument is.
fn without_set_uid(mode: u32) -> [sock_filter; 4] {
    [load_argument(mode), jump(libc::BPF_JSET, libc::S_ISUID, 0, 1), refuse(libc::EPERM), allow()]
}

fn call(number: c_long) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn load(offset: u32) -> sock_filter {
    one(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, 0, 0)
}

fn jump(how: u32, with: u32, jt: u8, jf: u8) -> sock_filter {
    one(libc::BPF_JMP | how | libc::BPF_K, with, jt, jf)
}

fn load_argument(index: u32) -> sock_filter {
    load(ARGUMENTS + 8 * index + LOWER)
}

fn refuse(errno: i32) -> sock_filter {
    one(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | errno.unsigned_abs(), 0, 0)
}

fn allow() -> sock_filter {
    one(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0, 0)
}

fn one(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: u16::try_from(code).unwrap_or_default(), jt, jf, k }
}

#[cfg(test)]
mod tests {
    use std::ffi::{CStr, CString};
    use std::fs::{self, File, Permissions};
    use std::io;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    use std::path::Path;

    use nix::libc::{self, c_long};
    use nix::sys::prctl::set_no_new_privs;

    use super::{FCHMODAT2, OPENAT2, forbid_set_uid};

    fn error(done: c_long) -> i32 {
        if done >= 0 { 0 } else { io::Error::last_os_error().raw_os_error().unwrap() }
    }

    /// A call that takes a path from here and one more word.
    fn call(number: c_long, path: &CStr, word: c_long) -> i32 {
        // SAFETY: each that is called by this reads the path, which ends with a 0, and follows no other address than 0.
        error(unsafe { libc::syscall(number, c_long::from(libc::AT_FDCWD), path.as_ptr(), word, 0) })
    }

    /// Makes the file with this mode.
    fn made(path: &Path, mode: u32) -> io::Result<File> {
        let _ = fs::remove_file(path);
        File::options().write(true).create_new(true).mode(mode).open(path)
    }

    fn set_uid_is_refused_and_all_else_done(folder: &Path) {
        let file = folder.join("file");
        made(&file, 0o4755).expect("before the filter it can be made");
        set_no_new_privs().unwrap();
        forbid_set_uid().unwrap();
        let c = CString::new(file.as_os_str().as_bytes()).unwrap();
        for (mode, expected) in
            [(0o755, 0), (0o2755, 0), (0o1777, 0), (0o4755, libc::EPERM), (0o6755, libc::EPERM)]
        {
            let changed = fs::set_permissions(&file, Permissions::from_mode(mode));
            assert_eq!(
                changed.map_or_else(|error| error.raw_os_error().unwrap(), |()| 0),
                expected,
                "{mode:o}"
            );
            let again = made(&file, mode);
            assert_eq!(again.map_or_else(|error| error.raw_os_error().unwrap(), |_| 0), expected, "{mode:o}");
            made(&file, 0o644).unwrap();
            let at = call(FCHMODAT2, &c, mode.into());
            let node = call(libc::SYS_mknodat, &c, c_long::from(libc::S_IFREG | mode));
            assert!([expected, libc::ENOSYS].contains(&at), "fchmodat2 {mode:o}");
            let there = if expected == 0 { libc::EEXIST } else { expected };
            assert_eq!(node, there, "mknodat {mode:o}");
        }
        // What it refers to is not there, and is not looked at.
        assert_eq!(call(OPENAT2, &c, 0), libc::ENOSYS);
        // Nothing is made, so that the last word is no mode.
        let flags = libc::O_RDONLY | libc::O_CLOEXEC;
        // SAFETY: openat(2) reads the path, which ends with a 0.
        let opened = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, c.as_ptr(), flags, u64::MAX) };
        assert_eq!(error(opened), 0);
    }

    #[test]
    fn a_process_with_the_filter_makes_no_set_uid_file_and_any_other() {
        let folder = std::env::temp_dir().join(format!("svcauth-modes-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        // A filter is for one thread, and for good.
        std::thread::scope(|scope| {
            scope.spawn(|| set_uid_is_refused_and_all_else_done(&folder));
        });
        fs::remove_dir_all(&folder).unwrap();
    }
}
