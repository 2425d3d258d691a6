//! Any bytes as a certificate and as a key: one reading only, nothing wider than it says, and the same reading as the
//! `ssh-key` crate has.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use ssh_key::HashAlg::Sha256;
use svcauth_core::origin::{
    BLOB_MAX, CertOption, Certificate, Method, PRINCIPALS_MAX, PublicKey, parse_auth_info,
};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(certificate) = Certificate::from_blob(bytes) {
        narrow(&certificate);
        exact(bytes, &certificate);
        same(bytes, &certificate);
    }
    if let Ok(key) = PublicKey::from_blob(bytes.to_vec()) {
        read_back(&key);
        let theirs = ssh_key::PublicKey::from_bytes(bytes).expect("the oracle reads every key that we read");
        assert_eq!(theirs.fingerprint(Sha256).to_string(), key.fingerprint().to_string());
    }
    if let Ok(Ok(key)) = std::str::from_utf8(bytes).map(PublicKey::parse) {
        read_back(&key);
    }
});

fn narrow(certificate: &Certificate) {
    assert!((1..=PRINCIPALS_MAX).contains(&certificate.principals.len()));
    assert!(
        certificate.principals.iter().all(|principal| !principal.is_empty() && !principal.contains('\0'))
    );
    assert!(
        certificate.is_valid_at(certificate.valid_after)
            && !certificate.is_valid_at(certificate.valid_before)
    );
    let known = ["force-command", "source-address", "verify-required"];
    assert!(certificate.critical_options.iter().all(|option| known.contains(&option.name.as_str())));
    for options in [&certificate.critical_options, &certificate.extensions] {
        assert!(options.windows(2).all(|pair| pair[0].name < pair[1].name));
    }
    assert!(certificate.origin().is_none_or(|origin| !origin.is_empty()));
}

fn exact(bytes: &[u8], certificate: &Certificate) {
    assert!(bytes.len() <= BLOB_MAX);
    assert!(Certificate::from_blob(&bytes[..bytes.len() - 1]).is_err());
    assert!(Certificate::from_blob(&[bytes, &[0]].concat()).is_err());
    let line = format!("publickey {} {}\n", certificate.algorithm, STANDARD.encode(bytes));
    let expected = Method::Certificate(Box::new(certificate.clone()));
    assert_eq!(parse_auth_info(&line), Ok(vec![expected]));
}

fn same(bytes: &[u8], ours: &Certificate) {
    // The crate reads every extension as text; the protocol leaves those of others opaque.
    let opaque = |one: &CertOption| !one.data.is_empty() && one.payload().is_none();
    let theirs = match ssh_key::Certificate::from_bytes(bytes) {
        Ok(theirs) => theirs,
        Err(_) if ours.extensions.iter().any(opaque) => return,
        Err(error) => panic!("we read what the oracle refuses: {error}: {ours:?}"),
    };
    assert!(theirs.cert_type().is_user());
    assert_eq!((ours.serial, ours.key_id.as_str()), (theirs.serial(), theirs.key_id()));
    assert_eq!(ours.principals, theirs.valid_principals());
    assert_eq!((ours.valid_after, ours.valid_before), (theirs.valid_after(), theirs.valid_before()));
    assert_eq!(ours.ca.to_string(), theirs.signature_key().fingerprint(Sha256).to_string());
    assert_eq!(ours.subject.to_string(), theirs.public_key().fingerprint(Sha256).to_string());
}

fn read_back(key: &PublicKey) {
    assert_eq!(PublicKey::from_blob(key.blob.clone()).as_ref(), Ok(key));
    let written = format!("{} {}", key.algorithm, STANDARD.encode(&key.blob));
    assert_eq!(PublicKey::parse(&written).as_ref(), Ok(key));
    assert_eq!(key.fingerprint().to_string().parse(), Ok(key.fingerprint()));
    assert!(PublicKey::from_blob([&key.blob[..], &[0]].concat()).is_err());
    assert!(PublicKey::from_blob(key.blob[..key.blob.len() - 1].to_vec()).is_err());
}
