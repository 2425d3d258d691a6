//! Where each field stands. The picture is in the module above; here are the numbers and the checks.

use core::hash::Hasher;

use siphasher::sip::SipHasher13;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{Invalid, Location};
use crate::id::IdRange;

pub(super) const MAGIC: [u8; 8] = *b"svcauth\0";
pub(super) const VERSION: u32 = 2;
/// Length of the header in bytes.
pub const HEADER_LEN: usize = 512;
pub(super) const BUCKET_LEN: usize = 512;
pub(super) const SLOTS: usize = 31;
pub(super) const SLOT_LEN: usize = 16;
pub(super) const RECORD_HEAD: usize = 16;
pub(super) const TABLES: usize = 6;
pub(super) const TABLE_LEN: usize = 40;
pub(super) const TABLES_AT: usize = 80;
pub(super) const CHECKSUM_AT: usize = 504;

/// Which of the two files a snapshot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// `accounts.snap`, readable by everybody: what NSS answers.
    Accounts,
    /// `access.snap`, readable by root and svcauth: what decisions need.
    Access,
}

impl FileKind {
    pub(super) const fn code(self) -> u32 {
        match self {
            Self::Accounts => 1,
            Self::Access => 2,
        }
    }
}

/// A named table of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Account name to [`RecordKind::Passwd`].
    PasswdByName,
    /// Account uid (u32, little-endian) to [`RecordKind::Passwd`].
    PasswdById,
    /// Group name to [`RecordKind::Group`].
    GroupByName,
    /// Group gid (u32, little-endian) to [`RecordKind::Group`].
    GroupById,
    /// Account name to [`RecordKind::AccountGids`].
    AccountGids,
    /// The empty key to the one [`RecordKind::Policy`].
    Policy,
    /// Account name to [`RecordKind::Account`].
    Account,
    /// Login name to [`RecordKind::Person`].
    Person,
    /// SHA-256 of a public key's blob to the [`RecordKind::Person`] who owns it.
    PersonByKey,
    /// Kerberos principal with realm to the [`RecordKind::Person`] who owns it.
    PersonByPrincipal,
    /// The empty key to the one [`RecordKind::Limits`], and account name to [`RecordKind::Shell`]. Not in files of before.
    Limits,
}

impl Table {
    /// The name as it stands in the file, zero-padded.
    pub(super) const fn name(self) -> &'static [u8; 16] {
        match self {
            Self::PasswdByName => b"passwd.name\0\0\0\0\0",
            Self::PasswdById => b"passwd.uid\0\0\0\0\0\0",
            Self::GroupByName => b"group.name\0\0\0\0\0\0",
            Self::GroupById => b"group.gid\0\0\0\0\0\0\0",
            Self::AccountGids => b"account.gids\0\0\0\0",
            Self::Policy => b"policy\0\0\0\0\0\0\0\0\0\0",
            Self::Account => b"account\0\0\0\0\0\0\0\0\0",
            Self::Person => b"person\0\0\0\0\0\0\0\0\0\0",
            Self::PersonByKey => b"person.key\0\0\0\0\0\0",
            Self::PersonByPrincipal => b"person.principal",
            Self::Limits => b"limits\0\0\0\0\0\0\0\0\0\0",
        }
    }
}

/// What a record's payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// One passwd entry: [`super::PasswdEntry`].
    Passwd,
    /// One group entry: [`super::GroupEntry`].
    Group,
    /// The managed groups of one account: [`super::AccountGids`].
    AccountGids,
    /// Access rules, roles and limits: [`crate::policy::Policy`].
    Policy,
    /// What decisions need of an account: [`crate::policy::Account`].
    Account,
    /// A person who holds at least one role: [`crate::policy::Person`].
    Person,
    /// What access rules limit: [`crate::command::Limits`] of each.
    Limits,
    /// The own shell of an account whose login shell is another.
    Shell,
}

impl RecordKind {
    pub(super) const fn code(self) -> u16 {
        match self {
            Self::Passwd => 1,
            Self::Group => 2,
            Self::AccountGids => 3,
            Self::Policy => 16,
            Self::Account => 17,
            Self::Person => 18,
            Self::Limits => 19,
            Self::Shell => 20,
        }
    }
}

/// One table's place in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Descriptor {
    pub(super) name: [u8; 16],
    pub(super) offset: u64,
    pub(super) buckets: u32,
    pub(super) entries: u32,
}

/// The checked header of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Length of the whole file in bytes.
    pub file_len: u64,
    /// Number of the published state; never 0.
    pub generation: u64,
    /// When the snapshot was built, in seconds since 1970-01-01 UTC.
    pub created: u64,
    /// The managed id range when the snapshot was built.
    pub id_range: IdRange,
    /// How many accounts are in it.
    pub accounts: u32,
    /// How many groups are in it.
    pub groups: u32,
    /// How many people are in it.
    pub people: u32,
    pub(super) kind: u32,
    pub(super) seed: [u64; 2],
    pub(super) tables: [Option<Descriptor>; TABLES],
}

