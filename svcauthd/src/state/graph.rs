//! Who is in which group, through however many other groups; cycles end by themselves.

use std::collections::{HashMap, HashSet};

use crate::candidate::{Candidate, Member};

/// A group by its place in [`Candidate::groups`].
pub(super) type GroupIndex = usize;

/// How many groups one inside the other are followed. Whoever may edit groups could nest thousands, and every person below
/// would hold a role for each; a role further up is held by nobody, which can only refuse.
const LEVELS_MAX: usize = 64;
/// Groups that a way shows; of a longer one the end that reaches the role.
const PATH_MAX: usize = 8;

/// What [`Graph::upwards`] found: every group, and the one below it on the shortest way.
pub(super) type Found = Vec<(GroupIndex, Option<GroupIndex>)>;

/// The group memberships of a candidate, joined by DN and by login name.
pub(super) struct Graph<'a> {
    candidate: &'a Candidate,
    /// Groups that an entry (by DN) is directly in.
    groups_of: HashMap<&'a str, Vec<GroupIndex>>,
    /// Groups that a login name is directly in (memberUid).
    groups_of_login: HashMap<&'a str, Vec<GroupIndex>>,
}

impl<'a> Graph<'a> {
    pub(super) fn new(candidate: &'a Candidate) -> Self {
        let mut groups_of: HashMap<&str, Vec<GroupIndex>> = HashMap::new();
        let mut groups_of_login: HashMap<&str, Vec<GroupIndex>> = HashMap::new();
        for (index, group) in candidate.groups.iter().enumerate() {
            for member in &group.members {
                match member {
                    Member::Dn(dn) => groups_of.entry(dn).or_default().push(index),
                    Member::Login(login) => groups_of_login.entry(login).or_default().push(index),
                }
            }
        }
        Self { candidate, groups_of, groups_of_login }
    }

    /// The groups that an entry is in by itself, by DN or by login name; each once.
    pub(super) fn direct(&self, dn: &str, login: &str) -> Vec<GroupIndex> {
        let by_dn = self.groups_of.get(dn).into_iter().flatten();
        let by_login = self.groups_of_login.get(login).into_iter().flatten();
        let mut seen = HashSet::new();
        by_dn.chain(by_login).copied().filter(|index| seen.insert(*index)).collect()
    }

    /// Every group reachable upwards from these, the nearest first, each with the group below it on the shortest way.
    pub(super) fn upwards(&self, from: &[GroupIndex]) -> Found {
        let mut found = Vec::new();
        let mut seen: HashSet<GroupIndex> = from.iter().copied().collect();
        let mut level: Found = from.iter().map(|index| (*index, None)).collect();
        for _ in 0..LEVELS_MAX {
            let mut next = Vec::new();
            for (index, _) in &level {
                let dn = self.candidate.groups.get(*index).map(|group| group.dn.as_str());
                let above = dn.and_then(|dn| self.groups_of.get(dn)).into_iter().flatten();
                next.extend(above.filter(|above| seen.insert(**above)).map(|above| (*above, Some(*index))));
            }
            found.append(&mut level);
            if next.is_empty() {
                break;
            }
            level = next;
        }
        found
    }

    /// The names on the way from the group that a member is in up to `role`; `below` is what [`Self::upwards`] found.
    pub(super) fn path(
        &self,
        below: &HashMap<GroupIndex, Option<GroupIndex>>,
        role: GroupIndex,
    ) -> Vec<String> {
        let mut path = Vec::new();
        let mut at = Some(role);
        while let Some(index) = at {
            if path.len() == PATH_MAX {
                path.push("...".to_owned());
                break;
            }
            path.extend(self.candidate.groups.get(index).map(|group| group.name.clone()));
            at = below.get(&index).copied().flatten();
        }
        path.reverse();
        path
    }

    /// How many times somebody is in a group, directly or through others; counting ends beyond `enough`.
    pub(super) fn memberships(&self, enough: usize) -> usize {
        let people = self.candidate.people.iter().map(|entry| (&entry.dn, &entry.login));
        let accounts = self.candidate.accounts.iter().map(|entry| (&entry.dn, &entry.name));
        // Most people are in the same groups as many others.
        let mut known: HashMap<Vec<GroupIndex>, usize> = HashMap::new();
        let mut sum = 0_usize;
        for (dn, login) in people.chain(accounts) {
            let direct = self.direct(dn, login);
            let count = known.get(&direct).copied().unwrap_or_else(|| self.upwards(&direct).len());
            known.insert(direct, count);
            sum = sum.saturating_add(count);
            if sum > enough {
                break;
            }
        }
        sum
    }
}
