//! How the key id of a certificate names a person.

use crate::name::check_login;
use core::fmt;
use std::borrow::ToOwned as _;
use std::string::String;

const PLACE: &str = "{login}";
const LITERAL_MAX: usize = 256;

/// The template of `[certificates] key_id`, such as `{login}@example.com`.
///
/// A key id matches as a whole or not at all, byte for byte, and gives one login. So that no key id can be read in two
/// ways, the login may hold neither the text that stands before it nor the text behind it, and no `@` where the template
/// itself writes one: `alice@example.com@example.com` and `alice@evil.test@example.com` name nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyIdTemplate {
    before: String,
    behind: String,
}

/// Why a text is no [`KeyIdTemplate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyIdTemplateError {
    /// `{login}` does not appear, or more than once.
    Place,
    /// Another brace than those of `{login}`.
    Brace,
    /// A control character, or more than 256 bytes.
    Text,
}

impl fmt::Display for KeyIdTemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Place => "{login} must appear exactly once, as in \"{login}@example.com\"",
            Self::Brace => "the only braces may be those of {login}",
            Self::Text => "the template must be plain text of at most 256 bytes, without control characters",
        })
    }
}

impl core::error::Error for KeyIdTemplateError {}

impl KeyIdTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// [`KeyIdTemplateError`]: the first rule that it breaks.
    pub fn parse(text: &str) -> Result<Self, KeyIdTemplateError> {
        if text.len() > LITERAL_MAX || text.chars().any(char::is_control) {
            return Err(KeyIdTemplateError::Text);
        }
        let (before, behind) = text.split_once(PLACE).ok_or(KeyIdTemplateError::Place)?;
        if behind.contains(PLACE) {
            return Err(KeyIdTemplateError::Place);
        }
        if before.contains(['{', '}']) || behind.contains(['{', '}']) {
            return Err(KeyIdTemplateError::Brace);
        }
        Ok(Self { before: before.to_owned(), behind: behind.to_owned() })
    }

    /// The login name in a key id, if the key id is of this form and the login is one that a person may have.
    #[must_use]
    pub fn login<'a>(&self, key_id: &'a str) -> Option<&'a str> {
        let login = key_id.strip_prefix(self.before.as_str())?.strip_suffix(self.behind.as_str())?;
        let ambiguous = [&self.before, &self.behind].into_iter().any(|literal| {
            !literal.is_empty()
                && (login.contains(literal.as_str()) || (literal.contains('@') && login.contains('@')))
        });
        (!ambiguous && check_login(login.as_bytes()).is_ok()).then_some(login)
    }
}

impl fmt::Display for KeyIdTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{PLACE}{}", self.before, self.behind)
    }
}

#[cfg(test)]
mod tests {
    use super::{KeyIdTemplate, KeyIdTemplateError};
    use std::format;
    use std::string::ToString as _;

    #[test]
    fn a_key_id_of_the_templates_form_names_its_login() {
        for (template, key_id, login) in [
            ("{login}@example.com", "alice@example.com", "alice"),
            ("{login}", "alice@example.com", "alice@example.com"),
            ("vault-{login}-prod", "vault-anna-lena-prod", "anna-lena"),
            ("user:{login}", "user:4711", "4711"),
        ] {
            let parsed = KeyIdTemplate::parse(template).unwrap();
            assert_eq!(parsed.login(key_id), Some(login), "{template} {key_id}");
            assert_eq!(parsed.to_string(), template);
        }
    }

    #[test]
    fn a_key_id_that_could_be_read_in_two_ways_names_nobody() {
        let template = KeyIdTemplate::parse("{login}@example.com").unwrap();
        assert_eq!(template.login("alice@example.com"), Some("alice"));
        for key_id in
            ["alice@example.com@example.com", "alice@evil.test@example.com", "alice@EXAMPLE.COM@example.com"]
        {
            assert_eq!(template.login(key_id), None, "{key_id}");
        }
        let template = KeyIdTemplate::parse("ci-{login}-prod").unwrap();
        assert_eq!(template.login("ci-bob-prod"), Some("bob"));
        assert_eq!(template.login("ci-bob-prod-prod"), None);
        assert_eq!(template.login("ci-ci-bob-prod"), None);
    }

    #[test]
    fn a_key_id_that_is_not_the_whole_form_or_no_login_names_nobody() {
        let template = KeyIdTemplate::parse("{login}@example.com").unwrap();
        assert_eq!(template.login("alice@example.com"), Some("alice"));
        for key_id in [
            "",
            "@example.com",
            "alice",
            "alice@example.com ",
            " alice@example.com",
            "alice@example.com\n",
            "alice\nAccepted publickey for root@example.com",
            "alice@example.org",
            "alice@Example.com",
            "xalice@example.com.evil",
            "root@example.com",
            "-oProxyCommand=x@example.com",
            "../alice@example.com",
            "a b@example.com",
            "$(id)@example.com",
            "alice\0@example.com",
            "ali\u{202e}ce@example.com",
        ] {
            assert_eq!(template.login(key_id), None, "{key_id:?}");
        }
        let long = format!("{}@example.com", "a".repeat(129));
        assert_eq!(template.login(&long), None);
    }

    #[test]
    fn a_template_that_overlaps_itself_in_a_short_key_id_names_nobody() {
        let template = KeyIdTemplate::parse("aa{login}aa").unwrap();
        assert_eq!(template.login("aabaa"), Some("b"));
        assert_eq!(template.login("aaa"), None);
        assert_eq!(template.login("aaaa"), None);
    }

    #[test]
    fn a_template_names_the_login_exactly_once() {
        for (text, error) in [
            ("", KeyIdTemplateError::Place),
            ("example.com", KeyIdTemplateError::Place),
            ("{login}{login}", KeyIdTemplateError::Place),
            ("{LOGIN}@x", KeyIdTemplateError::Place),
            ("{login}@{realm}", KeyIdTemplateError::Brace),
            ("}{login}", KeyIdTemplateError::Brace),
            ("{login}\n", KeyIdTemplateError::Text),
        ] {
            assert_eq!(KeyIdTemplate::parse(text), Err(error), "{text:?}");
        }
    }
}
