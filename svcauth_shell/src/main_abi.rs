//! `svcauth-shell`; the library has the program.
//!
//! The C library calls `main` here, not Rust's: that one ignores SIGPIPE and opens what is closed of the descriptors 0 to 2
//! before anything of ours runs, and the command that we start would inherit both.
#![no_main]

use std::ffi::{c_char, c_int};

// SAFETY: no other function of this name is linked, and this is the signature that the C library calls (C17 5.1.2.2.1). The
// standard library takes the arguments from where the C library keeps them (`.init_array` gets argc and argv).
#[unsafe(no_mangle)]
extern "C" fn main(_argc: c_int, _argv: *const *const c_char) -> c_int {
    svcauth_shell::run()
}
