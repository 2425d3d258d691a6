//! The JSON line of the audit file (RFC 8259).

use super::escape::is_deceptive;
use super::{Record, Value};
use core::fmt::Write as _;
use std::string::String;

impl Record {
    /// The record as one JSON object on one line, without its newline. Values are whole, whatever their length.
    ///
    /// Control, format and invisible characters are `\uNNNN`, so that the file can be shown on a terminal as it is.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = String::from("{");
        for (key, value) in self.fields() {
            if json.len() > 1 {
                json.push(',');
            }
            push_string(&mut json, key);
            json.push(':');
            match &value {
                Value::Text(text) => push_string(&mut json, text),
                number => json.push_str(&number.to_text()),
            }
        }
        json.push('}');
        json
    }
}

fn push_string(json: &mut String, text: &str) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            c if is_deceptive(c) => push_units(json, c),
            c => json.push(c),
        }
    }
    json.push('"');
}

/// A character beyond U+FFFF takes two escapes (RFC 8259, section 7).
fn push_units(json: &mut String, c: char) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        // Writing to a String cannot fail.
        let _ = write!(json, "\\u{unit:04x}");
    }
}
