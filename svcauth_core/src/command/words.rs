//! A command line as the words that a shell would make of it, without a shell.
//!
//! Only what means the same to every shell is read: blanks, `'...'`, `"..."` and backslashes. Whatever a shell would act
//! upon (expand, redirect, chain, comment out) is an error that names the byte and its place, because the words that a shell
//! would make of it cannot be known here. Held against dash and bash by `tests/command_words.rs`.

use std::format;
use std::string::String;
use std::vec::Vec;

/// One word of a command line, quotes removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// What a program would get.
    pub bytes: Vec<u8>,
    /// Where it begins in the line, counted from 0.
    pub at: usize,
    /// It begins with a bare `~` or `~/`, which a shell would replace with the home directory. `bytes` still hold it.
    pub home: bool,
}

/// A line that only a shell can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unplain {
    /// The place in the line, counted from 0.
    pub at: usize,
    /// What stands there.
    pub what: Syntax,
}

/// What a shell would act upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// A byte outside of quotes, or `$` and a backquote between double quotes.
    Byte(u8),
    /// A quote or a backslash that nothing ends.
    Unclosed(u8),
    /// A backslash and a newline, which a shell takes away.
    Continued,
    /// `NAME=value` before the program.
    Assignment,
    /// A word such as `if` where the program stands.
    Reserved,
    /// A zero byte, which no argument can hold.
    Zero,
}

impl core::fmt::Display for Unplain {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let place = self.at.saturating_add(1);
        match self.what {
            Syntax::Byte(b'\n') => write!(f, "the newline at byte {place} is for a shell"),
            Syntax::Byte(byte) => write!(f, "{} at byte {place} is for a shell", byte.escape_ascii()),
            Syntax::Unclosed(b'\\') => write!(f, "nothing follows the backslash at byte {place}"),
            Syntax::Unclosed(quote) => write!(f, "the {} at byte {place} is never closed", char::from(quote)),
            Syntax::Continued => write!(f, "the backslash before a newline at byte {place} is for a shell"),
            Syntax::Assignment => write!(f, "the NAME=value at byte {place} is for a shell"),
            Syntax::Reserved => write!(f, "the word at byte {place} is part of the language of shells"),
            Syntax::Zero => write!(f, "byte {place} is zero, which no argument can hold"),
        }
    }
}

impl core::error::Error for Unplain {}

/// Words that a shell reads as its own where a program stands: POSIX.1-2017, 2.4, and those that bash(1) adds.
const RESERVED: [&[u8]; 21] = [
    b"!",
    b"if",
    b"then",
    b"else",
    b"elif",
    b"fi",
    b"do",
    b"done",
    b"case",
    b"esac",
    b"while",
    b"until",
    b"for",
    b"in",
    b"function",
    b"select",
    b"time",
    b"coproc",
    b"namespace",
    b"repeat",
    b"foreach",
];

/// The words of a line, as `sh -c` would give them to a program (POSIX.1-2017, 2.2 Quoting).
///
/// # Errors
/// [`Unplain`] for the first thing that a shell would act upon. A bare `~` or `~/` at the beginning of a word is none:
/// see [`Word::home`].
pub fn split(line: &[u8]) -> Result<Vec<Word>, Unplain> {
    let mut from = Scanner { line, at: 0 };
    let mut words = Vec::new();
    while let Some(word) = from.word()? {
        if words.is_empty() {
            program(line.get(word.at..from.at).unwrap_or_default(), word.at)?;
        }
        words.push(word);
    }
    Ok(words)
}

/// Whether a shell would take the first word, as it is written, for a program.
fn program(written: &[u8], at: usize) -> Result<(), Unplain> {
    let name = written.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
    let after = written.get(name..).unwrap_or_default();
    let assigns = after.starts_with(b"=") || after.starts_with(b"+=");
    if assigns && written.first().is_some_and(|first| !first.is_ascii_digit() && name > 0) {
        return Err(Unplain { at, what: Syntax::Assignment });
    }
    if RESERVED.contains(&written) {
        return Err(Unplain { at, what: Syntax::Reserved });
    }
    Ok(())
}

