//! Reads the fixtures and builds SSH blobs by hand.
#![allow(dead_code, reason = "every test file uses a part of it")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::path::PathBuf;

/// The names of all fixtures that end so, in a fixed order.
pub(crate) fn names(suffix: &str) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(suffix))
        .collect();
    names.sort();
    assert!(names.len() >= 5, "fixtures are missing: {names:?}");
    names
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The text of a fixture.
pub(crate) fn read(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap()
}

/// `TYPE BASE64` of a fixture: what sshd writes into `SSH_AUTH_INFO_0`.
pub(crate) fn words(name: &str) -> String {
    let text = read(name);
    let words: Vec<&str> = text.split_ascii_whitespace().take(2).collect();
    words.join(" ")
}

/// The decoded blob of a fixture.
pub(crate) fn blob(name: &str) -> Vec<u8> {
    STANDARD.decode(words(name).split(' ').nth(1).unwrap()).unwrap()
}

/// `TYPE BASE64` of a blob.
pub(crate) fn line(kind: &str, blob: &[u8]) -> String {
    format!("{kind} {}", STANDARD.encode(blob))
}

/// An SSH string.
pub(crate) fn string(data: &[u8]) -> Vec<u8> {
    [&u32::try_from(data.len()).unwrap().to_be_bytes()[..], data].concat()
}

/// A certificate blob that can be made wrong field by field.
#[derive(Clone)]
pub(crate) struct Forge {
    pub(crate) kind: Vec<u8>,
    pub(crate) key: Vec<u8>,
    pub(crate) serial: u64,
    pub(crate) cert_kind: u32,
    pub(crate) key_id: Vec<u8>,
    pub(crate) principals: Vec<u8>,
    pub(crate) validity: (u64, u64),
    pub(crate) critical: Vec<u8>,
    pub(crate) extensions: Vec<u8>,
    pub(crate) reserved: Vec<u8>,
    pub(crate) ca: Vec<u8>,
    pub(crate) signature: Vec<u8>,
    pub(crate) tail: Vec<u8>,
}

impl Forge {
    /// A right one, signed (in form) by the ed25519 authority of the fixtures.
    pub(crate) fn new() -> Self {
        Self {
            kind: b"ssh-ed25519-cert-v01@openssh.com".to_vec(),
            key: string(&[7; 32]),
            serial: 1,
            cert_kind: 1,
            key_id: b"alice@example.com".to_vec(),
            principals: string(b"deployer"),
            validity: (0, u64::MAX),
            critical: Vec::new(),
            extensions: Vec::new(),
            reserved: Vec::new(),
            ca: blob("ca_ed25519.pub"),
            signature: [string(b"ssh-ed25519"), string(&[9; 64])].concat(),
            tail: Vec::new(),
        }
    }

    pub(crate) fn build(&self) -> Vec<u8> {
        [
            string(&self.kind),
            string(&[5; 32]),
            self.key.clone(),
            self.serial.to_be_bytes().to_vec(),
            self.cert_kind.to_be_bytes().to_vec(),
            string(&self.key_id),
            string(&self.principals),
            self.validity.0.to_be_bytes().to_vec(),
            self.validity.1.to_be_bytes().to_vec(),
            string(&self.critical),
            string(&self.extensions),
            string(&self.reserved),
            string(&self.ca),
            string(&self.signature),
            self.tail.clone(),
        ]
        .concat()
    }
}
