//! Files with right checksums that no builder of ours writes: refused, never partly used, and never a
//! reason for glibc to ask for gigabytes.

use svcauth_core::snapshot::{Builder, FileKind, Location, RecordKind, Table};

use crate::room;
use crate::room::module_ffi::{Answer, NOT_FOUND, SUCCESS, UNAVAILABLE, module};
use crate::room::snapshots::{FIRST_ID, LAST_ID, publish, small, stamp};

const DAMAGED: (i32, i32) = (UNAVAILABLE, libc::EBADMSG);
const ABSENT: (i32, i32) = (NOT_FOUND, libc::ENOENT);
const UID: u32 = FIRST_ID + 1;

fn passwd(uid: u32, gid: u32, lens: [u16; 4], strings: &[u8]) -> Vec<u8> {
    let ids = [uid, gid].map(u32::to_le_bytes);
    [&ids.concat(), &lens.map(u16::to_le_bytes).concat(), strings].concat()
}

fn group(gid: u32, members: u32, name_len: u16, rest: &[u8]) -> Vec<u8> {
    let numbers = [gid, members].map(u32::to_le_bytes).concat();
    [&numbers, &name_len.to_le_bytes()[..], &[0; 2], rest].concat()
}

fn publish_records(kind: FileKind, records: &[(RecordKind, Vec<u8>)], wrong: Option<Location>) {
    let tables =
        [Table::PasswdByName, Table::PasswdById, Table::GroupByName, Table::GroupById, Table::AccountGids];
    let mut file = Builder::new(kind, stamp(1), &tables).unwrap();
    for (kind, payload) in records {
        let place = file.record(*kind, payload).unwrap();
        let place = wrong.unwrap_or(place);
        for (table, key) in [
            (Table::PasswdByName, &b"deployer"[..]),
            (Table::PasswdById, &UID.to_le_bytes()),
            (Table::GroupByName, b"deployer"),
            (Table::GroupById, &UID.to_le_bytes()),
            (Table::AccountGids, b"deployer"),
        ] {
            file.key(table, key, place).unwrap();
        }
    }
    publish(&file.finish().unwrap());
}

fn said<T>(answer: &Answer<T>) -> (i32, i32) {
    (answer.status, answer.errno)
}

fn passwd_said() -> [(i32, i32); 2] {
    let mut buffer = [0; 1024];
    [said(&module().passwd_by_name(c"deployer", &mut buffer)), said(&module().passwd_by_id(UID, &mut buffer))]
}

fn group_said() -> [(i32, i32); 2] {
    let mut buffer = [0; 1024];
    [said(&module().group_by_name(c"deployer", &mut buffer)), said(&module().group_by_id(UID, &mut buffer))]
}

