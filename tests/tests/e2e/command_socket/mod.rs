//! The daemon's side of commands, with a script in the place of svcauth-shell: who asks, what is answered, what is recorded.
//! What the real one does with an answer is another theme's.

mod cost;
pub(crate) mod hostile;
pub(crate) mod recordings;

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use svcauth_tests::cases;
use svcauth_tests::failure::{Failure, Outcome, require, require_eq};
use svcauth_tests::program::{Program, wait_until};
use svcauth_tests::site::text_at;
use svcauth_tests::sshd::client;
use svcauth_tests::trail::{entries, wait_for};
use svcauth_tests::world::World;

use crate::host::{Host, Plan, no_passwords, su};
use crate::shared_use::OpenConnection;
use cost::an_answer_costs_the_same_beside_a_thousand_processes_and_a_hundred_thousand_accounts;

cases!("command_socket":
    an_answer_comes_after_its_record_and_the_end_is_recorded_too,
    a_refusal_is_one_record_and_one_line,
    a_killed_shell_leaves_a_start_and_an_end_that_says_so,
    who_leaves_the_group_is_refused_at_the_next_command_of_an_open_session,
    nobody_is_allowed_anything_without_a_fresh_snapshot,
    a_learning_rule_lets_run_and_records_why_it_would_not,
    su_and_jobs_and_accounts_without_limits_get_their_own_shell,
    an_answer_costs_the_same_beside_a_thousand_processes_and_a_hundred_thousand_accounts,
);

const PEER: &str = include_str!("peer.py");
const SHELL: &str = "/usr/bin/svcauth-shell";
/// What the script does with an answer.
const STEPS: &str = "/tmp/peer";
/// The rule of most tests: a program, and no shell.
const UPTIME: &str = "commands = [[\"/usr/bin/uptime\"]]";

/// A rule for an account with these keys.
fn rule(account: &str, keys: &str) -> String {
    format!(
        "[[access]]\naccounts = [\"{account}\"]\nroles = [\"application\"]\nservices = [\"sshd\", \"su\"]\n{keys}\n\n"
    )
}

/// A running host with the script as svcauth-shell.
fn start(world: &World, mut plan: Plan, rules: &str) -> Outcome<Host> {
    plan.site.access(rules);
    plan.install(world)?;
    world.write(SHELL, 0o755, PEER)?;
    plan.start_installed(world)
}

fn steps(world: &World, steps: &[&str]) -> Outcome {
    world.write(STEPS, 0o644, steps.join("\n"))
}

/// Waits for the one record of an event about this command; of the empty command, about a shell.
fn record_of(event: &str, command: &str) -> Outcome<Value> {
    let mut last = Vec::new();
    let found = wait_until(&format!("{event} of {command:?}"), Duration::from_secs(60), || {
        last = entries(&["--event", event]).ok()?;
        let found: Vec<&Value> = last.iter().filter(|entry| text_at(entry, "/command") == command).collect();
        found.split_first().map(|(first, others)| ((*first).clone(), others.len()))
    });
    let (found, others) = found.map_err(|why| Failure::new(format!("{why}: {last:#?}")))?;
    require_eq("others", &others, &0)?;
    Ok(found)
}

fn wait_for_end(command: &str) -> Outcome<Value> {
    record_of("command_end", command)
}

/// Facts of a record.
fn says(entry: &Value, facts: &[(&str, Value)]) -> Outcome {
    for (key, expected) in facts {
        let found = entry.get(*key).cloned().unwrap_or_default();
        require(found == *expected, || format!("{key} is {found}, not {expected}, in {entry:#}"))?;
    }
    Ok(())
}

fn an_answer_comes_after_its_record_and_the_end_is_recorded_too(world: &mut World) -> Outcome {
    let host = start(world, Plan::new(world)?, &rule("deployer", UPTIME))?;
    steps(world, &["exited 3"])?;
    let ended = host.ssh("bob", "deployer", &["uptime"])?.expect_ok()?;
    require_eq("the answer", ended.text(), "program /usr/bin/uptime")?;
    let begun = record_of("command", "uptime")?;
    says(
        &begun,
        &[
            ("decision", "allow".into()),
            ("origin", "bob".into()),
            ("account", "deployer".into()),
            ("uid", 7001.into()),
            ("role", "application".into()),
            ("service", "sshd".into()),
            ("from", "127.0.0.1".into()),
            ("detail", "bob is in application and executed uptime".into()),
            ("reason", Value::Null),
        ],
    )?;
    let end = wait_for_end("uptime")?;
    says(&end, &[("exit_status", 3.into()), ("decision", Value::Null), ("role", "application".into())])?;
    for key in ["session", "pid"] {
        require_eq(key, &end.get(key), &begun.get(key))?;
        require(begun.get(key).is_some(), || format!("no {key} in {begun:#}"))?;
    }
    let start = wait_for(&["--event", "session_start"], 1)?;
    require_eq("the session", &start.first().and_then(|entry| entry.get("session")), &begun.get("session"))?;
    steps(world, &["killed 15"])?;
    host.ssh("bob", "deployer", &["/usr/bin/uptime"])?.expect_ok()?;
    let end = wait_for_end("/usr/bin/uptime")?;
    says(&end, &[("exit_status", 143.into()), ("detail", "ended by signal 15".into())])?;
    Ok(())
}

