//! Certificates: what ssh-keygen signs is read, and what could be read in two ways or widens itself is refused.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "tests: a failure is a panic, and a table may be long"
)]

mod support;

use support::{Forge, blob, names, read, string};
use svcauth_core::origin::{Certificate, CertificateError, KeyError};

const REFUSED: [&str; 3] = ["host-cert.pub", "no_principals-cert.pub", "unknown_option-cert.pub"];

fn certificate(name: &str) -> Certificate {
    Certificate::from_blob(&blob(name)).unwrap()
}

fn option(name: &[u8], data: &[u8]) -> Vec<u8> {
    [string(name), string(data)].concat()
}

#[test]
fn certificates_of_every_key_type_and_authority_agree_with_the_oracle() {
    for name in names("-cert.pub").into_iter().filter(|name| !REFUSED.contains(&name.as_str())) {
        let ours = certificate(&name);
        let theirs = ssh_key::Certificate::from_openssh(&read(&name)).unwrap();
        assert_eq!(ours.algorithm, theirs.algorithm().to_certificate_type(), "{name}");
        assert_eq!(ours.serial, theirs.serial(), "{name}");
        assert_eq!(ours.key_id, theirs.key_id(), "{name}");
        assert_eq!(ours.principals, theirs.valid_principals(), "{name}");
        assert_eq!((ours.valid_after, ours.valid_before), (theirs.valid_after(), theirs.valid_before()));
        let ca = theirs.signature_key().fingerprint(ssh_key::HashAlg::Sha256);
        assert_eq!(ours.ca.to_string(), ca.to_string(), "{name}");
        let subject = theirs.public_key().fingerprint(ssh_key::HashAlg::Sha256);
        assert_eq!(ours.subject.to_string(), subject.to_string(), "{name}");
        assert_options(&ours.critical_options, theirs.critical_options());
        assert_options(&ours.extensions, theirs.extensions());
    }
}

fn assert_options(ours: &[svcauth_core::origin::CertOption], theirs: &ssh_key::certificate::OptionsMap) {
    let ours: Vec<_> =
        ours.iter().map(|one| (one.name.as_str(), one.payload().unwrap_or_default())).collect();
    let theirs: Vec<_> = theirs.iter().map(|(name, data)| (name.as_str(), data.as_str())).collect();
    assert_eq!(ours, theirs);
}

#[test]
fn the_subject_is_the_fingerprint_that_ssh_keygen_prints_for_the_certificate() {
    let mut seen = 0;
    for line in read("fingerprints").lines() {
        let (name, text) = line.split_once(' ').unwrap();
        if name.ends_with("-cert.pub") && !REFUSED.contains(&name) {
            assert_eq!(certificate(name).subject.to_string(), text, "{name}");
            seen += 1;
        }
    }
    assert_eq!(seen, 12);
}

#[test]
fn the_fields_are_those_that_were_signed() {
    let plain = certificate("plain-cert.pub");
    assert_eq!(plain.algorithm, "ssh-ed25519-cert-v01@openssh.com");
    assert_eq!((plain.serial, plain.key_id.as_str()), (4711, "alice@example.com"));
    assert_eq!(plain.principals, ["alice", "deployer"]);
    assert_eq!((plain.valid_after, plain.valid_before), (0, u64::MAX));
    assert_eq!(
        plain.ca.to_string(),
        read("fingerprints").split("ca_ed25519.pub ").nth(1).unwrap().lines().next().unwrap()
    );
    assert_eq!(plain.origin(), None);
    assert_eq!(certificate("rsa-cert.pub").serial, u64::MAX);
    assert_eq!(certificate("newline-cert.pub").key_id, "alice\nAccepted publickey for root");
    assert_eq!(certificate("quotes-cert.pub").key_id, "a\"b'c\\$(id) origin=root");
    assert_eq!(certificate("unicode-cert.pub").key_id, "zo\u{eb}@example.com");
    let bounded = certificate("ecdsa256-cert.pub");
    assert!(bounded.is_valid_at(1_767_225_600) && !bounded.is_valid_at(1_767_225_599));
    assert!(bounded.is_valid_at(2_082_758_399) && !bounded.is_valid_at(2_082_758_400));
}

