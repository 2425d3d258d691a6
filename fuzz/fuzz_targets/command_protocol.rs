//! Any bytes on the socket of svcauth-shell: what the daemon and the shell read of each other is read whole and as it was
//! written, or not at all.
#![no_main]

use libfuzzer_sys::fuzz_target;
use svcauth_core::command::protocol::{Answer, Ask, Told};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(ask) = Ask::decode(bytes) {
        assert_eq!(ask.encode(), bytes);
    }
    if let Ok(answer) = Answer::decode(bytes) {
        assert_eq!(answer.encode(), bytes);
    }
    if let Ok(told) = Told::decode(bytes) {
        assert_eq!(told.encode(), bytes);
    }
});
