//! The builder: collects records and keys, and lays them out as the module above says.

use std::vec::Vec;

use super::Location;
use super::layout::{
    BUCKET_LEN, CHECKSUM_AT, Descriptor, FileKind, HEADER_LEN, MAGIC, RECORD_HEAD, RecordKind, SLOT_LEN,
    SLOTS, TABLE_LEN, TABLES, TABLES_AT, Table, VERSION, bucket_of, checksum, hash,
};
use crate::id::IdRange;

/// Slots that the builder plans to use in a bucket of 31: rarely one too many, 42 bytes a key.
const PLANNED: usize = 12;

/// Why a snapshot could not be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildError {
    /// Two entries of this table have the same key.
    DuplicateKey(Table),
    /// A record is longer than 4 GiB or a string longer than 64 KiB.
    TooLong,
    /// More tables than a header describes.
    TooManyTables,
}

impl core::fmt::Display for BuildError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::DuplicateKey(table) => write!(f, "two entries of table {table:?} have the same key"),
            Self::TooLong => f.write_str("an entry is too long for the snapshot format"),
            Self::TooManyTables => f.write_str("the snapshot format has no room for another table"),
        }
    }
}

impl core::error::Error for BuildError {}

/// What a snapshot says about itself. Time and randomness are arguments: the builder asks nobody.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// Number of the published state; never 0.
    pub generation: u64,
    /// Seconds since 1970-01-01 UTC.
    pub created: u64,
    /// 128 fresh random bits.
    pub seed: [u64; 2],
    /// The configured id range.
    pub id_range: IdRange,
    /// How many accounts, groups and people the state has.
    pub counts: [u32; 3],
}

struct TableKeys {
    table: Table,
    keys: Vec<(u64, Location)>,
}

/// Collects the records and keys of one file.
pub struct Builder {
    kind: FileKind,
    stamp: Stamp,
    file: Vec<u8>,
    tables: Vec<TableKeys>,
}

impl Builder {
    /// An empty file with these tables.
    ///
    /// # Errors
    /// [`BuildError::TooManyTables`] beyond six.
    pub fn new(kind: FileKind, stamp: Stamp, tables: &[Table]) -> Result<Self, BuildError> {
        if tables.len() > TABLES {
            return Err(BuildError::TooManyTables);
        }
        let tables = tables.iter().map(|table| TableKeys { table: *table, keys: Vec::new() }).collect();
        Ok(Self { kind, stamp, file: std::vec![0; HEADER_LEN], tables })
    }

    /// Appends a record; [`Self::key`] makes it findable.
    ///
    /// # Errors
    /// [`BuildError::TooLong`].
    pub fn record(&mut self, kind: RecordKind, payload: &[u8]) -> Result<Location, BuildError> {
        let offset = self.file.len();
        let payload_len = u32::try_from(payload.len()).map_err(|_| BuildError::TooLong)?;
        let len = payload_len.checked_add(RECORD_HEAD as u32).ok_or(BuildError::TooLong)?;
        self.file.extend_from_slice(&[0; 8]);
        self.file.extend_from_slice(&payload_len.to_le_bytes());
        self.file.extend_from_slice(&kind.code().to_le_bytes());
        self.file.extend_from_slice(&[0; 2]);
        self.file.extend_from_slice(payload);
        self.seal(offset, self.file.len());
        self.file.resize(self.file.len().next_multiple_of(8), 0);
        Ok(Location { offset: offset as u64, len })
    }

    /// Makes a record findable in a table.
    ///
    /// # Errors
    /// [`BuildError::TooManyTables`] when the table was not announced to [`Self::new`].
    pub fn key(&mut self, table: Table, key: &[u8], place: Location) -> Result<(), BuildError> {
        let hash = hash(self.stamp.seed, key);
        let keys =
            self.tables.iter_mut().find(|keys| keys.table == table).ok_or(BuildError::TooManyTables)?;
        keys.keys.push((hash, place));
        Ok(())
    }

    /// The whole file.
    ///
    /// # Errors
    /// [`BuildError::DuplicateKey`].
    pub fn finish(mut self) -> Result<Vec<u8>, BuildError> {
        self.file.resize(self.file.len().next_multiple_of(BUCKET_LEN), 0);
        let mut descriptors = Vec::new();
        for keys in std::mem::take(&mut self.tables) {
            descriptors.push(self.table(keys)?);
        }
        self.header(&descriptors);
        Ok(self.file)
    }

