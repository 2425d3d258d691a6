//! What the tests of this room share: a snapshot with limits.

use svcauth_core::command::Limits;
use svcauth_core::id::IdRange;
use svcauth_core::policy::{
    AccessRule, Account, AuditMode, Held, Need, Pattern, Person, Policy, Role, RoleRef, Roles,
};
use svcauth_core::snapshot::Stamp;
use svcauth_core::snapshot::access::AccessFile;

/// A rule that grants `deployer` to a role.
pub(super) fn rule(role: u32, limits: Option<Limits>) -> AccessRule {
    AccessRule {
        line: 1,
        accounts: vec![Pattern::new("deployer")],
        roles: Roles::Named(vec![RoleRef(role)]),
        need: Need::Any,
        services: vec!["sshd".to_owned()],
        hosts: Vec::new(),
        from: vec!["10.0.0.0/8".parse().unwrap()],
        limits,
    }
}

pub(super) fn policy(rules: Vec<AccessRule>) -> Policy {
    let role = |name: &str| Role { name: name.to_owned(), id: Some(name.to_owned()), ..Role::default() };
    Policy {
        roles: vec![role("application"), role("dba")],
        rules,
        max_stale: 3600,
        audit: AuditMode::Required,
        trusted_ca: Vec::new(),
        key_id: None,
        id_range: IdRange::new(7000, 7999).unwrap(),
        local_accounts: Vec::new(),
    }
}

pub(super) fn person(login: &str, roles: &[u32]) -> Person {
    let held = roles.iter().map(|role| Held { role: RoleRef(*role), path: Vec::new() }).collect();
    Person { held, ..Person::without_roles(login) }
}

/// `access.snap` with the account `deployer`.
pub(super) fn snapshot(policy: &Policy, people: &[Person]) -> Vec<u8> {
    let counts = [1, 0, 2];
    let stamp = Stamp { generation: 1, created: 1, seed: [1, 2], id_range: policy.id_range, counts };
    let mut file = AccessFile::new(stamp, policy).unwrap();
    file.account(&account()).unwrap();
    people.iter().for_each(|person| file.person(person, &[], &[]).unwrap());
    file.finish().unwrap()
}

pub(super) fn account() -> Account {
    Account {
        name: "deployer".to_owned(),
        id: "1".to_owned(),
        uid: Some(7001),
        disabled: false,
        expires: None,
        locked_until: None,
        hosts: None,
        roles: Vec::new(),
    }
}
