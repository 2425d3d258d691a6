//! Damaged files, full logs, exhausted limits: managed accounts stay shut, everybody else goes by, nothing hangs.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test stops where it fails")]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use support::ffi::{Handle, Item, Phase};
use support::login::{Answers, Login, assert_others_untouched};
use support::site::{BOB, CAROL, Site};
use support::world::{
    CONFIG_FILE, DENIED, IGNORE, LAST_MANAGED, SNAPSHOT, SUCCESS, World, in_world, skipped,
};
use svcauth_core::id::{Gid, IdRange, Uid};
use svcauth_core::policy::AuditMode;
use svcauth_core::snapshot::{AccountsFile, NewAccount, Stamp};

/// What waits longer waits for ever: the longest wait of a phase is a fraction of a second, on a machine that has time.
const BOUND: Duration = Duration::from_secs(60);
/// What does not wait at all has ended by then, when the machine has time.
const AT_ONCE: Duration = Duration::from_millis(50);

/// PAM_SYSTEM_ERR: libpam's own answer when it has no descriptor left for the kernel's audit log.
const LIBPAM: i32 = 4;

/// Runs a login, which may not hang.
fn timed(world: &World, login: &Login, state: &str) -> Answers {
    let start = Instant::now();
    let answers = login.run(world);
    let spent = start.elapsed();
    assert!(spent < BOUND, "{state}: {spent:?} for {login:?}");
    answers
}

fn assert_shut(world: &World, reason: &str, state: &str) {
    for login in [Login::ssh("deployer", BOB), Login::by("su", "bob", "deployer")] {
        let answers = timed(world, &login, state);
        assert_eq!((answers.account, answers.open), (DENIED, DENIED), "{state}: {login:?}");
        let told = answers.records.iter().all(|record| record.contains(&format!("reason={reason} ")));
        assert!(told, "{state}: {answers:?}");
    }
}

#[test]
fn a_snapshot_that_cannot_be_trusted_shuts_managed_accounts_and_nobody_else() {
    in_world("a_snapshot_that_cannot_be_trusted_shuts_managed_accounts_and_nobody_else", |world| {
        type State = (&'static str, &'static str, fn(&[u8]));
        let states: [State; 9] = [
            ("missing", "snapshot_missing", |_| fs::remove_file(SNAPSHOT).unwrap()),
            ("empty", "snapshot_invalid", |_| fs::write(SNAPSHOT, "").unwrap()),
            ("another file", "snapshot_invalid", |bytes| {
                fs::write(SNAPSHOT, vec![b'x'; bytes.len()]).unwrap()
            }),
            ("too long", "snapshot_invalid", |bytes| fs::write(SNAPSHOT, [bytes, b"x"].concat()).unwrap()),
            ("writable by others", "snapshot_invalid", |_| {
                fs::set_permissions(SNAPSHOT, fs::Permissions::from_mode(0o666)).unwrap();
            }),
            ("a folder", "snapshot_invalid", |_| {
                fs::remove_file(SNAPSHOT).unwrap();
                fs::create_dir(SNAPSHOT).unwrap();
            }),
            ("a FIFO without a writer", "snapshot_invalid", |_| {
                fs::remove_file(SNAPSHOT).unwrap();
                mkfifo(SNAPSHOT, Mode::S_IRUSR).unwrap();
            }),
            ("a link to a good one", "snapshot_invalid", |bytes| {
                fs::write("/var/lib/good.snap", bytes).unwrap();
                fs::remove_file(SNAPSHOT).unwrap();
                symlink("/var/lib/good.snap", SNAPSHOT).unwrap();
            }),
            ("somebody else's", "snapshot_invalid", |_| {
                if chown(SNAPSHOT, Some(1001), None).is_err() {
                    skipped("somebody else's snapshot", "this user namespace has one user");
                    fs::write(SNAPSHOT, "").unwrap();
                }
            }),
        ];
        for (state, reason, make) in states {
            world.restore();
            assert_eq!(Login::ssh("deployer", BOB).run(world).open, SUCCESS, "before {state}");
            make(&fs::read(SNAPSHOT).unwrap());
            assert_shut(world, reason, state);
            assert_others_untouched(world, state);
        }
    });
}

