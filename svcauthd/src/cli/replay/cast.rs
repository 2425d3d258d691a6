//! Reading asciicast, version 2 (<https://docs.asciinema.org/manual/asciicast/v2/>).

use std::fmt;
use std::io::{self, BufRead, Read as _};

use serde::Deserialize;

/// The longest line in bytes: what is shown at once, with every byte of it escaped.
const LINE_MAX: u64 = 8 << 20;

/// What the first line says.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Header {
    version: u32,
    /// Columns.
    pub(super) width: u32,
    /// Rows.
    pub(super) height: u32,
    /// When it began, in seconds since 1970.
    pub(super) timestamp: Option<u64>,
    /// What it is called.
    pub(super) title: Option<String>,
    /// Where it comes from.
    pub(super) svcauth: Option<Source>,
}

/// What svcauth says about its recordings.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Source {
    pub(super) session: Option<String>,
    pub(super) account: Option<String>,
    pub(super) origin: Option<String>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The terminal showed this.
    Output(String),
    /// Something that is not shown: another size, a mark, a key.
    Other,
}

/// What is wrong, and in which line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    line: u64,
    why: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

/// A recording that is being read.
pub(super) struct Cast<R> {
    pub(super) header: Header,
    from: R,
    line: u64,
    is_complete: bool,
}

impl<R: BufRead> Cast<R> {
    /// Reads the first line.
    pub(super) fn open(mut from: R) -> Result<Self, Fault> {
        let fault = |why: String| Fault { line: 1, why };
        let line = next_line(&mut from).map_err(|error| fault(error.to_string()))?;
        let Some((line, true)) = line else {
            return Err(fault("there is no whole line in it".to_owned()));
        };
        let header: Header =
            serde_json::from_slice(&line).map_err(|error| fault(format!("it is no asciicast: {error}")))?;
        if header.version != 2 {
            return Err(fault(format!("it is asciicast {}, and only version 2 is known", header.version)));
        }
        Ok(Self { header, from, line: 1, is_complete: true })
    }

    /// What happened next, and when: in seconds since the beginning. `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<(f64, Event)>, Fault> {
        loop {
            self.line += 1;
            let number = self.line;
            let fault = |why: String| Fault { line: number, why };
            let line = match next_line(&mut self.from).map_err(|error| fault(error.to_string()))? {
                None => return Ok(None),
                Some((_, false)) => {
                    self.is_complete = false;
                    return Ok(None);
                }
                Some((line, true)) => line,
            };
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let (at, code, data): (f64, String, serde_json::Value) = serde_json::from_slice(&line)
                .map_err(|error| fault(format!("it is no event of an asciicast: {error}")))?;
            let is_time = at.is_finite() && at >= 0.0;
            return match (code.as_str(), data) {
                _ if !is_time => Err(fault(format!("{at} is no time"))),
                ("o", serde_json::Value::String(text)) => Ok(Some((at, Event::Output(text)))),
                ("o", _) => Err(fault("what was shown is no text".to_owned())),
                _ => Ok(Some((at, Event::Other))),
            };
        }
    }

    /// Whether the last line that was read had its end.
    pub(super) const fn is_complete(&self) -> bool {
        self.is_complete
    }
}

/// A line without its end, and whether it has one.
fn next_line(from: &mut impl BufRead) -> io::Result<Option<(Vec<u8>, bool)>> {
    let mut line = Vec::new();
    let read = from.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)?;
    if read == 0 {
        return Ok(None);
    }
    let is_complete = line.last() == Some(&b'\n');
    if !is_complete && read as u64 == LINE_MAX {
        return Err(io::Error::other(format!("it is longer than {LINE_MAX} bytes")));
    }
    if is_complete {
        line.pop();
    }
    Ok(Some((line, is_complete)))
}

#[cfg(test)]
mod tests {
    use super::{Cast, Event};

    const FIRST: &str = "{\"version\":2,\"width\":   80,\"height\":   24,\"timestamp\":1,\"title\":\"bob as deployer\",\
        \"svcauth\":{\"session\":\"s-1\",\"account\":\"deployer\",\"origin\":\"bob\",\"pid\":7}}\n";

    fn fault(text: &str) -> String {
        let mut cast = match Cast::open(text.as_bytes()) {
            Err(fault) => return fault.to_string(),
            Ok(cast) => cast,
        };
        loop {
            match cast.next() {
                Ok(Some(_)) => {}
                Ok(None) => return String::new(),
                Err(fault) => return fault.to_string(),
            }
        }
    }

    #[test]
    fn a_recording_is_read_line_by_line() {
        let text = format!(
            "{FIRST}[0.5,\"o\",\"a\\u001b[1m\"]\n\n[1,\"r\",\"132x50\"]\n[2.25,\"m\",\"x\"]\n[3,\"o\",\"b"
        );
        let mut cast = Cast::open(text.as_bytes()).unwrap();
        assert_eq!((cast.header.width, cast.header.height), (80, 24));
        assert_eq!(cast.header.svcauth.as_ref().unwrap().origin.as_deref(), Some("bob"));
        assert_eq!(cast.next(), Ok(Some((0.5, Event::Output("a\u{1b}[1m".to_owned())))));
        assert_eq!(cast.next(), Ok(Some((1.0, Event::Other))));
        assert_eq!(cast.next(), Ok(Some((2.25, Event::Other))));
        assert!(cast.is_complete());
        assert_eq!(cast.next(), Ok(None));
        assert!(!cast.is_complete(), "the last line is being written");
    }

    #[test]
    fn a_damaged_file_is_named_with_its_line_and_one_that_is_whole_is_not() {
        assert_eq!(fault(&format!("{FIRST}[1,\"o\",\"x\"]\n")), "");
        for (text, part) in [
            ("", "line 1: there is no whole line"),
            (&FIRST[..20], "line 1: there is no whole line"),
            ("hello\n", "line 1: it is no asciicast"),
            ("{\"version\":1,\"width\":80,\"height\":24}\n", "line 1: it is asciicast 1"),
            (&format!("{FIRST}x\n"), "line 2: it is no event"),
            (&format!("{FIRST}[1,\"o\",\"x\"]\n[2,\"o\"]\n"), "line 3: it is no event"),
            (&format!("{FIRST}[1,\"o\",7]\n"), "line 2: what was shown is no text"),
            (&format!("{FIRST}[-1,\"o\",\"x\"]\n"), "line 2: -1 is no time"),
            (&format!("{FIRST}[1e999,\"o\",\"x\"]\n"), "line 2: it is no event"),
        ] {
            assert!(fault(text).starts_with(part), "{text:?}: {}", fault(text));
        }
        let endless = format!("{FIRST}[1,\"o\",\"{}", "x".repeat(9 << 20));
        assert!(fault(&endless).contains("line 2: it is longer"), "{}", fault(&endless));
    }
}
