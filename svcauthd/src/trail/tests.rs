//! Trails on disk, written as the daemon writes them and as nobody should.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use svcauth_core::audit::{Event, Record, Verdict};

use super::{Entry, LINE_MAX, Line, NoRecord, Trail};

static FOLDERS: AtomicU32 = AtomicU32::new(0);

/// A folder of its own, removed at the end.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("svcauth-trail-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(super) fn current(&self) -> PathBuf {
        self.0.join("audit.jsonl")
    }

    pub(super) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.0.join(name), bytes).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A line as the daemon writes it.
fn line(seq: u64, record: &Record) -> String {
    let json = record.to_json();
    let inner = json.strip_prefix('{').and_then(|json| json.strip_suffix('}')).unwrap();
    format!("{{\"seq\":{seq},{inner},\"hash\":\"{}\"}}\n", "0".repeat(64))
}

fn decision(account: &str) -> Record {
    Record {
        time: Some(1_700_000_000_000_042),
        decision: Some(Verdict::Allow),
        account: Some(account.to_owned()),
        ..Record::default()
    }
}

pub(super) fn of(account: &str) -> String {
    line(1, &decision(account))
}

fn accounts(trail: &Trail) -> Vec<String> {
    trail.entries().map(|entry| entry.unwrap().account.unwrap_or_default()).collect()
}

fn starts(path: &Path, text: &str) -> bool {
    path.to_str().unwrap().ends_with(text)
}

/// A record with everything in it. Written out, so that a new key does not compile until it is here.
pub(crate) fn full_record() -> Record {
    let text = |text: &str| Some(text.to_owned());
    Record {
        time: Some(1_700_000_000_000_042),
        event: Event::KeyRefused,
        decision: Some(Verdict::Deny),
        reason: text("not_in_role"),
        mode: text("learn"),
        account: text("deployer"),
        uid: Some(7001),
        origin: text("alice"),
        origin_kind: text("person"),
        on_behalf_of: text("bob"),
        evidence: text("certificate"),
        key_fingerprint: text("SHA256:x"),
        cert_key_id: text("alice@example.com"),
        cert_serial: Some(u64::MAX),
        cert_ca: text("SHA256:y"),
        principal: text("alice@EXAMPLE.COM"),
        first_evidence: text("publickey"),
        role: text("application"),
        service: text("sshd"),
        from: text("::1"),
        tty: text("ssh"),
        session: text("b-1-2"),
        chain: text("b-1-1"),
        generation: Some(42),
        age_seconds: Some(3),
        host: text("web1"),
        pid: Some(7),
        command: text("id"),
        exit_status: Some(-1),
        duration_seconds: Some(5),
        count: Some(6),
        detail: text("d"),
    }
}

#[test]
fn every_key_of_a_record_has_a_field_here() {
    let text = line(7, &full_record());
    let entry: Entry = serde_json::from_str(&text).unwrap();
    let mut again = serde_json::to_value(&entry).unwrap();
    again.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    assert_eq!(again, serde_json::from_str::<serde_json::Value>(&text).unwrap());
}

#[test]
fn every_field_of_a_record_is_read_as_it_was_written() {
    let record = Record {
        event: Event::SessionEnd,
        uid: Some(7001),
        cert_serial: Some(u64::MAX),
        exit_status: Some(-1),
        duration_seconds: Some(u64::MAX),
        command: Some("ls \"a\nb\" \u{1b}[2J \u{202e} \u{e0041}".to_owned()),
        origin: Some("zo\u{eb}".to_owned()),
        ..decision("deployer")
    };
    let text = line(7, &record);
    let entry: Entry = serde_json::from_str(&text).unwrap();
    assert_eq!((entry.seq, entry.time, entry.uid), (Some(7), record.time, Some(7001)));
    assert_eq!(entry.hash.as_deref(), Some("0".repeat(64).as_str()));
    assert_eq!(entry.cert_serial.as_deref(), Some("18446744073709551615"));
    assert_eq!((entry.exit_status, entry.duration_seconds), (Some(-1), Some(u64::MAX)));
    assert_eq!((entry.command, entry.origin), (record.command.clone(), record.origin.clone()));
    assert_eq!(entry.event, "session_end");
}

#[test]
fn the_verb_is_that_of_the_records_line() {
    for event in Event::ALL {
        for verdict in [None, Some(Verdict::Allow), Some(Verdict::Deny)] {
            let record = Record { event: *event, decision: verdict, ..Record::default() };
            let entry: Entry = serde_json::from_str(&record.to_json()).unwrap();
            assert_eq!(entry.verb(), record.verb());
        }
    }
}

#[test]
fn files_are_read_in_a_row_the_oldest_first() {
    let folder = Folder::new();
    for (name, account) in [
        ("audit.jsonl", "now"),
        ("audit.jsonl.1", "one"),
        ("audit.jsonl.2", "two"),
        ("audit.jsonl.10", "ten"),
    ] {
        folder.write(name, of(account));
    }
    for other in
        ["audit.jsonl.0", "audit.jsonl.01", "audit.jsonl.x", "audit.jsonl.1.gz", "audit.jsonlx", "x.1"]
    {
        folder.write(other, of("other"));
    }
    let trail = Trail::of(&folder.current()).unwrap();
    assert_eq!(accounts(&trail), ["ten", "two", "one", "now"]);
    // What is renamed while it is open is still what was opened.
    for (from, to) in [("audit.jsonl.1", "audit.jsonl.3"), ("audit.jsonl", "audit.jsonl.1")] {
        fs::rename(folder.0.join(from), folder.0.join(to)).unwrap();
    }
    assert_eq!(accounts(&trail), ["ten", "two", "one", "now"]);
}

