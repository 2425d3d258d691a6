//! Where entries come from. All sources give the same [`entry::Entry`] to the same mapping.
//!
//! Belongs here: reading a whole directory or nothing, and protecting this process from the server. Never here: what an
//! entry means.

mod connect;
pub mod dn;
pub mod entry;
mod error;
mod file;
pub mod guard;
mod ldap;
pub mod ldif;
mod pump;
pub mod shape;
#[cfg(test)]
mod tests;

pub use entry::Entry;
pub use error::FetchError;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;
use svcauth_core::config::{Config, DirectoryKind, LdapDirectory, Search};

/// Everything that one fetch found. It is complete: an incomplete list is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// The server or file that gave it.
    pub server: String,
    /// Entries that the search of `[accounts]` found.
    pub accounts: Vec<Entry>,
    /// Entries that the search of `[groups]` found.
    pub groups: Vec<Entry>,
    /// Entries that the search of `[people]` found.
    pub people: Vec<Entry>,
}

/// The three searches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Accounts,
    Groups,
    People,
}

/// Attributes that say that an entry is disabled, locked or expired. Operational ones must be asked for by name.
pub(crate) const STATE: [&str; 3] = ["shadowExpire", "nsAccountLock", "pwdAccountLockedTime"];

impl Kind {
    fn section(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Groups => "groups",
            Self::People => "people",
        }
    }
    fn search(self, config: &Config) -> &Search {
        match self {
            Self::Accounts => &config.accounts.search,
            Self::Groups => &config.groups.search,
            Self::People => &config.people.search,
        }
    }
    /// What a server is asked for.
    fn attributes(self, config: &Config) -> Vec<String> {
        let fixed: &[&str] = match self {
            Self::Accounts => &[
                "uid",
                "cn",
                "uidNumber",
                "gidNumber",
                "gecos",
                "homeDirectory",
                "loginShell",
                "memberOf",
            ],
            Self::Groups => &["cn", "gidNumber"],
            Self::People => &[],
        };
        let state: &[&str] = if self == Self::Groups { &[] } else { &STATE };
        let named: Vec<&String> = match self {
            Self::Accounts => Vec::new(),
            Self::Groups => config.groups.member.iter().collect(),
            Self::People => {
                let people = &config.people;
                std::iter::once(&people.login)
                    .chain(&people.ssh_key)
                    .chain(&people.principal)
                    .collect()
            }
        };
        let fixed = ["entryUUID"]
            .iter()
            .chain(fixed)
            .chain(state)
            .map(ToString::to_string);
        fixed.chain(named.into_iter().cloned()).collect()
    }
}

/// Reads the whole directory, blocking, and gives either everything or an error.
///
/// `secret` is the bind password (first line of `bind_password_file`, without its newline); it is used for
/// `bind = "simple"` only. The fetch ends at `deadline` at the latest, but for a file system that hangs.
///
/// # Errors
/// [`FetchError`]: which server or file, at which step, and why. The caller keeps the data that it has.
pub fn fetch(config: &Config, secret: Option<&str>, deadline: Instant) -> Result<Fetched, FetchError> {
    match &config.directory.kind {
        DirectoryKind::Ldif { file: path } => file::fetch(config, path),
        DirectoryKind::Ldap(ldap) => {
            // The library panics on what it does not expect; the guard should leave it no occasion to.
            catch_unwind(AssertUnwindSafe(|| fetch_ldap(config, ldap, secret, deadline)))
                .unwrap_or_else(|_| Err(FetchError::Internal("the LDAP library panicked".to_owned())))
        }
    }
}

fn fetch_ldap(
    config: &Config,
    ldap: &LdapDirectory,
    secret: Option<&str>,
    deadline: Instant,
) -> Result<Fetched, FetchError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| FetchError::Internal(error.to_string()))?;
    let work = async { tokio::time::timeout_at(deadline.into(), ldap::fetch(config, ldap, secret)).await };
    let result = runtime.block_on(work).unwrap_or(Err(FetchError::Deadline));
    // A name lookup that hangs in libc sits in a thread of the runtime; do not wait for it.
    runtime.shutdown_background();
    result
}
