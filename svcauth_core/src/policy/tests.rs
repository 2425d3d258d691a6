//! The decision as tables and as laws.

use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::{
    AccessRule, Account, Age, AuditMode, Circumstances, Decision, Held, Need, Origin, Pattern, Person,
    Policy, Reason, Role, RoleRef, Roles, Source, decide, decide_target, explain, flip, flip_job,
};
use crate::id::IdRange;

const NAMES: [&str; 4] = ["foo", "bar", "baz", "application"];

pub(super) fn policy(rules: Vec<AccessRule>) -> Policy {
    Policy {
        roles: NAMES
            .iter()
            .map(|name| Role { name: name.to_string(), id: Some(name.to_string()), ..Role::default() })
            .collect(),
        rules,
        max_stale: 3600,
        audit: AuditMode::Required,
        trusted_ca: Vec::new(),
        key_id: None,
        id_range: IdRange::new(7000, 7999).unwrap(),
        local_accounts: Vec::new(),
    }
}

pub(super) fn refs(names: &[&str]) -> Vec<RoleRef> {
    names.iter().map(|name| RoleRef(NAMES.iter().position(|known| known == name).unwrap() as u32)).collect()
}

pub(super) fn rule(accounts: &str, roles: Roles, need: Need) -> AccessRule {
    AccessRule {
        line: 1,
        accounts: vec![Pattern::new(accounts)],
        roles,
        need,
        services: ["sshd", "su", "sudo"].map(String::from).to_vec(),
        hosts: Vec::new(),
        from: Vec::new(),
        limits: None,
    }
}

pub(super) fn account(name: &str, roles: &[&str]) -> Account {
    Account {
        name: name.to_string(),
        id: name.to_string(),
        uid: Some(7001),
        disabled: false,
        expires: None,
        locked_until: None,
        hosts: None,
        roles: refs(roles),
    }
}

pub(super) fn person(login: &str, roles: &[&str]) -> Person {
    let held = refs(roles).into_iter().map(|role| Held { role, path: Vec::new() }).collect();
    Person {
        login: login.to_string(),
        id: login.to_string(),
        disabled: false,
        expires: None,
        locked_until: None,
        held,
    }
}

pub(super) const HERE: Circumstances<'static> = Circumstances {
    service: Some("sshd"),
    hosts: &["web1", "web1.example.com"],
    source: Source::Local,
    now: 1_000_000,
    age: Age(Some(3)),
};

fn spinnaker() -> Policy {
    policy(vec![rule("*", Roles::MemberOf, Need::Every)])
}

fn says(policy: &Policy, account: &Account, person: &Person, at: &Circumstances<'_>) -> Decision {
    decide(policy, account, Origin::Person(person), at).decision
}

#[test]
fn batman_may_use_alfred_and_joker_may_not_and_the_missing_role_is_named() {
    let alfred = account("alfred", &["foo", "bar"]);
    assert_eq!(
        says(&spinnaker(), &alfred, &person("batman", &["foo", "bar", "baz"]), &HERE),
        Decision::Allow
    );
    let verdict = decide(&spinnaker(), &alfred, Origin::Person(&person("joker", &["foo"])), &HERE);
    assert_eq!((verdict.decision, verdict.roles), (Decision::Deny(Reason::MissingRole), refs(&["bar"])));
}

#[test]
fn equal_roles_and_a_superset_may_and_every_other_set_may_not() {
    let alfred = account("alfred", &["foo", "bar"]);
    for roles in [&["foo", "bar"][..], &["foo", "bar", "baz", "application"]] {
        assert_eq!(says(&spinnaker(), &alfred, &person("p", roles), &HERE), Decision::Allow);
    }
    for roles in [&[][..], &["bar"], &["foo"], &["baz"]] {
        assert_eq!(
            says(&spinnaker(), &alfred, &person("p", roles), &HERE),
            Decision::Deny(Reason::MissingRole)
        );
    }
}

