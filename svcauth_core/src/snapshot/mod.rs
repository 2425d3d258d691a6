//! The snapshot: one immutable file that answers every lookup, and the one definition of its format.
//!
//! # Format, version 1
//!
//! All integers are little-endian. All offsets count from the start of the file.
//!
//! ```text
//! header, 512 bytes
//!     0  magic        8 bytes  "svcauth\0"
//!     8  version      u32      1; a reader refuses every other
//!    12  kind         u32      1 = accounts.snap, 2 = access.snap
//!    16  file_len     u64      length of the whole file; a file of any other length is refused
//!    24  generation   u64      number of this published state, never 0
//!    32  created      u64      seconds since 1970-01-01 UTC
//!    40  seed         2 x u64  key of SipHash-1-3, drawn anew for every file; the first half also seeds the checksums
//!    56  id_first     u32      the managed id range at the time of writing, both ends included
//!    60  id_last      u32
//!    64  accounts     u32      counts, for people to read
//!    68  groups       u32
//!    72  people       u32
//!    76  zero         u32
//!    80  tables       6 x 40 bytes
//!             0  name     16 bytes, zero-padded ("passwd.name"); an unused descriptor is all zero
//!            16  offset   u64      of the first bucket
//!            24  buckets  u32      how many
//!            28  entries  u32      how many slots are used in all of them
//!            32  zero     u64
//!   320  zero
//!   504  checksum     u64      of bytes 0..504
//!
//! bucket, 512 bytes              (SipHash-1-3 of the key picks the bucket: high 32 bits times buckets, shifted down)
//!     0  checksum     u64      of bytes 8..512
//!     8  used         u32      0..=31
//!    12  zero         u32
//!    16  slots        31 x 16 bytes, the used ones first
//!             0  tag      u32      the low 32 bits of the key's hash
//!             4  len      u32      length of the record with its head
//!             8  offset   u64      of the record
//!
//! record                         (begins at a multiple of 8)
//!     0  checksum     u64      of bytes 8..len
//!     8  payload_len  u32      len - 16
//!    12  kind         u16      see [`RecordKind`]
//!    14  zero         u16
//!    16  payload               see the `record`, `access` and `limits` modules
//! ```
//!
//! A checksum is XXH3 (64 bits). Its seed is the first half of `seed` plus the offset of the checked part, so that a part of another
//! file, or of another place, does not pass; the header's seed is 0. It guards against accidents (a cut file, a flipped
//! bit); against people the file is guarded by its owner and mode.
//!
//! The keys are chosen by people who may edit the directory, hence the keyed hash. A bucket never overflows: the builder
//! takes more buckets until each key has a slot in its own. So one lookup is three reads (header, bucket, record), however
//! many accounts there are, and each of the three parts can be checked on its own. Decision 0003 says why.

mod layout;
mod reader;
mod record;

#[cfg(feature = "std")]
pub mod access;
#[cfg(feature = "std")]
mod accounts;
#[cfg(feature = "std")]
mod builder;
#[cfg(feature = "std")]
mod limits;
#[cfg(feature = "std")]
pub(crate) mod wire;

#[cfg(feature = "std")]
#[cfg(test)]
mod access_tests;
#[cfg(feature = "std")]
#[cfg(test)]
mod tests;

pub use layout::{FileKind, HEADER_LEN, Header, RecordKind, Table};
pub use reader::{Cursor, Location, Matches, ReadAt, Snapshot, Unreadable};
pub use record::{AccountGids, GroupEntry, Members, PasswdEntry};

#[cfg(feature = "std")]
pub use accounts::{AccountsFile, NewAccount, NewGroup};
#[cfg(feature = "std")]
pub use builder::{BuildError, Builder, Stamp};
#[cfg(feature = "std")]
pub use limits::OwnShell;

use core::fmt;

/// Why a file, or a part of it, is not what this module wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// The operating system did not give the bytes.
    Unreadable,
    /// The file does not begin as a snapshot does.
    Magic,
    /// The file has another format version.
    Version(u32),
    /// The file is a snapshot of the other kind.
    Kind,
    /// The file is shorter or longer than its header says.
    Length,
    /// The header, a bucket or a record does not match its checksum.
    Checksum,
    /// A field holds what no builder writes, although the checksum matches.
    Structure,
    /// The table is not in this file.
    NoTable,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "it cannot be read",
            Self::Magic => "it is not a svcauth snapshot",
            Self::Version(found) => {
                return write!(
                    f,
                    "it has format version {found}, this program reads version {}",
                    layout::VERSION
                );
            }
            Self::Kind => "it is a snapshot of the other kind",
            Self::Length => "its length is not the one its header names (cut short or written over)",
            Self::Checksum => "a checksum does not match (damaged)",
            Self::Structure => "a field holds an impossible value",
            Self::NoTable => "a table is missing",
        })
    }
}

impl core::error::Error for Invalid {}
