//! What may be loaded into sshd and sudo: golden lists of what the module exports, needs and consists of.
//!
//! After a wanted change: `UPDATE_GOLDEN=1 cargo test -p pam_svcauth --test gates`, and look at the difference.
#![allow(
    dead_code,
    clippy::panic,
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "a test stops where it fails, and a list is as long as it is"
)]

#[path = "support/build.rs"]
mod build;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

fn output(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; install binutils"));
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn module() -> String {
    build::module().into_os_string().into_string().unwrap()
}

fn assert_golden(name: &str, lines: &BTreeSet<String>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let found: String = lines.iter().map(|line| format!("{line}\n")).collect();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &found).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap();
    assert_eq!(found, golden, "{} says otherwise", path.display());
}

/// The symbols of one kind, without their versions.
fn symbols(module: &str, which: &str) -> BTreeSet<String> {
    let text = output("nm", &["-D", which, module]);
    let names = text.lines().filter_map(|line| line.split_ascii_whitespace().next_back());
    names.map(|name| name.split('@').next().unwrap_or(name).to_owned()).collect()
}

#[test]
fn the_module_exports_the_six_hooks_of_libpam_and_nothing_else() {
    assert_golden("exports", &symbols(&module(), "--defined-only"));
}

#[test]
fn the_module_needs_libpam_and_the_c_library_and_no_other_library() {
    let dynamic = output("readelf", &["-dW", &module()]);
    let needed = dynamic
        .lines()
        .filter(|line| line.contains("(NEEDED)"))
        .filter_map(|line| line.split(['[', ']']).nth(1))
        // The dynamic loader's name differs between architectures.
        .filter(|library| !library.starts_with("ld-linux"));
    assert_golden("needed", &needed.map(str::to_owned).collect());
}

#[test]
fn the_module_is_never_unloaded_and_all_its_symbols_are_bound_when_it_is_loaded() {
    let dynamic = output("readelf", &["-dW", &module()]);
    let flags = dynamic.lines().find(|line| line.contains("(FLAGS_1)")).unwrap();
    assert!(flags.contains("NODELETE") && flags.contains("NOW"), "{flags}");
}

#[test]
fn the_module_starts_nothing_connects_to_nothing_and_leaves_the_process_as_it_is() {
    let imports = symbols(&module(), "--undefined-only");
    for (present, why) in [
        ("sendto", "audit records"),
        ("getpwnam_r", "the question without a snapshot"),
        ("pam_getenv", "SSH_AUTH_INFO_0"),
    ] {
        assert!(imports.contains(present), "{present}: {why}");
    }
    let forbidden = [
        "fork",
        "vfork",
        "clone",
        "execve",
        "execvp",
        "posix_spawn",
        "posix_spawnp",
        "system",
        "popen",
        "pthread_create",
        "connect",
        "bind",
        "listen",
        "getaddrinfo",
        "syslog",
        "vsyslog",
        "openlog",
        "setenv",
        "putenv",
        "unsetenv",
        "environ",
        "signal",
        "sigaction",
        "sigaltstack",
        "umask",
        "chdir",
        "setuid",
        "setresuid",
        "seteuid",
        "setlocale",
        "getpwuid_r",
        "getgrnam_r",
        "getgrgid_r",
        "initgroups",
        "printf",
        "puts",
        "atexit",
        "__cxa_atexit",
        "pam_get_user",
        "dlopen",
        "exit",
        "_exit",
    ];
    let found: Vec<&&str> = forbidden.iter().filter(|name| imports.contains(**name)).collect();
    assert!(found.is_empty(), "the module must not call {found:?}");
}

#[test]
fn the_module_consists_of_the_crates_that_were_agreed_on() {
    let arguments = ["tree", "-p", "pam_svcauth", "-e", "normal", "--prefix", "none", "-f", "{p}"];
    let tree = output(env!("CARGO"), &arguments);
    let names = tree.lines().filter_map(|line| line.split(' ').next());
    assert_golden("crates", &names.filter(|name| !name.is_empty()).map(str::to_owned).collect());
}

#[test]
fn the_module_takes_nothing_from_the_environment_of_the_process_that_a_caller_of_su_controls() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["src", "../svcauth_host/src", "../svcauth_host/src/sessions"];
    let files = folders
        .iter()
        .flat_map(|folder| fs::read_dir(root.join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            name.ends_with(".rs") && !name.ends_with("tests.rs")
        });
    let mut seen = 0;
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        seen += 1;
        assert!(!code.contains("env::"), "{} reads the environment", path.display());
    }
    assert!(seen > 10, "the sources were not found");
}
