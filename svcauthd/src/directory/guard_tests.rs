//! Every attack that is known to kill or freeze the LDAP library, and every message that it must get.

use super::super::shape::Phase;
use super::{Guard, GuardError, MAX_PDU};
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        short @ 0..=0x7f => out.push(short as u8),
        long => {
            out.push(0x84);
            out.extend((long as u32).to_be_bytes());
        }
    }
    out.extend(content);
    out
}

fn message(id: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &[vec![tlv(2, &[id])], parts.to_vec()].concat().concat())
}

fn result_body(code: u8) -> Vec<u8> {
    [tlv(0x0a, &[code]), tlv(4, b""), tlv(4, b"")].concat()
}

fn entry(values: &[&[u8]]) -> Vec<u8> {
    let values: Vec<u8> = values.iter().flat_map(|value| tlv(4, value)).collect();
    let attribute = tlv(0x30, &[tlv(4, b"sshPublicKey"), tlv(0x31, &values)].concat());
    tlv(0x64, &[tlv(4, b"uid=x,dc=y"), tlv(0x30, &attribute)].concat())
}

fn paging(value: &[u8]) -> Vec<u8> {
    let control = [tlv(4, b"1.2.840.113556.1.4.319"), tlv(4, value)].concat();
    tlv(0xa0, &tlv(0x30, &control))
}

/// Everything that an honest server sends from a bind to the end of a paged search.
fn honest() -> Vec<u8> {
    let cookie = tlv(0x30, &[tlv(2, &[0]), tlv(4, b"cookie")].concat());
    [
        message(1, &[tlv(0x61, &result_body(0))]),
        message(2, &[entry(&[b"", b"\xff\xfe not UTF-8", &[b'k'; 300]])]),
        message(2, &[tlv(0x64, &[tlv(4, b"uid=none"), tlv(0x30, b"")].concat())]),
        message(2, &[tlv(0x65, &result_body(0)), paging(&cookie)]),
        message(3, &[entry(&[&vec![b'm'; 70_000]])]),
        message(3, &[tlv(0x65, &[result_body(10), tlv(0xa3, &tlv(4, b"ldap://x"))].concat())]),
    ]
    .concat()
}

fn verdict(bytes: &[u8]) -> Result<Vec<u8>, GuardError> {
    Guard::new(Phase::Search).pass(bytes)
}

#[test]
fn an_honest_conversation_passes_byte_for_byte() {
    assert_eq!(Guard::new(Phase::Bind).pass(&honest()), Ok(honest()));
}

proptest! {
    #[test]
    fn an_honest_conversation_passes_whatever_the_chunks(sizes in proptest::collection::vec(1usize..5000, 1..40)) {
        let honest = honest();
        let mut guard = Guard::new(Phase::Bind);
        let (mut rest, mut out) = (honest.as_slice(), Vec::new());
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, tail) = rest.split_at((*size).min(rest.len()));
            out.extend(guard.pass(chunk).unwrap());
            rest = tail;
        }
        prop_assert_eq!(out, honest);
    }

    #[test]
    fn no_bytes_break_the_guard(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in any::<usize>(), byte in any::<u8>()) {
        let _ = verdict(&bytes);
        let _ = verdict(&message(1, &[bytes]));
        let mut bent = honest();
        let at = at % bent.len();
        bent[at] = byte;
        // Whatever passes is still made of whole messages that the guard itself takes again.
        if let Ok(passed) = Guard::new(Phase::Bind).pass(&bent) {
            prop_assert!(passed.len() <= bent.len());
            prop_assert_eq!(Guard::new(Phase::Bind).pass(&passed), Ok(passed.clone()));
        }
    }
}

#[test]
fn one_byte_at_a_time_is_enough() {
    let honest = honest();
    let mut guard = Guard::new(Phase::Bind);
    let out: Vec<u8> = honest.iter().flat_map(|byte| guard.pass(&[*byte]).unwrap()).collect();
    assert_eq!(out, honest);
}

#[test]
fn nesting_is_refused_without_recursion() {
    for (depth, error) in [
        (10, GuardError::Shape("it answers nothing that was asked")),
        (1000, GuardError::TooDeep),
        (50_000, GuardError::TooDeep),
        (500_000, GuardError::TooDeep),
    ] {
        let mut nest = Vec::new();
        // From the inside out, written backwards, so that half a million levels do not take quadratic time.
        for _ in 0..depth {
            let length = (nest.len() as u32).to_le_bytes();
            nest.extend(length);
            nest.extend([0x84, 0x30]);
        }
        nest.reverse();
        assert_eq!(verdict(&message(1, &[nest])), Err(error), "{depth}");
    }
}

