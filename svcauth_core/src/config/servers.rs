//! `uris`, or `domain` and `site`: which servers there are.

use super::check::Check;
use super::directory::Tls;
use super::error::ConfigError;
use super::raw;
use super::uri::{self, DirectoryUri};
use core::ops::Range;
use std::format;
use std::string::String;
use std::vec::Vec;
use toml::Spanned;

/// Which servers there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerSource {
    /// These, in order of preference; at least one.
    Uris(Vec<DirectoryUri>),
    /// The controllers of an Active Directory domain, as DNS names them.
    Domain {
        /// The DNS name of the domain, in lower case, at least two labels.
        domain: String,
        /// The site of this host, in lower case; without it, a controller is asked.
        site: Option<String>,
    },
}

/// Of `uris` and `domain` one, and not both: it would not be clear which of them counts.
pub(super) fn check(
    check: Check<'_>,
    section: Range<usize>,
    (uris, domain, site): (raw::Texts, raw::Text, raw::Text),
    tls: Tls,
    kind: &str,
) -> Result<ServerSource, ConfigError> {
    let lower = |text: Spanned<String>| text.into_inner().to_ascii_lowercase();
    match (uris, domain) {
        (Some(_), Some(domain)) => {
            let hint = "uris and domain are two ways to say where the servers are; take one of them out";
            Err(check.0.error(domain.span(), hint))
        }
        (None, Some(domain)) => {
            if !uri::is_domain(domain.get_ref()) {
                let shown = domain.get_ref().escape_default();
                let hint =
                    format!("\"{shown}\" is no DNS name of a domain; expected one like \"example.com\"");
                return Err(check.0.error(domain.span(), hint));
            }
            if let Some(site) = site.as_ref().filter(|site| !uri::is_label(site.get_ref())) {
                let shown = site.get_ref().escape_default();
                let hint = format!("\"{shown}\" is no name of a site; use letters, digits and hyphens");
                return Err(check.0.error(site.span(), hint));
            }
            Ok(ServerSource::Domain { domain: lower(domain), site: site.map(lower) })
        }
        (uris, None) => {
            if let Some(site) = site {
                return Err(check.0.error(site.span(), "site has no meaning without domain; take it out"));
            }
            let or = if kind == "ad" { " or domain = \"example.com\"" } else { "" };
            let missing = format!("kind = \"{kind}\" needs uris = [\"ldaps://{kind}.example.com\"]{or}");
            let uris = uris.ok_or_else(|| check.0.error(section, missing))?;
            let empty = "the list of uris is empty; name at least one server";
            check.items(uris, empty, |text| uri(check, text, tls)).map(ServerSource::Uris)
        }
    }
}

fn uri(check: Check<'_>, text: Spanned<String>, tls: Tls) -> Result<DirectoryUri, ConfigError> {
    let shown = text.get_ref().escape_default();
    let Some(uri) = DirectoryUri::parse(text.get_ref()) else {
        let hint =
            "expected ldaps://HOST, ldap://HOST (with or without :PORT) or ldapi://%2Fpath%2Fto%2Fsocket";
        return Err(check.0.error(text.span(), format!("\"{shown}\" is no LDAP URI; {hint}")));
    };
    let DirectoryUri::Host { ldaps, .. } = &uri else {
        return Ok(uri);
    };
    let fault = match (ldaps, tls) {
        (true, Tls::Ldaps) | (false, Tls::StartTls) => return Ok(uri),
        (false, Tls::Off) if uri.is_local() => return Ok(uri),
        (false, Tls::Off) => {
            "tls = \"off\" is only for ldapi:// and loopback addresses; use \"ldaps\" or \"starttls\""
        }
        (false, Tls::Ldaps) => {
            "begins with ldap://, but tls is \"ldaps\"; write ldaps:// or set tls = \"starttls\""
        }
        (true, Tls::StartTls | Tls::Off) => {
            "begins with ldaps://, but tls is not \"ldaps\"; change one of the two"
        }
    };
    Err(check.0.error(text.span(), format!("\"{shown}\": {fault}")))
}
