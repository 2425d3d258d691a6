//! Which directory groups are roles: those that an access rule names, and those that accounts are in where a rule says
//! `roles_from = "memberOf"`.

use std::collections::HashMap;

use svcauth_core::config::{Config, WrittenRoles};
use svcauth_core::policy::{AccessRule, Role, RoleRef, Roles};

use super::graph::GroupIndex;
use crate::candidate::Candidate;
use crate::directory::dn::normalise;

/// The roles found so far, and how to find a group by what people call it.
pub(super) struct RoleTable<'a> {
    candidate: &'a Candidate,
    by_word: HashMap<String, GroupIndex>,
    by_group: HashMap<GroupIndex, RoleRef>,
    by_unknown: HashMap<String, RoleRef>,
    pub(super) roles: Vec<Role>,
}

impl<'a> RoleTable<'a> {
    pub(super) fn new(candidate: &'a Candidate) -> Self {
        let mut by_word = HashMap::new();
        let indexed = || candidate.groups.iter().enumerate();
        // What nobody can choose comes first: a group that is called like the id of another one must not stand in for it.
        for (index, group) in indexed() {
            by_word.entry(group.id.to_lowercase()).or_insert(index);
        }
        for (index, group) in indexed() {
            by_word.entry(group.dn.clone()).or_insert(index);
        }
        for (index, group) in indexed() {
            by_word.entry(group.name.to_lowercase()).or_insert(index);
        }
        Self { candidate, by_word, by_group: HashMap::new(), by_unknown: HashMap::new(), roles: Vec::new() }
    }

    /// The role of a group by name, DN or id; blanks around and case do not count. A word that names no group becomes a
    /// role that nobody holds.
    pub(super) fn by_word(&mut self, word: &str) -> RoleRef {
        let word = word.trim();
        let found = self
            .by_word
            .get(&word.to_lowercase())
            .copied()
            .or_else(|| self.by_word.get(&normalise(word)?).copied());
        match found {
            Some(index) => self.by_group(index),
            None => self.unknown(word),
        }
    }

    /// The role of a group.
    pub(super) fn by_group(&mut self, index: GroupIndex) -> RoleRef {
        let next = RoleRef(u32::try_from(self.roles.len()).unwrap_or(u32::MAX));
        let Some(group) = self.candidate.groups.get(index) else {
            return next;
        };
        *self.by_group.entry(index).or_insert_with(|| {
            self.roles.push(Role { name: group.name.clone(), id: Some(group.id.clone()) });
            next
        })
    }

    fn unknown(&mut self, word: &str) -> RoleRef {
        let next = RoleRef(u32::try_from(self.roles.len()).unwrap_or(u32::MAX));
        *self.by_unknown.entry(word.to_lowercase()).or_insert_with(|| {
            self.roles.push(Role { name: word.to_owned(), id: None });
            next
        })
    }

    /// The role of a group, if it is one.
    pub(super) fn known(&self, index: GroupIndex) -> Option<RoleRef> {
        self.by_group.get(&index).copied()
    }

    /// The access rules of the configuration with their roles resolved.
    pub(super) fn rules(&mut self, config: &Config) -> Vec<AccessRule> {
        let resolve = |rule: &svcauth_core::config::WrittenRule| AccessRule {
            line: rule.line,
            accounts: rule.accounts.clone(),
            roles: match &rule.roles {
                WrittenRoles::Named(words) => {
                    Roles::Named(words.iter().map(|word| self.by_word(word)).collect())
                }
                WrittenRoles::MemberOf => Roles::MemberOf,
            },
            need: rule.need,
            services: rule.services.clone(),
            hosts: rule.hosts.clone(),
            from: rule.from.clone(),
        };
        config.access.iter().map(resolve).collect()
    }
}
