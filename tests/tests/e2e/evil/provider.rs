//! Providers of content synchronisation that lie: about cookies, about who is gone, about who is still there.

use svcauth_tests::directory::{Schema, person_dn};
use svcauth_tests::evil::ber::{control, entry, message, outcome, page_end, result, tlv};
use svcauth_tests::evil::content_sync::{
    ADD, DELETE, asked_since, cookie, done, ids, info, named, stated, uuid,
};
use svcauth_tests::evil::{Answer, Entry, Flavour, Greeting, Request, Step, Tree};
use svcauth_tests::failure::{Context, Outcome, require};
use svcauth_tests::world::World;

use super::lies::{Lie, PEOPLE};
use super::stage::{PORT, Row, Stage, serve_in_clear};
use crate::host::{Plan, getent};

/// People besides the example's, enough for a sudden loss of them to be suspicious.
const CROWD: usize = 20;

fn start(world: &World) -> Outcome<Stage> {
    let mut plan = Plan::new(world)?;
    serve_in_clear(&mut plan, world, PORT)?;
    let crowd = (0..CROWD).map(|number| {
        let (login, dn) = (format!("crowd{number}"), person_dn(&format!("crowd{number}")));
        format!("\ndn: {dn}\nobjectClass: inetOrgPerson\nuid: {login}\ncn: {login}\nsn: Example\n")
    });
    let ldif = plan.site.directory.text(Schema::Rfc2307bis) + &crowd.collect::<String>();
    Stage::with(world, plan, ldif, Flavour::Provider, Greeting::Plain(None))
}

/// Whether it asks for the changes of people.
fn goes_on(request: &Request) -> bool {
    request.searches(PEOPLE) && asked_since(request).is_some()
}

/// Whether it lists the ids of people and nothing else, as it does for `svcauth sync`.
fn lists_ids(request: &Request) -> bool {
    request.searches(PEOPLE) && request.search().is_some_and(|search| search.attributes == ["entryUUID"])
}

fn instead(request: &Request, answer: Answer, bytes: Vec<u8>) -> Answer {
    if goes_on(request) { vec![Step::Send(bytes)] } else { answer }
}

/// Before the end of the changes of people.
fn before(request: &Request, mut answer: Answer, bytes: Vec<u8>) -> Answer {
    if goes_on(request) {
        answer.insert(0, Step::Send(bytes));
    }
    answer
}

/// A person of the crowd, as far as its name and id say it.
fn crowd(number: usize) -> Entry {
    let dn = person_dn(&format!("crowd{number}"));
    let mut tree = Tree::parse(&format!("dn: {dn}\nobjectClass: x\n"), Flavour::Provider);
    tree.entries.pop().unwrap_or(Entry { dn, attributes: Vec::new() })
}

/// The ids of everybody in the crowd.
fn everybody() -> Vec<Vec<u8>> {
    (0..CROWD).map(|number| uuid(&crowd(number))).collect()
}

const HALVES: &[Row] = &[
    Row {
        attack: "the size limit",
        script: |r, a| {
            let bytes = result(r.id, 0x65, 4, "");
            instead(r, a, bytes)
        },
        says: "LDAP result 4 (size limit exceeded",
    },
    Row {
        attack: "busy",
        script: |r, a| {
            let bytes = done(r.id, 51, &cookie(1), true);
            instead(r, a, bytes)
        },
        says: "LDAP result 51 (busy)",
    },
    Row {
        attack: "closed in the middle of the changes",
        script: |r, a| if goes_on(r) { vec![Step::Close] } else { a },
        says: "the server closed the connection",
    },
    Row {
        attack: "silence in the middle of the changes",
        script: |r, a| if goes_on(r) { vec![Step::Silence] } else { a },
        says: "no answer to the search of [people] within 1 s",
    },
    Row {
        attack: "an entry without a state",
        script: |r, a| {
            let bytes = entry(r.id, &crowd(1));
            before(r, a, bytes)
        },
        says: "an entry has no sync state",
    },
    Row {
        attack: "a state that nobody knows",
        script: |r, a| {
            let bytes = stated(r.id, &crowd(1), 7, &[0; 16]);
            before(r, a, bytes)
        },
        says: "a sync state is out of range",
    },
    Row {
        attack: "an id of three bytes",
        script: |r, a| {
            let bytes = stated(r.id, &crowd(1), ADD, b"abc");
            before(r, a, bytes)
        },
        says: "an entryUUID has not 16 bytes",
    },
    Row {
        attack: "a message between entries that has another name",
        script: |r, a| {
            let bytes = named(r.id, b"1.2.3.4", 0x80, b"x");
            before(r, a, bytes)
        },
        says: "an intermediate response that was not asked for",
    },
    Row {
        attack: "a message between entries of an unknown sort",
        script: |r, a| {
            let bytes = info(r.id, 0xa7, b"");
            before(r, a, bytes)
        },
        says: "a sync info is of an unknown sort",
    },
    Row {
        attack: "a cookie without measure",
        script: |r, a| {
            let bytes = info(r.id, 0x80, &[b'c'; 5000]);
            before(r, a, bytes)
        },
        says: "a cookie is longer than 4096 bytes",
    },
    Row {
        attack: "everybody is gone",
        script: |r, a| {
            let bytes = info(r.id, 0xa3, &ids(true, &everybody()));
            before(r, a, bytes)
        },
        says: "--accept-shrink",
    },
    Row {
        attack: "everybody is gone, one by one",
        script: |r, mut a| {
            if goes_on(r) {
                let gone =
                    (0..CROWD).map(crowd).map(|one| Step::Send(stated(r.id, &one, DELETE, &uuid(&one))));
                a.splice(0..0, gone);
            }
            a
        },
        says: "--accept-shrink",
    },
    Row {
        attack: "the list of ids is cut",
        script: |r, mut a| {
            if lists_ids(r) {
                a.truncate(1);
                a.push(Step::Send(page_end(r.id, 4, b"")));
            }
            a
        },
        says: "LDAP result 4 (size limit exceeded",
    },
    Row {
        attack: "nobody in the list of ids",
        script: |r, a| {
            if lists_ids(r) { vec![Step::Send(page_end(r.id, 0, b""))] } else { a }
        },
        says: "--accept-shrink",
    },
];

