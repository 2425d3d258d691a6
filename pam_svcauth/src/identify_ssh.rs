//! Who logged in by ssh: what sshd wrote into `SSH_AUTH_INFO_0`, held against the snapshot.
//!
//! All methods that the login completed are considered, and all must agree. A method that names nobody by itself
//! (password, keyboard-interactive) is no evidence and no contradiction.

use std::ffi::CStr;

use svcauth_core::origin::{
    AuthInfoError, Certificate, Evidence, Fingerprint, KeyIdTemplate, Method, parse_auth_info,
};
use svcauth_core::policy::{Policy, Reason};
use svcauth_core::snapshot::access::{AccessSnapshot, KnownPerson};
use svcauth_core::snapshot::{Invalid, ReadAt};

use crate::identify::{Identified, Proof, Who};

/// The person that every completed method names.
///
/// # Errors
/// When the snapshot is damaged.
pub(crate) fn by_auth_info<R: ReadAt>(
    snapshot: &AccessSnapshot<R>,
    policy: &Policy,
    info: Option<&CStr>,
) -> Result<Identified, Invalid> {
    let Some(Ok(text)) = info.map(CStr::to_str) else {
        let detail = "sshd did not say what the login proved (SSH_AUTH_INFO_0)".to_owned();
        return Ok(Identified::nobody_because(Reason::NoOrigin, detail));
    };
    let methods = match parse_auth_info(text) {
        Ok(methods) => methods,
        Err(error) => return Ok(unreadable(&error)),
    };
    let mut named = Vec::new();
    for method in &methods {
        if let Some(identified) = by_method(snapshot, policy, method)? {
            named.push(identified);
        }
    }
    Ok(agreed(named))
}

fn by_method<R: ReadAt>(
    snapshot: &AccessSnapshot<R>,
    policy: &Policy,
    method: &Method,
) -> Result<Option<Identified>, Invalid> {
    Ok(match method {
        Method::PublicKey(key) => Some(by_key(snapshot, &key.fingerprint())?),
        Method::Certificate(certificate) => Some(by_certificate(snapshot, policy, certificate)?),
        Method::Gssapi { principal } => Some(by_principal(snapshot, principal)?),
        Method::Other { .. } => None,
    })
}

fn by_key<R: ReadAt>(snapshot: &AccessSnapshot<R>, key: &Fingerprint) -> Result<Identified, Invalid> {
    let proof = Proof {
        evidence: Some(Evidence::PublicKey),
        key_fingerprint: Some(key.to_string()),
        ..Proof::default()
    };
    Ok(known_or(snapshot.person_by_key(key)?, Reason::UnknownKey, proof))
}

/// The key inside a certificate is not looked up: whose it is says nothing about whom the authority meant.
fn by_certificate<R: ReadAt>(
    snapshot: &AccessSnapshot<R>,
    policy: &Policy,
    certificate: &Certificate,
) -> Result<Identified, Invalid> {
    let mut proof = Proof {
        evidence: Some(Evidence::Certificate),
        key_fingerprint: Some(certificate.subject.to_string()),
        cert_key_id: Some(certificate.key_id.clone()),
        cert_serial: Some(certificate.serial),
        cert_ca: Some(certificate.ca.to_string()),
        ..Proof::default()
    };
    // An account can list an authority of its own in its authorized_keys, and sshd then accepts it.
    if !policy.trusted_ca.contains(&certificate.ca) {
        return Ok(Identified::nobody(Reason::UntrustedCa, proof));
    }
    proof.on_behalf_of = certificate.origin().map(str::to_owned);
    let template = policy.key_id.as_deref().and_then(|text| KeyIdTemplate::parse(text).ok());
    let login = template.as_ref().and_then(|template| template.login(&certificate.key_id));
    let known = match login {
        Some(login) => snapshot.person(login)?,
        None => None,
    };
    Ok(known_or(known, Reason::UnknownPrincipal, proof))
}

fn by_principal<R: ReadAt>(snapshot: &AccessSnapshot<R>, principal: &str) -> Result<Identified, Invalid> {
    let proof =
        Proof { evidence: Some(Evidence::Gssapi), principal: Some(principal.to_owned()), ..Proof::default() };
    let known = snapshot.person_by_principal(principal)?;
    Ok(known_or(known, Reason::UnknownPrincipal, proof))
}

fn known_or(known: Option<KnownPerson>, reason: Reason, proof: Proof) -> Identified {
    let who = known.map_or(Who::Nobody(reason), |known| Who::Person(Box::new(known.person)));
    Identified { who, proof }
}

/// One unknown proof spoils all; then all known ones must name the same person.
fn agreed(mut named: Vec<Identified>) -> Identified {
    if let Some(unknown) = named.iter().position(|one| matches!(one.who, Who::Nobody(_))) {
        return named.swap_remove(unknown);
    }
    let mut all = named.into_iter();
    let Some(mut first) = all.next() else {
        let detail = "the login proved nothing that names a person".to_owned();
        return Identified::nobody_because(Reason::NoOrigin, detail);
    };
    for other in all {
        if login(&other) != login(&first) {
            let detail = format!("the proofs name {} and {}", login(&first), login(&other));
            return Identified::nobody_because(Reason::AmbiguousOrigin, detail);
        }
        first.proof = merged(first.proof, other.proof);
    }
    first
}

fn login(identified: &Identified) -> &str {
    match &identified.who {
        Who::Person(person) => &person.login,
        Who::Root | Who::Local | Who::BesideSessions | Who::Nobody(_) => "",
    }
}

/// The first proof, with what only the second one tells.
fn merged(first: Proof, second: Proof) -> Proof {
    Proof {
        evidence: first.evidence.or(second.evidence),
        key_fingerprint: first.key_fingerprint.or(second.key_fingerprint),
        cert_key_id: first.cert_key_id.or(second.cert_key_id),
        cert_serial: first.cert_serial.or(second.cert_serial),
        cert_ca: first.cert_ca.or(second.cert_ca),
        principal: first.principal.or(second.principal),
        first_evidence: first.first_evidence.or(second.first_evidence),
        on_behalf_of: first.on_behalf_of.or(second.on_behalf_of),
        chain: first.chain.or(second.chain),
        detail: first.detail.or(second.detail),
    }
}

/// A text that sshd would not have written names nobody, and says which kind of proof it was.
fn unreadable(error: &AuthInfoError) -> Identified {
    let reason = match error {
        AuthInfoError::Key { .. } => Reason::UnknownKey,
        AuthInfoError::Certificate { .. } => Reason::UntrustedCa,
        AuthInfoError::Principal { .. } => Reason::UnknownPrincipal,
        AuthInfoError::TooLong
        | AuthInfoError::TooManyMethods
        | AuthInfoError::Unterminated
        | AuthInfoError::Form { .. } => Reason::NoOrigin,
    };
    Identified::nobody_because(reason, error.to_string())
}
