//! The daemon's own log: what it did, for whoever operates it. Audit records are another matter (`svcauth_host::audit_log`).
//!
//! Formatted by the `syslog` crate, written by our own writer: the crate's writer blocks for ever when nobody reads
//! /dev/log, and does not come back after the log daemon was restarted (decision 0002).

use std::io::{self, Write as _};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{UnixAddr, getpeername};
use svcauth_core::audit::escape::for_terminal;
use svcauth_host::audit_log::{DEADLINE, Sinks, SyslogWriter};
use syslog::{Facility, Formatter3164, LogFormat, Severity};

/// Bytes that a pipe takes at once when poll(2) says that it takes any (pipe(7)).
const PIPE_BUF: usize = 4096;

/// How loud a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// All is well.
    Info,
    /// An administrator should look.
    Warning,
}

/// The daemon's log.
pub(super) struct Log {
    formatter: Formatter3164,
    /// Standard error leads to the journal, which reads /dev/log too: one of the two is enough.
    in_journal: bool,
}

impl Log {
    /// A log under the daemon's name.
    pub(super) fn new() -> Self {
        let formatter = Formatter3164 {
            facility: Facility::LOG_DAEMON,
            hostname: None,
            process: "svcauthd".into(),
            pid: std::process::id(),
        };
        Self { formatter, in_journal: is_journal(&io::stderr()) }
    }

    /// Writes one line to syslog, and to standard error unless that leads to the same place. Never waits for a log daemon.
    pub(super) fn say(&self, level: Level, text: &str) {
        if !self.in_journal {
            write_unless_full(&io::stderr(), &format!("svcauthd: {}\n", for_terminal(text)));
        }
        let severity = match level {
            Level::Info => Severity::LOG_INFO,
            Level::Warning => Severity::LOG_WARNING,
        };
        let mut line = Vec::new();
        if self.formatter.format(&mut line, severity, text).is_ok() {
            // Sent or dropped: a log daemon that does not read must not stop the directory's refresh.
            let _ = SyslogWriter::new(&Sinks::default(), DEADLINE).write_all(&line);
        }
    }
}

/// Writes the line if whoever reads takes it now. A pipe that nobody reads, or a terminal that somebody has stopped, must
/// not stop the directory's refresh. poll(2) promises room for a page, hence the cut.
fn write_unless_full(stream: &(impl AsFd + AsRawFd), line: &str) {
    let mut ready = [PollFd::new(stream.as_fd(), PollFlags::POLLOUT)];
    let has_room = poll(&mut ready, PollTimeout::ZERO) == Ok(1)
        && ready.iter().all(|one| one.revents().is_some_and(|it| it.contains(PollFlags::POLLOUT)));
    if has_room {
        let (head, end) = if line.len() > PIPE_BUF { (PIPE_BUF - 1, "\n") } else { (line.len(), "") };
        let line = [line.as_bytes().get(..head).unwrap_or_default(), end.as_bytes()].concat();
        // Nowhere to report that standard error is closed.
        let _ = nix::unistd::write(stream.as_fd(), &line);
    }
}

/// Whether what is written there goes to journald: the peer of the stream that systemd gives to a service has a name.
fn is_journal(stream: &impl AsRawFd) -> bool {
    let peer: Result<UnixAddr, _> = getpeername(stream.as_raw_fd());
    peer.is_ok_and(|peer| peer.path() == Some(Path::new("/run/systemd/journal/stdout")))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read as _;

    use super::{PIPE_BUF, write_unless_full};

    #[test]
    fn a_reader_that_stopped_reading_holds_nobody_up() {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        write_unless_full(&writer, "first\n");
        (0..100).for_each(|_| write_unless_full(&writer, &"x".repeat(2 * PIPE_BUF)));
        drop(writer);
        let mut text = Vec::new();
        File::from(reader).read_to_end(&mut text).unwrap();
        assert!(text.starts_with(b"first\nxxx") && text.ends_with(b"x\n"));
        assert!(text.len() < 100 * PIPE_BUF, "{} bytes went into a pipe that nobody read", text.len());
    }
}
