//! The key report for scripts: rows for tables and CSV, one object of JSON.

use std::io::{self, Write};

use serde::Serialize;

use super::about::About;
use super::json::{self, List};
use super::keys::{Covered, Keys};

/// The heads of the columns of a table.
pub const HEAD: [&str; 8] = ["KIND", "ACCOUNT", "PERSON", "KEY", "TYPE", "FILE", "LINE", "STATE"];

/// What a row says about use, when there was none.
pub const NEVER: &str = "never";

#[derive(Serialize)]
struct Head<'a> {
    #[serde(flatten)]
    about: &'a About,
    unused_days: u64,
    trail: Covered,
}

/// One object; each row on a line of its own.
///
/// # Errors
/// As the writer.
pub fn json(out: &mut dyn Write, about: &About, keys: &Keys<'_>) -> io::Result<()> {
    json::open(out, &Head { about, unused_days: keys.days, trail: keys.covered() })?;
    let unused = keys.unused_keys();
    let mut list = List::begin(out, "local_keys")?;
    keys.local.iter().try_for_each(|key| list.row(key))?;
    let mut list = list.end()?.then("local_files_unread")?;
    keys.unread.iter().try_for_each(|file| list.row(file))?;
    let mut list = list.end()?.then("unused_keys")?;
    unused.iter().try_for_each(|key| list.row(key))?;
    let mut list = list.end()?.then("unused_access")?;
    let mut count = 0;
    keys.unused_access(&mut |access| {
        count += 1;
        list.row(access)
    })?;
    list.end()?.close("counts", &keys.counts(unused.len(), count))
}

/// Calls `each` with the cells of every row, not yet escaped for where they go.
///
/// # Errors
/// The first that `each` returns.
pub fn rows(keys: &Keys<'_>, each: &mut dyn FnMut(&[String]) -> io::Result<()>) -> io::Result<()> {
    let row = |cells: [&str; 8]| cells.map(str::to_owned);
    for key in &keys.local {
        let owner = key.owner.as_deref().unwrap_or_default();
        let (line, state) = (key.line.to_string(), key.state.word());
        each(&row([
            "local_key",
            &key.account,
            owner,
            &key.fingerprint,
            &key.key_type,
            &key.file,
            &line,
            state,
        ]))?;
    }
    for file in &keys.unread {
        each(&row(["local_file", &file.account, "", "", "", &file.file, "", &file.why]))?;
    }
    for key in keys.unused_keys() {
        let last = key.last_used.as_deref().unwrap_or(NEVER);
        each(&row(["unused_key", "", &key.person, &key.fingerprint, "", "", "", last]))?;
    }
    keys.unused_access(&mut |access| {
        each(&row(["unused_access", access.account, access.person, "", "", "", "", NEVER]))
    })
}
