//! The crate `libnss` as an oracle and as a warning: its C structs are ours, its writer is not (decision 0001).

#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene ends with the reason")]

#[path = "libnss_oracle/writer_ffi.rs"]
mod writer_ffi;

use std::mem::offset_of;
use std::process::Command;

use libnss::group::CGroup;
use libnss::passwd::CPasswd;

use writer_ffi::{array_of_group_named, write_group_named};

const ABORT_HERE: &str = "LIBNSS_ORACLE_ABORT_HERE";

#[test]
fn our_structs_have_the_layout_that_libnss_hands_to_glibc() {
    macro_rules! offsets {
        ($ours:ty, $theirs:ty, $($our_field:ident = $their_field:ident),*) => {
            $(assert_eq!(offset_of!($ours, $our_field), offset_of!($theirs, $their_field), stringify!($our_field));)*
            assert_eq!(size_of::<$ours>(), size_of::<$theirs>());
            assert_eq!(align_of::<$ours>(), align_of::<$theirs>());
        };
    }
    offsets!(
        libc::passwd,
        CPasswd,
        pw_name = name,
        pw_passwd = passwd,
        pw_uid = uid,
        pw_gid = gid,
        pw_gecos = gecos,
        pw_dir = dir,
        pw_shell = shell
    );
    offsets!(libc::group, CGroup, gr_name = name, gr_passwd = passwd, gr_gid = gid, gr_mem = members);
}

#[test]
fn the_writer_of_libnss_misaligns_the_member_array() {
    let misaligned: Vec<usize> =
        (1..=8).filter(|len| array_of_group_named(&"g".repeat(*len)) % align_of::<usize>() != 0).collect();
    // Name, NUL, password `*`, NUL, array: aligned only when the name has five bytes, or thirteen ...
    assert_eq!(misaligned, [1, 2, 3, 4, 6, 7, 8]);
}

#[test]
fn the_writer_of_libnss_kills_the_process_over_a_nul_byte() {
    if std::env::var_os(ABORT_HERE).is_some() {
        write_group_named("g");
        println_to_parent("an ordinary name was written");
        write_group_named("g\0h");
        println_to_parent("the name with a NUL byte was written");
        return;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_writer_of_libnss_kills_the_process_over_a_nul_byte", "--nocapture"])
        .env(ABORT_HERE, "1")
        .output()
        .unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("an ordinary name was written"), "{said}");
    assert!(said.contains("Failed to convert string"), "{said}");
    assert!(!said.contains("the name with a NUL byte was written"), "{said}");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&output.status), Some(libc::SIGABRT), "{said}");
}

#[allow(clippy::print_stdout, reason = "the parent process reads it")]
fn println_to_parent(line: &str) {
    println!("{line}");
}
