//! Active Directory on Windows where Samba differs: lists cut at 1,500 values, pages at 1,000 entries, search references.

use svcauth_tests::evil::ber::{raw_entry, reference, result};
use svcauth_tests::evil::{Answer, DOMAIN_SCOPE, Flavour, Greeting, Request, Step, Tree};
use svcauth_tests::failure::{Context, Outcome, require, require_eq};
use svcauth_tests::samba::{self, DOMAIN};
use svcauth_tests::site::svcauth;
use svcauth_tests::world::World;

use super::stage::{PORT, Row, SECRET, Stage};
use super::tls::{HOME, NAME, make_authority, protect};
use crate::host::{Plan, getent};

/// Members of the role "big", more than two ranges hold.
const MEMBERS: usize = 3200;
pub(super) const BIG: &str = "CN=big,OU=groups,DC=example,DC=com";

/// A domain with the example's people, and a role of thousands, of whom the last so many have entries and the very last the
/// key "late".
pub(super) fn start(world: &World, people: usize) -> Outcome<Stage> {
    let mut plan = Plan::new(world)?;
    plan.make_key(world, "late")?;
    make_authority(world)?;
    world.write("/etc/svcauth/bind.secret", 0o600, format!("{SECRET}\n"))?;
    plan.site.configure("filter = \"(objectClass=posixAccount)\" ", "")?;
    plan.site.configure("ssh_key = [\"sshPublicKey\", \"altSecurityIdentities\"]\n", "")?;
    plan.site.configure("base = \"ou=people,dc=example,dc=com\"", "base = \"dc=example,dc=com\"")?;
    plan.site.configure("roles = [\"application\"]", "roles = [\"application\", \"big\"]")?;
    plan.site.configure(
        "kind = \"ldif\"\nfile = \"/etc/svcauth/directory.ldif\"\n",
        &format!(
            "kind = \"ad\"\nuris = [\"ldaps://{NAME}:{PORT}\"]\nbind = \"simple\"\nbind_dn = \"svcauth@example.com\"\n\
             bind_password_file = \"/etc/svcauth/bind.secret\"\nca_file = \"{HOME}/ca.pem\"\nrefresh = \"1h\"\n\
             timeout = \"2s\"\n"
        ),
    )?;
    let ldif = domain(&plan, people)?;
    let greeting = Greeting::Tls(protect("server.pem", "server.key")?);
    Stage::with(world, plan, ldif, Flavour::Windows, greeting)
}

fn domain(plan: &Plan, people: usize) -> Outcome<String> {
    let keys = ["alice", "bob", "carol"].iter().map(|login| Ok((*login, plan.key(login)?)));
    let logins: Vec<String> = (0..MEMBERS).map(|number| format!("m{number:04}")).collect();
    let late = samba::key_line(plan.key("late")?);
    let crowd = logins.iter().skip(MEMBERS - people).map(|login| {
        let key = if logins.last() == Some(login) { late.as_str() } else { "description: x" };
        samba::person(login, key)
    });
    let members: Vec<String> = logins.iter().map(|login| samba::person_dn(login)).collect();
    let more = crowd.collect::<String>() + &samba::group("big", "gidNumber: 7050", &members);
    let root = format!("dn: {DOMAIN}\nobjectClass: domain\nlockoutDuration: -18000000000\n\n");
    let settings = format!(
        "dn: CN=NTDS Settings,CN=DC1,CN=Servers,{DOMAIN}\nobjectClass: nTDSDSA\ninvocationId: 0123456789abcdef\n\n"
    );
    Ok(root + &settings + &samba::example(&keys.collect::<Outcome<Vec<_>>>()?, &more))
}

