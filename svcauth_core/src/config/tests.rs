//! The file of the manual is read as the manual says, and every fault gets its place and its next step.

use super::{Bind, Changes, Config, DirectoryKind, DirectoryUri, OnRevoke, ServerSource, Tls, WrittenRoles};
use crate::id_map::{IdMap, Slices};
use crate::policy::{AuditMode, Need};
use std::path::{Path, PathBuf};
use std::string::{String, ToString};
use std::vec;
use std::{format, vec::Vec};

/// The two lines that no configuration may lack.
const RULE: &str = "[[access]]\naccounts = [\"deployer\"]\nroles = [\"application\"]\n";

const LDAP: &str = r#"
[directory]
kind = "ldap"
uris = ["ldaps://ldap1.example.com", "ldaps://[2001:db8::1]:1636/", "ldapi://%2Frun%2Fslapd%2Fldapi"]
bind = "simple"
bind_dn = "cn=svcauth,dc=example,dc=com"
bind_password_file = "/etc/svcauth/bind.secret"
ca_file = "/etc/ssl/certs/ca-certificates.crt"
refresh = "1m"
[accounts]
base = "ou=accounts,dc=example,dc=com"
local_accounts = ["postgres"]
[groups]
base = "ou=groups,dc=example,dc=com"
member = ["uniqueMember"]
[people]
base = "ou=people,dc=example,dc=com"
[certificates]
trusted_ca = ["/etc/svcauth/user_ca.pub"]
key_id = "{login}@example.com"
[limits]
audit = "best_effort"
[[access]]
accounts = ["*"]
roles_from = "memberOf"
need = "every"
services = ["sshd"]
hosts = ["web*"]
from = ["10.0.0.0/8", "::1"]
"#;

fn error(text: &str) -> String {
    Config::parse(text)
        .map(|config| format!("no error: {config:?}"))
        .unwrap_or_else(|error| error.to_string())
}

#[test]
fn the_smallest_file_has_every_default_of_the_manual() {
    let config = Config::parse(&format!("[directory]\nkind = \"ldif\"\n{RULE}")).unwrap();
    assert_eq!(
        config.directory.kind,
        DirectoryKind::Ldif { file: PathBuf::from("/etc/svcauth/directory.ldif") }
    );
    assert_eq!(config.directory.refresh.as_secs(), 15);
    assert_eq!(config.directory.full_refresh.as_secs(), 6 * 3600);
    assert_eq!(config.directory.timeout.as_secs(), 30);
    assert_eq!(config.accounts.search.filter.to_string(), "(objectClass=posixAccount)");
    assert_eq!(config.accounts.id_range.to_string(), "7000-7999");
    assert_eq!(config.accounts.home_of("deployer"), "/home/deployer");
    assert_eq!(config.accounts.shell, "/bin/bash");
    assert_eq!((config.accounts.host_attribute, config.directory.lockout_duration), (None, None));
    assert_eq!(config.groups.member, ["member", "memberUid"]);
    assert_eq!(config.people.login, "uid");
    assert_eq!(config.people.ssh_key, ["sshPublicKey", "altSecurityIdentities"]);
    assert_eq!(config.people.principal, ["krbPrincipalName", "userPrincipalName"]);
    assert_eq!(config.certificates.trusted_ca, Vec::<PathBuf>::new());
    assert_eq!((config.limits.max_stale.as_secs(), config.limits.audit), (86_400, AuditMode::Required));
    assert_eq!((config.sessions.on_revoke, config.sessions.grace.as_secs()), (OnRevoke::End, 10));
    let audit = config.audit;
    assert_eq!((audit.rotate_size, audit.keep, audit.denied_per_minute), (64 << 20, 15, 600));
    let [rule] = config.access.as_slice() else { panic!("one rule") };
    assert_eq!((rule.line, rule.need), (3, Need::Any));
    assert_eq!(rule.roles, WrittenRoles::Named(vec!["application".to_string()]));
    assert_eq!(rule.services, ["sshd", "su", "sudo", "login"]);
    assert!(rule.hosts.is_empty() && rule.from.is_empty());
}

#[test]
fn an_ldap_file_is_read_as_it_is_written() {
    let config = Config::parse(LDAP).unwrap();
    let DirectoryKind::Ldap(ldap) = &config.directory.kind else { panic!("ldap") };
    let ServerSource::Uris(uris) = &ldap.servers else { panic!("uris") };
    let shown: Vec<String> = uris.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        ["ldaps://ldap1.example.com:636", "ldaps://[2001:db8::1]:1636", "ldapi:///run/slapd/ldapi"]
    );
    assert_eq!((ldap.tls, ldap.changes), (Tls::Ldaps, Changes::Push));
    let polled = Config::parse(&LDAP.replace("refresh", "changes = \"poll\"\nrefresh")).unwrap();
    assert_eq!(polled.directory.kind.server().map(|server| server.changes), Some(Changes::Poll));
    assert!(matches!(&ldap.bind, Bind::Simple { dn, .. } if dn == "cn=svcauth,dc=example,dc=com"));
    assert_eq!(config.certificates.key_id.login("alice@example.com"), Some("alice"));
    let managed = config.managed();
    assert!(managed.covers("postgres", 105) && managed.covers("x", 7001));
    assert!(!managed.covers("root", 0) && !managed.covers("postgres", 0) && !managed.covers("x", 1000));
    let [rule] = config.access.as_slice() else { panic!("one rule") };
    assert_eq!((rule.line, &rule.roles, rule.need), (23, &WrittenRoles::MemberOf, Need::Every));
    assert!(rule.from.iter().any(|net| net.contains("10.9.8.7".parse().unwrap())));
}