#[test]
fn options_and_the_origin_of_a_robot_are_read() {
    let robot = certificate("options-cert.pub");
    assert_eq!(robot.origin(), Some("bob"));
    let critical: Vec<_> =
        robot.critical_options.iter().map(|one| (one.name.as_str(), one.payload())).collect();
    let wanted =
        [("force-command", Some("/usr/bin/uptime -p")), ("source-address", Some("10.0.0.0/8,::1/128"))];
    assert_eq!(critical, wanted);
    let names: Vec<_> = robot.extensions.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["origin@svcauth", "other@example.org", "permit-pty"]);
}

#[test]
fn host_certificates_wildcards_and_unknown_restrictions_are_refused() {
    assert!(Certificate::from_blob(&blob("plain-cert.pub")).is_ok());
    for (name, error) in [
        ("host-cert.pub", CertificateError::Host),
        ("no_principals-cert.pub", CertificateError::NoPrincipals),
        (
            "unknown_option-cert.pub",
            CertificateError::UnknownCriticalOption("only-on-tuesdays@example.org".into()),
        ),
        ("key_ed25519.pub", CertificateError::Key(KeyError::UnknownType("ssh-ed25519".into()))),
    ] {
        assert_eq!(Certificate::from_blob(&blob(name)), Err(error), "{name}");
    }
}

type Change = fn(&mut Forge);

#[test]
fn a_certificate_with_one_wrong_field_is_refused_for_that_field() {
    let changes: [(&str, Change); 30] = [
        ("type", |f| f.kind = b"ssh-ed25519-cert-v01@openssh.com\0".to_vec()),
        ("pk", |f| f.key = string(&[7; 31])),
        ("key id", |f| f.key_id = b"al\xffice".to_vec()),
        ("key id", |f| f.key_id = b"alice\0@example.com".to_vec()),
        ("valid principals", |f| f.principals = b"deployer".to_vec()),
        ("valid principals", |f| f.principals = [string(b"deployer"), vec![0]].concat()),
        ("valid principals", |f| f.principals = string(b"")),
        ("valid principals", |f| f.principals = string(b"\xff")),
        ("critical options", |f| f.critical = option(b"force-command", b"ls")),
        ("critical options", |f| f.critical = option(b"force-command", b"")),
        ("critical options", |f| f.critical = option(b"verify-required", b"x")),
        ("critical options", |f| f.critical = string(b"verify-required")),
        ("extensions", |f| f.extensions = [option(b"permit-pty", b""), option(b"permit-pty", b"")].concat()),
        ("extensions", |f| f.extensions = [option(b"permit-pty", b""), option(b"permit-X", b"")].concat()),
        ("extensions", |f| f.extensions = option(b"", b"")),
        ("extensions", |f| f.extensions = option(b"\xff", b"")),
        ("origin@svcauth", |f| f.extensions = option(b"origin@svcauth", b"bob")),
        ("origin@svcauth", |f| f.extensions = option(b"origin@svcauth", &string(b""))),
        ("origin@svcauth", |f| f.extensions = option(b"origin@svcauth", b"")),
        ("origin@svcauth", |f| {
            f.extensions = option(b"origin@svcauth", &[string(b"bob"), string(b"eve")].concat());
        }),
        ("signature key", |f| f.ca = b"x".to_vec()),
        ("signature key", |f| f.ca = Forge::new().build()),
        ("signature", |f| f.signature = [string(b"ssh-rsa"), string(&[9; 64])].concat()),
        ("signature", |f| f.signature = string(b"ssh-ed25519")),
        ("signature", |f| f.signature.push(0)),
        ("signature", |f| {
            f.ca = blob("ca_rsa.pub");
            f.signature = [string(b"ssh-rsa"), string(&[9; 256])].concat();
        }),
        ("signature", |f| f.signature = [string(b"ssh-ed25519"), string(&[9; 63])].concat()),
        // Two numbers, each in its one form and no longer than the curve: found by the oracle.
        ("signature", |f| {
            f.ca = blob("ca_ecdsa256.pub");
            f.signature =
                [string(b"ecdsa-sha2-nistp256"), string(&[string(&[1]), string(&[0, 1])].concat())].concat();
        }),
        ("signature", |f| {
            f.ca = blob("ca_ecdsa256.pub");
            let value = [string(&[1]), string(&[1; 33])].concat();
            f.signature = [string(b"ecdsa-sha2-nistp256"), string(&value)].concat();
        }),
        ("end of certificate", |f| f.tail = vec![0]),
    ];
    assert!(Certificate::from_blob(&Forge::new().build()).is_ok());
    for (index, (field, change)) in changes.into_iter().enumerate() {
        let mut forge = Forge::new();
        change(&mut forge);
        let error = Certificate::from_blob(&forge.build()).unwrap_err();
        let found = match &error {
            CertificateError::Malformed(at) | CertificateError::Key(KeyError::Malformed(at)) => at.field,
            CertificateError::Key(KeyError::UnknownType(_)) => "type",
            _ => "",
        };
        let nul_in_type = index == 0 && found == "type";
        assert!(found == field || nul_in_type, "change {index} of {field}: {error:?}");
    }
}

