//! Any bytes as an LDIF file: what is read survives being written again, and a fault has a line.
#![no_main]

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use svcauthd::directory::{Entry, dn, ldif};

fuzz_target!(|bytes: &[u8]| {
    let entries = match ldif::parse(bytes) {
        Ok(entries) => entries,
        Err(error) => {
            let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
            assert!((1..=lines).contains(&error.line), "{error}");
            assert!(!error.to_string().chars().any(char::is_control), "{error:?}");
            return;
        }
    };
    let mut names: Vec<String> = entries.iter().map(checked).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "two entries with one name");
    assert_eq!(ldif::parse(written(&entries).as_bytes()), Ok(entries));
});

/// Checks one entry; gives its name in normal form.
fn checked(entry: &Entry) -> String {
    let normal = dn::normalise(&entry.dn).expect("the reader takes no entry without a name");
    assert_eq!(dn::normalise(&normal).as_ref(), Some(&normal));
    assert!(!normal.chars().any(|c| c.is_ascii_control()));
    assert!(dn::is_at_or_below(&normal, &normal) && dn::is_at_or_below(&normal, ""));
    for (name, values) in &entry.attributes {
        assert!(!values.is_empty() && *name == name.to_ascii_lowercase());
        assert!(!matches!(name.as_str(), "" | "dn" | "changetype" | "control"));
    }
    assert!(entry.id.as_ref().is_none_or(|id| id.len() == 36 && *id == id.to_lowercase()));
    normal
}

fn written(entries: &[Entry]) -> String {
    let mut text = String::from("version: 1\n");
    for entry in entries {
        writeln!(text, "dn:: {}", STANDARD.encode(&entry.dn)).unwrap();
        for (name, values) in &entry.attributes {
            for value in values {
                writeln!(text, "{name}:: {}", STANDARD.encode(value)).unwrap();
            }
        }
        text.push('\n');
    }
    text
}