#[test]
fn an_account_without_roles_is_usable_by_nobody() {
    let everything = person("admin", &NAMES);
    assert_eq!(
        says(&spinnaker(), &account("alfred", &[]), &everything, &HERE),
        Decision::Deny(Reason::NoRoles)
    );
    for need in [Need::Any, Need::Every] {
        let empty = policy(vec![rule("*", Roles::Named(Vec::new()), need)]);
        assert_eq!(
            says(&empty, &account("alfred", &["foo"]), &everything, &HERE),
            Decision::Deny(Reason::NoRoles)
        );
    }
}

/// deployer by role application; bob has it.
fn application() -> (Policy, Account, Person) {
    let apps = policy(vec![rule("deployer", Roles::Named(refs(&["application"])), Need::Any)]);
    (apps, account("deployer", &[]), person("bob", &["application"]))
}

#[test]
fn a_person_without_the_role_and_an_account_without_a_rule_are_told_apart() {
    let (apps, deployer, bob) = application();
    assert_eq!(says(&apps, &deployer, &bob, &HERE), Decision::Allow);
    let carol = person("carol", &["foo"]);
    assert_eq!(says(&apps, &deployer, &carol, &HERE), Decision::Deny(Reason::NotInRole));
    assert_eq!(says(&apps, &account("jenkins", &[]), &bob, &HERE), Decision::Deny(Reason::NoRule));
    for reason in [Reason::UnknownKey, Reason::NoOrigin, Reason::AmbiguousOrigin] {
        let verdict = decide(&apps, &deployer, Origin::Unproven(reason), &HERE);
        assert_eq!(verdict.decision, Decision::Deny(reason));
    }
}

#[test]
fn disabled_and_expired_accounts_are_usable_by_nobody() {
    let (apps, deployer, bob) = application();
    let disabled = Account { disabled: true, ..deployer.clone() };
    assert_eq!(says(&apps, &disabled, &bob, &HERE), Decision::Deny(Reason::AccountDisabled));
    let expired = Account { expires: Some(HERE.now), ..deployer.clone() };
    assert_eq!(says(&apps, &expired, &bob, &HERE), Decision::Deny(Reason::AccountExpired));
    let expiring = Account { expires: Some(HERE.now + 1), ..deployer.clone() };
    assert_eq!(says(&apps, &expiring, &bob, &HERE), Decision::Allow);
    let locked = |until| Account { locked_until: Some(until), ..deployer.clone() };
    assert_eq!(says(&apps, &locked(HERE.now), &bob, &HERE), Decision::Allow);
    for until in [HERE.now + 1, u64::MAX] {
        assert_eq!(says(&apps, &locked(until), &bob, &HERE), Decision::Deny(Reason::AccountDisabled));
    }
    let told = flip(&apps, &locked(u64::MAX), &bob, &HERE);
    assert_eq!(told.as_deref(), Some("unlock deployer in the directory"));
}

#[test]
fn disabled_expired_and_locked_people_are_refused_whatever_their_roles() {
    let (apps, deployer, bob) = application();
    for (state, decision) in [
        (Person { disabled: true, ..bob.clone() }, Decision::Deny(Reason::PersonDisabled)),
        (Person { expires: Some(HERE.now), ..bob.clone() }, Decision::Deny(Reason::PersonExpired)),
        (Person { expires: Some(HERE.now + 1), ..bob.clone() }, Decision::Allow),
        (Person { locked_until: Some(HERE.now + 1), ..bob.clone() }, Decision::Deny(Reason::PersonLocked)),
        (Person { locked_until: Some(HERE.now), ..bob.clone() }, Decision::Allow),
    ] {
        assert_eq!(says(&apps, &deployer, &state, &HERE), decision, "{state:?}");
    }
}

