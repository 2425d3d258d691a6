//! What is odd and hides nothing, and the password that is never sent.

use std::time::Duration;

use svcauth_tests::directory::person_dn;
use svcauth_tests::evil::ber::{control, entry, message, outcome};
use svcauth_tests::evil::{Flavour, Operation, PAGING, Step, Tree, page_value};
use svcauth_tests::failure::{Context, Outcome, require, require_contains, require_eq};
use svcauth_tests::site::svcauth;
use svcauth_tests::world::World;

use super::lies::{ACCOUNTS, Lie, PEOPLE, end, whole};
use super::stage::{SECRET, Stage};
use crate::host::getent;

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
    let tree = Tree::parse(text, Flavour::Posix);
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
    let mut tree = Tree::parse(&stage.ldif, Flavour::Posix);
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
