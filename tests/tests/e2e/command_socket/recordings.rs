//! Recordings of shells: what is in them, who goes on with them, and what a full disk means.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use svcauth_tests::cases;
use svcauth_tests::daemon::Daemon;
use svcauth_tests::failure::{Failure, Outcome, require, require_eq};
use svcauth_tests::program::{Ended, Program, wait_until};
use svcauth_tests::site::text_at;
use svcauth_tests::sshd::client;
use svcauth_tests::trail::wait_for;
use svcauth_tests::world::World;

use super::{Host, Plan, record_of, rule, says, start, steps, wait_for_end};

cases!("command_socket_recordings":
    a_recorded_shell_is_a_file_of_root_with_what_it_showed,
    a_recording_goes_on_after_a_restart_of_the_daemon_for_its_own_process_alone,
    a_full_disk_ends_a_shell_that_must_be_recorded,
    a_full_disk_is_marked_in_a_recording_that_may_be_incomplete,
);

const FOLDER: &str = "/var/log/svcauth/recordings";
const RECORDED: &str = "shell = \"allow\"\nrecord = true";

fn shell(host: &Host) -> Outcome<Program> {
    Ok(client(&["-tt"], "deployer", host.key("bob")?, &[]).patience(Duration::from_secs(60)))
}

fn opened(host: &Host) -> Outcome<Ended> {
    shell(host)?.run()
}

/// The recordings there are, in the order of their names.
fn recordings() -> Outcome<Vec<PathBuf>> {
    let mut all: Vec<PathBuf> = fs::read_dir(FOLDER)?.flatten().map(|entry| entry.path()).collect();
    all.sort();
    Ok(all)
}

fn only_recording() -> Outcome<PathBuf> {
    let all = recordings()?;
    require(all.len() == 1, || format!("{all:?}"))?;
    all.into_iter().next().ok_or_else(|| Failure::new("no recording"))
}

/// The first line, and the code and data of each of the others.
fn played(path: &Path) -> Outcome<(Value, Vec<(String, String)>)> {
    let text = fs::read_to_string(path)?;
    let mut lines = text.lines().map(serde_json::from_str::<Value>);
    let first = lines.next().ok_or_else(|| Failure::new("an empty recording"))??;
    let events =
        lines.map(|line| line.map(|line| (text_at(&line, "/1").to_owned(), text_at(&line, "/2").to_owned())));
    Ok((first, events.collect::<Result<_, _>>()?))
}

fn a_recorded_shell_is_a_file_of_root_with_what_it_showed(world: &mut World) -> Outcome {
    let host = start(world, Plan::new(world)?, &rule("deployer", RECORDED))?;
    let mark = ["size 101x31", "output caf\\xc3", "output \\xa9\\r\\n", "size 80x25", "exited 7"];
    steps(world, &mark)?;
    let ended = opened(&host)?.expect_ok()?;
    require(ended.text().contains("recorded") && !ended.text().contains("unrecorded"), || ended.report())?;
    let path = only_recording()?;
    require_eq("the mode of the file", &(fs::metadata(&path)?.permissions().mode() & 0o7777), &0o600)?;
    require_eq("the mode of the folder", &(fs::metadata(FOLDER)?.permissions().mode() & 0o7777), &0o700)?;
    let begun = record_of("command", "")?;
    let id = format!("{}-1", text_at(&begun, "/session"));
    require_eq("its name", &path.file_stem().and_then(|name| name.to_str()), &Some(id.as_str()))?;
    let detail = format!("bob is in application and opened a shell; recorded as {id}");
    says(&begun, &[("detail", detail.into()), ("decision", "allow".into()), ("command", Value::Null)])?;
    says(&wait_for_end("")?, &[("exit_status", 7.into())])?;
    let (first, events) = played(&path)?;
    let facts = [
        ("version", 2.into()),
        ("width", 101.into()),
        ("height", 31.into()),
        ("title", "bob as deployer".into()),
    ];
    says(&first, &facts)?;
    let event = |code: &str, data: &str| (code.to_owned(), data.to_owned());
    require_eq(
        "what it showed",
        &events,
        &vec![event("o", "caf"), event("o", "\u{e9}\r\n"), event("r", "80x25")],
    )?;
    // A command is not recorded, nor is what root does.
    host.ssh("bob", "deployer", &["ls"])?.expect_ok()?;
    Program::new("su").args(&["-", "deployer"]).run()?.expect_ok()?;
    require_eq("recordings", &recordings()?.len(), &1)
}

