//! Public keys: real ones of every type are read, and everything else is refused.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "tests: a failure is a panic, and a table may be long"
)]

mod support;

use support::{blob, line, names, read, string, words};
use svcauth_core::origin::{Fingerprint, KeyError, PublicKey};

fn fingerprints() -> Vec<(String, Fingerprint)> {
    read("fingerprints")
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(name, text)| (name.to_owned(), text.parse().unwrap()))
        .collect()
}

#[test]
fn keys_of_every_type_have_the_fingerprint_that_ssh_keygen_prints() {
    let mut types = Vec::new();
    for (name, fingerprint) in fingerprints() {
        if name.ends_with("-cert.pub") {
            continue;
        }
        let key = PublicKey::parse(&read(&name)).unwrap();
        assert_eq!(key.fingerprint(), fingerprint, "{name}");
        assert_eq!(key.blob, blob(&name));
        types.push(key.algorithm);
    }
    types.sort();
    types.dedup();
    let all = [
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ecdsa-sha2-nistp256@openssh.com",
        "sk-ssh-ed25519@openssh.com",
        "ssh-ed25519",
        "ssh-rsa",
    ];
    assert_eq!(types, all);
}

#[test]
fn the_oracle_reads_the_same_keys_and_gives_the_same_fingerprints() {
    for name in names(".pub").into_iter().filter(|name| !name.ends_with("-cert.pub")) {
        let ours = PublicKey::parse(&read(&name)).unwrap();
        let theirs = ssh_key::PublicKey::from_openssh(&read(&name)).unwrap();
        assert_eq!(theirs.algorithm().as_str(), ours.algorithm, "{name}");
        assert_eq!(theirs.fingerprint(ssh_key::HashAlg::Sha256).to_string(), ours.fingerprint().to_string());
    }
}

#[test]
fn blanks_comments_and_the_prefix_of_active_directory_are_no_part_of_a_key() {
    let plain = words("key_ed25519.pub");
    let key = PublicKey::parse(&plain).unwrap();
    let spaced = plain.replace(' ', " \t ");
    for text in [
        format!("  {plain}\t"),
        format!("{plain}\r\n"),
        format!("{plain} alice@laptop with \"quotes\" and zo\u{eb}"),
        spaced,
        format!("SSHKey:{plain}"),
        format!("sshkey: {plain} comment"),
        format!(" SSHKEY:{plain}"),
    ] {
        assert_eq!(PublicKey::parse(&text).as_ref(), Ok(&key), "{text:?}");
    }
}

#[test]
fn a_text_that_is_not_one_key_on_one_line_is_refused() {
    let plain = words("key_ed25519.pub");
    let (kind, encoded) = plain.split_once(' ').unwrap();
    assert!(PublicKey::parse(&plain).is_ok());
    for (text, error) in [
        (String::new(), KeyError::Form),
        ("ssh-ed25519".into(), KeyError::Form),
        (encoded.into(), KeyError::Form),
        (format!("{plain}\n{plain}"), KeyError::Form),
        (format!("{kind}\n{encoded}"), KeyError::Form),
        (format!("{plain} co\0mment"), KeyError::Form),
        (format!("{plain} \u{1b}[2J"), KeyError::Form),
        (format!("restrict {plain}"), KeyError::UnknownType("restrict".into())),
        (format!("SSHKey:SSHKey:{plain}"), KeyError::UnknownType("SSHKey:ssh-ed25519".into())),
        (format!("X509:<I>{plain}"), KeyError::UnknownType("X509:<I>ssh-ed25519".into())),
        (format!("SSH-ED25519 {encoded}"), KeyError::UnknownType("SSH-ED25519".into())),
        (format!("ssh-mldsa-65 {encoded}"), KeyError::UnknownType("ssh-mldsa-65".into())),
        (words("plain-cert.pub"), KeyError::UnknownType("ssh-ed25519-cert-v01@openssh.com".into())),
        (format!("ssh-dss {encoded}"), KeyError::Dsa),
        (format!("ssh-rsa {encoded}"), KeyError::TypeMismatch),
        (format!("{plain}="), KeyError::Base64),
        (format!("{kind} {}", &encoded[..encoded.len() - 1]), KeyError::Base64),
        (format!("{kind} {}-_", &encoded[..encoded.len() - 2]), KeyError::Base64),
        (format!("{kind} {}", "A".repeat(1 << 20)), KeyError::TooLong),
    ] {
        let shown: String = text.chars().take(100).collect();
        assert_eq!(PublicKey::parse(&text), Err(error), "{shown:?}");
    }
}

