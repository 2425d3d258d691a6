//! Foreign text made harmless: for lines of a log, for JSON, and for a terminal.

use core::fmt::Write as _;
use std::string::String;
use std::vec::Vec;

/// A text as a terminal may see it: the same letters, and every character that would move the cursor, change colours,
/// reorder the line or stay invisible written as an escape.
///
/// ASCII controls become `\xNN`, others `\u{NNNN}`, and a backslash `\\`, so that the original can be told.
#[must_use]
pub fn for_terminal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        push_for_terminal(&mut out, c);
    }
    out
}

/// Bytes as a terminal may see them: [`for_terminal`], and `\xNN` for what is no UTF-8.
#[must_use]
pub fn bytes_for_terminal(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|c| push_for_terminal(&mut out, c));
        chunk.invalid().iter().for_each(|byte| push_byte(&mut out, *byte));
    }
    out
}

/// Bytes of somebody else as a text of ours that loses nothing: what is UTF-8 stays as it is.
///
/// Where bytes are none, each is written `\xNN` and a backslash `\\`; a text in which that could be mistaken (it has a
/// `\\`, or a `\x` with two hexadecimal digits) is written so too. Two different values never become the same text:
/// one without `\\` and without `\xNN` is what it was.
///
/// This is about keeping, and not about showing: control characters stay.
#[must_use]
pub fn text_of(bytes: &[u8]) -> String {
    if let Ok(text) = core::str::from_utf8(bytes) {
        if !looks_escaped(text) {
            return String::from(text);
        }
    }
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\\' {
                out.push(c);
            }
            out.push(c);
        }
        chunk.invalid().iter().for_each(|byte| push_byte(&mut out, *byte));
    }
    out
}

/// The bytes that [`text_of`] has made this text of.
#[must_use]
pub fn bytes_of(text: &str) -> Vec<u8> {
    if !looks_escaped(text) {
        return text.as_bytes().to_vec();
    }
    let hex = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((first, tail)) = rest.split_first() {
        let (byte, length) = match tail {
            [b'\\', ..] if *first == b'\\' => (b'\\', 2),
            [b'x', a, b, ..] if *first == b'\\' => match (hex(*a), hex(*b)) {
                (Some(a), Some(b)) => (a << 4 | b, 4),
                _ => (*first, 1),
            },
            _ => (*first, 1),
        };
        out.push(byte);
        rest = rest.get(length..).unwrap_or_default();
    }
    out
}

fn looks_escaped(text: &str) -> bool {
    let is_hex = |after: &str| match after.as_bytes() {
        [b'x', a, b, ..] => a.is_ascii_hexdigit() && b.is_ascii_hexdigit(),
        _ => false,
    };
    text.contains("\\\\") || text.split('\\').skip(1).any(is_hex)
}

fn push_for_terminal(out: &mut String, c: char) {
    match c {
        '\\' => out.push_str("\\\\"),
        '\0'..='\x1f' | '\x7f' => push_byte(out, c as u8),
        c if is_deceptive(c) => {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        }
        c => out.push(c),
    }
}

pub(super) fn push_byte(out: &mut String, byte: u8) {
    // Writing to a String cannot fail.
    let _ = write!(out, "\\x{byte:02x}");
}

/// Characters that a terminal obeys or hides instead of showing: controls, line separators, the format characters of
/// Unicode (category Cf: bidirectional overrides, zero widths, tags), variation selectors, fillers and noncharacters.
#[must_use]
pub fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(u32::from(c),
            0xad | 0x34f | 0x600..=0x605 | 0x61c | 0x6dd | 0x70f | 0x890..=0x891 | 0x8e2
            | 0x115f..=0x1160 | 0x17b4..=0x17b5 | 0x180b..=0x180f | 0x200b..=0x200f | 0x2028..=0x202e
            | 0x2060..=0x206f | 0x3164 | 0xfdd0..=0xfdef | 0xfe00..=0xfe0f | 0xfeff | 0xffa0 | 0xfff0..=0xfffb
            | 0x110bd | 0x110cd | 0x13430..=0x1343f | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a | 0xe0000..=0xe0fff)
        || u32::from(c) & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::{bytes_for_terminal, bytes_of, for_terminal, text_of};
    use proptest::prelude::*;
    use std::string::String;

    #[test]
    fn foreign_bytes_are_kept_as_text_and_none_is_lost() {
        for (bytes, text) in [
            (&b"zo\xc3\xab\n"[..], "zo\u{eb}\n"),
            (b"CORP\\alice", "CORP\\alice"),
            (b"end\\", "end\\"),
            (b"caf\xe9", "caf\\xe9"),
            (b"caf\\xe9", "caf\\\\xe9"),
            (b"\\\\", "\\\\\\\\"),
            (b"\\\xff", "\\\\\\xff"),
            (b"a\xed\xa0\x80", "a\\xed\\xa0\\x80"),
        ] {
            assert_eq!(text_of(bytes), text);
            assert_eq!(bytes_of(text), bytes, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_had_back(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'\\'), Just(b'x'), b'0'..=b'f'], 0..20)) {
            let text: String = text_of(&bytes);
            prop_assert_eq!(bytes_of(&text), bytes);
        }
    }

    #[test]
    fn letters_of_every_script_stay_as_they_are() {
        for text in ["alice", "zo\u{eb}", "\u{6f22}\u{5b57}", "a b=\"c\"", "\u{1f600}"] {
            assert_eq!(for_terminal(text), text);
        }
    }

    #[test]
    fn what_a_terminal_would_obey_or_hide_is_written_as_an_escape() {
        for (text, shown) in [
            ("a\nb", "a\\x0ab"),
            ("\u{1b}[2J", "\\x1b[2J"),
            ("\u{7f}\u{7}\0", "\\x7f\\x07\\x00"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("\u{202e}txt", "\\u{202e}txt"),
            ("a\u{200b}b\u{2028}", "a\\u{200b}b\\u{2028}"),
            ("\u{e0041}", "\\u{e0041}"),
            ("\\x1b", "\\\\x1b"),
        ] {
            assert_eq!(for_terminal(text), shown);
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_bytes() {
        assert_eq!(bytes_for_terminal(b"zo\xc3\xab\xff\xc3"), "zo\u{eb}\\xff\\xc3");
        assert_eq!(bytes_for_terminal(b"\xed\xa0\x80"), "\\xed\\xa0\\x80");
    }
}
