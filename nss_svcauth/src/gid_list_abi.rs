//! The array of gids that initgroups fills: it belongs to glibc, has a fill level and a size, and may have to move.
//!
//! The contract is the one of glibc's own services (nss/nss_files/files-initgroups.c, grp/initgroups.c): `groups` points
//! to malloc'ed memory of `size` gids of which the first `start` are in use; a service appends, may realloc, and keeps the
//! three in step. `limit` is the greatest allowed size if it is greater than 0.

use core::ffi::c_long;
use core::slice;

use libc::gid_t;

use crate::membership::grown;
use crate::refusal::Refusal;
use crate::sys::resize_array;

/// Whether there is room for another gid.
enum Room {
    Yes,
    LimitReached,
}

/// The caller's array.
pub(crate) struct GidList<'a> {
    start: &'a mut c_long,
    size: &'a mut c_long,
    groups: &'a mut *mut gid_t,
    limit: usize,
    primary: gid_t,
}

impl<'a> GidList<'a> {
    /// The array behind glibc's arguments; `primary` is never added, for it is the caller's to add.
    ///
    /// # Safety
    /// The three pointers are valid and exclusive for `'a` and describe an array as the module above says.
    pub(crate) unsafe fn new(
        [start, size]: [*mut c_long; 2],
        groups: *mut *mut gid_t,
        limit: c_long,
        primary: gid_t,
    ) -> Option<Self> {
        // SAFETY: valid and exclusive, by the contract of this function.
        let start = unsafe { start.as_mut() }?;
        // SAFETY: as above.
        let size = unsafe { size.as_mut() }?;
        // SAFETY: as above.
        let groups = unsafe { groups.as_mut() }?;
        if *start < 0 || *size < *start || (groups.is_null() && *size > 0) {
            return None;
        }
        // No limit is 0 or less.
        let limit = usize::try_from(limit).unwrap_or(0);
        Some(Self { start, size, groups, limit, primary })
    }

    /// Appends a gid that is not there yet. Beyond the limit nothing happens: the caller asked for no more.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`] with ENOMEM; the array is then as it was.
    pub(crate) fn add(&mut self, gid: gid_t) -> Result<(), Refusal> {
        if gid == self.primary || self.listed().contains(&gid) {
            return Ok(());
        }
        if matches!(self.make_room()?, Room::LimitReached) {
            return Ok(());
        }
        // SAFETY: `make_room` left the array with more than `start` elements, so that one is inside of it.
        let end = unsafe { self.groups.add(self.filled()) };
        // SAFETY: as above; gid_t is plain data, and the array is exclusively ours during the call.
        unsafe { end.write(gid) };
        *self.start = self.start.saturating_add(1);
        Ok(())
    }

    fn filled(&self) -> usize {
        usize::try_from(*self.start).unwrap_or(0)
    }

    fn listed(&self) -> &[gid_t] {
        if self.groups.is_null() {
            return &[];
        }
        // SAFETY: the first `start` elements are in use, by the contract of `new` and by `add`.
        unsafe { slice::from_raw_parts(*self.groups, self.filled()) }
    }

    fn make_room(&mut self) -> Result<Room, Refusal> {
        let size = usize::try_from(*self.size).unwrap_or(0);
        let filled = self.filled();
        if self.limit > 0 && filled >= self.limit {
            return Ok(Room::LimitReached);
        }
        if filled < size {
            return Ok(Room::Yes);
        }
        let Some(size) = grown(size, self.limit) else {
            return Ok(Room::LimitReached);
        };
        let new_size = c_long::try_from(size).map_err(|_| Refusal::Unavailable(libc::ENOMEM))?;
        // SAFETY: the array came from malloc (contract of `new`), and the old place is overwritten on the next line.
        let moved = unsafe { resize_array(*self.groups, size) };
        *self.groups = moved.ok_or(Refusal::Unavailable(libc::ENOMEM))?.as_ptr();
        *self.size = new_size;
        Ok(Room::Yes)
    }
}