#[test]
fn an_account_that_names_show_and_decisions_do_not_know_stays_shut() {
    in_world("an_account_that_names_show_and_decisions_do_not_know_stays_shut", |world| {
        let mut site = Site::usual();
        assert_eq!(Login::ssh("deployer", BOB).run(world).open, SUCCESS);
        // access.snap is brought back from before deployer was there; accounts.snap is of today.
        site.accounts.retain(|account| account.name != "deployer");
        fs::write(SNAPSHOT, site.snapshot()).unwrap();
        assert_eq!(
            Login::ssh("deployer", BOB).run(world).open,
            IGNORE,
            "nothing shows it, nobody manages it"
        );
        let accounts = Path::new(SNAPSHOT).with_file_name("accounts.snap");
        let id_range = IdRange::new(7000, 7999).unwrap();
        let stamp = Stamp { generation: 9, created: 1, seed: [1, 2], id_range, counts: [1, 0, 0] };
        let mut shown = AccountsFile::new(stamp).unwrap();
        shown
            .account(&NewAccount {
                name: "deployer".to_owned(),
                uid: Uid::new(7001).unwrap(),
                gid: Gid::new(7000).unwrap(),
                gecos: String::new(),
                home: "/home/deployer".to_owned(),
                shell: "/bin/sh".to_owned(),
                gids: Vec::new(),
            })
            .unwrap();
        fs::write(&accounts, shown.finish().unwrap()).unwrap();
        fs::set_permissions(&accounts, fs::Permissions::from_mode(0o644)).unwrap();
        assert_shut(world, "snapshot_invalid", "an older access.snap");
        assert_others_untouched(world, "an older access.snap");
        fs::write(&accounts, "damaged").unwrap();
        assert_others_untouched(world, "a damaged accounts.snap");
        fs::remove_file(accounts).unwrap();
    });
}

#[test]
fn a_snapshot_cut_anywhere_or_with_any_byte_flipped_lets_in_nobody_it_should_not() {
    in_world("a_snapshot_cut_anywhere_or_with_any_byte_flipped_lets_in_nobody_it_should_not", |world| {
        let good = fs::read(SNAPSHOT).unwrap();
        let check = |state: &str| {
            let carol = Login::ssh("deployer", CAROL).run(world);
            assert_eq!(carol.open, DENIED, "{state}");
            let bob = Login::ssh("deployer", BOB).run(world);
            let sound =
                bob.open == SUCCESS || (bob.open == DENIED && bob.records[0].contains("snapshot_invalid"));
            assert!(sound, "{state}: {bob:?}");
            let alice = Login::ssh("alice", BOB).run(world);
            assert_eq!((alice.account, alice.open), (IGNORE, IGNORE), "{state}");
            bob.open == SUCCESS
        };
        assert!(check("whole"));
        for len in (0..good.len()).step_by(37) {
            fs::write(SNAPSHOT, &good[..len]).unwrap();
            assert!(!check(&format!("cut to {len}")));
        }
        // Every byte of the header, and a third of the rest, another third with each seed of the steps.
        let rest = (512..good.len()).step_by(3);
        let mut refused = 0;
        for at in (0..512).chain(rest) {
            let mut bad = good.clone();
            bad[at] ^= 0x55;
            fs::write(SNAPSHOT, &bad).unwrap();
            refused += usize::from(!check(&format!("byte {at} flipped")));
        }
        assert!(refused > 512, "only {refused} of the flipped bytes were noticed");
    });
}

#[test]
fn the_configuration_keeps_accounts_managed_and_without_it_what_it_last_said() {
    in_world("the_configuration_keeps_accounts_managed_and_without_it_what_it_last_said", |world| {
        let broken: [(&str, &[u8]); 4] = [
            ("empty", b""),
            ("no TOML", b"[directory\n"),
            ("an unknown key", b"[directory]\nkind = \"ldif\"\nkin = 1\n"),
            ("no text", b"\xff\xfe\0"),
        ];
        for (state, text) in broken {
            world.restore();
            world.write(CONFIG_FILE, 0o644, text);
            // A broken configuration does not matter as long as there is a snapshot.
            assert_eq!(Login::ssh("deployer", BOB).run(world).open, SUCCESS, "{state}");
            assert_others_untouched(world, state);
            fs::remove_file(SNAPSHOT).unwrap();
            assert_shut(world, "config_invalid", state);
            assert_others_untouched(world, state);
            // It never could be read: svcauth manages nothing here, and must not shut anybody out.
            fs::remove_file(LAST_MANAGED).unwrap();
            assert_eq!(Login::ssh("deployer", BOB).run(world).account, IGNORE, "{state}");
        }
        world.restore();
        for path in [SNAPSHOT, CONFIG_FILE, LAST_MANAGED] {
            fs::remove_file(path).unwrap();
        }
        assert_eq!(Login::ssh("deployer", BOB).run(world).account, IGNORE);
        assert_others_untouched(world, "not set up");
    });
}

fn assert_passes_at_once(handle: &Handle, state: &str) {
    for account in [c"root", c"alice"] {
        handle.set(Item::User, Some(account));
        // A busy machine delays some; who waits is late each time.
        let is_at_once = (0..200).any(|_| {
            let start = Instant::now();
            assert_eq!(handle.run(Phase::Open, 0), IGNORE, "{state}: {account:?}");
            start.elapsed() < AT_ONCE
        });
        assert!(is_at_once, "{state}: {account:?} waits");
    }
}

