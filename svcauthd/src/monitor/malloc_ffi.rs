//! How the C library's allocator gives memory back (mallopt(3)).

/// Blocks of this size and larger come from the kernel one by one, and go back to it one by one. In bytes.
#[cfg(target_env = "gnu")]
const LARGE: libc::c_int = 128 << 10;

/// Keeps large blocks apart from small ones.
///
/// By default the limit grows with the largest block that was ever freed, here the tens of megabytes of a snapshot, and
/// memory is kept for as much again: with 100,000 accounts a monitor would have 230 MB at its peak in place of 180.
#[cfg(target_env = "gnu")]
pub(super) fn return_large_blocks() {
    // SAFETY: mallopt(3) takes two integers and may be called at any time; it changes where later allocations lie and
    // nothing about those that are there.
    let _ = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) };
}

/// Other C libraries have nothing to be told.
#[cfg(not(target_env = "gnu"))]
pub(super) const fn return_large_blocks() {}
