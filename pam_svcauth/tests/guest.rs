//! The module as a guest: whatever state the caller of su has left its process in, the answers are right and nothing of the
//! process is changed.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test stops where it fails")]

mod support;

use std::fs;
use std::io::{stderr, stdin, stdout};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{close, dup, dup2_stderr, dup2_stdin, dup2_stdout};
use support::ffi::{Phase, on_signal};
use support::login::{Login, assert_others_untouched};
use support::site::{BOB, CAROL};
use support::world::{DENIED, SESSIONS, SUCCESS, World, in_world};

/// The smallest stack that a thread gets without asking for less: musl's.
const STACK: usize = 128 << 10;

/// bob gets in and is recorded, carol does not and is too, others go by, and nobody waits.
fn assert_as_ever(world: &World, state: &str) {
    let start = Instant::now();
    let bob = Login::by("su", "bob", "deployer").run(world);
    assert_eq!((bob.account, bob.open, bob.close), (SUCCESS, SUCCESS, Some(SUCCESS)), "{state}: {bob:?}");
    assert_eq!(bob.records.len(), 3, "{state}: {bob:?}");
    let carol = Login::ssh("deployer", CAROL).run(world);
    assert_eq!((carol.open, carol.records.len()), (DENIED, 1), "{state}: {carol:?}");
    assert_others_untouched(world, state);
    assert!(start.elapsed() < Duration::from_secs(120), "{state}: {:?}", start.elapsed());
    let children = fs::read_to_string("/proc/self/task/self/children")
        .or_else(|_| fs::read_to_string(format!("/proc/self/task/{}/children", std::process::id())));
    assert_eq!(children.unwrap_or_default().trim(), "", "{state}: a child was started");
}

#[test]
fn signals_that_are_ignored_blocked_or_deadly_change_nothing() {
    in_world("signals_that_are_ignored_blocked_or_deadly_change_nothing", |world| {
        assert_as_ever(world, "as usual");
        let own = |handler| {
            for signal in [Signal::SIGCHLD, Signal::SIGPIPE, Signal::SIGALRM] {
                on_signal(signal, handler);
            }
        };
        own(SigHandler::SigIgn);
        assert_as_ever(world, "signals ignored");
        // SIGPIPE would end the process now, at a socket that nobody reads.
        own(SigHandler::SigDfl);
        assert_as_ever(world, "signals by default");
        world.remove_log();
        assert_eq!(Login::by("su", "bob", "deployer").run(world).open, DENIED);
        world.open_log();
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None).unwrap();
        assert_as_ever(world, "signals blocked");
        let mut after = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_SETMASK, None, Some(&mut after)).unwrap();
        assert!(after.contains(Signal::SIGPIPE) && after.contains(Signal::SIGCHLD), "the mask was changed");
    });
}

#[test]
fn the_callers_umask_and_working_folder_are_neither_used_nor_changed() {
    in_world("the_callers_umask_and_working_folder_are_neither_used_nor_changed", |world| {
        for bits in [0o000, 0o777] {
            let _ = fs::remove_dir_all("/run/svcauth");
            umask(Mode::from_bits_truncate(bits));
            let ssh = Login::ssh("deployer", BOB);
            let handle = ssh.start(world);
            ssh.complete(&handle);
            assert_eq!(handle.run(Phase::Open, 0), SUCCESS, "umask {bits:o}");
            let mode = |path: &str| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
            let entry = format!("{SESSIONS}/{}", world.sessions()[0]);
            assert_eq!((mode("/run/svcauth"), mode(SESSIONS)), (0o755, 0o700), "umask {bits:o}");
            assert_eq!(mode(&entry) & 0o177, 0, "umask {bits:o}: {:o}", mode(&entry));
            assert_eq!(handle.run(Phase::Close, 0), SUCCESS, "umask {bits:o}");
            assert_eq!(umask(Mode::from_bits_truncate(0o022)).bits(), bits, "the umask was changed");
            assert_as_ever(world, "after an odd umask");
        }
        fs::create_dir("/run/gone").unwrap();
        std::env::set_current_dir("/run/gone").unwrap();
        fs::remove_dir("/run/gone").unwrap();
        assert_as_ever(world, "in a folder that is gone");
        assert!(std::env::current_dir().is_err(), "the working folder was changed");
    });
}

#[test]
fn closed_standard_descriptors_stay_closed_and_are_nobodys() {
    in_world("closed_standard_descriptors_stay_closed_and_are_nobodys", |world| {
        // Handles whose modules are loaded: what libpam itself opens then is not in question.
        let [bob, carol] = [Login::by("su", "bob", "deployer"), Login::by("su", "carol", "deployer")];
        let handles = [&bob, &carol].map(|login| login.start(world));
        for handle in &handles {
            assert_ne!(handle.run(Phase::Authenticate, 0), SUCCESS);
        }
        world.records();
        let kept = (dup(stdin()).unwrap(), dup(stdout()).unwrap(), dup(stderr()).unwrap());
        (0..3).for_each(|number| close(number).unwrap());
        let codes = handles.each_ref().map(|handle| handle.run(Phase::Open, 0));
        let open = (0..3).filter(|number| fs::exists(format!("/proc/self/fd/{number}")).unwrap()).count();
        let end = handles[0].run(Phase::Close, 0);
        dup2_stdin(&kept.0).unwrap();
        dup2_stdout(&kept.1).unwrap();
        dup2_stderr(&kept.2).unwrap();
        assert_eq!((codes, end, open), ([SUCCESS, DENIED], SUCCESS, 0));
        assert_eq!(world.records().len(), 4);
        assert_as_ever(world, "with descriptors again");
    });
}

#[test]
fn limits_that_a_caller_may_set_leave_the_answers_as_they_are() {
    in_world("limits_that_a_caller_may_set_leave_the_answers_as_they_are", |world| {
        for (resource, name) in [
            (Resource::RLIMIT_NPROC, "no processes"),
            (Resource::RLIMIT_CORE, "no core files"),
            (Resource::RLIMIT_MEMLOCK, "no locked memory"),
        ] {
            let (_, hard) = getrlimit(resource).unwrap();
            setrlimit(resource, 0, hard).unwrap();
            assert_as_ever(world, name);
            assert_eq!(getrlimit(resource).unwrap(), (0, hard), "{name}: the limit was changed");
        }
        let world: &World = world;
        std::thread::scope(|scope| {
            let small = std::thread::Builder::new().stack_size(STACK);
            small.spawn_scoped(scope, || assert_as_ever(world, "a small stack")).unwrap().join().unwrap();
        });
    });
}
