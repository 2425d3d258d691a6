//! From a candidate to a published state: joined, checked once more by root, and laid out as the two snapshots.
//!
//! Belongs here: what can be said from the candidate, the configuration and the local names alone. Never here: files,
//! sockets, the directory.

mod files;
mod graph;
mod memory;
mod recheck;
mod roles;
#[cfg(test)]
mod roles_tests;
mod settle;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use svcauth_core::config::Config;
use svcauth_core::id::{Gid, Uid};
use svcauth_core::origin::Fingerprint;
use svcauth_core::policy::{Account, Held, Person, Policy, Roles};
use svcauth_core::snapshot::{NewAccount, NewGroup};

pub use files::{Files, is_tombstone, to_files, with_tombstones};
pub use memory::RoleMemory;
pub use recheck::recheck;
pub use settle::settle;

use self::graph::{Graph, GroupIndex};
use self::roles::RoleTable;
use crate::candidate::{AccountEntry, Candidate, PersonEntry, Refusal};

/// Everything that one generation publishes, apart from its number and time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// `accounts.snap`: the passwd entries.
    pub passwd: Vec<NewAccount>,
    /// `accounts.snap`: the group entries.
    pub groups: Vec<NewGroup>,
    /// `access.snap`: rules, roles, limits.
    pub policy: Policy,
    /// `access.snap`: accounts as decisions see them.
    pub accounts: Vec<Account>,
    /// `access.snap`: people with their keys and principals.
    pub people: Vec<StatePerson>,
}

/// A person with what names them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StatePerson {
    /// The person.
    pub person: Person,
    /// Fingerprints of their keys.
    pub keys: Vec<Fingerprint>,
    /// Their Kerberos principals.
    pub principals: Vec<String>,
}

/// Most memberships that are joined: 100,000 people in 50 groups each. A few thousand entries can stand for billions, when
/// many people are in one group and that one in many others.
pub const MEMBERSHIPS_MAX: usize = 5_000_000;

/// Whether joining a candidate would take more memory than a daemon may.
#[must_use]
pub fn is_too_large(candidate: &Candidate) -> bool {
    Graph::new(candidate).memberships(MEMBERSHIPS_MAX) > MEMBERSHIPS_MAX
}

/// Joins a candidate that has passed [`recheck`]. `trusted_ca` are the authorities whose files the configuration names;
/// `memory` says which groups the rules have meant so far, and learns of new ones.
#[must_use]
pub fn join(
    candidate: &Candidate,
    config: &Config,
    trusted_ca: Vec<Fingerprint>,
    memory: &mut RoleMemory,
) -> State {
    let graph = Graph::new(candidate);
    let mut roles = RoleTable::new(candidate, memory);
    let rules = roles.rules(config);
    let by_member_of = rules.iter().filter(|rule| rule.roles == Roles::MemberOf);
    let patterns: Vec<_> = by_member_of.flat_map(|rule| rule.accounts.iter()).collect();
    let has_own_roles = |name: &str| patterns.iter().any(|pattern| pattern.matches(name));
    let mut accounts: Vec<Account> = candidate
        .accounts
        .iter()
        .map(|entry| account(entry, &graph, &mut roles, has_own_roles(&entry.name)))
        .collect();
    for name in &config.accounts.local_accounts {
        if !accounts.iter().any(|account| &account.name == name) {
            accounts.push(unknown_local(name));
        }
    }
    let people = candidate.people.iter().map(|entry| person(entry, &graph, &roles)).collect();
    let is_local = |entry: &AccountEntry| config.accounts.local_accounts.contains(&entry.name);
    State {
        passwd: candidate
            .accounts
            .iter()
            .filter(|entry| !is_local(entry))
            .filter_map(|entry| passwd(entry, candidate, &graph))
            .collect(),
        groups: groups(candidate, &graph),
        policy: policy(config, roles, rules, trusted_ca),
        accounts: accounts.into_iter().map(|account| without_local_uid(account, config)).collect(),
        people,
    }
}

/// What the administrator should hear about the roles: groups that have taken the name of another one.
#[must_use]
pub fn namesakes(candidate: &Candidate, state: &State) -> Vec<Refusal> {
    roles::namesakes(candidate, &state.policy.roles)
}

