//! The report lists what `decide` allows, and nothing else.

use std::io;

use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use svcauth_core::id::IdRange;
use svcauth_core::policy::{
    AccessRule, Account, Age, AuditMode, Circumstances, Decision, Held, Need, Network, Origin, Pattern,
    Person, Policy, Reason, Role, RoleRef, Roles, Source, decide,
};

use super::access::{Here, Inventory, Service, Which, Wish};

const ROLES: u32 = 4;
const HOSTS: [&str; 2] = ["web1.example.com", "web1"];
const ALL_SERVICES: [&str; 8] = ["sshd", "su", "su-l", "sudo", "sudo-i", "login", "cron", "atd"];
const NOW: u64 = 1_000_000;
const MAX_STALE: u64 = 3600;

/// As PAM: sshd proves people and says where they come from, su and sudo prove their caller, the rest proves nobody.
fn source_of(service: &str) -> Option<Source> {
    match service {
        "sshd" => Some(Source::NotYetKnown),
        "su" | "su-l" | "sudo" | "sudo-i" => Some(Source::Local),
        _ => None,
    }
}

/// What one row says, with nothing borrowed.
#[derive(Debug, PartialEq)]
struct Row {
    account: String,
    person: String,
    line: u32,
    services: Vec<String>,
    from: Vec<Network>,
    roles: Vec<(String, Vec<String>)>,
    suspended: Option<Reason>,
}

impl Row {
    fn covers(&self, service: &str) -> bool {
        let has = |word: &str| self.services.iter().any(|known| known == word);
        has(service)
            || service.strip_suffix("-l").is_some_and(has)
            || service.strip_suffix("-i").is_some_and(has)
    }
}

fn rows(site: &Site, which: Which, wish: Wish<'_>) -> Vec<Row> {
    let services = Service::all_of(&site.policy);
    let here = Here { hosts: &HOSTS, now: NOW, age: site.age };
    let inventory = Inventory::new(&site.policy, &site.accounts, site.people.iter(), &services, here);
    let mut rows = Vec::new();
    let listed = inventory.visit(which, wish, &mut |grant| {
        rows.push(Row {
            account: grant.account.name.clone(),
            person: grant.person.login.clone(),
            line: grant.rule.line,
            services: grant.services.iter().map(ToString::to_string).collect(),
            from: grant.rule.from.clone(),
            roles: grant.roles.iter().map(|role| (role.name.to_owned(), role.path.to_vec())).collect(),
            suspended: grant.suspended,
        });
        io::Result::Ok(())
    });
    listed.unwrap();
    rows
}

#[derive(Clone, Debug)]
struct Site {
    policy: Policy,
    accounts: Vec<Account>,
    people: Vec<Person>,
    age: Age,
}

fn role_refs() -> impl Strategy<Value = Vec<RoleRef>> {
    proptest::collection::btree_set((0..ROLES).prop_map(RoleRef), 0..3)
        .prop_map(|set| set.into_iter().collect())
}

fn some_of(words: &'static [&'static str], most: usize) -> impl Strategy<Value = Vec<String>> {
    proptest::sample::subsequence(words, 0..=most)
        .prop_map(|words| words.into_iter().map(str::to_owned).collect())
}

fn rule() -> impl Strategy<Value = AccessRule> {
    let accounts = some_of(&["deployer", "jenkins", "*", "d*", "nobody"], 2);
    let roles = prop_oneof![role_refs().prop_map(Roles::Named), Just(Roles::MemberOf)];
    let hosts = some_of(&["web*", "db*"], 1);
    let from = prop_oneof![2 => Just(vec![]), 1 => Just(vec!["10.0.0.0/8".parse().unwrap()])];
    let need = prop_oneof![Just(Need::Any), Just(Need::Every)];
    (accounts, roles, need, some_of(&ALL_SERVICES, 5), hosts, from).prop_map(
        |(accounts, roles, need, services, hosts, from)| AccessRule {
            line: 0,
            accounts: accounts.into_iter().map(Pattern::new).collect(),
            roles,
            need,
            services,
            hosts: hosts.into_iter().map(Pattern::new).collect(),
            from,
            limits: None,
        },
    )
}

/// Mostly usable; a moment that has passed, or is still to come, changes nothing.
fn states() -> impl Strategy<Value = (bool, Option<u64>, Option<u64>)> {
    let moment = || prop_oneof![4 => Just(None), 1 => Just(Some(NOW - 1)), 1 => Just(Some(NOW + 1))];
    (prop_oneof![4 => Just(false), 1 => Just(true)], moment(), moment())
}

fn account(name: &'static str) -> impl Strategy<Value = Account> {
    let hosts =
        prop_oneof![3 => Just(None), 1 => Just(Some(vec!["web1".to_owned()])), 1 => Just(Some(vec![]))];
    (states(), hosts, role_refs()).prop_map(move |((disabled, expires, locked_until), hosts, roles)| {
        Account {
            name: name.to_owned(),
            id: name.to_owned(),
            uid: Some(7001),
            disabled,
            expires,
            locked_until,
            hosts,
            roles,
        }
    })
}

fn person(login: &'static str) -> impl Strategy<Value = Person> {
    (states(), role_refs()).prop_map(move |((disabled, expires, locked_until), roles)| Person {
        login: login.to_owned(),
        id: login.to_owned(),
        disabled,
        expires,
        locked_until,
        held: roles
            .into_iter()
            .map(|role| Held { role, path: vec!["team".into(), format!("r{}", role.0)] })
            .collect(),
    })
}

