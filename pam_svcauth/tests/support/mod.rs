//! libpam, the module and a site to ask it about, in a private world.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "every test file uses a part of it, and a test stops where it fails"
)]

pub(crate) mod build;
pub(crate) mod ffi;
pub(crate) mod login;
pub(crate) mod site;
pub(crate) mod world;
