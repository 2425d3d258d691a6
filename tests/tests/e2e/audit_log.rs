//! `svcauth log` on a running host: what was done is in it, complete, and whoever reads it knows when it is not.

use std::fs;
use std::time::Duration;

use serde_json::Value;
use svcauth_tests::cases;
use svcauth_tests::failure::{Outcome, require, require_contains, require_eq, require_lacks};
use svcauth_tests::program::{Program, wait_until};
use svcauth_tests::site::{svcauth, text_at};
use svcauth_tests::trail::{entries, on_a_terminal, wait_for};
use svcauth_tests::world::World;

use crate::host::{Host, Plan};

cases!("audit_log":
    who_did_what_is_found_by_person_account_decision_and_event,
    a_pipe_gets_tabs_and_a_terminal_a_table,
    what_comes_is_shown_as_it_comes_over_a_rotation_and_a_file_made_anew,
    only_root_reads_the_trail,
    records_that_nobody_has_taken_are_told,
    what_an_administrator_makes_the_daemon_do_is_recorded,
);

fn words<'a>(entries: &'a [Value], pointer: &str) -> Vec<&'a str> {
    entries.iter().map(|entry| text_at(entry, pointer)).collect()
}

/// One login that is allowed and one that is refused.
fn two_logins(world: &World) -> Outcome<Host> {
    let host = Plan::new(world)?.start(world)?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    host.ssh("carol", "deployer", &["true"])?.expect_refused()?;
    wait_for(&["--person", "bob"], 3)?;
    wait_for(&["--person", "carol"], 1)?;
    Ok(host)
}

fn who_did_what_is_found_by_person_account_decision_and_event(world: &mut World) -> Outcome {
    let _host = two_logins(world)?;
    let bob = entries(&["--person", "bob"])?;
    require_eq("bob's events", &words(&bob, "/event"), &vec!["decision", "session_start", "session_end"])?;
    let session = text_at(bob.get(1).unwrap_or(&Value::Null), "/session").to_owned();
    let same = entries(&["--session", &session])?;
    require_eq("the records of his session", &same, &bob)?;
    let denied = entries(&["--decision", "deny"])?;
    require_eq("who was denied", &words(&denied, "/origin"), &vec!["carol"])?;
    require_eq("why", &words(&denied, "/reason"), &vec!["not_in_role"])?;
    for (args, count) in [
        (&["--reason", "not_in_role", "--account", "deployer", "--host", "web1.example.com"] as &[&str], 1),
        (&["--account", "jenkins"], 0),
        (&["--event", "session_end", "--since", "1h"], 1),
        (&["--until", "1h"], 0),
        (&["--person", "bob", "-n", "2"], 2),
    ] {
        require_eq(&format!("{args:?}"), &entries(args)?.len(), &count)?;
    }
    let all = entries(&[])?;
    let seq = |entry: &Value| entry.get("seq").and_then(Value::as_u64);
    let numbers: Vec<Option<u64>> = all.iter().map(seq).collect();
    let expected: Vec<Option<u64>> = (1..).take(all.len()).map(Some).collect();
    require_eq("the numbers of the lines", &numbers, &expected)?;
    let file = fs::read_to_string("/var/log/svcauth/audit.jsonl")?;
    require_eq("the lines as they are", &svcauth(&["log", "--json"])?.stdout, &file)
}

fn a_pipe_gets_tabs_and_a_terminal_a_table(world: &mut World) -> Outcome {
    let _host = two_logins(world)?;
    let piped = svcauth(&["log", "--decision", "deny"])?.expect_ok()?;
    let row: Vec<&str> = piped.text().split('\t').collect();
    let tail = ["deny", "deployer", "carol", "not_in_role", "sshd", "127.0.0.1", "-"];
    require_eq("the row", &row.get(1..), &Some(&tail[..]))?;
    let shown = on_a_terminal(&["log", "--decision", "deny"])?.expect_ok()?;
    let lines: Vec<&str> = shown.stdout.lines().collect();
    require_eq("the lines of the table", &lines.len(), &2)?;
    require_contains("the head", lines.first().unwrap_or(&""), "TIME  ")?;
    require_contains("the row", lines.get(1).unwrap_or(&""), "  deny      deployer    carol     not_in_role")
}

