//! Where a listing (getpwent, getgrent) stands.
//!
//! No lock: a fork may happen at any time, and a lock held by a thread that the child does not have would never be
//! released. Two atomics suffice. glibc itself serialises the calls of one process; should somebody go past glibc, two
//! callers may share the entries between them, and nothing worse.

use core::sync::atomic::{AtomicU64, Ordering};

use svcauth_core::snapshot::{Cursor, ReadAt, Snapshot};

use crate::entry::{Entry, Placed, Wanted, read};
use crate::refusal::Refusal;

/// No generation has this number: nothing has been delivered yet.
const NOT_BEGUN: u64 = 0;
/// Beyond every table; also what [`Listing::next`] leaves behind at the end.
const OVER: u64 = u64::MAX;

/// The position in one map.
pub(crate) struct Listing {
    generation: AtomicU64,
    cursor: AtomicU64,
}

impl Listing {
    pub(crate) const fn new() -> Self {
        Self { generation: AtomicU64::new(NOT_BEGUN), cursor: AtomicU64::new(0) }
    }

    /// Back to the beginning (setpwent, endpwent).
    pub(crate) fn rewind(&self) {
        self.generation.store(NOT_BEGUN, Ordering::SeqCst);
        self.cursor.store(0, Ordering::SeqCst);
    }

    /// Whether the last entry has been delivered.
    pub(crate) fn is_over(&self) -> bool {
        self.cursor.load(Ordering::SeqCst) == OVER
    }

    /// The next entry that svcauth may hand out. The position moves only with a delivered entry: after
    /// [`Refusal::BufferTooSmall`] the same entry comes again.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] at the end. ESTALE when another generation was published since the first entry: the rest
    /// would be the rest of another list, with entries twice or missing.
    pub(crate) fn next<E: Entry, R: ReadAt>(
        &self,
        snapshot: &Snapshot<R>,
        buffer: &mut [u8],
    ) -> Result<Placed<E>, Refusal> {
        let begun = self.generation.load(Ordering::SeqCst);
        let generation = snapshot.header().generation;
        if begun != NOT_BEGUN && begun != generation {
            return Err(Refusal::Unavailable(libc::ESTALE));
        }
        let here = self.cursor.load(Ordering::SeqCst);
        let mut cursor = Cursor::from_bits(here);
        while let Some((place, after)) = snapshot.next(E::BY_NAME, cursor)? {
            if let Some(placed) = read(snapshot, place, Wanted::Any, buffer)? {
                self.advance(here, after.to_bits(), generation);
                return Ok(placed);
            }
            cursor = after;
        }
        self.advance(here, OVER, generation);
        Err(Refusal::NotFound)
    }

    /// Moves on, unless somebody rewound the listing in the meantime.
    fn advance(&self, from: u64, to: u64, generation: u64) {
        let moved = self.cursor.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst);
        if moved.is_ok() {
            self.generation.store(generation, Ordering::SeqCst);
        }
    }
}
