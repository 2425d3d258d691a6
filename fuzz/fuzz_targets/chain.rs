//! Any bytes as a row of audit files: nothing is believed that was not sealed, what was sealed is read back as it was, and
//! whatever is changed about a sealed row is found no later than where it was changed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use svcauth_core::audit::chain::{Anchor, Fault, Head, SEALED_MAX, Sealed, Walk};
use svcauth_core::audit::{Event, Record};
use svcauth_fuzz::pieces::Pieces;

fuzz_target!(|bytes: &[u8]| {
    foreign(bytes);
    let mut pieces = Pieces(bytes);
    let (whole, at) = sealed(&mut pieces);
    assert_eq!(first_fault(&whole), None);
    let mut bad = whole.clone();
    let place = pieces.u32() as usize % bad.len();
    bad[place] ^= pieces.byte() | 1;
    let line = whole[..place].iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(first_fault(&bad).map(|(found, _)| found), Some(line));
    let kept = &whole[..pieces.u32() as usize % whole.len()];
    let last = walked(kept).last().map_or(0, |last| last.seq);
    assert!(last < at.seq, "the head tells that the end is missing");
});

/// Bytes of anybody.
fn foreign(bytes: &[u8]) {
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Some(sealed) = Sealed::parse(line) {
            assert!(line.len() <= SEALED_MAX && sealed.seq > 0);
            // One text for one meaning: what was read is what would be written.
            let text = sealed.anchor().to_string();
            assert_eq!(text.parse(), Ok(sealed.anchor()));
            let json = sealed.record();
            let (mut before, mut again) =
                (Anchor { seq: sealed.seq - 1, hash: sealed.prev.unwrap_or_default() }, Vec::new());
            let was_sealed = if sealed.prev.is_some() {
                before.begin(&json, &mut again)
            } else {
                before.seal(&json, &mut again)
            };
            if was_sealed {
                let body = again.len() - 1 - 75;
                assert_eq!(again[..body], line[..line.len() - 75]);
            }
        }
    }
    first_fault(bytes);
    let text = String::from_utf8_lossy(bytes);
    if let Ok(head) = text.parse::<Head>() {
        assert_eq!(head.to_string(), text);
    }
}

/// A file of records that hold what the fuzzer wants.
fn sealed(pieces: &mut Pieces<'_>) -> (Vec<u8>, Anchor) {
    let (mut at, mut bytes) = (Anchor::default(), Vec::new());
    assert!(
        at.begin(Record { event: Event::FileBegin, ..Record::default() }.to_json().as_bytes(), &mut bytes)
    );
    for _ in 0..1 + pieces.byte() % 8 {
        let record = Record {
            account: Some(pieces.text().to_owned()),
            detail: Some(pieces.text().to_owned()),
            ..Record::default()
        };
        let json = record.to_json();
        let start = bytes.len();
        assert!(at.seal(json.as_bytes(), &mut bytes));
        let line = bytes[start..].strip_suffix(b"\n").unwrap();
        let sealed = Sealed::parse(line).unwrap();
        assert_eq!((sealed.record(), sealed.anchor()), (json.into_bytes(), at));
    }
    (bytes, at)
}

fn walked(bytes: &[u8]) -> Walk {
    let mut walk = Walk::new();
    walk.begin_file();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let Some(whole) = line.strip_suffix(b"\n") else { break };
        if walk.step(whole).is_err() {
            break;
        }
    }
    walk
}

/// The line, from 0, and what it is.
fn first_fault(bytes: &[u8]) -> Option<(usize, Fault)> {
    let mut walk = Walk::new();
    walk.begin_file();
    for (number, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let Some(whole) = line.strip_suffix(b"\n") else { return Some((number, Fault::Unfinished)) };
        if let Err(broken) = walk.step(whole) {
            let fault = Fault::of(broken, &walk, |_| false);
            assert!(!fault.to_string().is_empty() && !fault.code().is_empty());
            return Some((number, fault));
        }
    }
    None
}
