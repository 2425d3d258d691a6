//! What a server may say: no LDAP at all, or half a list.

use svcauth_tests::evil::ber::{
    control, message, nested, notice, notice_of_ad, outcome, page_end, raw_entry, reference, result, tlv,
};
use svcauth_tests::evil::{Answer, Evil, Flavour, Greeting, Operation, PAGING, Request, Step, Tree};
use svcauth_tests::failure::{Outcome, require_eq};
use svcauth_tests::world::World;

use super::stage::{Row, Stage};

pub(super) const ACCOUNTS: &str = "ou=accounts";
pub(super) const PEOPLE: &str = "ou=people";

/// How an answer departs from the right one.
pub(super) type Lie = fn(&Request, Answer) -> Answer;

/// In the place of the answer to the search of the accounts.
pub(super) fn instead(request: &Request, answer: Answer, bytes: Vec<u8>) -> Answer {
    if request.searches(ACCOUNTS) { vec![Step::Send(bytes)] } else { answer }
}

/// In the middle of the answer to the search of the people, after the first entry.
fn amid(request: &Request, mut answer: Answer, bytes: Vec<u8>) -> Answer {
    if request.searches(PEOPLE) {
        answer.insert(1, Step::Send(bytes));
    }
    answer
}

/// The last message of the search of the people in another way.
pub(super) fn end(request: &Request, mut answer: Answer, bytes: Vec<u8>) -> Answer {
    if request.searches(PEOPLE) {
        answer.pop();
        answer.push(Step::Send(bytes));
    }
    answer
}

pub(super) fn whole(answer: Answer) -> Vec<u8> {
    let sent = |step| if let Step::Send(bytes) = step { bytes } else { Vec::new() };
    answer.into_iter().flat_map(sent).collect()
}

pub(super) const fn row(attack: &'static str, script: Lie, says: &'static str) -> Row {
    Row { attack, script, says }
}

