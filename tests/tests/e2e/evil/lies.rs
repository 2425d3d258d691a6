//! What a server may say in clear or behind TLS: no LDAP at all, half a list, nothing, too much.

use std::time::Duration;

use svcauth_tests::directory::person_dn;
use svcauth_tests::evil::ber::{
    control, entry, message, nested, notice, notice_of_ad, outcome, page_end, raw_entry, reference, result,
    tlv,
};
use svcauth_tests::evil::{Answer, Operation, PAGING, Request, Step, Tree, page_value};
use svcauth_tests::failure::{Context, Outcome, require, require_contains, require_eq};
use svcauth_tests::site::svcauth;
use svcauth_tests::world::World;

use super::stage::{Row, SECRET, Stage};
use crate::host::getent;

const ACCOUNTS: &str = "ou=accounts";
const PEOPLE: &str = "ou=people";

/// How an answer departs from the right one.
type Lie = fn(&Request, Answer) -> Answer;

/// In the place of the answer to the search of the accounts.
fn instead(request: &Request, answer: Answer, bytes: Vec<u8>) -> Answer {
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
fn end(request: &Request, mut answer: Answer, bytes: Vec<u8>) -> Answer {
    if request.searches(PEOPLE) {
        answer.pop();
        answer.push(Step::Send(bytes));
    }
    answer
}

fn whole(answer: Answer) -> Vec<u8> {
    let sent = |step| if let Step::Send(bytes) = step { bytes } else { Vec::new() };
    answer.into_iter().flat_map(sent).collect()
}

const fn row(attack: &'static str, script: Lie, says: &'static str) -> Row {
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

const SLOW: &[Row] = &[
    row(
        "a bind that is never answered",
        |request, answer| match request.operation {
            Operation::Bind => vec![Step::Silence],
            _ => answer,
        },
        "no answer to bind within 1 s",
    ),
    row(
        "a search that is never answered",
        |r, a| if r.searches(PEOPLE) { vec![Step::Silence] } else { a },
        "no answer to the search of [people] within 1 s",
    ),
    row(
        "silence after half the entries",
        |r, mut a| {
            if r.searches(PEOPLE) {
                a.insert(2, Step::Silence);
            }
            a
        },
        "no answer to the search of [people] within 1 s",
    ),
    row(
        "a byte a second after half the entries",
        |r, a| {
            if !r.searches(PEOPLE) {
                return a;
            }
            let all = whole(a);
            let (half, rest) = all.split_at(all.len() / 2);
            vec![Step::Send(half.to_vec()), Step::Drip(rest.to_vec(), Duration::from_secs(1))]
        },
        "no answer to the search of [people] within 1 s",
    ),
    row(
        "another message id",
        |r, a| {
            let id = r.id + 1000;
            let bytes = [result(id, 0x65, 0, ""), result(id, 0x65, 0, "")].concat();
            if r.searches(PEOPLE) { vec![Step::Send(bytes)] } else { a }
        },
        "no answer to the search of [people] within 1 s",
    ),
    row(
        "an announced message that never comes",
        |r, a| instead(r, a, vec![0x30, 0x83, 0x10, 0, 0]),
        "no answer to the search of [accounts] within 1 s",
    ),
    row(
        "the same cookie for ever",
        |r, a| {
            let bytes = page_end(r.id, 0, b"0");
            if r.searches(PEOPLE) { vec![Step::Send(bytes)] } else { a }
        },
        "no answer to the search of [people] within 1 s",
    ),
    row(
        "a cookie that grows for ever",
        |r, a| {
            let cookie = vec![b'x'; 64 * r.place];
            if r.searches(PEOPLE) { vec![Step::Send(page_end(r.id, 0, &cookie))] } else { a }
        },
        "no answer to the search of [people] within 1 s",
    ),
];

pub(super) fn silence_and_slowness_end_at_the_timeout(world: &mut World) -> Outcome {
    Stage::start(world)?.withstands(SLOW)
}

const NEVER_ENDING: &[Row] = &[
    row(
        "an entry every half second",
        |r, a| {
            let person = raw_entry(r.id, b"uid=x,ou=people", &[("uid", vec![b"x".to_vec()])]);
            let pause = Duration::from_millis(500) / u32::try_from(person.len()).unwrap_or(1);
            if r.searches(PEOPLE) { vec![Step::Drip(person.repeat(100), pause)] } else { a }
        },
        "within the time allowed for all of it",
    ),
    row(
        "entries without end",
        |r, a| {
            let person = raw_entry(r.id, b"uid=x,ou=people", &[("uid", vec![b"x".to_vec()])]);
            if r.searches(PEOPLE) { vec![Step::Endless(person.repeat(1000))] } else { a }
        },
        "more than 1,000,000 entries|within the time allowed for all of it",
    ),
    row(
        "bytes without end",
        |r, a| {
            let person = raw_entry(r.id, b"uid=x,ou=people", &[("jpegPhoto", vec![vec![b'x'; 1 << 20]])]);
            if r.searches(PEOPLE) { vec![Step::Endless(person)] } else { a }
        },
        "sent more than 1073741824 bytes in one fetch|within the time allowed for all of it",
    ),
    row(
        "a page of one entry for ever",
        |r, a| {
            let person = raw_entry(r.id, b"uid=x,ou=people", &[("uid", vec![b"x".to_vec()])]);
            let page = [person, page_end(r.id, 0, b"more")].concat();
            if r.searches(PEOPLE) { vec![Step::Send(page)] } else { a }
        },
        "within the time allowed for all of it",
    ),
    row(
        "referrals without end",
        |r, a| {
            let referrals = reference(r.id, "ldap://127.0.0.1:3891/dc=x");
            if r.searches(PEOPLE) { vec![Step::Endless(referrals.repeat(100))] } else { a }
        },
        "refer",
    ),
];

pub(super) fn servers_that_never_end_are_left(world: &mut World) -> Outcome {
    Stage::start(world)?.withstands(NEVER_ENDING)
}

/// What is odd and hides nothing is taken: a sync succeeds with all that is right in the answer and nothing besides.
const HARMLESS: &[(&str, Lie)] = &[
    ("the end of a search twice", |r, mut a| {
        if let (true, Some(last)) = (r.search().is_some(), a.last().cloned()) {
            a.push(last);
        }
        a
    }),
    ("entries after the end", |r, mut a| {
        if r.searches(ACCOUNTS) {
            a.push(Step::Send(intruder(r.id)));
        }
        a
    }),
    ("entries of a search that nobody made", |r, mut a| {
        if r.searches(ACCOUNTS) {
            a.insert(0, Step::Send(intruder(r.id + 1000)));
        }
        a
    }),
    ("an unknown control and a diagnostic message beside success", |r, a| {
        let controls = [control("1.2.3.4", Some(b"\xff\xff")), control(PAGING, Some(&page_value(0, b"")))];
        let bytes = message(r.id, 0x65, &outcome(0, "all is well \u{1b}[31m".as_bytes()), &controls);
        end(r, a, bytes)
    }),
    ("byte by byte", |r, a| {
        if r.searches(PEOPLE) { vec![Step::Drip(whole(a), Duration::from_micros(20))] } else { a }
    }),
];

fn intruder(id: u32) -> Vec<u8> {
    let text = "dn: uid=intruder,ou=accounts,dc=example,dc=com\nobjectClass: posixAccount\nuid: intruder\n\
                uidNumber: 7999\ngidNumber: 7000\nhomeDirectory: /home/intruder\ncn: x\n";
    let tree = Tree::parse(text, svcauth_tests::evil::Flavour::Posix);
    tree.entries.iter().flat_map(|found| entry(id, found)).collect()
}

pub(super) fn harmless_oddities_are_read_right(world: &mut World) -> Outcome {
    let mut stage = Stage::start(world)?;
    for (oddity, script) in HARMLESS {
        let newcomer = stage.newcomer();
        stage.evil.script(script);
        stage.recovers(&newcomer).doing(oddity)?;
        getent("passwd", "intruder")?.expect_code(2).doing(oddity)?;
    }
    bad_values_hide_no_good_ones(&mut stage)?;
    stage.host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    stage.host.ssh("carol", "deployer", &["true"])?.expect_refused().map(drop)
}

/// A key that is no text, and an attribute that comes twice: the good keys stay.
fn bad_values_hide_no_good_ones(stage: &mut Stage) -> Outcome {
    let mut tree = Tree::parse(&stage.ldif, svcauth_tests::evil::Flavour::Posix);
    let bob = tree.find(&person_dn("bob"));
    let key = bob.as_ref().and_then(|bob| bob.values("sshPublicKey").first().cloned()).unwrap_or_default();
    if let Some(bob) = bob {
        bob.set("sshPublicKey", b"\xff\xfe no text");
        bob.add("sshPublicKey", &key);
        bob.add("sshPublicKey", b"ssh-ed25519 AAAA of nobody");
    }
    stage.evil.knows(tree.clone());
    stage.evil.honest();
    svcauth(&["sync"])?.expect_ok()?;
    stage.host.ssh("bob", "deployer", &["true"])?.expect_ok().doing("one good key among bad ones")?;
    if let Some(bob) = tree.find(&person_dn("bob")) {
        bob.set("sshPublicKey", &key);
        bob.attributes.push(("SSHPUBLICKEY".to_owned(), vec![b"ssh-ed25519 AAAA of nobody".to_vec()]));
    }
    stage.evil.knows(tree);
    svcauth(&["sync"])?.expect_ok()?;
    stage.host.ssh("bob", "deployer", &["true"])?.expect_ok().doing("an attribute that came twice").map(drop)
}

/// RFC 4513, 5.1.2: many servers answer a bind with a name and no password with success, as anonymous.
pub(super) fn an_empty_password_is_never_sent(world: &mut World) -> Outcome {
    let mut stage = Stage::start(world)?;
    let heard = |stage: &Stage| String::from_utf8_lossy(&stage.evil.heard_in_clear()).into_owned();
    stage.evil.honest();
    svcauth(&["sync"])?.expect_ok()?;
    require_contains("what the server hears of a bind", &heard(&stage), SECRET)?;
    let binds =
        |stage: &Stage| stage.evil.requests().iter().filter(|r| r.operation == Operation::Bind).count();
    for empty in ["", "\n", "\n\n", "\nsecond line\n"] {
        world.write("/etc/svcauth/bind.secret", 0o600, empty)?;
        let newcomer = stage.newcomer();
        stage.evil.honest();
        stage.refuses(&newcomer, "/etc/svcauth/bind.secret: the password is empty")?;
        require_eq("binds", &binds(&stage), &0)?;
        world.write("/etc/svcauth/bind.secret", 0o600, SECRET)?;
        stage.recovers(&newcomer)?;
        require(binds(&stage) > 0, || "no bind with a password".to_owned())?;
    }
    Ok(())
}
