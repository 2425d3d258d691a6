//! Any bytes from a directory server, in any chunks: what passes the guard came in, is whole, is shallow, and does not
//! make the LDAP library panic. That a message without end is cut off is shown by the guard's own tests: it takes 16 MiB.
#![no_main]

use ldap3::asn1::{PL, StructureTag, Tag, TagClass, Types, parse_tag, parse_uint};
use ldap3::controls::{PagedResults, RawControl, SyncDone, SyncState, parse_syncinfo};
use ldap3::{LdapResult, ResultEntry, SearchEntry, parse_refs};
use libfuzzer_sys::fuzz_target;
use svcauth_fuzz::pieces::Pieces;
use svcauthd::directory::guard::{Guard, GuardError, MAX_DEPTH, whole_message};
use svcauthd::directory::shape::{Phase, bind_answer};

fuzz_target!(|bytes: &[u8]| {
    let mut pieces = Pieces(bytes);
    let phases = [Phase::StartTls, Phase::Bind, Phase::Search, Phase::Sync];
    let phase = phases[usize::from(pieces.byte() % 4)];
    let size = usize::from(pieces.byte());
    let wire = pieces.0;
    let mut guard = Guard::new(phase);
    let (passed, chunked) = feed(&mut guard, wire, size);
    assert!(wire.starts_with(&passed), "the guard made bytes up");
    match Guard::new(phase).pass(wire) {
        Ok(at_once) => assert!(chunked.is_none() && at_once == passed, "chunks change the verdict"),
        Err(error) => assert_eq!(chunked, Some(error)),
    }
    messages(&passed);
    bind(wire);
});

/// An answer to a bind is read before there is a library; what it is said to hold is there.
fn bind(wire: &[u8]) {
    let Ok(answer) = bind_answer(wire) else { return };
    assert!(whole_message(wire).is_ok_and(|message| message == Some(wire)));
    if let Some(token) = answer.token.filter(|token| !token.is_empty()) {
        assert!(wire.windows(token.len()).any(|bytes| bytes == token));
    }
}

/// Feeds the bytes in chunks; gives what passed, and the error that ended it.
fn feed(guard: &mut Guard, wire: &[u8], size: usize) -> (Vec<u8>, Option<GuardError>) {
    let mut passed = Vec::new();
    for chunk in wire.chunks(size.max(1)) {
        match guard.pass(chunk) {
            Ok(good) => passed.extend(good),
            Err(error) => return (passed, Some(error)),
        }
    }
    (passed, None)
}

/// Takes the messages as the library would.
fn messages(mut passed: &[u8]) {
    while !passed.is_empty() {
        let (rest, message) = parse_tag(passed).expect("what passes is whole");
        assert!(depth(&message) <= MAX_DEPTH);
        let mut parts = children(message);
        let has_controls = parts.last().is_some_and(|last| last.class == TagClass::Context && last.id == 0);
        if let Some(controls) = has_controls.then(|| parts.pop()).flatten() {
            children(controls).into_iter().for_each(control);
        }
        let operation = parts.remove(1);
        let id = parts.remove(0);
        assert!(parts.is_empty() && id.id == Types::Integer as u64);
        parse_uint(&bytes(id)).unwrap();
        answer(operation);
        passed = rest;
    }
}

/// The conversions of the library, each of which panics on what it does not expect.
fn answer(operation: StructureTag) {
    match operation.id {
        4 => drop(SearchEntry::construct(ResultEntry::new(operation))),
        19 => drop(parse_refs(operation)),
        25 => drop(parse_syncinfo(ResultEntry::new(operation))),
        1 | 5 | 24 => drop(LdapResult::from(Tag::StructureTag(operation))),
        other => panic!("operation {other} passed"),
    }
}

fn control(control: StructureTag) {
    let mut parts = children(control).into_iter();
    let ctype = String::from_utf8(bytes(parts.next().expect("a type"))).expect("an OID");
    let value = parts.next_back().filter(|last| last.id == Types::OctetString as u64).map(bytes);
    let raw = RawControl { ctype, crit: false, val: value };
    match raw.ctype.as_str() {
        "1.2.840.113556.1.4.319" => assert!(raw.parse::<PagedResults>().size >= 0),
        "1.3.6.1.4.1.4203.1.9.1.2" => assert_eq!(raw.parse::<SyncState>().entry_uuid.len(), 16),
        "1.3.6.1.4.1.4203.1.9.1.3" => drop(raw.parse::<SyncDone>()),
        _ => {}
    }
}

fn children(tag: StructureTag) -> Vec<StructureTag> {
    tag.expect_constructed().expect("a constructed element")
}

fn bytes(tag: StructureTag) -> Vec<u8> {
    tag.expect_primitive().expect("a primitive element")
}

fn depth(tag: &StructureTag) -> usize {
    match &tag.payload {
        PL::P(_) => 1,
        PL::C(parts) => 1 + parts.iter().map(depth).max().unwrap_or(0),
    }
}
