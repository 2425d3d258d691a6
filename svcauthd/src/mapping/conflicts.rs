//! Two entries that claim the same thing: which of them is meant, nobody can tell, so neither gets it. The order in which
//! a server sends its entries must not decide who may log in.

use super::Fault;
use crate::candidate::{AccountEntry, GroupEntry, PersonEntry, Refusal};
use std::collections::{HashMap, HashSet};
use std::hash::Hash;

/// Something that only one entry may have: the attribute, and how to read it.
struct Claim<'a, T> {
    what: &'a str,
    key: &'a dyn Fn(&T) -> Option<String>,
}

pub(super) fn accounts(entries: &mut Vec<AccountEntry>, refused: &mut Vec<Refusal>) {
    let claims = [
        Claim { what: "dn", key: &|entry: &AccountEntry| Some(entry.dn.clone()) },
        Claim { what: "entryUUID", key: &|entry| Some(entry.id.clone()) },
        // LDAP does not know case in names; what differs only in it was meant to be one.
        Claim { what: "uid", key: &|entry| Some(entry.name.to_ascii_lowercase()) },
        Claim { what: "uidNumber", key: &|entry| Some(entry.uid.to_string()) },
    ];
    settle(entries, &claims, |entry| &entry.dn, refused);
}

pub(super) fn groups(entries: &mut Vec<GroupEntry>, refused: &mut Vec<Refusal>) {
    let claims = [
        Claim { what: "dn", key: &|entry: &GroupEntry| Some(entry.dn.clone()) },
        Claim { what: "entryUUID", key: &|entry| Some(entry.id.clone()) },
        Claim { what: "cn", key: &|entry| Some(entry.name.to_ascii_lowercase()) },
        Claim { what: "gidNumber", key: &|entry| entry.gid.map(|gid| gid.to_string()) },
    ];
    settle(entries, &claims, |entry| &entry.dn, refused);
}

pub(super) fn people(entries: &mut Vec<PersonEntry>, refused: &mut Vec<Refusal>) {
    evidence(entries, "ssh key", |entry| &mut entry.keys, String::clone, refused);
    evidence(
        entries,
        "principal",
        |entry| &mut entry.principals,
        |name: &String| name.to_lowercase(),
        refused,
    );
    let claims = [
        Claim { what: "dn", key: &|entry: &PersonEntry| Some(entry.dn.clone()) },
        Claim { what: "entryUUID", key: &|entry| Some(entry.id.clone()) },
        Claim { what: "login", key: &|entry| Some(entry.login.to_ascii_lowercase()) },
    ];
    settle(entries, &claims, |entry| &entry.dn, refused);
}

/// Drops every entry that shares a claim with another one; one refusal each, for the first claim that it shares.
fn settle<T>(
    entries: &mut Vec<T>,
    claims: &[Claim<'_, T>],
    dn: impl Fn(&T) -> &String,
    refused: &mut Vec<Refusal>,
) {
    let mut faults: HashMap<usize, Fault> = HashMap::new();
    for claim in claims {
        for (value, owners) in owners(entries.iter().map(|entry| (claim.key)(entry))) {
            for owner in owners.iter().filter(|_| owners.len() > 1) {
                let other = owners.iter().find(|other| *other != owner).and_then(|other| entries.get(*other));
                let other = other.map(|other| super::shown(dn(other).as_bytes())).unwrap_or_default();
                let why = format!("is also that of \"{other}\"; neither entry is used");
                faults.entry(*owner).or_insert_with(|| Fault::of(claim.what, value.as_bytes(), why));
            }
        }
    }
    if faults.is_empty() {
        return;
    }
    let mut index = 0;
    entries.retain(|entry| {
        let fault = faults.remove(&index);
        index += 1;
        let keep = fault.is_none();
        refused.extend(fault.map(|fault| fault.refusal(dn(entry))));
        keep
    });
}

/// Who claims which value, by position.
fn owners<K: Hash + Eq>(claims: impl Iterator<Item = Option<K>>) -> HashMap<K, Vec<usize>> {
    let mut owners: HashMap<K, Vec<usize>> = HashMap::new();
    for (index, key) in claims.enumerate() {
        if let Some(key) = key {
            owners.entry(key).or_default().push(index);
        }
    }
    owners
}

/// Takes evidence away from everybody who shares it with another person; the people stay.
fn evidence(
    people: &mut [PersonEntry],
    what: &str,
    values: impl Fn(&mut PersonEntry) -> &mut Vec<String>,
    name: impl Fn(&String) -> String,
    refused: &mut Vec<Refusal>,
) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut shared: HashSet<String> = HashSet::new();
    for (index, person) in people.iter_mut().enumerate() {
        for value in values(person).iter().map(&name) {
            if seen.insert(value.clone(), index).is_some_and(|owner| owner != index) {
                shared.insert(value);
            }
        }
    }
    if shared.is_empty() {
        return;
    }
    for person in people {
        let mut lost = Vec::new();
        values(person).retain(|value| {
            let value = name(value);
            let keep = !shared.contains(&value);
            lost.extend((!keep).then_some(value));
            keep
        });
        let why = "is also that of another person; it proves nobody";
        refused
            .extend(lost.into_iter().map(|value| Fault::of(what, value.as_bytes(), why).refusal(&person.dn)));
    }
}
