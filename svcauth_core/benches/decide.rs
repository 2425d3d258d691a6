//! One decision as PAM makes it: policy, account and person out of `access.snap`, then `decide`; at 1k to 100k people.
//!
//! The first bench, the decision alone, is the baseline of the run; what the others add is the lookup. The snapshot lies
//! in memory, so no system call is in these numbers.
#![allow(clippy::unwrap_used, missing_docs, reason = "a bench that cannot set itself up must stop")]

use divan::{Bencher, black_box};
use svcauth_core::id::IdRange;
use svcauth_core::origin::Fingerprint;
use svcauth_core::policy::{
    AccessRule, Account, Age, AuditMode, Circumstances, Held, Need, Origin, Pattern, Person, Policy, Role,
    RoleRef, Roles, Source, decide,
};
use svcauth_core::snapshot::Stamp;
use svcauth_core::snapshot::access::{AccessFile, AccessSnapshot};

fn main() {
    divan::main();
}

fn policy() -> Policy {
    let rule = AccessRule {
        line: 1,
        accounts: vec![Pattern::new("*")],
        roles: Roles::Named((0..10).map(RoleRef).collect()),
        need: Need::Any,
        services: vec!["sshd".into(), "su".into()],
        hosts: Vec::new(),
        from: vec!["10.0.0.0/8".parse().unwrap()],
        limits: None,
    };
    Policy {
        roles: (0..20)
            .map(|role| Role {
                name: format!("role{role}"),
                id: Some(format!("id{role}")),
                ..Role::default()
            })
            .collect(),
        rules: vec![rule; 10],
        max_stale: 86_400,
        audit: AuditMode::Required,
        trusted_ca: Vec::new(),
        key_id: None,
        id_range: IdRange::new(100_000, 2_000_000).unwrap(),
        local_accounts: Vec::new(),
    }
}

fn person(index: u32) -> Person {
    let held =
        vec![Held { role: RoleRef(index % 20), path: vec!["team".into(), format!("role{}", index % 20)] }];
    Person {
        login: format!("person{index:06}"),
        id: index.to_string(),
        disabled: false,
        expires: None,
        locked_until: None,
        held,
    }
}

fn key(index: u32) -> Fingerprint {
    Fingerprint::of(&index.to_le_bytes())
}

fn account() -> Account {
    Account {
        name: "deployer".into(),
        id: "1".into(),
        uid: Some(100_001),
        disabled: false,
        expires: None,
        locked_until: None,
        hosts: None,
        roles: Vec::new(),
    }
}

fn snapshot(people: u32) -> Vec<u8> {
    let id_range = IdRange::new(100_000, 2_000_000).unwrap();
    let stamp = Stamp { generation: 1, created: 1, seed: [1, 2], id_range, counts: [1, 0, people] };
    let mut file = AccessFile::new(stamp, &policy()).unwrap();
    file.account(&account()).unwrap();
    for index in 0..people {
        file.person(&person(index), &[key(index)], &[]).unwrap();
    }
    file.finish().unwrap()
}

const AT: Circumstances<'static> = Circumstances {
    service: Some("sshd"),
    hosts: &["web1"],
    source: Source::Address(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1))),
    now: 1,
    age: Age(Some(0)),
};

#[divan::bench]
fn decide_alone(bencher: Bencher) {
    let (policy, account, person) = (policy(), account(), person(3));
    bencher.bench(|| {
        assert!(decide(black_box(&policy), &account, Origin::Person(black_box(&person)), &AT).is_allow())
    });
}

#[divan::bench(args = [1_000, 10_000, 100_000])]
fn decide_by_key(bencher: Bencher, people: u32) {
    let file = snapshot(people);
    let wanted = key(people / 2 + 3);
    bencher.bench(|| {
        let snapshot = AccessSnapshot::open(black_box(file.as_slice()), file.len() as u64).unwrap();
        let policy = snapshot.policy().unwrap();
        let account = snapshot.account("deployer").unwrap().unwrap();
        let known = snapshot.person_by_key(&wanted).unwrap().unwrap();
        decide(&policy, &account, Origin::Person(&known.person), &AT)
    });
}
