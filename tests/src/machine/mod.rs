//! Booted machines: Debian 12 and 13 with a real systemd, sshd, logind, cron, for what only a whole system shows: packages,
//! activation, reboots.
//!
//! A case gets a [`Debian`] and asks it for as many [`Machine`]s as it wants, each with files of its own:
//!
//! ```no_run
//! # use svcauth_tests::failure::{Outcome, require_eq};
//! # use svcauth_tests::machine::Debian;
//! fn bob_gets_in(debian: &Debian) -> Outcome {
//!     let machine = debian.enabled()?;
//!     let ended = machine.ssh("bob", "deployer", &["id", "-un"])?.expect_ok()?;
//!     require_eq("who it is", ended.text(), "deployer")
//! }
//! ```
//!
//! Not here: private worlds that share the machine's programs ([`crate::world`]), which start faster and have no systemd.

mod boot;
mod cgroup;
mod deb;
mod debian;
mod etc;
mod furnish;
mod ground;
mod inside;
mod load;
mod mirror;
mod probe;
mod release;
mod runner;
mod server;
pub mod tree;

pub use boot::Machine;
pub use deb::{NAMES, Packages, Version};
pub use debian::Debian;
pub use etc::Etc;
pub use load::{Load, Login};
pub use probe::Answer;
pub use release::Release;
pub use runner::{Case, main, note};
pub use server::Server;