fn a_recording_goes_on_after_a_restart_of_the_daemon_for_its_own_process_alone(world: &mut World) -> Outcome {
    let mut host = start(world, Plan::new(world)?, &rule("deployer", RECORDED))?;
    steps(
        world,
        &[
            "output one",
            "touch /tmp/runs",
            "closed",
            "resume",
            "output two",
            "touch /tmp/more",
            "wait /tmp/over",
            "exited 0",
        ],
    )?;
    let mut ssh = shell(&host)?.start(world.log_file("ssh.out")?)?;
    wait_for_file("/tmp/runs")?;
    let path = only_recording()?;
    wait_until("what it showed", Duration::from_secs(60), || {
        (played(&path).ok()?.1.len() == 1).then_some(())
    })?;
    host.daemon.kill()?;
    host.daemon = Daemon::start(world)?;
    wait_for_file("/tmp/more")?;
    // A process of another session, while it goes on.
    let id = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    let resume = format!("exec /usr/bin/python3 /usr/bin/svcauth-shell resume={id}");
    let root =
        Program::new("su").args(&["deployer", "-s", "/bin/sh", "-c", &resume]).run()?.expect_code(126)?;
    require(root.text().starts_with("refused"), || root.report())?;
    world.write("/tmp/over", 0o644, "")?;
    wait_until("the end of the shell", Duration::from_secs(60), || ssh.ended())?;
    let (_, events) = played(&path)?;
    let shown: Vec<&str> = events.iter().map(|(_, data)| data.as_str()).collect();
    require(
        matches!(shown.as_slice(), ["one", away, "two"] if away.starts_with("svcauthd was away")),
        || format!("{events:?}"),
    )?;
    let end = wait_for_end("")?;
    says(&end, &[("exit_status", 0.into()), ("origin", "bob".into())])?;
    require_eq("the session", text_at(&end, "/session"), text_at(&record_of("command", "")?, "/session"))
}

/// A disk of 64 KiB in place of the folder.
fn small_disk() -> Outcome {
    let mount = ["-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs", FOLDER];
    Program::new("mount").args(&mount).run()?.expect_ok().map(drop)
}

fn a_full_disk_ends_a_shell_that_must_be_recorded(world: &mut World) -> Outcome {
    let host = start(world, Plan::new(world)?, &rule("deployer", RECORDED))?;
    small_disk()?;
    steps(world, &["output before", "much 40", "closed", "resume", "exited 0"])?;
    let ended = opened(&host)?.expect_code(126)?;
    let said = ended.text();
    require(said.contains("cut") && said.contains("refused audit_unavailable"), || ended.report())?;
    let path = only_recording()?;
    let (_, events) = played(&path)?;
    require(events.first().is_some_and(|(_, data)| data == "before"), || format!("{events:?}"))?;
    let end = wait_for_end("")?;
    require(
        text_at(&end, "/detail").starts_with("it is ended: what it shows cannot be recorded: No space"),
        || end.to_string(),
    )?;
    require_eq("alarms", &alarms(1)?, &1)?;
    // Not a byte is free: a new one does not begin.
    fill()?;
    let refused = opened(&host)?.expect_code(126)?;
    require(refused.text().contains("refused audit_unavailable"), || refused.report())?;
    Program::new("umount").arg(FOLDER).run()?.expect_ok()?;
    opened_and_recorded(world, &host)?;
    Ok(())
}

fn a_full_disk_is_marked_in_a_recording_that_may_be_incomplete(world: &mut World) -> Outcome {
    let mut plan = Plan::new(world)?;
    plan.site.configure("audit = \"required\"", "audit = \"best_effort\"")?;
    let host = start(world, plan, &rule("deployer", RECORDED))?;
    small_disk()?;
    steps(
        world,
        &["output before", "much 40", "touch /tmp/full", "wait /tmp/free", "output after", "exited 0"],
    )?;
    let mut ssh = shell(&host)?.start(world.log_file("ssh.out")?)?;
    wait_for_file("/tmp/full")?;
    wait_until("the alarm", Duration::from_secs(60), || (alarms(1).ok()? == 1).then_some(()))?;
    Program::new("mount").args(&["-o", "remount,size=10m", FOLDER]).run()?.expect_ok()?;
    // Not sooner is the disk tried again.
    std::thread::sleep(Duration::from_millis(1200));
    world.write("/tmp/free", 0o644, "")?;
    require_eq("how it ended", &wait_until("its end", Duration::from_secs(60), || ssh.ended())?, &0)?;
    let (_, events) = played(&only_recording()?)?;
    let last: Vec<&str> = events.iter().rev().take(2).map(|(_, data)| data.as_str()).collect();
    require(
        matches!(last.as_slice(), ["after", missing] if missing.contains("bytes are not recorded: No space")),
        || format!("{last:?}"),
    )?;
    require_eq("alarms", &alarms(1)?, &1)
}

fn wait_for_file(path: &str) -> Outcome {
    wait_until(path, Duration::from_secs(60), || Path::new(path).exists().then_some(()))
}

fn fill() -> Outcome {
    // Ends when the disk is full.
    Program::new("dd")
        .args(&["if=/dev/zero", &format!("of={FOLDER}/filler"), "bs=512"])
        .run()?
        .expect_refused()?;
    Ok(())
}

fn opened_and_recorded(world: &World, host: &Host) -> Outcome {
    steps(world, &["output again", "exited 0"])?;
    opened(host)?.expect_ok()?;
    let (_, events) = played(&recordings()?.pop().unwrap_or_default())?;
    require_eq("what it showed", &events.len(), &1)
}

fn alarms(least: usize) -> Outcome<usize> {
    let all = wait_for(&["--event", "alarm"], least)?;
    Ok(all.iter().filter(|entry| text_at(entry, "/reason") == "recording_unwritable").count())
}
