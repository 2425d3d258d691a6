//! `svcauth setup` on real directories: from nothing to a configuration with which bob is let in and carol is not.

mod automation;
mod errors;
mod files;
mod questions;
mod servers;

use std::path::Path;

use serde_json::Value;
use svcauth_tests::directory::{BASE, Directory};
use svcauth_tests::failure::{Failure, Outcome, require};
use svcauth_tests::keys::Key;
use svcauth_tests::program::{Ended, Program};
use svcauth_tests::runner::Case;
use svcauth_tests::site::{CONFIG, LDIF, Site, list_at, svcauth, text_at};
use svcauth_tests::world::World;

/// All cases, by file.
pub(crate) const CASES: &[&[Case]] =
    &[files::CASES, questions::CASES, servers::CASES, errors::CASES, automation::CASES];
/// Where setup keeps the bind password.
pub(crate) const SECRET: &str = "/etc/svcauth/bind.secret";
/// Who reads the slapd of the harness.
pub(crate) const READER: &str = "cn=svcauth,ou=system,dc=example,dc=com";
/// The rule of the example.
pub(crate) const RULE: [&str; 4] = ["--account", "deployer", "--role", "application"];

/// A host on which svcauth is installed, and which has never been set up.
pub(crate) fn fresh(world: &World) -> Outcome {
    Site::example().install(world)?;
    empty()
}

/// Takes away what somebody would have written.
pub(crate) fn empty() -> Outcome {
    for path in [CONFIG, LDIF] {
        std::fs::remove_file(path)?;
    }
    nothing_is_there()
}

/// What was there before: an empty folder.
pub(crate) fn nothing_is_there() -> Outcome {
    let left: Vec<_> = std::fs::read_dir("/etc/svcauth")?.flatten().map(|entry| entry.file_name()).collect();
    require(left.is_empty(), || format!("left in /etc/svcauth: {left:?}"))
}

/// The example directory with keys for its three people.
pub(crate) fn people(world: &World) -> Outcome<(Directory, [Key; 3])> {
    let mut directory = Directory::example();
    let keys = [world.key("alice")?, world.key("bob")?, world.key("carol")?];
    for (login, key) in ["alice", "bob", "carol"].iter().zip(&keys) {
        directory.key(login, key)?;
    }
    Ok((directory, keys))
}

/// Runs setup without a terminal.
pub(crate) fn setup(args: &[&str]) -> Outcome<Ended> {
    svcauth(&[&["setup", "--yes"], args].concat())
}

/// Runs setup without a terminal and reads its report.
pub(crate) fn report(args: &[&str]) -> Outcome<(i32, Value)> {
    let ended = setup(&[args, &["--json"]].concat())?;
    let value = serde_json::from_str(&ended.stdout)
        .map_err(|error| Failure::new(format!("{error}\n{}", ended.report())))?;
    Ok((ended.code, value))
}

/// Who may become which account, by the report: `bob -> deployer`.
pub(crate) fn access(report: &Value) -> Vec<String> {
    let rows = list_at(report, "/findings/access").iter();
    rows.map(|row| format!("{} -> {}", text_at(row, "/person"), text_at(row, "/account"))).collect()
}

/// Whether a run has changed a file, by its report.
pub(crate) fn is_changed(report: &Value) -> Option<bool> {
    report.pointer("/changed")?.as_bool()
}

/// Every refusal leaves everything as it was, and says in one line what is wrong.
pub(crate) fn refused(args: &[&str], parts: &[&str]) -> Outcome {
    let before = Path::new(CONFIG).exists();
    let ended = setup(args)?.expect_code(1)?;
    for part in parts {
        svcauth_tests::failure::require_contains("what setup says", &ended.stderr, part)?;
    }
    let lines = ended.stderr.trim_end().lines().count();
    require(lines == 1, || format!("{lines} lines of error\n{}", ended.stderr))?;
    require(Path::new(CONFIG).exists() == before, || "a configuration was written".to_owned())?;
    if before { Ok(()) } else { nothing_is_there() }
}

/// The place of an entry of the example.
pub(crate) fn base(ou: &str) -> String {
    format!("ou={ou},{BASE}")
}

/// The mode of a file, in octal digits.
pub(crate) fn mode(path: &str) -> Outcome<String> {
    Ok(Program::new("stat").args(&["-c", "%a %U", path]).run()?.expect_ok()?.text().to_owned())
}
