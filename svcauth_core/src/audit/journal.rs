//! journald's native protocol (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>).

use super::Record;
use std::format;
use std::string::ToString as _;
use std::vec::Vec;

/// LOG_AUTHPRIV, as syslog(3) numbers facilities.
const AUTHPRIV: &str = "10";

impl Record {
    /// The record as one datagram for `/run/systemd/journal/socket`.
    ///
    /// `MESSAGE` is [`Record::to_line`]; the fields are `SVCAUTH_` and the key in capitals, with whole values.
    #[must_use]
    pub fn to_journal(&self) -> Vec<u8> {
        let mut datagram = Vec::new();
        push_field(&mut datagram, "MESSAGE", &self.to_line());
        push_field(&mut datagram, "MESSAGE_ID", self.event.message_id());
        push_field(&mut datagram, "PRIORITY", &self.severity().code().to_string());
        push_field(&mut datagram, "SYSLOG_FACILITY", AUTHPRIV);
        push_field(&mut datagram, "SYSLOG_IDENTIFIER", "svcauth");
        for (key, value) in self.fields() {
            push_field(&mut datagram, &format!("SVCAUTH_{}", key.to_ascii_uppercase()), &value.to_text());
        }
        datagram
    }
}

/// `KEY=value` where the value is plain text, else the form with a length, in which a newline cannot begin a new field.
fn push_field(datagram: &mut Vec<u8>, key: &str, value: &str) {
    datagram.extend_from_slice(key.as_bytes());
    if value.chars().any(char::is_control) {
        datagram.push(b'\n');
        datagram.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        datagram.push(b'=');
    }
    datagram.extend_from_slice(value.as_bytes());
    datagram.push(b'\n');
}
