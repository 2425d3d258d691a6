//! Where audit records go: one function for whoever has something to record.
//!
//! Belongs here: which sinks get a record, and what it means that none took it. How a record reaches the host's log is
//! told by [`crate::audit_log`].

use std::time::Duration;

use svcauth_core::audit::Record;

use crate::audit_log::{self, DEADLINE, Sink, Sinks, Unavailable};

/// Who took a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The host's log, if it did.
    pub log: Option<Sink>,
}

/// Hands a record to every sink, and returns within 100 ms whatever happens.
///
/// # Errors
/// [`Unavailable`] if no sink took it.
pub fn write(record: &Record) -> Result<Taken, Unavailable> {
    write_within(record, DEADLINE)
}

/// The same for whoever can wait less, or more (at most a second).
///
/// # Errors
/// [`Unavailable`] if no sink took it.
pub fn write_within(record: &Record, deadline: Duration) -> Result<Taken, Unavailable> {
    audit_log::send(record, &Sinks::default(), deadline).map(|sink| Taken { log: Some(sink) })
}
