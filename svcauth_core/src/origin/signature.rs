//! Who signed a certificate, and the form of the signature.
//!
//! The signature itself was sshd's to verify; only its form is checked, so that a blob has one reading.

use super::certificate::CertificateError;
use super::fingerprint::Fingerprint;
use super::key::{KeyType, PublicKey, exact};
use super::wire::{Malformed, Wire};
use std::borrow::ToOwned as _;

const FIELD: &str = "signature";

/// Reads the last two fields of a certificate. An authority is a plain key: a certificate cannot sign certificates.
pub(super) fn read_signature(wire: &mut Wire<'_>) -> Result<Fingerprint, CertificateError> {
    let field = "signature key";
    let ca = PublicKey::from_blob(wire.string(field)?.to_owned()).map_err(|_| Malformed::new(field))?;
    let kind = KeyType::from_name(&ca.algorithm)?;
    let mut signature = Wire::new(wire.string(FIELD)?);
    exact(fits(kind, signature.text(FIELD)?), FIELD)?;
    check_value(kind, signature.string(FIELD)?)?;
    if kind.is_security_key() {
        signature.byte(FIELD)?;
        signature.u32(FIELD)?;
    }
    signature.finish(FIELD)?;
    Ok(ca.fingerprint())
}

/// RSA with SHA-1 (`ssh-rsa`) is refused, as OpenSSH refuses it since 8.2.
fn fits(kind: KeyType, algorithm: &str) -> bool {
    match kind {
        KeyType::Rsa => matches!(algorithm, "rsa-sha2-256" | "rsa-sha2-512"),
        other => algorithm == other.name(),
    }
}

/// RFC 8709 section 6 (ed25519), RFC 5656 section 3.1.2 (ecdsa), RFC 8332 section 3 (rsa).
fn check_value(kind: KeyType, value: &[u8]) -> Result<(), Malformed> {
    match kind {
        KeyType::Ed25519 | KeyType::SkEd25519 => exact(value.len() == 64, FIELD),
        KeyType::Rsa => exact((1..=2048).contains(&value.len()), FIELD),
        KeyType::NistP256 | KeyType::SkNistP256 => check_ecdsa(value, 32),
        KeyType::NistP384 => check_ecdsa(value, 48),
        KeyType::NistP521 => check_ecdsa(value, 66),
    }
}

fn check_ecdsa(value: &[u8], size: usize) -> Result<(), Malformed> {
    let mut wire = Wire::new(value);
    exact(wire.positive_mpint(FIELD)?.len() <= size, FIELD)?;
    exact(wire.positive_mpint(FIELD)?.len() <= size, FIELD)?;
    wire.finish(FIELD)
}
