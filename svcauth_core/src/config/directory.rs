//! `[directory]`: where the entries come from, how safe the way is, and when they are fetched again.

use super::bind::{self, Bind};
use super::check::Check;
use super::error::ConfigError;
use super::raw;
use super::servers::{self, ServerSource};
use super::uri::DirectoryUri;
use core::ops::Range;
use core::time::Duration;
use std::boxed::Box;
use std::format;
use std::path::PathBuf;
use toml::Spanned;

/// Where the entries come from, and when they are fetched again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// The sort of directory and how to reach it.
    pub kind: DirectoryKind,
    /// Time between two fetches where the server cannot push; at least one second.
    pub refresh: Duration,
    /// Time between two complete fetches; at least `refresh`.
    pub full_refresh: Duration,
    /// Longest wait for one answer of the server.
    pub timeout: Duration,
    /// How long a lockout lasts where the entry only says when it began (`pwdLockoutDuration`); `None`: until the
    /// directory takes it back.
    pub lockout_duration: Option<Duration>,
}

/// The sort of directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectoryKind {
    /// One LDIF file.
    Ldif {
        /// Its path.
        file: PathBuf,
    },
    /// An LDAP server with an RFC 2307 or rfc2307bis schema.
    Ldap(Box<LdapDirectory>),
    /// Active Directory or Samba: always with a password or a key, always over TLS.
    Ad(Box<LdapDirectory>),
}

impl DirectoryKind {
    /// The value of `kind` in the file.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Ldif { .. } => "ldif",
            Self::Ldap(_) => "ldap",
            Self::Ad(_) => "ad",
        }
    }

    /// How to reach the server, where there is one.
    #[must_use]
    pub fn server(&self) -> Option<&LdapDirectory> {
        match self {
            Self::Ldif { .. } => None,
            Self::Ldap(server) | Self::Ad(server) => Some(server),
        }
    }

    /// Whether entries have the schema of Active Directory.
    #[must_use]
    pub const fn is_ad(&self) -> bool {
        matches!(self, Self::Ad(_))
    }
}

/// How to reach an LDAP server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LdapDirectory {
    /// Which servers there are, or how they are found.
    pub servers: ServerSource,
    /// As whom to read.
    pub bind: Bind,
    /// How the way is protected; has no bearing on `ldapi` URIs.
    pub tls: Tls,
    /// The only certificate authorities that count; without it, those of the system.
    pub ca_file: Option<PathBuf>,
    /// How changes are learnt from a server that offers content synchronisation (RFC 4533).
    pub changes: Changes,
}

impl LdapDirectory {
    /// The domain whose controllers DNS names, and this host's site in it if the configuration says it.
    #[must_use]
    pub fn domain(&self) -> Option<(&str, Option<&str>)> {
        match &self.servers {
            ServerSource::Uris(_) => None,
            ServerSource::Domain { domain, site } => Some((domain, site.as_deref())),
        }
    }
}

/// How changes are learnt from a server that offers content synchronisation (RFC 4533); every other one is asked for
/// everything at every refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changes {
    /// The connection stays, and the server tells of each change at once.
    Push,
    /// At every refresh the server is asked for what has changed; no connection stays.
    Poll,
    /// At every refresh everything is read.
    Off,
}

/// How the way to the server is protected. Certificate and host name are checked in both cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// TLS from the first byte.
    Ldaps,
    /// StartTLS, before anything else is said.
    StartTls,
    /// Not at all: only for `ldapi` and loopback addresses.
    Off,
}

#[derive(Clone, Copy)]
enum Kind {
    Ldif,
    Ldap,
    Ad,
}

pub(super) fn check(check: Check<'_>, raw: Spanned<raw::Directory>) -> Result<Directory, ConfigError> {
    let section = raw.span();
    let mut raw = raw.into_inner();
    let refresh_span = raw.full_refresh.as_ref().or(raw.refresh.as_ref()).map_or(0..0, Spanned::span);
    let refresh = check.duration(raw.refresh.take(), Duration::from_secs(15))?;
    let full_refresh = check.duration(raw.full_refresh.take(), Duration::from_secs(6 * 3600))?;
    if full_refresh < refresh {
        return Err(check
            .0
            .error(refresh_span, "full_refresh is shorter than refresh; make it at least as long"));
    }
    let timeout = check.duration(raw.timeout.take(), Duration::from_secs(30))?;
    let lockout = raw.lockout_duration.take();
    let lockout_place = lockout.as_ref().map(Spanned::span);
    let lockout_duration = lockout.map(|text| check.duration(Some(text), Duration::ZERO)).transpose()?;
    let kind = kind(check, section, raw)?;
    if let (Some(span), true) = (lockout_place, kind.is_ad()) {
        let hint = "lockout_duration has no meaning with kind = \"ad\": the domain says it; take it out";
        return Err(check.0.error(span, hint));
    }
    Ok(Directory { kind, refresh, full_refresh, timeout, lockout_duration })
}

