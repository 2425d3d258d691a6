//! Content records of an LDIF file (RFC 2849): what kind = "ldif" keeps in one file, and what `slapcat` writes.

use super::dn;
use super::entry::Entry;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::{BTreeMap, HashMap};
use std::iter::{Enumerate, Peekable};

/// Longest file in bytes.
pub const MAX_FILE: u64 = 256 << 20;
/// Longest line in bytes, folded parts joined.
const MAX_LINE: usize = 1 << 20;
/// Most entries of one file.
const MAX_ENTRIES: usize = 1_000_000;

/// What is wrong with the file, and in which line (from 1).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct LdifError {
    /// The line where the faulty value begins.
    pub line: usize,
    /// What is wrong there and what to do about it.
    pub what: String,
}

fn fault(line: usize, what: impl Into<String>) -> LdifError {
    LdifError { line, what: what.into() }
}

/// Reads all entries of the file.
///
/// # Errors
/// As [`each`].
pub fn parse(bytes: &[u8]) -> Result<Vec<Entry>, LdifError> {
    let mut entries = Vec::new();
    each(bytes, &mut |_, entry| entries.push(entry))?;
    Ok(entries)
}

/// Reads all entries of the file, one by one, each with its DN in normal form.
///
/// # Errors
/// The first fault. What was given before counts for nothing: half a directory would take access away.
pub fn each(bytes: &[u8], take: &mut dyn FnMut(&str, Entry)) -> Result<(), LdifError> {
    if bytes.len() as u64 > MAX_FILE {
        return Err(fault(1, format!("the file is longer than {MAX_FILE} bytes")));
    }
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut record = Record::default();
    for line in Lines::new(bytes) {
        let (number, text) = line?;
        if text.is_empty() {
            finish(std::mem::take(&mut record), &mut seen, take)?;
        } else {
            record.line(number, &text, seen.is_empty())?;
        }
    }
    finish(record, &mut seen, take)
}

fn finish(
    record: Record,
    seen: &mut HashMap<String, usize>,
    take: &mut dyn FnMut(&str, Entry),
) -> Result<(), LdifError> {
    let Record { dn: Some((number, dn)), attributes, .. } = record else { return Ok(()) };
    let Some(normal) = dn::normalise(&dn) else {
        return Err(fault(number, format!("\"{dn}\" is no DN")));
    };
    if let Some(first) = seen.get(&normal) {
        let what = format!("the entry \"{dn}\" is already in line {first}");
        return Err(fault(number, what));
    }
    if seen.len() >= MAX_ENTRIES {
        return Err(fault(number, format!("more than {MAX_ENTRIES} entries")));
    }
    take(&normal, Entry::new(dn, attributes));
    seen.insert(normal, number);
    Ok(())
}

/// The entry that is being read.
#[derive(Default)]
struct Record {
    dn: Option<(usize, String)>,
    versioned: bool,
    attributes: BTreeMap<String, Vec<Vec<u8>>>,
}

impl Record {
    fn line(&mut self, number: usize, text: &[u8], first: bool) -> Result<(), LdifError> {
        let (name, value) = attribute(number, text)?;
        if self.dn.is_some() {
            return self.attribute(number, name, value);
        }
        match name.as_str() {
            "version" if first && !self.versioned && value == b"1" => self.versioned = true,
            "version" => {
                return Err(fault(number, "only \"version: 1\" at the beginning of the file is known"));
            }
            "dn" => {
                let dn = String::from_utf8(value).map_err(|_| fault(number, "the DN is not UTF-8"))?;
                self.dn = Some((number, dn));
            }
            _ => {
                return Err(fault(
                    number,
                    "an entry begins with its \"dn:\" line; is there an empty line above that should not be?",
                ));
            }
        }
        Ok(())
    }

