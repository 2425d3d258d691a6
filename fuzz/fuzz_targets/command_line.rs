//! Any bytes as a command line: what is split holds nothing for a shell, what is admitted has exactly the words that were
//! asked for and touches nothing but its folder, and what is refused is named in one harmless line.
#![no_main]

#[path = "../../svcauth_core/tests/support/ruled.rs"]
mod ruled;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &[u8]| {
    ruled::check(line);
});
