//! `svcauth-shell`: asks svcauthd what somebody may do with an account, and runs that.
//!
//! Belongs here: what stands between sshd or su and a command. Never here: deciding (that is the daemon's), threads, the name
//! service, anything that a file or variable of the account could change.
//!
//! It is linked statically, and it is the account's own process: nothing that the account itself may do is kept from it here.
//! What is kept from it is running anything by this login that the daemon has not allowed and recorded.
#![deny(unsafe_code)]

mod confine;
mod daemon;
mod environment;
mod failure;
mod invocation;
mod link;
mod local;
mod modes_sys;
mod nested;
mod parent;
mod process_sys;
mod real_path;
mod recorded;
mod run;
mod terminal_sys;

pub use run::run;

/// The status of a command that is refused.
pub const REFUSED: u8 = 126;
/// The status when what is allowed could not be started.
pub const NOT_STARTED: u8 = 127;
/// The status when nobody could be asked: no daemon, no answer, or one that makes no sense.
pub const FAILED: u8 = 255;