#[test]
fn without_a_log_a_required_audit_refuses_and_one_of_best_effort_does_not_and_neither_waits() {
    in_world(
        "without_a_log_a_required_audit_refuses_and_one_of_best_effort_does_not_and_neither_waits",
        |world| {
            for audit in [AuditMode::Required, AuditMode::BestEffort] {
                let mut site = Site::usual();
                site.policy.audit = audit;
                for state in ["read", "stalled", "missing"] {
                    world.restore();
                    world.publish(&site);
                    match state {
                        "stalled" => world.stall_log(),
                        "missing" => world.remove_log(),
                        _ => {}
                    }
                    let handle = Login::ssh("deployer", BOB).start(world);
                    Login::ssh("deployer", BOB).complete(&handle);
                    let start = Instant::now();
                    let open = handle.run(Phase::Open, 0);
                    let spent = start.elapsed();
                    assert!(spent < BOUND, "{audit:?} {state}: {spent:?}");
                    let allowed = audit == AuditMode::BestEffort || state == "read";
                    assert_eq!(open == SUCCESS, allowed, "{audit:?} {state}");
                    assert_eq!(world.sessions().len(), usize::from(allowed), "{audit:?} {state}");
                    let carol = Login::ssh("deployer", CAROL);
                    let handle = carol.start(world);
                    carol.complete(&handle);
                    assert_eq!(handle.run(Phase::Open, 0), DENIED, "{audit:?} {state}");
                    assert_passes_at_once(&handle, state);
                }
            }
            // As soon as somebody listens again, what could not be told is: the refusal names its reason.
            world.restore();
            world.remove_log();
            assert_eq!(Login::ssh("deployer", BOB).run(world).open, DENIED);
            world.open_log();
            assert_eq!(Login::ssh("deployer", BOB).run(world).open, SUCCESS);
        },
    );
}

#[test]
fn a_caller_who_leaves_no_descriptors_or_file_sizes_gets_nowhere_and_crashes_nothing() {
    in_world("a_caller_who_leaves_no_descriptors_or_file_sizes_gets_nowhere_and_crashes_nothing", |world| {
        let su = Login::by("su", "bob", "deployer");
        assert_eq!(su.run(world).open, SUCCESS);
        // SIGXFSZ would kill su: the default is death, and the caller sets the limit.
        setrlimit(Resource::RLIMIT_FSIZE, 0, 1 << 30).unwrap();
        let answers = su.run(world);
        setrlimit(Resource::RLIMIT_FSIZE, 1 << 30, 1 << 30).unwrap();
        assert!(answers.open == DENIED && answers.records[0].contains("ulimit -f"), "{answers:?}");
        // The handle has loaded its modules when descriptors run out, in the middle of it all.
        let mut refused = 0;
        for limit in 3..40 {
            let handles = [su.start(world), Login::by("su", "bob", "alice").start(world), su.start(world)];
            for handle in &handles {
                assert_ne!(handle.run(Phase::Authenticate, 0), SUCCESS);
            }
            handles[2].set(Item::User, Some(c"root"));
            setrlimit(Resource::RLIMIT_NOFILE, limit, 4096).unwrap();
            let [deployer, alice, root] = handles.each_ref().map(|handle| handle.run(Phase::Open, 0));
            setrlimit(Resource::RLIMIT_NOFILE, 1024, 4096).unwrap();
            assert!([SUCCESS, DENIED, LIBPAM].contains(&deployer), "{limit}: {deployer}");
            assert!([IGNORE, DENIED, LIBPAM].contains(&alice), "{limit}: {alice}");
            assert!([IGNORE, LIBPAM].contains(&root), "{limit}: {root}");
            refused += usize::from(deployer == DENIED);
        }
        assert!((1..37).contains(&refused), "both outcomes were seen: {refused}");
        assert_eq!(su.run(world).open, SUCCESS);
    });
}

#[test]
fn texts_that_sshd_would_not_write_are_refused_and_leave_one_line_each() {
    in_world("texts_that_sshd_would_not_write_are_refused_and_leave_one_line_each", |world| {
        let good = support::site::by(BOB);
        assert_eq!(Login::ssh_with("deployer", &good).run(world).open, SUCCESS);
        let key = good.trim_end();
        for (number, bad) in [
            format!("{key} extra\n"),
            format!(" {good}"),
            format!("{good}\n"),
            format!("{key}\r\n"),
            format!("{key}\tx\n"),
            format!("{}\n", &key[..key.len() - 7]),
            format!("publickey{}\n", key.trim_start_matches("publickey ")),
            format!("PUBLICKEY{}\n", key.trim_start_matches("publickey")),
            good.repeat(17),
            "x".repeat(1 << 20),
            format!("gssapi-with-mic bob@EXAMPLE.COM\n{} \n", "publickey"),
            "gssapi-with-mic bob\n".to_owned(),
            "gssapi-with-mic a\\@b@EXAMPLE.COM\n".to_owned(),
            "password bob\npublickey\n".to_owned(),
        ]
        .into_iter()
        .enumerate()
        {
            let answers = Login::ssh_with("deployer", &bad).run(world);
            assert_eq!((answers.account, answers.open), (SUCCESS, DENIED), "{number}: {answers:?}");
            assert_eq!(answers.records.len(), 1, "{number}: {answers:?}");
            assert!(!answers.records[0].contains(char::is_control), "{number}: {answers:?}");
        }
    });
}