fn a_refusal_is_one_record_and_one_line(world: &mut World) -> Outcome {
    let host = start(world, Plan::new(world)?, &rule("deployer", UPTIME))?;
    host.ssh("bob", "deployer", &["uptime"])?.expect_ok()?;
    let ended = host.ssh("bob", "deployer", &["ls /"])?.expect_code(126)?;
    require_eq(
        "the answer",
        ended.text(),
        "refused command_not_allowed ls / is not allowed for deployer: no rule has the program ls",
    )?;
    let refused = record_of("command", "ls /")?;
    let detail = "bob is in application and is not authorized to execute ls /: no rule has the program ls";
    says(
        &refused,
        &[("decision", "deny".into()), ("reason", "command_not_allowed".into()), ("detail", detail.into())],
    )?;
    let shell = client(&["-tt"], "deployer", host.key("bob")?, &[]).run()?.expect_code(126)?;
    require(shell.text().contains("refused shell_not_allowed"), || shell.report())?;
    let refused = record_of("command", "")?;
    require(
        text_at(&refused, "/detail")
            .starts_with("bob is in application and is not authorized to open a shell"),
        || refused.to_string(),
    )
}

/// W-09
fn a_killed_shell_leaves_a_start_and_an_end_that_says_so(world: &mut World) -> Outcome {
    let host = start(world, Plan::new(world)?, &rule("deployer", UPTIME))?;
    steps(world, &["touch /tmp/runs", "wait /tmp/never"])?;
    let ssh = client(&[], "deployer", host.key("bob")?, &["uptime"]);
    let mut ssh = ssh.start(world.log_file("ssh.out")?)?;
    wait_until("the command", Duration::from_secs(60), || Path::new("/tmp/runs").exists().then_some(()))?;
    let begun = record_of("command", "uptime")?;
    let pid = begun.get("pid").and_then(Value::as_i64).and_then(|pid| i32::try_from(pid).ok());
    let pid = nix::unistd::Pid::from_raw(pid.unwrap_or(-1));
    require(pid.as_raw() > 1, || begun.to_string())?;
    nix::sys::signal::kill(pid, Signal::SIGKILL)?;
    let end = wait_for_end("uptime")?;
    says(&end, &[("exit_status", Value::Null), ("pid", pid.as_raw().into())])?;
    require(text_at(&end, "/detail").starts_with("the connection was cut"), || end.to_string())?;
    wait_until("the end of ssh", Duration::from_secs(60), || ssh.ended()).map(drop)
}

fn who_leaves_the_group_is_refused_at_the_next_command_of_an_open_session(world: &mut World) -> Outcome {
    let rules = rule("deployer", UPTIME) + "[sessions]\non_revoke = \"log\"\n";
    let mut host = start(world, Plan::new(world)?, &rules)?;
    let bob = OpenConnection::of("bob", &host, world)?;
    bob.command(&["uptime"])?.expect_ok()?;
    host.site.directory.leave("bob", "application")?;
    host.publish(world)?;
    // The session goes on, and what is asked in it is refused.
    let refused = bob.command(&["uptime -p"])?.expect_code(126)?;
    require(refused.text().starts_with("refused not_in_role"), || refused.report())?;
    says(
        &record_of("command", "uptime -p")?,
        &[
            ("decision", "deny".into()),
            ("detail", "bob is not in application and is not authorized to execute uptime -p".into()),
        ],
    )?;
    host.site.directory.join("bob", "application")?;
    host.publish(world)?;
    bob.command(&["uptime"])?.expect_ok().map(drop)
}

