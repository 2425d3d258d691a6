//! Word patterns of command rules against words.

use std::format;
use std::string::{String, ToString as _};

use regex_lite::Regex;

use super::WordPattern;

/// Whether a text is a regular expression that a word can be held against.
///
/// # Errors
/// What is wrong with it.
pub fn check_regex(regex: &str) -> Result<(), String> {
    whole(regex).map(drop)
}

/// The expression, held against the whole word: alternatives included, whatever flags it sets.
fn whole(regex: &str) -> Result<Regex, String> {
    // Alone first: `a)(b` must not become whole by what is put around it.
    Regex::new(regex).map_err(|error| error.to_string())?;
    Regex::new(&format!(r"\A(?:{regex})\z")).map_err(|error| error.to_string())
}

impl WordPattern {
    /// Whether one word fits. `<rest>` fits any.
    #[must_use]
    pub fn matches(&self, word: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => exact.as_bytes() == word,
            Self::Any | Self::Rest => true,
            Self::Regex(regex) => match (whole(regex), core::str::from_utf8(word)) {
                (Ok(regex), Ok(word)) => regex.is_match(word),
                // Bytes that are no text fit no expression, and an expression that cannot be read fits nothing.
                _ => false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::WordPattern;

    #[test]
    fn a_word_fits_as_a_whole_or_not_at_all() {
        for (pattern, yes, no) in [
            ("a", "a", "ab"),
            ("<any>", "", "-"),
            ("<re:[a-z0-9-]+>", "web-1", "web 1"),
            ("<re:[a-z]+>", "web", "web\n"),
            ("<re:a|b>", "b", "ab"),
            ("<re:(?m)^a$>", "a", "a\nb"),
            ("<re:(?s).*>", "a\nb", "-"),
        ] {
            let pattern: WordPattern = pattern.parse().unwrap();
            assert!(pattern.matches(yes.as_bytes()), "{pattern} {yes:?}");
            assert!(no == "-" || !pattern.matches(no.as_bytes()), "{pattern} {no:?}");
        }
        assert!(!"<re:.*>".parse::<WordPattern>().unwrap().matches(b"\xff"));
        assert!(super::check_regex("a)(b").is_err() && super::check_regex("(").is_err());
        for bad in ["<x>", "<re:a", "<", "<any", "<Any>"] {
            assert!(bad.parse::<WordPattern>().is_err(), "{bad}");
        }
    }
}
