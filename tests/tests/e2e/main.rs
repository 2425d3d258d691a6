//! The end-to-end tests: real programs in private worlds. `cargo test -p svcauth_tests --features e2e`.

mod plain;

use std::process::ExitCode;

fn main() -> ExitCode {
    svcauth_tests::runner::main(&[plain::CASES])
}
