//! `bind` and its keys: as whom the servers are read.

use super::check::Check;
use super::directory::Tls;
use super::error::ConfigError;
use super::raw;
use super::servers::ServerSource;
use super::uri::DirectoryUri;
use core::net::IpAddr;
use core::ops::Range;
use std::format;
use std::path::PathBuf;
use std::string::String;
use toml::Spanned;

/// The keytab of a host, where every tool that joins a domain puts it.
const KEYTAB: &str = "/etc/krb5.keytab";

/// As whom to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bind {
    /// As nobody in particular.
    Anonymous,
    /// With a DN and a password.
    Simple {
        /// The DN.
        dn: String,
        /// The file whose first line is the password.
        password_file: PathBuf,
    },
    /// As the user that the daemon runs as (SASL EXTERNAL); only over `ldapi`.
    External,
    /// With Kerberos (SASL GSSAPI), by a key of a keytab; only over TLS.
    Gssapi {
        /// The keytab.
        keytab: PathBuf,
        /// Whose key of it, as `NAME@REALM`; without it, the host's own.
        principal: Option<String>,
    },
}

/// The keys as they are written.
pub(super) struct Written {
    pub(super) word: raw::Text,
    pub(super) dn: raw::Text,
    pub(super) password_file: raw::Text,
    pub(super) keytab: raw::Text,
    pub(super) principal: raw::Text,
}

#[derive(Clone, Copy, PartialEq)]
enum Word {
    Anonymous,
    Simple,
    External,
    Gssapi,
}

impl Written {
    /// What they mean together; `place` is where a missing key is told.
    pub(super) fn check(self, check: Check<'_>, place: Range<usize>) -> Result<Bind, ConfigError> {
        let words = [
            ("anonymous", Word::Anonymous),
            ("simple", Word::Simple),
            ("external", Word::External),
            ("gssapi", Word::Gssapi),
        ];
        let word = check.one_of(self.word, "bind", &words)?.unwrap_or(Word::Anonymous);
        let simple = self.dn.as_ref().or(self.password_file.as_ref()).map(Spanned::span);
        if let (Some(span), false) = (simple, word == Word::Simple) {
            let hint = "bind_dn and bind_password_file are only for bind = \"simple\"";
            return Err(check.0.error(span, hint));
        }
        let kerberos = self.keytab.as_ref().or(self.principal.as_ref()).map(Spanned::span);
        if let (Some(span), false) = (kerberos, word == Word::Gssapi) {
            return Err(check.0.error(span, "keytab and principal are only for bind = \"gssapi\""));
        }
        Ok(match word {
            Word::Anonymous => Bind::Anonymous,
            Word::External => Bind::External,
            Word::Simple => {
                let (Some(dn), Some(file)) = (check.filled(self.dn)?, self.password_file) else {
                    let hint = "bind = \"simple\" needs bind_dn and bind_password_file; an empty password is never sent";
                    return Err(check.0.error(place, hint));
                };
                Bind::Simple { dn, password_file: password_file(check, file)? }
            }
            Word::Gssapi => Bind::Gssapi {
                keytab: self.keytab.map_or_else(|| Ok(PathBuf::from(KEYTAB)), |path| check.path(path))?,
                principal: self.principal.map(|text| principal(check, text)).transpose()?,
            },
        })
    }
}

/// The path of a file. What stands here in its place may be the password itself, and this error goes to logs.
fn password_file(check: Check<'_>, text: Spanned<String>) -> Result<PathBuf, ConfigError> {
    if text.get_ref().starts_with('/') {
        return check.path(text);
    }
    let hint = "bind_password_file is not an absolute path (and is not repeated here, for it may be the password); \
                write the password into a file of root's with mode 0600, and the path of that file here";
    Err(check.0.error(text.span(), hint))
}

/// A name with its realm: the default realm of krb5.conf may be another one, or none.
fn principal(check: Check<'_>, text: Spanned<String>) -> Result<String, ConfigError> {
    let name = text.get_ref();
    let plain = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_graphic() && !b"@\\".contains(&byte))
    };
    match name.split_once('@') {
        Some((head, realm)) if plain(head) && plain(realm) && name.len() <= 256 => Ok(text.into_inner()),
        _ => {
            let hint = format!(
                "\"{}\" is no Kerberos principal; expected NAME@REALM, as `klist -k` prints it",
                name.escape_default()
            );
            Err(check.0.error(text.span(), hint))
        }
    }
}

/// Kerberos proves who asks, and protects nothing that is answered: that is left to TLS. And a ticket is for a name, not
/// for an address or a socket.
pub(super) fn fits(
    check: Check<'_>,
    tls: (Tls, Range<usize>),
    servers: (&ServerSource, Range<usize>),
) -> Result<(), ConfigError> {
    if tls.0 == Tls::Off {
        let hint = "bind = \"gssapi\" needs tls = \"ldaps\" or \"starttls\"; without TLS it is refused";
        return Err(check.0.error(tls.1, hint));
    }
    let ServerSource::Uris(uris) = servers.0 else {
        // DNS gives names.
        return Ok(());
    };
    for uri in uris {
        let fault = match uri {
            DirectoryUri::Ldapi { .. } => "does not go with bind = \"gssapi\"; use bind = \"external\"",
            DirectoryUri::Host { host, .. } if host.parse::<IpAddr>().is_ok() => {
                "bind = \"gssapi\" needs a host name in the place of the address, because tickets are for ldap/HOST"
            }
            DirectoryUri::Host { .. } => continue,
        };
        return Err(check.0.error(servers.1, format!("\"{uri}\": {fault}")));
    }
    Ok(())
}
