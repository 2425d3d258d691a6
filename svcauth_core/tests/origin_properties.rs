//! Whatever the bytes, the parsers return; and what they accept, the ssh-key crate accepts with the same fields.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "tests: a failure is a panic, and a table may be long"
)]

mod support;

use proptest::prelude::{ProptestConfig, Strategy, any, prop, prop_oneof, proptest};
use proptest::sample::select;
use support::{Forge, blob, line, names, string, words};
use svcauth_core::origin::{Certificate, KeyIdTemplate, Method, PublicKey, parse_auth_info};

/// One change of a blob.
#[derive(Clone, Debug)]
enum Change {
    Set(usize, u8),
    Remove(usize),
    Insert(usize, u8),
    Cut(usize),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let place = any::<usize>;
    let change = prop_oneof![
        (place(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        place().prop_map(Change::Remove),
        (place(), any::<u8>()).prop_map(|(at, byte)| Change::Insert(at, byte)),
        place().prop_map(Change::Cut),
    ];
    prop::collection::vec(change, 0..4)
}

fn changed(mut blob: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        let size = blob.len().max(1);
        match *change {
            Change::Set(at, byte) if !blob.is_empty() => blob[at % size] = byte,
            Change::Remove(at) if !blob.is_empty() => drop(blob.remove(at % size)),
            Change::Insert(at, byte) => blob.insert(at % (blob.len() + 1), byte),
            Change::Cut(at) => blob.truncate(at % (blob.len() + 1)),
            _ => {}
        }
    }
    blob
}

fn assert_same_certificate(blob: &[u8], ours: &Certificate) {
    // The crate reads every extension as text; the protocol leaves those of others opaque.
    let opaque = |one: &svcauth_core::origin::CertOption| !one.data.is_empty() && one.payload().is_none();
    let theirs = match ssh_key::Certificate::from_bytes(blob) {
        Ok(theirs) => theirs,
        Err(_) if ours.extensions.iter().any(opaque) => return,
        Err(error) => panic!("we accept what the oracle refuses: {error}: {ours:?}"),
    };
    assert_eq!(ours.serial, theirs.serial());
    assert_eq!(ours.key_id, theirs.key_id());
    assert_eq!(ours.principals, theirs.valid_principals());
    assert_eq!((ours.valid_after, ours.valid_before), (theirs.valid_after(), theirs.valid_before()));
    assert!(theirs.cert_type().is_user());
    let hash = ssh_key::HashAlg::Sha256;
    assert_eq!(ours.ca.to_string(), theirs.signature_key().fingerprint(hash).to_string());
    assert_eq!(ours.subject.to_string(), theirs.public_key().fingerprint(hash).to_string());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_key_is_refused_or_is_the_same_key_to_the_oracle(
        name in select(names(".pub").into_iter().filter(|name| name.starts_with("key_")).collect::<Vec<_>>()),
        changes in changes(),
    ) {
        let blob = changed(blob(&name), &changes);
        if let Ok(ours) = PublicKey::from_blob(blob.clone()) {
            let theirs = ssh_key::PublicKey::from_openssh(&line(&ours.algorithm, &blob)).unwrap();
            assert_eq!(theirs.fingerprint(ssh_key::HashAlg::Sha256).to_string(), ours.fingerprint().to_string());
        }
    }

    #[test]
    fn a_changed_certificate_is_refused_or_says_the_same_to_the_oracle(
        name in select(names("-cert.pub")), changes in changes(),
    ) {
        let blob = changed(blob(&name), &changes);
        if let Ok(ours) = Certificate::from_blob(&blob) {
            assert_same_certificate(&blob, &ours);
        }
    }

    #[test]
    fn a_forged_certificate_is_refused_or_says_the_same_to_the_oracle(
        serial in any::<u64>(),
        cert_kind in select(vec![0u32, 1, 1, 1, 2]),
        key_id in any::<String>(),
        principals in prop::collection::vec(any::<String>(), 0..4),
        validity in any::<(u64, u64)>(),
        extensions in prop::collection::vec(("[a-c]{0,2}", any::<Option<String>>()), 0..4),
        tail in prop::collection::vec(any::<u8>(), 0..2),
    ) {
        let principals: Vec<u8> = principals.iter().flat_map(|one| string(one.as_bytes())).collect();
        let extensions = extensions.iter().flat_map(|(name, data)| {
            let data = data.as_ref().map(|data| string(data.as_bytes())).unwrap_or_default();
            [string(name.as_bytes()), string(&data)].concat()
        }).collect();
        let key_id = key_id.into_bytes();
        let forge = Forge { serial, cert_kind, key_id, principals, validity, extensions, tail, ..Forge::new() };
        let blob = forge.build();
        if let Ok(ours) = Certificate::from_blob(&blob) {
            assert_same_certificate(&blob, &ours);
        }
    }

    #[test]
    fn any_bytes_are_parsed_or_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = PublicKey::from_blob(bytes.clone());
        let _ = Certificate::from_blob(&bytes);
        let text = String::from_utf8_lossy(&bytes);
        let _ = PublicKey::parse(&text);
        let _ = parse_auth_info(&text);
        let _ = KeyIdTemplate::parse(&text);
    }

    #[test]
    fn a_text_with_one_character_more_or_less_proves_nothing_that_the_whole_did_not(
        at in any::<usize>(), c in any::<char>(), remove in any::<bool>(),
    ) {
        let original = format!("publickey {}\npublickey {}\n", words("key_ed25519.pub"), words("plain-cert.pub"));
        let proven = parse_auth_info(&original).unwrap();
        let mut text: Vec<char> = original.chars().collect();
        let at = at % text.len();
        if remove {
            text.remove(at);
        } else {
            text.insert(at, c);
        }
        let text: String = text.into_iter().collect();
        for method in parse_auth_info(&text).unwrap_or_default() {
            assert!(proven.contains(&method) || matches!(method, Method::Other { .. }), "{method:?}");
        }
    }

    #[test]
    fn a_login_put_into_a_template_comes_out_again(login in "[a-z_][a-z0-9_.+-]{0,30}", realm in "[a-z]{1,8}") {
        let template = KeyIdTemplate::parse(&format!("{{login}}@{realm}.example")).unwrap();
        let key_id = format!("{login}@{realm}.example");
        let wanted = (login != "root").then_some(login.as_str());
        assert_eq!(template.login(&key_id), wanted);
    }

    #[test]
    fn a_key_id_names_nobody_or_the_login_that_makes_it(key_id in "[a-b@.]{0,12}", template in "[a@.]{0,2}\\{login\\}[b@.]{0,2}") {
        let parsed = KeyIdTemplate::parse(&template).unwrap();
        if let Some(login) = parsed.login(&key_id) {
            assert_eq!(template.replace("{login}", login), key_id);
        }
    }
}
