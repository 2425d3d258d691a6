//! One record, laid out in the caller's buffer.
//!
//! ```text
//! passwd    | free ............................ | record |
//! group     | gap | pointers to members, null | free | record |
//! ```
//!
//! The record is read where it will stay: at the end of the buffer, so that the pointer array has the aligned beginning.
//! Strings need no copy, they end in NUL in the record already. When the record has been checked, nobody needs its
//! checksum any more: there the password goes, `*`, so that every string of the answer lies in the caller's buffer.

use svcauth_core::id::IdRange;
use svcauth_core::name::{check_account, check_group};
use svcauth_core::snapshot::{GroupEntry, Location, PasswdEntry, ReadAt, RecordKind, Snapshot, Table};

use crate::refusal::Refusal;

const PASSWORD: [u8; 2] = *b"*\0";
const POINTER: usize = size_of::<usize>();

/// Which entry of a map is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted<'a> {
    Name(&'a [u8]),
    Id(u32),
    /// Whichever comes next in a listing.
    Any,
}

impl Wanted<'_> {
    fn is(self, name: &[u8], id: u32) -> bool {
        match self {
            Self::Name(wanted) => wanted == name,
            Self::Id(wanted) => wanted == id,
            Self::Any => true,
        }
    }
}

/// What an entry is held against before it is an answer.
#[derive(Clone, Copy)]
pub(crate) struct Conditions<'a> {
    pub(crate) wanted: Wanted<'a>,
    pub(crate) id_range: IdRange,
}

/// An entry of a map, as offsets into the caller's buffer.
pub(crate) trait Entry: Sized {
    const BY_NAME: Table;
    const BY_ID: Table;
    const KIND: RecordKind;

    /// Lays out the entry; `None` when it is not the wanted one or not one that svcauth may hand out.
    ///
    /// `head` is the buffer in front of the record, `base` the address of its first byte.
    fn lay_out(
        payload: &[u8],
        conditions: Conditions<'_>,
        head: &mut [u8],
        base: usize,
    ) -> Result<Option<Self>, Refusal>;
}

/// A passwd entry. The fields are offsets of strings, but the two ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Passwd {
    pub(crate) name: usize,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) gecos: usize,
    pub(crate) home: usize,
    pub(crate) shell: usize,
}

/// A group entry. The fields are offsets of the name and of the pointer array, but the id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) name: usize,
    pub(crate) gid: u32,
    pub(crate) members: usize,
}

/// An entry, and the offset of its password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed<E> {
    pub(crate) entry: E,
    pub(crate) password: usize,
}

impl Entry for Passwd {
    const BY_NAME: Table = Table::PasswdByName;
    const BY_ID: Table = Table::PasswdById;
    const KIND: RecordKind = RecordKind::Passwd;

    fn lay_out(
        payload: &[u8],
        conditions: Conditions<'_>,
        _head: &mut [u8],
        base: usize,
    ) -> Result<Option<Self>, Refusal> {
        let entry = PasswdEntry::parse(payload)?;
        let (uid, gid, range) = (entry.uid.get(), entry.gid.get(), conditions.id_range);
        let managed =
            range.contains(uid) && range.contains(gid) && check_account(entry.name.to_bytes()).is_ok();
        if !managed || !conditions.wanted.is(entry.name.to_bytes(), uid) {
            return Ok(None);
        }
        let [name, gecos, home, shell] = [entry.name, entry.gecos, entry.home, entry.shell]
            .map(|text| text.as_ptr().addr().wrapping_sub(base));
        Ok(Some(Self { name, uid, gid, gecos, home, shell }))
    }
}

impl Entry for Group {
    const BY_NAME: Table = Table::GroupByName;
    const BY_ID: Table = Table::GroupById;
    const KIND: RecordKind = RecordKind::Group;

    fn lay_out(
        payload: &[u8],
        conditions: Conditions<'_>,
        head: &mut [u8],
        base: usize,
    ) -> Result<Option<Self>, Refusal> {
        let entry = GroupEntry::parse(payload)?;
        let gid = entry.gid.get();
        let managed = conditions.id_range.contains(gid) && check_group(entry.name.to_bytes()).is_ok();
        if !managed || !conditions.wanted.is(entry.name.to_bytes(), gid) {
            return Ok(None);
        }
        Ok(Some(Self {
            name: entry.name.as_ptr().addr().wrapping_sub(base),
            gid,
            members: point_at_members(&entry, head, base).ok_or(Refusal::BufferTooSmall)?,
        }))
    }
}

/// Writes the null-terminated array of pointers to the members into the first aligned place of `head`, and returns its
/// offset; `None` when it does not fit.
fn point_at_members(entry: &GroupEntry<'_>, head: &mut [u8], base: usize) -> Option<usize> {
    let gap = base.wrapping_neg() % POINTER;
    let count = usize::try_from(entry.member_count).ok()?;
    let len = count.checked_add(1)?.checked_mul(POINTER)?;
    let slots = head.get_mut(gap..gap.checked_add(len)?)?;
    let mut member = entry.member_bytes().as_ptr().addr();
    let (pointers, end) = slots.split_at_mut_checked(count.checked_mul(POINTER)?)?;
    for (pointer, size) in pointers.chunks_exact_mut(POINTER).zip(entry.member_sizes()) {
        *pointer.first_chunk_mut()? = member.to_ne_bytes();
        member = member.wrapping_add(usize::from(*size));
    }
    *end.first_chunk_mut()? = [0; POINTER];
    Some(gap)
}

/// Reads the record at `place` into the end of `buffer` and lays it out.
///
/// # Errors
/// [`Refusal::BufferTooSmall`] exactly when record and pointers do not fit; else what is wrong with the snapshot.
pub(crate) fn read<E: Entry, R: ReadAt>(
    snapshot: &Snapshot<R>,
    place: Location,
    wanted: Wanted<'_>,
    buffer: &mut [u8],
) -> Result<Option<Placed<E>>, Refusal> {
    let conditions = Conditions { wanted, id_range: snapshot.header().id_range };
    let start = record_start(place, snapshot.header().file_len, buffer.len())?;
    // Exposed, for the pointers to the members are written as numbers.
    let base = buffer.as_mut_ptr().expose_provenance();
    let (head, record) = buffer.split_at_mut_checked(start).ok_or(Refusal::BufferTooSmall)?;
    let payload = snapshot.read(place, E::KIND, record)?;
    let Some(entry) = E::lay_out(payload, conditions, head, base)? else {
        return Ok(None);
    };
    if let Some(password) = record.first_chunk_mut() {
        *password = PASSWORD;
    }
    Ok(Some(Placed { entry, password: start }))
}

/// Where in the buffer the record begins. A record that the file cannot hold never makes the caller's buffer grow.
fn record_start(place: Location, file_len: u64, buffer_len: usize) -> Result<usize, Refusal> {
    let end = place.offset.checked_add(u64::from(place.len));
    if end.is_none_or(|end| end > file_len) {
        return Err(Refusal::Unavailable(libc::EBADMSG));
    }
    usize::try_from(place.len).ok().and_then(|len| buffer_len.checked_sub(len)).ok_or(Refusal::BufferTooSmall)
}
