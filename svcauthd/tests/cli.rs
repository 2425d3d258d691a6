//! What the two programs say and return where neither root nor a running daemon is needed.

#![cfg(test)]

use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Output, Stdio};

const SVCAUTH: &str = env!("CARGO_BIN_EXE_svcauth");
const SVCAUTHD: &str = env!("CARGO_BIN_EXE_svcauthd");

fn run(program: &str, args: &[&str]) -> Output {
    Command::new(program).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_usage_error_is_2_and_says_so_on_standard_error_only() {
    for (program, args) in [
        (SVCAUTH, &[] as &[&str]),
        (SVCAUTH, &["nope"]),
        (SVCAUTH, &["--nope"]),
        (SVCAUTH, &["status", "more"]),
        (SVCAUTH, &["explain"]),
        (SVCAUTH, &["explain", "bob"]),
        (SVCAUTH, &["explain", "bob", "deployer", "--from", "10.0.0.300"]),
        (SVCAUTH, &["sync", "--accept"]),
        (SVCAUTHD, &["nope"]),
    ] {
        let ended = run(program, args);
        assert_eq!(ended.status.code(), Some(2), "{args:?}");
        assert!(ended.stdout.is_empty(), "{args:?}");
        assert!(text(&ended.stderr).contains("Usage:") || text(&ended.stderr).contains("--help"), "{args:?}");
    }
}

#[test]
fn help_is_0_and_begins_with_what_the_program_is_for() {
    for (program, args, first) in [
        (
            SVCAUTH,
            &["--help"] as &[&str],
            "Shared accounts: who may use them, who does, and why somebody may not",
        ),
        (SVCAUTHD, &["--help"], "Keeps a snapshot of the directory, from which NSS and PAM answer"),
        (SVCAUTH, &["explain", "--help"], "Say whether a person may use an account"),
    ] {
        let ended = run(program, args);
        assert_eq!(ended.status.code(), Some(0), "{args:?}");
        assert!(text(&ended.stdout).starts_with(first), "{}", text(&ended.stdout));
        assert!(ended.stderr.is_empty() && !ended.stdout.contains(&0x1b), "{args:?}");
    }
}

#[test]
fn an_argument_that_would_drive_a_terminal_is_shown_escaped() {
    for program in [SVCAUTH, SVCAUTHD] {
        for odd in ["\u{1b}[2Jx", "x\u{9b}31m", "a\u{202e}b"] {
            let ended = run(program, &[odd]);
            assert_eq!(ended.status.code(), Some(2));
            let said = text(&ended.stderr);
            assert!(said.contains("unrecognized subcommand '"), "{said:?}");
            assert!(
                said.chars().all(|c| c == '\n' || !c.is_control()) && !said.contains('\u{202e}'),
                "{said:?}"
            );
        }
    }
}

#[test]
fn an_output_that_nobody_reads_is_no_error_message() {
    let status = |stdout: Stdio| {
        let mut child = Command::new(SVCAUTH);
        child.args(["status", "--json"]).stdout(stdout).stderr(Stdio::piped());
        let mut child = child.spawn().unwrap();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (child.wait().unwrap().code().unwrap(), said)
    };
    let (code, said) = status(Stdio::null());
    assert!([0, 1, 3].contains(&code) && said.is_empty(), "{code} {said}");
    let (reader, writer) = UnixStream::pair().unwrap();
    drop(reader);
    assert_eq!(status(Stdio::from(OwnedFd::from(writer))), (141, String::new()));
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let (code, said) = status(Stdio::from(full));
    assert!(code == 1 && said.starts_with("svcauth: standard output: "), "{code} {said}");
}

#[test]
fn a_worker_that_is_still_root_refuses_to_work() {
    if !nix::unistd::geteuid().is_root() {
        let _ =
            std::io::Write::write_all(&mut std::io::stderr(), b"SKIPPED: only root can fail to drop root\n");
        return;
    }
    let (mine, theirs) = UnixStream::pair().unwrap();
    let worker = Command::new(SVCAUTHD)
        .arg("worker")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let ended = worker.wait_with_output().unwrap();
    assert!(!ended.status.success());
    assert!(text(&ended.stderr).contains("the privileges were not dropped"), "{ended:?}");
    drop(mine);
}

#[test]
fn an_argument_with_line_ends_gives_an_error_no_line_of_its_own() {
    for args in [&["nope\nsvcauth: all is well"] as &[&str], &["status", "x\nsvcauth: all is well"]] {
        let ended = run(SVCAUTH, args);
        let said = text(&ended.stderr);
        assert!(said.contains("\\x0asvcauth: all is well") && ended.status.code() == Some(2), "{said}");
        assert!(!said.lines().any(|line| line.starts_with("svcauth: all")), "{said}");
    }
}