struct Scanner<'a> {
    line: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.line.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn word(&mut self) -> Result<Option<Word>, Unplain> {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
        if self.peek().is_none() {
            return Ok(None);
        }
        let at = self.at;
        let home = self.home();
        let mut bytes = if home { b"~".to_vec() } else { Vec::new() };
        while let Some(byte) = self.peek() {
            let place = self.at;
            match byte {
                b' ' | b'\t' => break,
                b'\'' => self.single(&mut bytes)?,
                b'"' => self.double(&mut bytes)?,
                b'\\' => {
                    self.at += 1;
                    bytes.push(self.escaped(place)?);
                }
                byte => {
                    self.plain(byte, at)?;
                    bytes.push(byte);
                }
            }
        }
        Ok(Some(Word { bytes, at, home }))
    }

    /// Passes over a bare tilde that stands for the home directory. `~name` is somebody else's, and in `~"/x"` a shell
    /// leaves the tilde alone.
    fn home(&mut self) -> bool {
        let rest = self.line.get(self.at..).unwrap_or_default();
        let is_home = matches!(rest, [b'~'] | [b'~', b'/' | b' ' | b'\t', ..]);
        self.at += usize::from(is_home);
        is_home
    }

    /// One byte outside of quotes, in the word that began at `start`.
    fn plain(&mut self, byte: u8, start: usize) -> Result<(), Unplain> {
        let at = self.at;
        let before = at.checked_sub(1).filter(|_| at > start).and_then(|at| self.line.get(at));
        let acts = match byte {
            0 => return Err(Unplain { at, what: Syntax::Zero }),
            b'\n' | b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')' | b'$' | b'`' => true,
            b'*' | b'?' | b'[' | b']' | b'{' | b'}' => true,
            b'#' => before.is_none(),
            // bash expands it there, too, in what looks like an assignment.
            b'~' => matches!(before, None | Some(b'=' | b':')),
            _ => false,
        };
        if acts {
            return Err(Unplain { at, what: Syntax::Byte(byte) });
        }
        self.at += 1;
        Ok(())
    }

    /// What follows a backslash outside of quotes.
    fn escaped(&mut self, at: usize) -> Result<u8, Unplain> {
        match self.next() {
            None => Err(Unplain { at, what: Syntax::Unclosed(b'\\') }),
            Some(b'\n') => Err(Unplain { at, what: Syntax::Continued }),
            Some(0) => Err(Unplain { at: at + 1, what: Syntax::Zero }),
            Some(byte) => Ok(byte),
        }
    }

    fn single(&mut self, out: &mut Vec<u8>) -> Result<(), Unplain> {
        let at = self.at;
        self.at += 1;
        loop {
            match self.next() {
                None => return Err(Unplain { at, what: Syntax::Unclosed(b'\'') }),
                Some(b'\'') => return Ok(()),
                Some(0) => return Err(Unplain { at: self.at - 1, what: Syntax::Zero }),
                Some(byte) => out.push(byte),
            }
        }
    }

    fn double(&mut self, out: &mut Vec<u8>) -> Result<(), Unplain> {
        let open = self.at;
        self.at += 1;
        loop {
            let at = self.at;
            match self.next() {
                None => return Err(Unplain { at: open, what: Syntax::Unclosed(b'"') }),
                Some(b'"') => return Ok(()),
                Some(0) => return Err(Unplain { at, what: Syntax::Zero }),
                Some(byte @ (b'$' | b'`')) => return Err(Unplain { at, what: Syntax::Byte(byte) }),
                // A backslash takes the meaning of these, and stays where it takes none.
                Some(b'\\') => match self.peek() {
                    Some(b'\n') => return Err(Unplain { at, what: Syntax::Continued }),
                    Some(byte @ (b'$' | b'`' | b'"' | b'\\')) => {
                        self.at += 1;
                        out.push(byte);
                    }
                    _ => out.push(b'\\'),
                },
                Some(byte) => out.push(byte),
            }
        }
    }
}

impl Word {
    /// The word as it may stand in a sentence for an administrator: escaped, and not longer than 60 characters.
    #[must_use]
    pub fn shown(&self) -> String {
        shown(&self.bytes)
    }
}

