//! Which gids an account gets.
//!
//! glibc adds the answers of all services for initgroups, whatever the order in nsswitch.conf. So a directory could add
//! a local user to a local group here. It cannot: only names that are accounts of the snapshot are answered, and only with
//! gids inside the managed range.

use libc::gid_t;
use svcauth_core::name::{ACCOUNT_MAX, check_account};
use svcauth_core::snapshot::{AccountGids, Location, ReadAt, RecordKind, Snapshot, Table};

use crate::question;
use crate::refusal::Refusal;
use crate::sys::Scratch;

/// The kernel holds no more groups for a process (`NGROUPS_MAX` of linux/limits.h).
const GROUPS_MAX: usize = 65_536;
/// The longest record that is read: record head, fields, name, gids.
const RECORD_MAX: usize = 16 + 8 + ACCOUNT_MAX + 4 + 4 * GROUPS_MAX;

/// Offers the gids of an account to `add`, until `add` has enough.
///
/// # Errors
/// [`Refusal::NotFound`] for everybody who is not a managed account; whatever `add` refuses.
pub(crate) fn offer_gids(
    account: &[u8],
    add: impl FnMut(gid_t) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    if check_account(account).is_err() {
        return Err(Refusal::NotFound);
    }
    find(&question::open()?, account, add)
}

fn find<R: ReadAt>(
    snapshot: &Snapshot<R>,
    account: &[u8],
    add: impl FnMut(gid_t) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    for place in snapshot.find(Table::AccountGids, account)? {
        let mut scratch = Scratch::new(record_len(place)?)?;
        let payload = snapshot.read(place, RecordKind::AccountGids, scratch.bytes())?;
        let entry = AccountGids::parse(payload)?;
        if entry.name.to_bytes() == account {
            let range = snapshot.header().id_range;
            return entry.gids().map(|gid| gid.get()).filter(|gid| range.contains(*gid)).try_for_each(add);
        }
    }
    Err(Refusal::NotFound)
}

/// The length of a record, capped before memory is asked for.
fn record_len(place: Location) -> Result<usize, Refusal> {
    usize::try_from(place.len)
        .ok()
        .filter(|len| (1..=RECORD_MAX).contains(len))
        .ok_or(Refusal::Unavailable(libc::EBADMSG))
}

/// The next size of a full gid array: doubled, but never beyond a limit greater than 0. `None`: it may not grow.
pub(crate) fn grown(size: usize, limit: usize) -> Option<usize> {
    let doubled = size.checked_mul(2)?.max(1);
    let allowed = if limit > 0 { doubled.min(limit) } else { doubled };
    (allowed > size).then_some(allowed)
}

#[cfg(test)]
mod tests {
    use super::grown;

    #[test]
    fn a_gid_array_doubles_up_to_its_limit_and_never_shrinks() {
        for (size, limit, expected) in [
            (0, 0, Some(1)),
            (1, 0, Some(2)),
            (16, 0, Some(32)),
            (16, 20, Some(20)),
            (16, 16, None),
            (16, 3, None),
            (0, 1, Some(1)),
            (usize::MAX, 0, None),
        ] {
            assert_eq!(grown(size, limit), expected, "size {size}, limit {limit}");
        }
    }
}