#[test]
fn a_snapshot_decides_until_max_stale_and_never_at_an_unknown_age() {
    let (apps, deployer, bob) = application();
    let at = |age| says(&apps, &deployer, &bob, &Circumstances { age: Age(age), ..HERE });
    assert_eq!(at(Some(3599)), Decision::Allow);
    assert_eq!(at(Some(3600)), Decision::Deny(Reason::Stale));
    assert_eq!(at(None), Decision::Deny(Reason::Stale));
}

#[test]
fn root_is_let_in_whatever_the_state() {
    let (apps, deployer, _) = application();
    let at = Circumstances { age: Age(None), service: Some("cron"), ..HERE };
    assert!(decide(&apps, &Account { disabled: true, ..deployer }, Origin::Root, &at).is_allow());
}

#[test]
fn a_user_manager_needs_an_open_session_or_a_rule_and_always_a_usable_account() {
    let people = rule("deployer", Roles::Named(refs(&["application"])), Need::Any);
    let lingers = AccessRule { services: vec!["systemd-user".to_string()], ..people.clone() };
    let deployer = account("deployer", &[]);
    let at = Circumstances { service: Some("systemd-user"), ..HERE };
    let run = |rule, account: &Account, origin| decide(&policy(vec![rule]), account, origin, &at).decision;
    let from = AccessRule { from: vec!["10.0.0.0/8".parse().unwrap()], ..people.clone() };
    assert_eq!(run(people.clone(), &deployer, Origin::BesideSessions), Decision::Allow);
    assert_eq!(run(from, &deployer, Origin::BesideSessions), Decision::Allow);
    assert_eq!(run(lingers, &deployer, Origin::Local), Decision::Allow);
    let disabled = Account { disabled: true, ..deployer.clone() };
    for (rule, account, origin, reason) in [
        (people.clone(), &deployer, Origin::Local, Reason::ServiceNotAllowed),
        (people, &disabled, Origin::BesideSessions, Reason::AccountDisabled),
    ] {
        assert_eq!(run(rule, account, origin), Decision::Deny(reason));
    }
}

#[test]
fn a_job_of_the_account_runs_where_a_rule_names_its_service_and_nothing_else_is_local() {
    let bob = person("bob", &["application"]);
    let mut nightly = rule("deployer", Roles::Named(refs(&["application"])), Need::Every);
    nightly.services = vec!["cron".to_string(), "login".to_string()];
    let apps = policy(vec![nightly.clone()]);
    let deployer = account("deployer", &[]);
    let run = |policy: &Policy, account: &Account, service: Option<&'static str>| {
        decide(policy, account, Origin::Local, &Circumstances { service, ..HERE }).decision
    };
    assert_eq!(run(&apps, &deployer, Some("cron")), Decision::Allow);
    assert_eq!(run(&apps, &deployer, Some("atd")), Decision::Deny(Reason::ServiceNotAllowed));
    // A rule may name login: that is no job, and nobody is behind it.
    for service in [Some("login"), None] {
        assert_eq!(run(&apps, &deployer, service), Decision::Deny(Reason::NoOrigin), "{service:?}");
    }
    let disabled = Account { disabled: true, ..deployer.clone() };
    assert_eq!(run(&apps, &disabled, Some("cron")), Decision::Deny(Reason::AccountDisabled));
    assert_eq!(run(&apps, &account("jenkins", &[]), Some("cron")), Decision::Deny(Reason::NoRule));
    for (change, reason) in [
        (AccessRule { roles: Roles::Named(Vec::new()), ..nightly.clone() }, Reason::NoRoles),
        (
            AccessRule { from: vec!["0.0.0.0/0".parse().unwrap()], ..nightly.clone() },
            Reason::SourceNotAllowed,
        ),
        (AccessRule { hosts: vec![Pattern::new("db*")], ..nightly.clone() }, Reason::HostNotAllowed),
    ] {
        assert_eq!(run(&policy(vec![change]), &deployer, Some("cron")), Decision::Deny(reason));
    }
    let at = Circumstances { age: Age(Some(3600)), service: Some("cron"), ..HERE };
    assert_eq!(decide(&apps, &deployer, Origin::Local, &at).decision, Decision::Deny(Reason::Stale));
    let told = |account: &Account, service| {
        flip_job(&apps, account, &Circumstances { service: Some(service), ..HERE })
    };
    assert_eq!(told(&deployer, "cron"), None);
    assert_eq!(told(&deployer, "atd").as_deref(), Some("add the service to an access rule of deployer"));
    assert_eq!(told(&disabled, "cron").as_deref(), Some("enable deployer in the directory"));
    assert_eq!(told(&disabled, "atd"), None);
    // The same rule opens cron to nobody's login.
    assert_eq!(says(&apps, &deployer, &bob, &HERE), Decision::Deny(Reason::ServiceNotAllowed));
}

