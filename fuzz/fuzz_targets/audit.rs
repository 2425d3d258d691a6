//! Any values in an audit record: one line, printable ASCII only, and every value can be read back as itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use svcauth_core::audit::{LINE_MAX, Record, VALUE_MAX, escape};
use svcauth_fuzz::pieces::Pieces;
use svcauth_fuzz::records;

fuzz_target!(|bytes: &[u8]| {
    let record = records::record(&mut Pieces(bytes));
    let texts = texts(&record);
    line(&record, &texts);
    json(&record, &texts);
    journal(&record, &texts);
    for (_, text) in &texts {
        assert!(!escape::for_terminal(text).chars().any(escape::is_deceptive));
        assert!(!escape::bytes_for_terminal(text.as_bytes()).chars().any(escape::is_deceptive));
    }
    assert!(!escape::bytes_for_terminal(bytes).chars().any(escape::is_deceptive));
    let short = record.shortened(16);
    assert!(
        self::texts(&short)
            .iter()
            .all(|(_, text)| text.len() <= 16 + "...(+18446744073709551615 bytes)".len())
    );
});

/// The texts of a record by their keys in JSON.
fn texts(record: &Record) -> Vec<(&'static str, &str)> {
    let all = [
        ("reason", &record.reason),
        ("account", &record.account),
        ("origin", &record.origin),
        ("origin_kind", &record.origin_kind),
        ("evidence", &record.evidence),
        ("key_fingerprint", &record.key_fingerprint),
        ("cert_key_id", &record.cert_key_id),
        ("cert_ca", &record.cert_ca),
        ("principal", &record.principal),
        ("role", &record.role),
        ("service", &record.service),
        ("from", &record.from),
        ("tty", &record.tty),
        ("session", &record.session),
        ("chain", &record.chain),
        ("host", &record.host),
        ("command", &record.command),
        ("detail", &record.detail),
        ("on_behalf_of", &record.on_behalf_of),
        ("first_evidence", &record.first_evidence),
        ("mode", &record.mode),
    ];
    all.into_iter().filter_map(|(key, text)| Some((key, text.as_deref()?))).collect()
}

fn line(record: &Record, texts: &[(&str, &str)]) {
    let line = record.to_line();
    assert!(line.len() <= LINE_MAX, "{} bytes", line.len());
    assert!(line.bytes().all(|byte| matches!(byte, b' '..=b'~')));
    let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
    assert_eq!(verb, record.verb());
    let fields = fields(rest);
    for (index, (key, _)) in fields.iter().enumerate() {
        assert!(fields[..index].iter().all(|(other, _)| other != key), "{key} twice in {line}");
    }
    let all_fit = texts.iter().map(|(_, text)| text.len() * 4 + 32).sum::<usize>() + 512 <= LINE_MAX;
    for (key, text) in texts {
        let key = if *key == "key_fingerprint" { "key" } else { key };
        let (_, value) = fields.iter().find(|(name, _)| name == key).expect("every value is in the line");
        if text.len() <= VALUE_MAX && all_fit {
            assert_eq!(value, text.as_bytes());
        }
    }
}

/// A reader of lines, written from their description: `key=value` or `key="value"` with `\"`, `\\` and `\xNN`.
fn fields(mut rest: &str) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (key, value) = rest.split_once('=').expect("a key");
        assert!(key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{key:?}");
        let (value, tail) = match value.strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => {
                let (word, tail) = value.split_at(value.find(' ').unwrap_or(value.len()));
                assert!(!word.is_empty() && !word.contains('"'));
                (word.as_bytes().to_vec(), tail)
            }
        };
        found.push((key.to_owned(), value));
        rest = tail.strip_prefix(' ').unwrap_or_else(|| {
            assert!(tail.is_empty());
            tail
        });
    }
    found
}

fn unquoted(text: &str) -> (Vec<u8>, &str) {
    let mut value = Vec::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => match chars.next().expect("an escape").1 {
                'x' => {
                    let digits =
                        [chars.next().unwrap().1, chars.next().unwrap().1].map(|c| c.to_digit(16).unwrap());
                    value.push((digits[0] << 4 | digits[1]) as u8);
                }
                plain @ ('"' | '\\') => value.push(plain as u8),
                other => panic!("unknown escape {other:?}"),
            },
            c => value.push(c as u8),
        }
    }
    panic!("no closing quote")
}

fn json(record: &Record, texts: &[(&str, &str)]) {
    let json = record.to_json();
    assert!(!json.chars().any(escape::is_deceptive));
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!(object["event"], record.event.as_str());
    for (key, text) in texts {
        assert_eq!(object[*key], *text);
    }
    assert_eq!(object.get("uid").and_then(serde_json::Value::as_u64), record.uid.map(u64::from));
    assert_eq!(object.get("generation").and_then(serde_json::Value::as_u64), record.generation);
}

/// Reads the datagram back by journald's rules: a value can neither end early nor begin a field.
fn journal(record: &Record, texts: &[(&str, &str)]) {
    let datagram = record.to_journal();
    let (mut rest, mut found) = (datagram.as_slice(), Vec::new());
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| matches!(byte, b'=' | b'\n')).expect("a key");
        let (key, tail) = rest.split_at(end);
        assert!(key.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'_'));
        let (value, after) = if tail[0] == b'=' {
            tail[1..].split_at(tail[1..].iter().position(|byte| *byte == b'\n').expect("an end"))
        } else {
            let (len, tail) = tail[1..].split_first_chunk::<8>().expect("a length");
            tail.split_at(u64::from_le_bytes(*len) as usize)
        };
        found.push((key, value));
        rest = after.strip_prefix(b"\n").expect("a newline behind every value");
    }
    for (key, text) in texts {
        let key = format!("SVCAUTH_{}", key.to_ascii_uppercase());
        let mut values = found.iter().filter(|(name, _)| *name == key.as_bytes());
        assert_eq!(values.next().map(|(_, value)| *value), Some(text.as_bytes()));
        assert!(values.next().is_none());
    }
}
