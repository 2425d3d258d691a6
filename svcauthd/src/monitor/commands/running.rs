//! A command that runs: what the shell tells of it until it is over, and the record of its end.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;

use svcauth_core::audit::{Event, Record, capped};
use svcauth_core::command::protocol::Told;
use svcauth_host::audit;
use svcauth_host::clock::Clock;

use super::now_micros;
use super::tape::Tape;
use crate::frame;

/// Longest command in the record of its end, in bytes: the whole one is in the record of its start.
const COMMAND_MAX: usize = 1 << 10;
/// Longest message while a command runs, in bytes: svcauth-shell tells 16 KiB at a time. Of what a terminal shows there are
/// several copies until it is written, of hundreds of shells at a time.
const TOLD_MAX: u32 = 64 << 10;
/// What a shell adds to the number of the signal that ended a command (sh(1), "Exit Status").
const BY_SIGNAL: i32 = 128;

/// Nobody knows how it ended, or whether it has.
const CUT: &str = "the connection was cut: svcauth-shell is gone and has not told how it ended";

/// A command that runs.
pub(super) struct Running {
    /// What the record of its start says.
    record: Record,
    /// When it began, in seconds since boot.
    since: u64,
    /// What it shows, where that is recorded.
    tape: Option<Tape>,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    Exited(i32),
    Killed(i32),
    NotStarted(i32),
    /// The shell is gone and has not told.
    Cut,
    /// What it shows must be recorded, and cannot be.
    Unrecorded(String),
}

impl Running {
    /// `since`: when it began, in seconds since boot.
    pub(super) const fn new(record: Record, since: u64, tape: Option<Tape>) -> Self {
        Self { record, since, tape }
    }

    /// Listens until the command has ended or the shell is gone; then records that. `sent`: whether the answer went out.
    pub(super) fn watch(mut self, stream: &UnixStream, sent: io::Result<()>) {
        let ready = sent.and_then(|()| stream.set_read_timeout(None));
        let end = ready.map_or(End::Cut, |()| heard(&mut &*stream, self.tape.as_mut()));
        if let Some(tape) = self.tape.take() {
            tape.end();
        }
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
            End::Cut => (None, Some(CUT.to_owned())),
            End::Unrecorded(why) => {
                (None, Some(format!("it is ended: what it shows cannot be recorded: {why}")))
            }
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
fn heard(from: &mut impl Read, mut tape: Option<&mut Tape>) -> End {
    loop {
        let told = match frame::read_bytes(from, TOLD_MAX) {
            Ok(Some(message)) => Told::decode(&message),
            Ok(None) | Err(_) => return End::Cut,
        };
        match told {
            Ok(told @ (Told::Output(_) | Told::Size { .. })) => {
                if let Some(Err(error)) = tape.as_deref_mut().map(|tape| tape.take(&told)) {
                    return End::Unrecorded(error.to_string());
                }
            }
            Ok(Told::Exited(status)) if (0..256).contains(&status) => return End::Exited(status),
            Ok(Told::Killed(signal)) if (1..=64).contains(&signal) => return End::Killed(signal),
            Ok(Told::NotStarted(errno)) => return End::NotStarted(errno),
            // What svcauth-shell does not say comes from something else.
            Ok(Told::Exited(_) | Told::Killed(_)) | Err(_) => return End::Cut,
        }
    }
}

#[cfg(test)]
mod tests {
    use svcauth_core::command::protocol::{MESSAGE_MAX, Told};

    use super::{Clock, End, Event, Record, Running, frame, heard};

    fn said(told: &[Told]) -> Vec<u8> {
        let mut bytes = Vec::new();
        told.iter().for_each(|one| frame::write_bytes(&mut bytes, &one.encode(), MESSAGE_MAX).unwrap());
        bytes
    }

    #[test]
    fn the_end_is_what_the_shell_says_and_a_cut_where_it_says_nothing_or_nonsense() {
        let shown = Told::Output(b"x".to_vec());
        for (told, end) in [
            (vec![Told::Exited(0)], End::Exited(0)),
            (vec![shown.clone(), Told::Size { columns: 1, rows: 1 }, Told::Exited(255)], End::Exited(255)),
            (vec![Told::Killed(9), Told::Exited(0)], End::Killed(9)),
            (vec![Told::NotStarted(2)], End::NotStarted(2)),
            (vec![shown], End::Cut),
            (vec![], End::Cut),
            (vec![Told::Exited(256)], End::Cut),
            (vec![Told::Exited(-1)], End::Cut),
            (vec![Told::Killed(0)], End::Cut),
            (vec![Told::Killed(65)], End::Cut),
        ] {
            assert_eq!(heard(&mut said(&told).as_slice(), None), end, "{told:?}");
        }
        let whole = said(&[Told::Exited(0)]);
        for len in 0..whole.len() {
            assert_eq!(heard(&mut &whole[..len], None), End::Cut, "{len}");
        }
        assert_eq!(heard(&mut &b"\xff\xff\xff\xffGET / HTTP/1.1"[..], None), End::Cut);
        let shown = |len: usize| said(&[Told::Output(vec![b'x'; len]), Told::Exited(0)]);
        assert_eq!(heard(&mut shown(16 << 10).as_slice(), None), End::Exited(0));
        assert_eq!(
            heard(&mut shown(64 << 10).as_slice(), None),
            End::Cut,
            "more than svcauth-shell tells at a time"
        );
    }

    #[test]
    fn the_record_of_an_end_has_status_and_duration_and_nothing_of_the_decision() {
        let start = Record {
            event: Event::Command,
            decision: Some(svcauth_core::audit::Verdict::Allow),
            reason: Some("command_not_allowed".to_owned()),
            mode: Some("learn".to_owned()),
            command: Some("x".repeat(5000)),
            detail: Some("bob executed".to_owned()),
            session: Some("4d8f-1".to_owned()),
            pid: Some(7),
            ..Record::default()
        };
        let now = Clock { wall: 1, boottime: 100, boot_id: None };
        for (end, status, detail) in [
            (End::Exited(3), Some(3), None),
            (End::Killed(15), Some(143), Some("ended by signal 15")),
            (
                End::NotStarted(2),
                None,
                Some("it could not be started: No such file or directory (os error 2)"),
            ),
            (End::Cut, None, Some(super::CUT)),
        ] {
            let record = Running::new(start.clone(), 58, None).end(end, &now);
            assert_eq!(
                (record.event, record.exit_status, record.detail.as_deref()),
                (Event::CommandEnd, status, detail)
            );
            assert_eq!((record.decision, record.reason, record.mode), (None, None, None));
            assert_eq!((record.duration_seconds, record.pid), (Some(42), Some(7)));
            assert!(record.command.unwrap().ends_with("x...(+3976 bytes)"));
        }
    }
}
