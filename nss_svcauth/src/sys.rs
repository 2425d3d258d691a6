//! System calls. Each is named, with its contract, where it is made; nothing else of libc is called in this crate
//! but strnlen(3) in `abi.rs`.

use core::ffi::{CStr, c_int, c_void};
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::slice;

use svcauth_core::snapshot::{ReadAt, Unreadable};

use crate::refusal::Refusal;

const SNAPSHOT: &CStr = c"/var/lib/svcauth/accounts.snap";
/// `PTHREAD_CANCEL_DISABLE` of glibc's pthread.h.
const CANCEL_DISABLE: c_int = 1;
const WRITABLE_BY_OTHERS: libc::mode_t = libc::S_IWGRP | libc::S_IWOTH;

unsafe extern "C" {
    // SAFETY of `safe`: pthread_setcancelstate(3) takes any state, and an exclusive reference is a valid place for the old one.
    safe fn pthread_setcancelstate(state: c_int, old: &mut c_int) -> c_int;
}

/// Runs `work` so that the host does not notice it: errno is put back, and the thread cannot be cancelled in the
/// middle (open, pread and close are cancellation points, pthreads(7)), which would leak the descriptor.
pub(crate) fn unnoticed<T>(work: impl FnOnce() -> T) -> T {
    let mut cancel_state = 0;
    // It fails only for a state that does not exist.
    let _ = pthread_setcancelstate(CANCEL_DISABLE, &mut cancel_state);
    let before = errno();
    let outcome = work();
    set_errno(before);
    let mut disabled = 0;
    let _ = pthread_setcancelstate(cancel_state, &mut disabled);
    outcome
}

/// The open snapshot; closed when dropped. Its owner and mode have been checked.
pub(crate) struct SnapshotFile(c_int);

impl SnapshotFile {
    /// Opens the snapshot and returns it with its length in bytes.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`]: with open(2)'s errno, or EPERM when it is not a regular file that only root can write.
    pub(crate) fn open() -> Result<(Self, u64), Refusal> {
        let flags = libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
        // SAFETY: open(2) asks for a NUL-terminated path, which SNAPSHOT is.
        let fd = unsafe { libc::open(SNAPSHOT.as_ptr(), flags) };
        if fd < 0 {
            return Err(Refusal::Unavailable(errno()));
        }
        let file = Self(fd);
        let status = file.status()?;
        let trusted = status.st_mode & libc::S_IFMT == libc::S_IFREG
            && status.st_uid == 0
            && status.st_mode & WRITABLE_BY_OTHERS == 0;
        match u64::try_from(status.st_size) {
            Ok(len) if trusted => Ok((file, len)),
            _ => Err(Refusal::Unavailable(libc::EPERM)),
        }
    }

    fn status(&self) -> Result<libc::stat, Refusal> {
        let mut status = MaybeUninit::<libc::stat>::uninit();
        // SAFETY: fstat(2) asks for room for one struct stat, which `status` is.
        if unsafe { libc::fstat(self.0, status.as_mut_ptr()) } != 0 {
            return Err(Refusal::Unavailable(errno()));
        }
        // SAFETY: fstat(2) fills the struct when it returns 0.
        Ok(unsafe { status.assume_init() })
    }

    /// pread(2) once: how many bytes came.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, Unreadable> {
        let offset = libc::off_t::try_from(offset).map_err(|_| Unreadable)?;
        loop {
            // SAFETY: pread(2) writes at most `into.len()` bytes into a buffer that is exclusively ours.
            let got = unsafe { libc::pread(self.0, into.as_mut_ptr().cast(), into.len(), offset) };
            match usize::try_from(got) {
                Ok(got) => return Ok(got),
                Err(_) if errno() == libc::EINTR => {}
                Err(_) => return Err(Unreadable),
            }
        }
    }
}

impl ReadAt for SnapshotFile {
    fn read_exact_at(&self, mut offset: u64, mut into: &mut [u8]) -> Result<(), Unreadable> {
        while !into.is_empty() {
            let got = self.read_at(offset, into)?;
            if got == 0 {
                return Err(Unreadable);
            }
            into = into.get_mut(got..).ok_or(Unreadable)?;
            offset = offset.checked_add(got as u64).ok_or(Unreadable)?;
        }
        Ok(())
    }
}

impl Drop for SnapshotFile {
    fn drop(&mut self) {
        // SAFETY: close(2) of a descriptor that this value opened and nobody else was given. On Linux it is closed
        // whatever close returns, so the result says nothing.
        let _ = unsafe { libc::close(self.0) };
    }
}

/// Memory for one record, given back when dropped.
pub(crate) struct Scratch {
    start: NonNull<u8>,
    len: usize,
}

impl Scratch {
    /// `len` bytes, of which there must be at least one.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`] with ENOMEM.
    pub(crate) fn new(len: usize) -> Result<Self, Refusal> {
        // SAFETY: calloc(3) has no preconditions.
        let start = unsafe { libc::calloc(len, 1) };
        match NonNull::new(start.cast()) {
            Some(start) => Ok(Self { start, len }),
            None => Err(Refusal::Unavailable(libc::ENOMEM)),
        }
    }

    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: `start` is the beginning of `len` bytes that calloc zeroed and that belong to this value alone.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // SAFETY: free(3) of what calloc returned, once.
        unsafe { libc::free(self.start.as_ptr().cast()) }
    }
}

/// The array at `start`, moved if need be to where `len` elements fit; `None`, and the old array intact, without memory.
///
/// # Safety
/// As realloc(3): `start` is null or came from malloc(3) and is not used again after a new place is returned.
pub(crate) unsafe fn resize_array<T>(start: *mut T, len: usize) -> Option<NonNull<T>> {
    let bytes = len.checked_mul(size_of::<T>()).filter(|bytes| *bytes > 0)?;
    // SAFETY: the contract of this function is that of realloc(3), and `bytes` is not 0.
    NonNull::new(unsafe { libc::realloc(start.cast::<c_void>(), bytes) }.cast())
}

fn errno() -> c_int {
    // SAFETY: errno(3): the address is valid for as long as the thread runs.
    unsafe { *errno_place() }
}

fn set_errno(value: c_int) {
    // SAFETY: as in `errno`.
    unsafe { *errno_place() = value }
}

fn errno_place() -> *mut c_int {
    // SAFETY: no preconditions; every thread has an errno.
    unsafe { libc::__errno_location() }
}

/// abort(3), for the panic handler that the proof shows to be unreachable.
#[cfg(all(panic = "abort", not(test), not(feature = "proof")))]
pub(crate) fn abort() -> ! {
    // SAFETY: abort(3) has no preconditions.
    unsafe { libc::abort() }
}
