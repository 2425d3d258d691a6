//! A directory as text: the example of `conf/`, changed as a test needs it.

use std::fs;
use std::path::Path;

use crate::failure::{Context, Failure, Outcome, require};
use crate::keys::Key;
use crate::ldif::{line, unescaped};

/// The suffix of the example.
pub const BASE: &str = "dc=example,dc=com";
const EXAMPLE: &str = include_str!("../../conf/directory.ldif");

/// Entries in LDIF, in the order they are written.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    dn: String,
    lines: Vec<String>,
}

/// How groups name their members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// RFC 2307: `memberUid` with login names.
    Rfc2307,
    /// rfc2307bis: `member` with distinguished names.
    Rfc2307bis,
}

/// The distinguished name of a person.
pub fn person_dn(login: &str) -> String {
    format!("uid={login},ou=people,{BASE}")
}

/// The distinguished name of an account.
pub fn account_dn(name: &str) -> String {
    format!("uid={name},ou=accounts,{BASE}")
}

/// The distinguished name of a group.
pub fn group_dn(name: &str) -> String {
    format!("cn={name},ou=groups,{BASE}")
}

impl Directory {
    /// What `conf/directory.ldif` holds: deployer, the role application with alice and bob, and carol without it.
    /// No key is usable until [`Directory::key`] puts one in.
    pub fn example() -> Self {
        let text: String =
            EXAMPLE.lines().filter(|line| !line.starts_with('#')).flat_map(|l| [l, "\n"]).collect();
        Self { entries: text.split("\n\n").filter_map(Entry::parse).collect() }
    }

    /// Gives a person of the directory a public key, in place of the one they had.
    pub fn key(&mut self, login: &str, key: &Key) -> Outcome {
        self.public_key(login, key.public())
    }

    /// The same, given the text of the key.
    pub fn public_key(&mut self, login: &str, key: &str) -> Outcome {
        let entry = self.entry(&person_dn(login))?;
        entry.lines.retain(|line| !line.starts_with("sshPublicKey:"));
        entry.lines.push(format!("sshPublicKey: {key}"));
        Ok(())
    }

    /// Adds an account with a uid, a primary group and a home below /home.
    pub fn account(&mut self, name: &str, uid: u32, gid: u32) {
        let posix =
            format!("uidNumber: {uid}\ngidNumber: {gid}\nhomeDirectory: /home/{name}\nloginShell: /bin/bash");
        self.raw(&format!(
            "dn: {}\nobjectClass: account\nobjectClass: posixAccount\nuid: {name}\ncn: {name}\n{posix}",
            account_dn(name)
        ));
    }

    /// Adds a group with a gid and members given by distinguished name.
    pub fn group(&mut self, name: &str, gid: u32, members: &[String]) {
        let members: String = members.iter().map(|dn| format!("\nmember: {dn}")).collect();
        self.raw(&format!(
            "dn: {}\nobjectClass: groupOfNames\nobjectClass: posixGroup\ncn: {name}\ngidNumber: {gid}{members}",
            group_dn(name)
        ));
    }

    /// Adds a person with a public key.
    pub fn person(&mut self, login: &str, key: &Key) {
        self.raw(&format!(
            "dn: {}\nobjectClass: inetOrgPerson\nobjectClass: ldapPublicKey\nuid: {login}\ncn: {login}\nsn: Example\n\
             sshPublicKey: {}",
            person_dn(login),
            key.public()
        ));
    }

    /// Adds an entry as it stands; the first line is its `dn:`.
    pub fn raw(&mut self, entry: &str) {
        self.entries.extend(Entry::parse(entry));
    }

    /// Name, uid and gid of every account whose ids are numbers.
    pub fn accounts(&self) -> Vec<(String, u32, u32)> {
        let below = |entry: &&Entry| entry.dn.ends_with(&format!(",ou=accounts,{BASE}"));
        let ids = |entry: &Entry| {
            let (uid, gid) =
                (entry.value("uidNumber")?.parse().ok()?, entry.value("gidNumber")?.parse().ok()?);
            Some((entry.value("uid")?.to_owned(), uid, gid))
        };
        self.entries.iter().filter(below).filter_map(ids).collect()
    }

    /// Takes a whole entry out.
    pub fn remove(&mut self, dn: &str) -> Outcome {
        self.entry(dn)?;
        self.entries.retain(|entry| entry.dn != dn);
        Ok(())
    }

    /// Adds an entry with these attributes and values; it must not be there.
    pub fn add(&mut self, dn: &str, values: &[(&str, String)]) -> Outcome {
        require(self.entry(dn).is_err(), || format!("the directory of this test has {dn} already"))?;
        let lines = values.iter().map(|(attribute, value)| line(attribute, value)).collect();
        self.entries.push(Entry { dn: dn.to_owned(), lines });
        Ok(())
    }

    /// Gives an entry another name, and those below it with it; the old one is no value of it any more.
    pub fn rename(&mut self, dn: &str, rdn: &str, superior: &str) -> Outcome {
        let (attribute, value) = rdn.split_once('=').ok_or_else(|| Failure::new(format!("no RDN: {rdn}")))?;
        let (below, new) = (format!(",{dn}"), format!("{rdn},{superior}"));
        for entry in &mut self.entries {
            if let Some(inside) = entry.dn.strip_suffix(&below) {
                entry.dn = format!("{inside},{new}");
            }
        }
        let entry = self.entry(dn)?;
        entry.dn = new;
        entry.forget(attribute);
        entry.lines.push(line(attribute, &unescaped(value)));
        Ok(())
    }

