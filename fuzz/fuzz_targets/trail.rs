//! Any bytes as an audit trail of two files: read forwards, backwards and as it grows, every line comes once, as it stands there
//! and with its place; what is no record is told apart, and a record that was written is read as what it says.
#![no_main]

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use svcauth_fuzz::pieces::Pieces;
use svcauth_fuzz::records;
use svcauthd::proof::{Against, prove};
use svcauthd::proposal;
use svcauthd::report::usage::Usage;
use svcauthd::trail::{Entry, Follower, Line, News, NoRecord, Trail};

/// In memory where there is such a place: every input makes two files.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let parent = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let folder = parent.join(format!("svcauth-fuzz-trail-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
});

fuzz_target!(|bytes: &[u8]| {
    let mut pieces = Pieces(bytes);
    let (cut, seen, how) = (pieces.u16(), pieces.u16(), pieces.byte());
    let (old, new) = split(pieces.0, cut);
    fs::write(current().with_extension("jsonl.1"), old).unwrap();
    fs::write(current(), new).unwrap();
    let trail = Trail::of(&current()).unwrap();
    let lines = forwards(&trail, [old, new]);
    backwards(&trail, &lines, usize::from(how));
    let mut usage = Usage::default();
    for entry in lines.iter().filter_map(entry) {
        usage.add(&entry);
        let _ = (entry.verb(), proposal::Record::of(&entry));
    }
    proven(&trail, &lines);
    followed(new, seen, how);
    written(&mut Pieces(bytes));
});

fn current() -> PathBuf {
    FOLDER.join("audit.jsonl")
}

fn split(bytes: &[u8], at: u16) -> (&[u8], &[u8]) {
    bytes.split_at(usize::from(at) % (bytes.len() + 1))
}

/// The bytes of the lines, each with its end.
fn pieces(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n')
}

fn complete(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1)
}

/// Every line is what stands there, and where it stands.
fn forwards(trail: &Trail, files: [&[u8]; 2]) -> Vec<Line> {
    let lines: Vec<Line> = trail.lines().map(Result::unwrap).collect();
    let mut read = lines.iter();
    for (file, bytes) in trail.files().iter().zip(files) {
        let mut offset = 0;
        for (number, expected) in (1..).zip(pieces(bytes)) {
            let line = read.next().unwrap();
            same(line, expected);
            assert_eq!((&line.path, line.offset, line.number), (&file.path, offset, Some(number)));
            if number % 16 == 1 {
                assert_eq!(trail.number(&line.path, offset).unwrap(), number);
            }
            offset += line.length;
        }
        assert_eq!(file.complete().unwrap(), complete(bytes) as u64);
    }
    assert!(read.next().is_none());
    lines
}

fn same(line: &Line, expected: &[u8]) {
    let whole = expected.strip_suffix(b"\n");
    assert_eq!((line.bytes.as_slice(), line.is_complete), (whole.unwrap_or(expected), whole.is_some()));
    assert_eq!(line.length, expected.len() as u64);
}

/// The last so many, whether all are wanted or some.
fn backwards(trail: &Trail, lines: &[Line], count: usize) {
    for wanted in [|_: &Line| true, |line: &Line| line.bytes.len() % 2 == 1] {
        let spots = trail.last(count, wanted).unwrap();
        let found: Vec<Line> = spots.iter().map(|spot| trail.line(*spot).unwrap().unwrap()).collect();
        let all: Vec<&Line> = lines.iter().filter(|line| wanted(line)).collect();
        let last = &all[all.len().saturating_sub(count)..];
        assert_eq!(found.len(), last.len());
        for (found, line) in found.iter().zip(last) {
            assert_eq!(*found, Line { number: None, ..(*line).clone() });
        }
    }
}

/// What a line says; said again, it says the same.
fn entry(line: &Line) -> Option<Entry> {
    match line.entry() {
        Ok(entry) => {
            assert!(line.is_complete);
            assert_eq!(serde_json::from_value::<Entry>(said(&entry)).unwrap(), entry);
            Some(entry)
        }
        Err(why) => {
            assert_eq!(why == NoRecord::Incomplete, !line.is_complete);
            assert!(!why.to_string().is_empty());
            None
        }
    }
}

/// Nothing that was not sealed is believed, and what is no fault is no more than was there.
fn proven(trail: &Trail, lines: &[Line]) {
    let report = prove(trail.files(), &Against::default()).unwrap();
    let length: u64 = lines.iter().map(|line| line.length).sum();
    assert!(report.bytes <= length && report.lines <= lines.len() as u64);
    if report.fault.is_none() && report.notes.is_empty() {
        assert_eq!((report.bytes, report.lines), (length, lines.len() as u64));
        assert!(lines.iter().all(|line| line.is_complete));
    }
}

/// Who follows the newest file hears of every line that is complete once, over growth and rotation; a file that was cut is
/// noted, and read from its beginning.
fn followed(new: &[u8], seen: u16, how: u8) {
    let (before, after) = split(new, seen);
    fs::write(current(), before).unwrap();
    let mut follower = Follower::after(Trail::of(&current()).unwrap(), &current()).unwrap();
    let known = complete(before);
    let mut expected: Vec<&[u8]> = Vec::new();
    if how % 3 == 2 && known > 0 {
        fs::write(current(), &before[..known - 1]).unwrap();
        expected.extend(pieces(&before[..complete(&before[..known - 1])]));
    } else {
        OpenOptions::new().append(true).open(current()).unwrap().write_all(after).unwrap();
        expected.extend(pieces(&new[known..]));
        if how % 3 == 1 {
            fs::rename(current(), current().with_extension("jsonl.1")).unwrap();
            fs::write(current(), before).unwrap();
            expected.extend(pieces(&before[..known]));
        } else {
            expected.retain(|line| line.ends_with(b"\n"));
        }
    }
    let (mut told, mut notes) = (Vec::new(), 0);
    let mut tell = |news| {
        match news {
            News::Line(line) => told.push(line),
            News::Note(_) => notes += 1,
        }
        Ok(())
    };
    follower.read(&mut tell).unwrap();
    follower.read(&mut tell).unwrap();
    assert_eq!(told.len(), expected.len());
    told.iter().zip(expected).for_each(|(line, expected)| same(line, expected));
    assert_eq!(notes, u32::from(how % 3 == 2 && known > 0));
}

/// A record of ours.
fn written(from: &mut Pieces<'_>) {
    let json = records::record(from).to_json();
    let entry: Entry = serde_json::from_str(&json).unwrap();
    assert_eq!(said(&entry), serde_json::from_str::<Value>(&json).unwrap());
}

/// What is there of an entry.
fn said(entry: &Entry) -> Value {
    let mut said = serde_json::to_value(entry).unwrap();
    said.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    said
}