#[test]
fn active_directory_has_the_defaults_of_its_own_schema() {
    let text = LDAP
        .replace("kind = \"ldap\"", "kind = \"ad\"")
        .replace("member = [\"uniqueMember\"]\n", "")
        .replace("cn=svcauth,dc=example,dc=com", "svcauth@example.com");
    let config = Config::parse(&text).unwrap();
    assert!(config.directory.kind.is_ad() && config.directory.kind.as_str() == "ad");
    let server = config.directory.kind.server().unwrap();
    assert!(matches!(&server.bind, Bind::Simple { dn, .. } if dn == "svcauth@example.com"));
    assert_eq!(
        config.accounts.search.filter.to_string(),
        "(&(objectCategory=person)(objectClass=user)(uidNumber=*))"
    );
    let groups = &config.groups.search.filter;
    for (kind, security) in [("-2147483646", true), ("-2147483643", true), ("2", false), ("8", false)] {
        let class: &[Vec<u8>] = &[b"top".to_vec(), b"group".to_vec()];
        let value: &[Vec<u8>] = &[kind.as_bytes().to_vec()];
        let values = |name: &str| if name == "grouptype" { value } else { class };
        assert_eq!(groups.matches(&values), security, "{kind}");
    }
    assert_eq!(config.people.search.filter.to_string(), "(&(objectCategory=person)(objectClass=user))");
    assert_eq!(config.groups.member, ["member"]);
    assert_eq!(config.people.login, "sAMAccountName");
    assert_eq!(config.people.ssh_key, ["altSecurityIdentities", "sshPublicKey"]);
    assert_eq!(config.people.principal, ["userPrincipalName"]);
}

#[test]
fn ids_from_sids_need_no_posix_attribute_and_have_the_ranges_of_sssd() {
    let text = LDAP
        .replace("kind = \"ldap\"", "kind = \"ad\"")
        .replace("local_accounts", "id_map = \"sid\"\nid_range = \"200000-399999\"\nlocal_accounts");
    let config = Config::parse(&text).unwrap();
    assert_eq!(config.accounts.id_map, IdMap::Sid(Slices::default()));
    assert_eq!(config.accounts.id_range.to_string(), "200000-399999");
    assert_eq!(config.accounts.search.filter.to_string(), "(&(objectCategory=person)(objectClass=user))");
    let own = "id_map = \"sid\"\nidmap_range_min = 100\nidmap_range_max = 9100\nidmap_range_size = 1000";
    let config = Config::parse(&text.replace("id_map = \"sid\"", own)).unwrap();
    assert_eq!(Some(config.accounts.id_map), Slices::new(100, 9100, 1000).map(IdMap::Sid));
    assert_eq!(Config::parse(LDAP).unwrap().accounts.id_map, IdMap::Posix);
}

#[test]
fn a_domain_stands_for_its_controllers() {
    let text = LDAP.replace("kind = \"ldap\"", "kind = \"ad\"").replace("member = [\"uniqueMember\"]\n", "");
    let with = |lines: &str| {
        let uris = text.lines().find(|line| line.starts_with("uris")).unwrap();
        Config::parse(&text.replace(uris, lines)).unwrap()
    };
    for (lines, site) in [
        ("domain = \"Example.COM\"", None),
        ("domain = \"example.com\"\nsite = \"Berlin-1\"", Some("berlin-1")),
    ] {
        let config = with(lines);
        assert_eq!(config.directory.kind.server().unwrap().domain(), Some(("example.com", site)));
    }
    assert_eq!(with("uris = [\"ldaps://a\"]").directory.kind.server().unwrap().domain(), None);
}

#[test]
fn kerberos_takes_the_keytab_and_the_principal_of_the_host_unless_others_are_named() {
    let with = |keys: &str| {
        let simple = LDAP.find("bind = ").unwrap()..LDAP.find("ca_file").unwrap();
        let mut text =
            LDAP.replace(", \"ldaps://[2001:db8::1]:1636/\", \"ldapi://%2Frun%2Fslapd%2Fldapi\"", "");
        let start = text.find("bind = ").unwrap();
        text.replace_range(start..start + simple.len(), &format!("bind = \"gssapi\"\n{keys}"));
        Config::parse(&text).unwrap().directory.kind.server().unwrap().bind.clone()
    };
    let keytab = PathBuf::from("/etc/krb5.keytab");
    assert_eq!(with(""), Bind::Gssapi { keytab, principal: None });
    let (keytab, principal) = (PathBuf::from("/etc/svcauth/keytab"), Some("WEB1$@EXAMPLE.COM".to_string()));
    let keys = "keytab = \"/etc/svcauth/keytab\"\nprincipal = \"WEB1$@EXAMPLE.COM\"\n";
    assert_eq!(with(keys), Bind::Gssapi { keytab, principal });
}

