//! The svcauth daemon and the `svcauth` command.
//!
//! The way of the data, and the room of each step: a directory gives entries or changes of them (`directory`), the worker
//! maps them (`mapping`) and sends them on (`job`); the monitor keeps them (`table`), makes a candidate of them
//! (`candidate`), checks and joins it (`state`) and publishes it (`state_dir`).
#![deny(unsafe_code)]

pub mod activation;
pub mod candidate;
pub mod cli;
pub mod config_file;
pub mod control;
pub mod daemon;
pub mod directory;
pub mod doctor;
pub mod failure;
pub mod frame;
pub mod job;
pub mod keeper;
mod key_files;
pub mod limits;
pub mod local_names;
pub mod mapping;
pub mod monitor;
pub mod pam_stack;
pub mod proof;
pub mod proposal;
pub mod report;
pub mod setup;
pub mod state;
pub mod state_dir;
pub mod table;
pub mod trail;
pub mod usage;
pub mod worker;
