//! The module behind glibc: nsswitch.conf, getent, getpwnam(3), getgrouplist(3), in a private world.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot set up its scene ends with the reason"
)]

#[path = "../room/mod.rs"]
mod room;

mod lookups;
mod lookups_ffi;
mod stage;
mod stress;