const NO_LDAP: &[Row] = &[
    row(
        "nesting 8,000 deep in place of a bind",
        |request, answer| match request.operation {
            Operation::Bind => vec![Step::Send(nested(8_000))],
            _ => answer,
        },
        "nested deeper than 32 levels",
    ),
    row("nesting 100,000 deep", |r, a| instead(r, a, nested(100_000)), "nested deeper than 32 levels"),
    row(
        "400 MB announced",
        |r, a| instead(r, a, vec![0x30, 0x84, 0x17, 0xd7, 0x84, 0x00, 2, 1]),
        "a message of 400000006 bytes",
    ),
    row(
        "2^64 - 1 bytes announced",
        |r, a| instead(r, a, [&[0x30, 0x88][..], &[0xff; 8]].concat()),
        "a message of 18446744073709551615 bytes",
    ),
    row(
        "a length of nine octets",
        |r, a| instead(r, a, [&[0x30, 0x89][..], &[0; 9]].concat()),
        "an encoding that LDAP does not allow",
    ),
    row(
        "indefinite length",
        |r, a| instead(r, a, vec![0x30, 0x80, 2, 1, 2, 0, 0]),
        "an encoding that LDAP does not allow",
    ),
    row(
        "an element longer than its message",
        |r, a| instead(r, a, vec![0x30, 5, 2, 1, 2, 0x64, 0x7f]),
        "longer than the message around it",
    ),
    row(
        "an inner length that overflows",
        |r, a| instead(r, a, [&[0x30, 0x0d, 2, 1, 2, 0x64, 0x88][..], &[0xff; 8]].concat()),
        "the server sent a",
    ),
    row("an empty sequence", |r, a| instead(r, a, vec![0x30, 0]), "an element is missing"),
    row(
        "a sequence that is too short",
        |r, a| instead(r, a, vec![0x30, 3, 2, 1, 2]),
        "an element is missing",
    ),
    row(
        "an unknown operation",
        |r, a| {
            let bytes = message(r.id, 0x6f, b"", &[]);
            instead(r, a, bytes)
        },
        "answers nothing that was asked",
    ),
    row(
        "no BER",
        |r, a| instead(r, a, b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        "does not begin with a SEQUENCE",
    ),
    row(
        "a diagnostic message that is not UTF-8",
        |r, a| {
            let bytes = message(r.id, 0x65, &outcome(0, b"\xff\xfe"), &[]);
            end(r, a, bytes)
        },
        "a text is not UTF-8",
    ),
    row(
        "a name that is not UTF-8",
        |r, a| {
            let bytes = raw_entry::<&str>(r.id, b"uid=\xff,ou=people", &[]);
            amid(r, a, bytes)
        },
        "a text is not UTF-8",
    ),
    row(
        "an attribute that is not UTF-8",
        |r, a| {
            let bytes = raw_entry(r.id, b"uid=x,ou=people", &[(b"ui\xff", vec![b"x".to_vec()])]);
            amid(r, a, bytes)
        },
        "a text is not UTF-8",
    ),
    row(
        "a control that is not UTF-8",
        |r, a| {
            let bytes = message(r.id, 0x65, &outcome(0, b""), &[tlv(0x30, &tlv(4, b"1.2.\xff"))]);
            end(r, a, bytes)
        },
        "a text is not UTF-8",
    ),
    row(
        "a paging control that is none",
        |r, a| {
            let bytes = message(r.id, 0x65, &outcome(0, b""), &[control(PAGING, Some(b"\x30\x02\x04\x00"))]);
            end(r, a, bytes)
        },
        "the paging control has no size",
    ),
    row(
        "an extended response to a search",
        |r, a| {
            let bytes = result(r.id, 0x78, 12, "no such control");
            instead(r, a, bytes)
        },
        "an extended response that was not asked for",
    ),
    row(
        "a bind response to a search",
        |r, a| {
            let bytes = result(r.id, 0x61, 0, "");
            instead(r, a, bytes)
        },
        "answers nothing that was asked",
    ),
    row(
        "a notice of disconnection",
        |r, a| amid(r, a, notice(52)),
        "is closing the connection (notification with result code 52)",
    ),
    row(
        "a notice of disconnection of Active Directory",
        |r, a| amid(r, a, notice_of_ad(8)),
        "is closing the connection (notification with result code 8)",
    ),
    row(
        "a message with the id 0",
        |r, a| {
            let bytes = result(0, 0x65, 0, "");
            amid(r, a, bytes)
        },
        "its message id is 0",
    ),
    row(
        "a message with a negative id",
        |r, a| amid(r, a, tlv(0x30, &[tlv(2, &[0xff]), tlv(0x65, &outcome(0, b""))].concat())),
        "its message id is out of range",
    ),
    row(
        "a million empty elements",
        |r, a| instead(r, a, tlv(0x30, &[0x05, 0x00].repeat(1 << 20))),
        "more than 524288 elements",
    ),
];

pub(super) fn bytes_that_are_no_ldap_are_refused(world: &mut World) -> Outcome {
    Stage::start(world)?.withstands(NO_LDAP)
}

const NOT_WHOLE: &[Row] = &[
    row(
        "the size limit",
        |r, a| {
            let bytes = page_end(r.id, 4, b"");
            end(r, a, bytes)
        },
        "LDAP result 4 (size limit exceeded",
    ),
    row(
        "the time limit",
        |r, a| {
            let bytes = result(r.id, 0x65, 3, "");
            end(r, a, bytes)
        },
        "LDAP result 3 (time limit exceeded",
    ),
    row(
        "the administrator's limit",
        |r, a| {
            let bytes = result(r.id, 0x65, 11, "\u{1b}[31mlook");
            end(r, a, bytes)
        },
        "LDAP result 11 (administrative limit exceeded: the list is not complete): ",
    ),
    row(
        "a limit in the middle, with a cookie, and a good last page",
        |r, mut a| {
            if r.searches(PEOPLE)
                && r.search().is_some_and(|s| s.page.as_ref().is_some_and(|(_, c)| c.is_empty()))
            {
                a = vec![a.remove(0), Step::Send(page_end(r.id, 11, b"2"))];
            }
            a
        },
        "ended a page with LDAP result 11",
    ),
    row(
        "unwilling to perform",
        |r, a| {
            let bytes = result(r.id, 0x65, 53, "");
            instead(r, a, bytes)
        },
        "LDAP result 53",
    ),
    row(
        "busy",
        |r, a| {
            let bytes = result(r.id, 0x65, 51, "");
            end(r, a, bytes)
        },
        "LDAP result 51 (busy)",
    ),
    row(
        "a result code that nobody knows",
        |r, a| {
            let bytes = result(r.id, 0x65, 123_456, "");
            end(r, a, bytes)
        },
        "LDAP result 123456",
    ),
    row(
        "a referral as the result",
        |r, a| {
            let referral = tlv(0xa3, &tlv(4, b"ldap://127.0.0.1:3891/dc=x"));
            let bytes = message(r.id, 0x65, &[outcome(10, b""), referral].concat(), &[]);
            instead(r, a, bytes)
        },
        "LDAP result 10",
    ),
    row(
        "the base is gone",
        |r, a| {
            let bytes = result(r.id, 0x65, 32, "");
            instead(r, a, bytes)
        },
        "there is no entry \"ou=accounts,dc=example,dc=com\"",
    ),
    row(
        "the bind is refused",
        |request, answer| match request.operation {
            Operation::Bind => vec![Step::Send(result(request.id, 0x61, 49, ""))],
            _ => answer,
        },
        "LDAP result 49 (wrong bind DN or password)",
    ),
    row(
        "closed in the middle of an entry",
        |r, a| {
            let cut = whole(a.clone());
            let half = cut.get(..cut.len() / 2).unwrap_or_default().to_vec();
            if r.searches(PEOPLE) { vec![Step::Send(half), Step::Close] } else { a }
        },
        "the server closed the connection",
    ),
    row(
        "closed between two entries",
        |r, mut a| {
            if r.searches(PEOPLE) {
                a.insert(1, Step::Close);
            }
            a
        },
        "the server closed the connection",
    ),
    row(
        "closed between two searches",
        |r, a| if r.searches(PEOPLE) { vec![Step::Close] } else { a },
        "the server closed the connection",
    ),
    row(
        "values in a range",
        |r, a| {
            let name = b"member;range=0-1".to_vec();
            let bytes =
                raw_entry(r.id, b"cn=x,ou=people", &[(name, vec![b"cn=a".to_vec(), b"cn=b".to_vec()])]);
            amid(r, a, bytes)
        },
        "sends values in ranges, which needs kind = \"ad\"",
    ),
];

pub(super) fn lists_that_say_they_are_not_whole_are_not_believed(world: &mut World) -> Outcome {
    Stage::start(world)?.withstands(NOT_WHOLE)
}

const ELSEWHERE: &str = "ldap://127.0.0.1:3899/ou=people,dc=example,dc=com";

const REFERRALS: &[Row] = &[
    row(
        "a referral among the entries",
        |r, a| {
            let bytes = reference(r.id, ELSEWHERE);
            amid(r, a, bytes)
        },
        "refers to ldap://127.0.0.1:3899/ou=people,dc=example,dc=com for a part of the list",
    ),
    row(
        "a referral to this very server",
        |r, a| {
            let bytes = reference(r.id, "ldap://127.0.0.1:3890/ou=people,dc=example,dc=com");
            amid(r, a, bytes)
        },
        "refers to ldap://127.0.0.1:3890/",
    ),
    row(
        "a referral to a socket, with an escape",
        |r, a| {
            let bytes = reference(r.id, "ldapi://%2Frun/\u{1b}[31m");
            amid(r, a, bytes)
        },
        "refers to ldapi://%2Frun/",
    ),
    row(
        "a thousand referrals",
        |r, a| {
            let bytes = reference(r.id, ELSEWHERE).repeat(1000);
            amid(r, a, bytes)
        },
        "referrals are not followed",
    ),
    row(
        "a referral that is no text",
        |r, a| {
            let bytes = message(r.id, 0x73, &tlv(4, b"\xff"), &[]);
            amid(r, a, bytes)
        },
        "a text is not UTF-8",
    ),
    row(
        "a referral as the result of a bind",
        |request, answer| {
            let referral = tlv(0xa3, &tlv(4, ELSEWHERE.as_bytes()));
            match request.operation {
                Operation::Bind => {
                    vec![Step::Send(message(request.id, 0x61, &[outcome(10, b""), referral].concat(), &[]))]
                }
                _ => answer,
            }
        },
        "LDAP result 10",
    ),
];

pub(super) fn a_referral_is_never_followed(world: &mut World) -> Outcome {
    let mut stage = Stage::start(world)?;
    let tree = Tree::parse(&stage.ldif, Flavour::Posix);
    let elsewhere = Evil::start("127.0.0.1:3899", tree, Greeting::Plain(None))?;
    stage.withstands(REFERRALS)?;
    require_eq("connections to the server that was referred to", &elsewhere.connections(), &0)
}
