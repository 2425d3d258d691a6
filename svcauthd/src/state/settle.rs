//! Two entries that claim the same thing: which of them is meant, nobody can tell, so neither gets it. The order in which
//! a server sends its entries must not decide who may log in.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use crate::candidate::{AccountEntry, Candidate, GroupEntry, Member, Named, PersonEntry, Refusal};
use crate::mapping::{Fault, ad, shown};

/// Something that only one entry may have: the attribute, and how to read it.
struct Claim<'a, T> {
    what: &'a str,
    key: &'a dyn Fn(&T) -> Option<String>,
}

/// Drops what several entries claim, and joins what entries say of each other by number.
pub fn settle(candidate: &mut Candidate) {
    let Candidate { accounts, groups, people, refused } = candidate;
    settle_accounts(accounts, refused);
    settle_groups(groups, refused);
    // An entry that is a shared account is nobody: it must not become the person behind a session.
    let shared: HashSet<&str> = accounts.iter().map(|account| account.id.as_str()).collect();
    people.retain(|person| !shared.contains(person.id.as_str()));
    settle_people(people, own_principals(accounts), refused);
    let primaries = accounts.iter().map(|entry| (&entry.primary, &entry.dn));
    join_primaries(primaries.chain(people.iter().map(|entry| (&entry.primary, &entry.dn))), groups);
}

/// Puts those whose primary group this is into it; neither the group nor their own `memberOf` names them.
fn join_primaries<'e>(
    entries: impl Iterator<Item = (&'e Option<String>, &'e String)>,
    groups: &mut [Arc<GroupEntry>],
) {
    let mut members: HashMap<&str, Vec<&String>> = HashMap::new();
    for (primary, dn) in entries {
        if let Some(primary) = primary {
            members.entry(primary).or_default().push(dn);
        }
    }
    for group in groups {
        if let Some(dns) = members.remove(group.id.as_str()) {
            let group = Arc::make_mut(group);
            group.members.extend(dns.into_iter().cloned().map(Member::Dn));
            group.members.sort_unstable();
            group.members.dedup();
        }
    }
}

fn settle_accounts(entries: &mut Vec<Arc<AccountEntry>>, refused: &mut Vec<Refusal>) {
    let claims = [
        Claim { what: "dn", key: &|entry: &AccountEntry| Some(entry.dn.clone()) },
        Claim { what: "entryUUID", key: &|entry| Some(entry.id.clone()) },
        // LDAP does not know case in names; what differs only in it was meant to be one.
        Claim { what: "uid", key: &|entry| Some(entry.name.to_ascii_lowercase()) },
        Claim { what: "uidNumber", key: &|entry| Some(entry.uid.to_string()) },
    ];
    drop_shared(entries, &claims, refused);
}

fn settle_groups(entries: &mut Vec<Arc<GroupEntry>>, refused: &mut Vec<Refusal>) {
    let claims = [
        Claim { what: "dn", key: &|entry: &GroupEntry| Some(entry.dn.clone()) },
        Claim { what: "entryUUID", key: &|entry| Some(entry.id.clone()) },
        Claim { what: "cn", key: &|entry| Some(entry.name.to_ascii_lowercase()) },
        Claim { what: "gidNumber", key: &|entry| entry.gid.map(|gid| gid.to_string()) },
    ];
    drop_shared(entries, &claims, refused);
}

/// The Kerberos names that accounts have by themselves, in lower case. Active Directory looks for these first, so that a
/// person with such a name in `userPrincipalName` cannot come with it; whoever comes with it is the account.
fn own_principals(accounts: &[Arc<AccountEntry>]) -> HashSet<String> {
    // Its ids are SIDs; those of other directories have no name that follows from another one.
    let own = accounts.iter().filter(|account| account.id.starts_with("S-1-"));
    own.filter_map(|account| ad::principal(&account.name, &account.dn))
        .map(|name| name.to_lowercase())
        .collect()
}

fn settle_people(entries: &mut Vec<Arc<PersonEntry>>, accounts: HashSet<String>, refused: &mut Vec<Refusal>) {
    let keys = Evidence {
        what: "ssh key",
        of: |entry| &entry.keys,
        change: |entry| &mut entry.keys,
        name: String::clone,
    };
    let principals = Evidence {
        what: "principal",
        of: |entry| &entry.principals,
        change: |entry| &mut entry.principals,
        name: |name| name.to_lowercase(),
    };
    keys.settle(entries, HashSet::new(), refused);
    principals.settle(entries, accounts, refused);
    let claims = [
        Claim { what: "dn", key: &|entry: &PersonEntry| Some(entry.dn.clone()) },
        Claim { what: "entryUUID", key: &|entry| Some(entry.id.clone()) },
        Claim { what: "login", key: &|entry| Some(entry.login.to_ascii_lowercase()) },
    ];
    drop_shared(entries, &claims, refused);
}

/// Drops every entry that shares a claim with another one; one refusal each, for the first claim that it shares.
fn drop_shared<T: Named>(entries: &mut Vec<Arc<T>>, claims: &[Claim<'_, T>], refused: &mut Vec<Refusal>) {
    let mut faults: HashMap<usize, Fault> = HashMap::new();
    for claim in claims {
        for (value, owners) in owners(entries.iter().map(|entry| (claim.key)(entry))) {
            for owner in owners.iter().filter(|_| owners.len() > 1) {
                let other = owners.iter().find(|other| *other != owner).and_then(|other| entries.get(*other));
                let other = other.map(|other| shown(other.dn().as_bytes())).unwrap_or_default();
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
        refused.extend(fault.map(|fault| fault.refusal(entry.dn())));
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

/// Values that prove a person, as long as nobody else has them.
struct Evidence {
    what: &'static str,
    of: fn(&PersonEntry) -> &Vec<String>,
    change: fn(&mut PersonEntry) -> &mut Vec<String>,
    /// Under which name two of them are the same.
    name: fn(&String) -> String,
}

impl Evidence {
    /// Takes evidence away from everybody who shares it with another person, or with an account; the people stay. What is
    /// listed twice for one person counts once.
    fn settle(&self, people: &mut [Arc<PersonEntry>], accounts: HashSet<String>, refused: &mut Vec<Refusal>) {
        let mut seen: HashMap<String, usize> = HashMap::new();
        let (mut shared, mut touched) = (accounts, HashSet::new());
        for (index, person) in people.iter().enumerate() {
            for value in (self.of)(person).iter().map(self.name) {
                if shared.contains(&value) {
                    touched.insert(index);
                }
                if let Some(owner) = seen.insert(value.clone(), index) {
                    touched.extend([owner, index]);
                    if owner != index {
                        shared.insert(value);
                    }
                }
            }
        }
        for index in touched {
            if let Some(person) = people.get_mut(index) {
                self.take_away(Arc::make_mut(person), &shared, refused);
            }
        }
    }

    fn take_away(&self, person: &mut PersonEntry, shared: &HashSet<String>, refused: &mut Vec<Refusal>) {
        let dn = person.dn.clone();
        let (mut own, mut told) = (HashSet::new(), HashSet::new());
        (self.change)(person).retain(|value| {
            let name = (self.name)(value);
            if !shared.contains(&name) {
                return own.insert(value.clone());
            }
            if told.insert(name.clone()) {
                let why = "is also that of another entry; it proves nobody";
                refused.push(Fault::of(self.what, name.as_bytes(), why).refusal(&dn));
            }
            false
        });
    }
}
