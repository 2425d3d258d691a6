//! Forked children of a program that may have many threads.

use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `work` in a forked child, for at most five seconds; whether it said yes.
pub fn in_forked_child(work: impl FnOnce() -> bool) -> bool {
    // SAFETY: fork(2). In the child other threads are gone; `work` may call what copes with that: glibc's malloc does,
    // and whether the lookups do is what the caller tests.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // Long: on a busy machine a child may wait its turn. One that hangs never ends by itself.
        // SAFETY: alarm(2) has no preconditions.
        unsafe { libc::alarm(60) };
        let yes = catch_unwind(AssertUnwindSafe(work)).unwrap_or(false);
        // SAFETY: _exit(2) has no preconditions.
        unsafe { libc::_exit(c_int::from(!yes)) }
    }
    wait_for(child) == 0
}

/// waitpid(2): the raw status.
pub fn wait_for(child: libc::pid_t) -> c_int {
    let mut status = -1;
    // SAFETY: waitpid(2) of a child of our own.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(waited, child);
    status
}
