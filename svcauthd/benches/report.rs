//! What reports cost: 100,000 accounts and 20,000 people, each account with a role of its own, and some roles for many.
//!
//! `cargo bench -p svcauthd --bench report -- page FILE` (or `keys FILE`) writes a page as a site of some dozens would see it.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a bench that cannot set itself up must stop"
)]

use std::io::{self, Write};
use std::time::Instant;

use svcauth_core::id::IdRange;
use svcauth_core::origin::Fingerprint;
use svcauth_core::policy::{
    AccessRule, Account, Age, AuditMode, Held, Need, Pattern, Person, Policy, Role, RoleRef, Roles,
};
use svcauth_core::snapshot::access::KnownPerson;
use svcauthd::report::about::About;
use svcauthd::report::access::{Here, Inventory, Service, Which, Wish};
use svcauthd::report::keys::{KeyState, Keys, LocalKey, UnreadFile};
use svcauthd::report::usage::Usage;
use svcauthd::report::{access_rows, csv, html};
use svcauthd::trail::Entry;

struct Site {
    policy: Policy,
    accounts: Vec<Account>,
    people: Vec<Person>,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["page", file, ..] => ask(&dozens(), |inventory| {
            let mut file = std::fs::File::create(file).unwrap();
            html::access::write(&mut file, &about(), inventory, Wish::default()).unwrap();
        }),
        ["keys", file, ..] => ask(&dozens(), |inventory| {
            let mut file = std::fs::File::create(file).unwrap();
            keys_page(&mut file, inventory).unwrap();
        }),
        _ => {
            for (accounts, people) in [(1000, 200), (10_000, 2000), (100_000, 20_000)] {
                measure(&thousands(accounts, people));
            }
        }
    }
}

fn measure(site: &Site) {
    let (accounts, people) = (site.accounts.len(), site.people.len());
    ask(site, |inventory| {
        let mut rows = 0_u64;
        let all = timed(|_| {
            inventory.visit(Which::Access, Wish::default(), &mut |_| {
                rows += 1;
                Ok(())
            })
        });
        println!("{accounts} accounts, {people} people: {rows} rows");
        println!("  decided    {all}");
        let csv = timed(|out| {
            inventory.visit(Which::Access, Wish::default(), &mut |grant| {
                csv::line(out, access_rows::cells(grant).iter().map(String::as_str))
            })
        });
        println!("  csv        {csv}");
        println!(
            "  json       {}",
            timed(|out| access_rows::json(out, &about(), inventory, Wish::default()))
        );
        println!(
            "  html       {}",
            timed(|out| html::access::write(out, &about(), inventory, Wish::default()).map(drop))
        );
        let wish = Wish { account: Some("svc000007"), ..Wish::default() };
        println!("  one of all {}", timed(|out| access_rows::json(out, &about(), inventory, wish)));
    });
}

