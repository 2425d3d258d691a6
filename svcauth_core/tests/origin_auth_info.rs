//! `SSH_AUTH_INFO_0`: what sshd writes is read, and one foreign byte makes the whole an error.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "tests: a failure is a panic, and a table may be long"
)]

mod support;

use support::words;
use svcauth_core::origin::{AuthInfoError, KeyError, Method, PublicKey, parse_auth_info};

fn other(name: &str) -> Method {
    Method::Other { name: name.to_owned() }
}

fn gssapi(principal: &str) -> Method {
    Method::Gssapi { principal: principal.to_owned() }
}

fn key(name: &str) -> Method {
    Method::PublicKey(PublicKey::parse(&words(name)).unwrap())
}

#[test]
fn nothing_proven_yet_is_no_method_and_no_error() {
    assert_eq!(parse_auth_info(""), Ok(vec![]));
}

#[test]
fn what_sshd_writes_for_every_kind_of_login_is_read() {
    let ed25519 = words("key_ed25519.pub");
    let rsa = words("key_rsa.pub");
    let sk = words("key_sk_ed25519.pub");
    for (text, methods) in [
        (format!("publickey {ed25519}\n"), vec![key("key_ed25519.pub")]),
        (format!("publickey {sk}\n"), vec![key("key_sk_ed25519.pub")]),
        (format!("publickey {sk} signature count = 7\n"), vec![key("key_sk_ed25519.pub")]),
        (format!("publickey {ed25519}\npublickey {rsa}\n"), vec![key("key_ed25519.pub"), key("key_rsa.pub")]),
        (
            format!("publickey {ed25519}\nkeyboard-interactive/pam\n"),
            vec![key("key_ed25519.pub"), other("keyboard-interactive/pam")],
        ),
        (format!("password\npublickey {ed25519}\n"), vec![other("password"), key("key_ed25519.pub")]),
        ("gssapi-with-mic alice@LAB.LOCAL\n".into(), vec![gssapi("alice@LAB.LOCAL")]),
        ("gssapi-keyex bob/admin@LAB.LOCAL\n".into(), vec![gssapi("bob/admin@LAB.LOCAL")]),
        (format!("hostbased {rsa} client user \"alice\", client host \"pc\"\n"), vec![other("hostbased")]),
    ] {
        assert_eq!(parse_auth_info(&text), Ok(methods), "{text:?}");
    }
}

#[test]
fn a_certificate_is_read_from_its_blob_whatever_its_key_id_says() {
    for name in ["plain-cert.pub", "newline-cert.pub", "quotes-cert.pub", "sk_ed25519-cert.pub"] {
        let methods = parse_auth_info(&format!("publickey {}\n", words(name))).unwrap();
        assert!(matches!(&methods[..], [Method::Certificate(_)]), "{name}: {methods:?}");
    }
    let counted = format!("publickey {} signature count = 3\n", words("sk_ed25519-cert.pub"));
    assert!(parse_auth_info(&counted).is_ok());
}

#[test]
fn a_line_that_sshd_would_not_write_makes_the_whole_an_error() {
    let plain = words("key_ed25519.pub");
    let good = format!("publickey {plain}\n");
    assert!(parse_auth_info(&good).is_ok());
    for line in [
        "".to_owned(),
        " ".into(),
        "publickey".into(),
        "publickey ".into(),
        "publickey ssh-ed25519".into(),
        format!(" publickey {plain}"),
        format!("publickey  {plain}"),
        format!("publickey {plain} "),
        format!("publickey {plain} comment"),
        format!("publickey {plain} signature count = 7"),
        format!("publickey\t{plain}"),
        format!("publickey {plain}\r"),
        format!("publickey/x {plain}"),
        format!("Publickey: {plain}"),
        "gssapi-with-mic".into(),
        "gssapi-with-mic/x alice@LAB".into(),
        "password ".into(),
        "password  x".into(),
        "password/".into(),
        "/pam".into(),
        "keyboard-interactive/pam/x".into(),
        "pass\u{1b}word".into(),
        "pass\0word".into(),
        "p\u{e4}ssword".into(),
        "a".repeat(65),
    ] {
        let text = format!("{good}{line}\n");
        assert_eq!(parse_auth_info(&text), Err(AuthInfoError::Form { line: 2 }), "{line:?}");
    }
    let sk = words("key_sk_ed25519.pub");
    for info in
        ["signature count = ", "signature count = -1", "signature count = 7 ", "signature count = 4294967296"]
    {
        let text = format!("publickey {sk} {info}\n");
        assert_eq!(parse_auth_info(&text), Err(AuthInfoError::Form { line: 1 }), "{info:?}");
    }
}

#[test]
fn a_key_that_cannot_be_read_is_an_error_and_never_another_method() {
    let plain = words("key_ed25519.pub");
    let cert = words("plain-cert.pub");
    let encoded = plain.split(' ').nth(1).unwrap();
    assert!(parse_auth_info(&format!("publickey {plain}\n")).is_ok());
    for (words, error) in [
        (plain[..plain.len() - 4].to_owned(), None),
        (format!("ssh-rsa {encoded}"), Some(KeyError::TypeMismatch)),
        (format!("ssh-dss {encoded}"), Some(KeyError::Dsa)),
        (format!("ssh-mldsa-65 {encoded}"), Some(KeyError::UnknownType("ssh-mldsa-65".into()))),
        (cert.replace("-cert-v01@openssh.com", ""), None),
    ] {
        let found = parse_auth_info(&format!("publickey {words}\n")).unwrap_err();
        let AuthInfoError::Key { line: 1, error: found } = found else { panic!("{words}: {found:?}") };
        assert!(error.is_none_or(|error| error == found), "{words}: {found:?}");
    }
    for words in [
        format!("ssh-ed25519-cert-v01@openssh.com {encoded}"),
        format!("ssh-rsa-cert-v01@openssh.com {}", cert.split(' ').nth(1).unwrap()),
        format!("x-cert-v01@openssh.com {encoded}"),
        support::words("host-cert.pub"),
        support::words("no_principals-cert.pub"),
    ] {
        let found = parse_auth_info(&format!("publickey {words}\n"));
        assert!(matches!(found, Err(AuthInfoError::Certificate { line: 1, .. })), "{words}: {found:?}");
    }
}

#[test]
fn a_principal_without_its_realm_or_with_two_readings_is_refused() {
    assert_eq!(parse_auth_info("gssapi-with-mic alice@LAB\n"), Ok(vec![gssapi("alice@LAB")]));
    let long = "a".repeat(1100);
    for principal in ["alice", "@LAB", "alice@", "a@b@LAB", "a\\@b@LAB", "alice@LAB ", "a b@LAB", "", &long] {
        let text = format!("gssapi-with-mic {principal}\n");
        assert_eq!(parse_auth_info(&text), Err(AuthInfoError::Principal { line: 1 }), "{principal:?}");
    }
}

#[test]
fn an_endless_an_unended_or_an_overlong_text_is_refused() {
    assert!(parse_auth_info(&"password\n".repeat(16)).is_ok());
    assert_eq!(parse_auth_info(&"password\n".repeat(17)), Err(AuthInfoError::TooManyMethods));
    assert_eq!(parse_auth_info("password"), Err(AuthInfoError::Unterminated));
    assert_eq!(parse_auth_info("password\npassword"), Err(AuthInfoError::Unterminated));
    assert_eq!(parse_auth_info(&"a".repeat(1 << 20)), Err(AuthInfoError::TooLong));
    assert_eq!(parse_auth_info("\n"), Err(AuthInfoError::Form { line: 1 }));
}
