//! What is wrong with the configuration file, said so that the administrator can repair it: place, fault, next step.

use core::fmt;
use core::ops::Range;
use std::format;
use std::path::{Path, PathBuf};
use std::string::{String, ToString};
use std::vec::Vec;

/// A fault of the configuration file: where it is and how to repair it.
///
/// Displays as `line N, column M: what is wrong; hint`, after the path once [`ConfigError::with_path`] has named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    path: Option<PathBuf>,
    line: usize,
    column: usize,
    message: String,
}

impl ConfigError {
    /// The same fault, with the file it is in.
    #[must_use]
    pub fn with_path(mut self, path: &Path) -> Self {
        self.path = Some(path.to_path_buf());
        self
    }
    /// The line of the fault, the first line being 1.
    #[must_use]
    pub const fn line(&self) -> usize {
        self.line
    }
    /// The column of the fault in characters, the first being 1.
    #[must_use]
    pub const fn column(&self) -> usize {
        self.column
    }
    /// What is wrong and what to do about it, without the place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{}: ", path.display())?;
        }
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

impl core::error::Error for ConfigError {}

/// The text of the file, to turn byte offsets into places.
#[derive(Clone, Copy)]
pub(super) struct Source<'a>(pub(super) &'a str);

impl Source<'_> {
    /// Line and column of a byte offset, both counted from 1.
    pub(super) fn place(self, offset: usize) -> (usize, usize) {
        let before: String =
            self.0.char_indices().take_while(|(at, _)| *at < offset).map(|(_, c)| c).collect();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
        (line, column)
    }
    /// An error at the beginning of this span.
    pub(super) fn error(self, span: Range<usize>, message: impl Into<String>) -> ConfigError {
        let (line, column) = self.place(span.start);
        ConfigError { path: None, line, column, message: message.into() }
    }
    /// The error of the TOML reader, in the administrator's words where it was written for programmers.
    pub(super) fn toml_error(self, error: &toml::de::Error) -> ConfigError {
        self.error(error.span().unwrap_or(0..0), reword(error.message()))
    }
}

fn reword(message: &str) -> String {
    if let Some(rest) = message.strip_prefix("unknown field `") {
        if let Some((key, expected)) = rest.split_once('`') {
            return unknown("key", key, &quoted(expected));
        }
    }
    if let Some(key) = message.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
        return format!(
            "the section [{key}] is missing; it is the one section that every configuration needs"
        );
    }
    if message.starts_with("missing escaped value") {
        return "in \"...\" a backslash begins an escape; write \\\\ for one, or put the text in '...'"
            .to_string();
    }
    match message {
        "duplicate key" => "this key is already set above; keep one of the two".to_string(),
        other => wrong_type(other).unwrap_or_else(|| other.replace('`', "\"")),
    }
}

/// `expected a text in quotes; found true`, of serde's words for it.
fn wrong_type(message: &str) -> Option<String> {
    let (found, expected) = message.strip_prefix("invalid type: ")?.split_once(", expected ")?;
    let expected = match expected {
        "a string" => "a text in quotes",
        "a boolean" => "true or false, without quotes",
        "a sequence" => "a list in [ ]",
        "a map" => "a section",
        other if other.starts_with("struct ") => "a section",
        other => other,
    };
    let found = match found.split_once('`').and_then(|(kind, value)| Some((kind, value.strip_suffix('`')?))) {
        Some(("boolean ", value)) => value.to_string(),
        Some(("integer " | "floating point ", value)) => format!("the number {value}"),
        _ => match (found, found.strip_prefix("string ")) {
            ("sequence", _) => "a list".to_string(),
            ("map", _) => "a section".to_string(),
            (_, Some(text)) => format!("the text {text}"),
            (other, None) => other.replace('`', "\""),
        },
    };
    Some(format!("expected {expected}; found {found}"))
}

fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The known word that was probably meant; none when none is near.
#[must_use]
pub fn nearest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let nearest = known.iter().map(|word| (distance(given, word), *word)).min();
    // Half of a short word is another word: "all" is not "any".
    let is_near = |(distance, word): &(usize, &str)| {
        *distance <= 2.max(word.len() / 3) && distance * 2 <= word.len().max(given.len())
    };
    nearest.filter(is_near).map(|(_, word)| word)
}

/// `unknown WHAT "given"`, with the nearest known word, or all of them when none is near.
pub(super) fn unknown(what: &str, given: &str, known: &[&str]) -> String {
    let hint = nearest(given, known)
        .map_or_else(|| format!("expected {}", list(known)), |word| format!("did you mean \"{word}\"?"));
    format!("unknown {what} \"{}\"; {hint}", given.escape_default())
}

/// `"a", "b" or "c"`.
fn list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        Some((last, head)) if !head.is_empty() => format!("{} or {last}", head.join(", ")),
        Some((last, _)) => last.clone(),
        None => "nothing here".to_string(),
    }
}

/// Levenshtein distance in bytes; the words are short.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let best = (diagonal + usize::from(x != y)).min(left + 1).min(*cell + 1);
            diagonal = core::mem::replace(cell, best);
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Source, distance, reword, unknown};

    #[test]
    fn a_place_counts_lines_and_characters_from_one() {
        let source = Source("a\n\u{e4}b = 1\n");
        assert_eq!(source.place(0), (1, 1));
        assert_eq!(source.place(2), (2, 1));
        assert_eq!(source.place(4), (2, 2));
        assert_eq!(source.place(999), (3, 1));
    }

    #[test]
    fn a_near_word_is_suggested_and_a_far_one_is_not() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(unknown("key", "knd", &["kind", "file"]), "unknown key \"knd\"; did you mean \"kind\"?");
        assert_eq!(
            unknown("key", "zzzzzzz", &["kind", "file"]),
            "unknown key \"zzzzzzz\"; expected \"kind\" or \"file\""
        );
        assert_eq!(
            unknown("word", "all", &["any", "every"]),
            "unknown word \"all\"; expected \"any\" or \"every\""
        );
        assert_eq!(
            unknown("word", "rw", &["no", "read"]),
            "unknown word \"rw\"; expected \"no\" or \"read\""
        );
        assert_eq!(unknown("word", "none", &["no", "any"]), "unknown word \"none\"; did you mean \"no\"?");
    }

    #[test]
    fn a_value_of_the_wrong_type_is_told_in_the_words_of_the_file() {
        for (said, told) in [
            ("boolean `true`, expected a string", "expected a text in quotes; found true"),
            ("integer `5`, expected a string", "expected a text in quotes; found the number 5"),
            ("string \"a`b\", expected a sequence", "expected a list in [ ]; found the text \"a`b\""),
            (
                "string \"yes\", expected a boolean",
                "expected true or false, without quotes; found the text \"yes\"",
            ),
            ("map, expected a sequence", "expected a list in [ ]; found a section"),
            ("sequence, expected struct Directory", "expected a section; found a list"),
        ] {
            assert_eq!(reword(&std::format!("invalid type: {said}")), told);
        }
        assert!(reword("missing escaped value, expected `b`").ends_with("put the text in '...'"));
    }
}