#[test]
fn an_account_whose_entry_names_hosts_is_usable_on_those_alone() {
    let (apps, deployer, bob) = application();
    let on = |hosts: &[&str]| {
        let hosts = hosts.iter().map(ToString::to_string).collect();
        says(&apps, &Account { hosts: Some(hosts), ..deployer.clone() }, &bob, &HERE)
    };
    for hosts in [&["*"][..], &["web1"], &["db1", "WEB1.Example.COM"], &["*", "!db1"], &["!web", "web1"]] {
        assert_eq!(on(hosts), Decision::Allow, "{hosts:?}");
    }
    for hosts in [
        &[][..],
        &["db1"],
        &["web"],
        &["web*"],
        &["web1.example"],
        &["!db1"],
        &["*", "!web1"],
        &["web1", "!WEB1.example.com"],
        &["!*", "web1"],
        &[""],
    ] {
        assert_eq!(on(hosts), Decision::Deny(Reason::HostNotAllowed), "{hosts:?}");
    }
    let elsewhere = Account { hosts: Some(vec!["db1".to_string()]), ..deployer.clone() };
    assert_eq!(
        flip(&apps, &elsewhere, &bob, &HERE).as_deref(),
        Some("name this host in the entry of deployer")
    );
    let nameless = Circumstances { hosts: &[], ..HERE };
    let anywhere = Account { hosts: Some(vec!["*".to_string()]), ..deployer };
    assert_eq!(says(&apps, &anywhere, &bob, &nameless), Decision::Deny(Reason::HostNotAllowed));
}

#[test]
fn hosts_and_addresses_limit_a_rule() {
    let mut only_web = rule("deployer", Roles::Named(refs(&["application"])), Need::Any);
    only_web.hosts = vec![Pattern::new("web*.example.com")];
    only_web.from = vec!["10.0.0.0/8".parse().unwrap()];
    let (policy, deployer, bob) =
        (policy(vec![only_web]), account("deployer", &[]), person("bob", &["application"]));
    let inside = Circumstances { source: Source::Address("10.1.2.3".parse().unwrap()), ..HERE };
    assert_eq!(says(&policy, &deployer, &bob, &inside), Decision::Allow);
    assert_eq!(
        says(&policy, &deployer, &bob, &Circumstances { source: Source::NotYetKnown, ..HERE }),
        Decision::Allow
    );
    for source in [Source::Local, Source::Address("192.0.2.1".parse().unwrap())] {
        let outside = Circumstances { source, ..HERE };
        assert_eq!(says(&policy, &deployer, &bob, &outside), Decision::Deny(Reason::SourceNotAllowed));
    }
    let elsewhere = Circumstances { hosts: &["db1", "db1.example.com"], ..inside };
    assert_eq!(says(&policy, &deployer, &bob, &elsewhere), Decision::Deny(Reason::HostNotAllowed));
}

