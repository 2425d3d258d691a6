//! A site with somebody for every reason to be refused.

use std::time::{SystemTime, UNIX_EPOCH};

use svcauth_core::origin::{Certificate, Fingerprint, Method, PublicKey, parse_auth_info};
use svcauth_core::policy::{
    AccessRule, Account, AuditMode, Held, Need, Pattern, Person, Policy, Role, RoleRef, Roles,
};
use svcauth_core::snapshot::Stamp;
use svcauth_core::snapshot::access::AccessFile;

/// What is published.
pub(crate) struct Site {
    pub(crate) policy: Policy,
    pub(crate) accounts: Vec<Account>,
    pub(crate) people: Vec<(Person, Vec<Fingerprint>, Vec<String>)>,
    pub(crate) created: u64,
}

/// The text that sshd writes for a login with this key or certificate.
pub(crate) fn by(fixture: &str) -> String {
    format!("publickey {}\n", words(fixture))
}

pub(crate) const BOB: &str = "key_ed25519.pub";
pub(crate) const CAROL: &str = "key_rsa.pub";
pub(crate) const DAVE: &str = "key_ecdsa256.pub";
pub(crate) const ERIN: &str = "key_ecdsa384.pub";
pub(crate) const FRANK: &str = "key_ecdsa521.pub";
pub(crate) const JOKER: &str = "key_sk_ed25519.pub";
/// A key that belongs to nobody.
pub(crate) const STRANGER: &str = "key_sk_ecdsa256.pub";
/// Key id `alice@example.com`, the key inside is bob's, signed by the site's authority.
pub(crate) const ALICE_CERT: &str = "plain-cert.pub";
/// Key id `robot@example.com`: nobody.
pub(crate) const ROBOT_CERT: &str = "options-cert.pub";
/// Signed by another authority.
pub(crate) const FOREIGN_CERT: &str = "rsa-cert.pub";

fn words(fixture: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../svcauth_core/tests/fixtures");
    let text = std::fs::read_to_string(format!("{folder}/{fixture}")).unwrap();
    let words: Vec<&str> = text.split_ascii_whitespace().take(2).collect();
    words.join(" ")
}

pub(crate) fn fingerprint(fixture: &str) -> Fingerprint {
    PublicKey::parse(&words(fixture)).unwrap().fingerprint()
}

pub(crate) fn certificate(fixture: &str) -> Certificate {
    match parse_auth_info(&by(fixture)).unwrap().remove(0) {
        Method::Certificate(certificate) => *certificate,
        other => panic!("{fixture} is {other:?}"),
    }
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

const APPLICATION: RoleRef = RoleRef(0);
const OTHER: RoleRef = RoleRef(1);
const FOO: RoleRef = RoleRef(2);
const BAR: RoleRef = RoleRef(3);

impl Site {
    pub(crate) fn usual() -> Self {
        let role =
            |name: &str| Role { name: name.to_owned(), id: Some(format!("id-of-{name}")), ..Role::default() };
        Self {
            policy: Policy {
                roles: ["application", "other", "foo", "bar"].map(role).into(),
                rules: rules(),
                max_stale: 3600,
                audit: AuditMode::Required,
                trusted_ca: vec![certificate(ALICE_CERT).ca],
                key_id: Some("{login}@example.com".to_owned()),
                id_range: "7000-7999".parse().unwrap(),
                local_accounts: vec!["postgres".to_owned()],
            },
            accounts: accounts(),
            people: people(),
            created: now(),
        }
    }

    pub(crate) fn snapshot(&self) -> Vec<u8> {
        let stamp = Stamp {
            generation: 42,
            created: self.created,
            seed: [1, 2],
            id_range: self.policy.id_range,
            counts: [0, 0, 0],
        };
        let mut file = AccessFile::new(stamp, &self.policy).unwrap();
        for account in &self.accounts {
            file.account(account).unwrap();
        }
        for (person, keys, principals) in &self.people {
            file.person(person, keys, principals).unwrap();
        }
        file.finish().unwrap()
    }
}

fn rule(account: &str, roles: Roles, need: Need) -> AccessRule {
    let services = ["sshd", "su", "sudo", "login", "runuser"].map(str::to_owned);
    AccessRule {
        line: 1,
        accounts: vec![Pattern::new(account)],
        roles,
        need,
        services: services.into(),
        hosts: Vec::new(),
        from: Vec::new(),
        limits: None,
    }
}

fn rules() -> Vec<AccessRule> {
    let of_application = |account| rule(account, Roles::Named(vec![APPLICATION]), Need::Any);
    vec![
        of_application("deployer"),
        of_application("jenkins"),
        of_application("postgres"),
        of_application("off"),
        of_application("old"),
        rule("alfred", Roles::MemberOf, Need::Every),
        rule("roleless", Roles::MemberOf, Need::Every),
        AccessRule { hosts: vec![Pattern::new("mars*")], ..of_application("elsewhere") },
        AccessRule { from: vec!["10.0.0.0/8".parse().unwrap()], ..of_application("near") },
        AccessRule { services: vec!["cron".to_owned()], ..of_application("nightly") },
    ]
}

fn accounts() -> Vec<Account> {
    let account = |name: &str, uid: u32| Account {
        name: name.to_owned(),
        id: format!("id-of-{name}"),
        uid: Some(uid),
        disabled: false,
        expires: None,
        locked_until: None,
        hosts: None,
        roles: Vec::new(),
    };
    vec![
        account("deployer", 7001),
        Account { roles: vec![FOO, BAR], ..account("alfred", 7002) },
        account("roleless", 7003),
        account("orphan", 7004),
        Account { disabled: true, ..account("off", 7005) },
        Account { expires: Some(1), ..account("old", 7006) },
        account("elsewhere", 7007),
        account("near", 7008),
        account("nightly", 7009),
        account("jenkins", 7010),
        Account { uid: None, ..account("postgres", 0) },
    ]
}

fn people() -> Vec<(Person, Vec<Fingerprint>, Vec<String>)> {
    let person = |login: &str, roles: &[RoleRef]| Person {
        login: login.to_owned(),
        id: format!("id-of-{login}"),
        disabled: false,
        expires: None,
        locked_until: None,
        held: roles.iter().map(|role| Held { role: *role, path: Vec::new() }).collect(),
    };
    let keys = |fixture| vec![fingerprint(fixture)];
    let dave = Person { disabled: true, ..person("dave", &[APPLICATION]) };
    let erin = Person { expires: Some(1), ..person("erin", &[APPLICATION]) };
    let frank = Person { locked_until: Some(u64::MAX), ..person("frank", &[APPLICATION]) };
    vec![
        (person("alice", &[APPLICATION]), Vec::new(), Vec::new()),
        (person("bob", &[APPLICATION]), keys(BOB), vec!["bob@EXAMPLE.COM".to_owned()]),
        (person("carol", &[OTHER]), keys(CAROL), vec!["carol@EXAMPLE.COM".to_owned()]),
        (dave, keys(DAVE), Vec::new()),
        (erin, keys(ERIN), Vec::new()),
        (frank, keys(FRANK), Vec::new()),
        (person("batman", &[FOO, BAR]), Vec::new(), vec!["batman@EXAMPLE.COM".to_owned()]),
        (person("joker", &[FOO]), keys(JOKER), Vec::new()),
    ]
}
