//! Small right files, made by the product's own builder.

use svcauth_core::id::{Gid, IdRange, Uid};
use svcauth_core::origin::Fingerprint;
use svcauth_core::policy::{
    AccessRule, Account, AuditMode, Held, Need, Network, Pattern, Person, Policy, Role, RoleRef, Roles,
};
use svcauth_core::snapshot::access::AccessFile;
use svcauth_core::snapshot::{AccountsFile, NewAccount, NewGroup, Stamp};

/// The stamp of all samples: the same input must always give the same file.
pub fn stamp() -> Stamp {
    Stamp {
        generation: 42,
        created: 1_700_000_000,
        seed: [7, !7],
        id_range: IdRange::new(7000, 7999).unwrap(),
        counts: [2, 1, 1],
    }
}

/// bob's key in the samples.
pub fn key() -> Fingerprint {
    Fingerprint::from_bytes([0xb0; 32])
}

/// `accounts.snap` with deployer and jenkins, and application with two members.
pub fn accounts() -> Vec<u8> {
    let mut file = AccountsFile::new(stamp()).unwrap();
    for (name, uid) in [("deployer", 7001), ("jenkins", 7002)] {
        let account = NewAccount {
            name: name.to_owned(),
            uid: Uid::new(uid).unwrap(),
            gid: Gid::new(7000).unwrap(),
            gecos: "Deploy robot".to_owned(),
            home: format!("/home/{name}"),
            shell: "/bin/bash".to_owned(),
            gids: vec![Gid::new(7000).unwrap(), Gid::new(7100).unwrap()],
        };
        file.account(&account).unwrap();
    }
    let group = NewGroup {
        name: "application".to_owned(),
        gid: Gid::new(7100).unwrap(),
        members: vec!["alice".to_owned(), "bob".to_owned()],
    };
    file.group(&group).unwrap();
    file.finish().unwrap()
}

/// One rule of each kind, and every optional field filled.
pub fn policy() -> Policy {
    let named = AccessRule {
        line: 12,
        accounts: vec![Pattern::new("deployer")],
        roles: Roles::Named(vec![RoleRef(0)]),
        need: Need::Any,
        services: vec!["sshd".to_owned(), "su".to_owned()],
        hosts: vec![Pattern::new("web*")],
        from: vec![Network::new([10, 0, 0, 0].into(), 8).unwrap()],
        limits: None,
    };
    let own = AccessRule {
        line: 20,
        accounts: vec![Pattern::new("*")],
        roles: Roles::MemberOf,
        need: Need::Every,
        services: vec!["sshd".to_owned()],
        hosts: Vec::new(),
        from: Vec::new(),
        limits: None,
    };
    let role = |name: &str, id: Option<&str>| Role { name: name.to_owned(), id: id.map(str::to_owned), ..Role::default() };
    Policy {
        roles: vec![role("application", Some("5b2b1a9a")), role("gone", None)],
        rules: vec![named, own],
        max_stale: 86_400,
        audit: AuditMode::Required,
        trusted_ca: vec![Fingerprint::from_bytes([0xca; 32])],
        key_id: Some("{login}@example.com".to_owned()),
        id_range: stamp().id_range,
        local_accounts: vec!["postgres".to_owned()],
    }
}

/// deployer as decisions see it.
pub fn account() -> Account {
    Account {
        name: "deployer".to_owned(),
        id: "a1".to_owned(),
        uid: Some(7001),
        disabled: false,
        expires: Some(1_800_000_000),
        locked_until: Some(1_600_000_000),
        hosts: Some(vec!["*".to_owned(), "!web2".to_owned()]),
        roles: vec![RoleRef(0)],
    }
}

/// bob, who holds the role.
pub fn person() -> Person {
    Person {
        login: "bob".to_owned(),
        id: "b0".to_owned(),
        disabled: false,
        expires: None,
        locked_until: Some(1_600_000_000),
        held: vec![Held { role: RoleRef(0), path: vec!["developers".to_owned()] }],
    }
}

/// `access.snap` with all of that.
pub fn access() -> Vec<u8> {
    let mut file = AccessFile::new(stamp(), &policy()).unwrap();
    file.account(&account()).unwrap();
    file.person(&person(), &[key()], &["bob@EXAMPLE.COM".to_owned()]).unwrap();
    file.finish().unwrap()
}
