//! Snapshots to serve, and publishing them as the daemon does: temporary file, mode, rename.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use svcauth_core::id::{Gid, IdRange, Uid};
use svcauth_core::snapshot::{AccountsFile, NewAccount, NewGroup, Stamp};

/// The path that is compiled into the module.
pub const PATH: &str = "/var/lib/svcauth/accounts.snap";
pub const FIRST_ID: u32 = 100_000;
pub const LAST_ID: u32 = 2_000_000;

pub fn stamp(generation: u64) -> Stamp {
    Stamp {
        generation,
        created: 1_700_000_000,
        seed: [generation ^ 0x5bd1_e995, !generation],
        id_range: IdRange::new(FIRST_ID, LAST_ID).unwrap(),
        counts: [0, 0, 0],
    }
}

pub fn account(name: &str, uid: u32, gids: &[u32]) -> NewAccount {
    NewAccount {
        name: name.to_owned(),
        uid: Uid::new(uid).unwrap(),
        gid: Gid::new(FIRST_ID).unwrap(),
        gecos: format!("Robot {name}"),
        home: format!("/home/{name}"),
        shell: "/bin/bash".to_owned(),
        gids: gids.iter().map(|gid| Gid::new(*gid).unwrap()).collect(),
    }
}

pub fn group<S: AsRef<str>>(name: &str, gid: u32, members: &[S]) -> NewGroup {
    NewGroup {
        name: name.to_owned(),
        gid: Gid::new(gid).unwrap(),
        members: members.iter().map(|member| member.as_ref().to_owned()).collect(),
    }
}

/// A snapshot of these accounts and groups.
pub fn file(generation: u64, accounts: &[NewAccount], groups: &[NewGroup]) -> Vec<u8> {
    let mut file = AccountsFile::new(stamp(generation)).unwrap();
    accounts.iter().for_each(|account| file.account(account).unwrap());
    groups.iter().for_each(|group| file.group(group).unwrap());
    file.finish().unwrap()
}

/// `deployer` (uid 100001, in two groups), `jenkins`, and the group `application` of alice, bob and carol.
pub fn small(generation: u64) -> Vec<u8> {
    let accounts = [
        account("deployer", FIRST_ID + 1, &[FIRST_ID, FIRST_ID + 100]),
        account("jenkins", FIRST_ID + 2, &[FIRST_ID]),
    ];
    let groups = [
        group::<&str>("robots", FIRST_ID, &[]),
        group("application", FIRST_ID + 100, &["alice", "bob", "carol"]),
    ];
    file(generation, &accounts, &groups)
}

/// `count` accounts `svc000000`.., each in 5 of `count / 100 + 1` groups, and the groups `five` and `many` (5,000 members).
pub fn large(count: u32) -> Vec<u8> {
    let groups = count / 100 + 1;
    let gid_of = |index: u32| FIRST_ID + index % groups;
    let accounts: Vec<_> = (0..count)
        .map(|index| {
            let gids = [0, 1, 2, 3, 4].map(|step| gid_of(index + step));
            account(&format!("svc{index:06}"), FIRST_ID + 100_000 + index, &gids)
        })
        .collect();
    let mut all: Vec<_> =
        (0..groups).map(|index| group(&format!("grp{index:06}"), FIRST_ID + index, &["alice"])).collect();
    all.push(group("five", FIRST_ID + 90_000, &people(5)));
    all.push(group("many", FIRST_ID + 90_001, &people(5000)));
    file(1, &accounts, &all)
}

/// Login names of different lengths, as people have them: `anna.k0`, `bartholomew.k1` ...
pub fn people(count: usize) -> Vec<String> {
    let first = ["anna", "bo", "bartholomew", "carol", "dietmar", "eve", "franziska", "gus"];
    (0..count).map(|index| format!("{}.k{index}", first[(index * 7 + index / 8) % first.len()])).collect()
}

/// Publishes the bytes: whoever opens the path sees either the old file or the new one, whole.
pub fn publish(bytes: &[u8]) {
    let new = Path::new(PATH).with_extension("new");
    fs::write(&new, bytes).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o644)).unwrap();
    fs::rename(&new, PATH).unwrap();
}

/// Takes away whatever is at the path.
pub fn withdraw() {
    let path = Path::new(PATH);
    if path.is_dir() && !path.is_symlink() {
        fs::remove_dir(path).unwrap();
    } else if path.symlink_metadata().is_ok() {
        fs::remove_file(path).unwrap();
    }
}
