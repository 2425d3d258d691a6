//! What is offered as a default, from what was found. Nothing is offered that lets everybody in.

use std::collections::HashSet;

use svcauth_core::id::IdRange;
use svcauth_core::id_map::Slices;

use crate::candidate::Candidate;
use crate::directory::look::{Census, Container};
use crate::local_names::LocalNames;
use crate::state::State;

/// Ids that sssd computes when nothing is said: `ldap_idmap_range_min`, `_max`, `_size`.
const SSSD: (u32, u32, u32) = (200_000, 2_000_200_000, 200_000);

/// Places of which one is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The one that is probably meant; none when nobody can tell.
    pub default: Option<String>,
    /// All of them, each with what it holds.
    pub all: Vec<(String, String)>,
}

/// Where the accounts are: what has a uid and is nobody's own.
#[must_use]
pub fn accounts(census: &Census) -> Places {
    let mut places = places(census, |place| place.posix, "with a uid");
    let shared: Vec<&Container> = census.containers.iter().filter(|place| place.shared > 0).collect();
    if let [only] = shared.as_slice() {
        places.default = Some(only.dn.clone());
    }
    places
}

/// Where the people are, beside the accounts.
#[must_use]
pub fn people(census: &Census, accounts: &str) -> Places {
    let is_other = |place: &&Container| !place.dn.eq_ignore_ascii_case(accounts);
    let mut places = places(census, |place| place.people, "people");
    let others: Vec<&Container> =
        census.containers.iter().filter(|place| place.people > 0).filter(is_other).collect();
    places.default = with_most_keys(&others).or(places.default);
    places
}

/// The only place; of several the only one with keys.
fn with_most_keys(places: &[&Container]) -> Option<String> {
    let with_keys: Vec<&&Container> = places.iter().filter(|place| place.keys > 0).collect();
    match (places, with_keys.as_slice()) {
        ([only], _) => Some(only.dn.clone()),
        (_, [only]) => Some(only.dn.clone()),
        _ => None,
    }
}

/// Where the groups are. Those that every domain has from the start are not meant while there are others.
#[must_use]
pub fn groups(census: &Census) -> Places {
    let mut places = places(census, |place| place.groups, "groups");
    let is_own = |dn: &str| {
        let dn = dn.to_ascii_lowercase();
        !dn.starts_with("cn=users,") && !dn.starts_with("cn=builtin,")
    };
    let own: Vec<&(String, String)> = places.all.iter().filter(|(dn, _)| is_own(dn)).collect();
    if let [(only, _)] = own.as_slice() {
        places.default = Some(only.clone());
    }
    places
}

fn places(census: &Census, count: fn(&Container) -> u32, what: &str) -> Places {
    let mut found: Vec<&Container> = census.containers.iter().filter(|place| count(place) > 0).collect();
    found.sort_by_key(|place| std::cmp::Reverse(count(place)));
    let more = if census.is_cut { "at least " } else { "" };
    let all: Vec<_> =
        found.iter().map(|place| (place.dn.clone(), format!("{more}{} {what}", count(place)))).collect();
    let default = if let [(only, _)] = all.as_slice() { Some(only.clone()) } else { None };
    Places { default, all }
}

/// The ids of the accounts below a base: thousands, if no user or group of this host has one of theirs.
///
/// # Errors
/// A sentence: there are none, or a local user or group stands in the way.
pub fn id_range(census: &Census, base: &str, by_sid: bool, local: &LocalNames) -> Result<IdRange, String> {
    let below = |place: &&Container| is_below(&place.dn, base);
    let places: Vec<&Container> = census.containers.iter().filter(below).collect();
    if by_sid {
        let sid = places.iter().find_map(|place| place.sid.as_deref());
        return sid.and_then(slice).ok_or_else(|| format!("there is no entry with a SID below {base}"));
    }
    let ids = places.iter().filter_map(|place| place.ids);
    let (least, most) = ids
        .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
        .ok_or_else(|| format!("there is no entry with a uidNumber below \"{base}\""))?;
    let round = IdRange::new(least / 1000 * 1000, most / 1000 * 1000 + 999);
    let exact = IdRange::new(least, most)
        .map_err(|error| format!("the accounts have the ids {least} to {most}: {error}"))?;
    match round {
        Ok(range) if taken(range, local).is_none() => Ok(range),
        _ => taken(exact, local).map_or(Ok(exact), |who| Err(in_the_way(exact, &who))),
    }
}

/// The slice of ids that sssd would give to the domain of this SID.
fn slice(sid: &str) -> Option<IdRange> {
    let (min, max, size) = SSSD;
    let id = Slices::new(min, max, size)?.id_of(sid).ok()?;
    let first = min + (id - min) / size * size;
    IdRange::new(first, first + size - 1).ok()
}

/// A user or group of this host with an id of the range. Whoever is in it would count as managed whenever there is no
/// snapshot, and be refused.
#[must_use]
pub fn taken(range: IdRange, local: &LocalNames) -> Option<String> {
    local.in_range(range).map(|(what, id)| format!("{what} {id}"))
}

