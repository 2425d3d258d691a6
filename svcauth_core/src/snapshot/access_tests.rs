//! `access.snap`: what is written is read back, and damage is never an answer.

use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use super::Stamp;
use super::access::{AccessFile, AccessSnapshot};
use crate::command::{Access, CommandRule, Files, Forwarding, Limits, Mode};
use crate::id::IdRange;
use crate::origin::Fingerprint;
use crate::policy::{
    AccessRule, Account, AuditMode, Held, Need, Pattern, Person, Policy, Role, RoleRef, Roles,
};
use crate::snapshot::Invalid;

fn limits() -> Limits {
    let files = Files { access: Access::Write, paths: vec!["/srv".to_string(), "/".to_string()] };
    let read = Files { access: Access::Read, ..files.clone() };
    let words = ["/bin/ls", "<re:[a-z]+>", "<any>", "<rest>"];
    Limits {
        mode: Mode::Learn,
        shell: true,
        commands: vec![
            CommandRule::Words(words.iter().map(|word| word.parse().unwrap()).collect()),
            CommandRule::Any,
            CommandRule::Rsync(files.clone()),
            CommandRule::Scp(read),
            CommandRule::Sftp(files.clone()),
            CommandRule::Git(files),
        ],
        forwarding: Forwarding::Remote,
        record: true,
    }
}

fn policy() -> Policy {
    let rule = AccessRule {
        line: 7,
        accounts: vec![Pattern::new("web-*"), Pattern::new("deployer")],
        roles: Roles::Named(vec![RoleRef(0), RoleRef(1)]),
        need: Need::Every,
        services: vec!["sshd".to_string()],
        hosts: vec![Pattern::new("web*")],
        from: vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
        limits: Some(limits()),
    };
    let own = AccessRule { roles: Roles::MemberOf, need: Need::Any, limits: None, ..rule.clone() };
    Policy {
        roles: vec![
            Role {
                name: "application".to_string(),
                id: Some("S-1-5-21-1".to_string()),
                words: vec!["app".to_string(), "cn=app".to_string()],
                ..Role::default()
            },
            Role {
                name: "again".to_string(),
                remembered: Some("S-1-5-21-2".to_string()),
                namesake: Some("S-1-5-21-3".to_string()),
                ..Role::default()
            },
        ],
        rules: vec![rule, own],
        max_stale: 86_400,
        audit: AuditMode::BestEffort,
        trusted_ca: vec![Fingerprint::of(b"ca")],
        key_id: Some("{login}@example.com".to_string()),
        id_range: IdRange::new(7000, 7999).unwrap(),
        local_accounts: vec!["postgres".to_string()],
    }
}

fn account(name: &str) -> Account {
    Account {
        name: name.to_string(),
        id: "0-1".to_string(),
        uid: Some(7001),
        disabled: true,
        expires: Some(9),
        locked_until: Some(10),
        hosts: Some(vec!["web1".to_string(), "!web2".to_string()]),
        roles: vec![RoleRef(1)],
    }
}

fn person() -> Person {
    Person {
        login: "bob".to_string(),
        id: "0-2".to_string(),
        disabled: false,
        expires: None,
        locked_until: Some(u64::MAX),
        held: vec![Held { role: RoleRef(0), path: vec!["ops".to_string(), "application".to_string()] }],
    }
}

fn file() -> Vec<u8> {
    let id_range = IdRange::new(7000, 7999).unwrap();
    let stamp = Stamp { generation: 3, created: 5, seed: [1, 2], id_range, counts: [2, 0, 1] };
    let mut file = AccessFile::new(stamp, &policy()).unwrap();
    file.account(&account("deployer")).unwrap();
    file.account(&account("jenkins")).unwrap();
    file.person(&person(), &[Fingerprint::of(b"key")], &["bob@EXAMPLE.COM".to_string()]).unwrap();
    file.finish().unwrap()
}

fn open(file: &[u8]) -> Result<AccessSnapshot<&[u8]>, Invalid> {
    AccessSnapshot::open(file, file.len() as u64)
}

type Answers = (Policy, Option<Account>, Option<Account>, Option<String>, Option<String>);

/// Everything that a decision reads.
fn answers(file: &[u8]) -> Result<Answers, Invalid> {
    let snapshot = open(file)?;
    Ok((
        snapshot.policy()?,
        snapshot.account("deployer")?,
        snapshot.account("stranger")?,
        snapshot.person_by_key(&Fingerprint::of(b"key"))?.map(|known| known.person.login),
        snapshot.person_by_principal("bob@EXAMPLE.COM")?.map(|known| known.person.login),
    ))
}

#[test]
fn what_is_written_is_read_back() {
    let file = file();
    let (policy_read, deployer, stranger, by_key, by_principal) = answers(&file).unwrap();
    assert_eq!(policy_read, policy());
    assert_eq!((deployer, stranger), (Some(account("deployer")), None));
    assert_eq!((by_key.as_deref(), by_principal.as_deref()), (Some("bob"), Some("bob")));
    let snapshot = open(&file).unwrap();
    assert_eq!(snapshot.person("bob").unwrap().unwrap().person, person());
    assert_eq!((snapshot.accounts().unwrap().len(), snapshot.people().unwrap().len()), (2, 1));
    assert_eq!(snapshot.person("Bob").unwrap(), None);
    assert_eq!(snapshot.person_by_principal("bob@example.com").unwrap(), None);
    assert_eq!(snapshot.person_by_key(&Fingerprint::of(b"other")).unwrap(), None);
}

#[test]
fn a_flipped_bit_or_a_cut_never_changes_what_a_decision_reads() {
    let file = file();
    let right = answers(&file).unwrap();
    let mut noticed = 0;
    for at in 0..file.len() {
        let mut damaged = file.clone();
        damaged[at] ^= 1 << (at % 8);
        match answers(&damaged) {
            Ok(answer) => assert_eq!(answer, right, "byte {at}"),
            Err(_) => noticed += 1,
        }
        assert!(open(&file[..at]).is_err(), "cut at {at}");
    }
    assert!(noticed > 2048, "{noticed}");
}
