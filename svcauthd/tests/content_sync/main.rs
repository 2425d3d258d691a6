//! Sources against a real slapd with content synchronisation: what they take over change by change is what a whole fetch
//! gives, whatever happens to server and connection in between. `cargo test -p svcauthd --features e2e --test content_sync`.
#![allow(clippy::print_stdout, reason = "what was measured is part of the output of a test")]
#![allow(clippy::indexing_slicing, reason = "a test may panic")]

mod changes;
mod lab;
mod proxy;
mod trouble;
mod view;

use std::process::ExitCode;

fn main() -> ExitCode {
    svcauth_tests::runner::main(&[changes::CASES, trouble::CASES])
}
