//! CSV (RFC 4180) that a spreadsheet opens without running anything.

use std::io::{self, Write};

use svcauth_core::audit::escape::for_terminal;

/// Writes one line. Every cell stands in quotes.
///
/// # Errors
/// As the writer.
pub fn line<'c>(out: &mut dyn Write, cells: impl IntoIterator<Item = &'c str>) -> io::Result<()> {
    for (place, text) in cells.into_iter().enumerate() {
        out.write_all(if place == 0 { b"\"" } else { b",\"" })?;
        out.write_all(cell(text).replace('"', "\"\"").as_bytes())?;
        out.write_all(b"\"")?;
    }
    out.write_all(b"\r\n")
}

/// A cell before quoting: no control or invisible character, and nothing that a spreadsheet takes as the beginning of a
/// formula. An apostrophe goes before `=`, `+`, `-`, `@` and their full-width forms where they begin the cell, and also
/// behind `,` `;` and `"`, where a program that was told another separator sees a cell begin; blanks are looked through.
/// Tab and CR, which spreadsheets skip at the beginning, are controls and written as `\x09` and `\x0d`.
#[must_use]
pub fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 1);
    let mut begins = true;
    for c in for_terminal(text).chars() {
        if begins && is_formula(c) {
            out.push('\'');
        }
        begins = matches!(c, ',' | ';' | '"') || (begins && c.is_whitespace());
        out.push(c);
    }
    out
}

const fn is_formula(c: char) -> bool {
    matches!(c, '=' | '+' | '-' | '@' | '\u{ff1d}' | '\u{ff0b}' | '\u{ff0d}' | '\u{ff20}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::{cell, is_formula, line};

    fn written(cells: &[&str]) -> String {
        let mut out = Vec::new();
        line(&mut out, cells.iter().copied()).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// RFC 4180, with the separator as the reader was told.
    fn read(text: &str, separator: char) -> Vec<String> {
        let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
        let mut chars = text.strip_suffix("\r\n").unwrap().chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '"' if quoted && chars.peek() == Some(&'"') => cell.extend(chars.next()),
                '"' if quoted || cell.is_empty() => quoted = !quoted,
                c if c == separator && !quoted => cells.push(std::mem::take(&mut cell)),
                c => cell.push(c),
            }
        }
        cells.push(cell);
        cells
    }

    #[test]
    fn a_cell_is_what_it_was_unless_it_would_be_a_formula() {
        for (text, shown) in [
            ("deployer", "deployer"),
            ("a-b@c=d+e", "a-b@c=d+e"),
            ("", ""),
            ("=1+1", "'=1+1"),
            ("-x", "'-x"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("  +1", "  '+1"),
            ("a;=cmd|' /C calc'!A0", "a;'=cmd|' /C calc'!A0"),
            ("a\",=1", "a\",'=1"),
            ("\u{ff1d}1", "'\u{ff1d}1"),
            ("\t=1", "\\x09=1"),
            ("\r=1", "\\x0d=1"),
            ("a\nb", "a\\x0ab"),
            ("a\u{202e}b", "a\\u{202e}b"),
        ] {
            assert_eq!(cell(text), shown);
        }
        assert_eq!(written(&["a\"b", "", "c,d"]), "\"a\"\"b\",\"\",\"c,d\"\r\n");
    }

    proptest! {
        #[test]
        fn cells_read_back_and_none_begins_a_formula_whatever_separator_is_guessed(
            a in any::<String>(), b in "[=+@;, \"'\t\r\n-]{0,8}[a-z]?", c in "\\PC*",
        ) {
            let text = written(&[&a, &b, &c]);
            let expected: Vec<String> = [&a, &b, &c].iter().map(|text| cell(text)).collect();
            prop_assert_eq!(read(&text, ','), expected);
            prop_assert_eq!(text.matches('\n').count(), 1);
            for separator in [',', ';', '\t'] {
                for shown in read(&text, separator) {
                    let first = shown.trim_start().chars().next();
                    prop_assert!(!first.is_some_and(is_formula), "{:?} in {:?}", shown, text);
                }
            }
        }
    }
}
