//! Keys that nobody answers for, and access that nobody uses.

use std::io;

use serde::Serialize;
use svcauth_core::origin::Fingerprint;
use svcauth_core::snapshot::access::KnownPerson;

use super::about::timestamp;
use super::access::{Inventory, Which, Wish};
use super::usage::Usage;

/// Seconds of a day.
const DAY: u64 = 86_400;

/// What a key in a local file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// It belongs to nobody in the directory, or to several: sshd takes it, and svcauth refuses it.
    Nobody,
    /// It belongs to somebody who may not use the account through sshd at this moment.
    NoAccess,
    /// It belongs to somebody who may.
    Owned,
    /// An authority that the configuration does not list: sshd takes its certificates, and svcauth refuses them.
    Authority,
    /// An authority that the configuration lists.
    TrustedAuthority,
}

impl KeyState {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::NoAccess => "no_access",
            Self::Owned => "owned",
            Self::Authority => "authority",
            Self::TrustedAuthority => "trusted_authority",
        }
    }

    /// What it means.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Nobody => "belongs to nobody in the directory",
            Self::NoAccess => "its owner may not use this account",
            Self::Owned => "its owner may use this account",
            Self::Authority => "an authority that the configuration does not trust",
            Self::TrustedAuthority => "an authority that the configuration trusts",
        }
    }
}

/// A key in a file that sshd reads for an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LocalKey {
    /// The account.
    pub account: String,
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
    /// The type of the key.
    #[serde(rename = "type")]
    pub key_type: String,
    /// Its fingerprint.
    pub fingerprint: String,
    /// What it is.
    pub state: KeyState,
    /// Whose it is.
    pub owner: Option<String>,
}

/// A file of which not everything is listed, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnreadFile {
    /// The account.
    pub account: String,
    /// The file.
    pub file: String,
    /// Why.
    pub why: String,
}

/// A key of the directory that was not used for long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnusedKey {
    /// Whose it is.
    pub person: String,
    /// Its fingerprint.
    pub fingerprint: String,
    /// When it was used last; `None`: never within what the audit trail covers.
    pub last_used: Option<String>,
}

/// Access that was never used within what the audit trail covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnusedAccess<'a> {
    /// The account.
    pub account: &'a str,
    /// The person.
    pub person: &'a str,
}

/// What the audit trail covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Covered {
    /// The time of the first record; `None`: there is no trail, and nothing is said about use.
    pub since: Option<String>,
    /// The time of the last one.
    pub until: Option<String>,
    /// How many records.
    pub records: u64,
    /// Lines that are no records.
    pub unreadable_lines: u64,
    /// Records that are missing between others.
    pub missing_records: u64,
}

/// How many of each there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Keys in local files.
    pub local_keys: usize,
    /// Those that belong to nobody.
    pub local_keys_of_nobody: usize,
    /// Authorities in local files.
    pub local_authorities: usize,
    /// Files of which not everything is listed.
    pub local_files_unread: usize,
    /// Keys of the directory that are not used.
    pub unused_keys: usize,
    /// Pairs of a person and an account that are not used.
    pub unused_access: u64,
}

/// What a report about keys is made of.
pub struct Keys<'a> {
    /// Keys in local files: by account, file and line.
    pub local: Vec<LocalKey>,
    /// Files that were not read as a whole.
    pub unread: Vec<UnreadFile>,
    /// Everybody, and who may use what.
    pub inventory: &'a Inventory<'a>,
    /// Everybody with their keys.
    pub people: &'a [KnownPerson],
    /// What the trail says.
    pub usage: &'a Usage,
    /// Lines of the trail that are no records.
    pub unreadable_lines: u64,
    /// Days after which a key counts as unused.
    pub days: u64,
    /// Seconds since 1970.
    pub now: u64,
}

impl Keys<'_> {
    /// What the audit trail covers.
    #[must_use]
    pub fn covered(&self) -> Covered {
        Covered {
            since: self.usage.since().map(timestamp),
            until: self.usage.until().map(timestamp),
            records: self.usage.records(),
            unreadable_lines: self.unreadable_lines,
            missing_records: self.usage.missing(),
        }
    }

    /// Keys of the directory that were not used for so many days, by person.
    #[must_use]
    pub fn unused_keys(&self) -> Vec<UnusedKey> {
        if self.usage.since().is_none() {
            return Vec::new();
        }
        let limit = self.now.saturating_sub(self.days.saturating_mul(DAY));
        let mut people: Vec<&KnownPerson> = self.people.iter().collect();
        people.sort_by(|a, b| a.person.login.cmp(&b.person.login));
        let keys = people.into_iter().flat_map(|known| known.keys.iter().map(move |key| (known, key)));
        let unused = |(known, key): (&KnownPerson, &Fingerprint)| {
            let fingerprint = key.to_string();
            let last_used = self.usage.key(&fingerprint);
            last_used.is_none_or(|time| time < limit).then(|| UnusedKey {
                person: known.person.login.clone(),
                fingerprint,
                last_used: last_used.map(timestamp),
            })
        };
        keys.filter_map(unused).collect()
    }

    /// Calls `each` for everybody who may use an account and never did, by account and person.
    ///
    /// # Errors
    /// The first that `each` returns.
    pub fn unused_access(&self, each: &mut dyn FnMut(&UnusedAccess<'_>) -> io::Result<()>) -> io::Result<()> {
        if self.usage.since().is_none() {
            return Ok(());
        }
        let mut last = (String::new(), String::new());
        self.inventory.visit(Which::Access, Wish::default(), &mut |grant| {
            let (account, person) = (grant.account.name.as_str(), grant.person.login.as_str());
            if (last.0.as_str(), last.1.as_str()) == (account, person) {
                return Ok(());
            }
            last = (account.to_owned(), person.to_owned());
            match self.usage.pair(account, person) {
                Some(_) => Ok(()),
                None => each(&UnusedAccess { account, person }),
            }
        })
    }

    /// The counts; those about use are made by whoever writes them.
    #[must_use]
    pub fn counts(&self, unused_keys: usize, unused_access: u64) -> Counts {
        let is = |state: KeyState| self.local.iter().filter(move |key| key.state == state).count();
        Counts {
            local_keys: self.local.len(),
            local_keys_of_nobody: is(KeyState::Nobody),
            local_authorities: is(KeyState::Authority) + is(KeyState::TrustedAuthority),
            local_files_unread: self.unread.len(),
            unused_keys,
            unused_access,
        }
    }
}
