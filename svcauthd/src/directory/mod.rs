//! Where entries come from. All sources give the same [`entry::Entry`] to the same mapping.
//!
//! Belongs here: reading a whole directory or nothing, and protecting this process from the server. Never here: what an
//! entry means.

mod ad;
#[cfg(test)]
mod ad_tests;
mod connect;
mod content_sync;
pub mod dn;
pub mod entry;
mod error;
mod file;
pub mod guard;
mod ldap;
pub mod ldif;
pub mod look;
mod mark;
mod pump;
mod ranges;
pub mod reach;
mod relist;
mod sasl;
#[cfg(test)]
mod sasl_tests;
pub(crate) mod schema;
#[cfg(test)]
mod scripted;
mod search;
pub mod shape;
mod source;
#[cfg(test)]
mod tests;
mod traffic;
mod usn;

pub use entry::Entry;
pub use error::FetchError;
pub use mark::{Mark, SyncMark, UsnMark};
pub use source::{Answer, Depth, Request, Source, Wake, readable};
pub use traffic::Traffic;

use serde::{Deserialize, Serialize};
use std::time::Instant;
use svcauth_core::config::{Config, Search};

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

/// What an answer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// Everything there is; whatever is not in it is not there.
    #[default]
    Whole,
    /// What is new, different or gone since the mark of the request.
    Changes,
}

/// Takes the entries one by one while they arrive, so that a large directory is never in memory as a whole.
///
/// Nothing that it was given counts unless the fetch ends well.
pub trait Sink {
    /// A server begins to answer: whatever another one gave before is to be forgotten.
    fn begin(&mut self, extent: Extent);
    /// The entry of the domain, before all others, where there is one that may be read (Active Directory).
    fn domain(&mut self, entry: &Entry);
    /// An entry that this search found. Among changes it takes the place of the one with the same id.
    fn take(&mut self, kind: Kind, entry: &Entry);
    /// Changes only: this search no longer finds the entries with these ids; unknown ones do not matter. The ids are those
    /// that the mapping gives to entries: entryUUID in lower case, or the SID as text.
    fn gone(&mut self, kind: Kind, ids: Vec<String>);
    /// Changes only: this search still finds the entries with these ids, and those that are taken, and no others. What
    /// several calls name adds up.
    fn present(&mut self, kind: Kind, ids: Vec<String>);
    /// Changes only: every group that has one of these DNs (as the directory writes them) as a member was taken in this
    /// answer, so that no other group has it.
    fn relisted(&mut self, dns: Vec<String>);
}

impl Sink for Fetched {
    fn begin(&mut self, _: Extent) {
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
    fn gone(&mut self, _: Kind, _: Vec<String>) {}
    fn present(&mut self, _: Kind, _: Vec<String>) {}
    fn relisted(&mut self, _: Vec<String>) {}
}

/// The three searches, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// That of `[accounts]`.
    Accounts,
    /// That of `[groups]`.
    Groups,
    /// That of `[people]`.
    People,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Accounts, Self::Groups, Self::People];

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
/// As [`Source::fetch`].
pub fn fetch(config: &Config, secret: Option<&str>, deadline: Instant) -> Result<Fetched, FetchError> {
    let mut fetched = Fetched::default();
    let request = Request { config, secret, deadline, since: None, depth: Depth::Whole };
    fetched.server = Source::default().fetch(&request, &mut fetched)?.server;
    Ok(fetched)
}
