//! Whatever a directory says, and whatever a worker that has been taken over sends: no id outside the range and no name
//! of this host is ever published.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use svcauth_core::config::Config;
use svcauth_core::name::{check_account, check_field, check_group, check_login};
use svcauth_fuzz::pieces::Pieces;
use svcauth_fuzz::{sample, walk};
use svcauthd::candidate::{AccountEntry, Candidate, GroupEntry, Member, PersonEntry};
use svcauthd::directory::{Fetched, ldif};
use svcauthd::local_names::LocalNames;
use svcauthd::mapping::map;
use svcauthd::state::{RoleMemory, State, join, recheck, to_files};

const NAMES: &[&str] =
    &["deployer", "jenkins", "application", "alice", "bob", "root", "sudo", "Postgres", "a:b", "../x", "x\n"];
const DNS: &[&str] =
    &["uid=alice,dc=x", "uid=bob,dc=x", "cn=application,dc=x", "cn=nested,dc=x", "uid=deployer,dc=x"];
const IDS: &[u32] = &[7000, 7001, 7002, 7100, 0, 27, 105, 999, 7999, 8000, 65_534, u32::MAX];

static CONFIG: LazyLock<Config> = LazyLock::new(|| {
    Config::parse(include_str!("../../conf/svcauth.toml")).expect("the example configuration")
});
static LOCAL: LazyLock<LocalNames> = LazyLock::new(|| {
    let passwd = "root:x:0:0::/root:/bin/sh\npostgres:x:105:110::/:/bin/sh\nlocal:x:7500:7500::/:/bin/sh\n";
    LocalNames::parse(passwd, "root:x:0:\nsudo:x:27:\nlocal:x:7500:\n")
});

fuzz_target!(|bytes: &[u8]| {
    let mut pieces = Pieces(bytes);
    let from_directory = pieces.byte() & 1 == 0;
    let mut candidate = if from_directory { mapped(pieces.0) } else { hostile(&mut pieces) };
    for refusal in &candidate.refused {
        assert!(!refusal.why.chars().any(char::is_control) && !refusal.dn.chars().any(char::is_control));
    }
    let refused = candidate.refused.len();
    recheck(&mut candidate, &CONFIG, &LOCAL);
    // Root's look finds nothing in what an honest worker sends.
    assert!(!from_directory || candidate.refused.len() == refused, "{:?}", candidate.refused);
    let state = join(&candidate, &CONFIG, Vec::new(), &mut RoleMemory::default());
    published(&state);
    let Ok((files, _)) = to_files(state, sample::stamp()) else {
        // Two people with one key: a worker can have nothing published at all, but only by lying.
        assert!(!from_directory);
        return;
    };
    walk::accounts(&files.accounts).expect("it can be read");
    walk::access(&files.access).expect("it can be read");
});

/// All entries of an LDIF file, offered to every search.
fn mapped(bytes: &[u8]) -> Candidate {
    let entries = ldif::parse(bytes).unwrap_or_default();
    let fetched = Fetched {
        server: "file".to_owned(),
        accounts: entries.clone(),
        groups: entries.clone(),
        people: entries,
        domain: None,
    };
    map(fetched, &CONFIG, &LOCAL)
}

/// What nobody's mapping has checked.
fn hostile(from: &mut Pieces<'_>) -> Candidate {
    let mut candidate = Candidate::default();
    while !from.is_empty() && candidate.accounts.len() + candidate.groups.len() + candidate.people.len() < 64
    {
        match from.byte() % 3 {
            0 => candidate.accounts.push(account(from).into()),
            1 => candidate.groups.push(group(from).into()),
            _ => candidate.people.push(person(from).into()),
        }
    }
    candidate
}

fn id(from: &mut Pieces<'_>) -> u32 {
    IDS.get(usize::from(from.byte())).copied().unwrap_or_else(|| from.u32())
}

fn account(from: &mut Pieces<'_>) -> AccountEntry {
    AccountEntry {
        id: from.text(),
        dn: from.word(DNS),
        name: from.word(NAMES),
        uid: id(from),
        gid: id(from),
        gecos: from.text(),
        home: from.word(&["/home/x"]),
        shell: from.word(&["/bin/sh"]),
        member_of: (0..from.byte() % 4).map(|_| from.word(DNS)).collect(),
        disabled: from.byte() & 1 == 1,
        expires: (from.byte() & 1 == 1).then(|| from.u64()),
        primary: (from.byte() & 1 == 1).then(|| from.text()),
        locked_until: (from.byte() & 1 == 1).then(|| from.u64()),
        hosts: (from.byte() & 1 == 1)
            .then(|| (0..from.byte() % 3).map(|_| from.word(&["*", "web1", "!web1"])).collect()),
    }
}

fn group(from: &mut Pieces<'_>) -> GroupEntry {
    let member = |from: &mut Pieces<'_>| {
        if from.byte() & 1 == 0 { Member::Dn(from.word(DNS)) } else { Member::Login(from.word(NAMES)) }
    };
    GroupEntry {
        id: from.text(),
        dn: from.word(DNS),
        name: from.word(NAMES),
        gid: (from.byte() & 1 == 0).then(|| id(from)),
        members: (0..from.byte() % 8).map(|_| member(from)).collect(),
    }
}

fn person(from: &mut Pieces<'_>) -> PersonEntry {
    PersonEntry {
        id: from.text(),
        dn: from.word(DNS),
        login: from.word(NAMES),
        keys: (0..from.byte() % 3)
            .map(|_| from.word(&["SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"]))
            .collect(),
        principals: (0..from.byte() % 3).map(|_| from.word(&["bob@EXAMPLE.COM"])).collect(),
        disabled: from.byte() & 1 == 1,
        expires: (from.byte() & 1 == 1).then(|| from.u64()),
        locked_until: (from.byte() & 1 == 1).then(|| from.u64()),
        primary: (from.byte() & 1 == 1).then(|| from.text()),
    }
}

fn published(state: &State) {
    let range = CONFIG.accounts.id_range;
    for account in &state.passwd {
        assert!(range.contains(account.uid.get()) && range.contains(account.gid.get()));
        assert!(check_account(account.name.as_bytes()).is_ok() && !LOCAL.has_user(&account.name));
        assert!(!LOCAL.has_uid(account.uid.get()));
        for gid in &account.gids {
            assert!(range.contains(gid.get()) && !LOCAL.has_gid(gid.get()));
        }
        for field in [&account.gecos, &account.home, &account.shell] {
            assert!(check_field(field.as_bytes(), 1024).is_ok());
        }
    }
    for group in &state.groups {
        assert!(range.contains(group.gid.get()) && !LOCAL.has_gid(group.gid.get()));
        assert!(check_group(group.name.as_bytes()).is_ok() && !LOCAL.has_group(&group.name));
        assert!(group.members.iter().all(|member| check_login(member.as_bytes()).is_ok()));
    }
    for known in &state.people {
        assert!(check_login(known.person.login.as_bytes()).is_ok());
    }
    assert!(state.accounts.iter().all(|account| account.uid.is_none_or(|uid| range.contains(uid))));
}
