//! Where entries come from. All sources give the same [`entry::Entry`] to the same mapping.
//!
//! Belongs here: reading a whole directory or nothing, and protecting this process from the server. Never here: what an
//! entry means.

mod ad;
#[cfg(test)]
mod ad_tests;
mod connect;
pub mod dn;
pub mod entry;
mod error;
mod file;
pub mod guard;
mod ldap;
pub mod ldif;
mod pump;
mod ranges;
pub(crate) mod schema;
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
    /// The entry of the domain, where there is one that may be read (Active Directory).
    pub domain: Option<Entry>,
}

/// Takes the entries one by one while they arrive, so that a large directory is never in memory as a whole.
///
/// Nothing that it was given counts unless the fetch ends well.
pub trait Sink {
    /// A server begins to answer: whatever another one gave before is to be forgotten.
    fn begin(&mut self);
    /// The entry of the domain, before all others, where there is one that may be read (Active Directory).
    fn domain(&mut self, entry: &Entry);
    /// An entry that this search found.
    fn take(&mut self, kind: Kind, entry: &Entry);
}

impl Sink for Fetched {
    fn begin(&mut self) {
        *self = Self::default();
    }
    fn domain(&mut self, entry: &Entry) {
        self.domain = Some(entry.clone());
    }
    fn take(&mut self, kind: Kind, entry: &Entry) {
        let list = match kind {
            Kind::Accounts => &mut self.accounts,
            Kind::Groups => &mut self.groups,
            Kind::People => &mut self.people,
        };
        list.push(entry.clone());
    }
}

/// The three searches, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// That of `[accounts]`.
    Accounts,
    /// That of `[groups]`.
    Groups,
    /// That of `[people]`.
    People,
}

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
}

/// Reads the whole directory, blocking, and gives either everything or an error.
///
/// # Errors
/// As [`fetch_into`].
pub fn fetch(config: &Config, secret: Option<&str>, deadline: Instant) -> Result<Fetched, FetchError> {
    let mut fetched = Fetched::default();
    fetched.server = fetch_into(config, secret, deadline, &mut fetched)?;
    Ok(fetched)
}

/// Reads the whole directory, blocking, entry by entry into `sink`, and gives the server or file that had it all.
///
/// `secret` is the bind password (first line of `bind_password_file`, without its newline); it is used for
/// `bind = "simple"` only. The fetch ends at `deadline` at the latest, but for a file system that hangs.
///
/// # Errors
/// [`FetchError`]: which server or file, at which step, and why. What the sink has is then worth nothing, and the caller
/// keeps the data of the last good fetch.
pub fn fetch_into(
    config: &Config,
    secret: Option<&str>,
    deadline: Instant,
    sink: &mut dyn Sink,
) -> Result<String, FetchError> {
    match &config.directory.kind {
        DirectoryKind::Ldif { file: path } => file::fetch(config, path, sink),
        DirectoryKind::Ldap(ldap) | DirectoryKind::Ad(ldap) => {
            // The library panics on what it does not expect; the guard should leave it no occasion to.
            catch_unwind(AssertUnwindSafe(|| fetch_ldap(config, ldap, secret, deadline, sink)))
                .unwrap_or_else(|_| Err(FetchError::Internal("the LDAP library panicked".to_owned())))
        }
    }
}

fn fetch_ldap(
    config: &Config,
    ldap: &LdapDirectory,
    secret: Option<&str>,
    deadline: Instant,
    sink: &mut dyn Sink,
) -> Result<String, FetchError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| FetchError::Internal(error.to_string()))?;
    let work =
        async { tokio::time::timeout_at(deadline.into(), ldap::fetch(config, ldap, secret, sink)).await };
    let result = runtime.block_on(work).unwrap_or(Err(FetchError::Deadline));
    // A name lookup that hangs in libc sits in a thread of the runtime; do not wait for it.
    runtime.shutdown_background();
    result
}
