//! The audit file: what is written to it, what keeps it from being written, and that nothing is lost over it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;
use svcauth_tests::cases;
use svcauth_tests::daemon::Daemon;
use svcauth_tests::failure::{Context, Outcome, require, require_contains, require_eq};
use svcauth_tests::program::{Program, wait_until};
use svcauth_tests::site::{SVCAUTH_ID, Site, svcauth, svcauth_json, text_at};
use svcauth_tests::world::World;

use crate::host::{Host, Plan, no_passwords, others_get_in, sudo};

cases!("audit_file":
    what_happens_is_in_the_file_and_verify_says_that_it_is_whole_until_somebody_edits_it,
    a_refused_key_is_in_the_file_though_the_keys_command_is_not_root,
    a_disk_that_is_full_read_only_or_gone_keeps_nobody_out_and_is_caught_up_with,
    a_daemon_that_is_killed_again_and_again_loses_and_doubles_nothing,
    with_best_effort_audit_what_nobody_heard_is_in_the_file_later,
    a_daemon_that_stands_still_delays_nobody,
    an_anchor_in_the_log_of_the_host_is_one_that_verify_takes,
);

const FOLDER: &str = "/var/log/svcauth";
const FILE: &str = "/var/log/svcauth/audit.jsonl";
const PATIENCE: Duration = Duration::from_secs(60);

/// Every record of the trail.
fn records() -> Vec<Value> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let text =
        (1..20).rev().map(|number| read(&format!("{FILE}.{number}"))).collect::<String>() + &read(FILE);
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn says(record: &Value, pairs: &[(&str, &str)]) -> bool {
    pairs.iter().all(|(key, value)| text_at(record, &format!("/{key}")) == *value)
}

fn wait_for(pairs: &[(&str, &str)]) -> Outcome<Value> {
    wait_until(&format!("a record {pairs:?} in {FILE}"), PATIENCE, || {
        records().into_iter().find(|record| says(record, pairs))
    })
}

fn verify() -> Outcome<Value> {
    let (code, value) = svcauth_json(&["log", "verify"])?;
    require_eq(
        "the exit status of verify",
        &code,
        &i32::from(value.get("whole") != Some(&Value::Bool(true))),
    )?;
    Ok(value)
}

fn is_whole() -> Outcome {
    let value = verify()?;
    require(value.get("whole") == Some(&Value::Bool(true)), || format!("the trail is not whole: {value}"))
}

/// The sessions of everybody who was allowed, as often as the file has them.
fn allowed() -> Vec<String> {
    let records =
        records().into_iter().filter(|record| says(record, &[("event", "decision"), ("decision", "allow")]));
    records.map(|record| text_at(&record, "/session").to_owned()).collect()
}

fn what_happens_is_in_the_file_and_verify_says_that_it_is_whole_until_somebody_edits_it(
    world: &mut World,
) -> Outcome {
    let host = Plan::new(world)?.start(world)?;
    no_passwords(world)?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    host.ssh("carol", "deployer", &["true"])?.expect_refused()?;
    sudo(world, "alice", "deployer", &["true"])?.expect_ok()?;
    others_get_in(&host)?;
    wait_for(&[("decision", "allow"), ("origin", "bob"), ("service", "sshd"), ("evidence", "publickey")])?;
    wait_for(&[("decision", "deny"), ("origin", "carol"), ("reason", "not_in_role")])?;
    wait_for(&[("decision", "allow"), ("origin", "alice"), ("service", "sudo")])?;
    wait_for(&[("event", "session_end"), ("origin", "bob")])?;
    let mode = |path: &str| fs::metadata(path).map(|meta| meta.permissions().mode() & 0o7777);
    require_eq("the modes", &(mode(FOLDER)?, mode(FILE)?), &(0o700, 0o600))?;
    require(!records().iter().any(|record| says(record, &[("account", "local")])), || {
        "a local user is on record".to_owned()
    })?;
    is_whole()?;
    let ended = svcauth(&["log", "verify"])?.expect_ok()?;
    require_contains("what verify says", &ended.stdout, "whole")?;
    // Somebody turns carol's refusal into bob's.
    let whole = fs::read_to_string(FILE)?;
    let at = whole.lines().position(|line| line.contains("\"carol\"")).map_or(0, |at| at + 1);
    fs::write(FILE, whole.replacen("\"carol\"", "\"bobby\"", 1))?;
    let value = verify()?;
    let named = (text_at(&value, "/fault/code"), text_at(&value, "/fault/file"));
    require_eq("the fault", &named, &("edited", FILE))?;
    require_eq("the line", &value.pointer("/fault/line").and_then(Value::as_u64), &Some(at as u64))?;
    let ended = svcauth(&["log", "verify"])?.expect_code(1)?;
    require_contains("what verify says", &ended.stdout, &format!("{FILE}:{at}: the line was edited"))
}

/// sshd asks the keys command, and nobody else.
fn with_keys_of_the_directory(world: &World) -> Outcome<Host> {
    let mut plan = Plan::new(world)?;
    plan.sshd_line("AuthorizedKeysFile none");
    Site::keys_from_directory(world)?;
    plan.start(world)
}

