//! Who is behind a login: what sshd proved, read exactly.
//!
//! Belongs here: keys, certificates, the text of `SSH_AUTH_INFO_0`, and the template that turns a certificate's key id
//! into a login name. Never here: whether that person may come in (that is the policy), and where the text came from
//! (that is the PAM module's duty: evidence is only what sshd itself wrote).
//!
//! Everything is parsed exactly or refused. A byte that is not understood is an error and never skipped, because a
//! lenient reader is how one person's evidence becomes another person's login.

mod auth_info;
mod certificate;
mod fingerprint;
mod key;
mod key_id;
mod signature;
mod wire;

use core::fmt;
use core::str::FromStr;

pub use auth_info::{AUTH_INFO_MAX, AuthInfoError, METHODS_MAX, Method, parse_auth_info};
pub use certificate::{CertOption, Certificate, CertificateError, ORIGIN_EXTENSION, PRINCIPALS_MAX};
pub use fingerprint::{Fingerprint, FingerprintError};
pub use key::{BLOB_MAX, KeyError, PublicKey};
pub use key_id::{KeyIdTemplate, KeyIdTemplateError};
pub use wire::Malformed;

/// What proves an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Evidence {
    /// A key that sshd saw proven and that the directory lists for the person.
    PublicKey,
    /// A certificate of a trusted authority that sshd saw proven.
    Certificate,
    /// A Kerberos principal that sshd authenticated.
    Gssapi,
    /// The person who called su or sudo.
    Invoker,
    /// An earlier session of the same audit session.
    Inherited,
}

/// A text that names no [`Evidence`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownEvidence;

impl Evidence {
    /// Every kind of evidence there is.
    pub const ALL: &'static [Self] =
        &[Self::PublicKey, Self::Certificate, Self::Gssapi, Self::Invoker, Self::Inherited];

    /// The word for it in records and in the output of the `svcauth` command.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PublicKey => "publickey",
            Self::Certificate => "certificate",
            Self::Gssapi => "gssapi",
            Self::Invoker => "invoker",
            Self::Inherited => "inherited",
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Evidence {
    type Err = UnknownEvidence;
    fn from_str(text: &str) -> Result<Self, UnknownEvidence> {
        match text {
            "publickey" => Ok(Self::PublicKey),
            "certificate" => Ok(Self::Certificate),
            "gssapi" => Ok(Self::Gssapi),
            "invoker" => Ok(Self::Invoker),
            "inherited" => Ok(Self::Inherited),
            _ => Err(UnknownEvidence),
        }
    }
}

impl fmt::Display for UnknownEvidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("evidence must be publickey, certificate, gssapi, invoker or inherited")
    }
}

impl core::error::Error for UnknownEvidence {}

#[cfg(test)]
mod tests {
    use super::{Evidence, UnknownEvidence};

    #[test]
    fn every_word_for_evidence_reads_back_and_no_other_word_does() {
        for (evidence, word) in [
            (Evidence::PublicKey, "publickey"),
            (Evidence::Certificate, "certificate"),
            (Evidence::Gssapi, "gssapi"),
            (Evidence::Invoker, "invoker"),
            (Evidence::Inherited, "inherited"),
        ] {
            assert_eq!(evidence.as_str(), word);
            assert_eq!(word.parse(), Ok(evidence));
        }
        for word in ["", "PublicKey", "publickey ", "password", "gssapi-with-mic"] {
            assert_eq!(word.parse::<Evidence>(), Err(UnknownEvidence), "{word:?}");
        }
    }
}
