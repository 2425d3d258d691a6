//! What the directory said last, entry by entry: the monitor's own copy, kept up to date by whole answers and by changes.
//!
//! Belongs here: putting an answer into effect, all of it or nothing, so that the table is what a whole fetch would give.
//! Never here: which entries may be published, and what they mean for anybody.

mod apply;
mod shelf;
mod staged;
#[cfg(test)]
mod tests;

pub use shelf::Shelf;
pub use staged::Staged;

use self::staged::Refusals;
use crate::candidate::{AccountEntry, Candidate, GroupEntry, PersonEntry};

/// All entries of the directory that count, and what is wrong with those that do not.
#[derive(Clone, Debug, Default)]
pub struct Table {
    accounts: Shelf<AccountEntry>,
    groups: Shelf<GroupEntry>,
    people: Shelf<PersonEntry>,
    refused: Refusals,
}

impl Table {
    /// The entries, shared and not copied, in the order of their ids.
    #[must_use]
    pub fn candidate(&self) -> Candidate {
        Candidate {
            accounts: self.accounts.iter().cloned().collect(),
            groups: self.groups.iter().cloned().collect(),
            people: self.people.iter().cloned().collect(),
            refused: self.refused.values().flatten().cloned().collect(),
        }
    }
}