#[test]
fn an_announced_length_is_judged_before_anything_is_buffered() {
    for (bytes, error) in [
        (vec![0x30, 0x86, 1, 0, 0, 0, 0, 0], GuardError::TooLong(1 << 40)),
        (
            vec![0x30, 0x88, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            GuardError::TooLong(i64::MAX as u64),
        ),
        (vec![0x30, 0x84, 0x80, 0, 0, 0], GuardError::TooLong((1 << 31) + 6)),
        (vec![0x30, 0x84, 0x7f, 0xff, 0xff, 0xff], GuardError::TooLong((1 << 31) + 5)),
        (vec![0x30, 0x84, 1, 0, 0, 0], GuardError::TooLong(MAX_PDU as u64 + 6)),
    ] {
        let mut guard = Guard::new(Phase::Search);
        assert_eq!(guard.pass(&bytes), Err(error), "{bytes:x?}");
        assert!(guard.buffer.capacity() < 64);
    }
    let mut guard = Guard::new(Phase::Search);
    assert_eq!(
        guard.pass(&[0x30, 0x84, 0, 0xff, 0xff, 0xf0]),
        Ok(Vec::new()),
        "16 MiB less a little is waited for"
    );
}

#[test]
fn a_stream_inside_one_message_stays_within_the_limit() {
    let mut guard = Guard::new(Phase::Search);
    assert_eq!(guard.pass(&[0x30, 0x83, 0xff, 0xff, 0xfa]), Ok(Vec::new()));
    let chunk = vec![0u8; 64 << 10];
    let error = (0..10_000).find_map(|_| guard.pass(&chunk).err());
    assert!(error.is_some());
    assert!(guard.buffer.capacity() <= 2 * MAX_PDU + chunk.len());
}

#[test]
fn many_tiny_elements_cannot_blow_up_the_library() {
    let values = [4u8, 0].repeat(600_000);
    let attribute = tlv(0x30, &[tlv(4, b"a"), tlv(0x31, &values)].concat());
    let entry = tlv(0x64, &[tlv(4, b"x"), tlv(0x30, &attribute)].concat());
    assert_eq!(verdict(&message(1, &[entry])), Err(GuardError::TooManyElements));
}

/// Bytes, and what the guard says to them.
const ENCODINGS: &[(&[u8], GuardError)] = &[
    (&[0x30, 0], GuardError::Shape("an element is missing")),
    (&[0x30, 3, 2, 1, 1], GuardError::Shape("an element is missing")),
    (&[0x30, 0x80, 2, 1, 1, 0, 0], GuardError::Encoding),
    (&[0x30, 5, 2, 1, 1, 0x64, 0x80], GuardError::Encoding),
    (&[0x30, 0x85, 0, 0, 0, 0, 5], GuardError::Encoding),
    (&[0x30, 5, 2, 1, 1, 0x7f, 0], GuardError::Encoding),
    (&[0x30, 5, 2, 1, 1, 0x64, 9], GuardError::Overrun),
    (&[0x30, 1, 2], GuardError::Overrun),
    (&[0x3f, 0x81, 1, 0], GuardError::Shape("it does not begin with a SEQUENCE")),
    (b"HTTP/1.1 400", GuardError::Shape("it does not begin with a SEQUENCE")),
    (&[0x30, 5, 4, 1, 1, 0x64, 0], GuardError::Shape("it has no message id")),
    (&[0x30, 9, 2, 5, 1, 1, 1, 1, 1, 0x64, 0], GuardError::Shape("its message id is out of range")),
    (&[0x30, 4, 2, 0, 0x64, 0], GuardError::Shape("its message id is out of range")),
];

#[test]
fn what_is_no_ldap_encoding_is_refused() {
    for (bytes, error) in ENCODINGS {
        assert_eq!(verdict(bytes).as_ref(), Err(error), "{bytes:x?}");
    }
}

fn refused(parts: &[Vec<u8>], why: &'static str) {
    assert_eq!(verdict(&message(1, parts)), Err(GuardError::Shape(why)));
}

#[test]
fn what_is_no_answer_is_refused_and_says_why() {
    refused(&[tlv(0x61, &result_body(0))], "it answers nothing that was asked");
    refused(&[tlv(0x79, b"")], "it answers nothing that was asked");
    refused(&[tlv(0x78, &result_body(0))], "it is an extended response that was not asked for");
    refused(&[tlv(0x65, b"")], "an element is missing");
    let bad_text = [tlv(0x0a, &[0]), tlv(4, b"\xff"), tlv(4, b"")].concat();
    refused(&[tlv(0x65, &bad_text)], "a text is not UTF-8");
    let unknown = [result_body(0), tlv(0x83, b"")].concat();
    refused(&[tlv(0x65, &unknown)], "a result has an unknown element");
    let no_referral = [result_body(0), tlv(0xa3, b"")].concat();
    refused(&[tlv(0x65, &no_referral)], "an element is missing");
    let bad_name = [tlv(4, b"\xff"), tlv(0x30, b"")].concat();
    refused(&[tlv(0x64, &bad_name)], "a text is not UTF-8");
    let done = tlv(0x65, &result_body(0));
    refused(&[done.clone(), paging(b"")], "an element is missing");
    refused(&[done.clone(), tlv(0xa0, &tlv(0x30, b""))], "an element is missing");
    refused(&[done, tlv(4, b"")], "an element follows the controls");
}

#[test]
fn a_notification_ends_the_connection_even_as_active_directory_writes_it() {
    let notice = tlv(0x78, &result_body(52));
    assert_eq!(verdict(&message(0, std::slice::from_ref(&notice))), Err(GuardError::Notice(52)));
    assert_eq!(verdict(&message(0, &[notice, tlv(0x8a, b"1.3.6")])), Err(GuardError::Notice(52)));
    let other = GuardError::Shape("its message id is 0, but it is no notification");
    assert_eq!(verdict(&message(0, &[tlv(0x65, &result_body(0))])), Err(other));
}

#[test]
fn nothing_of_a_read_is_handed_on_when_one_of_its_messages_is_bad() {
    let bytes = [message(1, &[entry(&[b"good"])]), vec![0x30, 0]].concat();
    assert!(verdict(&bytes).is_err());
    assert!(verdict(&message(1, &[entry(&[b"good"])])).is_ok());
}

#[test]
fn a_page_that_failed_is_not_hidden_behind_the_next_one() {
    let end = |code: u8, cookie: &[u8]| {
        let value = tlv(0x30, &[tlv(2, &[0]), tlv(4, cookie)].concat());
        verdict(&message(2, &[tlv(0x65, &result_body(code)), paging(&value)]))
    };
    assert!(end(0, b"more").is_ok());
    for code in [3, 4, 10, 11, 51] {
        // Without a cookie it is the last result, which the reader of the list judges.
        assert!(end(code, b"").is_ok());
        assert_eq!(end(code, b"more"), Err(GuardError::Page(code.into())));
    }
}

#[test]
fn a_referral_ends_the_connection_because_it_is_not_followed() {
    let reference = message(1, &[tlv(0x73, &tlv(4, b"ldap://else\x1bwhere"))]);
    let error = verdict(&reference).unwrap_err();
    assert_eq!(error, GuardError::Referral("ldap://else\u{1b}where".to_owned()));
    // Whoever shows it escapes it, once.
    assert!(
        error.to_string().starts_with("refers to ldap://else\u{1b}where for a part of the list"),
        "{error}"
    );
    refused(&[tlv(0x73, b"")], "an element is missing");
}

fn info(value: &[u8]) -> Vec<u8> {
    tlv(0x79, &[tlv(0x80, b"1.3.6.1.4.1.4203.1.9.1.4"), tlv(0x81, value)].concat())
}

fn control(name: &[u8], value: &[u8]) -> Vec<u8> {
    tlv(0xa0, &tlv(0x30, &[tlv(4, name), tlv(4, value)].concat()))
}

/// What a server says that offers content synchronisation.
fn synced() -> Vec<u8> {
    let state = tlv(0x30, &[tlv(10, &[1]), tlv(4, &[7; 16])].concat());
    let done = tlv(0x30, &[tlv(4, b"rid=000"), tlv(1, &[0xff])].concat());
    [
        message(2, &[entry(&[b"key"]), control(b"1.3.6.1.4.1.4203.1.9.1.2", &state)]),
        message(2, &[info(&tlv(0xa3, &tlv(0x31, &tlv(4, &[7; 16]))))]),
        message(2, &[info(&tlv(0x80, b"rid=000"))]),
        message(2, &[tlv(0x65, &result_body(0)), control(b"1.3.6.1.4.1.4203.1.9.1.3", &done)]),
    ]
    .concat()
}

#[test]
fn messages_between_entries_pass_only_where_they_were_asked_for() {
    let mut guard = Guard::new(Phase::Search);
    guard.expect_sync();
    assert_eq!(guard.pass(&synced()), Ok(synced()));
    assert_eq!(guard.entries(), 3, "all but the end have to be taken");
    let unasked = GuardError::Shape("it answers nothing that was asked");
    assert_eq!(verdict(&synced()), Err(unasked.clone()));
    let mut early = Guard::new(Phase::Bind);
    early.expect_sync();
    assert_eq!(early.pass(&synced()), Err(GuardError::Shape("it answers nothing that was asked")));
}

#[test]
fn what_would_make_the_library_panic_over_synchronisation_is_refused() {
    let verdict = |parts: &[Vec<u8>]| Guard::new(Phase::Sync).pass(&message(2, parts));
    let name = tlv(0x80, b"1.3.6.1.4.1.4203.1.9.1.4");
    let cookie = tlv(0x81, &tlv(0x80, b"rid=000"));
    assert!(verdict(&[tlv(0x79, &[name.clone(), cookie.clone()].concat())]).is_ok());
    for bad in [
        tlv(0x79, b""),
        tlv(0x79, &name),
        tlv(0x79, &cookie),
        tlv(0x79, &[tlv(0x80, b"1.3.6.1.4.1.4203.1.9.1.5"), cookie.clone()].concat()),
        tlv(0x79, &[tlv(0x80, b"\xff"), cookie.clone()].concat()),
        tlv(0x79, &[name.clone(), cookie.clone(), tlv(4, b"")].concat()),
        tlv(0x79, &[name.clone(), tlv(0x81, b"")].concat()),
        info(&tlv(0xa1, &tlv(1, b""))),
        info(&tlv(0xa3, b"")),
        info(&tlv(0x30, b"")),
    ] {
        assert!(matches!(verdict(std::slice::from_ref(&bad)), Err(GuardError::Shape(_))), "{bad:x?}");
    }
    let done = tlv(0x65, &result_body(0));
    for (name, value) in [
        (&b"1.3.6.1.4.1.4203.1.9.1.2"[..], &b""[..]),
        (b"1.3.6.1.4.1.4203.1.9.1.2", b"\x30\x03\x0a\x01\x09"),
        (b"1.3.6.1.4.1.4203.1.9.1.3", b"\x30\x02\x01\x00"),
        (b"1.3.6.1.4.1.4203.1.9.1.3", b"\x30\x02\x30\x00"),
    ] {
        assert!(verdict(&[done.clone(), control(name, value)]).is_err(), "{value:x?}");
    }
    let without = tlv(0xa0, &tlv(0x30, &tlv(4, b"1.3.6.1.4.1.4203.1.9.1.3")));
    assert_eq!(verdict(&[done, without]), Err(GuardError::Shape("a control has no value")));
}

#[test]
fn the_limit_of_one_fetch_begins_anew_with_the_next_on_the_same_connection() {
    let mut guard = Guard::new(Phase::Sync);
    guard.total = super::MAX_TOTAL;
    guard.renew();
    assert_eq!(guard.pass(&synced()), Ok(synced()));
    guard.total = super::MAX_TOTAL;
    assert_eq!(guard.pass(&synced()), Err(GuardError::TooMuch));
}

#[test]
fn the_answer_to_starttls_passes_and_one_with_an_element_behind_it_does_not() {
    let answer = tlv(0x78, &result_body(0));
    let good = message(1, std::slice::from_ref(&answer));
    assert_eq!(Guard::new(Phase::StartTls).pass(&good), Ok(good));
    // Found by the fuzz target ber_guard.
    let bad = message(1, &[answer, tlv(4, b"uid")]);
    assert!(matches!(Guard::new(Phase::StartTls).pass(&bad), Err(GuardError::Shape(_))));
}
