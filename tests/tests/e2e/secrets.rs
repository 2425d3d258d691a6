//! The bind password is in the file that holds it, and nowhere else: a log is read by more people than the file is.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use svcauth_tests::cases;
use svcauth_tests::directory::Schema;
use svcauth_tests::failure::{Context, Failure, Outcome, require, require_contains, require_eq};
use svcauth_tests::program::{Ended, Program};
use svcauth_tests::slapd::Slapd;
use svcauth_tests::world::World;

use crate::host::{Host, Plan};

cases!("secrets":
    the_bind_password_is_in_no_file_but_its_own_and_in_no_output_or_process_list,
    a_bind_password_that_is_refused_is_told_to_nobody,
    a_password_in_the_place_of_its_file_is_not_repeated,
);

const FILE: &str = "/etc/svcauth/bind.secret";
/// What the harness gives to the entry that svcauth binds with.
const RIGHT: &str = "reader of the directory";
const WRONG: &str = "s3cret-of-nobody/Zq7";

/// Every command that tells something, as an administrator would ask.
const COMMANDS: &[&[&str]] = &[
    &["svcauth", "status"],
    &["svcauth", "status", "--json"],
    &["svcauth", "sync", "--full", "--progress"],
    &["svcauth", "sync", "--json"],
    &["svcauth", "accounts", "--json"],
    &["svcauth", "explain", "bob", "deployer"],
    &["svcauth", "log"],
    &["svcauth", "log", "--json"],
    &["svcauth", "log", "verify"],
    &["svcauth", "roles", "--json"],
    &["svcauth", "who", "--json"],
    &["svcauth", "report", "access", "--format", "json"],
    &["svcauth", "report", "keys", "--format", "json"],
    &["svcauth", "setup", "--check"],
    &["svcauth", "setup", "--check", "--json"],
    &["svcauthd", "--check"],
];

/// What looks at more than svcauth, and may find fault with a host of tests.
const DOCTOR: &[&[&str]] = &[
    &["svcauth", "doctor"],
    &["svcauth", "doctor", "--json"],
    &["svcauth", "enable", "--dry-run", "--json"],
    &["svcauth", "disable", "--dry-run", "--json"],
];

/// Folders that svcauth, or a log that it writes to, puts files into.
const FOLDERS: &[&str] = &["/etc", "/var/log", "/var/lib/svcauth", "/run/svcauth", "/tmp"];

/// A secret as it is, and as programs write bytes.
struct Needles(Vec<Vec<u8>>);

impl Needles {
    fn of(secret: &str) -> Outcome<Self> {
        let base64 = Program::new("base64").input(secret).run()?.expect_ok()?.text().to_owned();
        // The last characters hold bits of what follows.
        let base64 = base64.trim_end_matches('=').chars().rev().skip(1).collect::<Vec<_>>();
        let base64: String = base64.into_iter().rev().collect();
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self(vec![secret.into(), base64.into(), hex.to_uppercase().into(), hex.into()]))
    }

    fn are_in(&self, bytes: &[u8]) -> bool {
        self.0.iter().any(|needle| bytes.windows(needle.len()).any(|part| part == needle))
    }
}

/// The files below a folder that hold a secret.
fn files_with(folder: &Path, needles: &Needles) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files_with(&path, needles)),
            Ok(kind) if kind.is_file() && fs::read(&path).is_ok_and(|bytes| needles.are_in(&bytes)) => {
                found.push(path.display().to_string());
            }
            _ => {}
        }
    }
    found
}

/// Looks at command lines and environments of all processes until it is asked what it has seen.
struct Watch {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<(usize, Vec<String>)>,
}

impl Watch {
    fn start(needles: Needles) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            let (mut looks, mut seen) = (0, Vec::new());
            while !over.load(Ordering::Relaxed) {
                looks += 1;
                seen.extend(processes_with(&needles));
                thread::sleep(Duration::from_millis(5));
            }
            (looks, seen)
        });
        Self { is_over, thread }
    }

    fn end(self) -> Outcome {
        self.is_over.store(true, Ordering::Relaxed);
        let (looks, seen) = self.thread.join().map_err(|_| Failure::new("the watch has panicked"))?;
        require(looks > 5, || format!("only {looks} looks"))?;
        require(seen.is_empty(), || format!("processes that show the password: {seen:?}"))
    }
}

fn processes_with(needles: &Needles) -> Vec<String> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok());
    let files = pids.flat_map(|entry| ["cmdline", "environ"].map(|name| entry.path().join(name)));
    let shows = |path: &Path| fs::read(path).is_ok_and(|bytes| needles.are_in(&bytes));
    files.filter(|path| shows(path)).map(|path| path.display().to_string()).collect()
}

