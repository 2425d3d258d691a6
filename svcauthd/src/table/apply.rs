//! Putting an answer into effect.
//!
//! A directory changes the member lists of groups without a word about the groups: who is deleted vanishes from them, who
//! is renamed stays in them under the new name (on a server that keeps references up to date). A member is a DN here; so
//! a DN that stops being somebody's is taken out of every group before anybody else can have it, and the source says
//! which groups have the DNs of those that are new or renamed ([`crate::directory::Sink::relisted`]).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Table;
use super::shelf::Shelf;
use super::staged::{Holds, Staged};
use crate::candidate::{AccountEntry, GroupEntry, Member, Named};
use crate::directory::{Extent, Kind};

impl Table {
    /// Takes an answer over; whether any entry is different now.
    pub fn apply(&mut self, staged: Staged) -> bool {
        match staged.extent {
            Extent::Whole => self.replace(staged),
            Extent::Changes => self.change(staged),
        }
    }

    fn replace(&mut self, staged: Staged) -> bool {
        let same = is_same(&self.accounts, &staged.accounts)
            && is_same(&self.groups, &staged.groups)
            && is_same(&self.people, &staged.people)
            && self.refused == staged.refused;
        let Staged { accounts, groups, people, refused, .. } = staged;
        *self = Self { accounts, groups, people, refused };
        !same
    }

    fn change(&mut self, mut staged: Staged) -> bool {
        let mut changed = self.note_refusals(&mut staged);
        let gone = [
            leavers(&self.accounts, &staged, Kind::Accounts),
            leavers(&self.groups, &staged, Kind::Groups),
            leavers(&self.people, &staged, Kind::People),
        ];
        let [accounts, groups, people] = &gone;
        let mut stale = std::mem::take(&mut staged.relisted);
        stale.extend(left(&self.accounts, &staged.accounts, accounts));
        stale.extend(left(&self.people, &staged.people, people));
        let groups_left: HashMap<String, Option<String>> = moved(&self.groups, &staged.groups, groups);
        stale.extend(groups_left.keys().cloned());
        let lost = self.purge(&stale, &staged);
        self.forget_member_of(&lost, &groups_left, &staged);
        changed |= !lost.is_empty();
        changed |= put(&mut self.accounts, staged.accounts, accounts);
        changed |= put(&mut self.groups, staged.groups, groups);
        changed |= put(&mut self.people, staged.people, people);
        changed
    }

    /// Whatever was wrong with an entry of this answer, or with one that is gone, is what the answer says and no more.
    fn note_refusals(&mut self, staged: &mut Staged) -> bool {
        let before = self.refused.len();
        let (gone, present) = (&staged.gone, &staged.present);
        let (accounts, groups, people) = (&staged.accounts, &staged.groups, &staged.people);
        let mut dropped = false;
        self.refused.retain(|(kind, id), refusals| {
            let is_taken = match kind {
                Kind::Accounts => accounts.get(id).is_some(),
                Kind::Groups => groups.get(id).is_some(),
                Kind::People => people.get(id).is_some(),
            };
            let is_gone = gone.get(kind).is_some_and(|gone| gone.contains(id))
                || present.get(kind).is_some_and(|present| !present.contains(id));
            let keep = !is_taken && !is_gone;
            let again = staged.refused.get(&(*kind, id.clone())) == Some(refusals);
            dropped |= !keep && !again;
            keep
        });
        self.refused.append(&mut staged.refused);
        dropped || self.refused.len() != before
    }

    /// Takes DNs out of the groups that this answer does not bring anew; gives which group lost whom, those that are
    /// brought anew included.
    fn purge(&mut self, stale: &HashSet<String>, staged: &Staged) -> HashMap<String, HashSet<String>> {
        let mut lost: HashMap<String, HashSet<String>> = HashMap::new();
        let mut replaced = Vec::new();
        for group in self.groups.iter() {
            let gone: HashSet<String> = match staged.groups.get(&group.id) {
                Some(new) => {
                    let now: HashSet<&Member> = new.members.iter().collect();
                    dns(group).filter(|(member, _)| !now.contains(member)).map(|(_, dn)| dn.clone()).collect()
                }
                None => dns(group).filter(|(_, dn)| stale.contains(*dn)).map(|(_, dn)| dn.clone()).collect(),
            };
            if gone.is_empty() {
                continue;
            }
            if staged.groups.get(&group.id).is_none() {
                let mut group = GroupEntry::clone(group);
                group.members.retain(|member| !matches!(member, Member::Dn(dn) if gone.contains(dn)));
                replaced.push(group);
            }
            lost.insert(group.dn.clone(), gone);
        }
        for group in replaced {
            self.groups.put(Arc::new(group));
        }
        lost
    }

