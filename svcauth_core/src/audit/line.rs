//! The syslog line: a verb and `key=value` words.

use super::escape::push_byte;
use super::{Record, Value};
use std::borrow::Cow;
use std::format;
use std::string::String;

/// Longest line in bytes: rsyslog cuts a message at 8 KiB (`maxMessageSize`), header included.
pub const LINE_MAX: usize = 7 * 1024;

/// Longest value in bytes before escaping; a longer one is cut and says so.
pub const VALUE_MAX: usize = 1024;

/// Tried in turn until the line fits: one long value may not push the others out of the line.
const CAPS: [usize; 3] = [VALUE_MAX, 256, 64];

/// The keys in the order of the line, with their names there. Who and why come first, as an administrator reads; `time`
/// is syslog's, and `event` and `decision` are the verb.
const KEYS: [(&str, &str); 30] = [
    ("account", "account"),
    ("origin", "origin"),
    ("on_behalf_of", "on_behalf_of"),
    ("reason", "reason"),
    ("mode", "mode"),
    ("evidence", "evidence"),
    ("first_evidence", "first_evidence"),
    ("key_fingerprint", "key"),
    ("cert_key_id", "cert_key_id"),
    ("cert_serial", "cert_serial"),
    ("cert_ca", "cert_ca"),
    ("principal", "principal"),
    ("role", "role"),
    ("service", "service"),
    ("from", "from"),
    ("tty", "tty"),
    ("session", "session"),
    ("chain", "chain"),
    ("generation", "generation"),
    ("age_seconds", "age"),
    ("uid", "uid"),
    ("origin_kind", "origin_kind"),
    ("host", "host"),
    ("pid", "pid"),
    ("command", "command"),
    ("exit_status", "exit_status"),
    ("duration_seconds", "duration"),
    ("count", "count"),
    ("proven", "proven"),
    ("detail", "detail"),
];

impl Record {
    /// The record as a line without its newline: at most [`LINE_MAX`] bytes of printable ASCII.
    ///
    /// `deny account=deployer origin=carol reason=not_in_role service=sshd`: values that hold anything but
    /// `[A-Za-z0-9._:/@+=-]`, and empty ones, stand in double quotes; inside, `"` and `\` have a backslash in front and
    /// control and non-ASCII bytes are `\xNN`.
    #[must_use]
    pub fn to_line(&self) -> String {
        let fields = self.fields();
        let mut line = String::new();
        for cap in CAPS {
            line = render(self.verb(), &fields, cap);
            if line.len() <= LINE_MAX {
                break;
            }
        }
        line
    }
}

fn render(verb: &str, fields: &[(&'static str, Value<'_>)], cap: usize) -> String {
    let mut line = String::from(verb);
    for (key, name) in KEYS {
        if let Some((_, value)) = fields.iter().find(|(candidate, _)| *candidate == key) {
            line.push(' ');
            line.push_str(name);
            line.push('=');
            push_value(&mut line, &capped(&value.to_text(), cap));
        }
    }
    line
}

fn push_value(line: &mut String, value: &str) {
    if !value.is_empty() && value.bytes().all(is_plain) {
        line.push_str(value);
        return;
    }
    line.push('"');
    for byte in value.bytes() {
        match byte {
            b'"' => line.push_str("\\\""),
            b'\\' => line.push_str("\\\\"),
            b' '..=b'~' => line.push(char::from(byte)),
            _ => push_byte(line, byte),
        }
    }
    line.push('"');
}

const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'/' | b'@' | b'+' | b'=' | b'-')
}

/// The text, or its first `max` bytes (less where a character would be torn) and how many are missing.
#[must_use]
pub fn capped(text: &str, max: usize) -> Cow<'_, str> {
    if text.len() <= max {
        return Cow::Borrowed(text);
    }
    let end = (0..=max).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let head = text.get(..end).unwrap_or_default();
    Cow::Owned(format!("{head}...(+{} bytes)", text.len() - head.len()))
}
