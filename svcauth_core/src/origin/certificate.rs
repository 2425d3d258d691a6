//! OpenSSH certificates (PROTOCOL.certkeys), read from the blob that sshd reports.
//!
//! sshd has verified the signature before a line appears in `SSH_AUTH_INFO_0`; nothing is verified again here. What is
//! checked is that the blob has exactly one reading, and that nothing in it widens what it says: no wildcard, no host
//! certificate, no critical option that nobody here understands.

use super::fingerprint::Fingerprint;
use super::key::{BLOB_MAX, KeyError, KeyType, decode, exact};
use super::signature::read_signature;
use super::wire::{Malformed, Wire};
use crate::audit::escape;
use core::fmt;
use std::borrow::ToOwned as _;
use std::string::String;
use std::vec::Vec;

/// Most principals in one certificate: OpenSSH's `SSHKEY_CERT_MAX_PRINCIPALS`.
pub const PRINCIPALS_MAX: usize = 256;

/// The extension with which an issuer records who triggered a robot: `ssh-keygen -O extension:origin@svcauth=alice`.
pub const ORIGIN_EXTENSION: &str = "origin@svcauth";

/// What is appended to the name of a key type to make the type of its certificates.
const CERT_SUFFIX: &str = "-cert-v01@openssh.com";

/// A user certificate. Host certificates are refused, so there is no field for the kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The type, such as `ssh-ed25519-cert-v01@openssh.com`.
    pub algorithm: String,
    /// The serial number, 0 if the authority does not number its certificates.
    pub serial: u64,
    /// What the authority calls the holder. Foreign text: it may hold newlines, quotes and anything else but NUL.
    pub key_id: String,
    /// The accounts the certificate is good for; never empty, because an empty list means "every account".
    pub principals: Vec<String>,
    /// First second of validity, in seconds since 1970.
    pub valid_after: u64,
    /// First second after validity, in seconds since 1970; `u64::MAX` is "for ever".
    pub valid_before: u64,
    /// Restrictions; each is one that OpenSSH enforces.
    pub critical_options: Vec<CertOption>,
    /// Permissions and notes; those that nobody here knows are kept and mean nothing, as PROTOCOL.certkeys demands.
    pub extensions: Vec<CertOption>,
    /// The key that signed.
    pub ca: Fingerprint,
    /// The plain key inside: the fingerprint that sshd logs for the login.
    pub subject: Fingerprint,
}

/// A critical option or an extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertOption {
    /// The name; never empty.
    pub name: String,
    /// The data as it stands in the certificate: for OpenSSH's own options empty or a string with its length in front.
    pub data: Vec<u8>,
}

/// Why a blob is no usable certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateError {
    /// The type, the base64, the length or the holder's key.
    Key(KeyError),
    /// A field is missing or malformed, or bytes follow the last one.
    Malformed(Malformed),
    /// A host certificate, which proves a machine and no person.
    Host,
    /// Neither a user nor a host certificate.
    UnknownKind(u32),
    /// The list of principals is empty, which means every account.
    NoPrincipals,
    /// More than [`PRINCIPALS_MAX`] principals.
    TooManyPrincipals,
    /// The validity ends before it begins.
    Validity,
    /// A critical option that OpenSSH does not know: whatever it forbids, nobody would enforce it.
    UnknownCriticalOption(String),
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(error) => error.fmt(f),
            Self::Malformed(field) => write!(f, "the certificate is damaged: {field}"),
            Self::Host => f.write_str("it is a host certificate; sign user keys without ssh-keygen -h"),
            Self::UnknownKind(kind) => write!(f, "the certificate is of the unknown kind {kind}"),
            Self::NoPrincipals => f.write_str(
                "the certificate names no principals, which means every account; sign with ssh-keygen -n ACCOUNT",
            ),
            Self::TooManyPrincipals => {
                write!(f, "the certificate names more than {PRINCIPALS_MAX} principals")
            }
            Self::Validity => f.write_str("the certificate's validity ends before it begins"),
            Self::UnknownCriticalOption(name) => write!(
                f,
                "the certificate has the critical option \"{}\", which nothing here enforces",
                escape::for_terminal(name)
            ),
        }
    }
}

impl core::error::Error for CertificateError {}

impl From<Malformed> for CertificateError {
    fn from(field: Malformed) -> Self {
        Self::Malformed(field)
    }
}

impl From<KeyError> for CertificateError {
    fn from(error: KeyError) -> Self {
        Self::Key(error)
    }
}

impl Certificate {
    /// Whether a key type's name is that of a certificate.
    pub(super) fn is_certificate_type(name: &str) -> bool {
        name.ends_with(CERT_SUFFIX)
    }

    /// Whether the type belongs to a security key, whose signatures count.
    pub(super) fn is_security_key(&self) -> bool {
        certificate_type(&self.algorithm).is_ok_and(KeyType::is_security_key)
    }

    /// The certificate from its two words, which must be exact.
    pub(super) fn from_words(name: &str, encoded: &str) -> Result<Self, CertificateError> {
        certificate_type(name)?;
        let certificate = Self::from_blob(&decode(encoded)?)?;
        if certificate.algorithm == name { Ok(certificate) } else { Err(KeyError::TypeMismatch.into()) }
    }

