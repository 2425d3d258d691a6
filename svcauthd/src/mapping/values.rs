//! Values of an entry: how many there may be, and what they may look like.

use super::{Fault, ad};
use crate::directory::{Entry, dn};
use svcauth_core::config::Config;
use svcauth_core::name::{NameError, check_field};

/// Longest text field of a passwd entry in bytes.
const FIELD_MAX: usize = 256;

/// The entry's immutable id, and its DN in normal form.
pub(super) fn identity(entry: &Entry, config: &Config) -> Result<(String, String), Fault> {
    let normal =
        dn::normalise(&entry.dn).ok_or_else(|| Fault::new("dn", "cannot be read as a DN (RFC 4514)"))?;
    if config.directory.kind.is_ad() {
        return Ok((ad::id(entry)?, normal));
    }
    Ok((entry.id.clone().unwrap_or_else(|| normal.clone()), normal))
}

/// The one value of an attribute, if there is one.
pub(super) fn one<'e>(entry: &'e Entry, name: &str) -> Result<Option<&'e [u8]>, Fault> {
    match entry.values(&name.to_ascii_lowercase()) {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        several => Err(Fault::new(name, format!("has {} values; one is expected", several.len()))),
    }
}

/// The one value of an attribute that must be there.
pub(super) fn required<'e>(entry: &'e Entry, name: &str) -> Result<&'e [u8], Fault> {
    one(entry, name)?.ok_or_else(|| Fault::new(name, "is missing"))
}

/// The name of an entry: its one value, or among several the one that its DN (in normal form) begins with.
pub(super) fn name(
    entry: &Entry,
    normal: &str,
    name: &str,
    check: impl Fn(&[u8]) -> Result<(), NameError>,
) -> Result<String, Fault> {
    let lower = name.to_ascii_lowercase();
    let value = match entry.values(&lower) {
        several @ [_, _, ..] => {
            let naming = dn::rdn_value(normal, &lower);
            let same = |value: &&Vec<u8>| {
                std::str::from_utf8(value).is_ok_and(|text| Some(text.to_lowercase()) == naming)
            };
            several.iter().find(same).map(Vec::as_slice).map_or_else(|| required(entry, name), Ok)?
        }
        _ => required(entry, name)?,
    };
    check(value).map_err(|error| Fault::of(name, value, error))?;
    // The checks let only ASCII pass.
    Ok(String::from_utf8_lossy(value).into_owned())
}

/// A text field of passwd, if there is one that is not empty.
pub(super) fn field(entry: &Entry, name: &str) -> Result<Option<String>, Fault> {
    let Some(value) = one(entry, name)?.filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    check_field(value, FIELD_MAX)
        .map_err(|error| Fault::of(name, value, format!("cannot stand in a passwd entry: {error}")))?;
    Ok(Some(String::from_utf8_lossy(value).into_owned()))
}

/// An absolute path below `/` without `.` and `..`, if there is one.
pub(super) fn path(entry: &Entry, name: &str) -> Result<Option<String>, Fault> {
    let Some(path) = field(entry, name)? else {
        return Ok(None);
    };
    let ok = path.starts_with('/')
        && path.bytes().any(|byte| byte != b'/')
        && path.split('/').all(|part| !matches!(part, "." | ".."));
    if ok {
        Ok(Some(path))
    } else {
        Err(Fault::of(name, path.as_bytes(), "expected an absolute path below /, without . and .."))
    }
}

/// DNs in normal form, each once.
pub(super) fn dns(entry: &Entry, name: &str) -> Result<Vec<String>, Fault> {
    let mut dns = Vec::new();
    for value in entry.values(&name.to_ascii_lowercase()) {
        dns.push(dn_of(value).ok_or_else(|| Fault::of(name, value, "cannot be read as a DN"))?);
    }
    dns.sort_unstable();
    dns.dedup();
    Ok(dns)
}

/// The DN in a value, in normal form.
pub(super) fn dn_of(value: &[u8]) -> Option<String> {
    dn::normalise(std::str::from_utf8(value).ok()?)
}
