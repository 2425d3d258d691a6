//! Values as slapd 2.5 sends them, and everything that is none.

use super::{Info, State, Stated, done, info, is_usable, state, text};
use proptest::prelude::{any, proptest};

const ID: [u8; 16] =
    [0x21, 0x92, 0x79, 0xc0, 0x7a, 0x83, 0x10, 0x41, 0x8d, 0xe6, 0xdb, 0x57, 0x8f, 0xa8, 0x96, 0x3b];
const CSN: &str = "rid=000,csn=20261122054138.400038Z#000000#000#000000";

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag, 0x84];
    out.extend((content.len() as u32).to_be_bytes());
    out.extend(content);
    out
}

fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

#[test]
fn what_slapd_sends_is_read() {
    let cookie = tlv(4, CSN.as_bytes());
    let stated =
        |state, cookie: Option<&str>| Stated { state, id: ID, cookie: cookie.map(|c| c.as_bytes().to_vec()) };
    let add = sequence(&[tlv(10, &[1]), tlv(4, &ID)]);
    assert_eq!(state(&add), Ok(stated(State::Add, None)));
    let delete = sequence(&[tlv(10, &[3]), tlv(4, &ID), cookie.clone()]);
    assert_eq!(state(&delete), Ok(stated(State::Delete, Some(CSN))));
    let deletes = |cookie: Option<&str>| Info::DeletesEnd { last: true, cookie: cookie.map(Into::into) };
    assert_eq!(done(&sequence(&[cookie.clone(), tlv(1, &[0xff])])), Ok(deletes(Some(CSN))));
    assert_eq!(done(&sequence(&[tlv(1, &[0xff])])), Ok(deletes(None)));
    let present = Info::PresentEnd { last: true, cookie: Some(CSN.into()) };
    assert_eq!(done(&sequence(std::slice::from_ref(&cookie))), Ok(present));
    assert_eq!(info(&tlv(0x80, CSN.as_bytes())), Ok(Info::Cookie(CSN.into())));
    assert_eq!(info(&[0xa1, 0]), Ok(Info::DeletesEnd { last: true, cookie: None }));
    let more = [cookie, tlv(1, &[0])].concat();
    assert_eq!(info(&tlv(0xa2, &more)), Ok(Info::PresentEnd { last: false, cookie: Some(CSN.into()) }));
    let set = tlv(0x31, &[tlv(4, &ID), tlv(4, &ID)].concat());
    assert_eq!(info(&tlv(0xa3, &set)), Ok(Info::Present { ids: vec![ID, ID], cookie: None }));
    let gone = [tlv(1, &[1]), set].concat();
    assert_eq!(info(&tlv(0xa3, &gone)), Ok(Info::Gone { ids: vec![ID, ID], cookie: None }));
}

#[test]
fn every_element_that_is_missing_too_many_or_of_another_sort_is_refused() {
    let id = tlv(4, &ID);
    for bad in [
        vec![],
        vec![0x30, 0],
        vec![0x30, 5],
        sequence(&[tlv(10, &[4]), id.clone()]),
        sequence(&[tlv(10, &[]), id.clone()]),
        sequence(&[tlv(10, &[1])]),
        sequence(&[tlv(10, &[1]), tlv(4, &ID[..15])]),
        sequence(&[tlv(10, &[1]), tlv(0x24, &ID)]),
        sequence(&[tlv(10, &[1]), id.clone(), tlv(4, &[b'x'; 4097])]),
        sequence(&[tlv(10, &[1]), id.clone(), tlv(4, b""), tlv(4, b"")]),
        [sequence(&[tlv(10, &[1]), id.clone()]), vec![0]].concat(),
        tlv(0x31, &[tlv(10, &[1]), id.clone()].concat()),
    ] {
        assert!(state(&bad).is_err(), "{bad:x?}");
    }
    for bad in [vec![], sequence(&[tlv(1, &[])]), sequence(&[tlv(1, &[0, 0])]), sequence(&[tlv(10, &[1])])] {
        assert!(done(&bad).is_err(), "{bad:x?}");
    }
    for bad in [
        vec![],
        tlv(0x80, &[b'x'; 4097]),
        tlv(0xa0, b""),
        tlv(0xa4, b""),
        tlv(0x30, b""),
        tlv(0xa1, &tlv(1, &[])),
        tlv(0xa1, &tlv(0x31, b"")),
        tlv(0xa3, b""),
        tlv(0xa3, &tlv(0x31, &tlv(4, b"short"))),
        tlv(0xa3, &tlv(0x31, &tlv(0x30, &ID))),
        tlv(0xa3, &[tlv(0x31, &id), tlv(0x31, &id)].concat()),
        [tlv(0x80, b"x"), vec![0]].concat(),
    ] {
        assert!(info(&bad).is_err(), "{bad:x?}");
    }
}

#[test]
fn an_id_is_written_as_the_attribute_has_it() {
    assert_eq!(text(&ID), "219279c0-7a83-1041-8de6-db578fa8963b");
}

#[test]
fn only_a_cookie_that_says_how_far_it_goes_can_be_relied_on() {
    let two = "rid=001,sid=002,csn=20261122054138.400038Z#000000#001#000000;20261122054138.400038Z#00000a#002#000000";
    for good in [CSN, two, &CSN[8..]] {
        assert!(is_usable(good.as_bytes()), "{good}");
    }
    let long = format!("{CSN};{}", "x".repeat(4096));
    for bad in [
        "",
        "rid=000",
        "garbage",
        "rid=000,csn=",
        "rid=000,csn=x",
        "rid=000,delcsn=20261122054138.400038Z#000000#000#000000",
        "rid=000,csn=20261122054138.400038Z#000000#000",
        "rid=000,csn=20261122054138.400038Z#000000#000#00000g",
        "rid=000,csn=20261122054138.400038Z#000000#000#000000;",
        "host.example.com:389#cn=directory manager:dc=x:(uid=*)#17",
        &long,
    ] {
        assert!(!is_usable(bad.as_bytes()), "{bad}");
    }
    assert!(!is_usable(b"\xffcsn="));
}

proptest! {
    #[test]
    fn no_bytes_break_the_parsers(bytes in proptest::collection::vec(any::<u8>(), 0..100), tag in 0x9eu8..0xa5) {
        let _ = (state(&bytes), done(&bytes), info(&bytes), is_usable(&bytes), info(&tlv(tag, &bytes)));
        let _ = (state(&tlv(0x30, &bytes)), done(&tlv(0x30, &bytes)));
    }
}