    /// Reads a certificate blob (the base64 part of a `-cert.pub` file, decoded).
    ///
    /// # Errors
    /// [`CertificateError`]: the first thing that is wrong.
    pub fn from_blob(blob: &[u8]) -> Result<Self, CertificateError> {
        if blob.len() > BLOB_MAX {
            return Err(KeyError::TooLong.into());
        }
        let mut wire = Wire::new(blob);
        let algorithm = wire.text("type")?;
        let kind = certificate_type(algorithm)?;
        wire.string("nonce")?;
        let subject = read_subject(kind, &mut wire)?;
        let serial = wire.u64("serial")?;
        read_kind(&mut wire)?;
        let key_id = wire.text("key id")?.to_owned();
        let principals = read_principals(wire.string("valid principals")?)?;
        let (valid_after, valid_before) = read_validity(&mut wire)?;
        let critical_options = read_options(wire.string("critical options")?, "critical options")?;
        critical_options.iter().try_for_each(check_critical)?;
        let extensions = read_options(wire.string("extensions")?, "extensions")?;
        extensions.iter().try_for_each(check_extension)?;
        wire.string("reserved")?;
        let ca = read_signature(&mut wire)?;
        wire.finish("end of certificate")?;
        Ok(Self {
            algorithm: algorithm.to_owned(),
            serial,
            key_id,
            principals,
            valid_after,
            valid_before,
            critical_options,
            extensions,
            ca,
            subject,
        })
    }

    /// The payload of the extension [`ORIGIN_EXTENSION`]: who triggered the robot that holds this certificate.
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        let option = self.extensions.iter().find(|option| option.name == ORIGIN_EXTENSION)?;
        option.payload()
    }

    /// Whether the certificate is valid at this time (seconds since 1970).
    #[must_use]
    pub const fn is_valid_at(&self, now: u64) -> bool {
        self.valid_after <= now && now < self.valid_before
    }
}

impl CertOption {
    /// The text inside the data, where the data is exactly one string as OpenSSH's options hold it.
    #[must_use]
    pub fn payload(&self) -> Option<&str> {
        let mut wire = Wire::new(&self.data);
        let text = wire.text("payload").ok()?;
        wire.is_empty().then_some(text)
    }
}

fn certificate_type(name: &str) -> Result<KeyType, KeyError> {
    let unknown = || KeyError::UnknownType(name.chars().take(64).collect());
    KeyType::ALL
        .into_iter()
        .find(|kind| name.strip_suffix(CERT_SUFFIX) == Some(plain_stem(*kind)))
        .ok_or_else(unknown)
}

/// A security key's certificate type has the domain once, at the end: `sk-ssh-ed25519-cert-v01@openssh.com`.
fn plain_stem(kind: KeyType) -> &'static str {
    kind.name().strip_suffix("@openssh.com").unwrap_or(kind.name())
}

/// Rebuilds the plain key's blob from the certificate's fields and hashes it.
fn read_subject(kind: KeyType, wire: &mut Wire<'_>) -> Result<Fingerprint, Malformed> {
    let from_here = wire.rest();
    kind.check_fields(wire)?;
    let size = from_here.len() - wire.rest().len();
    let fields = from_here.get(..size).ok_or(Malformed::new("public key"))?;
    let name = kind.name();
    let length = u32::try_from(name.len()).map_err(|_| Malformed::new("type"))?;
    let blob = [&length.to_be_bytes()[..], name.as_bytes(), fields].concat();
    Ok(Fingerprint::of(&blob))
}

fn read_kind(wire: &mut Wire<'_>) -> Result<(), CertificateError> {
    match wire.u32("certificate kind")? {
        1 => Ok(()),
        2 => Err(CertificateError::Host),
        other => Err(CertificateError::UnknownKind(other)),
    }
}

fn read_principals(packed: &[u8]) -> Result<Vec<String>, CertificateError> {
    let mut wire = Wire::new(packed);
    let mut principals = Vec::new();
    while !wire.is_empty() {
        if principals.len() == PRINCIPALS_MAX {
            return Err(CertificateError::TooManyPrincipals);
        }
        let principal = wire.text("valid principals")?;
        exact(!principal.is_empty(), "valid principals")?;
        principals.push(principal.to_owned());
    }
    if principals.is_empty() { Err(CertificateError::NoPrincipals) } else { Ok(principals) }
}

fn read_validity(wire: &mut Wire<'_>) -> Result<(u64, u64), CertificateError> {
    let after = wire.u64("valid after")?;
    let before = wire.u64("valid before")?;
    if after < before { Ok((after, before)) } else { Err(CertificateError::Validity) }
}

/// PROTOCOL.certkeys: names are unique and in byte order, so that a list has one form only.
fn read_options(packed: &[u8], field: &'static str) -> Result<Vec<CertOption>, CertificateError> {
    let mut wire = Wire::new(packed);
    let mut options: Vec<CertOption> = Vec::new();
    while !wire.is_empty() {
        let name = wire.text(field)?;
        let data = wire.string(field)?;
        let before = options.last().map_or("", |option| option.name.as_str());
        exact(before < name, field)?;
        options.push(CertOption { name: name.to_owned(), data: data.to_owned() });
    }
    Ok(options)
}

/// The critical options of ssh-keygen(1), which sshd enforces.
fn check_critical(option: &CertOption) -> Result<(), CertificateError> {
    match option.name.as_str() {
        "force-command" | "source-address" => Ok(exact(option.payload().is_some(), "critical options")?),
        "verify-required" => Ok(exact(option.data.is_empty(), "critical options")?),
        name => Err(CertificateError::UnknownCriticalOption(name.chars().take(64).collect())),
    }
}

/// Only svcauth's own extension is read here, and it must say something; the others are for sshd.
fn check_extension(option: &CertOption) -> Result<(), CertificateError> {
    let readable = || option.payload().is_some_and(|text| !text.is_empty());
    exact(option.name != ORIGIN_EXTENSION || readable(), "origin@svcauth").map_err(CertificateError::from)
}
