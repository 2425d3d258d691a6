//! Whatever is done to a trail on the disk is found, at the file and line where it was done.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use svcauth_core::audit::chain::{Anchor, Fault, Head};
use svcauth_core::audit::{Event, Record};

use super::{Against, Report, prove};
use crate::trail::Trail;

/// A trail on the disk: `log.2`, `log.1`, `log`, of five lines each.
struct Made {
    folder: PathBuf,
    head: Head,
}

impl Drop for Made {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

const NAMES: [&str; 3] = ["log.2", "log.1", "log"];

impl Made {
    fn new(test: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("svcauth-proof-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let mut at = Anchor::default();
        for name in NAMES {
            fs::write(folder.join(name), file(&mut at, &[])).unwrap();
        }
        Self { folder, head: Head { last: at, first: 1 } }
    }

    fn path(&self, index: usize) -> PathBuf {
        self.folder.join(NAMES[index])
    }

    fn read(&self, index: usize) -> Vec<u8> {
        fs::read(self.path(index)).unwrap()
    }

    fn against(&self, anchors: &[Anchor]) -> Against {
        Against { head: Some(self.head), anchors: anchors.to_vec(), is_live: false }
    }

    fn prove(&self) -> Report {
        self.prove_against(&self.against(&[]))
    }

    fn prove_against(&self, against: &Against) -> Report {
        prove(Trail::of(&self.folder.join("log")).unwrap().files(), against).unwrap()
    }

    /// The file, the line and the fault.
    fn fault(&self) -> Option<(usize, u64, Fault)> {
        self.prove().fault.map(|place| (index_of(&place.path), place.line, place.fault))
    }
}

fn index_of(path: &Path) -> usize {
    NAMES.iter().position(|name| path.ends_with(name)).unwrap()
}

/// A beginning, these records, and four lines.
fn file(at: &mut Anchor, records: &[Record]) -> Vec<u8> {
    let mut bytes = Vec::new();
    at.begin(Record { event: Event::FileBegin, ..Record::default() }.to_json().as_bytes(), &mut bytes);
    for record in records {
        at.seal(record.to_json().as_bytes(), &mut bytes);
    }
    for number in 0..4 {
        let record = Record { account: Some(format!("a{number}")), ..Record::default() };
        at.seal(record.to_json().as_bytes(), &mut bytes);
    }
    bytes
}

fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

#[test]
fn a_trail_as_it_was_written_is_whole_and_so_is_each_of_its_files() {
    let made = Made::new("whole");
    let report = made.prove();
    assert_eq!((report.files, report.lines, report.first, report.fault), (3, 15, Some(1), None));
    assert_eq!(report.last, Some(made.head.last));
    for index in 0..3 {
        let alone = Trail::of_files(&[made.path(index)]).unwrap();
        assert_eq!(prove(alone.files(), &Against::default()).unwrap().fault, None);
    }
}

#[test]
fn any_byte_of_any_file_that_is_changed_is_found_at_its_line() {
    let made = Made::new("bytes");
    for index in 0..3 {
        let whole = made.read(index);
        for at in 0..whole.len() {
            let mut bad = whole.clone();
            bad[at] ^= [0x01, 0x55, 0x80][at % 3];
            fs::write(made.path(index), &bad).unwrap();
            let line = whole[..at].iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
            let found = made.fault().map(|(file, line, _)| (file, line));
            assert_eq!(found, Some((index, line)), "byte {at}");
        }
        fs::write(made.path(index), &whole).unwrap();
    }
    assert_eq!(made.fault(), None);
}

#[test]
fn any_line_that_is_removed_doubled_or_moved_is_found_where_it_was_done() {
    let made = Made::new("lines");
    for index in 0..3 {
        let whole = lines(&made.read(index));
        for at in 0..5 {
            let seq = (index * 5 + at + 1) as u64;
            let mut removed = whole.clone();
            removed.remove(at);
            fs::write(made.path(index), removed.concat()).unwrap();
            // The last line of any file leaves an end that is too early.
            let fault = match at {
                4 => Fault::Cut { from: seq, to: seq },
                _ => Fault::Removed { from: seq, to: seq },
            };
            assert_eq!(made.fault(), Some((index, at as u64 + 1, fault)), "{index}:{at} removed");
            let mut doubled = whole.clone();
            doubled.insert(at, whole[at].clone());
            fs::write(made.path(index), doubled.concat()).unwrap();
            assert_eq!(made.fault(), Some((index, at as u64 + 2, Fault::Doubled { seq })));
            for other in at + 1..5 {
                let mut swapped = whole.clone();
                swapped.swap(at, other);
                fs::write(made.path(index), swapped.concat()).unwrap();
                let found = made.fault().unwrap();
                assert_eq!((found.0, found.1), (index, at as u64 + 1), "{at} with {other}");
                assert_eq!(found.2.code(), "reordered", "{at} with {other}");
            }
        }
        fs::write(made.path(index), whole.concat()).unwrap();
    }
}

#[test]
fn a_file_cut_anywhere_or_taken_away_is_found_where_it_ended() {
    let made = Made::new("cuts");
    for index in 0..3 {
        let whole = made.read(index);
        for length in 0..whole.len() {
            fs::write(made.path(index), &whole[..length]).unwrap();
            let kept = whole[..length].iter().filter(|byte| **byte == b'\n').count() as u64;
            let (file, line, fault) = made.fault().unwrap();
            // Of an oldest file that is empty nothing is left to say so but the head.
            let missing =
                matches!(fault, Fault::FilesMissing { from: 1, to: 5 }) && (index, length) == (0, 0);
            assert!(missing || (file, line) == (index, kept + 1), "{index} cut to {length}: {fault:?}");
            assert!(missing || matches!(fault, Fault::Unfinished | Fault::Cut { .. }), "{length}: {fault:?}");
        }
        fs::remove_file(made.path(index)).unwrap();
        let expected = match index {
            0 => (1, 1, Fault::FilesMissing { from: 1, to: 5 }),
            1 => (0, 6, Fault::Cut { from: 6, to: 10 }),
            _ => (1, 6, Fault::Cut { from: 11, to: 15 }),
        };
        assert_eq!(made.fault(), Some(expected), "without {index}");
        fs::write(made.path(index), &whole).unwrap();
    }
    assert_eq!(made.fault(), None);
}

#[test]
fn an_end_that_was_unfinished_is_no_fault_when_the_next_file_goes_on_behind_it_and_says_so() {
    let mut made = Made::new("unfinished");
    let alarm =
        |reason: &str| Record { event: Event::Alarm, reason: Some(reason.to_owned()), ..Record::default() };
    let (mut at, mut after) = (made.head.last, Vec::new());
    for (reason, is_whole) in [("audit_file_damaged", false), ("audit_file_unfinished", true)] {
        let whole = made.read(2);
        at = made.head.last;
        after = file(&mut at, &[alarm(reason)]);
        fs::write(made.folder.join("log.1x"), [whole.as_slice(), b"{\"seq\":16,\"ti"].concat()).unwrap();
        fs::write(made.folder.join("logx"), &after).unwrap();
        let files: Vec<PathBuf> = ["log.2", "log.1", "log.1x", "logx"].map(|it| made.folder.join(it)).into();
        let trail = Trail::of_files(&files).unwrap();
        let against = Against { head: Some(Head { last: at, first: 1 }), ..Against::default() };
        let report = prove(trail.files(), &against).unwrap();
        assert_eq!(report.fault.is_none(), is_whole, "{report:?}");
        assert_eq!(report.notes.len(), usize::from(is_whole), "{report:?}");
    }
    // A whole line behind the one that the next file follows was never part of the chain, either.
    made.head.last = at;
    let text = String::from_utf8(after).unwrap();
    assert!(text.contains("audit_file_unfinished"));
}

#[test]
fn what_was_written_down_elsewhere_proves_more_than_the_files_and_the_head_do() {
    let made = Made::new("anchors");
    let middle: Anchor = {
        let line = String::from_utf8(lines(&made.read(1))[2].clone()).unwrap();
        let hash = line.trim_end().rsplit_once("\"hash\":\"").unwrap().1.trim_end_matches("\"}").to_owned();
        format!("8:{hash}").parse().unwrap()
    };
    assert_eq!(made.prove_against(&made.against(&[middle, made.head.last])).fault, None);
    // Root writes everything anew, the head included: whole in itself.
    let mut at = Anchor::default();
    for name in NAMES {
        let other = Record { account: Some("mallory".to_owned()), ..Record::default() };
        fs::write(made.folder.join(name), file(&mut at, &[other])).unwrap();
    }
    let head = Some(Head { last: at, first: 1 });
    let forged = Against { head, ..Against::default() };
    assert_eq!(made.prove_against(&forged).fault, None);
    let found = made.prove_against(&Against { anchors: vec![middle], ..forged.clone() }).fault.unwrap();
    assert_eq!((index_of(&found.path), found.line, found.fault), (1, 2, Fault::Rewritten { seq: 8 }));
    // Written down later than everything that is there, and earlier than anything that is kept.
    let late = Anchor { seq: 99, ..middle };
    let found = made.prove_against(&Against { anchors: vec![late], ..forged.clone() }).fault.unwrap();
    assert_eq!(found.fault, Fault::Cut { from: 19, to: 99 });
    fs::remove_file(made.path(0)).unwrap();
    let early = Anchor { seq: 3, ..middle };
    let against = Against { anchors: vec![early], ..Against::default() };
    assert_eq!(made.prove_against(&against).fault.unwrap().fault, Fault::NotKept { seq: 3 });
}

#[test]
fn a_line_of_any_length_is_garbage_and_a_line_that_is_being_written_is_waited_for() {
    let made = Made::new("live");
    let whole = made.read(2);
    fs::write(made.path(2), [whole.as_slice(), &vec![b'x'; 40 << 20]].concat()).unwrap();
    assert_eq!(made.fault(), Some((2, 6, Fault::Garbage)));
    let (most, last) = whole.split_at(whole.len() - 20);
    let live = Against { is_live: true, ..made.against(&[]) };
    // The rest comes a moment later; on a busy machine that may be too late for some.
    let is_waited_for = |_| {
        fs::write(made.path(2), most).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(std::time::Duration::from_millis(200));
                OpenOptions::new().append(true).open(made.path(2)).unwrap().write_all(last).unwrap();
            });
            made.prove_against(&live).fault.is_none()
        })
    };
    assert!((0..30).any(is_waited_for));
    fs::write(made.path(2), most).unwrap();
    assert_eq!(made.prove_against(&live).fault.unwrap().fault, Fault::Unfinished);
}
