//! Snapshots that change, break and come back while the host goes on asking.

use std::fs;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use crate::lookups_ffi::{Told, account, groups_of};
use crate::room::fork_sys::in_forked_child;
use crate::room::snapshots::{self, FIRST_ID, PATH, file, group, publish, small};

const REPLACEMENTS: u64 = 1_000;
const THREADS: usize = 32;

/// A snapshot in which uid, comment, home and groups of `deployer` all tell the generation.
fn telling(generation: u64) -> Vec<u8> {
    let id = FIRST_ID + 1 + u32::try_from(generation).unwrap();
    let mut deployer = snapshots::account("deployer", id, &[id]);
    deployer.gecos = generation.to_string();
    deployer.home = format!("/home/{generation}");
    file(generation, &[deployer], &[group("application", id, &["alice"])])
}

/// Whether an answer is of one generation, and which.
fn generation_of(told: &Told) -> u64 {
    let entry = told.entry.as_ref().unwrap_or_else(|| panic!("deployer is gone: {told:?}"));
    let generation: u64 = entry.gecos.parse().unwrap();
    assert_eq!(u64::from(entry.uid - FIRST_ID - 1), generation, "{told:?}");
    assert_eq!(entry.home, format!("/home/{generation}"));
    generation
}

/// Right, or refused as a damaged snapshot; and root is found.
fn is_right_or_refused(right: &Told, situation: &str) -> bool {
    let refused = Told { error: libc::EBADMSG, entry: None };
    let told = account(c"deployer");
    assert!(told == *right || told == refused, "{situation}: {told:?}");
    told == *right
}

crate::on_stage! {
    // X-07, N-07, N-09
    fn a_thousand_replacements_under_32_threads_and_forking_readers() {
        publish(&telling(1));
        // Loads the modules: what glibc holds meanwhile is not given back to a child that is forked just then.
        assert_eq!((generation_of(&account(c"deployer")), groups_of(c"deployer", 4).len()), (1, 2));
        let (done, published, answers) = (AtomicBool::new(false), AtomicU64::new(1), AtomicU64::new(0));
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let mut last = 0;
                    while !done.load(Ordering::SeqCst) {
                        let before = published.load(Ordering::SeqCst);
                        let generation = generation_of(&account(c"deployer"));
                        assert!(generation >= before.max(last), "an old generation came back");
                        assert_eq!(groups_of(c"deployer", 4).len(), 2);
                        last = generation;
                        answers.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
            scope.spawn(|| {
                for generation in 2..=REPLACEMENTS + 1 {
                    publish(&telling(generation));
                    published.store(generation, Ordering::SeqCst);
                }
                // The readers shall see the last one, too.
                let seen = answers.load(Ordering::SeqCst);
                while answers.load(Ordering::SeqCst) < seen + THREADS as u64 {
                    thread::yield_now();
                }
                done.store(true, Ordering::SeqCst);
            });
            let mut children = 0;
            while !done.load(Ordering::SeqCst) || children < 100 {
                assert!(in_forked_child(|| generation_of(&account(c"deployer")) > 0), "child {children}");
                children += 1;
            }
        });
        assert_eq!(generation_of(&account(c"deployer")), REPLACEMENTS + 1);
    }

    //
    fn each_byte_flipped_never_gives_a_wrong_answer() {
        let whole = small(1);
        publish(&whole);
        let right = account(c"deployer");
        assert_eq!(right.entry.as_ref().map(|entry| entry.uid), Some(FIRST_ID + 1));
        let file = fs::File::options().write(true).open(PATH).unwrap();
        let mut refused = 0;
        for (at, byte) in whole.iter().enumerate() {
            file.write_all_at(&[!byte], at as u64).unwrap();
            let answered = is_right_or_refused(&right, &format!("byte {at}"));
            assert!(at >= 512 || !answered, "byte {at} of the header is not covered");
            refused += usize::from(!answered);
            file.write_all_at(&[*byte], at as u64).unwrap();
        }
        assert!(refused > 512);
        assert_eq!(account(c"deployer"), right, "it recovers at once");
    }

    // truncated in place, as a careless `cp` does it.
    fn each_length_cut_in_place_is_refused_and_root_is_found() {
        let whole = small(1);
        publish(&whole);
        let right = account(c"deployer");
        let root = account(c"root");
        assert!(right.entry.is_some() && root.entry.is_some());
        for len in (0..whole.len()).rev() {
            fs::File::options().write(true).open(PATH).unwrap().set_len(len as u64).unwrap();
            assert!(!is_right_or_refused(&right, &format!("cut at {len}")), "cut at {len}");
            assert_eq!(account(c"root"), root);
        }
        publish(&whole);
        assert_eq!(account(c"deployer"), right);
    }
}
