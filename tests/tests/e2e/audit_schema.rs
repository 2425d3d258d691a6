//! What a real host records is what docs/audit.schema.json says, by a validator that is not ours.

use std::time::Duration;

use serde_json::Value;
use svcauth_tests::cases;
use svcauth_tests::failure::{Context, Failure, Outcome, require, require_eq};
use svcauth_tests::program::{Program, wait_until};
use svcauth_tests::site::{svcauth, text_at};
use svcauth_tests::sshd::client;
use svcauth_tests::trail::{entries, wait_for};
use svcauth_tests::world::World;

use crate::host::{Plan, no_passwords, su};

cases!("audit_schema":
    every_record_of_a_busy_host_fits_the_schema_and_each_fault_in_one_is_found,
);

const SCHEMA: &str = include_str!("../../../docs/audit.schema.json");

/// Prints the number of each line that does not fit, with what is wrong.
const VALIDATE: &str = r#"
import json, sys
from jsonschema import Draft202012Validator
schema = json.load(open("/run/world/audit.schema.json"))
Draft202012Validator.check_schema(schema)
validator = Draft202012Validator(schema)
for number, line in enumerate(open(sys.argv[1], encoding="utf-8"), 1):
    errors = [error.message for error in validator.iter_errors(json.loads(line))]
    if errors:
        print(number, json.dumps(errors))
"#;

/// The numbers of the lines that do not fit, and what the validator says of them.
fn faults(world: &World, lines: &[String]) -> Outcome<(Vec<usize>, String)> {
    world.write("/run/world/audit.schema.json", 0o644, SCHEMA)?;
    world.write("/run/world/lines.jsonl", 0o644, lines.join("\n") + "\n")?;
    let ended = Program::new("/usr/bin/python3").args(&["-c", VALIDATE, "/run/world/lines.jsonl"]);
    let said = ended.run()?.expect_ok()?.stdout;
    let number = |line: &str| line.split(' ').next().and_then(|number| number.parse().ok());
    Ok((said.lines().filter_map(number).collect(), said))
}

/// An account whose commands are limited.
const LIMITED: &str =
    "\n[[access]]\naccounts = [\"jenkins\"]\nroles = [\"application\"]\ncommands = [[\"/usr/bin/true\"]]\n";

/// Logins and commands of every sort, somebody who is thrown out, a refused key, a bad entry, an administrator.
fn busy_host(world: &World) -> Outcome {
    let stranger = world.key("stranger")?;
    let mut plan = Plan::new(world)?;
    plan.site.directory.account("jenkins", 7002, 7002);
    plan.site.config.push_str(LIMITED);
    let mut host = plan.start(world)?;
    no_passwords(world)?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    host.ssh("carol", "deployer", &["true"])?.expect_refused()?;
    host.ssh("bob", "jenkins", &["true"])?.expect_ok()?;
    host.ssh("bob", "jenkins", &["id"])?.expect_refused()?;
    su(world, "bob", "deployer", "true")?.expect_ok()?;
    su(world, "local", "deployer", "true")?.expect_refused()?;
    Program::new("su").args(&["deployer", "-c", "true"]).run()?.expect_ok()?;
    let key = stranger.public().split(' ').nth(1).unwrap_or_default();
    svcauth(&["ssh-keys", "deployer", stranger.fingerprint(), "ssh-ed25519", key])?.expect_ok()?;
    // All of them, or one that comes late would be taken for the next.
    const STARTS: usize = 5;
    wait_for(&["--event", "session_start"], STARTS)?;
    let mut sleeping =
        client(&[], "deployer", host.key("bob")?, &["sleep", "60"]).start(world.log_file("sleep.out")?)?;
    wait_for(&["--event", "session_start"], STARTS + 1)?;
    // sshd is ready to hear of the end of a login when it has begun what was asked for.
    wait_until("what bob runs", Duration::from_secs(60), || {
        let found = Program::new("pgrep").args(&["-u", "7001", "-x", "sleep"]).run().ok()?;
        found.ok().then_some(())
    })?;
    host.site.directory.leave("bob", "application")?;
    host.site.directory.account("zero", 0, 0);
    host.publish(world)?;
    wait_until("the end of bob's session", Duration::from_secs(60), || sleeping.ended())?;
    svcauth(&["sync", "--accept-shrink"])?.expect_ok()?;
    wait_for(&["--event", "admin"], 1)?;
    wait_for(&["--event", "session_revoked"], 1)?;
    wait_for(&["--event", "session_end"], STARTS + 1).map(drop)
}

fn every_record_of_a_busy_host_fits_the_schema_and_each_fault_in_one_is_found(world: &mut World) -> Outcome {
    busy_host(world)?;
    let all = entries(&[])?;
    for event in [
        "file_begin",
        "sync",
        "decision",
        "session_start",
        "session_end",
        "command",
        "command_end",
        "session_revoked",
        "key_refused",
        "alarm",
        "admin",
    ] {
        require(all.iter().any(|entry| text_at(entry, "/event") == event), || {
            format!("no {event} in {all:#?}")
        })?;
    }
    let lines: Vec<String> = all.iter().map(ToString::to_string).collect();
    let (found, said) = faults(world, &lines)?;
    require(found.is_empty(), || format!("{said}\n{}", lines.join("\n")))?;
    let bad = seeded(&all)?;
    let (found, said) = faults(world, &bad)?;
    let missed: Vec<&String> =
        (1..).zip(&bad).filter(|(at, _)| !found.contains(at)).map(|(_, line)| line).collect();
    require(missed.is_empty(), || format!("not found: {missed:#?}\n{said}"))?;
    require_eq("the faults", &found.len(), &bad.len())
}

/// `VERB KEY VALUE` a line: what is changed in the first record with that verb; `null` takes the key away.
const FAULTS: &str = include_str!("audit_schema_faults.txt");

/// Records with one fault each.
fn seeded(all: &[Value]) -> Outcome<Vec<String>> {
    FAULTS.lines().filter(|line| !line.starts_with('#')).map(|line| seed(all, line)).collect()
}

fn seed(all: &[Value], fault: &str) -> Outcome<String> {
    let mut words = fault.splitn(3, ' ');
    let mut word = || words.next().ok_or_else(|| Failure::new(format!("too few words in {fault:?}")));
    let (verb, key, value) = (word()?, word()?, word()?);
    let value: Value = serde_json::from_str(value).doing(fault)?;
    let has = |entry: &&Value| [text_at(entry, "/decision"), text_at(entry, "/event")].contains(&verb);
    let found = all.iter().find(has).cloned();
    let mut entry = found.ok_or_else(|| Failure::new(format!("no record for {fault:?}")))?;
    let fields = entry.as_object_mut().ok_or_else(|| Failure::new("a record is no object"))?;
    if value.is_null() {
        require(fields.remove(key).is_some(), || format!("nothing to take away: {fault}"))?;
    } else {
        fields.insert(key.to_owned(), value);
    }
    Ok(entry.to_string())
}