fn policy(
    config: &Config,
    roles: RoleTable<'_>,
    rules: Vec<svcauth_core::policy::AccessRule>,
    trusted_ca: Vec<Fingerprint>,
) -> Policy {
    Policy {
        roles: roles.roles,
        rules,
        max_stale: config.limits.max_stale.as_secs(),
        audit: config.limits.audit,
        key_id: (!trusted_ca.is_empty()).then(|| config.certificates.key_id.to_string()),
        trusted_ca,
        id_range: config.accounts.id_range,
        local_accounts: config.accounts.local_accounts.clone(),
    }
}

/// An account; its own roles are the groups it is directly in, by the groups' word or by its own `memberOf`. Its own word
/// can only add roles, and each one more is one more that a person needs.
fn account(
    entry: &AccountEntry,
    graph: &Graph<'_>,
    roles: &mut RoleTable<'_>,
    has_own_roles: bool,
) -> Account {
    let mut own = Vec::new();
    if has_own_roles {
        own.extend(graph.direct(&entry.dn, &entry.name).into_iter().map(|index| roles.by_group(index)));
        own.extend(entry.member_of.iter().map(|word| roles.by_dn(word)));
        own.sort_unstable();
        own.dedup();
    }
    Account {
        name: entry.name.clone(),
        id: entry.id.clone(),
        uid: Some(entry.uid),
        disabled: entry.disabled,
        expires: entry.expires,
        locked_until: entry.locked_until,
        hosts: entry.hosts.clone(),
        roles: own,
    }
}

/// A local account that the configuration names and the directory does not know.
fn unknown_local(name: &str) -> Account {
    Account { name: name.to_owned(), ..Account::default() }
}

/// A local account keeps the uid that /etc/passwd gives it; the directory has no say in it.
fn without_local_uid(account: Account, config: &Config) -> Account {
    let uid = account.uid.filter(|_| !config.accounts.local_accounts.contains(&account.name));
    Account { uid, ..account }
}

fn person(entry: &PersonEntry, graph: &Graph<'_>, roles: &RoleTable<'_>) -> StatePerson {
    let found = graph.upwards(&graph.direct(&entry.dn, &entry.login));
    let below: HashMap<GroupIndex, Option<GroupIndex>> = found.iter().copied().collect();
    let hold = |(index, _): &(GroupIndex, Option<GroupIndex>)| {
        let role = roles.known(*index)?;
        Some(Held { role, path: graph.path(&below, *index) })
    };
    let person = Person {
        login: entry.login.clone(),
        id: entry.id.clone(),
        disabled: entry.disabled,
        expires: entry.expires,
        locked_until: entry.locked_until,
        held: found.iter().filter_map(hold).collect(),
    };
    StatePerson { person, keys: entry.fingerprints(), principals: entry.principals.clone() }
}

fn passwd(entry: &AccountEntry, candidate: &Candidate, graph: &Graph<'_>) -> Option<NewAccount> {
    let found = graph.upwards(&graph.direct(&entry.dn, &entry.name));
    let mut gids: Vec<Gid> =
        found.iter().filter_map(|(index, _)| candidate.groups.get(*index)?.gid.and_then(Gid::new)).collect();
    gids.sort_unstable();
    gids.dedup();
    Some(NewAccount {
        name: entry.name.clone(),
        uid: Uid::new(entry.uid)?,
        gid: Gid::new(entry.gid)?,
        gecos: entry.gecos.clone(),
        home: entry.home.clone(),
        shell: entry.shell.clone(),
        gids,
    })
}

/// The groups that have a gid, with all members by login name, nesting flattened.
fn groups(candidate: &Candidate, graph: &Graph<'_>) -> Vec<NewGroup> {
    let mut members: HashMap<GroupIndex, Vec<&str>> = HashMap::new();
    let people = candidate.people.iter().map(|entry| (entry.dn.as_str(), entry.login.as_str()));
    let accounts = candidate.accounts.iter().map(|entry| (entry.dn.as_str(), entry.name.as_str()));
    // One entry may be both an account and a person (one base for both): it is listed once.
    let mut seen = HashSet::new();
    for (dn, login) in people.chain(accounts).filter(|entry| seen.insert(*entry)) {
        for (index, _) in graph.upwards(&graph.direct(dn, login)) {
            members.entry(index).or_default().push(login);
        }
    }
    let with_gid = candidate.groups.iter().enumerate().filter_map(|(index, group)| {
        let mut members: Vec<String> =
            members.remove(&index).unwrap_or_default().into_iter().map(str::to_owned).collect();
        members.sort_unstable();
        members.dedup();
        Some(NewGroup { name: group.name.clone(), gid: group.gid.and_then(Gid::new)?, members })
    });
    with_gid.collect()
}