fn nobody_is_allowed_anything_without_a_fresh_snapshot(world: &mut World) -> Outcome {
    let mut host = start(world, Plan::new(world)?, &rule("deployer", UPTIME))?;
    let bob = OpenConnection::of("bob", &host, world)?;
    bob.command(&["uptime"])?.expect_ok()?;
    let refused = |reason: &str| -> Outcome {
        let ended = bob.command(&["uptime"])?.expect_code(126)?;
        require(ended.text().starts_with(&format!("refused {reason} uptime is not allowed")), || {
            ended.report()
        })
    };
    // What the directory says next is refused, so that nothing is published while the files are changed.
    world.write(svcauth_tests::site::LDIF, 0o600, "broken")?;
    let snapshot = fs::read("/var/lib/svcauth/access.snap")?;
    let confirmed = fs::read_to_string("/var/lib/svcauth/confirmed")?;
    let mut words: Vec<&str> = confirmed.trim_end().split(' ').collect();
    require(words.len() == 5, || confirmed.clone())?;
    if let [_, _, wall, boottime, _] = words.as_mut_slice() {
        (*wall, *boottime) = ("1", "1");
    }
    // The clocks say nothing good about a time in another boot.
    let old = format!("{} another-boot\n", words.get(..4).unwrap_or_default().join(" "));
    world.write("/var/lib/svcauth/confirmed", 0o640, old)?;
    refused("stale")?;
    world.write("/var/lib/svcauth/confirmed", 0o640, &confirmed)?;
    bob.command(&["uptime"])?.expect_ok()?;
    world.write(
        "/var/lib/svcauth/access.snap",
        0o640,
        snapshot.get(..snapshot.len() / 2).unwrap_or_default(),
    )?;
    refused("snapshot_invalid")?;
    fs::remove_file("/var/lib/svcauth/access.snap")?;
    refused("snapshot_missing")?;
    // Root is let in, and gets a shell.
    let root = Program::new("su").args(&["deployer", "-c", "uptime"]).run()?.expect_ok()?;
    require(root.text().starts_with("shell /bin/"), || root.report())?;
    world.write("/var/lib/svcauth/access.snap", 0o640, &snapshot)?;
    bob.command(&["uptime"])?.expect_ok()?;
    host.site.directory.account("another", 7055, 7055);
    host.publish(world)?;
    bob.command(&["uptime"])?.expect_ok().map(drop)
}

fn a_learning_rule_lets_run_and_records_why_it_would_not(world: &mut World) -> Outcome {
    let keys = format!("{UPTIME}\nmode = \"learn\"");
    let host = start(world, Plan::new(world)?, &rule("deployer", &keys))?;
    let ended = host.ssh("bob", "deployer", &["ls / | wc"])?.expect_ok()?;
    require(ended.text().starts_with("shell /bin/"), || ended.report())?;
    let record = record_of("command", "ls / | wc")?;
    let facts =
        [("decision", "allow".into()), ("mode", "learn".into()), ("reason", "command_not_allowed".into())];
    says(&record, &facts)?;
    let detail = text_at(&record, "/detail").to_owned();
    require(detail.starts_with("bob is in application and executed ls / | wc: "), || detail.clone())?;
    host.ssh("bob", "deployer", &["uptime"])?.expect_ok()?;
    says(&record_of("command", "uptime")?, &[("decision", "allow".into()), ("mode", Value::Null)])?;
    // Whom nothing lets in learns nothing.
    let line = host.ssh("carol", "deployer", &["uptime"])?.expect_refused()?;
    require(!line.text().contains("shell"), || line.report())
}

fn su_and_jobs_and_accounts_without_limits_get_their_own_shell(world: &mut World) -> Outcome {
    let mut plan = Plan::new(world)?;
    plan.site.directory.account("jenkins", 7002, 7002);
    let nightly = "[[access]]\naccounts = [\"deployer\"]\nroles = [\"application\"]\nservices = [\"cron\"]\n\
                   commands = [[\"/usr/bin/uptime\"]]\n\n";
    let rules = rule("deployer", UPTIME) + nightly + &rule("jenkins", "");
    let host = start(world, plan, &rules)?;
    no_passwords(world)?;
    let own = "shell /bin/";
    let root = Program::new("su").args(&["deployer", "-c", "id; ls"]).run()?.expect_ok()?;
    require(root.text().starts_with(own), || root.report())?;
    says(
        &record_of("command", "id; ls")?,
        &[("origin", "root".into()), ("detail", "root executed id; ls".into())],
    )?;
    // By su the audit session is that of the invoker, or there is none: the ancestors tell.
    let bob = su(world, "bob", "deployer", "uptime")?.expect_ok()?;
    require_eq("bob by su", bob.text(), "program /usr/bin/uptime")?;
    su(world, "bob", "deployer", "id")?.expect_code(126)?;
    // An account that nothing limits, as sshd's ForceCommand would have it asked about.
    let forced = host.ssh("bob", "jenkins", &[SHELL, "-c", "id"])?.expect_ok()?;
    require(forced.text().starts_with(own), || forced.report())?;
    // By its account: bob's refused `id` as deployer is another.
    let of_jenkins = wait_for(&["--event", "command", "--account", "jenkins"], 1)?;
    let [of_jenkins] = of_jenkins.as_slice() else {
        return Err(Failure::new(format!("not one record about jenkins: {of_jenkins:#?}")));
    };
    says(of_jenkins, &[("command", "id".into()), ("origin", "bob".into())])?;
    // Nobody of ours.
    let local = world.as_user("local", &[SHELL, "-c", "id"]).run()?.expect_code(126)?;
    require_eq("a local user", local.text(), "not-managed")?;
    let root = Program::new(SHELL).args(&["-c", "id"]).run()?.expect_code(126)?;
    require_eq("root", root.text(), "not-managed")
}