#[test]
fn loopback_is_recognised_in_every_spelling_and_nothing_else_is() {
    for (uri, local) in [
        ("ldap://localhost", true),
        ("ldap://127.1.2.3:10389", true),
        ("ldap://[::1]", true),
        ("ldap://[::ffff:127.0.0.1]", true),
        ("ldapi://%2Fx", true),
        ("ldap://localhost.example.com", false),
        ("ldap://10.0.0.1", false),
        ("ldap://127.0.0.1.example.com", false),
    ] {
        assert_eq!(DirectoryUri::parse(uri).map(|uri| uri.is_local()), Some(local), "{uri}");
    }
    for bad in [
        "ldap://",
        "http://x",
        "ldap://x:0",
        "ldap://x:65536",
        "ldap://a@b",
        "ldap://x/dc=y",
        "ldapi://x",
        "ldap://[::1",
        "ldapi://%2",
        "ldapi://%2Fa%00",
    ] {
        assert_eq!(DirectoryUri::parse(bad), None, "{bad}");
    }
}

#[test]
fn a_session_may_be_ended_at_once_after_an_hour_or_never() {
    for (keys, on_revoke, grace) in [
        ("grace = \"0s\"", OnRevoke::End, 0),
        ("grace = \"1h\"\non_revoke = \"end\"", OnRevoke::End, 3600),
        ("on_revoke = \"log\"", OnRevoke::Log, 10),
    ] {
        let text = format!("[directory]\nkind = \"ldif\"\n[sessions]\n{keys}\n{RULE}");
        let sessions = Config::parse(&text).unwrap().sessions;
        assert_eq!((sessions.on_revoke, sessions.grace.as_secs()), (on_revoke, grace), "{keys}");
    }
}

#[test]
fn the_audit_file_may_be_small_or_large_and_few_or_many_of_it_kept() {
    for (keys, size, keep, denied) in [
        ("rotate_size = \"64K\"\nkeep = 1", 64 << 10, 1, 600),
        ("rotate_size = \"1G\"\nkeep = 999\ndenied_per_minute = 1", 1 << 30, 999, 1),
        ("denied_per_minute = 1_000_000", 64 << 20, 15, 1_000_000),
    ] {
        let text = format!("[directory]\nkind = \"ldif\"\n[audit]\n{keys}\n{RULE}");
        let audit = Config::parse(&text).unwrap().audit;
        assert_eq!((audit.rotate_size, audit.keep, audit.denied_per_minute), (size, keep, denied), "{keys}");
    }
}

#[test]
fn an_error_names_the_file_when_it_is_told() {
    let error = Config::parse("").unwrap_err().with_path(Path::new("/etc/svcauth/svcauth.toml"));
    assert_eq!(
        error.to_string(),
        "/etc/svcauth/svcauth.toml: line 1, column 1: the section [directory] is missing; \
         it is the one section that every configuration needs"
    );
    assert_eq!((error.line(), error.column()), (1, 1));
}

#[test]
fn every_faulty_file_gets_its_place_its_fault_and_its_next_step() {
    // Each case of the file: the configuration, then a line `=== MESSAGE`.
    let mut text = String::new();
    let mut cases = 0;
    for line in include_str!("faults.txt").lines() {
        match line.strip_prefix("=== ") {
            Some(message) => {
                assert_eq!(error(&text), message, "{text}");
                text.clear();
                cases += 1;
            }
            None => text = text + line + "\n",
        }
    }
    assert!(cases > 50 && text.is_empty(), "{cases}");
}

#[test]
fn an_empty_list_of_roles_is_kept_as_a_rule_that_allows_nobody() {
    let config =
        Config::parse("[directory]\nkind = \"ldif\"\n[[access]]\naccounts = [\"*\"]\nroles = []\n").unwrap();
    assert_eq!(config.access.first().map(|rule| &rule.roles), Some(&WrittenRoles::Named(Vec::new())));
}

#[test]
fn a_password_in_the_place_of_its_file_is_not_repeated() {
    let text = |value: &str| LDAP.replace("\"/etc/svcauth/bind.secret\"", &format!("{value:?}"));
    assert!(Config::parse(&text("/etc/svcauth/other.secret")).is_ok());
    for password in ["hunter2", "hunter2/../x", "", "hunter2\u{7}"] {
        let error = Config::parse(&text(password)).unwrap_err();
        assert_eq!(error.line(), 7, "{password:?}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
