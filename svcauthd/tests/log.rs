//! `svcauth log` on files, which needs neither root nor a daemon.

#![cfg(test)]

use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use svcauth_core::audit::{Event, Record, Verdict};

const SVCAUTH: &str = env!("CARGO_BIN_EXE_svcauth");
/// 2026-01-31T08:15:00Z
const START: u64 = 1_769_847_300_000_000;
const HOUR: u64 = 3_600_000_000;

static FILES: AtomicU32 = AtomicU32::new(0);

/// A trail of one file, removed at the end.
struct Trail(PathBuf);

impl Trail {
    fn new(records: &[Record]) -> Self {
        let number = FILES.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("svcauth-show-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let trail = Self(folder.join("audit.jsonl"));
        fs::write(&trail.0, "").unwrap();
        records.iter().enumerate().for_each(|(at, record)| trail.append(line(at + 1, record)));
        trail
    }

    fn append(&self, text: impl AsRef<[u8]>) {
        OpenOptions::new().append(true).create(true).open(&self.0).unwrap().write_all(text.as_ref()).unwrap();
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    fn log(&self, args: &[&str]) -> Output {
        let args = [&["log"], args, &[self.path()]].concat();
        Command::new(SVCAUTH).args(&args).env("TZ", "UTC").output().unwrap()
    }

    /// The rows, taken apart.
    fn rows(&self, args: &[&str]) -> Vec<Vec<String>> {
        let ended = self.log(args);
        assert!(ended.status.success(), "{args:?}: {}", text(&ended.stderr));
        text(&ended.stdout).lines().map(|row| row.split('\t').map(str::to_owned).collect()).collect()
    }

    /// The details of the rows, which name the records here.
    fn names(&self, args: &[&str]) -> Vec<String> {
        self.rows(args).into_iter().map(|row| row[7].clone()).collect()
    }

    /// The same on a terminal.
    fn on_a_terminal(&self, args: &str) -> String {
        let command = format!("exec {SVCAUTH} log {args} {}", self.path());
        let ended = Command::new("script")
            .args(["-qec", &command, "/dev/null"])
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        text(&ended.stdout).replace("\r\n", "\n")
    }
}

impl Drop for Trail {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.0.parent().unwrap());
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// As the daemon writes it.
fn line(seq: usize, record: &Record) -> String {
    let json = record.to_json();
    let inner = json.strip_prefix('{').and_then(|json| json.strip_suffix('}')).unwrap();
    format!("{{\"seq\":{seq},{inner},\"hash\":\"{}\"}}\n", "0".repeat(64))
}

/// A record an hour after the one before.
fn record(number: u64) -> Record {
    Record {
        time: Some(START + number * HOUR),
        decision: Some(Verdict::Allow),
        account: Some("deployer".into()),
        origin: Some("alice".into()),
        evidence: Some("publickey".into()),
        service: Some("sshd".into()),
        from: Some("::1".into()),
        host: Some("web1".into()),
        detail: Some(format!("r{number}")),
        ..Record::default()
    }
}

/// alice, bob who is refused, a session's end, and what a robot did for alice.
fn story() -> Trail {
    let bob = Record {
        decision: Some(Verdict::Deny),
        reason: Some("not_in_role".into()),
        origin: Some("bob".into()),
        account: Some("jenkins".into()),
        ..record(1)
    };
    let end = Record {
        event: Event::SessionEnd,
        decision: None,
        session: Some("s-1".into()),
        host: Some("web2".into()),
        ..record(2)
    };
    let robot = Record { origin: Some("robot".into()), on_behalf_of: Some("alice".into()), ..record(3) };
    Trail::new(&[record(0), bob, end, robot])
}

#[test]
fn options_choose_records_and_a_pipe_gets_tabs() {
    let trail = story();
    assert_eq!(trail.names(&[]), ["r0", "r1", "r2", "r3"]);
    for (args, names) in [
        (&["--person", "alice"] as &[&str], &["r0", "r2"] as &[&str]),
        (&["--person", "alice", "--on-behalf-of"], &["r0", "r2", "r3"]),
        (&["--person", "alice", "--person", "bob"], &["r0", "r1", "r2"]),
        (&["--account", "jenkins"], &["r1"]),
        (&["--host", "web2"], &["r2"]),
        (&["--decision", "deny"], &["r1"]),
        (&["--event", "session_end"], &["r2"]),
        (&["--reason", "not_in_role"], &["r1"]),
        (&["--session", "s-1"], &["r2"]),
        (&["--since", "2026-01-31T09:15:00Z"], &["r1", "r2", "r3"]),
        (&["--since", "2026-01-31 10:15", "--until", "2026-01-31 10:15:00"], &["r2"]),
        (&["--until", "2026-01-31"], &[]),
        (&["-n", "2"], &["r2", "r3"]),
        (&["-n", "1", "--person", "alice"], &["r2"]),
        (&["-n", "0"], &[]),
        (&["-n", "all", "--person", "nobody"], &[]),
    ] {
        assert_eq!(trail.names(args), names, "{args:?}");
    }
    let denied = trail.rows(&["--decision", "deny"]);
    let expected =
        ["2026-01-31T09:15:00.000000Z", "deny", "jenkins", "bob", "not_in_role", "sshd", "::1", "r1"];
    assert_eq!(denied, [expected]);
}

#[test]
fn json_is_the_line_of_the_file() {
    let trail = story();
    trail.append(line(5, &Record { origin: Some("zo\u{eb} \u{6f22}\u{202e}\u{1b}".into()), ..record(4) }));
    let whole = fs::read_to_string(&trail.0).unwrap();
    assert_eq!(text(&trail.log(&["--json"]).stdout), whole);
    let third = whole.lines().nth(2).unwrap();
    assert_eq!(text(&trail.log(&["--json", "--event", "session_end"]).stdout), format!("{third}\n"));
    assert_eq!(text(&trail.log(&["--json", "-n1"]).stdout).trim_end(), whole.lines().last().unwrap());
}

#[test]
fn a_terminal_gets_a_table_of_the_last_hundred_and_is_told_of_more() {
    let trail = Trail::new(&(0..150).map(record).collect::<Vec<_>>());
    let shown = trail.on_a_terminal("");
    let mut lines = shown.lines();
    assert_eq!(lines.next(), Some("svcauth: only the last 100 are shown; all are with: -n all"));
    assert!(
        lines.next().unwrap().starts_with("TIME                 WHAT      ACCOUNT     ORIGIN"),
        "{shown}"
    );
    assert_eq!(
        lines.next().unwrap(),
        "2026-02-02 10:15:00  allow     deployer    alice     publickey    sshd     ::1        r50"
    );
    assert_eq!(shown.lines().count(), 102);
    assert_eq!(trail.on_a_terminal("-n all").lines().count(), 151);
    assert_eq!(trail.names(&[]).len(), 150);
    let few = Trail::new(&(0..100).map(record).collect::<Vec<_>>());
    assert_eq!(few.on_a_terminal("").lines().count(), 101);
}

#[test]
fn a_line_that_is_no_record_is_shown_escaped_with_its_number_and_the_rest_goes_on() {
    let trail = Trail::new(&[record(0)]);
    trail.append(b"\x1b[2J\xff{}\n");
    trail.append(line(2, &record(1)));
    let names = trail.names(&[]);
    assert_eq!((names.len(), names[0].as_str(), names[2].as_str()), (3, "r0", "r1"));
    assert!(
        names[1].contains("audit.jsonl line 2 is no record: ") && names[1].ends_with(r"\x1b[2J\xff{}"),
        "{names:?}"
    );
    assert_eq!(trail.names(&["-n", "2"])[0], names[1]);
    for (args, place) in
        [(&["--json"] as &[&str], "line 2 is no record"), (&["--person", "alice"], "the first is")]
    {
        let ended = trail.log(args);
        assert!(ended.status.success() && text(&ended.stdout).lines().count() == 2, "{args:?}");
        assert!(text(&ended.stderr).contains(place) && !text(&ended.stderr).contains('\x1b'), "{args:?}");
    }
    let last = trail.log(&["--person", "alice", "-n", "5"]);
    assert!(
        text(&last.stderr).contains("1 lines are no records")
            && text(&last.stderr).contains("audit.jsonl line 2")
    );
    assert!(!trail.on_a_terminal("").contains('\x1b'));
}

#[test]
fn a_line_that_is_not_complete_is_told_on_standard_error() {
    let trail = Trail::new(&[record(0)]);
    trail.append("{\"seq\":2,\"ti");
    for args in [&[] as &[&str], &["-n", "5"]] {
        let ended = trail.log(args);
        assert_eq!(text(&ended.stdout).lines().count(), 1, "{args:?}");
        assert!(text(&ended.stderr).contains("is not complete"), "{args:?}");
    }
}

#[test]
fn a_question_that_makes_no_sense_is_2_and_a_file_that_is_not_there_is_1() {
    let trail = story();
    for args in [
        &["--since", "yesteryear"] as &[&str],
        &["--since", "1h", "--until", "2h"],
        &["--decision", "maybe"],
        &["--event", "session"],
        &["-n", "-1"],
        &["-n", "x"],
        &["--on-behalf-of"],
    ] {
        let ended = trail.log(args);
        assert_eq!((ended.status.code(), text(&ended.stdout)), (Some(2), ""), "{args:?}");
    }
    let gone = Command::new(SVCAUTH).args(["log", "/does/not/exist"]).output().unwrap();
    assert_eq!(gone.status.code(), Some(1));
    assert_eq!(text(&gone.stderr), "svcauth: /does/not/exist: No such file or directory (os error 2)\n");
}

/// A command whose lines are read as they come.
struct Followed {
    child: Child,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Followed {
    fn start(trail: &Trail, args: &[&str]) -> Self {
        let args = [&["log", "-f"], args, &[trail.path()]].concat();
        let mut child = Command::new(SVCAUTH).args(&args).stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || out.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok()));
        Self { child, lines }
    }

    fn next(&self) -> String {
        let line = self.lines.recv_timeout(Duration::from_secs(90)).unwrap();
        line.rsplit('\t').next().unwrap().to_owned()
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_comes_is_shown_as_it_comes_also_after_a_rotation() {
    let trail = story();
    let followed = Followed::start(&trail, &["--person", "alice", "-n", "1"]);
    assert_eq!(followed.next(), "r2");
    let bob = Record { origin: Some("bob".into()), ..record(5) };
    trail.append(line(5, &record(4)));
    assert_eq!(followed.next(), "r4");
    trail.append(line(6, &bob));
    fs::rename(&trail.0, trail.0.with_extension("jsonl.1")).unwrap();
    trail.append(line(7, &record(6)));
    assert_eq!(followed.next(), "r6");
}

#[test]
fn following_ends_without_a_word_when_nobody_reads_any_more() {
    let trail = story();
    for args in [&["--json"] as &[&str], &[]] {
        let words = [&["log", "-f"], args, &[trail.path()]].concat();
        let mut child =
            Command::new(SVCAUTH).args(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut String::new()).unwrap();
        // Nothing is written any more: it must notice all the same.
        drop(out);
        let start = Instant::now();
        let ended = child.wait_with_output().unwrap();
        assert_eq!((ended.status.code(), text(&ended.stderr)), (Some(141), ""));
        assert!(start.elapsed() < Duration::from_secs(90), "{:?}", start.elapsed());
    }
}