/// Bytes of somebody else as a short text for an administrator.
pub(super) fn shown(bytes: &[u8]) -> String {
    const LONGEST: usize = 60;
    let text = crate::audit::escape::bytes_for_terminal(bytes);
    match text.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}...", text.get(..cut).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::{Syntax, Unplain, split};
    use std::string::ToString as _;
    use std::vec::Vec;

    fn words(line: &str) -> Result<Vec<Vec<u8>>, Unplain> {
        Ok(split(line.as_bytes())?.into_iter().map(|word| word.bytes).collect())
    }

    #[test]
    fn quotes_and_backslashes_are_read_as_a_shell_reads_them() {
        for (line, expected) in [
            ("", &[][..]),
            (" \t ", &[]),
            ("ls  -l\t/", &["ls", "-l", "/"]),
            ("a 'b c' \"d e\" f\\ g", &["a", "b c", "d e", "f g"]),
            ("git-upload-pack 'it'\\''s'\\!'x'", &["git-upload-pack", "it's!x"]),
            ("a '' \"\" b''c", &["a", "", "", "bc"]),
            ("a '$`\\\"*\n;' \"'*;\n\\$\\`\\\"\\\\\\a\"", &["a", "$`\\\"*\n;", "'*;\n$`\"\\\\a"]),
            (
                "a \\; \\# \\~ b#c d~e x! %1 ^ , @ +",
                &["a", ";", "#", "~", "b#c", "d~e", "x!", "%1", "^", ",", "@", "+"],
            ),
            ("a B=c D='e f' if \\if", &["a", "B=c", "D=e f", "if", "if"]),
            ("'if' x", &["if", "x"]),
            ("'A'=b A\\=b 1A=b", &["A=b", "A=b", "1A=b"]),
            ("a ~ ~/x '~'/y", &["a", "~", "~/x", "~/y"]),
        ] {
            let expected: Vec<Vec<u8>> = expected.iter().map(|word| word.as_bytes().to_vec()).collect();
            assert_eq!(words(line), Ok(expected), "{line:?}");
        }
        let homes: Vec<bool> = split(b"a ~ ~/x '~'/y ~/").unwrap().iter().map(|word| word.home).collect();
        assert_eq!(homes, [false, true, true, false, true]);
    }

    #[test]
    fn what_a_shell_would_act_upon_is_named_with_its_place() {
        for byte in "\n;&|<>()$`*?[]{}".bytes() {
            let line = [b"ls a".as_slice(), &[byte], b"b"].concat();
            assert_eq!(split(&line), Err(Unplain { at: 4, what: Syntax::Byte(byte) }));
        }
        for (line, at, what) in [
            ("ls #x", 3, Syntax::Byte(b'#')),
            ("ls ~bob", 3, Syntax::Byte(b'~')),
            ("ls ~\"/x\"", 3, Syntax::Byte(b'~')),
            ("ls A=~/x", 5, Syntax::Byte(b'~')),
            ("ls A=b:~/x", 7, Syntax::Byte(b'~')),
            ("ls \"a$b\"", 5, Syntax::Byte(b'$')),
            ("ls \"a`b\"", 5, Syntax::Byte(b'`')),
            ("ls 'a", 3, Syntax::Unclosed(b'\'')),
            ("ls \"a\\\"", 3, Syntax::Unclosed(b'"')),
            ("ls \\", 3, Syntax::Unclosed(b'\\')),
            ("ls a\\\nb", 4, Syntax::Continued),
            ("ls \"a\\\nb\"", 5, Syntax::Continued),
            ("A=b ls", 0, Syntax::Assignment),
            ("  A_1+='b' ls", 2, Syntax::Assignment),
            ("! ls", 0, Syntax::Reserved),
            ("time ls", 0, Syntax::Reserved),
            ("ls \0", 3, Syntax::Zero),
            ("ls '\0'", 4, Syntax::Zero),
            ("ls \"\0\"", 4, Syntax::Zero),
            ("ls \\\0", 4, Syntax::Zero),
        ] {
            assert_eq!(words(line), Err(Unplain { at, what }), "{line:?}");
        }
        assert_eq!(words("ls; id").unwrap_err().to_string(), "; at byte 3 is for a shell");
    }

    #[test]
    fn a_long_word_is_shown_cut_and_a_strange_one_escaped() {
        assert_eq!(super::shown(b"a\x1b[2J"), "a\\x1b[2J");
        assert_eq!(super::shown(&[b'x'; 70]), "x".repeat(60) + "...");
    }
}