impl Header {
    /// Reads and checks a header; `file_len` is the length that the operating system reports.
    pub(super) fn parse(bytes: &[u8; HEADER_LEN], file_len: u64) -> Result<Self, Invalid> {
        if bytes.first_chunk() != Some(&MAGIC) {
            return Err(Invalid::Magic);
        }
        let version = u32_at(bytes, 8)?;
        if version != VERSION {
            return Err(Invalid::Version(version));
        }
        let (body, _) = bytes.split_at_checked(CHECKSUM_AT).ok_or(Invalid::Structure)?;
        if u64_at(bytes, CHECKSUM_AT)? != xxh3_64_with_seed(body, 0) {
            return Err(Invalid::Checksum);
        }
        let header = Self {
            file_len: u64_at(bytes, 16)?,
            generation: u64_at(bytes, 24)?,
            created: u64_at(bytes, 32)?,
            id_range: IdRange::new(u32_at(bytes, 56)?, u32_at(bytes, 60)?).map_err(|_| Invalid::Structure)?,
            accounts: u32_at(bytes, 64)?,
            groups: u32_at(bytes, 68)?,
            people: u32_at(bytes, 72)?,
            kind: u32_at(bytes, 12)?,
            seed: [u64_at(bytes, 40)?, u64_at(bytes, 48)?],
            tables: parse_tables(bytes, file_len)?,
        };
        if header.file_len != file_len {
            return Err(Invalid::Length);
        }
        if header.generation == 0 {
            return Err(Invalid::Structure);
        }
        Ok(header)
    }

    /// The time for a decision: the wall clock's, but never before this file was written. A clock that was set back must
    /// not bring an expired person back.
    #[must_use]
    pub const fn not_before(&self, wall: u64) -> u64 {
        if wall < self.created { self.created } else { wall }
    }

    pub(super) fn descriptor(&self, table: Table) -> Result<&Descriptor, Invalid> {
        self.tables.iter().flatten().find(|found| &found.name == table.name()).ok_or(Invalid::NoTable)
    }

    /// SipHash-1-3 of a key under this file's seed.
    pub(super) fn hash(&self, key: &[u8]) -> u64 {
        hash(self.seed, key)
    }

    /// The checksum of a part that begins at `offset`.
    pub(super) fn checksum(&self, offset: u64, part: &[u8]) -> u64 {
        checksum(self.seed, offset, part)
    }

    /// Whether a record can lie there.
    pub(super) fn holds(&self, place: Location) -> bool {
        let end = place.offset.checked_add(u64::from(place.len));
        place.offset >= HEADER_LEN as u64
            && place.len as usize >= RECORD_HEAD
            && end.is_some_and(|end| end <= self.file_len)
    }
}

pub(super) fn hash(seed: [u64; 2], key: &[u8]) -> u64 {
    let [k0, k1] = seed;
    let mut hasher = SipHasher13::new_with_keys(k0, k1);
    hasher.write(key);
    hasher.finish()
}

pub(super) fn checksum(seed: [u64; 2], offset: u64, part: &[u8]) -> u64 {
    let [k0, _] = seed;
    xxh3_64_with_seed(part, k0.wrapping_add(offset))
}

/// Which bucket of `buckets` a hash falls into.
pub(super) const fn bucket_of(hash: u64, buckets: u32) -> u64 {
    ((hash >> 32) * buckets as u64) >> 32
}

fn parse_tables(bytes: &[u8; HEADER_LEN], file_len: u64) -> Result<[Option<Descriptor>; TABLES], Invalid> {
    let mut tables = [None; TABLES];
    for (index, table) in tables.iter_mut().enumerate() {
        let at = TABLES_AT + index * TABLE_LEN;
        let name: [u8; 16] = array_at(bytes, at)?;
        if name == [0; 16] {
            continue;
        }
        let found = Descriptor {
            name,
            offset: u64_at(bytes, at + 16)?,
            buckets: u32_at(bytes, at + 24)?,
            entries: u32_at(bytes, at + 28)?,
        };
        let end = u64::from(found.buckets)
            .checked_mul(BUCKET_LEN as u64)
            .and_then(|len| len.checked_add(found.offset));
        if found.offset < HEADER_LEN as u64 || found.buckets == 0 || end.is_none_or(|end| end > file_len) {
            return Err(Invalid::Length);
        }
        *table = Some(found);
    }
    Ok(tables)
}

pub(super) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], Invalid> {
    let end = at.checked_add(N).ok_or(Invalid::Structure)?;
    bytes.get(at..end).and_then(|part| part.first_chunk()).copied().ok_or(Invalid::Structure)
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Result<u16, Invalid> {
    Ok(u16::from_le_bytes(array_at(bytes, at)?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Result<u32, Invalid> {
    Ok(u32::from_le_bytes(array_at(bytes, at)?))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Result<u64, Invalid> {
    Ok(u64::from_le_bytes(array_at(bytes, at)?))
}