    /// Gives an entry these values of an attribute and no others.
    pub fn set_values(&mut self, dn: &str, attribute: &str, values: &[String]) -> Outcome {
        let entry = self.entry(dn)?;
        entry.forget(attribute);
        entry.lines.extend(values.iter().map(|value| line(attribute, value)));
        Ok(())
    }

    /// Adds a line `attribute: value` to an entry.
    pub fn add_value(&mut self, dn: &str, attribute: &str, value: &str) -> Outcome {
        self.entry(dn)?.lines.push(line(attribute, value));
        Ok(())
    }

    /// Takes every `attribute: value` out of an entry; it must have been there.
    pub fn remove_value(&mut self, dn: &str, attribute: &str, value: &str) -> Outcome {
        let line = line(attribute, value);
        let entry = self.entry(dn)?;
        let before = entry.lines.len();
        entry.lines.retain(|known| *known != line);
        require(entry.lines.len() < before, || format!("{dn} has no {line:?}"))
    }

    /// Makes a person a member of a group.
    pub fn join(&mut self, login: &str, group: &str) -> Outcome {
        self.add_value(&group_dn(group), "member", &person_dn(login))
    }

    /// Takes a person out of a group.
    pub fn leave(&mut self, login: &str, group: &str) -> Outcome {
        self.remove_value(&group_dn(group), "member", &person_dn(login))
    }

    /// The LDIF text in a schema.
    pub fn text(&self, schema: Schema) -> String {
        self.entries.iter().map(|entry| entry.text(schema)).collect::<Vec<_>>().join("\n")
    }

    /// One entry as LDIF.
    pub fn entry_text(&self, dn: &str) -> Outcome<String> {
        let found = self.entries.iter().find(|entry| entry.dn == dn);
        found.map(|entry| entry.text(Schema::Rfc2307bis)).ok_or_else(|| absent(dn))
    }

    /// Puts the LDIF text in the place of a file, in one step.
    pub fn write(&self, path: &str) -> Outcome {
        let fresh = format!("{path}.new");
        fs::create_dir_all(Path::new(path).parent().unwrap_or(Path::new("/")))?;
        fs::write(&fresh, self.text(Schema::Rfc2307bis)).doing(format!("write {fresh}"))?;
        fs::rename(fresh, path).doing(format!("replace {path}"))
    }

    fn entry(&mut self, dn: &str) -> Outcome<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.dn == dn).ok_or_else(|| absent(dn))
    }
}

fn absent(dn: &str) -> Failure {
    Failure::new(format!("the directory of this test has no {dn}"))
}

impl Entry {
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines().filter(|line| !line.is_empty()).map(str::to_owned);
        let dn = lines.next()?.strip_prefix("dn: ")?.to_owned();
        Some(Self { dn, lines: lines.collect() })
    }

    fn value(&self, attribute: &str) -> Option<&str> {
        let prefix = format!("{attribute}: ");
        self.lines.iter().find_map(|line| line.strip_prefix(&prefix))
    }

    fn text(&self, schema: Schema) -> String {
        let lines = self.lines.iter().filter_map(|line| match schema {
            Schema::Rfc2307bis => Some(line.clone()),
            Schema::Rfc2307 => as_rfc2307(line),
        });
        let body: String = lines.map(|line| format!("{line}\n")).collect();
        format!("{}\n{body}", line("dn", &self.dn))
    }

    fn forget(&mut self, attribute: &str) {
        let of_it =
            |line: &str| line.split(':').next().is_some_and(|name| name.eq_ignore_ascii_case(attribute));
        self.lines.retain(|line| !of_it(line));
    }
}

/// RFC 2307 groups are posixGroup alone and name members by login.
fn as_rfc2307(line: &str) -> Option<String> {
    if line == "objectClass: groupOfNames" {
        return None;
    }
    let Some(dn) = line.strip_prefix("member: ") else {
        return Some(line.to_owned());
    };
    let login = dn.strip_prefix("uid=")?.split(',').next()?;
    Some(format!("memberUid: {login}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_has_one_account_one_role_and_three_people() {
        let text = Directory::example().text(Schema::Rfc2307bis);
        for dn in [account_dn("deployer"), group_dn("application"), person_dn("alice"), person_dn("carol")] {
            assert!(text.contains(&format!("dn: {dn}\n")), "{dn}");
        }
        assert!(!text.contains('#'));
    }

    #[test]
    fn a_member_who_leaves_is_gone_and_cannot_leave_twice() {
        let mut directory = Directory::example();
        assert!(directory.text(Schema::Rfc2307).contains("memberUid: bob"));
        directory.leave("bob", "application").unwrap();
        assert!(!directory.text(Schema::Rfc2307).contains("memberUid: bob"));
        assert!(directory.text(Schema::Rfc2307).contains("memberUid: alice"));
        assert!(directory.leave("bob", "application").is_err());
    }

    #[test]
    fn an_entry_is_added_changed_and_renamed_as_a_server_would_do_it() {
        let mut directory = Directory::default();
        let values = [("uid", "dora".to_owned()), ("sn", "D".to_owned()), ("cn", "D\u{f6}ra".to_owned())];
        directory.add("uid=dora,ou=people", &values).unwrap();
        assert!(directory.add("uid=dora,ou=people", &values).is_err());
        directory.add_value("uid=dora,ou=people", "mail", "a").unwrap();
        directory.set_values("uid=dora,ou=people", "sn", &["E".into(), "F".into()]).unwrap();
        directory.rename("uid=dora,ou=people", "uid=erin", "ou=staff").unwrap();
        let text = directory.text(Schema::Rfc2307bis);
        assert_eq!(text, "dn: uid=erin,ou=staff\ncn:: RMO2cmE=\nmail: a\nsn: E\nsn: F\nuid: erin\n");
        assert!(directory.remove("uid=dora,ou=people").is_err());
    }
}
