//! `SSH_AUTH_INFO_0`: the methods that a login completed, as sshd tells PAM.
//!
//! sshd writes one line per completed method (auth.c, `auth2_update_session_info`):
//! `method[/submethod][ type base64][ info]`, each ended by a newline. The text is empty in the account phase of a login
//! by key: an empty text means "nothing proven yet", never "not ssh".

use super::certificate::{Certificate, CertificateError};
use super::key::{KeyError, PublicKey};
use core::fmt;
use std::borrow::ToOwned as _;
use std::boxed::Box;
use std::string::String;
use std::vec::Vec;

/// Longest text in bytes; it is looked at before anything is copied.
pub const AUTH_INFO_MAX: usize = 64 * 1024;
/// Most methods in one login. `AuthenticationMethods` chains more than three only in tests.
pub const METHODS_MAX: usize = 16;

const PRINCIPAL_MAX: usize = 1024;

/// A method that a login completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method {
    /// `publickey` with a plain key.
    PublicKey(PublicKey),
    /// `publickey` with a certificate.
    Certificate(Box<Certificate>),
    /// `gssapi-with-mic` or `gssapi-keyex`.
    Gssapi {
        /// The full principal with its realm, such as `alice@EXAMPLE.COM`.
        principal: String,
    },
    /// A method that names nobody (`password`, `keyboard-interactive/pam`, `hostbased`).
    Other {
        /// Method and submethod.
        name: String,
    },
}

/// Why a text is no `SSH_AUTH_INFO_0`; the lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthInfoError {
    /// Longer than [`AUTH_INFO_MAX`].
    TooLong,
    /// More than [`METHODS_MAX`] lines.
    TooManyMethods,
    /// The last line does not end in a newline.
    Unterminated,
    /// A line is not of the form that sshd writes.
    Form {
        /// The line.
        line: usize,
    },
    /// The key of a line cannot be read.
    Key {
        /// The line.
        line: usize,
        /// What is wrong with the key.
        error: KeyError,
    },
    /// The certificate of a line cannot be read.
    Certificate {
        /// The line.
        line: usize,
        /// What is wrong with the certificate.
        error: CertificateError,
    },
    /// The Kerberos principal of a line is not `NAME@REALM`.
    Principal {
        /// The line.
        line: usize,
    },
}

impl fmt::Display for AuthInfoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SSH_AUTH_INFO_0: ")?;
        match self {
            Self::TooLong => write!(f, "longer than {AUTH_INFO_MAX} bytes"),
            Self::TooManyMethods => write!(f, "more than {METHODS_MAX} methods"),
            Self::Unterminated => f.write_str("the last line has no end"),
            Self::Form { line } => write!(f, "line {line} is not of the form that sshd writes"),
            Self::Key { line, error } => write!(f, "line {line}: {error}"),
            Self::Certificate { line, error } => write!(f, "line {line}: {error}"),
            Self::Principal { line } => write!(f, "line {line}: the principal is not NAME@REALM"),
        }
    }
}

impl core::error::Error for AuthInfoError {}

/// Reads the value of `SSH_AUTH_INFO_0`. An empty text is no method, and no error.
///
/// # Errors
/// [`AuthInfoError`]: the first thing that sshd would not have written. The caller must deny.
pub fn parse_auth_info(text: &str) -> Result<Vec<Method>, AuthInfoError> {
    if text.len() > AUTH_INFO_MAX {
        return Err(AuthInfoError::TooLong);
    }
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let lines = text.strip_suffix('\n').ok_or(AuthInfoError::Unterminated)?;
    let mut methods = Vec::new();
    for (index, line) in lines.split('\n').enumerate() {
        if index == METHODS_MAX {
            return Err(AuthInfoError::TooManyMethods);
        }
        methods.push(parse_line(line, index + 1)?);
    }
    Ok(methods)
}

fn parse_line(text: &str, line: usize) -> Result<Method, AuthInfoError> {
    if text.chars().any(char::is_control) {
        return Err(AuthInfoError::Form { line });
    }
    let (method, rest) = match text.split_once(' ') {
        Some((method, rest)) => (method, Some(rest)),
        None => (text, None),
    };
    match (method, rest) {
        ("publickey", Some(rest)) => parse_key(rest, line),
        ("gssapi-with-mic" | "gssapi-keyex", Some(rest)) => parse_principal(rest, line),
        ("publickey" | "gssapi-with-mic" | "gssapi-keyex", None) => Err(AuthInfoError::Form { line }),
        (name, rest) if is_other(name, rest) => Ok(Method::Other { name: name.to_owned() }),
        _ => Err(AuthInfoError::Form { line }),
    }
}

fn parse_key(rest: &str, line: usize) -> Result<Method, AuthInfoError> {
    let (name, rest) = rest.split_once(' ').ok_or(AuthInfoError::Form { line })?;
    let (encoded, info) = match rest.split_once(' ') {
        Some((encoded, info)) => (encoded, Some(info)),
        None => (rest, None),
    };
    if name.is_empty() || encoded.is_empty() {
        return Err(AuthInfoError::Form { line });
    }
    let (method, counts) = if Certificate::is_certificate_type(name) {
        let certificate = Certificate::from_words(name, encoded)
            .map_err(|error| AuthInfoError::Certificate { line, error })?;
        let counts = certificate.is_security_key();
        (Method::Certificate(Box::new(certificate)), counts)
    } else {
        let key = PublicKey::from_words(name, encoded).map_err(|error| AuthInfoError::Key { line, error })?;
        let counts = key.algorithm.starts_with("sk-");
        (Method::PublicKey(key), counts)
    };
    match info {
        None => Ok(method),
        Some(info) if counts && is_signature_count(info) => Ok(method),
        Some(_) => Err(AuthInfoError::Form { line }),
    }
}

/// What sshd records beside a security key: `signature count = 7` (auth2-pubkey.c).
fn is_signature_count(info: &str) -> bool {
    let count = info.strip_prefix("signature count = ");
    count.is_some_and(|count| crate::id::parse_id(count.as_bytes()).is_some())
}

/// A principal names a person only together with its realm; the escapes of krb5_unparse_name(3) are refused, because
/// `a\@B@C` is one name to Kerberos and another to whoever compares texts.
fn parse_principal(rest: &str, line: usize) -> Result<Method, AuthInfoError> {
    let plain = rest.chars().all(|c| !c.is_whitespace() && c != '\\') && rest.len() <= PRINCIPAL_MAX;
    match rest.split_once('@') {
        Some((name, realm)) if plain && !name.is_empty() && !realm.is_empty() && !realm.contains('@') => {
            Ok(Method::Gssapi { principal: rest.to_owned() })
        }
        _ => Err(AuthInfoError::Principal { line }),
    }
}

fn is_other(name: &str, rest: Option<&str>) -> bool {
    let mut words = name.split('/');
    let (method, submethod) = (words.next(), words.next());
    let known_form = method.is_some_and(is_word) && submethod.is_none_or(is_word) && words.next().is_none();
    let evidence = matches!(method, Some("publickey" | "gssapi-with-mic" | "gssapi-keyex"));
    // A word and a second word: sshd writes exactly one blank between them.
    let rest_form = rest.is_none_or(|rest| !rest.is_empty() && !rest.starts_with(' '));
    known_form && !evidence && rest_form
}

/// A method's name (RFC 4251, section 6; submethods are PAM, BSD auth and the like).
fn is_word(word: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'@');
    !word.is_empty() && word.len() <= 64 && word.bytes().all(allowed)
}
