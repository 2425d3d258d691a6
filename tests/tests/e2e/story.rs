//! What the records of one session say, from the decision to its end, in the log and in the audit file; and the entry of the
//! registry while it lives.

use std::fs;
use std::time::Duration;

use serde_json::Value;
use svcauth_tests::failure::{Failure, Outcome, require, require_eq};
use svcauth_tests::log::Record;
use svcauth_tests::program::wait_until;
use svcauth_tests::world::World;

use crate::host::Plan;

const SESSIONS: &str = "/run/svcauth/sessions";
const TRAIL: &str = "/var/log/svcauth/audit.jsonl";

/// The records since a mark of the log, of one service.
pub(crate) struct Story<'a> {
    world: &'a World,
    mark: usize,
    service: &'a str,
}

impl<'a> Story<'a> {
    pub(crate) fn since(world: &'a World, mark: usize, service: &'a str) -> Self {
        Self { world, mark, service }
    }

    /// Somebody was let in, and every record of that session says these pairs: its decision, its start and its end. The
    /// roles are the decision's own.
    pub(crate) fn allowed(&self, expected: &[(&str, &str)]) -> Outcome<Record> {
        let decision = self.wait("allow", expected)?;
        let session = decision.get("session").to_owned();
        require(!session.is_empty(), || decision.line.clone())?;
        let mut later: Vec<(&str, &str)> =
            expected.iter().copied().filter(|(key, _)| *key != "role").collect();
        later.push(("session", &session));
        self.wait("start", &later)?;
        self.wait("end", &later)?;
        Ok(decision)
    }

    /// Somebody was refused; the record says these pairs and names nobody beyond them.
    pub(crate) fn denied(&self, expected: &[(&str, &str)]) -> Outcome<Record> {
        let record = self.wait("deny", expected)?;
        let may_name = expected.iter().any(|(key, _)| *key == "origin");
        require(may_name || record.get("origin").is_empty(), || {
            format!("a name was made up: {}", record.line)
        })?;
        Ok(record)
    }

    fn wait(&self, verb: &str, expected: &[(&str, &str)]) -> Outcome<Record> {
        let pairs = [expected, &[("service", self.service)]].concat();
        let record = self.world.log().wait_for(self.mark, verb, &pairs)?;
        self.is_in_trail(verb, &record, &pairs)?;
        Ok(record)
    }

    /// The audit file says the same of the same event. A process may write several in a row: time and pid tell which.
    fn is_in_trail(&self, verb: &str, record: &Record, pairs: &[(&str, &str)]) -> Outcome {
        let event = match verb {
            "allow" | "deny" => "decision",
            "start" => "session_start",
            _ => "session_end",
        };
        let same = [
            ("pid", record.get("pid")),
            ("session", record.get("session")),
            ("account", record.get("account")),
        ];
        let wanted = [&[("event", event)], &same[..], pairs].concat();
        let says =
            |line: &Value| wanted.iter().all(|(key, value)| text_of(line, long_key(key)) == unescaped(value));
        wait_until(&format!("{wanted:?} in {TRAIL}"), Duration::from_secs(60), || {
            trail().ok()?.iter().any(says).then_some(())
        })
        .map_err(|why| Failure::new(format!("{why}\nin the log: {}\n{}", record.line, tail_of_trail())))
    }
}

/// The lines of the audit file.
fn trail() -> Outcome<Vec<Value>> {
    let text = fs::read_to_string(TRAIL)?;
    // The last one may be on its way.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole
        .lines()
        .map(|line| serde_json::from_str(line).map_err(|e| Failure::new(format!("{e}: {line}"))))
        .collect()
}

fn tail_of_trail() -> String {
    let text = fs::read_to_string(TRAIL).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(6)..).unwrap_or_default().join("\n")
}

/// The key in the file of one in the line of the log.
fn long_key(key: &str) -> &str {
    match key {
        "key" => "key_fingerprint",
        "age" => "age_seconds",
        "duration" => "duration_seconds",
        other => other,
    }
}

/// A text or a number as text; what is not there is empty, as in the log.
fn text_of(line: &Value, key: &str) -> String {
    match line.get(key) {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// The value behind what a line of the log shows.
fn unescaped(shown: &str) -> String {
    let mut parts = shown.split("\\x");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        bytes.extend(u8::from_str_radix(digits, 16));
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// No record since the mark has this origin, and no entry of the registry this person.
pub(crate) fn no_decision_names(world: &World, mark: usize, person: &str) -> Outcome {
    let named = |record: &Record| record.get("origin") == person && record.verb != "key_refused";
    let records: Vec<String> =
        world.log().records_since(mark).into_iter().filter(named).map(|record| record.line).collect();
    require_eq(&format!("records that name {person}"), &records, &Vec::<String>::new())?;
    // An entry goes behind the record of its end.
    let line = format!("\nperson {person}\n");
    wait_until(&format!("no session of {person}"), Duration::from_secs(60), || {
        (!registry().ok()?.iter().any(|entry| entry.contains(&line))).then_some(())
    })
}

/// The entries of the registry, as they stand.
pub(crate) fn registry() -> Outcome<Vec<String>> {
    let folders = fs::read_dir(SESSIONS)?.flatten();
    let files =
        folders.filter_map(|folder| fs::read_dir(folder.path()).ok()).flat_map(|folder| folder.flatten());
    Ok(files.filter_map(|file| fs::read_to_string(file.path()).ok()).collect())
}

/// Accounts jenkins and database beside deployer, under the same rule.
pub(crate) fn three_accounts(plan: &mut Plan) -> Outcome {
    plan.site.directory.account("jenkins", 7002, 7000);
    plan.site.directory.account("database", 7003, 7000);
    plan.site.configure(
        "accounts = [\"deployer\"]                 #",
        "accounts = [\"deployer\", \"jenkins\", \"database\"] #",
    )
}
