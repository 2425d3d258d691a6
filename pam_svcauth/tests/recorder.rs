//! The module and the daemon's recorder together: who is let in when no log takes a record, and what a flood leaves behind.
#![allow(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test stops where it fails, and a rate is told"
)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::ffi::{Item, Phase};
use support::login::Login;
use support::site::{BOB, CAROL, Site};
use support::world::{DENIED, IGNORE, LOG, SUCCESS, World, in_world, in_world_with_daemon};
use svcauth_core::policy::AuditMode;
use svcauth_host::spool::REFUSALS_MAX;

const FILE: &str = "/var/log/svcauth/audit.jsonl";
const SPOOL: &str = "/run/svcauth/audit.spool";
const PATIENCE: Duration = Duration::from_secs(90);
/// What a flood is: two thousand refusals a second for six seconds, where the machine is quick enough.
const FLOOD: u64 = 12_000;
/// So many refusals of one kind are kept one by one in a minute.
const KEPT: usize = 600;

/// A daemon whose directory is away: it publishes nothing, and records.
struct Daemon(Child);

impl Daemon {
    /// Mounts what the daemon writes to; once in a world.
    fn prepare() {
        fs::create_dir_all("/var/log").unwrap();
        mount(Some("none"), "/var/log", Some("tmpfs"), MsFlags::empty(), Some("mode=0755")).unwrap();
        let users = fs::read_to_string("/etc/passwd").unwrap() + "svcauth:x:991:991::/:/usr/sbin/nologin\n";
        fs::write("/etc/passwd", users).unwrap();
        fs::write("/etc/group", "root:x:0:\nsvcauth:x:991:\n").unwrap();
    }

