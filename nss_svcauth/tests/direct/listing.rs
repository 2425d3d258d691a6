//! Listings: complete, in step with one generation, and in no need of a rewind before.

use std::collections::BTreeSet;

use crate::room;
use crate::room::module_ffi::{NOT_FOUND, SUCCESS, TRY_AGAIN, UNAVAILABLE, module};
use crate::room::snapshots::{FIRST_ID, LAST_ID, account, file, group, publish, small};

/// The next account's name, or status and errno.
fn next_account() -> Result<String, (i32, i32)> {
    let answer = module().next_passwd(&mut [0; 1024]);
    match answer.entry {
        Some(entry) => Ok(entry.texts[0].value.clone()),
        None => Err((answer.status, answer.errno)),
    }
}

fn next_group() -> Result<String, (i32, i32)> {
    let answer = module().next_group(&mut [0; 1024]);
    match answer.entry {
        Some(entry) => Ok(entry.name.value),
        None => Err((answer.status, answer.errno)),
    }
}

const END: (i32, i32) = (NOT_FOUND, libc::ENOENT);
const ANOTHER_GENERATION: (i32, i32) = (UNAVAILABLE, libc::ESTALE);

crate::in_private_world! {
    fn a_listing_is_complete_without_a_rewind_before_it() {
        let accounts: Vec<_> =
            (0..1000).map(|index| account(&format!("svc{index}"), FIRST_ID + index, &[])).collect();
        let groups: Vec<_> = (0..500)
            .map(|index| group(&format!("grp{index}"), FIRST_ID + index, &["alice"]))
            .collect();
        publish(&file(1, &accounts, &groups));
        for _ in 0..2 {
            // One map does not move the other.
            let (mut names, mut group_names) = (BTreeSet::new(), BTreeSet::new());
            while let Ok(name) = next_account() {
                assert!(names.insert(name));
                group_names.extend(next_group());
            }
            assert_eq!((names.len(), group_names.len()), (1000, 500));
            for _ in 0..3 {
                assert_eq!((next_account(), next_group()), (Err(END), Err(END)), "the end stays the end");
            }
            assert_eq!(module().rewind(), [SUCCESS; 4]);
        }
    }

    fn an_entry_that_did_not_fit_comes_again() {
        publish(&small(1));
        let mut names = BTreeSet::new();
        for _ in 0..2 {
            for len in [0, 1, 40] {
                let answer = module().next_passwd(&mut vec![0; len]);
                assert_eq!((answer.status, answer.errno), (TRY_AGAIN, libc::ERANGE));
            }
            names.insert(next_account().unwrap());
        }
        assert_eq!(names, ["deployer", "jenkins"].map(str::to_owned).into());
        assert_eq!(next_account(), Err(END));
    }

    fn a_listing_never_mixes_two_generations() {
        publish(&small(1));
        assert!(next_account().is_ok() && next_group().is_ok());
        publish(&small(2));
        for _ in 0..2 {
            assert_eq!((next_account(), next_group()), (Err(ANOTHER_GENERATION), Err(ANOTHER_GENERATION)));
        }
        assert_eq!(module().rewind(), [SUCCESS; 4]);
        let names: BTreeSet<_> = [next_account().unwrap(), next_account().unwrap()].into();
        assert_eq!((names.len(), next_account()), (2, Err(END)));
        publish(&small(3));
        assert_eq!(next_account(), Err(END), "a finished list is finished");
    }

    fn each_of_the_four_rewinds_moves_its_own_map() {
        publish(&small(1));
        for (index, rewind) in module().rewinds().iter().enumerate() {
            module().rewind();
            let first = (next_account().unwrap(), next_group().unwrap());
            let second = (next_account().unwrap(), next_group().unwrap());
            assert_ne!(first, second);
            assert_eq!(rewind(), SUCCESS);
            let (account, group) = (next_account().ok(), next_group().ok());
            let expected = if index < 2 { (Some(first.0), None) } else { (None, Some(first.1)) };
            assert_eq!((account, group), expected, "the rewind number {index}");
        }
    }

    fn a_publication_before_the_first_delivered_entry_disturbs_nobody() {
        publish(&small(1));
        assert_eq!(module().next_passwd(&mut []).status, TRY_AGAIN);
        publish(&small(2));
        assert!(next_account().is_ok());
    }

    fn entries_outside_the_range_are_left_out_of_the_list() {
        let accounts = [
            account("inside", FIRST_ID + 5, &[]),
            account("below", FIRST_ID - 1, &[]),
            account("above", LAST_ID + 1, &[]),
        ];
        let groups = [group("inside", FIRST_ID, &["a"]), group("outside", LAST_ID + 1, &["a"])];
        publish(&file(1, &accounts, &groups));
        assert_eq!((next_account(), next_account()), (Ok("inside".to_owned()), Err(END)));
        assert_eq!((next_group(), next_group()), (Ok("inside".to_owned()), Err(END)));
    }

    fn an_empty_snapshot_is_an_empty_list() {
        publish(&file(1, &[], &[]));
        assert_eq!((next_account(), next_group()), (Err(END), Err(END)));
    }
}
