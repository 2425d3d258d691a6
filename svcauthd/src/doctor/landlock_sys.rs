//! Whether the kernel confines programs to some files for `svcauth-shell`. The kernel itself is asked: what it was built with and
//! started with is one half, and what a container allows (seccomp) the other.

use std::ptr;

use nix::libc;

/// `linux/landlock.h`: says the version, and makes nothing.
const VERSION: libc::c_uint = 1;

pub(super) fn is_possible() -> bool {
    // SAFETY: landlock_create_ruleset(2): with this flag the attributes must be NULL and their size 0, and nothing is read,
    // written or opened.
    let version = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, ptr::null::<libc::c_void>(), 0_usize, VERSION)
    };
    version >= 1
}
