//! What logins and `svcauth who` cost on a host with 10,000 sessions: 10,000 live processes in 10,000 audit sessions, each
//! registered by the module itself.
//!
//! `cargo bench -p pam_svcauth --bench sessions` as root, and some 300 MiB. Times are of this machine and
//! of what else it does; read the ratios. `pam_permit` is a session that nobody looks at; the baseline of `who` is reading
//! for each process the three files of /proc that tell who it is, by one thread.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench that fails must stop"
)]

#[allow(unsafe_code, reason = "fork(2)")]
mod fork_ffi;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::prctl::{set_dumpable, set_pdeathsig};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, Uid, pause, setresuid};
use support::ffi::Phase;
use support::login::Login;
use support::site::BOB;
use support::world::{SUCCESS, World, in_world};

const COUNT: usize = 10_000;
/// How many of them live on while all are registered.
const FEW: usize = 100;
const ROUNDS: usize = 200;
const LOOKS: usize = 15;
/// Of deployer.
const UID: u32 = 7001;

fn main() {
    if std::env::var_os("SVCAUTH_PAM_WORLD").is_none() {
        build_the_command();
    }
    in_world("sessions", measure);
}

fn build_the_command() {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "-p", "svcauthd", "--bin", "svcauth", "--target-dir"])
        .arg(support::build::target_folder())
        .status();
    assert!(status.unwrap().success(), "cargo build --release -p svcauthd");
}

fn measure(world: &mut World) {
    let world: &World = world;
    world.service("permit", "account required pam_permit.so\nsession required pam_permit.so\n");
    let permit = rounds(world, &Login::through("permit", "deployer"));
    let alone = rounds(world, &Login::ssh("deployer", BOB));
    let who_alone = median(LOOKS, || who(&["who"]));

    let start = Instant::now();
    let sleepers: Vec<Pid> = (0..COUNT).map(|_| sleeper(world)).collect();
    let processes = pids().len();
    println!(
        "{COUNT} sessions with a process each, registered in {:.1?}; {processes} processes",
        start.elapsed()
    );
    let crowded = rounds(world, &Login::ssh("deployer", BOB));
    let over = |time: Duration, base: Duration| time.saturating_sub(base);
    row("open_session: pam_permit", permit.open, permit.open);
    row("open_session: no other session", alone.open, permit.open);
    row("open_session: so many sessions", crowded.open, permit.open);
    let more = over(crowded.open, permit.open);
    target("open_session over pam_permit", more, Duration::from_millis(1));
    row("close_session: no other session", alone.close, permit.open);
    row("close_session: so many sessions", crowded.close, permit.open);
    look_at(&sleepers, who_alone);
}

/// What `svcauth who` takes, and what it is held against. Ends the processes.
fn look_at(sleepers: &[Pid], alone: Duration) {
    let files = median(LOOKS, read_every_process);
    let all = median(LOOKS, || who(&["who"]));
    let middle = sleepers[sleepers.len() / 2].to_string();
    let one = median(LOOKS, || who(&["who", "--pid", &middle]));
    let found = String::from_utf8(svcauth(&["who", "--json"]).output().unwrap().stdout).unwrap();
    assert!(found.matches("\"origin\":\"bob\"").count() >= COUNT, "not all were found");
    row("three files of each process", files, files);
    row("ps, the same columns", median(LOOKS, ps), files);
    // Nobody closes the sessions of the others, and no daemon sweeps them.
    let (left, others) = sleepers.split_at(FEW);
    end(others);
    let few = median(LOOKS, || who(&["who"]));
    end(left);
    row("svcauth who: no session", alone, files);
    row("svcauth who: so many", all, files);
    row("svcauth who: so many, 100 alive", few, files);
    row("svcauth who --pid: so many", one, files);
    let most = Duration::from_millis(50);
    target("svcauth who", all, most);
    target("svcauth who, 100 alive", few, most);
    target("svcauth who --pid", one, most);
}

