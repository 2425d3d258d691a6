//! asciicast, version 2 (<https://docs.asciinema.org/manual/asciicast/v2/>): one line of JSON that describes the recording, then
//! one line for each thing that happened.

use serde::{Deserialize, Serialize};
use serde_json::json;

/// Digits of a terminal's size: 65535.
const DIGITS: usize = 5;

/// What the first line says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Header {
    /// Columns and rows.
    pub(super) size: (u16, u16),
    /// Seconds since 1970 (UTC).
    pub(super) timestamp: u64,
    /// `bob as deployer`.
    pub(super) title: String,
    /// The shell that runs.
    pub(super) shell: String,
    pub(super) origin: Origin,
}

/// Where a recording comes from: the key `svcauth` of the first line, which players pass over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Origin {
    /// The session.
    pub(super) session: String,
    /// The account.
    pub(super) account: String,
    /// Who is behind it.
    pub(super) origin: String,
    /// The svcauth-shell that is recorded, which alone may go on with it.
    pub(super) pid: u32,
    /// When that process started, in clock ticks since boot.
    pub(super) process_start: u64,
    /// When the recording began, in seconds since boot: what the times count from.
    pub(super) began: f64,
}

impl Header {
    /// The first line with its end. It has the same length whatever the size is, so that one that is told later fits in.
    pub(super) fn line(&self) -> String {
        let (columns, rows) = self.size;
        let rest = json!({
            "timestamp": self.timestamp,
            "title": self.title,
            "env": { "SHELL": self.shell },
            "svcauth": self.origin,
        });
        let rest = rest.to_string();
        let rest = rest.strip_prefix('{').unwrap_or_default();
        // Blanks before a number are nothing (RFC 8259, section 2).
        format!("{{\"version\":2,\"width\":{columns:>DIGITS$},\"height\":{rows:>DIGITS$},{rest}\n")
    }

    /// Where a recording comes from, by its first line.
    pub(super) fn origin(line: &[u8]) -> Option<Origin> {
        #[derive(Deserialize)]
        struct First {
            version: u8,
            svcauth: Origin,
        }
        let first: First = serde_json::from_slice(line).ok()?;
        (first.version == 2).then_some(first.svcauth)
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Happened<'a> {
    /// The terminal showed something.
    Output(&'a str),
    /// It has another size.
    Resized(u16, u16),
    /// Something about the recording itself.
    Marked(&'a str),
}

/// A line of it with its end; `at`: seconds since the beginning.
pub(super) fn line(at: f64, what: Happened<'_>) -> String {
    let (code, data) = match what {
        Happened::Output(text) => ("o", json!(text)),
        Happened::Resized(columns, rows) => ("r", json!(format!("{columns}x{rows}"))),
        Happened::Marked(text) => ("m", json!(text)),
    };
    format!("[{at:.6},\"{code}\",{data}]\n")
}

/// Bytes of a terminal as text: a character may come in two parts.
#[derive(Debug, Default)]
pub(super) struct Letters(Vec<u8>);

impl Letters {
    /// The text of these bytes and of what was left over; what is no UTF-8 becomes U+FFFD. The beginning of a character stays
    /// for the next time.
    pub(super) fn take(&mut self, bytes: &[u8]) -> String {
        self.0.extend_from_slice(bytes);
        let whole = self.0.len() - unfinished(&self.0);
        let rest = self.0.split_off(whole);
        let text = String::from_utf8_lossy(&self.0).into_owned();
        self.0 = rest;
        text
    }

    /// What is left over and will not be finished.
    pub(super) fn rest(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.0)).into_owned()
    }
}

/// How many bytes at the end are the beginning of a character, and may become one.
fn unfinished(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Ok(_) => 0,
        // Without a length the end is what is missing: of the last character, or behind bytes that are wrong anyway.
        Err(_) => (1..=3).find(|&count| begins_a_character(bytes, count)).unwrap_or(0),
    }
}

/// Whether the last `count` bytes are the beginning of a character.
fn begins_a_character(bytes: &[u8], count: usize) -> bool {
    let Some(last) = bytes.len().checked_sub(count).and_then(|at| bytes.get(at..)) else { return false };
    std::str::from_utf8(last).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::{Happened, Header, Letters, Origin, line};

    pub(super) fn header() -> Header {
        Header {
            size: (80, 24),
            timestamp: 1_769_847_300,
            title: "bob \"x\" as deployer\n".to_owned(),
            shell: "/bin/bash".to_owned(),
            origin: Origin {
                session: "4d8f-1".to_owned(),
                account: "deployer".to_owned(),
                origin: "bob".to_owned(),
                pid: 7,
                process_start: 99,
                began: 12.5,
            },
        }
    }

    #[test]
    fn the_first_line_is_what_players_expect_and_has_one_length_for_every_size() {
        let (small, large) = (header(), Header { size: (u16::MAX, 1), ..header() });
        assert_eq!(small.line().len(), large.line().len());
        let first: Value = serde_json::from_str(&large.line()).unwrap();
        assert_eq!(
            (&first["version"], &first["width"], &first["height"]),
            (&2.into(), &65535.into(), &1.into())
        );
        assert_eq!(
            (&first["timestamp"], &first["title"]),
            (&1_769_847_300.into(), &"bob \"x\" as deployer\n".into())
        );
        assert_eq!(small.line().matches('\n').count(), 1);
        assert_eq!(Header::origin(small.line().as_bytes()), Some(small.origin));
        for bad in ["", "{}", "{\"version\":2}", "[]"] {
            assert_eq!(Header::origin(bad.as_bytes()), None);
        }
    }

    #[test]
    fn what_happened_is_a_line_of_its_own_whatever_was_shown() {
        assert_eq!(
            line(1.5, Happened::Output("a\r\n\u{1b}[1m\"")),
            "[1.500000,\"o\",\"a\\r\\n\\u001b[1m\\\"\"]\n"
        );
        assert_eq!(line(0.0, Happened::Resized(132, 50)), "[0.000000,\"r\",\"132x50\"]\n");
        assert_eq!(line(12.000_000_4, Happened::Marked("x")), "[12.000000,\"m\",\"x\"]\n");
    }

    #[test]
    fn a_character_in_two_parts_is_one_and_what_is_none_holds_nothing_up() {
        let mut letters = Letters::default();
        let said: Vec<String> = [&b"zo\xc3"[..], b"\xab\xe2", b"\x82", b"\xac\xf0\x9f", b"x\xff"]
            .map(|part| letters.take(part))
            .into();
        assert_eq!(said, ["zo", "\u{eb}", "", "\u{20ac}", "\u{fffd}x\u{fffd}"]);
        assert_eq!(letters.rest(), "");
        assert_eq!((letters.take(b"a\xe2\x82"), letters.rest()), ("a".to_owned(), "\u{fffd}".to_owned()));
    }

    proptest! {
        #[test]
        fn however_a_text_is_cut_it_is_whole_again(text in ".{0,40}", cuts in proptest::collection::vec(0usize..200, 0..8)) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut letters = Letters::default();
            let parts = cuts.windows(2).map(|pair| letters.take(&bytes[pair[0]..pair[1]]));
            let all: String = parts.collect();
            prop_assert_eq!(all + &letters.rest(), text);
        }

        #[test]
        fn no_bytes_are_kept_back_but_the_beginning_of_a_character(bytes in any::<Vec<u8>>()) {
            let mut letters = Letters::default();
            let said = letters.take(&bytes) + &letters.rest();
            prop_assert_eq!(said.is_empty(), bytes.is_empty());
            prop_assert!(letters.0.is_empty());
        }
    }
}
