//! Checks that several sections share: paths, spans of time, words of a list.

use super::duration;
use super::error::{ConfigError, Source, unknown};
use super::raw::Text;
use core::time::Duration;
use std::format;
use std::path::PathBuf;
use std::string::String;
use std::vec::Vec;
use toml::Spanned;

#[derive(Clone, Copy)]
pub(super) struct Check<'a>(pub(super) Source<'a>);

impl Check<'_> {
    /// A text that is not empty and holds no control character.
    pub(super) fn filled(self, text: Text) -> Result<Option<String>, ConfigError> {
        text.map(|text| self.word(text)).transpose()
    }

    /// As [`Self::filled`], for a value that is there.
    pub(super) fn word(self, text: Spanned<String>) -> Result<String, ConfigError> {
        let fault = if text.get_ref().trim().is_empty() {
            "the value is empty; leave the key out to get its default"
        } else if text.get_ref().chars().any(char::is_control) {
            "the value holds a control character"
        } else {
            return Ok(text.into_inner());
        };
        Err(self.0.error(text.span(), fault))
    }

    /// An absolute path without `.` and `..`.
    pub(super) fn path(self, text: Spanned<String>) -> Result<PathBuf, ConfigError> {
        let span = text.span();
        let path = self.word(text)?;
        if !path.starts_with('/') {
            let hint = format!("\"{path}\" is not an absolute path; begin it with /");
            return Err(self.0.error(span, hint));
        }
        if path.split('/').any(|part| matches!(part, "." | "..")) {
            let hint = format!("\"{path}\" holds a . or .. component; write the path without it");
            return Err(self.0.error(span, hint));
        }
        Ok(PathBuf::from(path))
    }

    /// A span of time of at least one second.
    pub(super) fn duration(self, text: Text, default: Duration) -> Result<Duration, ConfigError> {
        let Some(text) = text else { return Ok(default) };
        let Some(span) = duration::parse(text.get_ref()) else {
            let shown = text.get_ref().escape_default();
            return Err(self
                .0
                .error(text.span(), format!("\"{shown}\" is no span of time; {}", duration::EXPECTED)));
        };
        if span < Duration::from_secs(1) {
            return Err(self.0.error(text.span(), "the span of time is too short; the least is \"1s\""));
        }
        Ok(span)
    }

    /// One word of a list.
    pub(super) fn one_of<T: Copy>(
        self,
        text: Text,
        what: &str,
        words: &[(&str, T)],
    ) -> Result<Option<T>, ConfigError> {
        let Some(text) = text else { return Ok(None) };
        let found = words.iter().find(|(word, _)| word == text.get_ref());
        let (_, value) = found.ok_or_else(|| {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.0.error(text.span(), unknown(&format!("value of {what}"), text.get_ref(), &known))
        })?;
        Ok(Some(*value))
    }

    /// The items of a list that must not be empty, each through `item`.
    pub(super) fn items<T>(
        self,
        list: Spanned<Vec<Spanned<String>>>,
        empty: &str,
        item: impl Fn(Spanned<String>) -> Result<T, ConfigError>,
    ) -> Result<Vec<T>, ConfigError> {
        if list.get_ref().is_empty() {
            return Err(self.0.error(list.span(), empty));
        }
        list.into_inner().into_iter().map(item).collect()
    }
}