fn site() -> impl Strategy<Value = Site> {
    let accounts = (account("deployer"), account("jenkins")).prop_map(|(a, b)| vec![b, a]);
    let people = (person("alice"), person("bob"), person("carol")).prop_map(|(a, b, c)| vec![c, a, b]);
    let age = prop_oneof![6 => Just(Some(3)), 1 => Just(Some(MAX_STALE)), 1 => Just(None)];
    (proptest::collection::vec(rule(), 0..4), accounts, people, age).prop_map(
        |(mut rules, accounts, people, age)| {
            (1..).zip(&mut rules).for_each(|(line, rule)| rule.line = line);
            let role = |number: u32| Role { name: format!("r{number}"), ..Role::default() };
            let policy = Policy {
                roles: (0..ROLES).map(role).collect(),
                rules,
                max_stale: MAX_STALE,
                audit: AuditMode::Required,
                trusted_ca: Vec::new(),
                key_id: None,
                id_range: IdRange::new(7000, 7999).unwrap(),
                local_accounts: Vec::new(),
            };
            Site { policy, accounts, people, age: Age(age) }
        },
    )
}

/// Every question that a host can ask PAM: each person, account, service and source.
fn questions(site: &Site) -> Vec<(&Person, &Account, &'static str, Source)> {
    let addresses = ["10.1.2.3", "192.0.2.7"].map(|text| Source::Address(text.parse().unwrap()));
    let mut all = Vec::new();
    for (person, account) in
        site.people.iter().flat_map(|person| site.accounts.iter().map(move |a| (person, a)))
    {
        for service in ALL_SERVICES {
            match source_of(service) {
                Some(Source::Local) => all.push((person, account, service, Source::Local)),
                Some(_) => all.extend(addresses.map(|source| (person, account, service, source))),
                None => {}
            }
        }
    }
    all
}

fn at(site: &Site, service: &'static str, source: Source) -> Circumstances<'static> {
    Circumstances { service: Some(service), hosts: &HOSTS, source, now: NOW, age: site.age }
}

fn says(row: &Row, person: &Person, account: &Account, service: &str, source: Source) -> bool {
    let is_covered = match source {
        Source::Address(address) => row.from.is_empty() || row.from.iter().any(|net| net.contains(address)),
        Source::Local | Source::NotYetKnown => true,
    };
    row.person == person.login && row.account == account.name && row.covers(service) && is_covered
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_report_lists_exactly_what_decide_allows(site in site()) {
        let rows = rows(&site, Which::Access, Wish::default());
        for (person, account, service, source) in questions(&site) {
            let allowed = decide(&site.policy, account, Origin::Person(person), &at(&site, service, source)).is_allow();
            let listed = rows.iter().any(|row| says(row, person, account, service, source));
            prop_assert_eq!(listed, allowed, "{} {} {} {:?}", person.login, account.name, service, source);
        }
        for row in &rows {
            prop_assert!(row.suspended.is_none() && !row.services.is_empty() && !row.roles.is_empty());
            prop_assert!(row.roles.iter().all(|(name, path)| path.last() == Some(name)));
        }
    }

    #[test]
    fn what_is_suspended_is_denied_for_that_reason_and_nothing_else_keeps_it_out(site in site()) {
        let rows = rows(&site, Which::Suspended, Wish::default());
        let mut usable = site.clone();
        usable.age = Age(Some(0));
        usable.accounts.iter_mut().for_each(|a| (a.disabled, a.expires, a.locked_until) = (false, None, None));
        usable.people.iter_mut().for_each(|p| (p.disabled, p.expires, p.locked_until) = (false, None, None));
        for ((person, account, service, source), (fit, open, ..)) in questions(&site).into_iter().zip(questions(&usable)) {
            let now = decide(&site.policy, account, Origin::Person(person), &at(&site, service, source)).decision;
            let then = decide(&usable.policy, open, Origin::Person(fit), &at(&usable, service, source)).is_allow();
            let row = rows.iter().find(|row| says(row, person, account, service, source));
            let expected = match now {
                Decision::Deny(reason) if then => Some(reason),
                _ => None,
            };
            prop_assert_eq!(row.and_then(|row| row.suspended), expected);
        }
    }

    #[test]
    fn one_account_or_one_person_is_the_same_rows_and_no_others(site in site(), suspended in any::<bool>()) {
        let which = if suspended { Which::Suspended } else { Which::Access };
        let all = rows(&site, which, Wish::default());
        let wish = Wish { account: Some("deployer"), person: Some("bob"), ..Wish::default() };
        let some = rows(&site, which, wish);
        let expected: Vec<Row> =
            all.into_iter().filter(|row| row.account == "deployer" && row.person == "bob").collect();
        prop_assert_eq!(some, expected);
    }

    #[test]
    fn the_jobs_that_are_listed_are_exactly_those_that_run(site in site()) {
        let here = Here { hosts: &HOSTS, now: NOW, age: site.age };
        let inventory = Inventory::new(&site.policy, &site.accounts, site.people.iter(), &[], here);
        let mut listed = Vec::new();
        let all = inventory.visit_jobs(Wish::default(), &mut |job| {
            listed.extend(job.services.iter().map(|service| (job.account.name.clone(), service.to_string())));
            Ok(())
        });
        all.unwrap();
        for account in &site.accounts {
            for service in ALL_SERVICES {
                let runs = decide(&site.policy, account, Origin::Local, &at(&site, service, Source::Local)).is_allow();
                let is_listed = listed.contains(&(account.name.clone(), service.to_owned()));
                prop_assert_eq!(is_listed, runs, "{} {}", account.name, service);
            }
        }
    }

    #[test]
    fn rows_are_in_order_and_none_is_there_twice(site in site()) {
        let rows = rows(&site, Which::Access, Wish::default());
        let keys: Vec<_> = rows.iter().map(|row| (&row.account, &row.person, row.line)).collect();
        prop_assert!(keys.is_sorted() && keys.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
