//! What people have done with an account, as an access rule that allows it; and what another configuration would have
//! refused of that.
//!
//! Belongs here: from records of the audit trail to command rules and their text, and records held against rules. Never
//! here: reading the trail, asking the host, printing.
//!
//! What is proposed is held against [`svcauth_core::command::admit`], which decides in earnest: every line that was read is
//! admitted by the proposal, or is named in it with the reason why it is not.

mod cluster;
mod corpus;
mod files;
mod past;
mod pattern;
mod rule;
mod write;

#[cfg(test)]
mod tests;

pub use corpus::{Asked, Corpus, Record, Seen, Unread};
pub use past::{Past, Standing, with_rules};
pub use rule::{Host, LeftOut, Proposal, Proposed, propose};
pub use write::{Heading, command_toml, write};
