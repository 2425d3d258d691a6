//! A snapshot that is missing, damaged, or not a file that only root can write: unavailable, at once, with its own errno.

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use crate::room;
use crate::room::module_ffi::{NOT_FOUND, SUCCESS, UNAVAILABLE, module};
use crate::room::snapshots::{FIRST_ID, PATH, publish, small, withdraw};

/// Asks every question about something that could be managed, whatever was in errno before.
fn assert_unavailable(errno: i32, situation: &str) {
    for before in [0, libc::ERANGE, libc::EINTR, libc::EAGAIN, -1] {
        let (module, mut buffer) = (module().with_errno(before), [0; 1024]);
        module.rewind();
        let told = [
            said(&module.passwd_by_name(c"deployer", &mut buffer)),
            said(&module.passwd_by_id(FIRST_ID + 1, &mut buffer)),
            said(&module.next_passwd(&mut buffer)),
            said(&module.group_by_name(c"application", &mut buffer)),
            said(&module.group_by_id(FIRST_ID + 100, &mut buffer)),
            said(&module.next_group(&mut buffer)),
        ];
        assert_eq!(told, [(UNAVAILABLE, errno); 6], "{situation}");
        // Root and everybody else who cannot be managed: not found, whatever state the snapshot is in.
        let told = [
            said(&module.passwd_by_name(c"root", &mut buffer)),
            said(&module.passwd_by_id(0, &mut buffer)),
            said(&module.passwd_by_id(u32::MAX, &mut buffer)),
        ];
        assert_eq!(told, [(NOT_FOUND, libc::ENOENT); 3], "{situation}");
        assert_eq!(said(&module.group_by_id(27, &mut buffer)), (NOT_FOUND, libc::ENOENT), "{situation}");
    }
    let (status, told, gids) = module().initgroups(c"deployer", 7, &[7], [16, -1]);
    assert_eq!((status, told, gids.filled), (UNAVAILABLE, errno, 1), "{situation}");
}

fn said<T>(answer: &crate::room::module_ffi::Answer<T>) -> (i32, i32) {
    (answer.status, answer.errno)
}

fn assert_answers(situation: &str) {
    let answer = module().passwd_by_name(c"deployer", &mut [0; 1024]);
    assert_eq!(answer.status, SUCCESS, "{situation}");
}

fn set_mode(mode: u32) {
    fs::set_permissions(PATH, fs::Permissions::from_mode(mode)).unwrap();
}

fn mount(arguments: &[&str]) {
    assert!(Command::new("mount").args(arguments).status().unwrap().success());
}

/// A valid snapshot that belongs to somebody else; where nobody else can be named, some file that does.
fn belong_to_somebody_else() -> bool {
    if chown(PATH, Some(12345), None).is_ok() {
        return false;
    }
    mount(&["--bind", "/etc/passwd", PATH]);
    true
}

