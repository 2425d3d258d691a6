//! The svcauth daemon and the `svcauth` command.
//!
//! The way of the data, and the room of each step: a directory gives entries (`directory`), the worker maps them
//! (`mapping`) to a candidate (`candidate`); the monitor checks and joins it (`state`) and publishes it (`state_dir`).
#![deny(unsafe_code)]

pub mod candidate;
pub mod cli;
pub mod config_file;
pub mod control;
pub mod daemon;
pub mod directory;
pub mod failure;
pub mod frame;
pub mod local_names;
pub mod mapping;
pub mod monitor;
pub mod state;
pub mod state_dir;
pub mod usage;
pub mod worker;