    fn start() -> Self {
        let out = fs::File::create("/var/log/svcauthd.out").unwrap();
        let mut command = Command::new(support::build::daemon_path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(out);
        let daemon = Self(command.spawn().unwrap());
        wait("the audit file", || fs::metadata(FILE).is_ok_and(|meta| meta.len() > 0));
        daemon
    }

    fn end(&mut self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), signal).unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(
            start.elapsed() < PATIENCE,
            "{what}: {}",
            fs::read_to_string("/var/log/svcauthd.out").unwrap_or_default()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// How often something stands in the file.
fn count(part: &str) -> usize {
    fs::read_to_string(FILE).unwrap().lines().filter(|line| line.contains(part)).count()
}

/// The session phase alone.
fn open(world: &World, login: &Login) -> i32 {
    let handle = login.start(world);
    login.complete(&handle);
    handle.run(Phase::Open, 0)
}

#[test]
fn without_a_log_a_living_recorder_is_enough_and_without_both_only_best_effort_lets_in() {
    in_world_with_daemon(
        "without_a_log_a_living_recorder_is_enough_and_without_both_only_best_effort_lets_in",
        |world| {
            Daemon::prepare();
            for audit in [AuditMode::Required, AuditMode::BestEffort] {
                let mut site = Site::usual();
                site.policy.audit = audit;
                for log in ["stalled", "missing"] {
                    world.restore();
                    world.publish(&site);
                    let _ = fs::remove_dir_all("/var/log/svcauth");
                    let mut daemon = Daemon::start();
                    if log == "stalled" {
                        world.stall_log()
                    } else {
                        world.remove_log()
                    };
                    let bob = Login::ssh("deployer", BOB);
                    assert_eq!(open(world, &bob), SUCCESS, "{audit:?} {log}");
                    assert_eq!(open(world, &Login::ssh("deployer", CAROL)), DENIED, "{audit:?} {log}");
                    wait("both records", || count("\"decision\":\"allow\"") == 1 && count("carol") == 1);
                    daemon.end(Signal::SIGKILL);
                    let allowed = audit == AuditMode::BestEffort;
                    assert_eq!(open(world, &bob) == SUCCESS, allowed, "{audit:?} {log}");
                    for other in [c"root", c"alice"] {
                        let handle = bob.start(world);
                        handle.set(Item::User, Some(other));
                        assert_eq!(handle.run(Phase::Open, 0), IGNORE, "{audit:?} {log} {other:?}");
                    }
                    // What nobody was there to take is in the file later; what was refused is not there as allowed.
                    let _daemon = Daemon::start();
                    let (allows, denies) = if allowed { (2, 0) } else { (1, 1) };
                    wait("the rest", || {
                        count("\"decision\":\"allow\"") == allows && count("audit_unavailable") == denies
                    });
                }
            }
        },
    );
}

#[test]
fn a_caller_whose_limit_on_file_sizes_is_too_low_is_not_killed_by_the_spool() {
    in_world("a_caller_whose_limit_on_file_sizes_is_too_low_is_not_killed_by_the_spool", |world| {
        let su = Login::by("su", "carol", "deployer");
        // Whoever gets in makes the folder.
        assert_eq!(Login::by("su", "bob", "deployer").run(world).open, SUCCESS);
        assert_eq!(su.run(world).open, DENIED);
        let size = fs::metadata(SPOOL).unwrap().len();
        for limit in [0, 1, size, size + 100, 1 << 16] {
            setrlimit(Resource::RLIMIT_FSIZE, limit, 1 << 30).unwrap();
            let answers = su.run(world);
            assert!(
                answers.open == DENIED && answers.records[0].contains("not_in_role"),
                "{limit}: {answers:?}"
            );
            assert_eq!(fs::metadata(SPOOL).unwrap().len(), size, "{limit}");
        }
        setrlimit(Resource::RLIMIT_FSIZE, 1 << 30, 1 << 30).unwrap();
        assert_eq!(su.run(world).open, DENIED);
        assert!(fs::metadata(SPOOL).unwrap().len() > size);
    });
}

/// Reads the log of the host as fast as it can.
fn read_log(stop: &AtomicBool) {
    let _ = fs::remove_file(LOG);
    let log = UnixDatagram::bind(LOG).unwrap();
    log.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut buffer = vec![0; 1 << 16];
    while !stop.load(Ordering::Relaxed) {
        let _ = log.recv(&mut buffer);
    }
}

/// Whether the recorder has half as much before it as the spool takes of refusals: what comes beyond that is lost, and a
/// busy machine may leave the daemon no time.
fn is_behind() -> bool {
    fs::metadata(SPOOL).is_ok_and(|meta| meta.len().min(meta.blocks() * 512) > REFUSALS_MAX / 2)
}

/// Three threads that are refused all the time, and now and then somebody who is let in: how often each, until it is a
/// flood.
fn flood(world: &mut World) -> (u64, usize) {
    let (stop, refused, mut allowed) = (AtomicBool::new(false), AtomicU64::new(0), 0);
    world.remove_log();
    let folder = world.pam_folder();
    std::thread::scope(|scope| {
        scope.spawn(|| read_log(&stop));
        wait("the log", || fs::metadata(LOG).is_ok());
        for _ in 0..3 {
            scope.spawn(|| {
                let carol = Login::ssh("deployer", CAROL);
                while !stop.load(Ordering::Relaxed) {
                    if is_behind() {
                        std::thread::sleep(Duration::from_millis(5));
                        continue;
                    }
                    let handle = carol.start_in(&folder);
                    carol.complete(&handle);
                    assert_eq!(handle.run(Phase::Open, 0), DENIED);
                    refused.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        while refused.load(Ordering::Relaxed) < FLOOD {
            assert_eq!(open(world, &Login::ssh("deployer", BOB)), SUCCESS);
            allowed += 1;
            std::thread::sleep(Duration::from_millis(10));
        }
        stop.store(true, Ordering::Relaxed);
    });
    (refused.into_inner(), allowed)
}

#[test]
fn a_flood_of_refusals_loses_nothing_that_was_allowed_and_fills_no_disk() {
    in_world_with_daemon("a_flood_of_refusals_loses_nothing_that_was_allowed_and_fills_no_disk", |world| {
        Daemon::prepare();
        let mut daemon = Daemon::start();
        let start = Instant::now();
        let (refused, allowed) = flood(world);
        daemon.end(Signal::SIGTERM);
        let spent = start.elapsed().as_secs();
        println!("{refused} refusals in {spent} s, {allowed} logins between them");
        let kept = count("\"decision\":\"deny\"");
        // The first minute has begun when the first refusal was recorded, and the last one may have.
        let minutes = usize::try_from(spent / 60).unwrap() + 2;
        assert!((KEPT..=minutes * KEPT).contains(&kept), "{kept} of {refused} are kept one by one");
        assert_eq!(count("\"decision\":\"allow\""), allowed);
        assert_eq!(kept as u64 + suppressed(), refused);
        let size = fs::metadata(FILE).unwrap().len();
        assert!(size < (minutes as u64 + 1) << 20, "{size} bytes");
        println!("{kept} kept, {} counted, {size} bytes", suppressed());
    });
}

/// How many refusals were counted.
fn suppressed() -> u64 {
    let text = fs::read_to_string(FILE).unwrap();
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    for line in text.lines().filter(|line| line.contains("\"event\":\"suppressed\"")) {
        assert!(line.contains("\"reason\":\"not_in_role\",\"account\":\"deployer\""), "{line}");
        let count = line.split_once("\"count\":").unwrap().1.split(',').next().unwrap();
        *kinds.entry("all").or_default() += count.parse::<u64>().unwrap();
    }
    kinds.values().sum()
}
