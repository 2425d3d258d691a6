//! Joining, building and publishing a candidate, at 1k to 100k accounts with a fifth as many people.
//!
//! `write_and_fsync` writes as many bytes in one piece to the same file system and is the baseline of the run.
#![allow(clippy::unwrap_used, missing_docs, reason = "a bench that cannot set itself up must stop")]

use std::io::Write;

use divan::Bencher;
use svcauth_core::config::Config;
use svcauth_core::origin::Fingerprint;
use svcauth_core::snapshot::Stamp;
use svcauthd::candidate::{AccountEntry, Candidate, GroupEntry, Member, PersonEntry};
use svcauthd::local_names::LocalNames;
use svcauthd::state::{RoleMemory, join, recheck, to_files};
use svcauthd::state_dir::{Readers, StateDir};

fn main() {
    divan::main();
}

fn config() -> Config {
    Config::parse(
        "[directory]\nkind = \"ldif\"\nfile = \"/x\"\n[accounts]\nid_range = \"100000-1000000\"\n\
         [[access]]\naccounts = [\"*\"]\nroles = [\"group1\", \"group2\"]\n",
    )
    .unwrap()
}

fn account(index: u32) -> AccountEntry {
    AccountEntry {
        id: format!("00000000-0000-0000-0000-{index:012}"),
        dn: format!("uid=svc{index:06},ou=accounts,dc=example,dc=com"),
        name: format!("svc{index:06}"),
        uid: 100_000 + index,
        gid: 100_000 + index,
        gecos: "Service account".into(),
        home: format!("/srv/svc{index:06}"),
        shell: "/bin/sh".into(),
        member_of: Vec::new(),
        ..AccountEntry::default()
    }
}

fn candidate(accounts: u32) -> Candidate {
    let people = accounts / 5;
    let member = |group: u32, nth: u32| {
        Member::Dn(format!("uid=person{:06},ou=people,dc=example,dc=com", (group * 7 + nth * 13) % people))
    };
    Candidate::of(
        (0..accounts).map(account).collect(),
        (0..accounts / 20)
            .map(|group| GroupEntry {
                id: format!("g{group}"),
                dn: format!("cn=group{group},ou=groups,dc=example,dc=com"),
                name: format!("group{group}"),
                gid: Some(600_000 + group),
                members: (0..20).map(|nth| member(group, nth)).collect(),
            })
            .collect(),
        (0..people)
            .map(|index| PersonEntry {
                id: format!("p{index}"),
                dn: format!("uid=person{index:06},ou=people,dc=example,dc=com"),
                login: format!("person{index:06}"),
                keys: vec![Fingerprint::of(&index.to_le_bytes()).to_string()],
                principals: Vec::new(),
                disabled: false,
                expires: None,
                locked_until: None,
                primary: None,
            })
            .collect(),
    )
}

fn stamp(config: &Config) -> Stamp {
    Stamp { generation: 1, created: 1, seed: [3, 4], id_range: config.accounts.id_range, counts: [0; 3] }
}

fn scratch() -> std::path::PathBuf {
    std::env::temp_dir().join(format!("svcauth-bench-{}", std::process::id()))
}

#[divan::bench(args = [1_000, 10_000, 100_000], sample_count = 5)]
fn recheck_join_build_publish(bencher: Bencher, accounts: u32) {
    let (config, local) = (config(), LocalNames::default());
    let dir = StateDir::open(&scratch()).unwrap();
    bencher.with_inputs(|| candidate(accounts)).bench_values(|mut candidate| {
        recheck(&mut candidate, &config, &local);
        assert_eq!(candidate.accounts.len(), accounts as usize);
        let state = join(&candidate, &config, Vec::new(), &mut RoleMemory::default());
        let (files, _) = to_files(state, stamp(&config)).unwrap();
        dir.publish("access.snap", &files.access, Readers::Everybody).unwrap();
        dir.publish("accounts.snap", &files.accounts, Readers::Everybody).unwrap();
    });
    std::fs::remove_dir_all(scratch()).unwrap();
}

#[divan::bench(args = [1_000, 10_000, 100_000], sample_count = 5)]
fn write_and_fsync(bencher: Bencher, accounts: u32) {
    let (config, path) = (config(), scratch().with_extension("raw"));
    let state = join(&candidate(accounts), &config, Vec::new(), &mut RoleMemory::default());
    let (files, _) = to_files(state, stamp(&config)).unwrap();
    let bytes = [files.access, files.accounts].concat();
    bencher.bench(|| {
        let mut file = std::fs::File::create(&path).unwrap();
        file.write_all(&bytes).unwrap();
        file.sync_all().unwrap();
    });
    std::fs::remove_file(path).unwrap();
}