/// What to do about it.
#[must_use]
pub fn in_the_way(range: IdRange, who: &str) -> String {
    format!(
        "id_range {range} would take in the {who} of this host, who would be refused whenever svcauth has no data; \
         name a range without local ids: --id-range FIRST-LAST"
    )
}

fn is_below(dn: &str, base: &str) -> bool {
    let normal = |dn: &str| crate::directory::dn::normalise(dn).unwrap_or_else(|| dn.to_ascii_lowercase());
    base.is_empty() || crate::directory::dn::is_at_or_below(&normal(dn), &normal(base))
}

/// A group with the people who are in it, through however many others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its name.
    pub name: String,
    /// How many people.
    pub people: usize,
}

/// The groups that some people are in and some are not, most people first. `state` must come of a rule that has every
/// group for a role.
#[must_use]
pub fn roles(state: &State) -> Vec<Held> {
    let everybody = state.people.len();
    let mut held: Vec<Held> = Vec::new();
    for (index, role) in state.policy.roles.iter().enumerate() {
        let holds = |person: &&crate::state::StatePerson| {
            person.person.held.iter().any(|held| held.role.0 as usize == index)
        };
        let people = state.people.iter().filter(holds).count();
        if people > 0 && people < everybody {
            held.push(Held { name: role.name.clone(), people });
        }
    }
    held.sort_by(|a, b| b.people.cmp(&a.people).then_with(|| a.name.cmp(&b.name)));
    held
}

/// The account that is offered: the only one.
#[must_use]
pub fn account(candidate: &Candidate) -> Option<String> {
    match candidate.accounts.as_slice() {
        [only] => Some(only.name.clone()),
        _ => None,
    }
}

/// The role that is offered: the only group there is to choose.
#[must_use]
pub fn role(roles: &[Held]) -> Option<String> {
    let names: HashSet<&str> = roles.iter().map(|role| role.name.as_str()).collect();
    match (roles, names.len()) {
        ([only], 1) => Some(only.name.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Census, Container, LocalNames, accounts, groups, id_range, people};

    fn place(dn: &str, [posix, shared, people, keys, groups]: [u32; 5]) -> Container {
        let ids = (posix > 0).then_some((7000, 7003));
        Container { dn: dn.into(), posix, shared, people, keys, groups, ids, sid: None }
    }

    fn census(containers: &[Container]) -> Census {
        Census { containers: containers.to_vec(), ..Census::default() }
    }

    #[test]
    fn accounts_are_where_entries_with_a_uid_are_nobodys_own() {
        let found = census(&[
            place("ou=accounts,dc=x", [2, 2, 0, 0, 0]),
            place("ou=people,dc=x", [50, 0, 50, 50, 0]),
            place("ou=groups,dc=x", [0, 0, 0, 0, 4]),
        ]);
        assert_eq!(accounts(&found).default.as_deref(), Some("ou=accounts,dc=x"));
        assert_eq!(accounts(&found).all.len(), 2);
        assert_eq!(people(&found, "ou=accounts,dc=x").default.as_deref(), Some("ou=people,dc=x"));
        assert_eq!(groups(&found).default.as_deref(), Some("ou=groups,dc=x"));
    }

    #[test]
    fn where_nobody_can_tell_nothing_is_offered() {
        let found = census(&[place("ou=a,dc=x", [2, 2, 0, 0, 1]), place("ou=b,dc=x", [2, 2, 0, 0, 1])]);
        assert_eq!((accounts(&found).default, groups(&found).default), (None, None));
        assert_eq!(people(&found, "ou=a,dc=x").default, None);
    }

    #[test]
    fn the_groups_of_every_domain_are_left_aside() {
        let found = census(&[
            place("CN=Users,DC=x", [0, 0, 2, 0, 30]),
            place("CN=Builtin,DC=x", [0, 0, 0, 0, 20]),
            place("OU=groups,DC=x", [0, 0, 0, 0, 2]),
        ]);
        assert_eq!(groups(&found).default.as_deref(), Some("OU=groups,DC=x"));
    }

    #[test]
    fn a_range_of_ids_is_thousands_unless_somebody_local_is_in_it_and_never_has_anybody_local() {
        let found = census(&[place("ou=a,dc=x", [2, 2, 0, 0, 0])]);
        let range = |passwd: &str, group: &str| {
            let local = LocalNames::parse(passwd, group);
            id_range(&found, "OU=A, dc=x", false, &local).map(|range| range.to_string())
        };
        assert_eq!(range("root:x:0:0::/:/bin/sh\n", ""), Ok("7000-7999".into()));
        assert_eq!(range("a:x:7500:1::/:/bin/sh\n", ""), Ok("7000-7003".into()));
        assert!(range("a:x:7002:1::/:/bin/sh\n", "").unwrap_err().contains("--id-range"));
        assert!(range("", "g:x:7001:\n").unwrap_err().contains("group"));
        let none = id_range(&found, "ou=b,dc=x", false, &LocalNames::default());
        assert!(none.unwrap_err().contains("no entry with a uidNumber"));
    }
}
