//! The configuration file `/etc/svcauth/svcauth.toml`, read and checked as a whole.
//!
//! Belongs here: what the keys are, what they mean, which values make no sense and how to say so. Never here: opening
//! the file, or any file that it names.

mod access;
mod audit;
mod bind;
mod check;
mod directory;
mod duration;
mod entries;
mod error;
mod filter;
mod id_map;
mod limits;
mod raw;
mod servers;
mod sessions;
#[cfg(test)]
mod tests;
mod uri;

pub use access::{WrittenRoles, WrittenRule};
pub use audit::Audit;
pub use bind::Bind;
pub use directory::{Changes, Directory, DirectoryKind, LdapDirectory, Tls};
pub use entries::{Accounts, Groups, People, Search};
pub use error::{ConfigError, nearest};
pub use filter::{Filter, FilterError};
pub use servers::ServerSource;
pub use sessions::{OnRevoke, Sessions};
pub use uri::DirectoryUri;

use crate::id::IdRange;
use crate::origin::KeyIdTemplate;
use crate::policy::AuditMode;
use check::Check;
use core::time::Duration;
use error::Source;
use std::path::PathBuf;
use std::string::{String, ToString};
use std::vec::Vec;

/// Where the file is. Nothing is taken from the environment.
pub const CONFIG_PATH: &str = "/etc/svcauth/svcauth.toml";

/// The whole configuration, every value checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where the entries come from, and when they are fetched again.
    pub directory: Directory,
    /// Which entries are managed accounts, and how they become passwd entries.
    pub accounts: Accounts,
    /// Which entries are groups and roles.
    pub groups: Groups,
    /// Which entries are people.
    pub people: People,
    /// Whose certificates are evidence.
    pub certificates: Certificates,
    /// How old the data may be, and what happens when a decision cannot be logged.
    pub limits: Limits,
    /// What happens to a session that would not be opened again.
    pub sessions: Sessions,
    /// How large the audit file becomes, and how much of a flood is kept.
    pub audit: Audit,
    /// Who may use which account, in the order of the file; at least one.
    pub access: Vec<WrittenRule>,
}

/// Whose certificates are evidence, and how they name a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificates {
    /// Files with public keys of certificate authorities, one per line.
    pub trusted_ca: Vec<PathBuf>,
    /// How a certificate's key id names a person.
    pub key_id: KeyIdTemplate,
}

/// How old the data may be, and what happens when a decision cannot be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Age of the snapshot beyond which managed accounts are refused.
    pub max_stale: Duration,
    /// Whether a decision that cannot be recorded is a denial.
    pub audit: AuditMode,
}

/// What alone decides whether an account is managed when there is no usable snapshot: static, root-owned data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Managed {
    /// Uids of managed accounts.
    pub id_range: IdRange,
    /// Accounts of `/etc/passwd` that are managed too.
    pub local_accounts: Vec<String>,
}

impl Managed {
    /// Whether the account is managed. Root never is.
    #[must_use]
    pub fn covers(&self, name: &str, uid: u32) -> bool {
        uid != 0 && (self.id_range.contains(uid) || self.local_accounts.iter().any(|local| local == name))
    }
}

impl Config {
    /// Reads and checks the text of `svcauth.toml`.
    ///
    /// # Errors
    /// The first fault, with its line and column and the next step; [`ConfigError::with_path`] adds the file.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let source = Source(text);
        let check = Check(source);
        let file: raw::File = toml::from_str(text).map_err(|error| source.toml_error(&error))?;
        let directory = directory::check(check, file.directory)?;
        let search = entries::Searches::of(&directory);
        let config = Self {
            accounts: entries::accounts(check, search, file.accounts)?,
            groups: entries::groups(check, search, file.groups)?,
            people: entries::people(check, search, file.people)?,
            certificates: certificates(check, file.certificates)?,
            limits: limits(check, &directory, file.limits)?,
            sessions: sessions::check(check, file.sessions)?,
            audit: audit::check(check, file.audit)?,
            access: file
                .access
                .into_iter()
                .map(|rule| access::check(check, rule))
                .collect::<Result<_, _>>()?,
            directory,
        };
        if config.access.is_empty() {
            let hint = "no [[access]] rule: nobody could use any account; add one with accounts and roles";
            return Err(source.error(text.len()..text.len(), hint));
        }
        Ok(config)
    }

    /// What the PAM module asks when no snapshot is usable.
    #[must_use]
    pub fn managed(&self) -> Managed {
        Managed { id_range: self.accounts.id_range, local_accounts: self.accounts.local_accounts.clone() }
    }
}

fn certificates(check: Check<'_>, raw: raw::Certificates) -> Result<Certificates, ConfigError> {
    let trusted_ca = raw.trusted_ca.map_or_else(
        || Ok(Vec::new()),
        |list| list.into_inner().into_iter().map(|path| check.path(path)).collect(),
    )?;
    let span = raw.key_id.as_ref().map_or(0..0, toml::Spanned::span);
    let key_id = check.filled(raw.key_id)?;
    let key_id = KeyIdTemplate::parse(key_id.as_deref().unwrap_or("{login}"))
        .map_err(|error| check.0.error(span, error.to_string()))?;
    Ok(Certificates { trusted_ca, key_id })
}

fn limits(check: Check<'_>, directory: &Directory, raw: raw::Limits) -> Result<Limits, ConfigError> {
    let span = raw.max_stale.as_ref().map_or(0..0, toml::Spanned::span);
    let max_stale = check.duration(raw.max_stale, Duration::from_secs(86_400))?;
    if max_stale < directory.refresh {
        let hint = "max_stale is shorter than refresh: every account would be refused between two refreshes";
        return Err(check.0.error(span, hint));
    }
    let words = [("required", AuditMode::Required), ("best_effort", AuditMode::BestEffort)];
    let audit = check.one_of(raw.audit, "audit", &words)?.unwrap_or(AuditMode::Required);
    Ok(Limits { max_stale, audit })
}
