//! What the command prints: tables on a terminal, tabs in a pipe, JSON when asked; no foreign control byte in any of them.

use std::fmt::{Display, Write as _};
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use serde::Serialize;
use svcauth_core::audit::escape::{for_terminal, is_deceptive};

/// What a shell shows for a program that SIGPIPE has ended.
pub(super) const NOBODY_READS: u8 = 128 + 13;

/// The widest that a column of a table becomes; a cell that is longer sticks out. (Rust refuses to pad beyond 65535.)
pub(crate) const WIDTH_MAX: usize = 120;

/// A command that could not do its work.
#[derive(Debug)]
pub(super) struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    /// Something is not as it must be: exit status 1.
    pub(super) fn new(message: impl Display) -> Self {
        Self { message: message.to_string(), code: 1 }
    }
    /// The question makes no sense: exit status 2, as for a wrong option.
    pub(super) fn usage(message: impl Display) -> Self {
        Self { message: message.to_string(), code: 2 }
    }
    /// Says it on standard error.
    pub(super) fn report(&self) -> ExitCode {
        if !self.message.is_empty() {
            // Nowhere to report that standard error is closed.
            let _ = writeln!(io::stderr(), "svcauth: {}", for_terminal(&self.message));
        }
        ExitCode::from(self.code)
    }
}

/// A sentence for the administrator.
impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}

/// An error while writing to standard output: nothing else here is an [`io::Error`].
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // `svcauth accounts | head -1` is no fault: end as a program does that SIGPIPE ends, without a word.
            io::ErrorKind::BrokenPipe => Self { message: String::new(), code: NOBODY_READS },
            _ => Self::new(format!("standard output: {error}")),
        }
    }
}

/// Something on standard error that is no failure. That nobody takes it is no reason to stop.
pub(super) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "svcauth: {}", for_terminal(text));
}

/// One line of text, foreign parts already escaped or not: escaped here.
pub(super) fn line(text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{}", for_terminal(text))
}

/// A value as one line of JSON.
pub(super) fn json<T: Serialize>(value: &T) -> io::Result<()> {
    let text = serde_json::to_string(value).map_err(io::Error::other)?;
    writeln!(io::stdout(), "{}", only_visible(&text))
}

/// The same JSON without a character that a terminal would obey or hide. serde_json escapes the controls of ASCII only;
/// the others can stand nowhere but in strings, where an escape means the same.
pub(crate) fn only_visible(json: &str) -> String {
    if json.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return json.to_owned();
    }
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_deceptive(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// A table: aligned with a head on a terminal, tab-separated without one in a pipe.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| for_terminal(cell)).collect()).collect();
    if !out.is_terminal() {
        for row in rows {
            writeln!(out, "{}", row.join("\t"))?;
        }
        return Ok(());
    }
    let head: Vec<String> = head.iter().map(ToString::to_string).collect();
    let width = |column: usize| {
        let cells = rows.iter().chain([&head]).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0).min(WIDTH_MAX)
    };
    for row in [&head].into_iter().chain(&rows) {
        let cells = row.iter().enumerate().map(|(column, cell)| format!("{cell:<0$}", width(column)));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// Seconds as people say them: `3s`, `5m`, `2h`, `4d`.
pub(crate) fn duration(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7199 => format!("{}m", seconds / 60),
        7200..=172_799 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, duration, io, only_visible};

    #[test]
    fn json_means_the_same_and_holds_nothing_that_a_terminal_obeys() {
        let odd =
            ["a\u{1b}[2J", "\u{9b}31m", "\u{7f}", "\u{202e}txt", "\u{e0041}", "zo\u{eb} \u{1f600} \\ \""];
        let shown = only_visible(&serde_json::to_string(&odd).unwrap());
        assert!(!shown.chars().any(svcauth_core::audit::escape::is_deceptive), "{shown}");
        assert!(shown.contains("\\u009b31m") && shown.contains("\\udb40\\udc41"), "{shown}");
        assert!(shown.contains("zo\u{eb} \u{1f600}"), "{shown}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&shown).unwrap(), odd);
    }

    #[test]
    fn a_closed_pipe_ends_without_a_word_and_a_full_disk_does_not() {
        let closed = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((closed.message.as_str(), closed.code), ("", 141));
        let full = Failure::from(io::Error::from(io::ErrorKind::StorageFull));
        assert!(full.message.starts_with("standard output: ") && full.code == 1, "{}", full.message);
    }

    #[test]
    fn a_span_of_time_is_said_in_the_unit_that_people_would_choose() {
        let said = [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (7199, "119m"),
            (7200, "2h"),
            (86_400, "24h"),
            (172_800, "2d"),
        ];
        for (seconds, text) in said {
            assert_eq!(duration(seconds), text);
        }
    }
}
