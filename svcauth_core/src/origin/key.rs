//! Public keys, as a directory lists them and as sshd reports them.

use super::fingerprint::Fingerprint;
use super::wire::{Malformed, Wire};
use crate::audit::escape;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use core::fmt;
use std::borrow::ToOwned as _;
use std::string::String;
use std::vec::Vec;

/// Longest key or certificate blob in bytes. OpenSSH's own limit for a packet is 256 KiB; an RSA key of 16384 bits takes 2 KiB.
pub const BLOB_MAX: usize = 48 * 1024;

/// A public key whose blob has been checked field by field.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PublicKey {
    /// The type, such as `ssh-ed25519`: the same text that the blob begins with.
    pub algorithm: String,
    /// The key in the form of RFC 4253, section 6.6.
    pub blob: Vec<u8>,
}

/// Why a text or blob is no usable public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// Not of the form `TYPE BASE64 [comment]` on one line.
    Form,
    /// A type that is not in the list of known ones. Options before the type end here, too.
    UnknownType(String),
    /// DSA keys are refused, as OpenSSH refuses them since 7.0.
    Dsa,
    /// The second word is no base64.
    Base64,
    /// Longer than [`BLOB_MAX`].
    TooLong,
    /// The type in front differs from the type inside the blob.
    TypeMismatch,
    /// A field of the blob is missing or malformed, or bytes follow the last one.
    Malformed(Malformed),
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form => f.write_str("expected one line of the form TYPE BASE64 [comment], without options"),
            Self::UnknownType(name) => write!(
                f,
                "key type \"{}\" is not supported; use ssh-ed25519, ecdsa-sha2-*, ssh-rsa or a security key",
                escape::for_terminal(name)
            ),
            Self::Dsa => f.write_str("DSA keys are refused; make an ed25519 key"),
            Self::Base64 => {
                f.write_str("the second word of the key is no base64; it may have been cut or wrapped")
            }
            Self::TooLong => write!(f, "the key is longer than {BLOB_MAX} bytes"),
            Self::TypeMismatch => f.write_str("the key's type differs from the type inside the key"),
            Self::Malformed(field) => write!(f, "the key is damaged: {field}"),
        }
    }
}

impl core::error::Error for KeyError {}

impl From<Malformed> for KeyError {
    fn from(field: Malformed) -> Self {
        Self::Malformed(field)
    }
}

impl PublicKey {
    /// Reads a value of `sshPublicKey`, a line of a `.pub` file, or a value of Active Directory's
    /// `altSecurityIdentities` that begins with `SSHKey:` in any case.
    ///
    /// The form is `TYPE BASE64 [comment]` (sshd(8), AUTHORIZED_KEYS FILE FORMAT) without options; blanks around it and
    /// a newline at its end are no part of it.
    ///
    /// # Errors
    /// [`KeyError`]: the first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let text = without_prefix(text.trim_matches(is_blank)).trim_matches(is_blank);
        if text.chars().any(|c| c.is_control() && c != '\t') {
            return Err(KeyError::Form);
        }
        let (name, rest) = text.split_once([' ', '\t']).ok_or(KeyError::Form)?;
        let rest = rest.trim_start_matches([' ', '\t']);
        let encoded = rest.split([' ', '\t']).next().ok_or(KeyError::Form)?;
        Self::from_words(name, encoded)
    }

    /// The key from its two words, which must be exact.
    pub(super) fn from_words(name: &str, encoded: &str) -> Result<Self, KeyError> {
        let kind = KeyType::from_name(name)?;
        let blob = decode(encoded)?;
        let key = Self::from_blob(blob)?;
        if key.algorithm == kind.name() { Ok(key) } else { Err(KeyError::TypeMismatch) }
    }

    /// A key from its blob alone.
    ///
    /// # Errors
    /// [`KeyError`]: the first thing that is wrong.
    pub fn from_blob(blob: Vec<u8>) -> Result<Self, KeyError> {
        if blob.len() > BLOB_MAX {
            return Err(KeyError::TooLong);
        }
        let mut wire = Wire::new(&blob);
        let kind = KeyType::from_name(wire.text("type")?)?;
        kind.check_fields(&mut wire)?;
        wire.finish("end of key")?;
        Ok(Self { algorithm: kind.name().to_owned(), blob })
    }

    /// The fingerprint under which the snapshot knows this key.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.blob)
    }
}

const fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn without_prefix(text: &str) -> &str {
    match text.split_at_checked(7) {
        Some((head, tail)) if head.eq_ignore_ascii_case("sshkey:") => tail,
        _ => text,
    }
}

/// Decodes padded base64 in its one canonical spelling, after a look at its length.
pub(super) fn decode(encoded: &str) -> Result<Vec<u8>, KeyError> {
    if encoded.is_empty() {
        return Err(KeyError::Form);
    }
    if encoded.len() > BLOB_MAX.div_ceil(3) * 4 {
        return Err(KeyError::TooLong);
    }
    STANDARD.decode(encoded).map_err(|_| KeyError::Base64)
}

/// The types of keys that are read: those that OpenSSH still accepts by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyType {
    Ed25519,
    Rsa,
    NistP256,
    NistP384,
    NistP521,
    SkEd25519,
    SkNistP256,
}

impl KeyType {
    pub(super) const ALL: [Self; 7] = [
        Self::Ed25519,
        Self::Rsa,
        Self::NistP256,
        Self::NistP384,
        Self::NistP521,
        Self::SkEd25519,
        Self::SkNistP256,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ssh-ed25519",
            Self::Rsa => "ssh-rsa",
            Self::NistP256 => "ecdsa-sha2-nistp256",
            Self::NistP384 => "ecdsa-sha2-nistp384",
            Self::NistP521 => "ecdsa-sha2-nistp521",
            Self::SkEd25519 => "sk-ssh-ed25519@openssh.com",
            Self::SkNistP256 => "sk-ecdsa-sha2-nistp256@openssh.com",
        }
    }

    pub(super) fn from_name(name: &str) -> Result<Self, KeyError> {
        if name == "ssh-dss" {
            return Err(KeyError::Dsa);
        }
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| KeyError::UnknownType(name.chars().take(64).collect()))
    }

    pub(super) const fn is_security_key(self) -> bool {
        matches!(self, Self::SkEd25519 | Self::SkNistP256)
    }

    /// Walks over the fields that follow the type (and, in a certificate, the nonce).
    pub(super) fn check_fields(self, wire: &mut Wire<'_>) -> Result<(), Malformed> {
        match self {
            Self::Ed25519 => ed25519(wire),
            Self::Rsa => rsa(wire),
            Self::NistP256 => ecdsa(wire, b"nistp256", 32),
            Self::NistP384 => ecdsa(wire, b"nistp384", 48),
            Self::NistP521 => ecdsa(wire, b"nistp521", 66),
            Self::SkEd25519 => ed25519(wire).and_then(|()| application(wire)),
            Self::SkNistP256 => ecdsa(wire, b"nistp256", 32).and_then(|()| application(wire)),
        }
    }
}

/// RFC 8709, section 4.
fn ed25519(wire: &mut Wire<'_>) -> Result<(), Malformed> {
    exact(wire.string("pk")?.len() == 32, "pk")
}

/// RFC 4253, section 6.6; the bounds of the modulus are OpenSSH's: 1024 to 16384 bits.
fn rsa(wire: &mut Wire<'_>) -> Result<(), Malformed> {
    let exponent = wire.positive_mpint("e")?;
    let modulus = wire.positive_mpint("n")?;
    exact(exponent.len() <= modulus.len(), "e")?;
    exact((128..=2048).contains(&modulus.len()), "n")
}

/// RFC 5656, section 3.1; like OpenSSH, uncompressed points only. Whether the point is on the curve was sshd's question.
fn ecdsa(wire: &mut Wire<'_>, curve: &[u8], size: usize) -> Result<(), Malformed> {
    exact(wire.string("curve")? == curve, "curve")?;
    let point = wire.string("Q")?;
    exact(point.first() == Some(&4) && point.len() == 2 * size + 1, "Q")
}

/// OpenSSH's PROTOCOL.u2f: the application, `ssh:` unless the person chose another.
fn application(wire: &mut Wire<'_>) -> Result<(), Malformed> {
    let text = wire.text("application")?;
    exact(!text.is_empty() && !text.chars().any(char::is_control), "application")
}

pub(super) fn exact(holds: bool, field: &'static str) -> Result<(), Malformed> {
    if holds { Ok(()) } else { Err(Malformed::new(field)) }
}
