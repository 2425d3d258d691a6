//! The tests on booted machines: Debian 12 and 13, a real systemd. `cargo test -p svcauth_tests --features e2e --test machine`.
//!
//! One file per theme. The name of a case is a sentence; each runs on both releases.

mod activation;
mod booted;
mod broken;
mod commands;
mod doctor;
mod lifecycle;
mod packages;
mod prove;
mod stacks;
mod upgrade;
mod user_managers;
mod walkthrough;
mod ways;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Those that take longest first.
    svcauth_tests::machine::main(&[
        upgrade::CASES,
        broken::CASES,
        lifecycle::CASES,
        packages::CASES,
        prove::CASES,
        stacks::CASES,
        activation::CASES,
        doctor::CASES,
        commands::CASES,
        walkthrough::CASES,
        user_managers::CASES,
        booted::CASES,
    ])
}
