//! The fingerprint of a key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use core::fmt;
use core::str::FromStr;
use sha2::{Digest, Sha256};

const PREFIX: &str = "SHA256:";

/// The SHA-256 of a public key blob: what the snapshot's index of keys is keyed by.
///
/// It is written as `ssh-keygen -l` and sshd's log write it: `SHA256:` and 43 characters of base64 without padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

/// A text that is no fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FingerprintError;

impl Fingerprint {
    /// The fingerprint of a public key blob (the base64 part of a `.pub` file, decoded).
    ///
    /// sshd logs a certificate under the fingerprint of the plain key inside: see [`super::Certificate::subject`].
    #[must_use]
    pub fn of(blob: &[u8]) -> Self {
        Self(Sha256::digest(blob).into())
    }
    /// A fingerprint from the 32 bytes of the digest.
    #[must_use]
    pub const fn from_bytes(digest: [u8; 32]) -> Self {
        Self(digest)
    }
    /// The 32 bytes of the digest.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        f.write_str(&STANDARD_NO_PAD.encode(self.0))
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;
    /// Reads exactly what [`fmt::Display`] writes: one text per fingerprint, so texts may be compared, too.
    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let encoded = text.strip_prefix(PREFIX).ok_or(FingerprintError)?;
        let digest = STANDARD_NO_PAD.decode(encoded).map_err(|_| FingerprintError)?;
        digest.try_into().map(Self).map_err(|_| FingerprintError)
    }
}

impl fmt::Display for FingerprintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected SHA256: and 43 characters of base64, as ssh-keygen -l prints it")
    }
}

impl core::error::Error for FingerprintError {}

#[cfg(test)]
mod tests {
    use super::{Fingerprint, FingerprintError};
    use std::string::ToString as _;

    #[test]
    fn a_fingerprint_is_written_as_ssh_keygen_writes_it_and_reads_back() {
        // printf '' | openssl dgst -sha256 -binary | base64
        let text = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU";
        let empty = Fingerprint::of(b"");
        assert_eq!(empty.to_string(), text);
        assert_eq!(text.parse(), Ok(empty));
        assert_eq!(Fingerprint::from_bytes(*empty.as_bytes()), empty);
    }

    #[test]
    fn another_spelling_of_the_same_fingerprint_is_refused() {
        for text in [
            "",
            "SHA256:",
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
            "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
            "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            // The last character holds two unused bits; U is 010100, V is 010101.
            "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV",
            "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU ",
            "SHA256:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU",
            "MD5:d4:1d:8c:d9:8f:00:b2:04:e9:80:09:98:ec:f8:42:7e",
        ] {
            assert_eq!(text.parse::<Fingerprint>(), Err(FingerprintError), "{text:?}");
        }
    }
}
