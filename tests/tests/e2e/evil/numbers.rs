//! Controllers that lie about their count, their database, what has changed and who is still there.

use svcauth_tests::evil::ber::{page_end, raw_entry, result};
use svcauth_tests::evil::{Answer, DOMAIN_SCOPE, PAGING, Request, Step};
use svcauth_tests::failure::{Context, Outcome, require, require_contains};
use svcauth_tests::site::{svcauth_json, text_at};
use svcauth_tests::world::World;

use super::lies::Lie;
use super::stage::Row;
use super::windows::start;

const DOMAIN: &str = "dc=example";

/// Whether it asks for what has a higher number.
fn asks_for_changes(request: &Request) -> bool {
    let attribute = b"uSNChanged";
    request
        .search()
        .is_some_and(|search| search.filter.1.windows(attribute.len()).any(|part| part == attribute))
}

/// Whether it lists ids and nothing else.
fn lists_ids(request: &Request) -> bool {
    request.search().is_some_and(|search| search.attributes == ["objectSid"])
}

fn in_place_of_changes(request: &Request, answer: Answer, code: u32) -> Answer {
    if asks_for_changes(request) { vec![Step::Send(result(request.id, 0x65, code, ""))] } else { answer }
}

/// The root DSE of a controller that has counted so far.
fn counted(request: &Request, answer: Answer, count: &str) -> Answer {
    if !request.search().is_some_and(|search| search.base.is_empty()) {
        return answer;
    }
    let attribute = |name: &'static str, values: &[&str]| {
        (name, values.iter().map(|value| value.as_bytes().to_vec()).collect::<Vec<_>>())
    };
    let root = [
        attribute("defaultNamingContext", &["DC=example,DC=com"]),
        attribute("dsServiceName", &["CN=NTDS Settings,CN=DC1,CN=Servers,DC=example,DC=com"]),
        attribute("supportedControl", &[PAGING, DOMAIN_SCOPE]),
        attribute("highestCommittedUSN", &[count]),
    ];
    vec![Step::Send(raw_entry(request.id, b"", &root)), Step::Send(result(request.id, 0x65, 0, ""))]
}

const INCREMENTS: &[Row] = &[
    Row {
        attack: "a limit where changes are listed",
        script: |r, a| in_place_of_changes(r, a, 11),
        says: "LDAP result 11",
    },
    Row {
        attack: "changes that go on after a page that failed",
        script: |r, mut a| {
            if asks_for_changes(r) {
                a.pop();
                a.push(Step::Send(page_end(r.id, 3, b"1")));
            }
            a
        },
        says: "ended a page with LDAP result 3",
    },
    Row {
        attack: "closed in the middle of the changes",
        script: |r, a| if asks_for_changes(r) { vec![Step::Close] } else { a },
        says: "the server closed the connection",
    },
    Row {
        attack: "the list of ids is cut",
        script: |r, mut a| {
            if lists_ids(r) && r.searches(DOMAIN) {
                a.truncate(1);
                a.push(Step::Send(page_end(r.id, 4, b"")));
            }
            a
        },
        says: "LDAP result 4 (size limit exceeded",
    },
    Row {
        attack: "hardly anybody in the list of ids",
        script: |r, mut a| {
            if lists_ids(r) && r.searches(DOMAIN) {
                a.truncate(1);
                a.push(Step::Send(page_end(r.id, 0, b"")));
            }
            a
        },
        says: "--accept-shrink",
    },
    Row {
        attack: "nobody at all in the list of ids",
        script: |r, a| {
            if lists_ids(r) { vec![Step::Send(page_end(r.id, 0, b""))] } else { a }
        },
        says: "--accept-shrink",
    },
    Row {
        attack: "the base is gone where ids are listed",
        script: |r, a| {
            if lists_ids(r) { vec![Step::Send(result(r.id, 0x65, 32, ""))] } else { a }
        },
        says: "there is no entry",
    },
];

/// What loses continuity; then everything is read, whatever the increments would have given, and where it can be told apart
/// from a change of controllers, an administrator hears of it.
const LOST: &[(&str, Lie, &str)] = &[
    ("the count went back", |r, a| counted(r, a, "5"), "highestCommittedUSN went back from"),
    ("the count is the highest there is", |r, a| counted(r, a, "9223372036854775807"), ""),
    ("the count is no number", |r, a| counted(r, a, "-1"), ""),
    ("the count does not fit", |r, a| counted(r, a, "9223372036854775808"), ""),
    (
        "another database",
        |r, a| {
            if !r.searches("cn=ntds settings") {
                return a;
            }
            let id = [("invocationId", vec![b"fedcba9876543210".to_vec()])];
            vec![Step::Send(raw_entry(r.id, b"CN=NTDS", &id)), Step::Send(result(r.id, 0x65, 0, ""))]
        },
        "has another database than before",
    ),
    (
        "a database without an id",
        |r, a| {
            if r.searches("cn=ntds settings") { vec![Step::Send(result(r.id, 0x65, 0, ""))] } else { a }
        },
        "",
    ),
];

pub(super) fn increments_that_are_not_whole_are_not_believed(world: &mut World) -> Outcome {
    let mut stage = start(world, 10)?;
    // The first answer that goes on from a mark.
    let newcomer = stage.newcomer();
    stage.evil.honest();
    stage.recovers(&newcomer)?;
    let asked = stage.evil.requests();
    require(asked.iter().any(asks_for_changes), || format!("no search for changes: {asked:?}"))?;
    require(asked.iter().any(lists_ids), || format!("no search for ids: {asked:?}"))?;
    stage.withstands(INCREMENTS)
}

pub(super) fn a_controller_that_lost_its_count_is_read_anew(world: &mut World) -> Outcome {
    let mut stage = start(world, 10)?;
    for (what, script, alarm) in LOST {
        let newcomer = stage.newcomer();
        stage.evil.script(script);
        let mark = world.log().mark();
        stage.recovers(&newcomer).doing(what)?;
        if !alarm.is_empty() {
            world.log().wait_for_line(mark, &["alarm", "reason=continuity_lost", alarm]).doing(what)?;
        }
        let newcomer = stage.newcomer();
        stage.evil.honest();
        stage.recovers(&newcomer).doing(format!("after: {what}"))?;
    }
    let (_, status) = svcauth_json(&["status"])?;
    require_contains("the server", text_at(&status, "/directory/server"), "evil.example.com")?;
    stage.host.ssh("late", "deployer", &["true"])?.expect_ok()?;
    stage.host.ssh("carol", "deployer", &["true"])?.expect_refused().map(drop)
}
