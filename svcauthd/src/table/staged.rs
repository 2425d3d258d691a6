//! An answer while it comes in: it counts only when it is complete, and all of it at once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::shelf::Shelf;
use crate::candidate::{AccountEntry, GroupEntry, Named, PersonEntry, Refusal};
use crate::directory::{Extent, Kind};
use crate::job::Part;
use crate::mapping::{Fault, shown};

/// What is wrong with entries, by kind and id (or DN, where the id cannot be read).
pub(super) type Refusals = BTreeMap<(Kind, String), Vec<Refusal>>;

/// One answer, as far as it has come in.
#[derive(Debug, Default)]
pub struct Staged {
    pub(super) extent: Extent,
    pub(super) accounts: Shelf<AccountEntry>,
    pub(super) groups: Shelf<GroupEntry>,
    pub(super) people: Shelf<PersonEntry>,
    pub(super) refused: Refusals,
    /// Ids of entries that are gone, or are still there and refused.
    pub(super) gone: HashMap<Kind, HashSet<String>>,
    /// Ids of all entries that are still there, where the source listed them.
    pub(super) present: HashMap<Kind, HashSet<String>>,
    /// DNs of which all groups that have them are in this answer.
    pub(super) relisted: HashSet<String>,
    /// Whole answers: ids that came with more than one entry.
    contested: HashSet<(Kind, String)>,
    things: usize,
}

impl Staged {
    /// Whether it is everything or what has changed.
    #[must_use]
    pub fn extent(&self) -> Extent {
        self.extent
    }

    /// How many entries and ids it holds, for the limit on what a worker may send.
    #[must_use]
    pub fn things(&self) -> usize {
        self.things
    }

    /// How many entries of each kind came in so far: accounts, groups, people.
    #[must_use]
    pub fn counts(&self) -> [usize; 3] {
        [self.accounts.len(), self.groups.len(), self.people.len()]
    }

    /// Takes the next part. What is no part of an answer's body is left alone.
    pub fn add(&mut self, part: Part) {
        match part {
            Part::Begin(extent) => *self = Self { extent, things: self.things, ..Self::default() },
            Part::Accounts(entries) => entries.into_iter().for_each(|entry| self.put(Kind::Accounts, entry)),
            Part::Groups(entries) => entries.into_iter().for_each(|entry| self.put(Kind::Groups, entry)),
            Part::People(entries) => entries.into_iter().for_each(|entry| self.put(Kind::People, entry)),
            Part::Refused(entries) => entries.into_iter().for_each(|entry| {
                self.things += 1;
                if entry.is_dropped {
                    self.drop(entry.kind, &entry.id);
                }
                self.refused.entry((entry.kind, entry.id)).or_default().extend(entry.refusals);
            }),
            Part::Gone { kind, ids } => ids.iter().for_each(|id| {
                self.things += 1;
                self.refused.remove(&(kind, id.clone()));
                self.drop(kind, id);
            }),
            Part::Present { kind, ids } => {
                self.things += ids.len();
                self.present.entry(kind).or_default().extend(ids);
            }
            Part::Relisted(dns) => {
                self.things += dns.len();
                self.relisted.extend(dns);
            }
            Part::Done(_) | Part::Failed { .. } | Part::Stirred => {}
        }
    }

    fn put<T: Named + PartialEq>(&mut self, kind: Kind, entry: T)
    where
        Self: Holds<T>,
    {
        self.things += 1;
        let id = entry.id().to_owned();
        if let Some(gone) = self.gone.get_mut(&kind) {
            gone.remove(&id);
        }
        if self.extent == Extent::Changes {
            self.refused.remove(&(kind, id));
            self.shelf_mut().put(Arc::new(entry));
            return;
        }
        let key = (kind, id);
        if self.contested.contains(&key) {
            return self.contest(key, entry.dn(), "of another entry");
        }
        let entry = Arc::new(entry);
        let Some(other) = self.shelf_mut().put(Arc::clone(&entry)).filter(|other| **other != *entry) else {
            return;
        };
        self.shelf_mut().take(entry.id());
        self.contested.insert(key.clone());
        self.contest(key.clone(), other.dn(), entry.dn());
        self.contest(key, entry.dn(), other.dn());
    }

    /// Two entries with one id: which of them is meant, nobody can tell.
    fn contest(&mut self, key: (Kind, String), dn: &str, other: &str) {
        let why = format!("is also that of \"{}\"; neither entry is used", shown(other.as_bytes()));
        let refusal = Fault::of("entryUUID", key.1.as_bytes(), why).refusal(dn);
        self.refused.entry(key).or_default().push(refusal);
    }

    fn drop(&mut self, kind: Kind, id: &str) {
        match kind {
            Kind::Accounts => drop(self.accounts.take(id)),
            Kind::Groups => drop(self.groups.take(id)),
            Kind::People => drop(self.people.take(id)),
        }
        self.gone.entry(kind).or_default().insert(id.to_owned());
    }
}

/// Where the entries of a kind are.
pub(super) trait Holds<T> {
    fn shelf(&self) -> &Shelf<T>;
    fn shelf_mut(&mut self) -> &mut Shelf<T>;
}

impl Holds<AccountEntry> for Staged {
    fn shelf(&self) -> &Shelf<AccountEntry> {
        &self.accounts
    }
    fn shelf_mut(&mut self) -> &mut Shelf<AccountEntry> {
        &mut self.accounts
    }
}

impl Holds<GroupEntry> for Staged {
    fn shelf(&self) -> &Shelf<GroupEntry> {
        &self.groups
    }
    fn shelf_mut(&mut self) -> &mut Shelf<GroupEntry> {
        &mut self.groups
    }
}

impl Holds<PersonEntry> for Staged {
    fn shelf(&self) -> &Shelf<PersonEntry> {
        &self.people
    }
    fn shelf_mut(&mut self) -> &mut Shelf<PersonEntry> {
        &mut self.people
    }
}