pub(super) fn a_controller_that_cuts_lists_and_pages_is_read_to_the_end(world: &mut World) -> Outcome {
    let stage = start(world, MEMBERS)?;
    let asked = stage.evil.requests();
    let ranges = asked.iter().filter_map(Request::search).flat_map(|search| &search.attributes);
    let ranges: Vec<&String> = ranges.filter(|name| name.starts_with("member;range=")).collect();
    require(ranges.iter().any(|name| name.contains("=3000-")), || format!("ranges: {ranges:?}"))?;
    let whole = asked.iter().filter(|request| request.search().is_some_and(|search| search.scope == 2));
    let unscoped: Vec<_> = whole.filter(|request| !request.has_control(DOMAIN_SCOPE)).collect();
    require(unscoped.is_empty(), || format!("searches that ask for references: {unscoped:?}"))?;
    let pages = asked.iter().filter(|request| request.searches("dc=example")).count();
    require(pages > MEMBERS / 1000, || format!("{pages} pages of people"))?;
    let mark = world.log().mark();
    stage.host.ssh("late", "deployer", &["true"])?.expect_ok().doing("member number 3,200")?;
    world.log().wait_for(mark, "allow", &[("origin", "m3199"), ("role", "big")])?;
    let listed = getent("group", "big")?.expect_ok()?;
    require_eq(
        "members",
        &listed.text().rsplit(':').next().unwrap_or_default().split(',').count(),
        &MEMBERS,
    )?;
    stage.host.ssh("carol", "deployer", &["true"])?.expect_refused()?;
    smaller_pages_are_read_too(stage)
}

/// The administrator of a domain may set MaxPageSize to anything; a server gives fewer than it was asked for.
fn smaller_pages_are_read_too(mut stage: Stage) -> Outcome {
    let newcomer = stage.newcomer();
    let mut tree = Tree::parse(&stage.ldif, Flavour::Windows);
    tree.most = 170;
    stage.evil.knows(tree);
    stage.evil.honest();
    stage.recovers(&newcomer)?;
    svcauth(&["sync", "--full"])?.expect_ok()?;
    require(stage.evil.requests().len() > MEMBERS / 170, || "few pages".to_owned())?;
    let listed = getent("group", "big")?.expect_ok()?;
    require_eq("members", &listed.text().rsplit(':').next().unwrap_or_default().split(',').count(), &MEMBERS)
}

/// Whether a later range of the list is asked for.
fn goes_on(request: &Request, from: usize) -> bool {
    let wanted = format!("member;range={from}-");
    request.search().is_some_and(|search| search.attributes.iter().any(|name| name.starts_with(&wanted)))
}

/// In the place of the second range: this name for these values, with the change number that the entry had before.
fn range(request: &Request, answer: Answer, name: &str, values: usize) -> Answer {
    if !goes_on(request, 1500) {
        return answer;
    }
    let values = (0..values).map(|number| samba::person_dn(&format!("m{number:04}")).into_bytes()).collect();
    let changed = changed(&answer);
    let attributes = [("uSNChanged".to_owned(), vec![changed]), (name.to_owned(), values)];
    vec![
        Step::Send(raw_entry(request.id, BIG.as_bytes(), &attributes)),
        Step::Send(result(request.id, 0x65, 0, "")),
    ]
}

/// The change number in an answer: digits behind the attribute's name, after three headers of six bytes.
fn changed(answer: &Answer) -> Vec<u8> {
    let Some(Step::Send(bytes)) = answer.first() else { return Vec::new() };
    let name = b"uSNChanged";
    let at = bytes.windows(name.len()).position(|part| part.eq_ignore_ascii_case(name)).unwrap_or_default();
    let digits = bytes.iter().skip(at + name.len() + 12).take_while(|byte| byte.is_ascii_digit());
    digits.copied().collect()
}

