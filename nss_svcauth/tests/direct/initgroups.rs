//! The gids of an account (N-06, F5): only of managed accounts, only managed gids, and the array is treated as glibc's own
//! services treat it.

use crate::host_sys::with_address_space_full;
use crate::room;
use crate::room::module_ffi::{Gids, NOT_FOUND, STALE, SUCCESS, UNAVAILABLE, module};
use crate::room::snapshots::{FIRST_ID, LAST_ID, account, file, publish, small};

const PRIMARY: u32 = FIRST_ID;

fn publish_account_in(gids: &[u32]) {
    publish(&file(1, &[account("deployer", FIRST_ID + 1, gids)], &[]));
}

/// The array after a call for `deployer` that must succeed.
fn after(before: &[u32], size: i64, limit: i64) -> Gids {
    let (status, errno, gids) = module().initgroups(c"deployer", PRIMARY, before, [size, limit]);
    assert_eq!((status, errno), (SUCCESS, STALE));
    gids
}

fn some_gids(count: u32) -> Vec<u32> {
    (1..=count).map(|step| FIRST_ID + step).collect()
}

crate::in_private_world! {
    fn managed_gids_are_appended_once_and_the_primary_group_is_not() {
        publish_account_in(&[FIRST_ID + 1, PRIMARY, FIRST_ID + 2, FIRST_ID + 1, FIRST_ID + 3]);
        let gids = after(&[PRIMARY, FIRST_ID + 3], 16, -1);
        assert_eq!(gids.gids, [PRIMARY, FIRST_ID + 3, FIRST_ID + 1, FIRST_ID + 2]);
        assert_eq!((gids.filled, gids.size), (4, 16), "a large array stays as large as it is");
    }

    fn gids_outside_the_range_are_never_given_to_anybody() {
        publish_account_in(&[FIRST_ID - 1, LAST_ID + 1, 112, FIRST_ID + 7]);
        assert_eq!(after(&[PRIMARY], 4, -1).gids, [PRIMARY, FIRST_ID + 7]);
    }

    fn the_array_doubles_when_it_is_full() {
        publish_account_in(&some_gids(100));
        for (before, size, expected) in [(1, 1, 128), (1, 16, 128), (0, 3, 192), (16, 16, 128), (0, 100, 100)] {
            let before = vec![PRIMARY; before];
            let gids = after(&before, size, -1);
            assert_eq!((gids.gids.len() - before.len(), gids.size), (100, expected), "from {size}");
            assert_eq!(gids.gids[before.len()..], some_gids(100));
        }
    }

    fn a_limit_counts_only_when_it_is_greater_than_zero() {
        publish_account_in(&some_gids(100));
        for (limit, filled, size) in [
            (0, 101, 128),
            (-1, 101, 128),
            (i64::MIN, 101, 128),
            (1, 1, 1),
            (2, 2, 2),
            (16, 16, 16),
            (20, 20, 20),
            (101, 101, 101),
            (1000, 101, 128),
            (i64::MAX, 101, 128),
        ] {
            let gids = after(&[PRIMARY], 1, limit);
            assert_eq!((gids.filled, gids.size), (filled, size), "limit {limit}");
        }
        let more_than_the_limit = [PRIMARY, 1, 2, 3, 4];
        let gids = after(&more_than_the_limit, 5, 3);
        assert_eq!((&gids.gids[..], gids.size), (&more_than_the_limit[..], 5), "start beyond the limit");
        let gids = after(&[PRIMARY], 8, 3);
        assert_eq!((gids.filled, gids.size), (3, 8), "an array larger than the limit");
    }

    fn without_memory_the_array_stays_as_it_is() {
        publish_account_in(&some_gids(3));
        // So large that twice of it cannot be had.
        let full = vec![77; 32 << 20];
        let size = i64::try_from(full.len()).unwrap();
        let fits = after(&full[..full.len() - 3], size, -1);
        assert_eq!((fits.filled, fits.size), (size, size), "with room there is no need for memory");
        drop(fits);
        // Room for the array and for the copy that the test takes of it, and not for an array twice as large.
        let (status, errno, gids) =
            with_address_space_full(320 << 20, || module().initgroups(c"deployer", PRIMARY, &full, [size, -1]));
        assert_eq!((status, errno, gids.filled, gids.size), (UNAVAILABLE, libc::ENOMEM, size, size));
        assert!(gids.gids == full);
    }

    // F5
    fn nobody_but_a_managed_account_gets_a_group() {
        publish(&small(1));
        let (status, _, gids) = module().initgroups(c"deployer", PRIMARY, &[PRIMARY], [1, -1]);
        assert_eq!((status, gids.gids), (SUCCESS, vec![PRIMARY, FIRST_ID + 100]));
        // alice is a member of `application`, but a person: no account of this snapshot.
        for user in [c"alice", c"root", c"nobody", c"", c"0", c"deployer2", c"Deployer"] {
            let (status, errno, gids) = module().initgroups(user, 5, &[5], [1, -1]);
            assert_eq!((status, errno), (NOT_FOUND, libc::ENOENT), "{user:?}");
            assert_eq!((gids.gids, gids.size), (vec![5], 1), "{user:?}");
        }
    }

    fn an_account_without_groups_is_found() {
        publish_account_in(&[]);
        assert_eq!(after(&[PRIMARY], 1, -1).gids, [PRIMARY]);
    }

    fn more_groups_than_a_process_can_have_are_refused() {
        let distinct = |count: u32| (0..count).map(|step| FIRST_ID + step % 10).collect::<Vec<_>>();
        publish_account_in(&distinct(65_536));
        assert_eq!(after(&[], 16, -1).filled, 9, "the greatest list, of ten gids, one of which is the primary group");
        publish_account_in(&distinct(70_000));
        let (status, errno, _) = module().initgroups(c"deployer", PRIMARY, &[], [1, -1]);
        assert_eq!((status, errno), (UNAVAILABLE, libc::EBADMSG));
    }
}
