//! Any values in an audit record: one line, printable ASCII only, and every value can be read back as itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use svcauth_core::audit::{Event, LINE_MAX, Record, VALUE_MAX, Verdict, escape};
use svcauth_fuzz::pieces::Pieces;

fuzz_target!(|bytes: &[u8]| {
    let record = record(&mut Pieces(bytes));
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

fn record(from: &mut Pieces<'_>) -> Record {
    let events = [
        Event::Decision,
        Event::SessionEnd,
        Event::SessionRevoked,
        Event::Command,
        Event::KeyRefused,
        Event::Alarm,
        Event::Sync,
        Event::Admin,
    ];
    let (event, present, long) = (events[usize::from(from.byte() & 7)], from.u32(), from.byte());
    let bit = |bit: u32| present >> bit & 1 == 1;
    let verdict = if bit(20) { Verdict::Allow } else { Verdict::Deny };
    let mut text = |index: u32| {
        // Long values are what pushes others out of a line.
        let times = if long >> (index & 7) & 1 == 1 { 6 } else { 1 };
        bit(index).then(|| from.text().repeat(times))
    };
    let mut record = Record {
        event,
        decision: bit(19).then_some(verdict),
        reason: text(0),
        account: text(1),
        origin: text(2),
        origin_kind: text(3),
        evidence: text(4),
        key_fingerprint: text(5),
        cert_key_id: text(6),
        cert_ca: text(7),
        principal: text(8),
        role: text(9),
        service: text(10),
        from: text(11),
        tty: text(12),
        session: text(13),
        chain: text(14),
        host: text(15),
        command: text(16),
        detail: text(17),
        on_behalf_of: text(18),
        first_evidence: text(29),
        ..Record::default()
    };
    record.time = bit(21).then(|| from.u64());
    record.uid = bit(22).then(|| from.u32());
    record.cert_serial = bit(23).then(|| from.u64());
    record.generation = bit(24).then(|| from.u64());
    record.age_seconds = bit(25).then(|| from.u64());
    record.pid = bit(26).then(|| from.u32());
    record.exit_status = bit(27).then(|| from.u32().cast_signed());
    record.duration_seconds = bit(28).then(|| from.u64());
    record
}

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
