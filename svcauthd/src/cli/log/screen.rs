//! How a record looks: a row of a table on a terminal, tabs in a pipe, or the line of the file.
//!
//! Whatever a record holds, it is one line here, and no character of it moves a cursor.

use std::io::{self, BufWriter, IsTerminal as _, StdoutLock, Write as _};

use svcauth_core::audit::escape::{bytes_for_terminal, for_terminal};
use svcauth_core::audit::{VALUE_MAX, capped, rfc3339};

use super::when::shown;
use crate::cli::output::{duration, only_visible};
use crate::trail::{Entry, Line, NoRecord};

const HEAD: [&str; 8] = ["TIME", "WHAT", "ACCOUNT", "ORIGIN", "WHY", "SERVICE", "FROM", "DETAIL"];
/// A column grows with what is in it, so far; one odd name does not push everything off the screen. In characters.
const WIDTH_MAX: usize = 32;
/// Bytes of a line that is no record that are shown.
const GARBAGE_SHOWN: usize = 200;

type Cells = [String; 8];

/// How records are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Aligned, with a head, in the host's time.
    Table,
    /// Tabs, in UTC.
    Tabs,
    /// The line of the file.
    Json,
}

impl Style {
    pub(super) fn of_stdout(json: bool) -> Self {
        match (json, io::stdout().is_terminal()) {
            (true, _) => Self::Json,
            (false, true) => Self::Table,
            (false, false) => Self::Tabs,
        }
    }
}

/// Standard output.
pub(super) struct Screen {
    out: BufWriter<StdoutLock<'static>>,
    style: Style,
    widths: [usize; 8],
    has_head: bool,
}

impl Screen {
    pub(super) fn new(style: Style) -> Self {
        let out = BufWriter::new(io::stdout().lock());
        Self { out, style, widths: [19, 8, 10, 8, 11, 7, 9, 0], has_head: false }
    }

    /// Shows a record and the line that it was read from.
    pub(super) fn record(&mut self, entry: &Entry, line: &Line) -> io::Result<()> {
        match self.style {
            Style::Json => {
                if line.bytes.iter().all(|byte| matches!(byte, b' '..=b'~')) {
                    self.out.write_all(&line.bytes)?;
                    return self.out.write_all(b"\n");
                }
                // Letters of other scripts; a record that the daemon wrote has nothing that this changes.
                let text = only_visible(&String::from_utf8_lossy(&line.bytes));
                writeln!(self.out, "{text}")
            }
            Style::Tabs => writeln!(self.out, "{}", tabs(entry).join("\t")),
            Style::Table => self.row(table(entry)),
        }
    }

    /// Shows a line that is no record where it stands. JSON is for programs: there it is told on standard error.
    pub(super) fn garbage(&mut self, line: &Line, number: u64, why: &NoRecord) -> io::Result<()> {
        let said = garbage(line, number, why);
        let none = || "-".to_owned();
        let cells: Cells =
            [none(), "garbage".to_owned(), none(), none(), none(), none(), none(), said.clone()];
        match self.style {
            Style::Json => {
                // Nowhere to report that standard error is closed.
                let _ = writeln!(io::stderr(), "svcauth: {said}");
                Ok(())
            }
            Style::Tabs => writeln!(self.out, "{}", cells.join("\t")),
            Style::Table => self.row(cells),
        }
    }

    /// Lets the reader see what was printed so far.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Whether somebody who looks at a terminal has been shown nothing at all.
    pub(super) fn is_bare(&self) -> bool {
        self.style == Style::Table && !self.has_head
    }

    fn row(&mut self, cells: Cells) -> io::Result<()> {
        if !self.has_head {
            self.has_head = true;
            self.row(HEAD.map(str::to_owned))?;
        }
        let mut text = String::new();
        for (cell, width) in cells.iter().zip(&mut self.widths) {
            *width = (*width).max(cell.chars().count()).min(WIDTH_MAX);
            text.push_str(&format!("{cell:<0$}  ", *width));
        }
        writeln!(self.out, "{}", text.trim_end())
    }
}

