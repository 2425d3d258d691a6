//! The LDAP ping of Active Directory: asks a controller in which site this host is ([MS-ADTS] 6.3.3).
//!
//! Its answer is one binary value, which comes before the bind: it is read as what a stranger sends.

use super::names;
use crate::directory::shape;

/// Longest answer in bytes: eight names, an address and 32 bytes of numbers.
pub const ANSWER_MAX: usize = 4096;
/// The message id of the ping; that of StartTLS is 1.
const ID: u8 = 2;
/// NETLOGON_NT_VERSION_5 and 5EX: asks for a NETLOGON_SAM_LOGON_RESPONSE_EX.
const VERSION: &[u8] = &[6, 0, 0, 0];
/// LOGON_SAM_LOGON_RESPONSE_EX and LOGON_SAM_USER_UNKNOWN_EX ([MS-ADTS] 6.3.1.3).
const OPCODES: [u16; 2] = [23, 25];
/// Where the names begin: behind opcode, padding, flags and the GUID of the domain.
const NAMES: usize = 24;
/// At its end: `LmNtToken` and `Lm20Token`.
const END: &[u8] = &[0xff; 4];

/// What a controller says of itself and of this host ([MS-ADTS] 6.3.1.9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pong {
    /// The DNS name of the domain, in lower case.
    pub domain: String,
    /// The site of the controller, in lower case; none if the answer has no usable name.
    pub site: Option<String>,
    /// The site of this host, in lower case; none if the controller knows none for its address.
    pub client_site: Option<String>,
}

/// The question, as one LDAP message: a search of the root DSE for the attribute `Netlogon`.
pub(in crate::directory) fn request(domain: &str) -> Vec<u8> {
    let text = |text: &str| element(0x04, text.as_bytes());
    let equal = |name: &str, value: &[u8]| element(0xa3, &[text(name), element(0x04, value)].concat());
    let filter = element(0xa0, &[equal("DnsDomain", domain.as_bytes()), equal("NtVer", VERSION)].concat());
    let number = |tag: u8, number: u8| element(tag, &[number]);
    // Base object, never dereferencing, one entry, no time limit, values and not types alone.
    let head =
        [text(""), number(0x0a, 0), number(0x0a, 0), number(0x02, 1), number(0x02, 0), number(0x01, 0)];
    let search = [head.concat(), filter, element(0x30, &text("Netlogon"))].concat();
    element(0x30, &[number(0x02, ID), element(0x63, &search)].concat())
}

/// One element of BER with a definite length of at most 65,535 bytes.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().min(0xffff);
    let [high, low] = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
    let header: &[u8] = match length {
        0..0x80 => &[tag, low],
        0x80..0x100 => &[tag, 0x81, low],
        _ => &[tag, 0x82, high, low],
    };
    [header, content.get(..length).unwrap_or_default()].concat()
}

/// What an LDAP message that passed the guard means for the ping.
pub(in crate::directory) enum Step {
    /// The entry with the answer, if there is one in it.
    Value(Option<Vec<u8>>),
    /// Nothing more will come.
    Done,
}

/// Reads one message; none if it does not belong to the ping.
pub(in crate::directory) fn step(message: &[u8]) -> Option<Step> {
    let (id, operation, content) = shape::operation(message)?;
    match (id, operation) {
        (id, _) if id != u32::from(ID) => None,
        (_, 0x64) => Some(Step::Value(shape::first_value(content, "netlogon").map(<[u8]>::to_vec))),
        (_, 0x65) => Some(Step::Done),
        _ => None,
    }
}

/// Reads a `NETLOGON_SAM_LOGON_RESPONSE_EX`; none if it is malformed or something else.
#[must_use]
pub fn parse(value: &[u8]) -> Option<Pong> {
    let opcode = u16::from_le_bytes([*value.first()?, *value.get(1)?]);
    if !OPCODES.contains(&opcode) || value.len() > ANSWER_MAX || !value.ends_with(END) {
        return None;
    }
    let mut at = NAMES;
    let mut name = || {
        let (labels, behind) = names::read(value, at)?;
        at = behind;
        Some(labels)
    };
    let (_forest, domain, _host) = (name()?, name()?, name()?);
    let (_netbios_domain, _netbios_name, _user) = (name()?, name()?, name()?);
    let (site, client_site) = (name()?, name()?);
    // NtVersion and the two tokens are behind the names, and perhaps an address and one more site before them.
    value.get(at..at.checked_add(8)?)?;
    Some(Pong { domain: names::host(&domain)?, site: one_label(&site), client_site: one_label(&client_site) })
}

