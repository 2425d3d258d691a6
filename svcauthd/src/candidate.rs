//! What the worker makes of a directory: plain entries, already mapped and checked, not yet joined.
//!
//! They travel from the worker to the monitor as JSON, and the monitor believes none of it (`crate::state::recheck`).
//! DNs are normalised ([`crate::directory::dn::normalise`]), so that a member value and the entry it names are equal.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use svcauth_core::origin::Fingerprint;

/// All entries that a generation is to be made of. They are shared with the monitor's table: only what is changed on the
/// way to a state is copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidate {
    /// Managed accounts.
    pub accounts: Vec<Arc<AccountEntry>>,
    /// Groups, with a gid or without.
    pub groups: Vec<Arc<GroupEntry>>,
    /// People.
    pub people: Vec<Arc<PersonEntry>>,
    /// Entries, or values of entries, that were refused.
    pub refused: Vec<Refusal>,
}

impl Candidate {
    /// A candidate with these entries, none of them refused.
    #[must_use]
    pub fn of(accounts: Vec<AccountEntry>, groups: Vec<GroupEntry>, people: Vec<PersonEntry>) -> Self {
        Self {
            accounts: accounts.into_iter().map(Arc::new).collect(),
            groups: groups.into_iter().map(Arc::new).collect(),
            people: people.into_iter().map(Arc::new).collect(),
            refused: Vec::new(),
        }
    }
}

/// What every entry has: a name for ever, and the one it goes by now.
pub trait Named {
    /// The immutable id.
    fn id(&self) -> &str;
    /// The normalised DN.
    fn dn(&self) -> &str;
}

/// One managed account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountEntry {
    /// The immutable id: entryUUID, objectGUID, or the DN where a directory has neither.
    pub id: String,
    /// The normalised DN.
    pub dn: String,
    /// The account's name.
    pub name: String,
    /// Its uid.
    pub uid: u32,
    /// Its primary group.
    pub gid: u32,
    /// The comment field.
    pub gecos: String,
    /// The home directory.
    pub home: String,
    /// The login shell.
    pub shell: String,
    /// The values of `memberOf`: normalised DNs.
    pub member_of: Vec<String>,
    /// Disabled in the directory.
    pub disabled: bool,
    /// Seconds since 1970 from which on the account is expired.
    pub expires: Option<u64>,
    /// The id of the primary group, where an entry names it by number and no group lists the entry (Active Directory).
    pub primary: Option<String>,
    /// Seconds since 1970 until which the account is locked out; `u64::MAX`: until unlocked.
    pub locked_until: Option<u64>,
    /// The hosts that the entry names; `None`: nobody asked.
    pub hosts: Option<Vec<String>>,
}

/// One group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupEntry {
    /// The immutable id.
    pub id: String,
    /// The normalised DN.
    pub dn: String,
    /// The group's name.
    pub name: String,
    /// Its gid; `None`: a role that NSS does not show.
    pub gid: Option<u32>,
    /// Its members.
    pub members: Vec<Member>,
}

/// One member of a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Member {
    /// By normalised DN (rfc2307bis, Active Directory).
    Dn(String),
    /// By login name (RFC 2307, `memberUid`).
    Login(String),
}

/// One person, or one service that acts like one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonEntry {
    /// The immutable id.
    pub id: String,
    /// The normalised DN.
    pub dn: String,
    /// The login name.
    pub login: String,
    /// Fingerprints of the public keys, as `SHA256:...`.
    pub keys: Vec<String>,
    /// Kerberos principals, with realm.
    pub principals: Vec<String>,
    /// Disabled in the directory.
    pub disabled: bool,
    /// Seconds since 1970 from which on the person is expired.
    pub expires: Option<u64>,
    /// Seconds since 1970 until which the person is locked out; `u64::MAX`: until unlocked.
    pub locked_until: Option<u64>,
    /// The id of the primary group, as of an account.
    pub primary: Option<String>,
}

impl Named for AccountEntry {
    fn id(&self) -> &str {
        &self.id
    }
    fn dn(&self) -> &str {
        &self.dn
    }
}

impl Named for GroupEntry {
    fn id(&self) -> &str {
        &self.id
    }
    fn dn(&self) -> &str {
        &self.dn
    }
}

impl Named for PersonEntry {
    fn id(&self) -> &str {
        &self.id
    }
    fn dn(&self) -> &str {
        &self.dn
    }
}

impl PersonEntry {
    /// The fingerprints; a text that is none is left out.
    #[must_use]
    pub fn fingerprints(&self) -> Vec<Fingerprint> {
        self.keys.iter().filter_map(|text| text.parse().ok()).collect()
    }
}

/// An entry, or a value of one, that is not used, and why. Equal refusals are one alarm.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Refusal {
    /// The entry.
    pub dn: String,
    /// What about it: an attribute, a name, an id.
    pub what: String,
    /// Why, with foreign text escaped.
    pub why: String,
}
