//! The daemon's own log: what it did, for whoever operates it. Audit records are another matter (`svcauth_host::audit_log`).
//!
//! Formatted by the `syslog` crate, written by our own writer: the crate's writer blocks for ever when nobody reads
//! /dev/log, and does not come back after the log daemon was restarted (decision 0002).

use std::io::{self, Write};
use std::path::Path;

use nix::sys::socket::{UnixAddr, getpeername};
use svcauth_core::audit::escape::for_terminal;
use svcauth_host::audit_log::{DEADLINE, Sinks, SyslogWriter};
use syslog::{Facility, Formatter3164, LogFormat, Severity};

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
            let _ = writeln!(io::stderr(), "svcauthd: {}", for_terminal(text));
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

/// Whether what is written there goes to journald: the peer of the stream that systemd gives to a service has a name.
fn is_journal(stream: &impl std::os::fd::AsRawFd) -> bool {
    let peer: Result<UnixAddr, _> = getpeername(stream.as_raw_fd());
    peer.is_ok_and(|peer| peer.path() == Some(Path::new("/run/systemd/journal/stdout")))
}
