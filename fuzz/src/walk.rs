//! Asks a snapshot everything that can be asked, as NSS and PAM do, and holds the answers to what they promise.

use svcauth_core::id::{Gid, is_assignable};
use svcauth_core::snapshot::access::{AccessFile, AccessSnapshot};
use svcauth_core::snapshot::{
    AccountGids, Cursor, FileKind, GroupEntry, Invalid, Location, PasswdEntry, RecordKind, Snapshot, Table,
};

use crate::{decisions, sample};

type Open<'a> = Snapshot<&'a [u8]>;

/// Everything in `accounts.snap`.
pub fn accounts(file: &[u8]) -> Result<(), Invalid> {
    let snapshot = Snapshot::open(file, file.len() as u64, FileKind::Accounts)?;
    assert_eq!(snapshot.header().file_len, file.len() as u64);
    assert_ne!(snapshot.header().generation, 0);
    let _ = list(&snapshot, Table::PasswdByName, RecordKind::Passwd, passwd);
    let _ = list(&snapshot, Table::PasswdById, RecordKind::Passwd, passwd);
    let _ = list(&snapshot, Table::GroupByName, RecordKind::Group, group);
    let _ = list(&snapshot, Table::GroupById, RecordKind::Group, group);
    let _ = list(&snapshot, Table::AccountGids, RecordKind::AccountGids, gids);
    for name in ["deployer", "jenkins", "application", "root", ""] {
        let key = name.as_bytes();
        let _ = find(&snapshot, Table::PasswdByName, key, RecordKind::Passwd, passwd);
        let _ = find(&snapshot, Table::GroupByName, key, RecordKind::Group, group);
        let _ = find(&snapshot, Table::AccountGids, key, RecordKind::AccountGids, gids);
    }
    for id in [0u32, 7001, 7100, u32::MAX] {
        let key = id.to_le_bytes();
        let _ = find(&snapshot, Table::PasswdById, &key, RecordKind::Passwd, passwd);
        let _ = find(&snapshot, Table::GroupById, &key, RecordKind::Group, group);
    }
    // Tables of the other file are not in this one, whatever its descriptors say.
    let _ = find(&snapshot, Table::Policy, b"", RecordKind::Policy, |_| Ok(()));
    Ok(())
}

/// The passwd line of a name, as NSS answers it.
pub fn passwd_line(file: &[u8], name: &str) -> Result<Option<String>, Invalid> {
    let snapshot = Snapshot::open(file, file.len() as u64, FileKind::Accounts)?;
    for place in snapshot.find(Table::PasswdByName, name.as_bytes())? {
        let mut buffer = vec![0; place.len.min(file.len() as u32) as usize];
        let entry = PasswdEntry::parse(snapshot.read(place, RecordKind::Passwd, &mut buffer)?)?;
        if entry.name.to_bytes() == name.as_bytes() {
            return Ok(Some(format!("{entry:?}")));
        }
    }
    Ok(None)
}

/// Payloads that are parsed are what they say, byte for byte.
pub fn payload(bytes: &[u8]) {
    let _ = passwd(bytes);
    let _ = group(bytes);
    let _ = gids(bytes);
}

fn passwd(payload: &[u8]) -> Result<(), Invalid> {
    let entry = PasswdEntry::parse(payload)?;
    assert!(is_assignable(entry.uid.get()) && is_assignable(entry.gid.get()));
    let strings = [entry.name, entry.gecos, entry.home, entry.shell];
    let len: usize = strings.iter().map(|text| text.to_bytes_with_nul().len()).sum();
    assert_eq!(16 + len, payload.len());
    Ok(())
}

fn group(payload: &[u8]) -> Result<(), Invalid> {
    let entry = GroupEntry::parse(payload)?;
    assert!(is_assignable(entry.gid.get()));
    let (sizes, bytes) = (entry.member_sizes(), entry.member_bytes());
    assert_eq!(sizes.len(), entry.member_count as usize);
    assert_eq!(12 + entry.name.to_bytes_with_nul().len() + sizes.len() + bytes.len(), payload.len());
    // What C is pointed at: each member begins inside, and a NUL follows before the end.
    let mut at = 0;
    for size in sizes {
        assert!(bytes[at..].contains(&0));
        at += usize::from(*size);
    }
    assert_eq!(at, bytes.len());
    assert!(entry.members().count() <= bytes.len());
    let listed: usize = entry.members().map(|member| member.to_bytes_with_nul().len()).sum();
    assert_eq!(listed, bytes.len());
    Ok(())
}

