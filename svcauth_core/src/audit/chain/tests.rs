//! Whatever is done to a file of sealed lines is found, at the line where it was done.

use super::{Anchor, Fault, Head, LineHash, SEALED_MAX, Sealed, Walk};
use crate::audit::{Event, Record};
use std::borrow::ToOwned as _;
use std::format;
use std::string::{String, ToString as _};
use std::vec;
use std::vec::Vec;

/// A file of so many lines behind what was before, as the daemon writes it.
fn file(at: &mut Anchor, lines: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let begin = Record { event: Event::FileBegin, ..Record::default() };
    assert!(at.begin(begin.to_json().as_bytes(), &mut bytes));
    for number in 1..lines {
        let record = Record { account: Some(format!("a{number}")), pid: Some(7), ..Record::default() };
        assert!(at.seal(record.to_json().as_bytes(), &mut bytes));
    }
    bytes
}

fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n').collect()
}

/// The first fault of a row of files: the file, the line from 1, and what it is. As `svcauth log verify` does it.
fn verify(files: &[&[u8]], head: Option<Anchor>) -> Option<(usize, usize, Fault)> {
    let mut walk = Walk::new();
    let mut end = (0, 1);
    for (index, bytes) in files.iter().enumerate() {
        walk.begin_file();
        end = (index, 1);
        for (number, line) in lines(bytes).into_iter().enumerate() {
            let Some(whole) = line.strip_suffix(b"\n") else {
                return Some((index, number + 1, Fault::Unfinished));
            };
            if let Err(broken) = walk.step(whole) {
                let later = |seq| {
                    let rest = files[index..].iter().flat_map(|bytes| lines(bytes));
                    rest.skip(number + 1).any(|line| {
                        Sealed::parse(line.trim_ascii_end()).is_some_and(|sealed| sealed.seq == seq)
                    })
                };
                return Some((index, number + 1, Fault::of(broken, &walk, later)));
            }
            end = (index, number + 2);
        }
    }
    let last = walk.last().map_or(0, |last| last.seq);
    let head = head.filter(|head| head.seq > last)?;
    Some((end.0, end.1, Fault::Cut { from: last + 1, to: head.seq }))
}

#[test]
fn what_was_sealed_is_whole_alone_and_in_a_row() {
    let mut at = Anchor::default();
    let files = [file(&mut at, 5), file(&mut at, 1), file(&mut at, 9)];
    let row: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    assert_eq!((at.seq, verify(&row, Some(at))), (15, None));
    for alone in &row {
        assert_eq!(verify(&[alone], None), None);
    }
    let text = String::from_utf8(files[0].clone()).unwrap();
    let zeros = "0".repeat(64);
    assert!(
        text.starts_with(&format!("{{\"seq\":1,\"prev\":\"{zeros}\",\"event\":\"file_begin\",\"hash\":\""))
    );
    let second = text.lines().nth(1).unwrap();
    assert!(second.starts_with("{\"seq\":2,\"event\":\"decision\",\"account\":\"a1\",\"pid\":7,\"hash\":\""));
    // As anybody can compute it: sha256sum of the raw previous hash and the body.
    let hash = |line: &str| line.rsplit_once("\"hash\":\"").unwrap().1.trim_end_matches("\"}").to_owned();
    let body = second.rsplit_once(",\"hash\":").unwrap().0;
    let previous = LineHash::from_hex(hash(text.lines().next().unwrap()).as_bytes()).unwrap();
    assert_eq!(LineHash::of(previous, &[body.as_bytes()]).to_string(), hash(second));
}

/// Two files, so that what happens at their seam is covered as well.
fn pair() -> (Anchor, Vec<u8>, Vec<u8>) {
    let mut at = Anchor::default();
    let first = file(&mut at, 6);
    let second = file(&mut at, 5);
    (at, first, second)
}