/// A site is named by one label, because it becomes a label of the names that are asked of DNS.
fn one_label(labels: &[&[u8]]) -> Option<String> {
    match labels {
        [label] => names::plain_label(label),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{ANSWER_MAX, Pong, Step, parse, request, step};

    /// What Samba 4.17 sends for the domain example.com, made by hand from [MS-ADTS] 6.3.1.9.
    fn answer(site: &[u8], client_site: &[u8]) -> Vec<u8> {
        let head = [&[23, 0, 0, 0][..], &0x0000_f3fdu32.to_le_bytes(), &[7; 16]].concat();
        let names = [
            &b"\x07example\x03com\0"[..],
            b"\xc0\x18",
            b"\x03dc1\xc0\x18",
            b"\x07EXAMPLE\0",
            b"\x03DC1\0",
            b"\0",
            site,
            client_site,
        ];
        [&head[..], &names.concat(), &[5, 0, 0, 0], &[0xff; 4]].concat()
    }

    fn good() -> Vec<u8> {
        answer(b"\x17Default-First-Site-Name\0", b"\x06Berlin\0")
    }

    #[test]
    fn the_sites_of_controller_and_client_are_read() {
        let pong = Pong {
            domain: "example.com".to_owned(),
            site: Some("default-first-site-name".to_owned()),
            client_site: Some("berlin".to_owned()),
        };
        assert_eq!(parse(&good()), Some(pong));
        // The second name of a site is written as a pointer to the first.
        let place = u8::try_from(answer(b"", b"").len() - 8).unwrap();
        let same = parse(&answer(b"\x06Berlin\0", &[0xc0, place])).unwrap();
        assert_eq!((same.site.as_deref(), same.client_site.as_deref()), (Some("berlin"), Some("berlin")));
    }

    #[test]
    fn a_client_of_no_site_is_told_apart_from_an_answer_that_is_cut() {
        assert_eq!(parse(&answer(b"\x01a\0", b"\0")).unwrap().client_site, None);
        let whole = good();
        for cut in 0..whole.len() {
            assert_eq!(parse(&whole[..cut]), None, "{cut}");
            // Cut, but with the right end.
            let cut = [&whole[..cut.min(whole.len() - 13)], &[0xff; 4]].concat();
            assert_eq!(parse(&cut), None, "{cut:x?}");
        }
    }

    #[test]
    fn a_site_that_could_change_the_name_that_dns_is_asked_for_is_none() {
        for site in
            [&b"\x03a.b\0"[..], b"\x01a\x01b\0", b"\x03a b\0", b"\x02\xc3\xa9\0", b"\x01*\0", b"\x02a\0\0"]
        {
            assert_eq!(parse(&answer(b"\0", site)).unwrap().client_site, None, "{site:x?}");
        }
    }

    #[test]
    fn another_opcode_or_too_long_an_answer_is_none() {
        let mut other = good();
        for opcode in [0, 19, 24] {
            other[0] = opcode;
            assert_eq!(parse(&other), None);
        }
        let long = [&good()[..], &vec![0xff; ANSWER_MAX][..]].concat();
        assert_eq!(parse(&long), None);
    }

    #[test]
    fn the_question_is_a_search_of_the_root_with_domain_and_version() {
        let asked = request("example.com");
        let text = String::from_utf8_lossy(&asked);
        assert!(
            text.contains("DnsDomain\u{4}\u{b}example.com") && text.contains("NtVer\u{4}\u{4}\u{6}\0\0\0")
        );
        assert_eq!((asked[0], usize::from(asked[1])), (0x30, asked.len() - 2));
        let long = request(&["a"; 120].join("."));
        assert_eq!((long[1], usize::from(u16::from_be_bytes([long[2], long[3]]))), (0x82, long.len() - 4));
    }

    #[test]
    fn only_messages_with_the_id_of_the_ping_belong_to_it() {
        let done = |id: u8| [0x30, 12, 2, 1, id, 0x65, 7, 10, 1, 0, 4, 0, 4, 0];
        assert!(matches!(step(&done(2)), Some(Step::Done)));
        assert!(step(&done(3)).is_none());
        let entry = b"\x30\x1b\x02\x01\x02\x64\x16\x04\x00\x30\x12\x30\x10\x04\x08netlogon\x31\x04\x04\x02ab";
        let Some(Step::Value(Some(value))) = step(entry) else { panic!() };
        assert_eq!(value, b"ab");
        let empty = b"\x30\x09\x02\x01\x02\x64\x04\x04\x00\x30\x00";
        assert!(matches!(step(empty), Some(Step::Value(None))));
    }
}
