//! The address of one LDAP server: `ldaps://HOST`, `ldap://HOST:PORT` or `ldapi://%2Fpath%2Fto%2Fsocket`.

use core::fmt;
use core::net::IpAddr;
use std::path::PathBuf;
use std::string::{String, ToString};
use std::vec::Vec;

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectoryUri {
    /// A socket in the file system.
    Ldapi {
        /// Its path.
        path: PathBuf,
    },
    /// A host.
    Host {
        /// Name or address, without brackets; what the certificate must name.
        host: String,
        /// TCP port; 636 for `ldaps`, 389 for `ldap` unless the URI names one.
        port: u16,
        /// Whether the URI says `ldaps`.
        ldaps: bool,
    },
}

impl DirectoryUri {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if scheme == "ldapi" {
            let path = percent_decoded(rest)?;
            return path.starts_with('/').then(|| Self::Ldapi { path: PathBuf::from(path) });
        }
        let ldaps = match scheme {
            "ldaps" => true,
            "ldap" => false,
            _ => return None,
        };
        let (host, port) = host_and_port(rest)?;
        let port = match port {
            None => {
                if ldaps {
                    636
                } else {
                    389
                }
            }
            Some(digits) => {
                u16::try_from(crate::id::parse_id(digits.as_bytes())?).ok().filter(|port| *port > 0)?
            }
        };
        Some(Self::Host { host: host.to_string(), port, ldaps })
    }

    /// Whether bytes on the way to this server never leave the host.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Ldapi { .. } => true,
            Self::Host { host, .. } => {
                host == "localhost"
                    || host.parse::<IpAddr>().is_ok_and(|addr| addr.to_canonical().is_loopback())
            }
        }
    }
}

impl fmt::Display for DirectoryUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ldapi { path } => write!(f, "ldapi://{}", path.display()),
            Self::Host { host, port, ldaps } => {
                let scheme = if *ldaps { "ldaps" } else { "ldap" };
                let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
                write!(f, "{scheme}://{open}{host}{close}:{port}")
            }
        }
    }
}

fn host_and_port(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        host.parse::<core::net::Ipv6Addr>().ok()?;
        return if rest.is_empty() {
            Some((host, None))
        } else {
            Some((host, Some(rest.strip_prefix(':')?)))
        };
    }
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let ok = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    (!host.is_empty() && host.bytes().all(ok)).then_some((host, port))
}

/// Whether a text is the DNS name of a domain, short enough that the names of its services fit before it.
pub(super) fn is_domain(text: &str) -> bool {
    text.len() <= 150 && text.contains('.') && text.split('.').all(is_label) && !ends_in_number(text)
}

/// Whether a text may be one label of a DNS name.
pub(super) fn is_label(text: &str) -> bool {
    let ok = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    (1..=63).contains(&text.len()) && text.bytes().all(ok) && !text.starts_with('-') && !text.ends_with('-')
}

/// Then it is an address, or would be taken for one.
fn ends_in_number(text: &str) -> bool {
    text.rsplit('.').next().is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()))
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(2)?;
        let digits =
            core::str::from_utf8(digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok().filter(|byte| *byte != 0)?);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}