#[test]
fn a_trail_that_has_not_begun_is_empty_and_a_folder_in_its_place_is_an_error() {
    let folder = Folder::new();
    assert!(Trail::of(&folder.current()).unwrap().files().is_empty());
    assert!(Trail::of(Path::new("/does/not/exist/audit.jsonl")).unwrap().files().is_empty());
    fs::create_dir(folder.current()).unwrap();
    let error = Trail::of(&folder.current()).unwrap_err().to_string();
    assert!(error.contains("audit.jsonl: it is no plain file"), "{error}");
    assert!(Trail::of_files(&[folder.0.join("gone")]).is_err());
}

#[test]
fn what_is_no_record_stops_nobody_and_says_why() {
    let folder = Folder::new();
    let twice = of("twice").replace("\"decision\"", "\"account\"");
    let bad_time = of("time").replace("2023-11-14T", "2023-11-34T");
    let faults: [&[u8]; 9] = [
        b"\n",
        b"no json\n",
        b"[1]\n",
        b"{}\n",
        b"\xff\xfe\n",
        b"{\"event\":1}\n",
        twice.as_bytes(),
        bad_time.as_bytes(),
        b"\0\n",
    ];
    for fault in faults {
        folder.write("audit.jsonl", [of("before").as_bytes(), fault, of("after").as_bytes()].concat());
        let trail = Trail::of(&folder.current()).unwrap();
        assert_eq!(accounts(&trail), ["before", "after"], "{}", fault.escape_ascii());
        let lines: Vec<Line> = trail.lines().map(Result::unwrap).collect();
        assert!(matches!(lines[1].entry(), Err(NoRecord::Malformed(_))), "{}", fault.escape_ascii());
        assert_eq!((lines[1].number, trail.number(&lines[1].path, lines[1].offset).unwrap()), (Some(2), 2));
    }
}

#[test]
fn a_line_without_its_end_is_not_yet_a_record() {
    let folder = Folder::new();
    let whole = of("whole");
    folder.write("audit.jsonl", [whole.as_str(), whole.trim_end()].concat());
    let trail = Trail::of(&folder.current()).unwrap();
    let lines: Vec<Line> = trail.lines().map(Result::unwrap).collect();
    assert_eq!(lines.iter().map(|line| line.entry().is_ok()).collect::<Vec<_>>(), [true, false]);
    assert_eq!(lines[1].entry(), Err(NoRecord::Incomplete));
    assert_eq!(lines[1].offset, whole.len() as u64);
}

#[test]
fn a_line_beyond_the_limit_is_counted_and_not_kept() {
    let folder = Folder::new();
    let long = "x".repeat(LINE_MAX + 3);
    folder.write("audit.jsonl", format!("{}{long}\n{}", of("before"), of("after")));
    let trail = Trail::of(&folder.current()).unwrap();
    assert_eq!(accounts(&trail), ["before", "after"]);
    let lines: Vec<Line> = trail.lines().map(Result::unwrap).collect();
    assert_eq!(lines[1].bytes.len(), LINE_MAX);
    assert_eq!(lines[1].entry(), Err(NoRecord::TooLong(long.len() as u64)));
}

/// The last `count` lines by reading all of them.
fn last_by_force(trail: &Trail, count: usize, wanted: impl Fn(&Line) -> bool) -> Vec<Line> {
    let unnumbered = |line: Line| Line { number: None, ..line };
    let all: Vec<Line> =
        trail.lines().map(Result::unwrap).map(unnumbered).filter(|line| wanted(line)).collect();
    all[all.len().saturating_sub(count)..].to_vec()
}

#[test]
fn the_last_lines_found_backwards_are_those_found_forwards() {
    let folder = Folder::new();
    // Lengths around the block that is read at a time, empty lines, an empty file, a last line without its end.
    let lengths = [0, 1, 2, 65_533, 65_534, 65_535, 65_536, 65_537, 131_072, 200_000, 3, 0, 0, 5];
    let text: String = lengths.iter().map(|length| format!("{}\n", "a".repeat(*length))).collect();
    folder.write("audit.jsonl.3", &text);
    folder.write("audit.jsonl.2", "");
    folder.write("audit.jsonl.1", "\n");
    folder.write("audit.jsonl", format!("b\n{text}rest"));
    let trail = Trail::of(&folder.current()).unwrap();
    let all = trail.lines().count();
    assert_eq!(all, 2 * lengths.len() + 3);
    for wanted in [|_: &Line| true, |line: &Line| line.bytes.len() > 2] {
        for count in 0..=all + 1 {
            let spots = trail.last(count, wanted).unwrap();
            let found: Vec<Line> = spots.iter().map(|spot| trail.line(*spot).unwrap().unwrap()).collect();
            assert_eq!(found, last_by_force(&trail, count, wanted), "{count}");
        }
    }
    assert!(starts(&trail.lines().last().unwrap().unwrap().path, "audit.jsonl"));
}