fn kind(
    check: Check<'_>,
    section: Range<usize>,
    mut raw: raw::Directory,
) -> Result<DirectoryKind, ConfigError> {
    let span = raw.kind.as_ref().map_or_else(|| section.clone(), Spanned::span);
    let kinds = [("ldif", Kind::Ldif), ("ldap", Kind::Ldap), ("ad", Kind::Ad)];
    match check.one_of(raw.kind.take(), "kind", &kinds)? {
        None => {
            let hint = "[directory] has no kind; add kind = \"ldif\", kind = \"ldap\" or kind = \"ad\"";
            Err(check.0.error(span, hint))
        }
        Some(Kind::Ad) => {
            refuse(check, "ad", spans([("file", raw.file.take())]))?;
            Ok(DirectoryKind::Ad(Box::new(ad(check, section, raw)?)))
        }
        Some(Kind::Ldif) => {
            let foreign = [
                ("bind", raw.bind),
                ("bind_dn", raw.bind_dn),
                ("bind_password_file", raw.bind_password_file),
                ("keytab", raw.keytab),
                ("principal", raw.principal),
                ("tls", raw.tls),
                ("changes", raw.changes),
                ("ca_file", raw.ca_file),
                ("domain", raw.domain),
                ("site", raw.site),
            ];
            let uris = raw.uris.map(|uris| ("uris", uris.span()));
            refuse(check, "ldif", uris.into_iter().chain(spans(foreign)))?;
            let default = || Ok(PathBuf::from("/etc/svcauth/directory.ldif"));
            Ok(DirectoryKind::Ldif { file: raw.file.map_or_else(default, |path| check.path(path))? })
        }
        Some(Kind::Ldap) => {
            let foreign =
                [("file", raw.file.take()), ("domain", raw.domain.take()), ("site", raw.site.take())];
            refuse(check, "ldap", spans(foreign))?;
            Ok(DirectoryKind::Ldap(Box::new(ldap(check, section, raw, "ldap")?)))
        }
    }
}

fn spans<const N: usize>(
    keys: [(&'static str, raw::Text); N],
) -> impl Iterator<Item = (&'static str, Range<usize>)> {
    keys.into_iter().filter_map(|(key, value)| Some((key, value?.span())))
}

/// A key that means nothing for this kind would be a setting that silently does nothing.
fn refuse(
    check: Check<'_>,
    kind: &str,
    mut keys: impl Iterator<Item = (&'static str, Range<usize>)>,
) -> Result<(), ConfigError> {
    keys.next().map_or(Ok(()), |(key, span)| {
        Err(check.0.error(span, format!("{key} has no meaning with kind = \"{kind}\"; take it out")))
    })
}

/// What an LDAP server is, but for what a controller never takes: a bind as nobody or by `ldapi`'s peer, and passwords in
/// the clear.
fn ad(
    check: Check<'_>,
    section: Range<usize>,
    mut raw: raw::Directory,
) -> Result<LdapDirectory, ConfigError> {
    if let Some(changes) = raw.changes.take() {
        let hint = "changes has no meaning with kind = \"ad\": controllers are always asked for changes; take it out";
        return Err(check.0.error(changes.span(), hint));
    }
    let place = |key: &raw::Text| key.as_ref().map_or_else(|| section.clone(), Spanned::span);
    let (bind, tls) = (place(&raw.bind), place(&raw.tls));
    let server = ldap(check, section.clone(), raw, "ad")?;
    if server.tls == Tls::Off {
        return Err(check.0.error(tls, "kind = \"ad\" needs tls = \"ldaps\" or \"starttls\""));
    }
    if !matches!(server.bind, Bind::Simple { .. } | Bind::Gssapi { .. }) {
        let hint =
            "kind = \"ad\" needs bind = \"simple\" with bind_dn and bind_password_file, or bind = \"gssapi\"";
        return Err(check.0.error(bind, hint));
    }
    Ok(server)
}

fn ldap(
    check: Check<'_>,
    section: Range<usize>,
    raw: raw::Directory,
    kind: &str,
) -> Result<LdapDirectory, ConfigError> {
    let words = [("ldaps", Tls::Ldaps), ("starttls", Tls::StartTls), ("off", Tls::Off)];
    let tls_span = raw.tls.as_ref().map_or_else(|| section.clone(), Spanned::span);
    let tls = check.one_of(raw.tls, "tls", &words)?.unwrap_or(Tls::Ldaps);
    let uris_span = raw.uris.as_ref().map_or_else(|| section.clone(), Spanned::span);
    let servers = servers::check(check, section.clone(), (raw.uris, raw.domain, raw.site), tls, kind)?;
    let bind_span = raw.bind.as_ref().map_or(section, Spanned::span);
    let written = bind::Written {
        word: raw.bind,
        dn: raw.bind_dn,
        password_file: raw.bind_password_file,
        keytab: raw.keytab,
        principal: raw.principal,
    };
    let bind = written.check(check, bind_span.clone())?;
    if matches!(bind, Bind::Gssapi { .. }) {
        bind::fits(check, (tls, tls_span), (&servers, uris_span))?;
    }
    let is_ldapi = |uri: &DirectoryUri| matches!(uri, DirectoryUri::Ldapi { .. });
    let all_ldapi = matches!(&servers, ServerSource::Uris(uris) if uris.iter().all(is_ldapi));
    if bind == Bind::External && !all_ldapi {
        let hint = "bind = \"external\" needs ldapi:// in every one of the uris";
        return Err(check.0.error(bind_span, hint));
    }
    if let (Some(ca_file), true) = (&raw.ca_file, tls == Tls::Off || all_ldapi) {
        return Err(check
            .0
            .error(ca_file.span(), "ca_file has no effect, because no connection uses TLS; take it out"));
    }
    let ca_file = raw.ca_file.map(|path| check.path(path)).transpose()?;
    let words = [("push", Changes::Push), ("poll", Changes::Poll), ("off", Changes::Off)];
    let changes = check.one_of(raw.changes, "changes", &words)?.unwrap_or(Changes::Push);
    Ok(LdapDirectory { servers, bind, tls, ca_file, changes })
}
