//! Decisions are counted, and nothing that befalls the counting changes one.
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount, umount};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use support::login::{Login, assert_others_untouched};
use support::site::{BOB, CAROL};
use support::world::{DENIED, SUCCESS, World, in_world};

const FOLDER: &str = "/run/svcauth";
const FILE: &str = "/run/svcauth/decisions";

/// What was noted since the last call.
fn noted() -> Vec<String> {
    let text = fs::read_to_string(FILE).unwrap_or_default();
    let _ = fs::remove_file(FILE);
    text.lines().map(str::to_owned).collect()
}

#[test]
fn each_decision_is_noted_once_with_its_reason_and_service_and_nothing_else_is() {
    in_world("each_decision_is_noted_once_with_its_reason_and_service_and_nothing_else_is", |world| {
        for (login, code, line) in [
            (Login::ssh("deployer", BOB), SUCCESS, "allow - sshd"),
            (Login::ssh("deployer", CAROL), DENIED, "deny not_in_role sshd"),
            (Login::by("su-l", "bob", "deployer"), SUCCESS, "allow - su"),
            (Login::by("sudo", "carol", "deployer"), DENIED, "deny not_in_role sudo"),
            (Login::through("login", "deployer"), DENIED, "deny no_origin login"),
        ] {
            assert_eq!(login.run(world).open, code, "{login:?}");
            assert_eq!(noted(), [line], "{login:?}");
        }
        // The account alone rules it out: sshd ends there, and this login goes on to ask a second time.
        Login::ssh("off", BOB).run(world);
        assert_eq!(noted(), ["deny account_disabled sshd"; 2]);
        assert_others_untouched(world, "as it should be");
        assert!(!Path::new(FILE).exists());
    });
}

fn assert_decides(world: &World, state: &str) {
    let start = Instant::now();
    assert_eq!(Login::ssh("deployer", BOB).run(world).open, SUCCESS, "{state}");
    assert_eq!(Login::ssh("deployer", CAROL).run(world).open, DENIED, "{state}");
    let root = Login::by("runuser", "root", "deployer").run(world);
    assert_eq!(root.open, SUCCESS, "{state}");
    assert!(start.elapsed() < Duration::from_secs(60), "{state}: {:?}", start.elapsed());
}

#[test]
fn a_decision_that_cannot_be_noted_is_the_same_decision() {
    in_world("a_decision_that_cannot_be_noted_is_the_same_decision", |world| {
        type State = (&'static str, fn());
        let states: [State; 6] = [
            ("no folder", || {}),
            ("a FIFO", || mkfifo(FILE, Mode::S_IRUSR | Mode::S_IWUSR).unwrap()),
            ("a folder", || fs::create_dir(FILE).unwrap()),
            ("a link to a precious file", || {
                fs::write("/run/precious", "precious").unwrap();
                symlink("/run/precious", FILE).unwrap();
            }),
            ("a device that is always full", || symlink("/dev/full", FILE).unwrap()),
            ("a file that takes no more", || {
                fs::write(FILE, vec![b'x'; 1 << 20]).unwrap();
                fs::set_permissions(FILE, fs::Permissions::from_mode(0o600)).unwrap();
            }),
        ];
        for (state, make) in states {
            world.restore();
            assert_decides(world, &format!("before {state}"));
            assert_eq!(noted().len(), 3, "before {state}");
            if state == "no folder" {
                fs::remove_dir_all(FOLDER).unwrap();
            }
            make();
            assert_decides(world, state);
        }
        assert_eq!(fs::read_to_string("/run/precious").unwrap(), "precious");
        assert_eq!(fs::metadata(FILE).unwrap().len(), 1 << 20);
    });
}

/// Sessions cannot be registered on such a file system, so only root and those who are refused get an answer there.
#[test]
fn a_full_or_read_only_file_system_refuses_nobody_for_the_counting_alone() {
    in_world("a_full_or_read_only_file_system_refuses_nobody_for_the_counting_alone", |world| {
        assert_decides(world, "before");
        assert_eq!(noted().len(), 3);
        let flags = MsFlags::MS_NOSUID;
        let sessions = "/run/svcauth/sessions";
        for options in ["mode=0755,size=4k", "mode=0755,ro"] {
            mount(Some("none"), FOLDER, Some("tmpfs"), flags, Some("mode=0755,size=8k")).unwrap();
            fs::create_dir(sessions).unwrap();
            mount(Some("none"), sessions, Some("tmpfs"), flags, Some("mode=0700")).unwrap();
            if options.ends_with("ro") {
                mount(
                    None::<&str>,
                    FOLDER,
                    None::<&str>,
                    MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY,
                    None::<&str>,
                )
                .unwrap();
            } else {
                fs::write("/run/svcauth/ballast", vec![0; 8192]).unwrap_or_default();
            }
            assert_decides(world, options);
            assert_eq!(fs::read_to_string(FILE).unwrap_or_default(), "", "{options}: something was noted");
            umount(sessions).unwrap();
            umount(FOLDER).unwrap();
        }
        assert_decides(world, "after");
        assert_eq!(noted().len(), 3);
    });
}
