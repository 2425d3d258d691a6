//! The format, proven on real files in memory: what is written is found, whatever is damaged is refused.

use std::collections::BTreeSet;
use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use proptest::prelude::{Strategy, any, proptest};

use super::{
    AccountGids, AccountsFile, BuildError, Cursor, FileKind, GroupEntry, Invalid, NewAccount, NewGroup,
    PasswdEntry, RecordKind, Snapshot, Stamp, Table,
};
use crate::id::{Gid, IdRange, Uid};

fn stamp(seed: u64) -> Stamp {
    let id_range = IdRange::new(7000, 2_000_000).unwrap();
    Stamp { generation: 42, created: 1_700_000_000, seed: [seed, !seed], id_range, counts: [2, 1, 0] }
}

fn account(name: &str, uid: u32) -> NewAccount {
    NewAccount {
        name: name.to_string(),
        uid: Uid::new(uid).unwrap(),
        gid: Gid::new(7000).unwrap(),
        gecos: "Deploy robot".to_string(),
        home: format!("/home/{name}"),
        shell: "/bin/bash".to_string(),
        gids: vec![Gid::new(7000).unwrap(), Gid::new(7100).unwrap()],
    }
}

fn group(name: &str, gid: u32, members: &[&str]) -> NewGroup {
    NewGroup {
        name: name.to_string(),
        gid: Gid::new(gid).unwrap(),
        members: members.iter().map(ToString::to_string).collect(),
    }
}

fn small_file() -> Vec<u8> {
    let mut file = AccountsFile::new(stamp(7)).unwrap();
    file.account(&account("deployer", 7001)).unwrap();
    file.account(&account("jenkins", 7002)).unwrap();
    file.group(&group("application", 7100, &["alice", "bob"])).unwrap();
    file.finish().unwrap()
}

fn open(file: &[u8]) -> Result<Snapshot<&[u8]>, Invalid> {
    Snapshot::open(file, file.len() as u64, FileKind::Accounts)
}

/// A passwd line as getent prints it, or what stood in the way.
fn passwd(file: &[u8], name: &str) -> Result<Option<String>, Invalid> {
    let snapshot = open(file)?;
    for place in snapshot.find(Table::PasswdByName, name.as_bytes())? {
        let mut buffer = vec![0; place.len as usize];
        let entry = PasswdEntry::parse(snapshot.read(place, RecordKind::Passwd, &mut buffer)?)?;
        if entry.name.to_bytes() == name.as_bytes() {
            let [name, gecos, home, shell] =
                [entry.name, entry.gecos, entry.home, entry.shell].map(|s| s.to_str().unwrap());
            return Ok(Some(format!(
                "{name}:*:{}:{}:{gecos}:{home}:{shell}",
                entry.uid.get(),
                entry.gid.get()
            )));
        }
    }
    Ok(None)
}

#[test]
fn an_account_is_found_by_name_and_a_stranger_is_not() {
    let file = small_file();
    let line = passwd(&file, "deployer").unwrap().unwrap();
    assert_eq!(line, "deployer:*:7001:7000:Deploy robot:/home/deployer:/bin/bash");
    assert_eq!(passwd(&file, "nobody").unwrap(), None);
    assert_eq!(passwd(&file, "Deployer").unwrap(), None);
}

#[test]
fn ids_groups_and_memberships_are_found() {
    let file = small_file();
    let snapshot = open(&file).unwrap();
    let mut buffer = vec![0; 4096];
    let place = snapshot.find(Table::PasswdById, &7002u32.to_le_bytes()).unwrap().next().unwrap();
    let entry = PasswdEntry::parse(snapshot.read(place, RecordKind::Passwd, &mut buffer).unwrap()).unwrap();
    assert_eq!(entry.name, c"jenkins");
    let place = snapshot.find(Table::GroupById, &7100u32.to_le_bytes()).unwrap().next().unwrap();
    let group = GroupEntry::parse(snapshot.read(place, RecordKind::Group, &mut buffer).unwrap()).unwrap();
    assert_eq!((group.name, group.member_count), (c"application", 2));
    assert_eq!(group.members().collect::<Vec<_>>(), [c"alice", c"bob"]);
    let place = snapshot.find(Table::AccountGids, b"deployer").unwrap().next().unwrap();
    let gids =
        AccountGids::parse(snapshot.read(place, RecordKind::AccountGids, &mut buffer).unwrap()).unwrap();
    assert_eq!(gids.gids().map(Gid::get).collect::<Vec<_>>(), [7000, 7100]);
    assert_eq!((snapshot.header().generation, snapshot.header().created), (42, 1_700_000_000));
}

