//! Ten thousand logins in one process leave it as the first ones did.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test stops where it fails")]

mod support;

use std::fs;
use std::time::{Duration, Instant};

use support::ffi::Phase;
use support::login::Login;
use support::site::{BOB, CAROL};
use support::world::{DENIED, SUCCESS, World, in_world};

/// How long a thread that was joined may take to leave /proc.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a process has that could grow.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
struct Footprint {
    /// What it has allocated, in memory or swapped out: the pages of files come and go as the machine likes.
    allocated_kib: u64,
    descriptors: usize,
    threads: u64,
    mappings: usize,
}

fn footprint() -> Footprint {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    // Counted page by page; the numbers in `status` are kept for each processor and added up now and then.
    let memory = fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let number = |text: &str, key: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.split_ascii_whitespace().next().unwrap().parse().unwrap()
    };
    Footprint {
        allocated_kib: number(&memory, "Anonymous:") + number(&memory, "Swap:"),
        descriptors: fs::read_dir("/proc/self/fd").unwrap().count(),
        threads: number(&status, "Threads:"),
        mappings: fs::read_to_string("/proc/self/maps").unwrap().lines().count(),
    }
}

/// The footprint when there are no more threads than `threads`: who joins one goes on a moment before the kernel has let go
/// of it.
fn footprint_with(threads: u64) -> Footprint {
    let end = Instant::now() + PATIENCE;
    loop {
        let now = footprint();
        if now.threads <= threads || Instant::now() >= end {
            return now;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// pam_start to pam_end, the first half of them by somebody who is let in.
fn logins(world: &World, count: usize) {
    for number in 0..count {
        let (login, open) = if number % 2 == 0 {
            (Login::ssh("deployer", BOB), SUCCESS)
        } else {
            (Login::ssh("deployer", CAROL), DENIED)
        };
        let handle = login.start(world);
        assert_eq!(handle.run(Phase::Account, 0), SUCCESS);
        login.complete(&handle);
        assert_eq!(handle.run(Phase::Open, 0), open);
        let _ = handle.run(Phase::Establish, 0);
        let _ = handle.run(Phase::Close, 0);
        drop(handle);
        world.records();
    }
}

#[test]
fn ten_thousand_logins_leave_no_memory_descriptors_threads_or_sessions_behind() {
    in_world("ten_thousand_logins_leave_no_memory_descriptors_threads_or_sessions_behind", |world| {
        logins(world, 1000);
        let before = footprint();
        logins(world, 10_000);
        let after = footprint();
        // The allocator settles within a few pages; a leak of 100 bytes a login would be 1000 KiB.
        assert!(after.allocated_kib <= before.allocated_kib + 512, "{before:?} {after:?}");
        let rest = |footprint: Footprint| (footprint.descriptors, footprint.threads);
        assert_eq!(rest(before), rest(after));
        assert!(after.mappings <= before.mappings + 2, "{before:?} {after:?}");
        assert_eq!(world.sessions(), Vec::<String>::new());
    });
}

#[test]
fn threads_that_log_somebody_in_and_end_take_nothing_down_with_them() {
    in_world("threads_that_log_somebody_in_and_end_take_nothing_down_with_them", |world| {
        logins(world, 10);
        let before = footprint();
        let world: &World = world;
        for _ in 0..2000 {
            std::thread::scope(|scope| {
                scope.spawn(|| logins(world, 2)).join().unwrap();
            });
        }
        let after = footprint_with(before.threads);
        assert_eq!((before.descriptors, before.threads), (after.descriptors, after.threads));
        assert_eq!(world.sessions(), Vec::<String>::new());
    });
}
