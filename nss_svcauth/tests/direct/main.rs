//! The module by itself: loaded as glibc loads it, asked as glibc asks it, in a private world.
//!
//! Numbers such as N-01 and X-02 name the cases of the threat model that a test covers.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot set up its scene ends with the reason"
)]

#[path = "../room/mod.rs"]
mod room;

mod answers;
mod damage;
mod host_sys;
mod hostile;
mod initgroups;
mod listing;
mod process;