#[test]
fn a_kind_a_validity_or_a_list_out_of_bounds_is_refused() {
    let refused = |change: Change| {
        let mut forge = Forge::new();
        change(&mut forge);
        Certificate::from_blob(&forge.build()).unwrap_err()
    };
    assert_eq!(refused(|f| f.cert_kind = 2), CertificateError::Host);
    assert_eq!(refused(|f| f.cert_kind = 0), CertificateError::UnknownKind(0));
    assert_eq!(refused(|f| f.principals = Vec::new()), CertificateError::NoPrincipals);
    assert_eq!(refused(|f| f.principals = string(b"a").repeat(257)), CertificateError::TooManyPrincipals);
    assert_eq!(refused(|f| f.validity = (2, 1)), CertificateError::Validity);
    assert_eq!(refused(|f| f.validity = (2, 2)), CertificateError::Validity);
    assert_eq!(refused(|f| f.key_id = vec![b'a'; 50_000]), CertificateError::Key(KeyError::TooLong));
    let mut forge = Forge::new();
    forge.principals = string(b"a").repeat(256);
    assert_eq!(Certificate::from_blob(&forge.build()).unwrap().principals.len(), 256);
}

#[test]
fn what_the_protocol_tells_a_reader_to_ignore_is_no_error() {
    let mut forge = Forge::new();
    forge.extensions = [option(b"opaque@example.org", b"\xff\0"), option(b"permit-pty", b"")].concat();
    forge.reserved = b"later".to_vec();
    let certificate = Certificate::from_blob(&forge.build()).unwrap();
    assert_eq!(certificate.extensions[0].data, b"\xff\0");
    assert_eq!(certificate.extensions[0].payload(), None);
}

#[test]
fn a_security_key_may_be_the_authority() {
    let mut forge = Forge::new();
    forge.ca = blob("key_sk_ed25519.pub");
    let signature = [string(b"sk-ssh-ed25519@openssh.com"), string(&[9; 64])].concat();
    forge.signature = [signature.clone(), vec![1, 0, 0, 0, 7]].concat();
    assert!(Certificate::from_blob(&forge.build()).is_ok());
    forge.signature = signature;
    assert!(Certificate::from_blob(&forge.build()).is_err());
}

#[test]
fn every_cut_of_a_certificate_is_refused() {
    for name in names("-cert.pub") {
        let whole = blob(&name);
        for size in 0..whole.len() {
            assert!(Certificate::from_blob(&whole[..size]).is_err(), "{name} {size}");
        }
    }
}