fn end(sleepers: &[Pid]) {
    for sleeper in sleepers {
        kill(*sleeper, Signal::SIGKILL).unwrap();
        waitpid(*sleeper, None).unwrap();
    }
}

/// What a login takes, each in an audit session and a process of its own.
struct Times {
    open: Duration,
    close: Duration,
}

fn rounds(world: &World, login: &Login) -> Times {
    let mut times: [Vec<Duration>; 2] = Default::default();
    for _ in 0..ROUNDS {
        let (child, said) = fork_ffi::in_child(|report| {
            new_audit_session();
            let handle = login.start(world);
            assert_eq!(handle.run(Phase::Account, 0), SUCCESS);
            login.complete(&handle);
            let mut took = Vec::new();
            for phase in [Phase::Open, Phase::Close] {
                let start = Instant::now();
                assert_eq!(handle.run(phase, 0), SUCCESS);
                let nanos = u64::try_from(start.elapsed().as_nanos()).unwrap();
                took.extend(nanos.to_le_bytes());
            }
            report.write_all(&took).unwrap();
        });
        waitpid(child, None).unwrap();
        world.records();
        assert_eq!(said.len(), 16, "the login failed");
        for (times, nanos) in times.iter_mut().zip(said.chunks(8)) {
            times.push(Duration::from_nanos(u64::from_le_bytes(nanos.try_into().unwrap())));
        }
    }
    let [open, close] = times.map(middle);
    Times { open, close }
}

/// A process of bob's that runs as the account, in a session that stays open.
fn sleeper(world: &World) -> Pid {
    let (child, said) = fork_ffi::in_child(|report| {
        new_audit_session();
        let login = Login::ssh("deployer", BOB);
        let handle = login.start(world);
        assert_eq!(handle.run(Phase::Account, 0), SUCCESS);
        login.complete(&handle);
        assert_eq!(handle.run(Phase::Open, 0), SUCCESS);
        let uid = Uid::from_raw(UID);
        setresuid(uid, uid, uid).unwrap();
        // The kernel forgets this when the uid changes.
        set_pdeathsig(Signal::SIGKILL).unwrap();
        // As it is of whatever was started by execve(2).
        set_dumpable(true).unwrap();
        report.write_all(b"ready").unwrap();
        loop {
            pause();
        }
    });
    assert_eq!(said, b"ready", "the login failed");
    world.records();
    child
}

/// As pam_loginuid(8) does it.
fn new_audit_session() {
    fs::write("/proc/self/loginuid", UID.to_string()).unwrap();
}

fn svcauth(args: &[&str]) -> Command {
    let mut command = Command::new(support::build::target_folder().join("release/svcauth"));
    command.args(args);
    command
}

/// A whole run of the command as a script would have it, from fork(2) to wait(2).
fn who(args: &[&str]) {
    let status = svcauth(args).arg("--json").stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "{args:?}");
}

/// What an administrator has without svcauth: the processes, and not who is behind them.
fn ps() {
    let status = Command::new("ps").args(["-eo", "pid,user,lstart,args"]).stdout(Stdio::null()).status();
    assert!(status.unwrap().success());
}

fn pids() -> Vec<String> {
    let names = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.parse::<u32>().is_ok()).collect()
}

fn read_every_process() {
    for pid in pids() {
        for file in ["sessionid", "stat", "status"] {
            // It may have ended.
            let _ = fs::read(Path::new("/proc").join(&pid).join(file));
        }
    }
}

fn median(count: usize, run: impl Fn()) -> Duration {
    let time = || {
        let start = Instant::now();
        run();
        start.elapsed()
    };
    middle((0..count).map(|_| time()).collect())
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn row(name: &str, time: Duration, base: Duration) {
    let ratio = time.as_secs_f64() / base.as_secs_f64();
    println!("{name:<36}{time:>10.1?}  {ratio:>7.2} x");
}

fn target(name: &str, time: Duration, most: Duration) {
    let met = if time < most { "met" } else { "missed" };
    println!("{name:<36}{time:>10.1?}  below {most:?}: {met}");
}
