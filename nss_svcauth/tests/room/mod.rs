//! What the tests and benches of the module share: the built module, snapshots to serve, a private world to serve them in.

#![allow(dead_code, reason = "each test program uses its own part of the room")]
#![allow(unreachable_pub, reason = "the room is a module of several programs, none of which exports it")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot set up its scene ends with the reason"
)]

pub mod artifact;
pub mod fork_sys;
pub mod module_ffi;
pub mod snapshots;
pub mod world;
