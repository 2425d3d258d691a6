//! Where audit records go: one function for whoever has something to record.
//!
//! Belongs here: which sinks get a record, and what it means that none took it. How a record reaches the host's log is
//! told by [`crate::audit_log`], how it reaches the audit file by [`crate::spool`].

use std::fmt;
use std::time::Duration;

use svcauth_core::audit::Record;

use crate::audit_log::{self, DEADLINE, Sink, Sinks, Unavailable};
use crate::spool::{self, SpoolError};

/// Who took a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The host's log, if it did.
    pub log: Option<Sink>,
    /// Whether the spool did.
    pub spooled: bool,
}

/// Nobody took the record for certain.
#[derive(Debug)]
pub struct NotTaken {
    /// What the host's log said.
    pub log: Unavailable,
    /// Why the audit file will not have it either; `None`: it waits in the spool, but nobody takes it from there.
    pub spool: Option<SpoolError>,
}

impl fmt::Display for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; the spool: ", self.log)?;
        match &self.spool {
            Some(error) => write!(f, "{error}"),
            None => f.write_str("no svcauthd takes records from it"),
        }
    }
}

impl std::error::Error for NotTaken {}

/// Hands a record to every sink, and returns within 100 ms whatever happens.
///
/// For whoever goes on whether or not anybody took it: denials, ends, alarms. The spool keeps it also while there is no
/// daemon.
///
/// # Errors
/// [`NotTaken`] if no sink took it for certain.
pub fn write(record: &Record) -> Result<Taken, NotTaken> {
    write_within(record, DEADLINE)
}

/// The same for whoever can wait less, or more (at most a second).
///
/// # Errors
/// [`NotTaken`] if no sink took it for certain.
pub fn write_within(record: &Record, deadline: Duration) -> Result<Taken, NotTaken> {
    deliver(record, deadline, Spooling::Always)
}

/// Hands over the record of something that must not happen unrecorded. When nobody takes it for certain, nothing of it is
/// left behind: what was not allowed in the end must not be found in the audit file as allowed.
///
/// # Errors
/// [`NotTaken`] if neither the host's log nor the spool of a living recorder took it.
pub fn write_or_leave(record: &Record) -> Result<Taken, NotTaken> {
    deliver(record, DEADLINE, Spooling::IfTaken)
}

/// Whether the spool keeps what nobody is there to take.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spooling {
    Always,
    IfTaken,
}

fn deliver(record: &Record, deadline: Duration, spooling: Spooling) -> Result<Taken, NotTaken> {
    let log = match audit_log::send(record, &Sinks::default(), deadline) {
        Err(log) if !spool::has_recorder() => {
            let spooled = if spooling == Spooling::Always { spool::append(record) } else { Ok(()) };
            return Err(NotTaken { log, spool: spooled.err() });
        }
        answer => answer,
    };
    match (log, spool::append(record)) {
        (Err(log), Err(error)) => Err(NotTaken { log, spool: Some(error) }),
        (log, spooled) => Ok(Taken { log: log.ok(), spooled: spooled.is_ok() }),
    }
}