/// A line that is no record, escaped: where it stands, why, and how it begins.
fn garbage(line: &Line, number: u64, why: &NoRecord) -> String {
    let head = line.bytes.get(..GARBAGE_SHOWN).unwrap_or(&line.bytes);
    let rest = (line.length - u64::from(line.is_complete)).saturating_sub(head.len() as u64);
    let more = if rest > 0 { format!("...(+{rest} bytes)") } else { String::new() };
    let place = for_terminal(&format!("{} line {number} is no record: {why}", line.path.display()));
    format!("{place}: {}{more}", bytes_for_terminal(head))
}

fn tabs(entry: &Entry) -> Cells {
    let time = entry.time.map_or_else(|| "-".to_owned(), rfc3339);
    cells(entry, time, cell(entry.origin.as_deref()))
}

/// Origins are login names and hold no blank, so that ` for ` cannot be part of one.
fn table(entry: &Entry) -> Cells {
    let time = entry.time.and_then(shown).unwrap_or_else(|| "-".to_owned());
    let origin = cell(entry.origin.as_deref());
    let origin = match &entry.on_behalf_of {
        Some(other) => format!("{origin} for {}", cell(Some(other))),
        None => origin,
    };
    cells(entry, time, origin)
}

fn cells(entry: &Entry, time: String, origin: String) -> Cells {
    // Of a command that a learning rule let run, the reason is why it would not.
    let learned =
        entry.mode.as_deref().zip(entry.reason.as_deref()).map(|(mode, why)| format!("{mode}:{why}"));
    let why = learned.as_deref().or(entry.reason.as_deref()).or(entry.evidence.as_deref());
    [
        time,
        cell(Some(entry.verb())),
        cell(entry.account.as_deref()),
        origin,
        cell(why),
        cell(entry.service.as_deref()),
        cell(entry.from.as_deref()),
        detail(entry),
    ]
}

/// The command or the sentence; what has neither may have a number worth seeing.
fn detail(entry: &Entry) -> String {
    let text = match entry.event.as_str() {
        // The sentence has the command in it, and what is in its way.
        "command" => entry.detail.as_deref().or(entry.command.as_deref()),
        "command_end" => return end_of_command(entry),
        _ => entry.command.as_deref().or(entry.detail.as_deref()),
    };
    match (text, entry.count, entry.duration_seconds) {
        (Some(_), ..) => cell(text),
        (None, Some(count), _) => format!("{count} records"),
        (None, None, Some(seconds)) => format!("after {}", duration(seconds)),
        (None, None, None) => "-".to_owned(),
    }
}

/// `exit 0 after 2s: uptime`; of one that nobody saw the end of, why.
fn end_of_command(entry: &Entry) -> String {
    let ended = match entry.exit_status {
        Some(status) => format!("exit {status}"),
        None => cell(entry.detail.as_deref()),
    };
    let after = entry.duration_seconds.map(|seconds| format!(" after {}", duration(seconds)));
    let what = entry.command.as_deref().unwrap_or("a shell");
    format!("{ended}{}: {}", after.unwrap_or_default(), cell(Some(what)))
}