/// Counts what is written, and keeps nothing.
struct Counter(u64);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn timed(run: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> String {
    let started = Instant::now();
    let mut out = Counter(0);
    run(&mut out).unwrap();
    format!("{:>9.1} ms {:>8} KiB", started.elapsed().as_secs_f64() * 1000.0, out.0 / 1024)
}

fn about() -> About {
    About {
        report: "access",
        host: "web1.example.com".to_owned(),
        generation: 4711,
        age_seconds: Some(12),
        made: "2026-01-31T08:15:00Z".to_owned(),
        made_by: "root, logged in as alice".to_owned(),
        ..About::default()
    }
}

fn ask(site: &Site, then: impl FnOnce(&Inventory<'_>)) {
    let services = Service::all_of(&site.policy);
    let here = Here { hosts: &["web1.example.com", "web1"], now: 1_800_000_000, age: Age(Some(12)) };
    then(&Inventory::new(&site.policy, &site.accounts, site.people.iter(), &services, here));
}

fn policy(roles: Vec<String>, rules: Vec<AccessRule>) -> Policy {
    let role = |name: String| Role { id: Some(format!("id-{name}")), name, ..Role::default() };
    Policy {
        roles: roles.into_iter().map(role).collect(),
        rules,
        max_stale: 86_400,
        audit: AuditMode::Required,
        trusted_ca: Vec::new(),
        key_id: None,
        id_range: IdRange::new(100_000, 1_000_000).unwrap(),
        local_accounts: Vec::new(),
    }
}

fn rule(line: u32, accounts: &str, roles: Roles, services: &[&str]) -> AccessRule {
    AccessRule {
        line,
        accounts: vec![Pattern::new(accounts)],
        roles,
        need: Need::Any,
        services: services.iter().map(ToString::to_string).collect(),
        hosts: Vec::new(),
        from: Vec::new(),
        limits: None,
    }
}

fn account(name: String, uid: u32, roles: Vec<RoleRef>) -> Account {
    Account { id: name.clone(), name, uid: Some(uid), roles, ..Account::default() }
}

fn person(login: String, held: Vec<Held>) -> Person {
    Person { id: login.clone(), login, held, ..Person::default() }
}

/// A group of 20 people for every 20 accounts, which are in it, too; one that every hundredth account wants has 500.
fn thousands(accounts: u32, people: u32) -> Site {
    let groups = accounts / 20;
    let all = ["sshd", "su", "sudo"];
    let mut rules = vec![rule(10, "*", Roles::MemberOf, &all)];
    rules.push(rule(20, "svc*00", Roles::Named(vec![RoleRef(groups)]), &all));
    for number in 0..50 {
        rules.push(rule(
            30 + number,
            &format!("nothing{number}*"),
            Roles::Named(vec![RoleRef(number)]),
            &all,
        ));
    }
    let mut names: Vec<String> = (0..groups).map(|group| format!("group{group}")).collect();
    names.push("operators".to_owned());
    let held =
        |role: u32| Held { role: RoleRef(role), path: vec!["team".to_owned(), format!("group{role}")] };
    let member_of = |number: u32| -> Vec<Held> {
        let mine = groups * 20 / people;
        let mut held: Vec<Held> =
            (0..mine.max(1)).map(|nth| held((number + nth * people / 20) % groups)).collect();
        if number % (people / 500).max(1) == 0 {
            held.push(Held { role: RoleRef(groups), path: vec!["operators".to_owned()] });
        }
        held
    };
    Site {
        policy: policy(names, rules),
        accounts: (0..accounts)
            .map(|n| account(format!("svc{n:06}"), 100_000 + n, vec![RoleRef(n / 20)]))
            .collect(),
        people: (0..people).map(|n| person(format!("person{n:05}"), member_of(n))).collect(),
    }
}

/// Accounts and the roles that may use them.
const ALL: [(&str, &[u32]); 9] = [
    ("deployer", &[0]),
    ("web-cache", &[0]),
    ("postgres", &[1]),
    ("redis", &[1]),
    ("jenkins", &[2]),
    ("artifacts", &[2, 0]),
    ("payments", &[3]),
    ("prometheus", &[4]),
    ("borg", &[5, 1]),
];

/// People, the role that they hold, and the way to it.
const WAYS: [(&str, u32, &[&str]); 20] = [
    ("alice", 0, &["team-web", "web-deploy"]),
    ("bob", 0, &["team-web", "web-deploy"]),
    ("chen", 0, &["web-deploy"]),
    ("dana", 0, &["contractors-2026", "team-web", "web-deploy"]),
    ("erik", 1, &["db-operators"]),
    ("fatima", 1, &["team-data", "db-operators"]),
    ("giulia", 1, &["team-data", "db-operators"]),
    ("hugo", 2, &["build"]),
    ("ines", 2, &["team-platform", "build"]),
    ("jonas", 2, &["team-platform", "build"]),
    ("kofi", 3, &["payments-oncall"]),
    ("lena", 3, &["payments-oncall"]),
    ("mateo", 4, &["team-platform", "monitoring"]),
    ("nadia", 4, &["sre", "team-platform", "monitoring"]),
    ("olaf", 5, &["backup"]),
    ("priya", 0, &["team-web", "web-deploy"]),
    ("quentin", 1, &["team-data", "db-operators"]),
    ("rosa", 5, &["backup"]),
    ("sven", 3, &["payments-oncall"]),
    ("tariq", 0, &["contractors-2026", "team-web", "web-deploy"]),
];

/// Some keys in homes, and half a year of use.
fn keys_page(out: &mut dyn Write, inventory: &Inventory<'_>) -> io::Result<()> {
    let now = 1_800_000_000;
    let mut usage = Usage::default();
    let mut known = Vec::new();
    for (place, person) in (0_u64..).zip(inventory.people()) {
        let key = Fingerprint::of(person.login.as_bytes());
        let entry = Entry {
            time: Some((now - 86_400 * (180 - 7 * place)) * 1_000_000),
            event: "decision".to_owned(),
            decision: Some(if place % 3 == 0 { "deny" } else { "allow" }.to_owned()),
            account: Some("deployer".to_owned()),
            origin: Some(person.login.clone()),
            key_fingerprint: Some(key.to_string()),
            ..Entry::default()
        };
        usage.add(&entry);
        known.push(KnownPerson { person: (*person).clone(), keys: vec![key], principals: Vec::new() });
    }
    let local = local_keys(inventory);
    let (account, file) = ("jenkins".to_owned(), "/home/jenkins/.ssh/authorized_keys".to_owned());
    let unread = vec![UnreadFile { account, file, why: "a symbolic link, not followed".to_owned() }];
    let (people, usage) = (&known, &usage);
    let keys = Keys { local, unread, inventory, people, usage, unreadable_lines: 0, days: 90, now };
    html::keys::write(out, &about(), &keys)
}

fn local_keys(inventory: &Inventory<'_>) -> Vec<LocalKey> {
    let states = [
        KeyState::Owned,
        KeyState::Nobody,
        KeyState::NoAccess,
        KeyState::Authority,
        KeyState::TrustedAuthority,
    ];
    let mut local = Vec::new();
    for (line, (state, account)) in (1..).zip(states.into_iter().zip(inventory.accounts())) {
        let has_owner = matches!(state, KeyState::Owned | KeyState::NoAccess);
        local.push(LocalKey {
            account: account.name.clone(),
            file: format!("/home/{}/.ssh/authorized_keys", account.name),
            line,
            key_type: "ssh-ed25519".to_owned(),
            fingerprint: Fingerprint::of(account.name.as_bytes()).to_string(),
            state,
            owner: has_owner.then(|| "erik".to_owned()),
        });
    }
    local
}

/// Who may become what in a small company.
fn dozens() -> Site {
    let roles = ["web-deploy", "db-operators", "build", "payments-oncall", "monitoring", "backup"];
    let services: &[&str] = &["sshd", "su", "sudo"];
    let rules = (0..).zip(ALL).map(|(at, (name, wanted))| {
        let mut rule =
            rule(40 + at * 7, name, Roles::Named(wanted.iter().copied().map(RoleRef).collect()), services);
        if name == "payments" {
            rule.from = vec!["10.20.0.0/16".parse().unwrap()];
        }
        rule
    });
    let path = |path: &[&str]| path.iter().map(ToString::to_string).collect();
    let mut people: Vec<Person> = WAYS
        .iter()
        .map(|(login, role, way)| {
            person((*login).to_owned(), vec![Held { role: RoleRef(*role), path: path(way) }])
        })
        .collect();
    people.push(person("ulla".to_owned(), Vec::new()));
    people.iter_mut().filter(|person| person.login == "tariq").for_each(|person| person.disabled = true);
    people
        .iter_mut()
        .filter(|person| person.login == "sven")
        .for_each(|person| person.expires = Some(1_700_000_000));
    let names = ALL.iter().map(|(name, _)| *name).chain(["legacy-ftp", "mailman"]);
    let accounts = (7001..).zip(names).map(|(uid, name)| account(name.to_owned(), uid, Vec::new())).collect();
    Site { policy: policy(roles.map(str::to_owned).to_vec(), rules.collect()), accounts, people }
}
