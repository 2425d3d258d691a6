//! An entry as a person: who they are, and what proves it.

use super::ad::Lockout;
use super::values::{identity, name, one};
use super::{Fault, ad, state};
use crate::candidate::PersonEntry;
use crate::directory::Entry;
use svcauth_core::config::Config;
use svcauth_core::name::check_login;
use svcauth_core::origin::PublicKey;

/// Longest Kerberos principal in bytes.
const PRINCIPAL_MAX: usize = 256;

pub(super) fn read(
    entry: &Entry,
    config: &Config,
    lockout: Lockout,
    odd: &mut Vec<Fault>,
) -> Result<PersonEntry, Fault> {
    let (id, dn) = identity(entry, config)?;
    let state = state::read(entry, config, lockout)?;
    let is_ad = config.directory.kind.is_ad();
    let primary = if is_ad { ad::primary(entry, &id)? } else { None };
    let config = &config.people;
    let login = name(entry, &dn, &config.login, check_login)?;
    let mut principals = principals(entry, &config.principal, odd);
    // In Active Directory the attribute is one of two names; whoever leaves it out wants none of them.
    if is_ad && config.principal.iter().any(|name| name.eq_ignore_ascii_case("userPrincipalName")) {
        principals.extend(implicit(entry, &dn));
        principals.sort_unstable();
        principals.dedup();
    }
    Ok(PersonEntry {
        id,
        dn,
        login,
        keys: keys(entry, &config.ssh_key, odd),
        principals,
        disabled: state.disabled,
        expires: state.expires,
        locked_until: state.locked_until,
        primary,
    })
}

/// The fingerprints of the keys, each once. A bad one is told and left out: it must not hide the good ones.
fn keys(entry: &Entry, attributes: &[String], odd: &mut Vec<Fault>) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    for attribute in attributes {
        let values = entry.values(&attribute.to_ascii_lowercase()).iter();
        for value in values.filter(|value| is_meant_as_key(attribute, value)) {
            let parsed = std::str::from_utf8(value).map_err(|_| "is not UTF-8".to_owned());
            match parsed.and_then(|text| PublicKey::parse(text).map_err(|error| error.to_string())) {
                Err(why) => odd.push(Fault::of(attribute, value, why)),
                Ok(key) => {
                    let key = key.fingerprint().to_string();
                    if !keys.contains(&key) {
                        keys.push(key);
                    }
                }
            }
        }
    }
    keys
}

/// `altSecurityIdentities` holds X.509 and Kerberos names as well; only `SSHKey:` values are keys.
fn is_meant_as_key(attribute: &str, value: &[u8]) -> bool {
    !attribute.eq_ignore_ascii_case("altSecurityIdentities")
        || value.trim_ascii().get(..7).is_some_and(|prefix| prefix.eq_ignore_ascii_case(b"SSHKey:"))
}

/// The principals, each once; always with their realm, because a bare name would be anybody's.
fn principals(entry: &Entry, attributes: &[String], odd: &mut Vec<Fault>) -> Vec<String> {
    let mut principals = Vec::new();
    for attribute in attributes {
        for value in entry.values(&attribute.to_ascii_lowercase()) {
            match principal(value) {
                Some(principal) => principals.push(principal),
                None => odd.push(Fault::of(attribute, value, "expected NAME@REALM")),
            }
        }
    }
    principals.sort_unstable();
    principals.dedup();
    principals
}

/// The name that the domain gives without being asked; none with characters that Kerberos would escape.
fn implicit(entry: &Entry, dn: &str) -> Option<String> {
    let name = std::str::from_utf8(one(entry, "sAMAccountName").ok()??).ok()?;
    principal(ad::principal(name, dn)?.as_bytes()).filter(|_| !name.contains(['@', '/']))
}

fn principal(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    let (name, realm) = text.rsplit_once('@')?;
    let plain =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    (value.len() <= PRINCIPAL_MAX && plain(name) && plain(realm)).then(|| text.to_owned())
}