/// Foreign text as one cell: of bounded length, and escaped once.
fn cell(text: Option<&str>) -> String {
    match text {
        None | Some("") => "-".to_owned(),
        Some(text) => for_terminal(&capped(text, VALUE_MAX)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use svcauth_core::audit::escape::is_deceptive;
    use svcauth_core::audit::{Event, Record, VALUE_MAX, Verdict};

    use super::{Entry, Line, NoRecord, cells, garbage, table, tabs};

    fn entry(record: &Record) -> Entry {
        serde_json::from_str(&record.to_json()).unwrap()
    }

    #[test]
    fn a_row_says_when_what_who_why_through_what_from_where_and_what_was_done() {
        let record = Record {
            time: Some(1_769_847_300_000_000),
            decision: Some(Verdict::Deny),
            reason: Some("not_in_role".into()),
            evidence: Some("publickey".into()),
            account: Some("deployer".into()),
            origin: Some("robot".into()),
            on_behalf_of: Some("alice".into()),
            service: Some("sshd".into()),
            from: Some("::1".into()),
            ..Record::default()
        };
        let row = tabs(&entry(&record));
        let expected =
            ["2026-01-31T08:15:00.000000Z", "deny", "deployer", "robot", "not_in_role", "sshd", "::1", "-"];
        assert_eq!(row, expected);
        let allowed = Record { decision: Some(Verdict::Allow), reason: None, ..record.clone() };
        assert_eq!(tabs(&entry(&allowed)).get(4).unwrap(), "publickey");
        assert_eq!(table(&entry(&allowed)).get(3).unwrap(), "robot for alice");
        let ended = Record { event: Event::SessionEnd, duration_seconds: Some(300), ..record.clone() };
        assert_eq!(tabs(&entry(&ended)).get(7).unwrap(), "after 5m");
        let many = Record { event: Event::Suppressed, count: Some(7), ..record };
        assert_eq!(tabs(&entry(&many)).get(7).unwrap(), "7 records");
    }

    #[test]
    fn a_row_of_a_command_has_the_sentence_and_that_of_its_end_how_it_ended() {
        let record = |event, detail: Option<&str>| Record {
            event,
            command: Some("ls /".into()),
            detail: detail.map(str::to_owned),
            duration_seconds: Some(2),
            ..Record::default()
        };
        let cell = |record: &Record, at: usize| tabs(&entry(record)).get(at).unwrap().clone();
        let sentence = "bob is in application and executed ls /";
        let begun = Record { decision: Some(Verdict::Allow), ..record(Event::Command, Some(sentence)) };
        assert_eq!((cell(&begun, 1), cell(&begun, 7)), ("command".to_owned(), sentence.to_owned()));
        let refused = Record { decision: Some(Verdict::Deny), ..begun.clone() };
        assert_eq!(cell(&refused, 1), "command_refused");
        let learned =
            Record { mode: Some("learn".into()), reason: Some("command_not_allowed".into()), ..begun };
        assert_eq!(cell(&learned, 4), "learn:command_not_allowed");
        let end = Record { exit_status: Some(3), ..record(Event::CommandEnd, None) };
        assert_eq!(
            (cell(&end, 1), cell(&end, 7)),
            ("command_end".to_owned(), "exit 3 after 2s: ls /".to_owned())
        );
        let cut = record(Event::CommandEnd, Some("the connection was cut"));
        assert_eq!(cell(&cut, 7), "the connection was cut after 2s: ls /");
        let shell = Record { command: None, ..end };
        assert_eq!(cell(&shell, 7), "exit 3 after 2s: a shell");
    }

    #[test]
    fn a_long_value_is_cut_and_says_so() {
        let long = Record { command: Some("x".repeat(100_000)), ..Record::default() };
        let row = tabs(&entry(&long));
        let detail = row.last().unwrap();
        assert!(detail.len() < VALUE_MAX + 30 && detail.ends_with("x...(+98976 bytes)"), "{}", detail.len());
    }

    #[test]
    fn a_line_that_is_no_record_is_shown_escaped_with_its_place() {
        let bytes = b"\x1b[2J\xff\"}".repeat(100);
        let length = bytes.len() as u64 + 1;
        let path = "/var/log/svcauth/audit.jsonl".into();
        let line = Line { path, offset: 0, number: None, bytes, length, is_complete: true };
        let said = garbage(&line, 12, &NoRecord::Malformed("expected value".into()));
        assert!(said.starts_with(
            "/var/log/svcauth/audit.jsonl line 12 is no record: expected value: \\x1b[2J\\xff\"}"
        ));
        assert!(said.ends_with("...(+500 bytes)") && said.is_ascii(), "{said}");
    }

    proptest! {
        #[test]
        fn whatever_a_record_holds_a_row_is_one_line_of_eight_harmless_cells(
            text in "(\\PC|[\\x00-\\x1f\u{7f}-\u{9f}\u{200b}-\u{202e}\u{2066}-\u{2069}\u{e0041}\"\\\\ =%]){0,40}",
            event in 0..Event::ALL.len(),
        ) {
            let some = || Some(text.clone());
            let record = Record {
                event: Event::ALL[event], account: some(), origin: some(), on_behalf_of: some(), reason: some(),
                evidence: some(), service: some(), from: some(), command: some(), ..Record::default()
            };
            let entry = Entry { event: text.clone(), ..entry(&record) };
            for row in [tabs(&entry), table(&entry), cells(&entry, "-".into(), "-".into())] {
                let line = row.join("\t");
                prop_assert_eq!(line.matches('\t').count(), 7);
                prop_assert!(!line.chars().any(|c| c != '\t' && is_deceptive(c)), "{:?}", line);
            }
        }
    }
}