pub(super) fn changes_that_a_provider_tells_by_halves_are_not_believed(world: &mut World) -> Outcome {
    let mut stage = start(world)?;
    let newcomer = stage.newcomer();
    stage.evil.honest();
    stage.recovers(&newcomer)?;
    let asked = stage.evil.requests();
    require(asked.iter().any(goes_on), || format!("no search for changes: {asked:?}"))?;
    stage.withstands(HALVES)
}

/// What a provider may say when it cannot go on from a cookie, or seems to be unable to: everything is read, or what it
/// says is taken; and the host has what the directory has.
const LOST: &[(&str, Lie)] = &[
    ("e-syncRefreshRequired", |r, a| {
        let bytes = result(r.id, 0x65, 4096, "");
        instead(r, a, bytes)
    }),
    ("a cookie of the future", |r, a| {
        let bytes = result(r.id, 0x65, 53, "consumer state is newer than provider!");
        instead(r, a, bytes)
    }),
    ("synchronisation is over", |r, a| {
        let bytes = result(r.id, 0x65, 12, "");
        instead(r, a, bytes)
    }),
    ("no word about the end", |r, a| {
        let bytes = result(r.id, 0x65, 0, "");
        instead(r, a, bytes)
    }),
    ("an end with an empty cookie", |r, a| {
        let bytes = done(r.id, 0, b"", true);
        instead(r, a, bytes)
    }),
    ("an end with a cookie that says nothing", |r, a| {
        let bytes = done(r.id, 0, b"rid=000", true);
        instead(r, a, bytes)
    }),
    ("the id of another entry", |r, a| {
        let bytes = stated(r.id, &crowd(1), ADD, &[7; 16]);
        before(r, a, bytes)
    }),
    ("a list of who is present that does not end", |r, a| {
        let bytes = info(r.id, 0xa3, &ids(false, &everybody()));
        before(r, a, bytes)
    }),
    ("ids that nobody has are gone", |r, a| {
        let bytes = info(r.id, 0xa3, &ids(true, &[vec![9; 16], vec![8; 16]]));
        before(r, a, bytes)
    }),
    ("an unknown control at the end", |r, mut a| {
        if goes_on(r) {
            let value = tlv(0x30, &tlv(0x04, &cookie(1)));
            let controls =
                [control("1.2.3.4", Some(b"x")), control("1.3.6.1.4.1.4203.1.9.1.3", Some(&value))];
            let end = message(r.id, 0x65, &outcome(4096, b""), &controls);
            a.pop();
            a.push(Step::Send(end));
        }
        a
    }),
];

pub(super) fn a_provider_that_lost_continuity_is_read_anew(world: &mut World) -> Outcome {
    let mut stage = start(world)?;
    for (what, script) in LOST {
        let newcomer = stage.newcomer();
        stage.evil.script(script);
        stage.recovers(&newcomer).doing(what)?;
        require(!getent("group", "application")?.expect_ok()?.text().is_empty(), || (*what).to_owned())?;
        let newcomer = stage.newcomer();
        stage.evil.honest();
        stage.recovers(&newcomer).doing(format!("after: {what}"))?;
    }
    stage.host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    stage.host.ssh("carol", "deployer", &["true"])?.expect_refused().map(drop)
}
