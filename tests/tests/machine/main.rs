//! The tests on booted machines: Debian 12 and 13, a real systemd. `cargo test -p svcauth_tests --features e2e --test machine`.
//!
//! One file per theme. The name of a case is a sentence; each runs on both releases.

mod booted;
mod doctor;
mod lifecycle;
mod packages;
mod user_managers;

use std::process::ExitCode;

fn main() -> ExitCode {
    let cases = [lifecycle::CASES, packages::CASES, booted::CASES, user_managers::CASES, doctor::CASES];
    svcauth_tests::machine::main(&cases)
}