    fn table(&mut self, mut keys: TableKeys) -> Result<Descriptor, BuildError> {
        keys.keys.sort_unstable_by_key(|(hash, _)| *hash);
        // Equal 64-bit hashes under a random seed: the same key twice.
        if keys.keys.windows(2).any(|pair| matches!(pair, [(a, _), (b, _)] if a == b)) {
            return Err(BuildError::DuplicateKey(keys.table));
        }
        let entries = u32::try_from(keys.keys.len()).map_err(|_| BuildError::TooLong)?;
        let buckets = enough_buckets(&keys.keys)?;
        let offset = self.file.len();
        let mut rest = keys.keys.as_slice();
        for bucket in 0..buckets {
            let mine =
                rest.iter().take_while(|(hash, _)| bucket_of(*hash, buckets) == u64::from(bucket)).count();
            let (slots, others) = rest.split_at_checked(mine).unwrap_or((rest, &[]));
            self.bucket(slots);
            rest = others;
        }
        Ok(Descriptor { name: *keys.table.name(), offset: offset as u64, buckets, entries })
    }

    fn bucket(&mut self, slots: &[(u64, Location)]) {
        let offset = self.file.len();
        self.file.extend_from_slice(&[0; 8]);
        self.file.extend_from_slice(&(slots.len() as u64).to_le_bytes());
        for (hash, place) in slots {
            self.file.extend_from_slice(&hash.to_le_bytes()[..4]);
            self.file.extend_from_slice(&place.len.to_le_bytes());
            self.file.extend_from_slice(&place.offset.to_le_bytes());
        }
        self.file.resize(self.file.len() + (SLOTS - slots.len()) * SLOT_LEN, 0);
        self.seal(offset, offset + BUCKET_LEN);
    }

    /// Writes the checksum of a part into its first eight bytes.
    fn seal(&mut self, offset: usize, end: usize) {
        let Some((sum, body)) = self.file.get_mut(offset..end).and_then(|part| part.split_at_mut_checked(8))
        else {
            return;
        };
        sum.copy_from_slice(&checksum(self.stamp.seed, offset as u64, body).to_le_bytes());
    }

    fn header(&mut self, descriptors: &[Descriptor]) {
        let mut bytes = Vec::with_capacity(HEADER_LEN);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.kind.code().to_le_bytes());
        bytes.extend_from_slice(&(self.file.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&self.stamp.generation.to_le_bytes());
        bytes.extend_from_slice(&self.stamp.created.to_le_bytes());
        self.stamp.seed.iter().for_each(|half| bytes.extend_from_slice(&half.to_le_bytes()));
        bytes.extend_from_slice(&self.stamp.id_range.first().to_le_bytes());
        bytes.extend_from_slice(&self.stamp.id_range.last().to_le_bytes());
        self.stamp.counts.iter().for_each(|count| bytes.extend_from_slice(&count.to_le_bytes()));
        bytes.resize(TABLES_AT, 0);
        for table in descriptors {
            bytes.extend_from_slice(&table.name);
            bytes.extend_from_slice(&table.offset.to_le_bytes());
            bytes.extend_from_slice(&table.buckets.to_le_bytes());
            bytes.extend_from_slice(&table.entries.to_le_bytes());
            bytes.extend_from_slice(&[0; TABLE_LEN - 32]);
        }
        bytes.resize(CHECKSUM_AT, 0);
        let sum = xxhash_rust::xxh3::xxh3_64_with_seed(&bytes, 0);
        bytes.extend_from_slice(&sum.to_le_bytes());
        if let Some(front) = self.file.get_mut(..HEADER_LEN) {
            front.copy_from_slice(&bytes);
        }
    }
}

/// The least number of buckets, from the planned one upwards, with which no bucket overflows. The keys are sorted by hash.
fn enough_buckets(keys: &[(u64, Location)]) -> Result<u32, BuildError> {
    let planned = keys.len().div_ceil(PLANNED).max(1);
    let mut buckets = u32::try_from(planned).map_err(|_| BuildError::TooLong)?;
    while overflows(keys, buckets) {
        buckets = buckets.checked_add(buckets / 8 + 1).ok_or(BuildError::TooLong)?;
    }
    Ok(buckets)
}

fn overflows(keys: &[(u64, Location)], buckets: u32) -> bool {
    // Sorted keys fall into ascending buckets: 32 in one bucket means that the 1st and the 32nd are in the same one.
    let last = keys.get(SLOTS..).unwrap_or_default();
    keys.iter()
        .zip(last)
        .any(|((first, _), (last, _))| bucket_of(*first, buckets) == bucket_of(*last, buckets))
}
