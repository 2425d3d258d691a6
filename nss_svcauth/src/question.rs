//! The lookup of one entry, and the questions that need none.

use svcauth_core::id::is_assignable;
use svcauth_core::name::{check_account, check_group};
use svcauth_core::snapshot::{FileKind, ReadAt, Snapshot};

use crate::entry::{Entry, Group, Passwd, Placed, Wanted, read};
use crate::refusal::Refusal;
use crate::sys::SnapshotFile;

/// What can be said about a question without opening the snapshot. Nearly every lookup on a host is about root, a
/// system user or a typing error: those cost nothing, and no broken snapshot can touch them.
pub(crate) trait Map: Entry {
    /// Whether an entry of this map can have this name.
    fn can_be_named(name: &[u8]) -> bool;
}

impl Map for Passwd {
    fn can_be_named(name: &[u8]) -> bool {
        check_account(name).is_ok()
    }
}

impl Map for Group {
    fn can_be_named(name: &[u8]) -> bool {
        check_group(name).is_ok()
    }
}

/// Answers a question from the snapshot of the host.
///
/// # Errors
/// Why there is no answer.
pub(crate) fn ask<E: Map>(wanted: Wanted<'_>, buffer: &mut [u8]) -> Result<Placed<E>, Refusal> {
    let possible = match wanted {
        Wanted::Name(name) => E::can_be_named(name),
        Wanted::Id(id) => is_assignable(id),
        Wanted::Any => true,
    };
    if !possible {
        return Err(Refusal::NotFound);
    }
    find(&open()?, wanted, buffer)
}

/// The snapshot of the host, its header checked.
///
/// # Errors
/// [`Refusal::Unavailable`].
pub(crate) fn open() -> Result<Snapshot<SnapshotFile>, Refusal> {
    let (file, len) = SnapshotFile::open()?;
    Ok(Snapshot::open(file, len, FileKind::Accounts)?)
}

fn find<E: Entry, R: ReadAt>(
    snapshot: &Snapshot<R>,
    wanted: Wanted<'_>,
    buffer: &mut [u8],
) -> Result<Placed<E>, Refusal> {
    let matches = match wanted {
        Wanted::Name(name) => snapshot.find(E::BY_NAME, name)?,
        Wanted::Id(id) if snapshot.header().id_range.contains(id) => {
            snapshot.find(E::BY_ID, &id.to_le_bytes())?
        }
        Wanted::Id(_) | Wanted::Any => return Err(Refusal::NotFound),
    };
    for place in matches {
        if let Some(placed) = read(snapshot, place, wanted, buffer)? {
            return Ok(placed);
        }
    }
    Err(Refusal::NotFound)
}
