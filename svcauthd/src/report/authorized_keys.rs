//! Files of authorized keys (sshd(8), AUTHORIZED_KEYS FILE FORMAT), read for who could log in by them.
//!
//! Whoever owns an account writes them, so nothing of a line but its key is kept: no comment, no option, no line that is
//! no key.

use svcauth_core::origin::{Fingerprint, PublicKey};

/// A line with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyLine {
    /// Its number, from 1.
    pub number: u64,
    /// The type of the key.
    pub key_type: String,
    /// The fingerprint of the key.
    pub fingerprint: Fingerprint,
    /// Whether the key is an authority, whose certificates sshd takes for this account (`cert-authority`).
    pub is_authority: bool,
}

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyFile {
    /// The lines with keys.
    pub keys: Vec<KeyLine>,
    /// How many lines are neither keys nor comments nor empty.
    pub other_lines: u64,
}

/// Reads a file as sshd does: a key at the beginning of a line, or behind options.
#[must_use]
pub fn parse(bytes: &[u8]) -> KeyFile {
    let mut file = KeyFile::default();
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_start_matches(BLANK).trim_end_matches(['\r', ' ', '\t']);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match key_at(line) {
            Some((key, is_authority)) => file.keys.push(KeyLine {
                number,
                fingerprint: key.fingerprint(),
                key_type: key.algorithm,
                is_authority,
            }),
            None => file.other_lines += 1,
        }
    }
    file
}

const BLANK: [char; 2] = [' ', '\t'];

fn key_at(line: &str) -> Option<(PublicKey, bool)> {
    if let Some(key) = read_key(line) {
        return Some((key, false));
    }
    let (options, rest) = line.split_at_checked(end_of_options(line))?;
    Some((read_key(rest.trim_start_matches(BLANK))?, has_authority(options)))
}

/// The first two words as a key. The comment is not looked at: sshd takes a key whatever stands behind it.
fn read_key(text: &str) -> Option<PublicKey> {
    let (key_type, rest) = text.split_once(BLANK)?;
    let encoded = rest.trim_start_matches(BLANK).split(BLANK).next()?;
    // The directory's own spelling is none of sshd's.
    let is_spelled_for_a_directory = key_type.contains(':');
    if is_spelled_for_a_directory { None } else { PublicKey::parse(&format!("{key_type} {encoded}")).ok() }
}

/// Where the options end: at the first blank outside quotes; `\"` is no quote.
fn end_of_options(line: &str) -> usize {
    let (mut is_quoted, mut before) = (false, '\0');
    for (at, c) in line.char_indices() {
        match c {
            '"' if before != '\\' => is_quoted = !is_quoted,
            ' ' | '\t' if !is_quoted => return at,
            _ => {}
        }
        before = c;
    }
    line.len()
}

/// Whether `cert-authority` is one of the options, and no part of the value of another one.
fn has_authority(options: &str) -> bool {
    let (mut is_quoted, mut before) = (false, '\0');
    let mut is_separator = |c: char| {
        if c == '"' && before != '\\' {
            is_quoted = !is_quoted;
        }
        before = c;
        c == ',' && !is_quoted
    };
    let options = options.split(|c: char| is_separator(c));
    options.into_iter().any(|option| option.eq_ignore_ascii_case("cert-authority"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, proptest};

    use super::parse;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

    fn lines(text: &str) -> Vec<(u64, bool)> {
        parse(text.as_bytes()).keys.iter().map(|key| (key.number, key.is_authority)).collect()
    }

    #[test]
    fn a_key_is_found_as_sshd_finds_it_with_and_without_options() {
        for (line, is_authority) in [
            (KEY.to_owned(), false),
            (format!("  \t{KEY} comment with \u{1b}[2J and \u{e4}"), false),
            (format!("{KEY}\r"), false),
            (format!("no-pty {KEY}"), false),
            (format!("command=\"echo \\\"hi there\\\"\",no-pty {KEY}"), false),
            (format!("cert-authority {KEY}"), true),
            (format!("no-pty,Cert-Authority,principals=\"a,b\" {KEY}"), true),
            (format!("command=\"cert-authority\" {KEY}"), false),
            (format!("command=\"a,cert-authority,b\" {KEY}"), false),
        ] {
            assert_eq!(lines(&format!("# comment\n\n{line}\n")), [(3, is_authority)], "{line}");
        }
        // ssh-keygen -l says so.
        let found = parse(KEY.as_bytes());
        assert_eq!(found.keys[0].key_type, "ssh-ed25519");
        assert_eq!(
            found.keys[0].fingerprint.to_string(),
            "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"
        );
    }

    #[test]
    fn what_is_no_key_is_counted_and_not_kept() {
        let text = format!(
            "hello\nssh-ed25519\nssh-ed25519 AAAA\nssh-dss AAAAB3NzaC1kc3M=\nSSHKey:{KEY}\n\"{KEY}\n"
        );
        let found = parse(text.as_bytes());
        assert_eq!((found.keys.len(), found.other_lines), (0, 6));
        assert!(!format!("{found:?}").contains("hello"));
        assert_eq!(parse(b"\xff\xfe\x00\n\n#\xff\n").other_lines, 1);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_their_end(bytes in any::<Vec<u8>>(), options in "[a-z=,\" \\\\]{0,20}") {
            let mut text = bytes.clone();
            text.extend_from_slice(format!("\n{KEY}\n{options} {KEY}\n").as_bytes());
            let found = parse(&text);
            prop_assert!(!found.keys.is_empty());
            prop_assert!(found.keys.len() as u64 + found.other_lines <= text.split(|byte| *byte == b'\n').count() as u64);
        }
    }
}
