//! A host to report about, whose names a test chooses.

use svcauth_core::id::IdRange;
use svcauth_core::policy::{
    AccessRule, Account, Age, AuditMode, Held, Need, Pattern, Person, Policy, Role, RoleRef, Roles, Source,
};

use super::about::About;
use super::access::{Here, Inventory, Service, Wish};

/// Names of every kind that a report shows.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) host: String,
    pub(super) accounts: Vec<String>,
    pub(super) people: Vec<String>,
    pub(super) role: String,
    pub(super) group: String,
    pub(super) service: String,
}

impl Names {
    pub(super) fn plain() -> Self {
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect();
        Self {
            host: "web1.example.com".to_owned(),
            accounts: words(&["deployer", "jenkins", "unused"]),
            people: words(&["alice", "bob", "carol"]),
            role: "application".to_owned(),
            group: "team".to_owned(),
            service: "sshd".to_owned(),
        }
    }

    /// The same text in every place; accounts and people are told apart by what is behind it.
    pub(super) fn all(text: &str) -> Self {
        let numbered = || (0..3).map(|number| format!("{text}{number}")).collect();
        Self {
            host: text.to_owned(),
            accounts: numbered(),
            people: numbered(),
            role: text.to_owned(),
            group: text.to_owned(),
            service: text.to_owned(),
        }
    }
}

/// What [`with`] gives.
pub(super) struct Sample<'a> {
    pub(super) about: About,
    pub(super) inventory: Inventory<'a>,
    pub(super) wish: Wish<'a>,
}

fn policy(names: &Names) -> Policy {
    let role = Role { name: names.role.clone(), id: Some(names.role.clone()), ..Role::default() };
    let rule = AccessRule {
        line: 42,
        accounts: names.accounts.iter().take(2).map(|name| Pattern::new(name.clone())).collect(),
        roles: Roles::Named(vec![RoleRef(0)]),
        need: Need::Any,
        services: vec![names.service.clone()],
        hosts: Vec::new(),
        from: vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
        limits: None,
    };
    Policy {
        roles: vec![role],
        rules: vec![rule],
        max_stale: 86_400,
        audit: AuditMode::Required,
        trusted_ca: Vec::new(),
        key_id: None,
        id_range: IdRange::new(7000, 7999).unwrap(),
        local_accounts: Vec::new(),
    }
}

/// A host where the first person may use two accounts directly, the second one by another group, and the third is disabled.
pub(super) fn with<T>(names: &Names, then: impl FnOnce(&Sample<'_>) -> T) -> T {
    let policy = policy(names);
    let account = |name: &String| Account {
        name: name.clone(),
        id: name.clone(),
        uid: Some(7001),
        ..Account::default()
    };
    let accounts: Vec<Account> = names.accounts.iter().map(account).collect();
    let path = |place: usize| match place {
        1 => vec![names.group.clone(), names.role.clone()],
        _ => vec![names.role.clone()],
    };
    let person = |(place, login): (usize, &String)| Person {
        login: login.clone(),
        id: login.clone(),
        disabled: place == 2,
        held: vec![Held { role: RoleRef(0), path: path(place) }],
        ..Person::default()
    };
    let people: Vec<Person> = names.people.iter().enumerate().map(person).collect();
    let services = [Service { word: names.service.clone(), source: Source::NotYetKnown }];
    let here = Here { hosts: &["web1"], now: 1_000_000, age: Age(Some(3)) };
    let about = About {
        report: "access",
        host: names.host.clone(),
        generation: 42,
        age_seconds: Some(3),
        made: "2026-01-31T08:15:00Z".to_owned(),
        made_by: names.host.clone(),
        account: Some(names.host.clone()),
        services_without_proof: vec![names.service.clone()],
        ..About::default()
    };
    let inventory = Inventory::new(&policy, &accounts, people.iter(), &services, here);
    then(&Sample { about, inventory, wish: Wish::default() })
}
