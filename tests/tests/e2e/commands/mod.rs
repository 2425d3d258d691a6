//! What the account's shell lets through, refuses and records: real clients against a real sshd, with `svcauth-shell` as the
//! login shell that the name service gives the account.
//!
//! One file per theme. What is to be refused is first done by a local user whose shell nobody limits, or by a rule that
//! allows it: a trap that does not work proves nothing.

mod argv;
mod attribution;
mod bytes;
mod cli;
mod clients;
mod deploy;
mod escapes;
mod forced;
mod interactive;
mod latency;
mod learning;
mod membership;
mod outage;
mod recording;
mod transfers;

use std::fs;
use std::path::Path;
use std::time::Duration;

use svcauth_tests::failure::{Failure, Outcome, require, require_eq};
use svcauth_tests::log::Record;
use svcauth_tests::program::wait_until;
use svcauth_tests::runner::Case;
use svcauth_tests::world::World;

use crate::host::Plan;

/// The cases of every theme.
pub(crate) const CASES: &[&[Case]] = &[
    deploy::CASES,
    bytes::CASES,
    escapes::CASES,
    forced::CASES,
    outage::CASES,
    recording::CASES,
    argv::CASES,
    transfers::CASES,
    interactive::CASES,
    membership::CASES,
    attribution::CASES,
    learning::CASES,
    cli::CASES,
    latency::CASES,
];

/// The uid and gid of deployer.
const DEPLOYER: (u32, u32) = (7001, 7000);
/// The login shell of a limited account.
const SHELL: &str = "/usr/bin/svcauth-shell";
/// What the shell exits with when a command or an interactive shell is refused.
const REFUSED: i32 = 126;
/// What it exits with when nobody can say what is allowed.
const FAILED: i32 = 255;

/// An example host whose rule for deployer has these keys.
fn limited(world: &World, keys: &str) -> Outcome<Plan> {
    let mut plan = Plan::new(world)?;
    plan.site.access(&rule("deployer", keys));
    // What a login shows by itself is none of ours.
    plan.sshd_line("PrintLastLog no");
    world.write("/etc/motd", 0o644, "")?;
    let _ = fs::remove_dir_all("/etc/update-motd.d");
    Ok(plan)
}

/// A rule that lets the role application use an account, with these keys.
fn rule(account: &str, keys: &str) -> String {
    format!(
        "[[access]]\naccounts = [\"{account}\"]\nroles = [\"application\"]\nservices = [\"sshd\", \"su\", \"sudo\"]\n{keys}\n"
    )
}

/// A folder that deployer owns.
fn own_folder(path: &str) -> Outcome {
    fs::create_dir_all(path)?;
    own(path)
}

/// Gives a file or a folder to deployer.
fn own(path: impl AsRef<Path>) -> Outcome {
    Ok(std::os::unix::fs::chown(path, Some(DEPLOYER.0), Some(DEPLOYER.1))?)
}

/// A program that anybody may run.
fn program(world: &World, path: &str, text: &str) -> Outcome {
    world.write(path, 0o755, text)
}

/// What the log says since a mark about what was asked of the shell: allowed and refused, no ends.
fn asked(world: &World, mark: usize) -> Vec<Record> {
    let of_shell = |record: &Record| matches!(record.verb.as_str(), "command" | "command_refused");
    world.log().records_since(mark).into_iter().filter(of_shell).collect()
}

/// Waits for exactly one record of something asked since a mark.
fn asked_once(world: &World, mark: usize) -> Outcome<Record> {
    // The record is written before the answer: only the log server may still be busy with it.
    let found = wait_until("a record of what was asked", Duration::from_secs(60), || {
        let records = asked(world, mark);
        (!records.is_empty()).then_some(records)
    });
    let records = found.map_err(|why| Failure::new(format!("{why}; {:?}", world.log().lines_since(mark))))?;
    require(records.len() == 1, || format!("{} records: {records:#?}", records.len()))?;
    records.into_iter().next().ok_or_else(|| Failure::new("no record"))
}

/// Waits for the record of an allowed command of bob's and for that of its end; checks the sentence of both.
fn ran(world: &World, mark: usize, command: &str) -> Outcome<Record> {
    ran_by(world, mark, "bob", command)
}

/// The same of somebody else. `command` is the line, or the beginning of a long one that ends in `*`.
fn ran_by(world: &World, mark: usize, person: &str, command: &str) -> Outcome<Record> {
    let beginning = command.strip_suffix('*');
    let fits = |record: &Record| match beginning {
        Some(beginning) => plain(record.get("command")).starts_with(beginning),
        None => plain(record.get("command")) == command,
    };
    let find = |verb: &str| {
        wait_until(&format!("a record {verb} of {command:?}"), Duration::from_secs(60), || {
            let found = world
                .log()
                .records_since(mark)
                .into_iter()
                .find(|record| record.verb == verb && fits(record))?;
            Some(found)
        })
        .map_err(|why| Failure::new(format!("{why}: {:#?}", asked(world, mark))))
    };
    let record = find("command")?;
    require_eq("whose it is", record.get("origin"), person)?;
    require_eq("the account", record.get("account"), "deployer")?;
    let sentence = format!("{person} is in application and executed {}", record.get("command"));
    require(plain(record.get("detail")).starts_with(&plain(&sentence)), || {
        format!("no {sentence:?} in {}", record.line)
    })?;
    let end = find("command_end")?;
    require(!end.get("duration").is_empty() && end.get("session") == record.get("session"), || {
        end.line.clone()
    })?;
    Ok(end)
}

/// A value of the log without the backslashes before quotes and backslashes.
fn plain(value: &str) -> String {
    value.replace("\\\"", "\"").replace("\\\\", "\\")
}

/// The one line of the shell in what somebody is shown.
fn line_of_ours(shown: &str) -> Outcome<String> {
    let lines: Vec<&str> =
        shown.lines().map(str::trim_end).filter(|line| !line.is_empty() && !is_from_ssh(line)).collect();
    match lines.as_slice() {
        [line] if line.starts_with("svcauth: ") => Ok((*line).to_owned()),
        _ => Err(Failure::new(format!("not one line of svcauth: {shown:?}"))),
    }
}

/// What the client adds at the end of a session with a terminal.
fn is_from_ssh(line: &str) -> bool {
    line.starts_with("Connection to ") || line.starts_with("Shared connection to ")
}