crate::in_private_world! {
    fn an_account_outside_the_fences_is_not_handed_out() {
        let strings = b"deployer\0\0/\0/x\0";
        let lens = [8, 0, 1, 2];
        publish_records(FileKind::Accounts, &[(RecordKind::Passwd, passwd(UID, FIRST_ID, lens, strings))], None);
        assert_eq!(passwd_said().map(|(status, _)| status), [SUCCESS; 2], "the hand-made record is right as such");
        for (what, uid, gid, strings, expected) in [
            ("uid 0", 0, FIRST_ID, strings, [DAMAGED; 2]),
            ("gid 27 (sudo)", UID, 27, strings, [DAMAGED; 2]),
            ("uid -1", u32::MAX, FIRST_ID, strings, [DAMAGED; 2]),
            ("uid below the range", FIRST_ID - 1, FIRST_ID, strings, [ABSENT; 2]),
            ("uid above the range", LAST_ID + 1, FIRST_ID, strings, [ABSENT; 2]),
            ("gid outside the range", UID, LAST_ID + 1, strings, [ABSENT; 2]),
            ("another uid than asked for", UID + 1, FIRST_ID, strings, [(SUCCESS, 4242), ABSENT]),
            ("another name than asked for", UID, FIRST_ID, b"deploxer\0\0/\0/x\0", [ABSENT, (SUCCESS, 4242)]),
            ("a name with a colon", UID, FIRST_ID, b"depl:yer\0\0/\0/x\0", [ABSENT; 2]),
            ("a string that does not end", UID, FIRST_ID, b"deployer\0\0/\0/xy", [DAMAGED; 2]),
            ("a string that ends early", UID, FIRST_ID, b"dep\0oyer\0\0/\0/x\0", [DAMAGED; 2]),
        ] {
            publish_records(FileKind::Accounts, &[(RecordKind::Passwd, passwd(uid, gid, lens, strings))], None);
            assert_eq!(passwd_said(), expected, "{what}");
        }
        let root = passwd(UID, FIRST_ID, [4, 0, 1, 2], b"root\0\0/\0/x\0");
        publish_records(FileKind::Accounts, &[(RecordKind::Passwd, root)], None);
        assert_eq!(passwd_said(), [ABSENT; 2], "root under another key");
        let past_the_end = passwd(UID, FIRST_ID, [u16::MAX, 0, 1, 2], strings);
        publish_records(FileKind::Accounts, &[(RecordKind::Passwd, past_the_end)], None);
        assert_eq!(passwd_said(), [DAMAGED; 2], "a name beyond the record");
    }

    fn a_group_outside_the_fences_is_not_handed_out() {
        let rest = b"deployer\0\x02\x03a\0bc\0";
        publish_records(FileKind::Accounts, &[(RecordKind::Group, group(UID, 2, 8, rest))], None);
        assert_eq!(group_said().map(|(status, _)| status), [SUCCESS; 2], "the hand-made record is right as such");
        for (what, gid, members, rest, expected) in [
            ("gid 0", 0, 2, &rest[..], [DAMAGED; 2]),
            ("gid 27 (sudo)", 27, 2, rest, [DAMAGED; 2]),
            ("gid outside the range", LAST_ID + 1, 2, rest, [ABSENT; 2]),
            ("four thousand million members", UID, u32::MAX, rest, [DAMAGED; 2]),
            ("a member too many", UID, 3, rest, [DAMAGED; 2]),
            ("a member too few", UID, 1, rest, [DAMAGED; 2]),
            ("sizes that go past the end", UID, 2, b"deployer\0\x02\xffa\0bc\0", [DAMAGED; 2]),
            ("sizes that end early", UID, 2, b"deployer\0\x02\x02a\0bc\0", [DAMAGED; 2]),
            ("a member of no size", UID, 2, b"deployer\0\0\x05a\0bc\0", [DAMAGED; 2]),
            ("a last member that does not end", UID, 2, b"deployer\0\x02\x03a\0bcd", [DAMAGED; 2]),
            ("a name with a comma", UID, 2, b"depl,yer\0\x02\x03a\0bc\0", [ABSENT; 2]),
        ] {
            publish_records(FileKind::Accounts, &[(RecordKind::Group, group(gid, members, 8, rest))], None);
            assert_eq!(group_said(), expected, "{what}");
        }
    }

    fn a_place_outside_the_file_never_makes_the_buffer_grow() {
        for (offset, len) in [
            (512, u32::MAX),
            (u64::MAX, 64),
            (u64::MAX - 8, u32::MAX),
            (1 << 40, 64),
            (0, 64),
            (512, 15),
            (512, 0),
        ] {
            let payload = passwd(UID, FIRST_ID, [8, 0, 1, 2], b"deployer\0\0/\0/x\0");
            let place = Location { offset, len };
            publish_records(FileKind::Accounts, &[(RecordKind::Passwd, payload)], Some(place));
            assert_eq!(passwd_said(), [DAMAGED; 2], "{place:?}");
            let (status, errno, _) = module().initgroups(c"deployer", 0, &[], [1, -1]);
            assert_eq!((status, errno), DAMAGED, "{place:?}");
        }
    }

    fn records_and_files_of_another_kind_or_version_are_refused() {
        let payload = passwd(UID, FIRST_ID, [8, 0, 1, 2], b"deployer\0\0/\0/x\0");
        publish_records(FileKind::Access, &[(RecordKind::Passwd, payload.clone())], None);
        assert_eq!((passwd_said(), group_said()), ([DAMAGED; 2], [DAMAGED; 2]), "access.snap");
        publish_records(FileKind::Accounts, &[(RecordKind::Group, payload)], None);
        assert_eq!(passwd_said(), [DAMAGED; 2], "a group where an account should be");
        for version in [-1, 1] {
            let mut other = small(1);
            other[8] = other[8].checked_add_signed(version).unwrap();
            publish(&other);
            assert_eq!(passwd_said(), [DAMAGED; 2], "the version before and after: {version}");
        }
        publish(&Builder::new(FileKind::Accounts, stamp(1), &[]).unwrap().finish().unwrap());
        assert_eq!((passwd_said(), group_said()), ([DAMAGED; 2], [DAMAGED; 2]), "no tables at all");
    }
}
