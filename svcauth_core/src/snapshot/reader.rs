//! The reader: three reads answer a lookup, each checked by itself; any byte may be anything.

use super::Invalid;
use super::layout::{
    BUCKET_LEN, FileKind, HEADER_LEN, Header, RECORD_HEAD, RecordKind, SLOT_LEN, SLOTS, Table, bucket_of,
    u16_at, u32_at, u64_at,
};

/// Positioned reading, as pread(2) does it: no file offset to share with anybody.
pub trait ReadAt {
    /// Fills the whole of `into` from `offset` on.
    ///
    /// # Errors
    /// [`Unreadable`] when even one byte is missing.
    fn read_exact_at(&self, offset: u64, into: &mut [u8]) -> Result<(), Unreadable>;
}

/// The operating system did not give the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

impl From<Unreadable> for Invalid {
    fn from(_: Unreadable) -> Self {
        Self::Unreadable
    }
}

impl ReadAt for [u8] {
    fn read_exact_at(&self, offset: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        let start = usize::try_from(offset).map_err(|_| Unreadable)?;
        let end = start.checked_add(into.len()).ok_or(Unreadable)?;
        let part = self.get(start..end).ok_or(Unreadable)?;
        into.copy_from_slice(part);
        Ok(())
    }
}

impl<R: ReadAt + ?Sized> ReadAt for &R {
    fn read_exact_at(&self, offset: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        (**self).read_exact_at(offset, into)
    }
}

/// Where a record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// Offset of the record's head.
    pub offset: u64,
    /// Length of the record with its head, in bytes: what a buffer for [`Snapshot::read`] must hold.
    pub len: u32,
}

/// A snapshot whose header has been checked.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot<R> {
    source: R,
    header: Header,
}

impl<R: ReadAt> Snapshot<R> {
    /// Reads and checks the header; `file_len` is the length that fstat(2) reports.
    ///
    /// # Errors
    /// What is wrong with the header, the kind or the length.
    pub fn open(source: R, file_len: u64, kind: FileKind) -> Result<Self, Invalid> {
        let mut bytes = [0; HEADER_LEN];
        if file_len < HEADER_LEN as u64 {
            return Err(Invalid::Length);
        }
        source.read_exact_at(0, &mut bytes)?;
        let header = Header::parse(&bytes, file_len)?;
        if header.kind != kind.code() {
            return Err(Invalid::Kind);
        }
        Ok(Self { source, header })
    }

    /// The checked header.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The records that may have this key, seldom more than one; the caller compares the key in the record.
    ///
    /// # Errors
    /// When the bucket cannot be read or is damaged: then nobody knows whether the key exists.
    pub fn find(&self, table: Table, key: &[u8]) -> Result<Matches, Invalid> {
        let descriptor = self.header.descriptor(table)?;
        let hash = self.header.hash(key);
        let bucket = self.bucket(descriptor.offset, bucket_of(hash, descriptor.buckets))?;
        #[expect(clippy::cast_possible_truncation, reason = "the tag is the low half of the hash")]
        let tag = hash as u32;
        Ok(Matches { bucket, next: 0, tag })
    }

    /// The record at or after a cursor, and the cursor after it; `None` at the end of the table.
    ///
    /// # Errors
    /// When a bucket cannot be read or is damaged.
    pub fn next(&self, table: Table, cursor: Cursor) -> Result<Option<(Location, Cursor)>, Invalid> {
        let descriptor = self.header.descriptor(table)?;
        let Cursor { mut bucket, mut slot } = cursor;
        while bucket < descriptor.buckets {
            let slots = self.bucket(descriptor.offset, u64::from(bucket))?;
            if let Some((_, place)) = slots.slot(slot as usize)? {
                return Ok(Some((place, Cursor { bucket, slot: slot.saturating_add(1) })));
            }
            bucket = bucket.saturating_add(1);
            slot = 0;
        }
        Ok(None)
    }

    /// Reads a record into the front of `into` and returns its payload, checked.
    ///
    /// # Errors
    /// When `into` is shorter than [`Location::len`], or the record is unreadable, damaged or of another kind.
    pub fn read<'b>(
        &self,
        place: Location,
        kind: RecordKind,
        into: &'b mut [u8],
    ) -> Result<&'b [u8], Invalid> {
        if !self.header.holds(place) {
            return Err(Invalid::Structure);
        }
        let record = into.get_mut(..place.len as usize).ok_or(Invalid::Structure)?;
        self.source.read_exact_at(place.offset, record)?;
        let record: &'b [u8] = record;
        let (sum, body) = record.split_at_checked(8).ok_or(Invalid::Structure)?;
        if u64_at(sum, 0)? != self.header.checksum(place.offset, body) {
            return Err(Invalid::Checksum);
        }
        let payload = record.get(RECORD_HEAD..).ok_or(Invalid::Structure)?;
        if u32_at(record, 8)? as usize != payload.len() || u16_at(record, 12)? != kind.code() {
            return Err(Invalid::Structure);
        }
        Ok(payload)
    }

    fn bucket(&self, table_offset: u64, index: u64) -> Result<Bucket, Invalid> {
        let within = index.checked_mul(BUCKET_LEN as u64).ok_or(Invalid::Structure)?;
        let offset = table_offset.checked_add(within).ok_or(Invalid::Structure)?;
        let mut bytes = [0; BUCKET_LEN];
        self.source.read_exact_at(offset, &mut bytes)?;
        let (sum, body) = bytes.split_at_checked(8).ok_or(Invalid::Structure)?;
        if u64_at(sum, 0)? != self.header.checksum(offset, body) {
            return Err(Invalid::Checksum);
        }
        let used = u32_at(&bytes, 8)? as usize;
        if used > SLOTS {
            return Err(Invalid::Structure);
        }
        Ok(Bucket { bytes, used })
    }
}

/// A place in a table while listing it; [`Cursor::default`] is the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    bucket: u32,
    slot: u32,
}

impl Cursor {
    /// The cursor as one number, to be kept in an atomic.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        ((self.bucket as u64) << 32) | self.slot as u64
    }
    /// The cursor from [`Self::to_bits`]; any number is safe, an impossible one is the end of the table.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of the number")]
    pub const fn from_bits(bits: u64) -> Self {
        Self { bucket: (bits >> 32) as u32, slot: bits as u32 }
    }
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    bytes: [u8; BUCKET_LEN],
    used: usize,
}

impl Bucket {
    /// Tag and place of a used slot; `None` behind the last one.
    fn slot(&self, index: usize) -> Result<Option<(u32, Location)>, Invalid> {
        if index >= self.used {
            return Ok(None);
        }
        let at = index.checked_mul(SLOT_LEN).and_then(|at| at.checked_add(16)).ok_or(Invalid::Structure)?;
        let place = Location { len: u32_at(&self.bytes, at + 4)?, offset: u64_at(&self.bytes, at + 8)? };
        Ok(Some((u32_at(&self.bytes, at)?, place)))
    }
}

/// The records whose key may be the one asked for.
#[derive(Clone, Copy, Debug)]
pub struct Matches {
    bucket: Bucket,
    next: usize,
    tag: u32,
}

impl Iterator for Matches {
    type Item = Location;

    fn next(&mut self) -> Option<Location> {
        while let Ok(Some((tag, place))) = self.bucket.slot(self.next) {
            self.next = self.next.saturating_add(1);
            if tag == self.tag {
                return Some(place);
            }
        }
        None
    }
}
