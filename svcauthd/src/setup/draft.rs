//! Answers as the text of a configuration.

use svcauth_host::paths::BIND_SECRET;

use super::answers::Answers;
use super::template::Template;

/// Where the file of `kind = "ldif"` is, if nothing else is said.
pub const LDIF: &str = "/etc/svcauth/directory.ldif";

/// The configuration that these answers make. Without an access rule it has one that lets nobody in.
///
/// `file` is where the LDIF file is at this moment, if that is not where it will be.
#[must_use]
pub fn text(answers: &Answers, file: Option<&str>) -> String {
    let mut template = Template::default();
    let kind = answers.kind.as_deref().unwrap_or("ldif");
    template.text("[directory]", "kind", kind);
    if kind == "ldif" {
        template.text("[directory]", "file", file.or(answers.file.as_deref()).unwrap_or(LDIF));
    } else {
        template.unset("[directory]", "file");
        servers(&mut template, answers);
        bind(&mut template, answers);
    }
    entries(&mut template, answers, kind);
    let anything = ["*".to_owned()];
    let is_open = answers.account.is_empty();
    let accounts = if is_open { anything.as_slice() } else { &answers.account };
    template.list("[[access]]", "accounts", accounts);
    template.list("[[access]]", "roles", if is_open { &[] } else { &answers.role });
    template.finish()
}

fn servers(template: &mut Template, answers: &Answers) {
    match &answers.domain {
        Some(domain) if answers.uri.is_empty() => template.text("[directory]", "domain", domain),
        _ => template.list("[directory]", "uris", &answers.uri),
    }
    for (key, value) in [("tls", &answers.tls), ("ca_file", &answers.ca_file)] {
        if let Some(value) = value {
            template.text("[directory]", key, value);
        }
    }
}

fn bind(template: &mut Template, answers: &Answers) {
    let word = answers.bind.as_deref().unwrap_or("anonymous");
    template.text("[directory]", "bind", word);
    let is_simple = word == "simple";
    let secret = is_simple.then(|| BIND_SECRET.to_owned());
    let of_simple = |value: &Option<String>| value.clone().filter(|_| is_simple);
    let of_kerberos = |value: &Option<String>| value.clone().filter(|_| word == "gssapi");
    let keys = [
        ("bind_dn", of_simple(&answers.bind_dn)),
        ("bind_password_file", secret),
        ("keytab", of_kerberos(&answers.keytab)),
        ("principal", of_kerberos(&answers.principal)),
    ];
    for (key, value) in keys {
        if let Some(value) = value {
            template.text("[directory]", key, &value);
        }
    }
}

fn entries(template: &mut Template, answers: &Answers, kind: &str) {
    let sections = [
        ("[accounts]", &answers.accounts_base, &answers.accounts_filter),
        ("[groups]", &answers.groups_base, &answers.groups_filter),
        ("[people]", &answers.people_base, &answers.people_filter),
    ];
    for (section, base, filter) in sections {
        match base {
            Some(base) => template.text(section, "base", base),
            // Of a file the whole is meant then; a server's example base finds nothing.
            None if kind == "ldif" => template.unset(section, "base"),
            None => {}
        }
        match filter {
            Some(filter) => template.text(section, "filter", filter),
            None if kind == "ad" => template.unset(section, "filter"),
            None => {}
        }
    }
    for (key, value) in [("id_range", &answers.id_range), ("id_map", &answers.id_map)] {
        if let Some(value) = value {
            template.text("[accounts]", key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use svcauth_core::config::{Bind, Config, Tls, WrittenRoles};

    use super::{Answers, BIND_SECRET, text};

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn rule(answers: Answers) -> Answers {
        Answers { account: vec!["deployer".into()], role: vec!["application".into()], ..answers }
    }

    #[test]
    fn answers_about_a_file_are_read_back_as_they_were_given() {
        let config =
            Config::parse(&text(&rule(Answers { kind: some("ldif"), ..Answers::default() }), None)).unwrap();
        assert_eq!(config.directory.kind.as_str(), "ldif");
        assert_eq!((config.accounts.search.base.as_str(), config.access.len()), ("", 1));
        assert_eq!(config.access[0].roles, WrittenRoles::Named(vec!["application".into()]));
        let config = Config::parse(&text(&Answers::default(), Some("/proc/self/fd/5"))).unwrap();
        assert_eq!(
            config.access[0].roles,
            WrittenRoles::Named(vec![]),
            "nobody is let in by what was not said"
        );
    }

    #[test]
    fn answers_about_an_ldap_server_are_read_back_as_they_were_given() {
        let answers = Answers {
            kind: some("ldap"),
            uri: vec!["ldap://ldap1.example.com".into(), "ldap://ldap2.example.com".into()],
            tls: some("starttls"),
            ca_file: some("/etc/ssl/own.pem"),
            bind: some("simple"),
            bind_dn: some("cn=\"x\", dc=example"),
            accounts_base: some("ou=a,dc=b"),
            groups_base: some("ou=g,dc=b"),
            people_base: some("ou=p,dc=b"),
            people_filter: some("(uid=*)"),
            id_range: some("5000-5999"),
            ..rule(Answers::default())
        };
        let config = Config::parse(&text(&answers, None)).unwrap();
        let server = config.directory.kind.server().unwrap();
        assert_eq!(server.tls, Tls::StartTls);
        let Bind::Simple { dn, password_file } = &server.bind else { panic!("{:?}", server.bind) };
        assert_eq!((dn.as_str(), password_file.to_str()), ("cn=\"x\", dc=example", Some(BIND_SECRET)));
        assert_eq!(config.people.search.base, "ou=p,dc=b");
        assert_eq!(config.people.search.filter.to_string(), "(uid=*)");
        assert_eq!(config.accounts.id_range.to_string(), "5000-5999");
    }

    #[test]
    fn answers_about_a_domain_are_read_back_as_they_were_given() {
        let answers = Answers {
            kind: some("ad"),
            domain: some("example.com"),
            bind: some("gssapi"),
            keytab: some("/etc/svcauth/own.keytab"),
            accounts_base: some("OU=a,DC=b"),
            groups_base: some("OU=g,DC=b"),
            people_base: some("OU=p,DC=b"),
            id_map: some("sid"),
            id_range: some("200000-399999"),
            ..rule(Answers::default())
        };
        let config = Config::parse(&text(&answers, None)).unwrap();
        let server = config.directory.kind.server().unwrap();
        assert_eq!(server.domain(), Some(("example.com", None)));
        assert!(matches!(&server.bind, Bind::Gssapi { keytab, .. } if keytab.ends_with("own.keytab")));
        assert!(
            config.accounts.search.filter.to_string().contains("objectCategory"),
            "the default of the kind"
        );
        let simple = Answers { bind: some("simple"), bind_dn: some("svcauth@example.com"), ..answers };
        assert!(Config::parse(&text(&simple, None)).is_ok());
    }
}
