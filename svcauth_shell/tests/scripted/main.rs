//! The shell as it is shipped, with a daemon that answers what the test says. As root, each group in a private world:
//! `cargo test -p svcauth_shell --features e2e`.
#![allow(clippy::indexing_slicing, reason = "a test may panic")]

mod alone;
mod confined;
mod ends;
mod environment;
mod kernels;
mod linked;
mod peer;
mod recorded;
mod started;
mod words;

use std::process::ExitCode;

fn main() -> ExitCode {
    svcauth_tests::runner::main(&[
        alone::CASES,
        kernels::CASES,
        started::CASES,
        linked::CASES,
        words::CASES,
        ends::CASES,
        environment::CASES,
        recorded::CASES,
        confined::CASES,
    ])
}

/// Cases that follow each other in one world: what they start ends with them.
#[macro_export]
macro_rules! sharing {
    ($theme:literal: $($name:ident),+ $(,)?) => {
        /// The cases of this theme.
        pub(crate) const CASES: &[svcauth_tests::runner::Case] = &[
            $(svcauth_tests::runner::Case {
                name: concat!($theme, "::", stringify!($name)),
                run: $name,
                shares: Some($theme),
            }),+
        ];
    };
}
