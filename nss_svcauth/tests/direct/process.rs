//! A guest in somebody's process: forks, threads, cancellation, descriptors, system calls.

use std::ffi::CStr;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::host_sys::{
    cancelled_during, errno_after, in_a_storm_of_signals, system_calls_of, with_descriptor_limit,
};
use crate::room;
use crate::room::fork_sys::in_forked_child;
use crate::room::module_ffi::{NOT_FOUND, SUCCESS, UNAVAILABLE, module};
use crate::room::snapshots::{FIRST_ID, publish, small, withdraw};

fn status(name: &CStr) -> i32 {
    module().passwd_status(name, &mut [0; 1024])
}

fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Publishes generation after generation until the threads are done.
fn publish_while(work: impl Fn() + Sync, threads: usize) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for generation in 2.. {
                publish(&small(generation));
                if done.load(Ordering::SeqCst) {
                    return;
                }
            }
        });
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(&work)).collect();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        done.store(true, Ordering::SeqCst);
    });
}

/// What is asked, the question, its status, and its system calls.
type Row<'a> = (&'a str, &'a mut dyn FnMut() -> i32, i32, &'a [&'a str]);

static WRONG_IN_HANDLER: AtomicUsize = AtomicUsize::new(0);

fn look_up_in_a_handler() {
    if status(c"deployer") != SUCCESS || status(c"root") != NOT_FOUND {
        WRONG_IN_HANDLER.fetch_add(1, Ordering::SeqCst);
    }
}

crate::in_private_world! {
    // N-13: the golden list of what a lookup asks the kernel for.
    fn a_lookup_is_open_stat_three_reads_and_close() {
        publish(&small(1));
        const LOOKUP: [&str; 6] = ["open", "stat", "read", "read", "read", "close"];
        const MISS: [&str; 5] = ["open", "stat", "read", "read", "close"];
        const HEADER: [&str; 4] = ["open", "stat", "read", "close"];
        let mut buffer = [0; 1024];
        let rows: &mut [Row<'_>] = &mut [
            ("an account", &mut || status(c"deployer"), SUCCESS, &LOOKUP),
            ("a uid", &mut || module().passwd_id_status(FIRST_ID + 1, &mut [0; 1024]), SUCCESS, &LOOKUP),
            ("a group", &mut || module().group_status(c"application", &mut buffer), SUCCESS, &LOOKUP),
            ("the gids", &mut || module().initgroups(c"deployer", 0, &[], [16, -1]).0, SUCCESS, &LOOKUP),
            ("the first of a list", &mut || module().next_passwd(&mut [0; 1024]).status, SUCCESS, &LOOKUP),
            ("a stranger", &mut || status(c"stranger"), NOT_FOUND, &MISS),
            ("a uid outside the range", &mut || module().passwd_id_status(1000, &mut [0; 1024]), NOT_FOUND, &HEADER),
            ("root", &mut || status(c"root"), NOT_FOUND, &[]),
            ("uid 0", &mut || module().passwd_id_status(0, &mut [0; 1024]), NOT_FOUND, &[]),
            ("a group that is a number", &mut || module().group_status(c"27", &mut [0; 1024]), NOT_FOUND, &[]),
            ("the gids of root", &mut || module().initgroups(c"root", 0, &[], [16, -1]).0, NOT_FOUND, &[]),
        ];
        for (what, question, expected_status, expected) in rows {
            assert_eq!(question(), *expected_status, "{what}");
            let Some(calls) = system_calls_of(&mut *question) else {
                return;
            };
            assert_eq!(calls, *expected, "{what}");
        }
    }

    // N-07
    fn threads_see_whole_answers_while_snapshots_are_replaced() {
        publish(&small(1));
        publish_while(
            || {
                for _ in 0..3_000 {
                    let mut buffer = [0; 1024];
                    let answer = module().passwd_by_id(FIRST_ID + 1, &mut buffer).entry.unwrap();
                    assert_eq!(answer.texts[0].value, "deployer");
                    let answer = module().group_by_name(c"application", &mut buffer).entry.unwrap();
                    assert_eq!((answer.gid, answer.members.len()), (FIRST_ID + 100, 3));
                    let (status, _, gids) = module().initgroups(c"deployer", 0, &[], [1, -1]);
                    assert_eq!((status, gids.gids), (SUCCESS, vec![FIRST_ID, FIRST_ID + 100]));
                    module().rewind();
                    let listed = module().next_passwd(&mut buffer);
                    assert!([SUCCESS, UNAVAILABLE, NOT_FOUND].contains(&listed.status));
                }
            },
            8,
        );
    }

    // N-09
    fn a_child_forked_while_other_threads_look_up_can_look_up_too() {
        publish(&small(1));
        // Loads the module: a child that is forked while another thread loads it would wait for that thread for ever.
        assert_eq!(status(c"deployer"), SUCCESS);
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    while !done.load(Ordering::SeqCst) {
                        assert_eq!(status(c"deployer"), SUCCESS);
                        module().next_group(&mut [0; 1024]);
                    }
                });
            }
            let children = (0..300).filter(|_| {
                in_forked_child(|| {
                    let listed = module().rewind() == [SUCCESS; 4]
                        && module().next_passwd(&mut [0; 1024]).status == SUCCESS;
                    listed && status(c"deployer") == SUCCESS && status(c"root") == NOT_FOUND
                })
            });
            let able = children.count();
            // Before anything fails: the threads would look up for ever.
            done.store(true, Ordering::SeqCst);
            assert_eq!(able, 300);
        });
    }

    fn a_thread_cancelled_in_a_lookup_finishes_it_first() {
        publish(&small(1));
        status(c"deployer");
        let before = open_descriptors();
        for _ in 0..20 {
            assert_eq!(cancelled_during(|| status(c"deployer")), Some(SUCCESS));
        }
        assert_eq!(open_descriptors(), before, "no descriptor is left behind");
        assert_eq!(status(c"deployer"), SUCCESS);
    }

    // N-10
    fn no_descriptor_stays_open_and_none_is_needed_to_refuse() {
        publish(&small(1));
        status(c"deployer");
        let before = open_descriptors();
        for _ in 0..100 {
            status(c"deployer");
            status(c"stranger");
            module().initgroups(c"deployer", 0, &[], [1, -1]);
            module().next_passwd(&mut [0; 1024]);
            module().passwd_by_name(c"deployer", &mut []);
        }
        publish(b"damaged");
        (0..100).for_each(|_| assert_eq!(status(c"deployer"), UNAVAILABLE));
        assert_eq!(open_descriptors(), before);
        publish(&small(2));
        let answer = with_descriptor_limit(0, || module().passwd_by_name(c"deployer", &mut [0; 1024]));
        assert_eq!((answer.status, answer.errno), (UNAVAILABLE, libc::EMFILE));
        let answer = with_descriptor_limit(0, || module().passwd_by_name(c"root", &mut [0; 1024]));
        assert_eq!((answer.status, answer.errno), (NOT_FOUND, libc::ENOENT));
        assert_eq!(status(c"deployer"), SUCCESS);
    }

    // N-14: the handler has no state to find half-done.
    fn a_signal_handler_may_look_up_in_the_middle_of_a_lookup() {
        publish(&small(1));
        assert_eq!(status(c"deployer"), SUCCESS);
        let handled = in_a_storm_of_signals(look_up_in_a_handler, || {
            for _ in 0..50_000 {
                assert_eq!(status(c"deployer"), SUCCESS);
                let (status, _, gids) = module().initgroups(c"deployer", 0, &[], [16, -1]);
                assert_eq!((status, gids.filled), (SUCCESS, 2));
            }
        });
        assert!(handled > 10, "{handled} signals");
        assert_eq!(WRONG_IN_HANDLER.load(Ordering::SeqCst), 0);
    }

    // N-14
    fn the_hosts_own_errno_is_left_alone() {
        publish(&small(1));
        assert_eq!(errno_after(libc::EXDEV, || assert_eq!(status(c"deployer"), SUCCESS)), libc::EXDEV);
        withdraw();
        assert_eq!(errno_after(libc::EXDEV, || assert_eq!(status(c"deployer"), UNAVAILABLE)), libc::EXDEV);
    }
}