crate::in_private_world! {
    fn a_missing_snapshot_is_unavailable_and_root_is_not_found() {
        publish(&small(1));
        assert_answers("the path is right");
        withdraw();
        assert_unavailable(libc::ENOENT, "no file");
        fs::remove_dir(Path::new(PATH).parent().unwrap()).unwrap();
        assert_unavailable(libc::ENOENT, "no directory");
    }

    //
    fn only_a_regular_file_that_root_alone_can_write_is_read() {
        publish(&small(1));
        for mode in [0o644, 0o640, 0o600, 0o444, 0o755] {
            set_mode(mode);
            assert_answers(&format!("mode {mode:o}"));
        }
        for mode in [0o666, 0o664, 0o646, 0o622] {
            set_mode(mode);
            assert_unavailable(libc::EPERM, &format!("mode {mode:o}"));
        }
        publish(&small(1));
        let elsewhere = Path::new(PATH).with_extension("elsewhere");
        fs::rename(PATH, &elsewhere).unwrap();
        symlink(&elsewhere, PATH).unwrap();
        assert_unavailable(libc::ELOOP, "a symbolic link to a valid snapshot");
        withdraw();
        fs::create_dir(PATH).unwrap();
        assert_unavailable(libc::EPERM, "a directory");
        withdraw();
        assert!(Command::new("mkfifo").arg(PATH).status().unwrap().success());
        assert_unavailable(libc::EPERM, "a FIFO, which has no writer");
        withdraw();
        let _socket = UnixListener::bind(PATH).unwrap();
        assert_unavailable(libc::ENXIO, "a socket");
        withdraw();
        fs::write(PATH, "").unwrap();
        mount(&["--bind", "/dev/zero", PATH]);
        assert_unavailable(libc::EPERM, "a device");
        assert!(Command::new("umount").arg(PATH).status().unwrap().success());
    }

    // X-08, N-11
    fn a_snapshot_of_another_owner_is_not_trusted() {
        publish(&small(1));
        assert_answers("owned by root");
        let mounted = belong_to_somebody_else();
        assert_unavailable(libc::EPERM, "another owner");
        if mounted {
            assert!(Command::new("umount").arg(PATH).status().unwrap().success());
        } else {
            chown(PATH, Some(0), None).unwrap();
        }
        assert_answers("owned by root again");
    }

    //
    fn a_snapshot_cut_at_any_length_is_unavailable() {
        let whole = small(1);
        publish(&whole);
        assert_answers("whole");
        for len in 0..whole.len() {
            fs::File::options().write(true).truncate(true).open(PATH).unwrap().write_all_at(&whole[..len], 0).unwrap();
            let answer = module().passwd_by_name(c"deployer", &mut [0; 1024]);
            assert_eq!(said(&answer), (UNAVAILABLE, libc::EBADMSG), "cut at {len}");
        }
        for len in [0, 1, 47, 511, 512, 513, whole.len() - 1] {
            publish(&whole[..len]);
            assert_unavailable(libc::EBADMSG, "cut");
        }
        publish(&[&whole[..], &[0]].concat());
        assert_unavailable(libc::EBADMSG, "one byte too long");
    }

    //
    fn a_flipped_bit_never_changes_an_answer() {
        let whole = small(1);
        publish(&whole);
        let right = everything();
        let file = fs::File::options().write(true).open(PATH).unwrap();
        let mut noticed = 0;
        for at in 0..whole.len() {
            for bit in 0..8 {
                file.write_all_at(&[whole[at] ^ (1 << bit)], at as u64).unwrap();
                let told = everything();
                for (told, right) in told.iter().zip(&right) {
                    let refused = told.starts_with(&format!("{UNAVAILABLE} {}", libc::EBADMSG));
                    assert!(refused || told == right, "byte {at} bit {bit}: {told}, not {right}");
                }
                noticed += usize::from(told != right);
                assert!(at >= 512 || told.iter().zip(&right).all(|(told, right)| told != right), "header byte {at}");
            }
            file.write_all_at(&whole[at..=at], at as u64).unwrap();
        }
        assert_eq!(everything(), right, "the last byte is restored");
        assert!(noticed > 512 * 8);
    }
}

/// The answers to all questions about the small snapshot, as text without addresses.
fn everything() -> Vec<String> {
    let (module, mut buffer) = (module(), [0; 1024]);
    let mut told = Vec::new();
    for name in [c"deployer", c"jenkins", c"nobody-here"] {
        let answer = module.passwd_by_name(name, &mut buffer);
        let texts = answer.entry.map(|entry| entry.texts.map(|text| text.value));
        told.push(format!("{} {} {texts:?}", answer.status, answer.errno));
        let (status, errno, gids) = module.initgroups(name, 0, &[], [1, -1]);
        told.push(format!("{status} {errno} {:?}", gids.gids));
    }
    let answer = module.group_by_id(FIRST_ID + 100, &mut buffer);
    let members =
        answer.entry.map(|entry| entry.members.into_iter().map(|text| text.value).collect::<Vec<_>>());
    told.push(format!("{} {} {members:?}", answer.status, answer.errno));
    told
}