#[test]
fn su_covers_su_with_a_login_shell_and_sudo_covers_sudo_i_and_nothing_covers_more() {
    let apps = policy(vec![rule("*", Roles::Named(refs(&["application"])), Need::Any)]);
    let bob = person("bob", &["application"]);
    let through = |service| {
        says(&apps, &account("deployer", &[]), &bob, &Circumstances { service: Some(service), ..HERE })
    };
    for service in ["su", "su-l", "sudo", "sudo-i", "sshd"] {
        assert_eq!(through(service), Decision::Allow, "{service}");
    }
    for service in ["", "SSHD", "runuser", "cron", "sudo-x", "systemd-user", "other"] {
        assert_eq!(through(service), Decision::Deny(Reason::ServiceNotAllowed), "{service}");
    }
}

#[test]
fn the_one_change_that_turns_a_decision_does_turn_it() {
    let apps = policy(vec![rule("deployer", Roles::Named(refs(&["application"])), Need::Any)]);
    let deployer = account("deployer", &[]);
    let change = |person: &Person| flip(&apps, &deployer, person, &HERE);
    assert_eq!(change(&person("carol", &[])).as_deref(), Some("add carol to application"));
    assert_eq!(change(&person("bob", &["application"])).as_deref(), Some("remove bob from application"));
    let two_steps = Person { disabled: true, ..person("carol", &[]) };
    assert_eq!(change(&two_steps), None);
    let traces = explain(&apps, &deployer, &person("carol", &[]), &HERE);
    assert_eq!(traces.len(), 1);
}

fn any_person() -> impl Strategy<Value = Person> {
    proptest::sample::subsequence(NAMES.to_vec(), 0..=NAMES.len()).prop_map(|roles| person("p", &roles))
}

fn any_rule() -> impl Strategy<Value = AccessRule> {
    let roles = prop_oneof![
        Just(Roles::MemberOf),
        proptest::sample::subsequence(NAMES.to_vec(), 0..=NAMES.len())
            .prop_map(|names| Roles::Named(refs(&names))),
    ];
    (proptest::sample::select(vec!["*", "deployer", "alfred"]), roles, any::<bool>()).prop_map(
        |(accounts, roles, every)| rule(accounts, roles, if every { Need::Every } else { Need::Any }),
    )
}

proptest! {
    #[test]
    fn more_roles_never_turn_allow_into_deny(
        rules in proptest::collection::vec(any_rule(), 0..5), less in any_person(), more in any_person(),
        own in proptest::sample::subsequence(NAMES.to_vec(), 0..=NAMES.len()),
    ) {
        let (policy, deployer) = (policy(rules), account("deployer", &own));
        let mut both = less.clone();
        both.held.extend(more.held);
        if says(&policy, &deployer, &less, &HERE) == Decision::Allow {
            prop_assert_eq!(says(&policy, &deployer, &both, &HERE), Decision::Allow);
        }
    }

    #[test]
    fn nobody_without_roles_is_ever_allowed(rules in proptest::collection::vec(any_rule(), 0..5)) {
        let verdict = decide(&policy(rules), &account("deployer", &["foo"]), Origin::Person(&person("p", &[])), &HERE);
        prop_assert!(!verdict.is_allow());
    }

    #[test]
    fn the_order_of_rules_and_roles_changes_no_decision(
        mut rules in proptest::collection::vec(any_rule(), 0..5), mut who in any_person(),
    ) {
        let deployer = account("deployer", &["foo", "bar"]);
        let before = says(&policy(rules.clone()), &deployer, &who, &HERE);
        rules.reverse();
        who.held.reverse();
        prop_assert_eq!(says(&policy(rules), &deployer, &who, &HERE), before);
    }

    #[test]
    fn whom_the_account_phase_denies_the_session_phase_denies_for_everybody(
        rules in proptest::collection::vec(any_rule(), 0..5), who in any_person(), age in proptest::option::of(0u64..8000),
    ) {
        let (policy, deployer) = (policy(rules), account("deployer", &["foo"]));
        let at = Circumstances { age: Age(age), ..HERE };
        if !decide_target(&policy, &deployer, &at).is_allow() {
            prop_assert!(!decide(&policy, &deployer, Origin::Person(&who), &at).is_allow());
        }
    }
}
