//! A command that runs: what the shell tells of it until it is over, and the record of its end.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;

use svcauth_core::audit::{Event, Record, capped};
use svcauth_core::command::protocol::{MESSAGE_MAX, Told};
use svcauth_host::audit;
use svcauth_host::clock::Clock;

use super::now_micros;
use crate::frame;

/// Longest command in the record of its end, in bytes: the whole one is in the record of its start.
const COMMAND_MAX: usize = 1 << 10;
/// What a shell adds to the number of the signal that ended a command (sh(1), "Exit Status").
const BY_SIGNAL: i32 = 128;

/// A command that runs.
pub(super) struct Running {
    /// What the record of its start says.
    record: Record,
    /// When it began, in seconds since boot.
    since: u64,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Exited(i32),
    Killed(i32),
    NotStarted(i32),
    /// The shell is gone and has not told.
    Cut,
}

impl Running {
    pub(super) const fn new(record: Record, clock: &Clock) -> Self {
        Self { record, since: clock.boottime }
    }

    /// Listens until the command has ended or the shell is gone; then records that. `sent`: whether the answer went out.
    pub(super) fn watch(self, stream: &UnixStream, sent: io::Result<()>) {
        let end =
            sent.and_then(|()| stream.set_read_timeout(None)).map_or(End::Cut, |()| heard(&mut &*stream));
        // It has ended whether or not a log takes the record.
        let _ = audit::write(&self.end(end, &Clock::now()));
    }

    fn end(self, end: End, now: &Clock) -> Record {
        let (status, detail) = match end {
            End::Exited(status) => (Some(status), None),
            End::Killed(signal) => (Some(BY_SIGNAL + signal), Some(format!("ended by signal {signal}"))),
            End::NotStarted(errno) => {
                let why = io::Error::from_raw_os_error(errno);
                (None, Some(format!("it could not be started: {why}")))
            }
            End::Cut => (
                None,
                Some(
                    "the connection was cut: svcauth-shell is gone and has not told how it ended".to_owned(),
                ),
            ),
        };
        Record {
            event: Event::CommandEnd,
            time: now_micros(),
            decision: None,
            reason: None,
            mode: None,
            command: self.record.command.as_deref().map(|command| capped(command, COMMAND_MAX).into_owned()),
            exit_status: status,
            duration_seconds: Some(now.boottime.saturating_sub(self.since)),
            detail,
            ..self.record
        }
    }
}

/// What the shell says in the end.
fn heard(from: &mut impl Read) -> End {
    loop {
        let told = match frame::read_bytes(from, MESSAGE_MAX) {
            Ok(Some(message)) => Told::decode(&message),
            Ok(None) | Err(_) => return End::Cut,
        };
        match told {
            Ok(Told::Output(_) | Told::Size { .. }) => {}
            Ok(Told::Exited(status)) if (0..256).contains(&status) => return End::Exited(status),
            Ok(Told::Killed(signal)) if (1..=64).contains(&signal) => return End::Killed(signal),
            Ok(Told::NotStarted(errno)) => return End::NotStarted(errno),
            // What svcauth-shell does not say comes from something else.
            Ok(Told::Exited(_) | Told::Killed(_)) | Err(_) => return End::Cut,
        }
    }
}
