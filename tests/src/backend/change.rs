//! One change of an entry, as LDIF for a server (RFC 2849) or done to a file.

use crate::directory::Directory;
use crate::failure::Outcome;
use crate::ldif::line;

/// A change that every kind of directory understands.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// A new entry with these attributes and values.
    Add { dn: String, values: Vec<(&'static str, String)> },
    /// An entry is deleted.
    Remove { dn: String },
    /// One more value.
    Put { dn: String, attribute: &'static str, value: String },
    /// One value less.
    Take { dn: String, attribute: &'static str, value: String },
    /// These values and no others.
    Set { dn: String, attribute: &'static str, values: Vec<String> },
    /// Another name, perhaps elsewhere in the tree; the old name is no value of the entry any more.
    Move { dn: String, rdn: String, superior: String },
}

impl Change {
    /// A change record, with the empty line behind it.
    pub(super) fn ldif(&self) -> String {
        let (dn, body) = match self {
            Self::Add { dn, values } => {
                let lines = values.iter().map(|(attribute, value)| line(attribute, value));
                (dn, std::iter::once("changetype: add".to_owned()).chain(lines).collect())
            }
            Self::Remove { dn } => (dn, vec!["changetype: delete".to_owned()]),
            Self::Put { dn, attribute, value } => (dn, modify("add", attribute, &[value])),
            Self::Take { dn, attribute, value } => (dn, modify("delete", attribute, &[value])),
            Self::Set { dn, attribute, values } => {
                (dn, modify("replace", attribute, &values.iter().collect::<Vec<_>>()))
            }
            Self::Move { dn, rdn, superior } => {
                let words = ["changetype: modrdn".to_owned(), line("newrdn", rdn)];
                let more = ["deleteoldrdn: 1".to_owned(), line("newsuperior", superior)];
                (dn, words.into_iter().chain(more).collect::<Vec<_>>())
            }
        };
        format!("{}\n{}\n\n", line("dn", dn), body.join("\n"))
    }

    /// Does to a file what a server would do with the record.
    pub(super) fn apply(&self, directory: &mut Directory) -> Outcome {
        match self {
            Self::Add { dn, values } => directory.add(dn, values),
            Self::Remove { dn } => directory.remove(dn),
            Self::Put { dn, attribute, value } => directory.add_value(dn, attribute, value),
            Self::Take { dn, attribute, value } => directory.remove_value(dn, attribute, value),
            Self::Set { dn, attribute, values } => directory.set_values(dn, attribute, values),
            Self::Move { dn, rdn, superior } => directory.rename(dn, rdn, superior),
        }
    }
}

fn modify(what: &str, attribute: &str, values: &[&String]) -> Vec<String> {
    let head = ["changetype: modify".to_owned(), format!("{what}: {attribute}")];
    head.into_iter().chain(values.iter().map(|value| line(attribute, value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_names_the_entry_first_and_ends_with_an_empty_line() {
        let dn = "uid=dora,ou=people".to_owned();
        let set = Change::Set { dn: dn.clone(), attribute: "sn", values: vec!["D".into(), "E".into()] };
        assert_eq!(set.ldif(), "dn: uid=dora,ou=people\nchangetype: modify\nreplace: sn\nsn: D\nsn: E\n\n");
        let away = Change::Move { dn, rdn: "uid=erin".into(), superior: "ou=staff".into() };
        assert_eq!(
            away.ldif(),
            "dn: uid=dora,ou=people\nchangetype: modrdn\nnewrdn: uid=erin\ndeleteoldrdn: 1\nnewsuperior: ou=staff\n\n"
        );
    }
}