const LIES: &[Row] = &[
    Row {
        attack: "the range is missing",
        script: |r, a| range(r, a, "description", 1),
        says: "the values of member from 1500 on are missing",
    },
    Row {
        attack: "a range that begins later",
        script: |r, a| range(r, a, "member;range=1501-*", 3),
        says: "expected a range from 1500 on",
    },
    Row {
        attack: "a range that begins earlier",
        script: |r, a| range(r, a, "member;range=0-1499", 1500),
        says: "expected a range from 1500 on",
    },
    Row {
        attack: "a range with too few values",
        script: |r, a| range(r, a, "member;range=1500-2999", 1499),
        says: "has 1499 values",
    },
    Row {
        attack: "a range that goes backwards",
        script: |r, a| range(r, a, "member;range=1500-1499", 0),
        says: "expected a range from 1500 on",
    },
    Row {
        attack: "a range of nothing",
        script: |r, a| range(r, a, "member;range=1500-1500", 0),
        says: "expected a range from 1500 on",
    },
    Row {
        attack: "a range without numbers",
        script: |r, a| range(r, a, "member;range=all", 3),
        says: "expected a range from 1500 on",
    },
    Row {
        attack: "the list changed between two ranges",
        script: |r, a| {
            let attributes =
                [("uSNChanged", vec![b"999999".to_vec()]), ("member;range=1500-*", vec![b"CN=x".to_vec()])];
            let changed = [raw_entry(r.id, BIG.as_bytes(), &attributes), result(r.id, 0x65, 0, "")].concat();
            if goes_on(r, 1500) { vec![Step::Send(changed)] } else { a }
        },
        says: "changed while it was read",
    },
    Row {
        attack: "the group went away between two ranges",
        script: |r, a| {
            if goes_on(r, 1500) { vec![Step::Send(result(r.id, 0x65, 32, ""))] } else { a }
        },
        says: "went away while it was read",
    },
    Row {
        attack: "a limit between two ranges",
        script: |r, a| {
            if goes_on(r, 3000) { vec![Step::Send(result(r.id, 0x65, 4, ""))] } else { a }
        },
        says: "LDAP result 4 (size limit exceeded",
    },
    Row {
        attack: "two entries of one name",
        script: |r, mut a| {
            if goes_on(r, 1500) {
                a.insert(0, a.first().cloned().unwrap_or(Step::Silence));
            }
            a
        },
        says: "two entries of one name",
    },
    Row {
        attack: "one value a range, for ever",
        script: |r, a| {
            let search = r
                .search()
                .and_then(|search| search.attributes.iter().find(|name| name.starts_with("member;range=")));
            let from =
                search.and_then(|name| name.split(['=', '-']).nth(1)?.parse::<usize>().ok()).unwrap_or(0);
            if from < 1500 {
                return a;
            }
            let attributes = [
                ("uSNChanged".to_owned(), vec![changed(&a)]),
                (format!("member;range={from}-{from}"), vec![b"CN=x".to_vec()]),
            ];
            let one = [raw_entry(r.id, BIG.as_bytes(), &attributes), result(r.id, 0x65, 0, "")].concat();
            vec![Step::Send(one)]
        },
        says: "the time allowed for all of it",
    },
    Row {
        attack: "an unpaged answer that was cut",
        script: |r, a| {
            if r.searches("dc=example") { vec![Step::Send(result(r.id, 0x65, 4, ""))] } else { a }
        },
        says: "LDAP result 4 (size limit exceeded",
    },
    Row {
        attack: "references although none were asked for",
        script: |r, mut a| {
            if r.searches("dc=example") {
                a.insert(
                    1,
                    Step::Send(reference(r.id, "ldaps://child.example.com/DC=child,DC=example,DC=com")),
                );
            }
            a
        },
        says: "refers to ldaps://child.example.com/",
    },
    Row {
        attack: "no domain",
        script: |r, a| {
            let root = r.search().is_some_and(|search| search.base.is_empty());
            if root { vec![Step::Send(result(r.id, 0x65, 0, ""))] } else { a }
        },
        says: "is it Active Directory?",
    },
];

pub(super) fn controllers_that_lie_about_ranges_are_not_believed(world: &mut World) -> Outcome {
    start(world, 1)?.withstands(LIES)
}