    fn attribute(&mut self, number: usize, name: String, value: Vec<u8>) -> Result<(), LdifError> {
        match name.as_str() {
            "dn" => Err(fault(number, "a second \"dn:\" line in one entry; put an empty line before it")),
            "changetype" | "control" => {
                Err(fault(number, "change records are not taken; write the entries as they should be"))
            }
            _ => {
                self.attributes.entry(name).or_default().push(value);
                Ok(())
            }
        }
    }
}

/// `name: value`, `name:: base64`; the name in lower case.
fn attribute(number: usize, text: &[u8]) -> Result<(String, Vec<u8>), LdifError> {
    let colon = text.iter().position(|byte| *byte == b':');
    let (name, rest) = colon
        .and_then(|at| Some((text.get(..at)?, text.get(at + 1..)?)))
        .ok_or_else(|| fault(number, "expected \"name: value\""))?;
    let ok = |byte: &u8| byte.is_ascii_alphanumeric() || b"-.;_".contains(byte);
    if name.is_empty() || !name.iter().all(ok) {
        return Err(fault(number, format!("\"{}\" is no attribute name", name.escape_ascii())));
    }
    let value = match rest.split_first() {
        Some((b'<', _)) => return Err(fault(number, "values from other files (\":<\") are not taken")),
        Some((b':', encoded)) => STANDARD
            .decode(encoded.trim_ascii())
            .map_err(|_| fault(number, "the value behind \"::\" is no base64"))?,
        _ => plain(number, rest)?,
    };
    Ok((String::from_utf8_lossy(name).to_ascii_lowercase(), value))
}

fn plain(number: usize, rest: &[u8]) -> Result<Vec<u8>, LdifError> {
    let start = rest.iter().take_while(|byte| **byte == b' ').count();
    let value = rest.get(start..).unwrap_or_default();
    if value.iter().any(|byte| matches!(byte, 0 | b'\r')) {
        return Err(fault(
            number,
            "the value holds a NUL or a carriage return; write it as base64 behind \"::\"",
        ));
    }
    Ok(value.to_vec())
}

/// Logical lines: comments left out, folded lines joined, with the number of their first physical line.
struct Lines<'a> {
    physical: Peekable<Enumerate<Physical<'a>>>,
}

type Physical<'a> = std::slice::Split<'a, u8, fn(&u8) -> bool>;

impl<'a> Lines<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let newline: fn(&u8) -> bool = |byte| *byte == b'\n';
        Self { physical: bytes.split(newline).enumerate().peekable() }
    }
}