fn a_refused_key_is_in_the_file_though_the_keys_command_is_not_root(world: &mut World) -> Outcome {
    let host = with_keys_of_the_directory(world)?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    host.ssh("carol", "deployer", &["true"])?.expect_refused()?;
    let record = wait_for(&[("event", "key_refused"), ("origin", "carol"), ("account", "deployer")])?;
    require(says(&record, &[("reason", "not_in_role"), ("proven", "no")]), || record.to_string())?;
    is_whole()
}

fn mount(options: &str) -> Outcome {
    let mount = ["-t", "tmpfs", "-o", options, "disk", FOLDER];
    Program::new("mount").args(&mount).run()?.expect_ok().map(drop)
}

fn umount() -> Outcome {
    Program::new("umount").args(&["-l", FOLDER]).run()?.expect_ok().map(drop)
}

/// What may be wrong with the folder: how it is brought about, and how it is repaired.
type Deed = (&'static str, fn() -> Outcome, fn() -> Outcome);

const DEEDS: [Deed; 4] = [
    (
        "full",
        || {
            let filler = Program::new("dd").args(&["if=/dev/zero", "of=/var/log/svcauth/filler", "bs=4k"]);
            filler.run()?.expect_code(1).map(drop)
        },
        || Ok(fs::remove_file("/var/log/svcauth/filler")?),
    ),
    ("read-only", || mount("ro,mode=700"), umount),
    (
        "of a mode that lets others write",
        || {
            // It is looked at when the file is opened.
            fs::remove_file(FILE)?;
            Ok(fs::set_permissions(FOLDER, fs::Permissions::from_mode(0o777))?)
        },
        || Ok(fs::set_permissions(FOLDER, fs::Permissions::from_mode(0o700))?),
    ),
    (
        "a file",
        || {
            umount()?;
            fs::remove_dir_all(FOLDER)?;
            Ok(fs::write(FOLDER, "")?)
        },
        || Ok(fs::remove_file(FOLDER)?),
    ),
];

fn a_disk_that_is_full_read_only_or_gone_keeps_nobody_out_and_is_caught_up_with(
    world: &mut World,
) -> Outcome {
    let plan = Plan::new(world)?;
    fs::create_dir_all(FOLDER)?;
    mount("size=256k,mode=700")?;
    let mut host = plan.start(world)?;
    no_passwords(world)?;
    // Nobody but the spool is there to take a record.
    world.stop_syslog()?;
    for deed in DEEDS {
        get_in_through(world, &mut host, &deed).doing(deed.0)?;
    }
    Ok(())
}

fn get_in_through(world: &World, host: &mut Host, (what, spoil, repair): &Deed) -> Outcome {
    let before = allowed().len();
    sudo(world, "bob", "deployer", &["true"])?.expect_ok()?;
    wait_until("the positive case", PATIENCE, || (allowed().len() > before).then_some(()))?;
    let lost = if *what == "full" || *what == "read-only" { 0 } else { allowed().len() };
    let before = allowed().len() - lost;
    spoil()?;
    for _ in 0..4 {
        let began = Instant::now();
        sudo(world, "bob", "deployer", &["true"])?.expect_ok()?;
        require(began.elapsed() < Duration::from_secs(60), || format!("{:?}", began.elapsed()))?;
    }
    sudo(world, "carol", "deployer", &["true"])?.expect_refused()?;
    others_get_in(host)?;
    let status = host.daemon.wait_for_state("degraded")?;
    require(!text_at(&status, "/audit_error").is_empty(), || status.to_string())?;
    // On a full disk there is room left in the last page of the file.
    require(*what == "full" || allowed().len() <= before, || "it was written after all".to_owned())?;
    repair()?;
    host.daemon.wait_for_state("ok")?;
    wait_for(&[("event", "alarm"), ("reason", "audit_unwritable")])?;
    wait_until("everything caught up with", PATIENCE, || (allowed().len() >= before + 4).then_some(()))?;
    let unique: BTreeSet<String> = allowed().into_iter().collect();
    require_eq("sessions, each once", &(allowed().len(), unique.len()), &(before + 4, before + 4))
}

/// Kills the daemon in the middle of traffic, again and again; the log of the host says what there was.
/// How often a daemon is killed among logins.
const KILLS: u64 = 12;

fn a_daemon_that_is_killed_again_and_again_loses_and_doubles_nothing(world: &mut World) -> Outcome {
    let mut plan = Plan::new(world)?;
    plan.site.config.push_str("\n[audit]\nrotate_size = \"64K\"\nkeep = 200\n");
    let mut host = plan.start(world)?;
    no_passwords(world)?;
    let mark = world.log().mark();
    // As long as it takes to kill the daemon often enough, however quick or slow the machine is.
    let line = "while [ ! -e /run/enough ]; do sudo -n -u deployer true || exit 1; done";
    let start = |user| world.as_user(user, &["sh", "-c", line]).start(world.log_file("traffic.out")?);
    let mut traffic = ["bob", "alice", "bob"].map(start).into_iter().collect::<Outcome<Vec<_>>>()?;
    let (mut round, mut codes) = (0, Vec::new());
    while codes.len() < 3 {
        std::thread::sleep(Duration::from_millis(37 + round * 61 % 400));
        round += 1;
        restart(&mut host, world)?;
        if round == KILLS {
            fs::write("/run/enough", "")?;
        }
        traffic.retain_mut(|user| {
            let ended = user.ended();
            codes.extend(ended);
            ended.is_none()
        });
    }
    require_eq("how the traffic ended", &codes, &vec![0; 3])?;
    require(round >= KILLS, || format!("only {round} kills"))?;
    let told = world.log().records_since(mark);
    let told: BTreeSet<String> = told
        .iter()
        .filter(|record| record.verb == "allow")
        .map(|record| record.get("session").to_owned())
        .collect();
    require(told.len() > 100, || format!("only {} logins in the log of the host", told.len()))?;
    wait_until("everything in the file", PATIENCE, || (allowed().len() >= told.len()).then_some(()))
        .doing(format!("{} of {}", allowed().len(), told.len()))?;
    require_eq("logins in the file", &allowed().len(), &told.len())?;
    require_eq("their sessions", &allowed().into_iter().collect::<BTreeSet<_>>(), &told)?;
    is_whole()
}

fn restart(host: &mut Host, world: &World) -> Outcome {
    host.daemon.signal(Signal::SIGKILL)?;
    wait_until("the daemon's end", PATIENCE, || host.daemon.has_ended().then_some(()))?;
    host.daemon = Daemon::start_unready(world)?;
    Ok(())
}

fn with_best_effort_audit_what_nobody_heard_is_in_the_file_later(world: &mut World) -> Outcome {
    let mut plan = Plan::new(world)?;
    plan.site.configure("audit = \"required\"", "audit = \"best_effort\"")?;
    let mut host = plan.start(world)?;
    no_passwords(world)?;
    sudo(world, "bob", "deployer", &["true"])?.expect_ok()?;
    wait_for(&[("decision", "allow"), ("origin", "bob")])?;
    world.stop_syslog()?;
    host.daemon.signal(Signal::SIGKILL)?;
    wait_until("the daemon's end", PATIENCE, || host.daemon.has_ended().then_some(()))?;
    let size = fs::metadata(FILE)?.len();
    sudo(world, "alice", "deployer", &["true"])?.expect_ok()?;
    sudo(world, "carol", "deployer", &["true"])?.expect_refused()?;
    require_eq("the file meanwhile", &fs::metadata(FILE)?.len(), &size)?;
    host.daemon = Daemon::start(world)?;
    wait_for(&[("decision", "allow"), ("origin", "alice")])?;
    wait_for(&[("decision", "deny"), ("origin", "carol")])?;
    is_whole()
}

fn a_daemon_that_stands_still_delays_nobody(world: &mut World) -> Outcome {
    let host = with_keys_of_the_directory(world)?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    host.daemon.freeze()?;
    for _ in 0..3 {
        let began = Instant::now();
        host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
        host.ssh("carol", "deployer", &["true"])?.expect_refused()?;
        require(began.elapsed() < Duration::from_secs(60), || format!("{:?}", began.elapsed()))?;
    }
    // More than the queue of its socket takes: the keys command waits for none of them.
    for _ in 0..3 {
        let asked = ["svcauth", "ssh-keys", "deployer", "SHA256:x", "ssh-ed25519"];
        let key = host.key("carol")?.public().split(' ').nth(1).unwrap_or_default().to_owned();
        let began = Instant::now();
        let line = format!("for i in $(seq 200); do {} {key} || exit 1; done", asked.join(" "));
        world.as_account("svcauth", SVCAUTH_ID, SVCAUTH_ID, &["sh", "-c", &line]).run()?.expect_ok()?;
        require(began.elapsed() < Duration::from_secs(150), || format!("{:?}", began.elapsed()))?;
    }
    host.daemon.signal(Signal::SIGCONT)?;
    wait_for(&[("event", "key_refused"), ("origin", "carol")])?;
    is_whole()
}

fn an_anchor_in_the_log_of_the_host_is_one_that_verify_takes(world: &mut World) -> Outcome {
    let mark = world.log().mark();
    let host = Plan::new(world)?.start(world)?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    wait_for(&[("decision", "allow"), ("origin", "bob")])?;
    let line = world.log().wait_for_line(mark, &["svcauthd", "the audit trail stands at"])?;
    let anchor = line.rsplit_once(' ').map(|(_, anchor)| anchor.to_owned()).unwrap_or_default();
    svcauth(&["log", "verify", "--head", &anchor])?.expect_ok()?;
    let digit = if anchor.ends_with('0') { '1' } else { '0' };
    let other = format!("{}{digit}", &anchor[..anchor.len() - 1]);
    require(Path::new(FILE).exists(), || format!("{FILE} is gone"))?;
    let ended = svcauth(&["log", "verify", "--head", &other])?.expect_code(1)?;
    require_contains("what verify says", &ended.stdout, "written anew")
}