/// Runs every command, and fails where one repeats the secret.
fn ask_everything(needles: &Needles) -> Outcome<Vec<Ended>> {
    let ask = |words: &[&str]| {
        let ended = Program::from_words(words)?.run()?;
        let said = format!("{}{}", ended.stdout, ended.stderr);
        require(!needles.are_in(said.as_bytes()), || {
            format!("the password is in this:\n{}", ended.report())
        })?;
        Ok(ended)
    };
    DOCTOR.iter().try_for_each(|words| ask(words).map(drop))?;
    COMMANDS.iter().map(|words| ask(words)).collect()
}

/// Fails where a file holds the secret that is not its own.
fn nothing_holds(needles: &Needles, but: &[&str]) -> Outcome {
    let found: Vec<String> =
        FOLDERS.iter().flat_map(|folder| files_with(Path::new(folder), needles)).collect();
    require_eq("files with the password", &found, &but.to_vec())
}

fn host_of_slapd(world: &World) -> Outcome<(Host, Slapd)> {
    let mut plan = Plan::new(world)?;
    let slapd = Slapd::start(world, &plan.site.directory, Schema::Rfc2307bis)?;
    Slapd::serve(world, &mut plan.site)?;
    Ok((plan.start(world)?, slapd))
}

fn the_bind_password_is_in_no_file_but_its_own_and_in_no_output_or_process_list(
    world: &mut World,
) -> Outcome {
    let (host, _slapd) = host_of_slapd(world)?;
    let needles = Needles::of(RIGHT)?;
    // What looks for it finds it where it is: in the file, and in a process that is told it.
    nothing_holds(&needles, &[FILE])?;
    let told = Program::new("sleep").arg("60").env("PASSWORD", RIGHT).start(world.log_file("told.out")?)?;
    require(!processes_with(&needles).is_empty(), || "a process that shows it was not seen".to_owned())?;
    drop(told);
    let watch = Watch::start(Needles::of(RIGHT)?);
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    host.ssh("carol", "deployer", &["true"])?.expect_refused()?;
    let asked = ask_everything(&needles)?;
    require(asked.iter().all(Ended::ok), || asked.iter().map(Ended::report).collect::<String>())?;
    watch.end()?;
    require_contains("the log", &world.log().text(), "allow account=deployer")?;
    nothing_holds(&needles, &[FILE])
}

fn a_bind_password_that_is_refused_is_told_to_nobody(world: &mut World) -> Outcome {
    let (host, _slapd) = host_of_slapd(world)?;
    let (right, wrong) = (Needles::of(RIGHT)?, Needles::of(WRONG)?);
    world.write(FILE, 0o600, format!("{WRONG}\n"))?;
    let watch = Watch::start(Needles::of(WRONG)?);
    let told = Program::new("svcauth").args(&["sync", "--full"]).run()?.expect_code(1)?;
    require_contains("the reason", &told.stderr, "bind")?;
    ask_everything(&wrong)?;
    watch.end()?;
    nothing_holds(&wrong, &[FILE])?;
    // One that everybody can read is refused, and not repeated.
    world.write(FILE, 0o644, format!("{WRONG}\n"))?;
    let told = Program::new("svcauthd").arg("--check").run()?.expect_code(1)?;
    require_contains("the next step", &told.stderr, "chmod 0600")?;
    ask_everything(&wrong)?;
    nothing_holds(&wrong, &[FILE])?;
    nothing_holds(&right, &[])?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok().map(drop)
}

fn a_password_in_the_place_of_its_file_is_not_repeated(world: &mut World) -> Outcome {
    let (mut host, _slapd) = host_of_slapd(world)?;
    let wrong = Needles::of(WRONG)?;
    let line = |value: &str| format!("\nbind_password_file = \"{value}\"");
    host.site.configure(&line(FILE), &line(WRONG))?;
    host.site.write(world)?;
    let mark = world.log().mark();
    let told = Program::new("svcauthd").arg("--check").run()?.expect_code(1)?;
    require_contains("the place", &told.stderr, "/etc/svcauth/svcauth.toml: line ")?;
    host.daemon.signal(nix::sys::signal::Signal::SIGHUP)?;
    world.log().wait_for_line(mark, &["svcauthd", "the old configuration stays"])?;
    let (_, status) = svcauth_tests::site::svcauth_json(&["status"])?;
    require_contains("the status", &status.to_string(), "bind_password_file")?;
    ask_everything(&wrong)?;
    nothing_holds(&wrong, &["/etc/svcauth/svcauth.toml"]).doing("only the file that the administrator wrote")
}
