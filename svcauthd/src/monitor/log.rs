//! The daemon's own log: what it did, for whoever operates it. Audit records are another matter (`svcauth_host::audit_log`).
//!
//! Formatted by the `syslog` crate, written by our own writer: the crate's writer blocks for ever when nobody reads
//! /dev/log, and does not come back after the log daemon was restarted (decision 0002).

use std::io::{self, Write};

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
        Self { formatter }
    }

    /// Writes one line to standard error (which systemd takes to the journal) and to syslog. Never waits.
    pub(super) fn say(&self, level: Level, text: &str) {
        let text = for_terminal(text);
        let _ = writeln!(io::stderr(), "svcauthd: {text}");
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