fn what_comes_is_shown_as_it_comes_over_a_rotation_and_a_file_made_anew(world: &mut World) -> Outcome {
    let host = two_logins(world)?;
    let command = Program::new("svcauth").args(&["log", "-f", "-n", "0", "--event", "session_start"]);
    let mut following = command.start(world.log_file("followed.out")?)?;
    let seen = || fs::read_to_string("/var/log/followed.out").unwrap_or_default();
    let comes = |person: &str, count: usize| {
        let found = || seen().lines().filter(|line| line.contains(person)).count() == count;
        wait_until(&format!("{count} lines of {person}"), Duration::from_secs(60), || found().then_some(()))
    };
    // Nothing says when it has begun to look: logins until one is seen.
    wait_until("the first line", Duration::from_secs(60), || {
        host.ssh("bob", "deployer", &["true"]).ok()?;
        // One after the other: no line of an earlier login may come behind what is counted.
        let of_bob = || seen().contains("bob").then_some(());
        wait_until("its line", Duration::from_secs(5), of_bob).ok()
    })?;
    wait_for(&["--event", "session_start", "--person", "bob"], 2)?;
    let before = seen().lines().count();
    fs::rename("/var/log/svcauth/audit.jsonl", "/var/log/svcauth/audit.jsonl.1")?;
    let old = fs::read_to_string("/var/log/svcauth/audit.jsonl.1")?;
    let begin = old.lines().next().unwrap_or_default();
    let start = old.lines().find(|line| line.contains("session_start")).unwrap_or_default();
    let alice = start.replace("\"bob\"", "\"alice\"");
    world.write("/var/log/svcauth/audit.jsonl", 0o600, format!("{begin}\n{alice}\n"))?;
    comes("alice", 1)?;
    require_eq("what was shown again", &seen().lines().count(), &(before + 1))?;
    fs::remove_file("/var/log/svcauth/audit.jsonl")?;
    world.write("/var/log/svcauth/audit.jsonl", 0o600, format!("{alice}\n"))?;
    comes("alice", 2)?;
    require_contains("what is said", &seen(), "was replaced")?;
    require(following.ended().is_none(), || "it has ended".to_owned())
}

fn only_root_reads_the_trail(world: &mut World) -> Outcome {
    let _host = two_logins(world)?;
    for args in [&["log"] as &[&str], &["log", "--json", "-f"]] {
        svcauth(&["log"])?.expect_ok()?;
        let ended = world.as_user("local", &[&["svcauth"], args].concat()).run()?.expect_code(1)?;
        require_eq("what is printed", ended.text(), "")?;
        let said = "svcauth: only root may read the audit trail; run: sudo svcauth log\n";
        require_eq("what is said", &ended.stderr.as_str(), &said)?;
    }
    let file = "/var/log/svcauth/audit.jsonl";
    let named = world.as_user("local", &["svcauth", "log", file]).run()?.expect_code(1)?;
    require_contains("what is said of the file", &named.stderr, "Permission denied")
}

fn records_that_nobody_has_taken_are_told(world: &mut World) -> Outcome {
    let host = two_logins(world)?;
    let quiet = svcauth(&["log"])?.expect_ok()?;
    require_eq("what is said while the daemon runs", &quiet.stderr.as_str(), &"")?;
    let before = entries(&[])?.len();
    let (key, sshd) = (host.key("bob")?.clone(), host.sshd);
    host.daemon.kill()?;
    sshd.ssh("deployer", &key, &["true"])?.expect_ok()?;
    let told = svcauth(&["log", "--json"])?.expect_ok()?;
    require_eq("the records", &told.stdout.lines().count(), &before)?;
    require_contains("what is said", &told.stderr, "not in this list")?;
    require_contains("the next step", &told.stderr, "systemctl start svcauthd")?;
    let _daemon = svcauth_tests::daemon::Daemon::start(world)?;
    wait_for(&["--person", "bob"], 6)?;
    require_eq("what is said then", &svcauth(&["log"])?.stderr.as_str(), &"")
}

fn what_an_administrator_makes_the_daemon_do_is_recorded(world: &mut World) -> Outcome {
    let mut host = two_logins(world)?;
    let syncs = entries(&["--event", "sync"])?.len();
    require(syncs > 0, || "the first generation is no record".to_owned())?;
    svcauth(&["sync"])?.expect_ok()?;
    host.site.directory.account("jenkins", 7002, 7000);
    host.publish(world)?;
    let published = wait_for(&["--event", "sync"], syncs + 1)?;
    let last = published.last().unwrap_or(&Value::Null);
    require_contains("what was published", text_at(last, "/detail"), "2 accounts")?;
    require_eq("what was asked for so far", &entries(&["--event", "admin"])?.len(), &0)?;
    svcauth(&["sync", "--accept-shrink"])?.expect_ok()?;
    svcauth(&["roles", "approve", "no such role"])?.expect_code(1)?;
    world.as_user("local", &["svcauth", "sync", "--accept-shrink"]).run()?.expect_code(1)?;
    let deeds = wait_for(&["--event", "admin"], 2)?;
    let commands = vec!["svcauth sync --accept-shrink", "svcauth roles approve no such role"];
    require_eq("what was asked for", &words(&deeds, "/command"), &commands)?;
    require_lacks("what came of it", text_at(deeds.first().unwrap_or(&Value::Null), "/detail"), "failed")?;
    require_contains(
        "what came of it",
        text_at(deeds.last().unwrap_or(&Value::Null), "/detail"),
        "failed: ",
    )?;
    require_eq("generations without a change", &entries(&["--event", "sync"])?.len(), &(syncs + 1))
}