#[test]
fn any_byte_that_is_changed_is_found_at_its_line() {
    let (head, first, second) = pair();
    for index in 0..2 {
        let whole = [&first, &second][index];
        for at in 0..whole.len() {
            for value in [1, 0x20, 0x80, 0xff].map(|mask| whole[at] ^ mask).into_iter().chain(*b"\n0\"}9") {
                if value == whole[at] {
                    continue;
                }
                let mut bad = whole.clone();
                bad[at] = value;
                let row = if index == 0 { [&bad, &second] } else { [&first, &bad] }.map(Vec::as_slice);
                let line = whole[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
                let found = verify(&row, Some(head));
                let (file, number, fault) = found.unwrap_or_else(|| panic!("{index}:{at} {value} unseen"));
                assert_eq!((file, number), (index, line), "byte {at} is {value}: {fault:?}");
                let is_named = matches!(fault, Fault::Edited | Fault::Garbage | Fault::Unfinished);
                assert!(is_named || is_a_number(whole, at), "byte {at} is {value}: {fault:?}");
            }
        }
    }
}

/// Whether the byte belongs to the hash in `prev`, of which nobody can say which of the two files lies.
fn is_a_number(whole: &[u8], at: usize) -> bool {
    at < whole.windows(8).position(|part| part == b",\"event\"").unwrap()
}

#[test]
fn any_line_that_is_removed_doubled_or_swapped_is_found_there_and_called_so() {
    let (head, first, second) = pair();
    let row = |bad: &[Vec<u8>; 2]| verify(&[&bad[0], &bad[1]], Some(head));
    let all = [first, second];
    let counts = [6, 5];
    for (index, count) in counts.into_iter().enumerate() {
        let whole: Vec<Vec<u8>> = lines(&all[index]).into_iter().map(<[u8]>::to_vec).collect();
        let with = |changed: &[Vec<u8>]| {
            let mut row = all.clone();
            row[index] = changed.concat();
            row
        };
        for at in 0..count {
            let mut removed = whole.clone();
            removed.remove(at);
            let seq = (index * 6 + at + 1) as u64;
            let fault = match (index, at) {
                (1, 4) => (1, 5, Fault::Cut { from: seq, to: seq }),
                // The last line of a file: the gap is seen at the beginning of the next.
                (0, 5) => (1, 1, Fault::Removed { from: seq, to: seq }),
                _ => (index, at + 1, Fault::Removed { from: seq, to: seq }),
            };
            assert_eq!(row(&with(&removed)), Some(fault), "without {index}:{at}");
            let mut doubled = whole.clone();
            doubled.insert(at, whole[at].clone());
            assert_eq!(row(&with(&doubled)), Some((index, at + 2, Fault::Doubled { seq })));
            for other in at + 1..count {
                let mut swapped = whole.clone();
                swapped.swap(at, other);
                let (file, line, fault) = row(&with(&swapped)).unwrap();
                // What the first line of the first file was, nothing says any more.
                let is_named =
                    matches!(fault, Fault::Reordered { expected, .. } if expected == seq || seq == 1);
                assert!((file, line) == (index, at + 1) && is_named, "{at} with {other}: {fault:?}");
            }
        }
    }
}

#[test]
fn a_file_cut_at_any_byte_is_found_where_it_ends() {
    let (head, first, second) = pair();
    for length in 0..second.len() {
        let cut = &second[..length];
        let found = verify(&[&first, cut], Some(head)).unwrap();
        let whole = cut.iter().filter(|byte| **byte == b'\n').count();
        let at_an_end = length == 0 || cut.ends_with(b"\n");
        let fault = if at_an_end { Fault::Cut { from: 7 + whole as u64, to: 11 } } else { Fault::Unfinished };
        assert_eq!(found, (1, whole + 1, fault), "cut to {length}");
    }
}

#[test]
fn a_file_that_was_written_anew_with_sound_hashes_does_not_fit_its_neighbours() {
    let (head, first, second) = pair();
    let mut other = Anchor::default();
    let forged: Vec<u8> = {
        let begin = Record { event: Event::FileBegin, ..Record::default() };
        let mut bytes = Vec::new();
        other.begin(begin.to_json().as_bytes(), &mut bytes);
        for number in 1..6 {
            let record = Record { account: Some(format!("b{number}")), ..Record::default() };
            other.seal(record.to_json().as_bytes(), &mut bytes);
        }
        bytes
    };
    assert_eq!(verify(&[&forged], None), None, "it is sound alone");
    assert_eq!(verify(&[&forged, &second], Some(head)), Some((1, 1, Fault::Fork)));
    assert_eq!(verify(&[&first, &forged], Some(head)), Some((1, 1, Fault::Doubled { seq: 1 })));
    // Lines of elsewhere, as they are.
    let line = lines(&forged)[2].to_vec();
    let with_foreign = [lines(&first)[..2].concat(), line, lines(&first)[3..].concat()].concat();
    assert_eq!(verify(&[&with_foreign, &second], Some(head)), Some((0, 3, Fault::Edited)));
}

#[test]
fn a_gap_between_two_files_and_files_in_the_wrong_order_are_found() {
    let mut at = Anchor::default();
    let files = [file(&mut at, 3), file(&mut at, 3), file(&mut at, 3)];
    let [one, two, three] = &files;
    assert_eq!(verify(&[one, three], Some(at)), Some((1, 1, Fault::Removed { from: 4, to: 6 })));
    assert_eq!(verify(&[two, one, three], Some(at)), Some((1, 1, Fault::Garbage)));
    assert_eq!(verify(&[one, three, two], Some(at)).map(|found| found.0), Some(1));
    assert_eq!(
        verify(&[two, three], Some(at)),
        None,
        "the oldest may be gone; the head says whether it should"
    );
}

#[test]
fn what_is_no_record_is_not_sealed_and_what_is_too_long_is_not_read() {
    let (mut at, mut to) = (Anchor::default(), Vec::new());
    for bad in ["", "{}", "{", "[1]", "{\"a\":1", "{\"a\":\n1}"] {
        assert!(!at.seal(bad.as_bytes(), &mut to), "{bad:?}");
    }
    assert_eq!((at.seq, to.len()), (0, 0));
    let mut last = Anchor { seq: u64::MAX, hash: LineHash::NONE };
    assert!(!last.seal(b"{\"a\":1}", &mut to));
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(SEALED_MAX));
    assert!(at.seal(long.as_bytes(), &mut to));
    assert_eq!(Sealed::parse(to.trim_ascii_end()), None);
}

#[test]
fn anchors_and_heads_have_one_text_each() {
    let (at, _, _) = pair();
    assert_eq!(at.to_string().parse(), Ok(at));
    let head = Head { last: at, first: 3 };
    assert_eq!(head.to_string(), format!("last {at}\nfirst 3\n"));
    assert_eq!(head.to_string().parse(), Ok(head));
    let (mut again, mut line) = (Anchor::default(), Vec::new());
    let json = br#"{"event":"alarm","detail":"\",\"hash\":\""}"#;
    assert!(again.seal(json, &mut line));
    assert_eq!(Sealed::parse(line.trim_ascii_end()).unwrap().record(), json);
    let text = at.to_string();
    let upper = text.to_uppercase();
    let bad: Vec<&str> =
        vec!["", "11", "11:", ":", text.trim_start_matches("1"), &upper, "+1:00", &text[..60]];
    for bad in bad {
        assert!(bad.parse::<Anchor>().is_err(), "{bad:?}");
    }
    for bad in
        ["", "last 1\n", "first 1\n", &format!("last {at}\nfirst 3"), &format!("last {at}\nfirst 03\n")]
    {
        assert!(bad.parse::<Head>().is_err(), "{bad:?}");
    }
}
