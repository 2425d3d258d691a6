//! What svcauth can decide from its arguments alone.
//!
//! Belongs here: the snapshot format, ids and names, the configuration's meaning, origin parsing, the policy, the
//! audit record. Never here: files, sockets, the clock, the environment, logging, unsafe code.
//!
//! Without the default features only the snapshot reader is left, `no_std` and free of panics: that is what the NSS
//! module links.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "std")]
extern crate std;

pub mod id;
pub mod name;
pub mod snapshot;

#[cfg(feature = "std")]
pub mod audit;
#[cfg(feature = "std")]
pub mod command;
#[cfg(feature = "config")]
pub mod config;
#[cfg(feature = "std")]
pub mod id_map;
#[cfg(feature = "std")]
pub mod origin;
#[cfg(feature = "std")]
pub mod policy;
