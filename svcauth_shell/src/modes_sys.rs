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
    (libc::SYS_openat, 3),
    (libc::SYS_mknodat, 2),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chmod, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, 2),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_creat, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mknod, 1),
];
/// The same number everywhere (Linux 6.6).
const FCHMODAT2: c_long = 452;
/// Its mode is in memory, which a filter cannot read. Programs do without it, as before Linux 5.6.
const OPENAT2: c_long = 437;

/// Where the number of the call and its first argument stand in what a filter looks at (`struct seccomp_data`), in bytes.
const NUMBER: u32 = 0;
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
    let mut filter = vec![load(NUMBER)];
    for (number, argument) in CALLS {
        filter.extend([
            // Not this call: past the four that follow.
            jump(libc::BPF_JEQ, call(*number), 0, 4),
            load(ARGUMENTS + 8 * argument + LOWER),
            jump(libc::BPF_JSET, libc::S_ISUID, 0, 1),
            end(libc::SECCOMP_RET_ERRNO, libc::EPERM),
            end(libc::SECCOMP_RET_ALLOW, 0),
        ]);
    }
    filter.push(jump(libc::BPF_JEQ, call(OPENAT2), 0, 1));
    filter.push(end(libc::SECCOMP_RET_ERRNO, libc::ENOSYS));
    filter.push(end(libc::SECCOMP_RET_ALLOW, 0));
    filter
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

fn end(action: u32, errno: i32) -> sock_filter {
    one(libc::BPF_RET | libc::BPF_K, action | errno.unsigned_abs(), 0, 0)
}

fn one(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: u16::try_from(code).unwrap_or_default(), jt, jf, k }
}
