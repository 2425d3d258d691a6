//! Keeps the programs of the proof from writing into the host's kernel audit log, which no namespace has of its own.
//!
//! sshd, su, sudo and libpam send a message for each login to the kernel's audit socket. In here that socket does not
//! exist, as in a kernel without auditing, which all of them are ready for. What the kernel writes by itself, where
//! auditing is switched on (a login's new audit session, rules about system calls), nobody can hold back.

use std::io;

use nix::libc;

/// `linux/netlink.h`: the protocol of the audit socket.
const NETLINK_AUDIT: u32 = 9;

/// Loads the word at this offset of `struct seccomp_data` (seccomp(2)).
const fn load(offset: usize) -> libc::sock_filter {
    // The offsets below are those of a structure of 64 bytes.
    word((libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16, 0, 0, offset as u32)
}

/// Goes on when the loaded word is `value`, else leaves out so many instructions.
const fn expect(value: u32, otherwise: u8) -> libc::sock_filter {
    word((libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16, 0, otherwise, value)
}

const fn answer(value: u32) -> libc::sock_filter {
    word((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, value)
}

const fn word(code: u16, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt, jf, k }
}

/// Where the low word of a system call's argument lies.
const fn argument(number: usize) -> usize {
    let low = if cfg!(target_endian = "big") { 4 } else { 0 };
    16 + 8 * number + low
}

/// From here on, for this process and all that it starts, `socket(AF_NETLINK, ..., NETLINK_AUDIT)` fails with
/// `EPROTONOSUPPORT`. Needs CAP_SYS_ADMIN. A process of another architecture than ours is not held back.
///
/// # Errors
/// The kernel knows no filters, or does not take this one.
pub(super) fn hide_kernel_audit() -> io::Result<()> {
    let mut filter = [
        load(0),
        expect(libc::SYS_socket as u32, 5),
        load(argument(0)),
        expect(libc::AF_NETLINK as u32, 3),
        load(argument(2)),
        expect(NETLINK_AUDIT, 1),
        answer(libc::SECCOMP_RET_ERRNO | libc::EPROTONOSUPPORT as u32),
        answer(libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: prctl(2), PR_SET_SECCOMP with SECCOMP_MODE_FILTER reads the program that its third argument points to, and
    // keeps no pointer; `program` and the `filter` of that length that it points to live until it returns.
    let result =
        unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program, 0, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::{NETLINK_AUDIT, argument, expect, libc};

    #[test]
    fn the_arguments_lie_where_seccomp_2_says() {
        let little = cfg!(target_endian = "little");
        assert_eq!((argument(0), argument(2)), if little { (16, 32) } else { (20, 36) });
        assert_eq!(std::mem::size_of::<libc::seccomp_data>(), 64);
        assert_eq!(expect(NETLINK_AUDIT, 1).jf, 1);
    }
}
