//! What setup has to know: each answer an option of the command line, a key of the file of answers, or a question.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;

/// Longest file of answers in bytes.
const FILE_MAX: u64 = 64 << 10;

/// The answers. What is not answered has a default, is asked on a terminal, or is an error that says which option it is.
#[derive(Args, Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Answers")]
pub struct Answers {
    /// Sort of directory: ad, ldap, or ldif (a file on this host)
    #[arg(long, value_parser = ["ad", "ldap", "ldif"])]
    pub kind: Option<String>,
    /// ad: DNS name of the domain, whose controllers DNS names
    #[arg(long)]
    pub domain: Option<String>,
    /// ldap, ad: URI of a server, such as ldaps://ldap.example.com; again for more of them
    #[arg(long)]
    pub uri: Vec<String>,
    /// ldaps (default), starttls, or off (for ldapi:// and loopback only)
    #[arg(long, value_parser = ["ldaps", "starttls", "off"])]
    pub tls: Option<String>,
    /// PEM file with the certificate authorities that count; default: those of this host
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<String>,
    /// As whom to read: simple, gssapi, anonymous or external
    #[arg(long, value_parser = ["simple", "gssapi", "anonymous", "external"])]
    pub bind: Option<String>,
    /// simple: the DN (ad: or NAME@DOMAIN)
    #[arg(long, value_name = "DN")]
    pub bind_dn: Option<String>,
    /// simple: file whose first line is the password; it is copied to /etc/svcauth/bind.secret
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// gssapi: the keytab; default: /etc/krb5.keytab
    #[arg(long, value_name = "FILE")]
    pub keytab: Option<String>,
    /// gssapi: whose key of it, as NAME@REALM; default: this host's
    #[arg(long)]
    pub principal: Option<String>,
    /// ldif: the file; default: /etc/svcauth/directory.ldif
    #[arg(long, value_name = "FILE")]
    pub file: Option<String>,
    /// ldif, to try: make the file, with bob who has this public key (a .pub file or the key itself) and may be deployer
    #[arg(long, value_name = "KEY")]
    pub bob_key: Option<String>,
    /// ldif, to try: the public key of carol, who may not
    #[arg(long, value_name = "KEY")]
    pub carol_key: Option<String>,
    /// Where the accounts are; default: where they are found, if that is one place
    #[arg(long, value_name = "DN")]
    pub accounts_base: Option<String>,
    /// Where the groups are
    #[arg(long, value_name = "DN")]
    pub groups_base: Option<String>,
    /// Where the people are
    #[arg(long, value_name = "DN")]
    pub people_base: Option<String>,
    /// Which entries are accounts, as an LDAP filter
    #[arg(long, value_name = "FILTER")]
    pub accounts_filter: Option<String>,
    /// Which entries are groups
    #[arg(long, value_name = "FILTER")]
    pub groups_filter: Option<String>,
    /// Which entries are people
    #[arg(long, value_name = "FILTER")]
    pub people_filter: Option<String>,
    /// ad: posix (uidNumber and gidNumber) or sid (computed as sssd does)
    #[arg(long, value_parser = ["posix", "sid"])]
    pub id_map: Option<String>,
    /// Uids and gids of managed accounts; default: the thousands that hold those that are found
    #[arg(long, value_name = "FIRST-LAST")]
    pub id_range: Option<String>,
    /// Access rule: account that may be used; again for more of them
    #[arg(long)]
    pub account: Vec<String>,
    /// Access rule: group whose members may use it; again for more of them
    #[arg(long)]
    pub role: Vec<String>,
}

impl Answers {
    /// Reads a file of answers: TOML, the options without their dashes (`bind_dn = "..."`).
    ///
    /// # Errors
    /// A sentence that names the file and what is wrong.
    pub fn read(path: &Path) -> Result<Self, String> {
        let named = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
        let length = std::fs::metadata(path).map_err(|error| named(&error))?.len();
        if length > FILE_MAX {
            return Err(named(&format!("longer than {FILE_MAX} bytes; is this the file of answers?")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| named(&error))?;
        let answers: Self = toml::from_str(&text).map_err(|error| named(&error))?;
        answers.check().map_err(|why| named(&why))?;
        Ok(answers)
    }

    /// What the command line checks by itself.
    fn check(&self) -> Result<(), String> {
        let words: [(&str, &Option<String>, &[&str]); 4] = [
            ("kind", &self.kind, &["ad", "ldap", "ldif"]),
            ("tls", &self.tls, &["ldaps", "starttls", "off"]),
            ("bind", &self.bind, &["simple", "gssapi", "anonymous", "external"]),
            ("id_map", &self.id_map, &["posix", "sid"]),
        ];
        for (key, value, known) in words {
            if let Some(value) = value.as_deref().filter(|value| !known.contains(value)) {
                return Err(format!("{key} = \"{value}\" is none of {}", known.join(", ")));
            }
        }
        Ok(())
    }

    /// These answers, and those of `other` where these have none.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let list = |mine: Vec<String>, theirs| if mine.is_empty() { theirs } else { mine };
        Self {
            kind: self.kind.or(other.kind),
            domain: self.domain.or(other.domain),
            uri: list(self.uri, other.uri),
            tls: self.tls.or(other.tls),
            ca_file: self.ca_file.or(other.ca_file),
            bind: self.bind.or(other.bind),
            bind_dn: self.bind_dn.or(other.bind_dn),
            password_file: self.password_file.or(other.password_file),
            keytab: self.keytab.or(other.keytab),
            principal: self.principal.or(other.principal),
            file: self.file.or(other.file),
            bob_key: self.bob_key.or(other.bob_key),
            carol_key: self.carol_key.or(other.carol_key),
            accounts_base: self.accounts_base.or(other.accounts_base),
            groups_base: self.groups_base.or(other.groups_base),
            people_base: self.people_base.or(other.people_base),
            accounts_filter: self.accounts_filter.or(other.accounts_filter),
            groups_filter: self.groups_filter.or(other.groups_filter),
            people_filter: self.people_filter.or(other.people_filter),
            id_map: self.id_map.or(other.id_map),
            id_range: self.id_range.or(other.id_range),
            account: list(self.account, other.account),
            role: list(self.role, other.role),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Answers;

    fn read(text: &str) -> Result<Answers, String> {
        let path =
            std::env::temp_dir().join(format!("svcauth-answers-{}-{}", std::process::id(), text.len()));
        std::fs::write(&path, text).unwrap();
        let answers = Answers::read(&path);
        std::fs::remove_file(&path).unwrap();
        answers
    }

    #[test]
    fn a_file_of_answers_has_the_options_for_keys_and_nothing_else() {
        let answers = read("kind = \"ldap\"\nuri = [\"ldaps://x\"]\naccount = [\"deployer\"]\n").unwrap();
        assert_eq!((answers.kind.as_deref(), answers.uri.len()), (Some("ldap"), 1));
        assert!(read("kidn = \"ldap\"").unwrap_err().contains("kidn"));
        assert!(read("kind = \"nis\"").unwrap_err().contains("none of ad, ldap, ldif"));
    }

    #[test]
    fn the_command_line_comes_before_the_file() {
        let line = Answers { kind: Some("ad".into()), role: vec!["a".into()], ..Answers::default() };
        let file = Answers { kind: Some("ldap".into()), domain: Some("x.y".into()), ..line.clone() };
        let both = line.or(Answers { role: vec!["b".into()], ..file });
        assert_eq!((both.kind.as_deref(), both.domain.as_deref()), (Some("ad"), Some("x.y")));
        assert_eq!(both.role, ["a"]);
    }
}
