//! `record = true`: what the terminal of an interactive shell shows is kept where the account cannot touch it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use svcauth_tests::cases;
use svcauth_tests::daemon::Daemon;
use svcauth_tests::failure::{Failure, Outcome, require, require_contains, require_eq};
use svcauth_tests::program::{Conversation, Program, wait_until};
use svcauth_tests::site::svcauth;
use svcauth_tests::sshd::client;
use svcauth_tests::world::World;

use super::limited;
use crate::host::Host;

cases!("commands_recording":
    a_shell_is_recorded_and_can_be_played,
    a_full_disk_ends_the_shell_where_the_audit_is_required,
    a_full_disk_is_an_alarm_where_it_is_not,
    a_recording_goes_on_behind_a_restart_of_the_daemon,
);

const RULE: &str = "shell = \"allow\"\nrecord = true";
const FOLDER: &str = "/var/log/svcauth/recordings";

/// An interactive login of bob's, at its prompt.
fn login(host: &Host) -> Outcome<Conversation> {
    let mut shell = client(&["-tt"], "deployer", host.key("bob")?, &[]).converse()?;
    shell.line("PS1='prompt''> '")?;
    shell.expect("prompt> ")?;
    Ok(shell)
}

fn recordings() -> Vec<PathBuf> {
    fs::read_dir(FOLDER).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn only_recording() -> Outcome<PathBuf> {
    let all = recordings();
    match all.as_slice() {
        [one] => Ok(one.clone()),
        _ => Err(Failure::new(format!("recordings: {all:?}"))),
    }
}

/// What a recording has of the output. A terminal shows its lines in pieces, cut anywhere: each is an event of its own.
fn recorded(file: &Path) -> Outcome<String> {
    let mut shown = String::new();
    for line in fs::read_to_string(file)?.lines().skip(1) {
        let (_, kind, data): (f64, String, String) =
            serde_json::from_str(line).map_err(|why| Failure::new(format!("{line}: {why}")))?;
        if kind == "o" {
            shown += &data;
        }
    }
    Ok(shown)
}

fn a_shell_is_recorded_and_can_be_played(world: &mut World) -> Outcome {
    let host = limited(world, RULE)?.start(world)?;
    let mark = world.log().mark();
    let mut shell = login(&host)?;
    shell.line("stty -echo; echo sh''own; read secret; stty echo; echo \"${#secret} letters\"")?;
    shell.expect("shown\n")?;
    shell.line("passwort")?;
    shell.expect("8 letters")?;
    shell.line("ls -l /var/log/svcauth/recordings; tty; exit 5")?;
    let (code, said) = shell.end()?;
    require_eq("the exit status", &code, &5)?;
    require(said.contains("ermission denied") && said.contains("/dev/pts/"), || said.clone())?;
    let file = only_recording()?;
    let (folder, data) = (fs::metadata(FOLDER)?, fs::metadata(&file)?);
    let modes = (folder.permissions().mode() & 0o7777, data.permissions().mode() & 0o7777, data.uid());
    require_eq("modes and owner", &modes, &(0o700, 0o600, 0))?;
    let session = world.log().wait_for(mark, "command_end", &[("origin", "bob"), ("exit_status", "5")])?;
    let text = fs::read_to_string(&file)?;
    require_contains("the header", text.lines().next().unwrap_or_default(), "\"version\":2")?;
    let shown = recorded(&file)?;
    require(shown.contains("shown\r\n") && !shown.contains("passwort"), || text.clone())?;
    for what in [session.get("session"), &file.display().to_string()] {
        let played = svcauth(&["replay", what, "--speed", "1000", "--raw"])?.expect_ok()?;
        require_contains("what is played", &played.stdout, "8 letters")?;
    }
    // Commands without a terminal are no shells: they are recorded by their lines alone.
    host.ssh("bob", "deployer", &["echo no recording"])?.expect_ok()?;
    only_recording()?;
    fs::remove_file(file)?;
    a_shell_that_is_named_is_recorded_too(world, &host)
}

/// `ssh -t HOST bash`.
fn a_shell_that_is_named_is_recorded_too(world: &World, host: &Host) -> Outcome {
    let mark = world.log().mark();
    let mut shell = client(&["-tt"], "deployer", host.key("bob")?, &["bash --norc"]).converse()?;
    shell.line("PS1='prompt''> '")?;
    shell.expect("prompt> ")?;
    shell.line("echo by''-name; exit 4")?;
    let (code, said) = shell.end()?;
    require(code == 4 && said.contains("by-name"), || format!("status {code}: {said}"))?;
    let begun = world.log().wait_for(mark, "command", &[("command", "bash --norc")])?;
    require_contains("the record", begun.get("detail"), "; recorded as ")?;
    world.log().wait_for(mark, "command_end", &[("command", "bash --norc"), ("exit_status", "4")])?;
    require_contains("the recording", &recorded(&only_recording()?)?, "by-name\r\n")
}

/// A disk for the recordings that is soon full.
fn small_disk() -> Outcome {
    fs::create_dir_all(FOLDER)?;
    Program::new("mount")
        .args(&["-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", FOLDER])
        .run()?
        .expect_ok()
        .map(drop)
}

const MUCH: &str =
    "for i in $(seq 4000); do echo line $i of many that fill a disk of this size; done; echo all''shown";

fn a_full_disk_ends_the_shell_where_the_audit_is_required(world: &mut World) -> Outcome {
    let host = limited(world, RULE)?.start(world)?;
    small_disk()?;
    let mark = world.log().mark();
    let mut shell = login(&host)?;
    shell.line(MUCH)?;
    let (code, said) = shell.end()?;
    require(code != 0 && !said.contains("allshown"), || format!("status {code}: {said}"))?;
    require_contains("what bob is told", &said, "svcauth: ")?;
    world.log().wait_for(mark, "command_end", &[("origin", "bob")])?;
    Program::new("umount").arg(FOLDER).run()?.expect_ok()?;
    let mut shell = login(&host)?;
    shell.line("exit 0")?;
    require_eq("with room", &shell.end()?.0, &0)
}

fn a_full_disk_is_an_alarm_where_it_is_not(world: &mut World) -> Outcome {
    let mut plan = limited(world, RULE)?;
    plan.site.configure("audit = \"required\"", "audit = \"best_effort\"")?;
    let host = plan.start(world)?;
    small_disk()?;
    let mark = world.log().mark();
    let mut shell = login(&host)?;
    shell.line(MUCH)?;
    shell.expect("allshown")?;
    shell.line(MUCH)?;
    shell.expect("allshown")?;
    shell.line("exit 3")?;
    require_eq("the exit status", &shell.end()?.0, &3)?;
    world.log().wait_for(mark, "alarm", &[("reason", "recording_unwritable")])?;
    let alarms = world.log().records_since(mark).into_iter().filter(|record| record.verb == "alarm").count();
    require_eq("alarms", &alarms, &1)
}

fn a_recording_goes_on_behind_a_restart_of_the_daemon(world: &mut World) -> Outcome {
    let host = limited(world, RULE)?.start(world)?;
    let mut shell = login(&host)?;
    shell.line("echo be''fore")?;
    shell.expect("before\n")?;
    // What it has been told and has not read yet is lost with it (docs/commands.md).
    let has_before =
        || recordings().iter().any(|file| recorded(file).is_ok_and(|it| it.contains("before\r\n")));
    wait_until("the record of it", Duration::from_secs(60), || has_before().then_some(()))?;
    let mark = world.log().mark();
    host.daemon.signal(Signal::SIGKILL)?;
    wait_until("the end of the daemon", Duration::from_secs(60), || host.daemon.has_ended().then_some(()))?;
    shell.line("echo be''tween")?;
    let _fresh = Daemon::start(world)?;
    shell.expect("between\n")?;
    shell.line("echo af''ter; exit 2")?;
    let (code, said) = shell.end()?;
    require(code == 2 && said.contains("after\n"), || format!("status {code}: {said}"))?;
    world.log().wait_for(mark, "command_end", &[("origin", "bob"), ("exit_status", "2")])?;
    let shown = recordings().iter().map(|file| recorded(file)).collect::<Outcome<String>>()?;
    for word in ["before", "between", "after"] {
        require_contains("the recording", &shown, &format!("{word}\r\n"))?;
    }
    let file = recordings().into_iter().next().ok_or_else(|| Failure::new("no recording"))?;
    let played =
        svcauth(&["replay", &file.display().to_string(), "--speed", "1000", "--raw"])?.expect_ok()?;
    require_contains("what is played", &played.stdout, "before")
}