impl Iterator for Lines<'_> {
    type Item = Result<(usize, Vec<u8>), LdifError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (at, first) = self.physical.next()?;
            let mut line = without_cr(first).to_vec();
            if line.first() == Some(&b' ') {
                return Some(Err(fault(at + 1, "a folded line (it begins with a blank) continues nothing")));
            }
            let foldable = !line.is_empty();
            while let Some((_, more)) =
                self.physical.next_if(|(_, next)| foldable && next.first() == Some(&b' '))
            {
                line.extend_from_slice(without_cr(more).get(1..).unwrap_or_default());
                if line.len() > MAX_LINE {
                    return Some(Err(fault(at + 1, format!("the line is longer than {MAX_LINE} bytes"))));
                }
            }
            if line.len() > MAX_LINE {
                return Some(Err(fault(at + 1, format!("the line is longer than {MAX_LINE} bytes"))));
            }
            if line.first() != Some(&b'#') {
                return Some(Ok((at + 1, line)));
            }
        }
    }
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::parse;
    use proptest::prelude::{any, proptest};

    #[test]
    fn content_records_are_read_as_the_rfc_says() {
        let text = b"version: 1\n# a comment\n#  that is\n folded\ndn: uid=bob,\n dc=x\nUID: bob\ncn:: Wm/Dqw==\n\
            description:\nsshPublicKey:ssh-ed25519 AAAA\n BBBB\nsshPublicKey:   two\njpegPhoto;binary: x:y\n\n\n\r\ndn:: ZGM9eA==\r\nentryUUID: 5b2b1a9a-3c4d-103e-8f00-0123456789ab\r\n";
        let entries = parse(text).unwrap();
        let [bob, x] = entries.as_slice() else { panic!("{entries:?}") };
        assert_eq!(bob.dn, "uid=bob,dc=x");
        assert_eq!(bob.id_or_dn().as_deref(), Some("uid=bob,dc=x"));
        assert_eq!(bob.values("uid"), [b"bob"]);
        assert_eq!(bob.values("cn"), ["Zo\u{eb}".as_bytes()]);
        assert_eq!(bob.values("description"), [b""]);
        assert_eq!(bob.values("sshpublickey"), [&b"ssh-ed25519 AAAABBBB"[..], b"two"]);
        assert_eq!(bob.values("jpegphoto;binary"), [b"x:y"]);
        assert_eq!(bob.values("mail"), &[] as &[Vec<u8>]);
        assert_eq!((x.dn.as_str(), x.id.as_deref()), ("dc=x", Some("5b2b1a9a-3c4d-103e-8f00-0123456789ab")));
    }

    #[test]
    fn a_file_without_entries_has_none() {
        for text in ["", "\n\n", "# nothing\n", "version: 1\n"] {
            assert_eq!(parse(text.as_bytes()), Ok(Vec::new()), "{text}");
        }
    }

    const FAULTS: &[(&str, &str)] = &[
        (
            "uid: x\n",
            "line 1: an entry begins with its \"dn:\" line; is there an empty line above that should not be?",
        ),
        (
            "dn: dc=x\n\n\nuid: x\n",
            "line 4: an entry begins with its \"dn:\" line; is there an empty line above that should not be?",
        ),
        ("dn: dc=x\n\nDN: DC = X\n", "line 3: the entry \"DC = X\" is already in line 1"),
        ("dn: dc=x\ndn: dc=y\n", "line 2: a second \"dn:\" line in one entry; put an empty line before it"),
        ("dn: x\n", "line 1: \"x\" is no DN"),
        (
            "dn: dc=x\nchangetype: add\n",
            "line 2: change records are not taken; write the entries as they should be",
        ),
        ("dn: dc=x\na:< file:///etc/shadow\n", "line 2: values from other files (\":<\") are not taken"),
        ("dn: dc=x\na:: %%%\n", "line 2: the value behind \"::\" is no base64"),
        ("dn:: /w==\n", "line 1: the DN is not UTF-8"),
        ("dn: dc=x\nnonsense\n", "line 2: expected \"name: value\""),
        ("dn: dc=x\na b: c\n", "line 2: \"a b\" is no attribute name"),
        (
            "dn: dc=x\na: b\0c\n",
            "line 2: the value holds a NUL or a carriage return; write it as base64 behind \"::\"",
        ),
        (" x\n", "line 1: a folded line (it begins with a blank) continues nothing"),
        ("dn: dc=x\n\n a: b\n", "line 3: a folded line (it begins with a blank) continues nothing"),
        ("version: 2\n", "line 1: only \"version: 1\" at the beginning of the file is known"),
        ("dn: dc=x\n\nversion: 1\n", "line 3: only \"version: 1\" at the beginning of the file is known"),
    ];

    #[test]
    fn every_fault_names_its_line() {
        for (text, message) in FAULTS {
            assert_eq!(
                parse(text.as_bytes()).map_err(|e| e.to_string()),
                Err(message.to_string()),
                "{text:?}"
            );
        }
        let long = format!("dn: dc=x\na: {}", "\n b".repeat(1_100_000));
        assert_eq!(parse(long.as_bytes()).map_err(|e| e.line), Err(2));
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "[dn:=, \\n#<a-]{0,80}") {
            let _ = parse(&bytes);
            let _ = parse(text.as_bytes());
        }
    }
}
