//! Any bytes as a published file: every lookup ends, and what is answered is what the format allows.
#![no_main]

use libfuzzer_sys::fuzz_target;
use svcauth_fuzz::walk;

fuzz_target!(|file: &[u8]| {
    let _ = walk::accounts(file);
    let _ = walk::access(file);
    walk::payload(file);
});
