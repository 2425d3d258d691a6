//! Reading the auth log as an administrator would: whole lines, and svcauth's records taken apart.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::failure::{Failure, Outcome, indent};
use crate::program::wait_until;

/// How long a line may take from a program through syslog into the file. It only tells a line that never comes from one
/// of a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// What our own lines are tagged with: see [`AuthLog::settle`].
const SETTLED: &str = "settled-by-the-test";
/// Where the log server of a world keeps its process id.
const SERVER: &str = "/run/world/syslog.pid";

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
        let lines: Vec<&str> = text.lines().filter(|line| !line.contains(SETTLED)).collect();
        lines.get(lines.len().saturating_sub(count)..).unwrap_or_default().join("\n")
    }

    /// The number of bytes so far, to look only at what comes later: what was sent to the log before is before it.
    pub fn mark(&self) -> usize {
        self.settle();
        self.text().len()
    }

    /// The whole lines after `mark`; what was sent to the log before the call is there.
    pub fn lines_since(&self, mark: usize) -> Vec<String> {
        self.settle();
        self.written_since(mark)
    }

    fn written_since(&self, mark: usize) -> Vec<String> {
        let text = self.text();
        let new = text.get(mark..).unwrap_or_default();
        let whole = new.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().filter(|line| !line.contains(SETTLED)).map(str::to_owned).collect()
    }

    /// Waits until all that was sent to the log server so far is in the file. Its socket is a queue, so a line of our own,
    /// sent now, comes behind. A server that is stopped or stands still writes nothing, and nobody waits for it.
    fn settle(&self) {
        static SENT: AtomicUsize = AtomicUsize::new(0);
        let Ok(socket) = UnixDatagram::unbound() else { return };
        let number = SENT.fetch_add(1, Ordering::Relaxed);
        let line = format!("{SETTLED}[{}]: {number}.", std::process::id());
        let mut is_sent = false;
        let is_written = || {
            if !server_runs() {
                return Some(());
            }
            is_sent = is_sent || {
                // It may be full: others send, too.
                let _ = socket.set_nonblocking(true);
                socket.send_to(format!("<135>{line}").as_bytes(), "/dev/log").is_ok()
            };
            (is_sent && self.text().contains(&line)).then_some(())
        };
        // A line that never comes is told by what waits for it.
        let _ = wait_until("the log server", PATIENCE, is_written);
    }

    /// The records of svcauth after `mark`, in order.
    pub fn records_since(&self, mark: usize) -> Vec<Record> {
        self.lines_since(mark).iter().filter_map(|line| parse(line)).collect()
    }

    /// Waits for a line after `mark` that holds every part.
    pub fn wait_for_line(&self, mark: usize, parts: &[&str]) -> Outcome<String> {
        let has = |line: &&String| parts.iter().all(|part| line.contains(part));
        let find = || self.written_since(mark).iter().find(has).cloned();
        wait_until(&format!("a log line with {parts:?}"), PATIENCE, find)
            .map_err(|why| self.with_log(mark, &why))
    }

    /// Waits for a record after `mark` with this verb and these pairs.
    pub fn wait_for(&self, mark: usize, verb: &str, pairs: &[(&str, &str)]) -> Outcome<Record> {
        let lines = || self.written_since(mark).into_iter();
        let find = || lines().filter_map(|line| parse(&line)).find(|record| record.says(verb, pairs));
        wait_until(&format!("a record {verb} {pairs:?}"), PATIENCE, find)
            .map_err(|why| self.with_log(mark, &why))
    }

    fn with_log(&self, mark: usize, why: &Failure) -> Failure {
        Failure::new(format!("{why}; the log since then:\n{}", indent(&self.lines_since(mark).join("\n"))))
    }
}

/// Whether there is a log server of this world, and it does not stand still.
fn server_runs() -> bool {
    let Ok(pid) = fs::read_to_string(SERVER) else { return false };
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['T', 'Z', 'X']))
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