fn gids(payload: &[u8]) -> Result<(), Invalid> {
    let entry = AccountGids::parse(payload)?;
    assert!(entry.gids().count() <= payload.len() / 4);
    assert!(entry.gids().map(Gid::get).all(is_assignable));
    Ok(())
}

fn list(
    snapshot: &Open<'_>,
    table: Table,
    kind: RecordKind,
    check: fn(&[u8]) -> Result<(), Invalid>,
) -> Result<(), Invalid> {
    let mut cursor = Cursor::default();
    let mut met = 0u64;
    while let Some((place, next)) = snapshot.next(table, cursor)? {
        met += 1;
        assert!(met <= snapshot.header().file_len / 16, "a listing does not end");
        assert_ne!(next, cursor);
        assert_eq!(Cursor::from_bits(next.to_bits()), next);
        let _ = one(snapshot, place, kind, check);
        cursor = next;
    }
    assert_eq!(snapshot.next(table, cursor)?, None);
    Ok(())
}

fn find(
    snapshot: &Open<'_>,
    table: Table,
    key: &[u8],
    kind: RecordKind,
    check: fn(&[u8]) -> Result<(), Invalid>,
) -> Result<(), Invalid> {
    let matches = snapshot.find(table, key)?;
    assert!(matches.count() <= 31);
    matches.map(|place| one(snapshot, place, kind, check)).collect()
}

fn one(
    snapshot: &Open<'_>,
    place: Location,
    kind: RecordKind,
    check: fn(&[u8]) -> Result<(), Invalid>,
) -> Result<(), Invalid> {
    let len = u64::from(place.len);
    if len > snapshot.header().file_len {
        // No buffer is made for what cannot be there, and a short one is refused.
        assert!(snapshot.read(place, kind, &mut [0; 64]).is_err());
        return Err(Invalid::Structure);
    }
    let mut buffer = vec![0; place.len as usize];
    let payload = snapshot.read(place, kind, &mut buffer)?;
    assert_eq!(payload.len() as u64 + 16, len);
    check(payload)
}

/// Everything in `access.snap`, and what decisions make of it.
pub fn access(file: &[u8]) -> Result<(), Invalid> {
    let snapshot = AccessSnapshot::open(file, file.len() as u64)?;
    if let Some(account) = snapshot.account("deployer").ok().flatten() {
        assert_eq!(account.name, "deployer");
    }
    if let Some(known) = snapshot.person("bob").ok().flatten() {
        assert_eq!(known.person.login, "bob");
    }
    if let Some(known) = snapshot.person_by_key(&sample::key()).ok().flatten() {
        assert!(known.keys.contains(&sample::key()));
    }
    if let Some(known) = snapshot.person_by_principal("bob@EXAMPLE.COM").ok().flatten() {
        assert!(known.principals.iter().any(|own| own == "bob@EXAMPLE.COM"));
    }
    let (policy, accounts, people) = (snapshot.policy(), snapshot.accounts(), snapshot.people());
    let (Ok(policy), Ok(accounts), Ok(people)) = (policy, accounts, people) else {
        return Ok(());
    };
    decisions::check(&policy, &accounts, &people);
    let mut again = AccessFile::new(sample::stamp(), &policy).unwrap();
    for account in &accounts {
        again.account(account).unwrap();
    }
    for known in &people {
        again.person(&known.person, &known.keys, &known.principals).unwrap();
    }
    // Two entries with one key: the builder never writes such a file.
    let Ok(file) = again.finish() else {
        return Ok(());
    };
    let again = AccessSnapshot::open(file.as_slice(), file.len() as u64).unwrap();
    assert_eq!(again.policy(), Ok(policy));
    for account in accounts {
        assert_eq!(again.account(&account.name.clone()), Ok(Some(account)));
    }
    for known in people {
        assert_eq!(again.person(&known.person.login.clone()), Ok(Some(known)));
    }
    Ok(())
}