#[test]
fn a_blob_with_a_field_that_is_missing_too_long_or_followed_by_bytes_is_refused() {
    let rsa = |e: &[u8], n: &[u8]| [string(b"ssh-rsa"), string(e), string(n)].concat();
    let ec = |kind: &[u8], curve: &[u8], q: &[u8]| [string(kind), string(curve), string(q)].concat();
    let sk = |app: &[u8]| [string(b"sk-ssh-ed25519@openssh.com"), string(&[7; 32]), string(app)].concat();
    let modulus = [&[0, 0x80][..], &[1; 255]].concat();
    let point = [&[4][..], &[1; 64]].concat();
    let p256 = &b"ecdsa-sha2-nistp256"[..];
    for good in [rsa(&[1, 0, 1], &modulus), ec(p256, b"nistp256", &point), sk(b"ssh:"), sk(b"ssh:work")] {
        assert!(PublicKey::from_blob(good.clone()).is_ok(), "{good:?}");
        let long = [good, vec![0]].concat();
        assert!(matches!(PublicKey::from_blob(long), Err(KeyError::Malformed(_))));
    }
    for (bad, field) in [
        (Vec::new(), "type"),
        (string(b"ssh-ed25519"), "pk"),
        ([string(b"ssh-ed25519"), string(&[7; 31])].concat(), "pk"),
        ([string(b"ssh-ed25519"), string(&[7; 33])].concat(), "pk"),
        ([string(b"ssh-ed25519"), string(&[7; 32]), vec![0]].concat(), "end of key"),
        (rsa(&[], &modulus), "e"),
        (rsa(&[0x80], &modulus), "e"),
        (rsa(&[0, 3], &modulus), "e"),
        (rsa(&[1; 258], &modulus), "e"),
        (rsa(&[1, 0, 1], &[1; 127]), "n"),
        (rsa(&[1, 0, 1], &[1; 2049]), "n"),
        (ec(p256, b"nistp384", &point), "curve"),
        (ec(p256, b"nistp256", &point[..64]), "Q"),
        (ec(p256, b"nistp256", &[2; 33]), "Q"),
        (ec(p256, b"nistp256", &[2; 65]), "Q"),
        (sk(b""), "application"),
        (sk(b"ssh:\n"), "application"),
        (sk(b"\xff"), "application"),
    ] {
        let error = PublicKey::from_blob(bad.clone()).unwrap_err();
        assert!(matches!(error, KeyError::Malformed(at) if at.field == field), "{bad:?}: {error:?}");
    }
}

#[test]
fn a_key_with_a_foreign_type_is_quoted_harmlessly_and_shortly() {
    let text = format!("ssh-{}\u{202e} AAAA", "x".repeat(500));
    let shown = PublicKey::parse(&text).unwrap_err().to_string();
    assert!(shown.len() < 200, "{shown}");
    let shown = PublicKey::parse("ssh-\u{202e}x AAAA").unwrap_err().to_string();
    assert!(shown.contains("ssh-\\u{202e}x"), "{shown}");
}

#[test]
fn every_cut_and_every_flipped_byte_of_a_key_is_refused_or_another_key() {
    for name in names(".pub").into_iter().filter(|name| name.starts_with("key_")) {
        let whole = blob(&name);
        let key = PublicKey::from_blob(whole.clone()).unwrap();
        assert_eq!(PublicKey::parse(&line(&key.algorithm, &whole)), Ok(key.clone()));
        for size in 0..whole.len() {
            assert!(PublicKey::from_blob(whole[..size].to_vec()).is_err(), "{name} {size}");
        }
        for at in 0..whole.len() {
            let mut other = whole.clone();
            other[at] ^= 0x80;
            if let Ok(other) = PublicKey::from_blob(other) {
                assert_ne!(other.fingerprint(), key.fingerprint());
            }
        }
    }
}
