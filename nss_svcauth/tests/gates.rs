//! What is loaded into every process of the host, held against golden lists, and the proof that it cannot panic.
//!
//! After an intended change: `UPDATE_GOLDEN=1 cargo test -p nss_svcauth --test gates`, and read the difference.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot set up its scene ends with the reason"
)]

use std::fs;
use std::path::Path;
use std::process::Command;

use room::artifact::{cargo_build, module};

mod room;

const UPDATE: &str = "UPDATE_GOLDEN";

/// What a program of binutils prints about the module.
fn told_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .arg(module())
        .env("LC_ALL", "C")
        .output()
        .unwrap_or_else(|error| panic!("{program} (package binutils): {error}"));
    assert!(output.status.success(), "{program} {arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Holds lines against `tests/golden/<name>`.
fn assert_golden(name: &str, mut lines: Vec<String>) {
    lines.sort();
    let found = lines.join("\n") + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&path, &found).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap();
    assert_eq!(found, golden, "{} (after an intended change: {UPDATE}=1)", path.display());
}

/// The names of dynamic symbols without versions, which depend on the libc of the build.
fn dynamic_symbols(which: &str) -> Vec<String> {
    told_by("nm", &["--dynamic", which])
        .lines()
        // Weak ones are the toolchain's own, and may stay undefined.
        .filter_map(|line| {
            line.split_once(" U ").or_else(|| line.split_once(" T ")).or_else(|| line.split_once(" D "))
        })
        .map(|(_, name)| name.split('@').next().unwrap_or(name).to_owned())
        .collect()
}

/// The dynamic section's entries of one kind: `(NEEDED) Shared library: [libc.so.6]`.
fn dynamic_section(tag: &str) -> Vec<String> {
    let tag = format!("({tag})");
    told_by("readelf", &["--dynamic", "--wide"])
        .lines()
        .filter_map(|line| line.split_once(&tag))
        .map(|(_, value)| value.trim().to_owned())
        .collect()
}

#[test]
fn exactly_the_functions_of_an_nss_module_are_exported() {
    assert_golden("exports", dynamic_symbols("--defined-only"));
}

#[test]
fn exactly_these_functions_of_libc_are_called() {
    // What the compiler makes of moving and comparing bytes is its own choice, and differs between its versions.
    let compilers_choice = ["bcmp", "memcmp", "memcpy", "memmove", "memset"];
    let mut imports = dynamic_symbols("--undefined-only");
    imports.retain(|name| !compilers_choice.contains(&name.as_str()));
    assert_golden("imports", imports);
}

#[test]
fn exactly_these_crates_are_in_the_module() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--package", "nss_svcauth", "--edges", "normal", "--prefix", "none"])
        .args(["--format", "{lib}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut crates: Vec<_> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    crates.sort();
    crates.dedup();
    assert_golden("crates", crates);
}

#[test]
fn libc_is_the_only_library_that_comes_along() {
    assert_golden("needed", dynamic_section("NEEDED"));
    assert_eq!(dynamic_section("SONAME"), ["Library soname: [libnss_svcauth.so.2]"]);
    assert!(dynamic_section("RUNPATH").is_empty() && dynamic_section("RPATH").is_empty());
}

#[test]
fn the_module_is_never_unmapped_and_resolved_at_once() {
    let flags = [dynamic_section("FLAGS"), dynamic_section("FLAGS_1")].concat().join(" ");
    for flag in ["NODELETE", "NOW"] {
        assert!(flags.split_whitespace().any(|found| found == flag), "{flag} is not in {flags:?}");
    }
    assert!(dynamic_section("TEXTREL").is_empty());
}

#[test]
fn there_is_no_thread_local_data_and_no_memory_that_is_writable_and_executable() {
    let headers = told_by("readelf", &["--program-headers", "--wide"]);
    assert!(headers.contains("LOAD"), "readelf prints segments:\n{headers}");
    assert!(!headers.contains("TLS"), "{headers}");
    assert!(headers.contains("GNU_RELRO"), "{headers}");
    for line in headers.lines().filter(|line| line.contains("LOAD") || line.contains("GNU_STACK")) {
        assert!(!line.contains("RWE"), "{line}");
    }
}

/// The linker's word on a build with a feature, in a target directory of its own: the module under test stays as it is.
fn linked_with(feature: &str) -> Result<(), String> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nss-proof");
    let output = cargo_build(&target, &["--features", feature]);
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

#[test]
fn no_path_leads_to_a_panic() {
    let refusal =
        linked_with("proof-negative").expect_err("a slice index has no panic path: the proof proves nothing");
    assert!(refusal.contains("svcauth_nss_panic_path_survived"), "another failure:\n{refusal}");
    linked_with("proof").unwrap_or_else(|message| panic!("a panic path survived:\n{message}"));
}