#[test]
fn listing_meets_every_account_once_however_many_there_are() {
    for count in [0u32, 1, 31, 32, 1000, 20_000] {
        let mut file = AccountsFile::new(stamp(u64::from(count))).unwrap();
        for index in 0..count {
            file.account(&account(&format!("svc{index:06}"), 10_000 + index))
                .unwrap_or_else(|error| panic!("{error}"));
        }
        let file = file.finish().unwrap();
        let snapshot = open(&file).unwrap();
        let (mut cursor, mut seen) = (Cursor::default(), BTreeSet::new());
        while let Some((place, next)) = snapshot.next(Table::PasswdByName, cursor).unwrap() {
            assert!(seen.insert(place.offset));
            cursor = Cursor::from_bits(next.to_bits());
        }
        assert_eq!(seen.len(), count as usize);
    }
}

#[test]
fn two_entries_with_one_name_or_one_id_are_refused_by_the_builder() {
    for (name, uid, table) in [("deployer", 7009, Table::PasswdByName), ("other", 7001, Table::PasswdById)] {
        let mut file = AccountsFile::new(stamp(1)).unwrap();
        file.account(&account("deployer", 7001)).unwrap();
        file.account(&account(name, uid)).unwrap();
        assert_eq!(file.finish(), Err(BuildError::DuplicateKey(table)));
    }
}

#[test]
fn a_file_cut_at_any_length_is_refused() {
    let file = small_file();
    assert!(passwd(&file, "deployer").is_ok());
    for len in 0..file.len() {
        assert!(open(&file[..len]).is_err(), "cut at {len}");
    }
    let mut longer = file.clone();
    longer.push(0);
    assert_eq!(open(&longer).err(), Some(Invalid::Length));
}

#[test]
fn a_flipped_bit_anywhere_never_gives_a_wrong_answer() {
    let file = small_file();
    let right = passwd(&file, "deployer").unwrap();
    let mut noticed = 0;
    for at in 0..file.len() {
        for bit in [0, 3, 7] {
            let mut damaged = file.clone();
            damaged[at] ^= 1 << bit;
            match passwd(&damaged, "deployer") {
                Ok(answer) => assert_eq!(answer, right, "byte {at} bit {bit}"),
                Err(_) => noticed += 1,
            }
        }
    }
    // Header, one bucket and one record are looked at: damage there is noticed, every single time.
    assert!(noticed > 3 * (512 + 512), "{noticed}");
}

#[test]
fn other_versions_kinds_and_other_files_are_named_for_what_they_are() {
    let mut file = small_file();
    assert_eq!(
        Snapshot::open(file.as_slice(), file.len() as u64, FileKind::Access).err(),
        Some(Invalid::Kind)
    );
    for version in [0, 1, 3] {
        file[8] = version;
        assert_eq!(open(&file).err(), Some(Invalid::Version(u32::from(version))));
    }
    assert_eq!(open(&[b'x'; 1024]).err(), Some(Invalid::Magic));
}

#[test]
fn a_record_with_an_id_that_no_directory_may_hand_out_is_refused_although_its_checksum_is_right() {
    let mut payload = vec![0; 16];
    payload[4..8].copy_from_slice(&7000u32.to_le_bytes());
    payload.extend_from_slice(&[0; 4]);
    payload[0..4].copy_from_slice(&7001u32.to_le_bytes());
    assert!(PasswdEntry::parse(&payload).is_ok());
    for uid in [0u32, 99, 65_534, u32::MAX] {
        payload[0..4].copy_from_slice(&uid.to_le_bytes());
        assert_eq!(PasswdEntry::parse(&payload), Err(Invalid::Structure), "{uid}");
    }
}

proptest! {
    #[test]
    fn every_payload_is_parsed_or_refused(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = PasswdEntry::parse(&payload);
        if let Ok(group) = GroupEntry::parse(&payload) {
            assert!(group.members().count() <= payload.len());
        }
        if let Ok(gids) = AccountGids::parse(&payload) {
            assert!(gids.gids().count() <= payload.len());
        }
    }

    #[test]
    fn every_file_is_read_or_refused(
        edits in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..20),
        name in proptest::sample::select(vec!["deployer", "jenkins", "x"]).prop_map(String::from),
    ) {
        let mut file = small_file();
        let right = passwd(&file, &name).unwrap();
        for (at, byte) in edits {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if let Ok(answer) = passwd(&file, &name) {
            assert_eq!(answer, right);
        }
    }
}
