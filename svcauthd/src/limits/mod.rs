//! What the limits of access rules are for sshd: the options of a key, and the blocks of the drop-in.
//!
//! Belongs here: reading rules that limit, and saying what they say in the words of sshd. Never here: deciding about a
//! command (`svcauth_core::command`), writing files (`activation`), finding faults (`doctor`).

mod accounts;
mod blocks;
mod forwards;
mod key;
pub mod shown;

pub use accounts::{Limited, limited, on_this_host};
pub use blocks::{FORCED, Global, blocks, extract, renewed, without};
pub use forwards::Forwards;
pub use key::options;