    /// The accounts' own `memberOf` follows the groups: servers change it without a word about the account.
    fn forget_member_of(
        &mut self,
        lost: &HashMap<String, HashSet<String>>,
        groups_left: &HashMap<String, Option<String>>,
        staged: &Staged,
    ) {
        if lost.is_empty() && groups_left.is_empty() {
            return;
        }
        let mut replaced = Vec::new();
        for account in self.accounts.iter().filter(|account| staged.accounts.get(&account.id).is_none()) {
            let is_out = |group: &String| lost.get(group).is_some_and(|lost| lost.contains(&account.dn));
            let now = account.member_of.iter().filter(|group| !is_out(group));
            let now = now.filter_map(|group| groups_left.get(group).map_or(Some(group), Option::as_ref));
            let now: Vec<String> = now.cloned().collect();
            if now != account.member_of {
                replaced.push(Arc::new(AccountEntry { member_of: now, ..account.as_ref().clone() }));
            }
        }
        for account in replaced {
            self.accounts.put(account);
        }
    }
}

fn dns(group: &GroupEntry) -> impl Iterator<Item = (&Member, &String)> {
    group.members.iter().filter_map(|member| match member {
        Member::Dn(dn) => Some((member, dn)),
        Member::Login(_) => None,
    })
}

fn is_same<T: Named + PartialEq>(one: &Shelf<T>, other: &Shelf<T>) -> bool {
    one.len() == other.len() && one.iter().eq(other.iter())
}

/// Ids of entries that are here and will not be.
fn leavers<T: Named>(shelf: &Shelf<T>, staged: &Staged, kind: Kind) -> HashSet<String>
where
    Staged: Holds<T>,
{
    let known = |id: &&String| shelf.get(id).is_some();
    let mut ids: HashSet<String> =
        staged.gone.get(&kind).into_iter().flatten().filter(known).cloned().collect();
    if let Some(present) = staged.present.get(&kind) {
        let absent = |id: &&str| !present.contains(*id) && staged.shelf().get(id).is_none();
        ids.extend(shelf.iter().map(|entry| entry.id()).filter(absent).map(str::to_owned));
    }
    ids
}

/// DNs that stop being those of the entries that had them.
fn left<T: Named>(shelf: &Shelf<T>, new: &Shelf<T>, gone: &HashSet<String>) -> HashSet<String> {
    moved(shelf, new, gone).into_keys().collect()
}

/// As [`left`], with the new DN of an entry that has one.
fn moved<T: Named>(
    shelf: &Shelf<T>,
    new: &Shelf<T>,
    gone: &HashSet<String>,
) -> HashMap<String, Option<String>> {
    let gone = gone.iter().filter_map(|id| shelf.get(id)).map(|entry| (entry.dn().to_owned(), None));
    let renamed = new.iter().filter_map(|new| {
        let old = shelf.get(new.id())?;
        (old.dn() != new.dn()).then(|| (old.dn().to_owned(), Some(new.dn().to_owned())))
    });
    gone.chain(renamed).collect()
}

fn put<T: Named + PartialEq>(shelf: &mut Shelf<T>, new: Shelf<T>, gone: &HashSet<String>) -> bool {
    let mut changed = false;
    for id in gone {
        changed |= shelf.take(id).is_some();
    }
    for entry in new.into_entries() {
        let same = shelf.get(entry.id()).is_some_and(|old| **old == *entry);
        if !same {
            shelf.put(entry);
            changed = true;
        }
    }
    changed
}
