//! Reading the auth log as an administrator would: whole lines, and svcauth's records taken apart.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::failure::{Failure, Outcome, indent};
use crate::program::wait_until;

/// How long a line may take from a program through syslog into the file.
const PATIENCE: Duration = Duration::from_secs(5);

/// The log file of a world.
#[derive(Debug, Clone)]
pub struct AuthLog {
    path: PathBuf,
}

/// One record of svcauth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The verb: `allow`, `deny`, `end`, ...
    pub verb: String,
    /// The `key=value` pairs, quotes and `\xNN` escapes left as they are inside values.
    pub fields: BTreeMap<String, String>,
    /// The whole line.
    pub line: String,
}

impl Record {
    /// The value of a key, empty when it is not there.
    pub fn get(&self, key: &str) -> &str {
        self.fields.get(key).map_or("", String::as_str)
    }

    /// Whether the verb is `verb` and every pair of `expected` is there.
    pub fn says(&self, verb: &str, expected: &[(&str, &str)]) -> bool {
        self.verb == verb && expected.iter().all(|(key, value)| self.get(key) == *value)
    }
}

impl AuthLog {
    /// The log at `path`; it need not be there yet.
    pub fn at(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_owned() }
    }

    /// All of it. Nothing when it is not there yet.
    pub fn text(&self) -> String {
        let bytes = fs::read(&self.path).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The last `count` lines.
    pub fn tail(&self, count: usize) -> String {
        let text = self.text();
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(count)..).unwrap_or_default().join("\n")
    }

    /// The number of bytes so far, to look only at what comes later.
    pub fn mark(&self) -> usize {
        self.text().len()
    }

    /// The whole lines after `mark`.
    pub fn lines_since(&self, mark: usize) -> Vec<String> {
        let text = self.text();
        let new = text.get(mark..).unwrap_or_default();
        let whole = new.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(str::to_owned).collect()
    }

    /// The records of svcauth after `mark`, in order.
    pub fn records_since(&self, mark: usize) -> Vec<Record> {
        self.lines_since(mark).iter().filter_map(|line| parse(line)).collect()
    }

    /// Waits for a line after `mark` that holds every part.
    pub fn wait_for_line(&self, mark: usize, parts: &[&str]) -> Outcome<String> {
        let has = |line: &&String| parts.iter().all(|part| line.contains(part));
        let find = || self.lines_since(mark).iter().find(has).cloned();
        wait_until(&format!("a log line with {parts:?}"), PATIENCE, find)
            .map_err(|why| self.with_log(mark, &why))
    }

    /// Waits for a record after `mark` with this verb and these pairs.
    pub fn wait_for(&self, mark: usize, verb: &str, pairs: &[(&str, &str)]) -> Outcome<Record> {
        let find = || self.records_since(mark).into_iter().find(|record| record.says(verb, pairs));
        wait_until(&format!("a record {verb} {pairs:?}"), PATIENCE, find)
            .map_err(|why| self.with_log(mark, &why))
    }

    fn with_log(&self, mark: usize, why: &Failure) -> Failure {
        Failure::new(format!("{why}; the log since then:\n{}", indent(&self.lines_since(mark).join("\n"))))
    }
}

/// A line of a program whose tag begins with `svcauth` or is `pam_svcauth`.
fn parse(line: &str) -> Option<Record> {
    let mut words = line.splitn(4, ' ');
    let (_time, _host, tag, message) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let program = tag.split(['[', ':']).next()?;
    if !program.contains("svcauth") {
        return None;
    }
    let (verb, rest) = message.split_once(' ').unwrap_or((message, ""));
    Some(Record { verb: verb.to_owned(), fields: pairs(rest), line: line.to_owned() })
}

/// `a=b c="d e"` as pairs. What is no pair is left out.
fn pairs(mut text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    while let Some((key, rest)) = text.split_once('=') {
        let (value, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_at(closing_quote(quoted)),
            None => rest.split_at(rest.find(' ').unwrap_or(rest.len())),
        };
        let name = key.rsplit(' ').next().unwrap_or(key);
        found.insert(name.to_owned(), value.to_owned());
        text = after.trim_start_matches('"').trim_start();
    }
    found
}

/// Where the quote that is not escaped stands, or the end.
fn closing_quote(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' if !escaped => return at,
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_taken_apart() {
        let line = r#"2026-01-01T00:00:00.1+00:00 web1 pam_svcauth[7]: deny account=deployer reason=not_in_role command="ls \"a b\"" age=3"#;
        let record = parse(line).unwrap();
        assert_eq!(record.verb, "deny");
        assert_eq!((record.get("account"), record.get("age")), ("deployer", "3"));
        assert_eq!(record.get("command"), r#"ls \"a b\""#);
        assert!(record.says("deny", &[("reason", "not_in_role")]) && !record.says("allow", &[]));
    }

    #[test]
    fn lines_of_other_programs_are_no_records() {
        assert_eq!(parse("2026-01-01T00:00:00.1+00:00 web1 sshd[7]: allow account=x"), None);
    }
}
