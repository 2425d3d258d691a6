//! Which group each role of the access rules is, by what never changes and never returns with another group.
//!
//! A rule says `application`. The first group that had the name is the one that was meant; another one that has it later
//! (a namesake, or the same group deleted and made again) is not, until an administrator says so. A group that is only
//! renamed keeps its id and stays the role.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Longest id that is kept, in bytes: a SID has 184 at most.
const ID_MAX: usize = 200;

/// What is known of earlier generations, by word: as in the rule, trimmed, in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleMemory(BTreeMap<String, String>);

/// What a rule calls a role, as it is compared.
pub(super) fn key(word: &str) -> String {
    word.trim().to_lowercase()
}

/// Whether a word can only be an id: then no group is meant that merely has it for a name.
pub(super) fn is_id(word: &str) -> bool {
    let word = word.trim();
    let sid = word.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("S-1-"))
        && word.bytes().skip(4).all(|byte| byte == b'-' || byte.is_ascii_digit());
    let parts = [8, 4, 4, 4, 12];
    let uuid = word.split('-').map(str::len).eq(parts)
        && word.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    sid || uuid
}

impl RoleMemory {
    /// The group that a word has stood for so far.
    pub(super) fn group(&self, word: &str) -> Option<&str> {
        self.0.get(&key(word)).map(String::as_str)
    }

    /// Keeps the group that a word stands for. A name that stands in for an id (a DN, where the directory has no ids)
    /// changes with the group, so there is nothing to keep.
    pub fn keep(&mut self, word: &str, id: &str) {
        let plain = is_id(id) && id.len() <= ID_MAX;
        if plain {
            self.0.insert(key(word), id.to_owned());
        } else {
            self.0.remove(&key(word));
        }
    }

    /// The text that [`RoleMemory::parse`] reads: an id and a word a line.
    #[must_use]
    pub fn to_text(&self) -> String {
        let head = "# The group that each role of the access rules is. See: svcauth roles\n";
        self.0.iter().fold(head.to_owned(), |mut text, (word, id)| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{id} {word}");
            text
        })
    }

    /// Reads what [`RoleMemory::to_text`] wrote.
    ///
    /// # Errors
    /// The number of the line that cannot be read: what is lost here would be trusted anew.
    pub fn parse(text: &str) -> Result<Self, usize> {
        let mut memory = Self::default();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
            let (id, word) = line.split_once(' ').ok_or(number + 1)?;
            if !is_id(id) || word.is_empty() || key(word) != word {
                return Err(number + 1);
            }
            memory.0.insert(word.to_owned(), id.to_owned());
        }
        Ok(memory)
    }
}

#[cfg(test)]
mod tests {
    use super::{RoleMemory, is_id};

    const UUID: &str = "5b2b1a9a-3c4d-103e-8f00-0123456789ab";

    #[test]
    fn what_is_kept_is_read_again_and_only_ids_are_kept() {
        let mut memory = RoleMemory::default();
        memory.keep(" Application ", UUID);
        memory.keep("cn=Ops of night, ou=groups", "S-1-5-21-1-2-3-1104");
        memory.keep("by name", "cn=by name,ou=groups");
        assert_eq!(memory.group("application"), Some(UUID));
        assert_eq!(memory.group("by name"), None);
        assert_eq!(RoleMemory::parse(&memory.to_text()), Ok(memory.clone()));
        memory.keep("APPLICATION", "cn=application");
        assert_eq!(memory.group("application"), None);
    }

    #[test]
    fn a_damaged_text_is_refused_with_its_line() {
        assert_eq!(RoleMemory::parse(""), Ok(RoleMemory::default()));
        for (text, line) in [
            ("application", 1),
            ("# x\ncn=x application\n", 2),
            (&format!("{UUID} a\n{UUID} \n"), 2),
            (&format!("{UUID} A\n"), 1),
            (&format!("{UUID} a\n\n"), 2),
        ] {
            assert_eq!(RoleMemory::parse(text), Err(line), "{text}");
        }
    }

    #[test]
    fn an_id_is_told_from_a_name() {
        for id in [UUID, "S-1-5-21-1-2-3-1104", "s-1-5-32-544", " S-1-5-18 "] {
            assert!(is_id(id), "{id}");
        }
        for name in ["", "application", "S-1-team", "s-1", "cn=x", "5b2b1a9a", &UUID.replace('5', "x")] {
            assert!(!is_id(name), "{name}");
        }
    }
}
