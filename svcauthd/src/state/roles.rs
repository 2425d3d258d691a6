//! Which directory groups are roles: those that an access rule names, and those that accounts are in where a rule says
//! `roles_from = "memberOf"`.

use std::collections::HashMap;

use svcauth_core::config::{Config, WrittenRoles};
use svcauth_core::policy::{AccessRule, Role, RoleRef, Roles};

use super::graph::GroupIndex;
use super::memory::{RoleMemory, is_id, key};
use crate::candidate::{Candidate, GroupEntry, Refusal};
use crate::directory::dn::normalise;

/// The roles found so far, and how to find a group by what people call it.
pub(super) struct RoleTable<'a> {
    candidate: &'a Candidate,
    memory: &'a mut RoleMemory,
    by_id: HashMap<String, GroupIndex>,
    /// By DN, and by name where no DN is the same.
    by_name: HashMap<String, GroupIndex>,
    by_group: HashMap<GroupIndex, RoleRef>,
    by_unknown: HashMap<String, RoleRef>,
    pub(super) roles: Vec<Role>,
}

impl<'a> RoleTable<'a> {
    pub(super) fn new(candidate: &'a Candidate, memory: &'a mut RoleMemory) -> Self {
        let (mut by_id, mut by_name) = (HashMap::new(), HashMap::new());
        let indexed = || candidate.groups.iter().enumerate();
        for (index, group) in indexed() {
            by_id.entry(group.id.to_lowercase()).or_insert(index);
            by_name.entry(group.dn.clone()).or_insert(index);
        }
        for (index, group) in indexed() {
            by_name.entry(group.name.to_lowercase()).or_insert(index);
        }
        let (by_group, by_unknown) = (HashMap::new(), HashMap::new());
        Self { candidate, memory, by_id, by_name, by_group, by_unknown, roles: Vec::new() }
    }

    /// The role that a rule calls by name, DN or id; blanks around and case do not count. What the word has stood for
    /// once it stands for ever; the first time, for whoever has the name. A word that names no group becomes a role that
    /// nobody holds.
    fn by_word(&mut self, word: &str) -> RoleRef {
        let word = word.trim();
        let by_id = self.by_id.get(&key(word)).copied();
        let named = if is_id(word) { None } else { self.named(word) };
        let remembered = self.memory.group(word).map(str::to_owned);
        let group = match &remembered {
            _ if by_id.is_some() => by_id,
            Some(id) => self.by_id.get(&id.to_lowercase()).copied(),
            None => named,
        };
        let role = match group {
            Some(index) => {
                if by_id.is_none() {
                    let id = self.group(index).map(|group| group.id.clone()).unwrap_or_default();
                    self.memory.keep(word, &id);
                }
                self.by_group(index)
            }
            None => {
                let namesake = named.and_then(|index| self.group(index)).map(|group| group.id.clone());
                let namesake = namesake.filter(|_| remembered.is_some());
                self.unknown(Role {
                    name: word.to_owned(),
                    id: None,
                    remembered,
                    namesake,
                    ..Role::default()
                })
            }
        };
        if let Some(role) = self.roles.get_mut(role.0 as usize) {
            if !role.words.iter().any(|known| known == word) {
                role.words.push(word.to_owned());
            }
        }
        role
    }

    /// The group that has a name or DN now.
    fn named(&self, word: &str) -> Option<GroupIndex> {
        let by_name = self.by_name.get(&key(word)).copied();
        by_name.or_else(|| self.by_name.get(&normalise(word)?).copied())
    }

    fn group(&self, index: GroupIndex) -> Option<&'a GroupEntry> {
        self.candidate.groups.get(index).map(AsRef::as_ref)
    }

    /// The role of the group that an account's own entry lists by DN.
    pub(super) fn by_dn(&mut self, dn: &str) -> RoleRef {
        match self.named(dn) {
            Some(index) => self.by_group(index),
            None => self.unknown(Role { name: dn.to_owned(), ..Role::default() }),
        }
    }

    /// The role of a group.
    pub(super) fn by_group(&mut self, index: GroupIndex) -> RoleRef {
        let next = RoleRef(u32::try_from(self.roles.len()).unwrap_or(u32::MAX));
        let Some(group) = self.group(index) else {
            return next;
        };
        *self.by_group.entry(index).or_insert_with(|| {
            let role = Role { name: group.name.clone(), id: Some(group.id.clone()), ..Role::default() };
            self.roles.push(role);
            next
        })
    }

    fn unknown(&mut self, role: Role) -> RoleRef {
        let next = RoleRef(u32::try_from(self.roles.len()).unwrap_or(u32::MAX));
        *self.by_unknown.entry(key(&role.name)).or_insert_with(|| {
            self.roles.push(role);
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
            limits: rule.limits.clone(),
        };
        config.access.iter().map(resolve).collect()
    }
}

/// Groups that have the name of a role and are not the group that was meant: one alarm each.
pub(super) fn namesakes(candidate: &Candidate, roles: &[Role]) -> Vec<Refusal> {
    let refusal = |role: &Role| {
        let (old, new) = (role.remembered.as_ref()?, role.namesake.as_ref()?);
        let group = candidate.groups.iter().find(|group| &group.id == new)?;
        let why = format!(
            "\"{}\" was the group {old}, which is gone; this is another one ({new}), and nobody holds the role until it is \
             approved: svcauth roles approve \"{}\"",
            role.name, role.name
        );
        Some(Refusal { dn: group.dn.clone(), what: "role".to_owned(), why })
    };
    roles.iter().filter_map(refusal).collect()
}
