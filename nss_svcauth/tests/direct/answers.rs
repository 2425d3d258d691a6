//! What is answered, how much room it takes, and where it lies.

use std::ffi::CString;

use crate::host_sys::Guarded;
use crate::room;
use crate::room::module_ffi::{
    GroupAnswer, NOT_FOUND, PasswdAnswer, STALE, SUCCESS, TRY_AGAIN, Text, UNAVAILABLE, module,
};
use crate::room::snapshots::{FIRST_ID, file, group, people, publish, small};

const DEPLOYER: [&str; 5] = ["deployer", "*", "Robot deployer", "/home/deployer", "/bin/bash"];

fn values(texts: &[Text]) -> Vec<&str> {
    texts.iter().map(|text| text.value.as_str()).collect()
}

fn assert_is_deployer(entry: &PasswdAnswer) {
    assert_eq!((entry.uid, entry.gid), (FIRST_ID + 1, FIRST_ID));
    assert_eq!(values(&entry.texts), DEPLOYER);
}

fn assert_is_application(entry: &GroupAnswer) {
    assert_eq!((entry.gid, &*entry.name.value, &*entry.password.value), (FIRST_ID + 100, "application", "*"));
    assert_eq!(values(&entry.members), ["alice", "bob", "carol"]);
}

/// The bytes that the format takes for a record with these strings.
fn record_len(fields: usize, strings: &[&str]) -> usize {
    16 + fields + strings.iter().map(|text| text.len() + 1).sum::<usize>()
}

crate::in_private_world! {
    fn accounts_and_groups_are_answered_by_name_and_by_id() {
        publish(&small(1));
        let mut buffer = [0; 1024];
        for answer in [
            module().passwd_by_name(c"deployer", &mut buffer),
            module().passwd_by_id(FIRST_ID + 1, &mut buffer),
        ] {
            assert_eq!((answer.status, answer.errno), (SUCCESS, STALE), "success leaves errno alone");
            assert_is_deployer(&answer.entry.unwrap());
        }
        for answer in [
            module().group_by_name(c"application", &mut buffer),
            module().group_by_id(FIRST_ID + 100, &mut buffer),
        ] {
            assert_eq!((answer.status, answer.errno), (SUCCESS, STALE));
            assert_is_application(&answer.entry.unwrap());
        }
        let robots = module().group_by_name(c"robots", &mut buffer).entry.unwrap();
        assert!(robots.members.is_empty());
    }

    fn names_are_compared_exactly() {
        publish(&small(1));
        let long = CString::new("a".repeat(100_000)).unwrap();
        for name in [c"Deployer", c"deployer ", c"deploye", c"deployer2", c"root", c"", c"4711", &long] {
            let answer = module().passwd_by_name(name, &mut [0; 1024]);
            assert_eq!((answer.status, answer.errno), (NOT_FOUND, libc::ENOENT), "{name:?}");
            let answer = module().group_by_name(name, &mut [0; 1024]);
            assert_eq!((answer.status, answer.errno), (NOT_FOUND, libc::ENOENT), "{name:?}");
        }
    }

    // N-01: the guard page behind the buffer ends the test if one byte too many is written, the canary in front shows one
    // too early; the beginning of the buffer takes every alignment.
    fn a_buffer_is_enough_exactly_when_the_answer_fits() {
        publish(&small(1));
        let passwd_need = record_len(16, &["deployer", DEPLOYER[2], DEPLOYER[3], DEPLOYER[4]]);
        let group_need = record_len(12 + 3, &["application", "alice", "bob", "carol"]) + 4 * size_of::<usize>();
        let mut guarded = Guarded::new();
        let (mut fitted, mut refused) = (0, 0);
        for len in 0..=512 {
            let buffer = guarded.last_bytes(len);
            let answer = module().passwd_by_name(c"deployer", buffer);
            if len < passwd_need {
                assert_eq!((answer.status, answer.errno), (TRY_AGAIN, libc::ERANGE), "{len}");
                refused += 1;
            } else {
                assert_is_deployer(&answer.entry.unwrap());
                fitted += 1;
            }
            assert!(guarded.is_untouched_before(len));

            let buffer = guarded.last_bytes(len);
            let gap = buffer.as_ptr().addr().wrapping_neg() % size_of::<usize>();
            let answer = module().group_by_id(FIRST_ID + 100, buffer);
            if len < group_need + gap {
                assert_eq!((answer.status, answer.errno), (TRY_AGAIN, libc::ERANGE), "{len}");
            } else {
                assert_is_application(&answer.entry.unwrap());
            }
            assert!(guarded.is_untouched_before(len));
        }
        assert!(fitted > 300 && refused > 80);
        assert_eq!(module().passwd_without_buffer(c"deployer"), (TRY_AGAIN, libc::ERANGE));
        assert_eq!(module().passwd_with_null_pointers(), UNAVAILABLE);
    }

    // N-03
    fn every_string_lies_in_the_callers_buffer_and_outlives_the_snapshot() {
        publish(&small(1));
        let mut buffer = [0; 1024];
        let inside = buffer.as_ptr_range();
        let inside = inside.start.addr()..inside.end.addr();
        let passwd = module().passwd_by_name(c"deployer", &mut buffer).entry.unwrap();
        for text in &passwd.texts {
            assert!(inside.contains(&text.address) && inside.contains(&(text.address + text.value.len())));
        }
        let group = module().group_by_name(c"application", &mut buffer).entry.unwrap();
        assert!(inside.contains(&group.array));
        for text in group.members.iter().chain([&group.name, &group.password]) {
            assert!(inside.contains(&text.address) && inside.contains(&(text.address + text.value.len())));
        }
        publish(&file(2, &[], &[]));
        let start = group.members[1].address - inside.start;
        assert_eq!(&buffer[start..start + 4], b"bob\0", "the answer does not depend on the file");
        assert_eq!(module().group_by_name(c"application", &mut buffer).status, NOT_FOUND);
    }

    // N-04: no cap; glibc doubles the buffer until the answer fits.
    fn groups_of_any_size_are_answered_as_the_buffer_grows() {
        for count in [0, 1, 2, 5_000, 10_000, 100_000] {
            let members = people(count);
            publish(&file(1, &[], &[group("application", FIRST_ID + 100, &members)]));
            let mut buffer = vec![0; 1024];
            let entry = loop {
                let answer = module().group_by_name(c"application", &mut buffer);
                if answer.status == SUCCESS {
                    break answer.entry.unwrap();
                }
                assert_eq!((answer.status, answer.errno), (TRY_AGAIN, libc::ERANGE));
                buffer.resize(buffer.len() * 2, 0);
            };
            assert!(buffer.len() <= 1024 || buffer.len() < 64 * count.max(1), "grew to {}", buffer.len());
            assert_eq!(values(&entry.members), members);
        }
    }
}
