//! The configuration that is written: the commented example with the answers in place.
//!
//! What is not answered stays as the example has it. A key that the example shows as a comment loses its `#`; one that means
//! nothing for this kind of directory gets one.

use std::fmt::Write as _;

/// The example that every package ships.
pub const EXAMPLE: &str = include_str!("../../../conf/svcauth.toml");

/// A configuration while its values are put in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    lines: Vec<String>,
}

impl Default for Template {
    fn default() -> Self {
        Self { lines: EXAMPLE.lines().map(str::to_owned).collect() }
    }
}

impl Template {
    /// Sets a text.
    pub fn text(&mut self, section: &str, key: &str, value: &str) {
        self.set(section, key, &quoted(value));
    }

    /// Sets a list of texts.
    pub fn list(&mut self, section: &str, key: &str, values: &[String]) {
        let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
        self.set(section, key, &format!("[{}]", values.join(", ")));
    }

    /// Turns a key that is set into a comment.
    pub fn unset(&mut self, section: &str, key: &str) {
        let (start, end) = self.section(section);
        for line in self.lines.get_mut(start..end).unwrap_or_default() {
            if assigned(line) == Some(key) {
                *line = format!("# {line}");
            }
        }
    }

    /// The whole file.
    #[must_use]
    pub fn finish(self) -> String {
        self.lines.join("\n") + "\n"
    }

    fn set(&mut self, section: &str, key: &str, value: &str) {
        let (start, end) = self.section(section);
        let lines = self.lines.get(start..end).unwrap_or_default();
        let active = lines.iter().position(|line| assigned(line) == Some(key));
        let shown = || lines.iter().position(|line| line.strip_prefix("# ").and_then(assigned) == Some(key));
        match active.or_else(shown).and_then(|place| self.lines.get_mut(start + place)) {
            Some(line) => {
                let comment = comment(line).map_or_else(String::new, |comment| format!("    {comment}"));
                *line = format!("{key} = {value}{comment}");
            }
            None => self.lines.insert(end, format!("{key} = {value}")),
        }
    }

    /// The lines of a section, without its head and the blank lines at its end.
    fn section(&self, name: &str) -> (usize, usize) {
        let head = |line: &String| line.trim_end() == name;
        let start = self.lines.iter().position(head).map_or(self.lines.len(), |place| place + 1);
        let rest = self.lines.get(start..).unwrap_or_default();
        let is_head = |line: &String| line.starts_with('[') || line.starts_with("# [");
        let end = rest.iter().position(is_head).unwrap_or(rest.len());
        let used = rest.get(..end).unwrap_or_default().iter().rposition(|line| !line.trim().is_empty());
        (start, start + used.map_or(0, |place| place + 1))
    }
}

/// The key that a line sets.
fn assigned(line: &str) -> Option<&str> {
    let (key, _) = line.split_once(" = ")?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    (!key.is_empty() && key.bytes().all(plain)).then_some(key)
}

/// The comment behind the value of a line.
fn comment(line: &str) -> Option<&str> {
    let line = line.strip_prefix("# ").unwrap_or(line);
    let (mut in_text, mut place) = (false, None);
    for (at, letter) in line.char_indices() {
        match letter {
            '"' => in_text = !in_text,
            '#' if !in_text => {
                place = Some(at);
                break;
            }
            _ => {}
        }
    }
    line.get(place?..)
}

/// A basic string of TOML 1.0.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            // Writing to a String cannot fail.
            letter if letter.is_control() => drop(write!(out, "\\u{:04X}", u32::from(letter))),
            letter => out.push(letter),
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use svcauth_core::config::Config;

    use super::{EXAMPLE, Template, quoted};

    #[test]
    fn a_template_without_answers_is_the_example() {
        assert_eq!(Template::default().finish(), EXAMPLE);
    }

    #[test]
    fn a_key_is_set_where_the_example_shows_it_and_keeps_its_comment() {
        let mut template = Template::default();
        template.text("[directory]", "kind", "ldap");
        template.unset("[directory]", "file");
        template.list("[directory]", "uris", &["ldaps://a".to_owned()]);
        template.text("[directory]", "bind", "anonymous");
        template.text("[accounts]", "id_range", "8000-8999");
        template.text("[groups]", "filter", "(cn=\\2a)");
        let text = template.finish();
        assert!(text.contains("\n# file = \"/etc/svcauth/directory.ldif\"\n"), "{text}");
        assert!(text.contains("\nuris = [\"ldaps://a\"]    # in order of preference\n"), "{text}");
        assert!(text.contains("\nbind = \"anonymous\"    # \"anonymous\" | "), "{text}");
        assert_eq!(text.lines().count(), EXAMPLE.lines().count() + 1, "one key was not in the example");
        let config = Config::parse(&text).unwrap();
        assert_eq!(config.directory.kind.as_str(), "ldap");
        assert_eq!(config.accounts.id_range.to_string(), "8000-8999");
        assert_eq!(config.groups.search.base, "ou=groups,dc=example,dc=com");
        assert_eq!(config.groups.search.filter.to_string(), "(cn=\\2a)");
    }

    #[test]
    fn a_text_cannot_end_its_line() {
        for text in ["a\"b", "a\\", "\"\nkind = \"ad", "a\u{7f}\u{1b}", "# no comment", "ü"] {
            let mut template = Template::default();
            template.text("[people]", "base", text);
            let file: toml::Table = toml::from_str(&template.finish()).unwrap();
            assert_eq!(
                file.get("people").unwrap().get("base").unwrap().as_str(),
                Some(text),
                "{}",
                quoted(text)
            );
        }
    }
}
