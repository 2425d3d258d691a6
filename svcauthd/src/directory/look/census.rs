//! What a tree holds, container by container: how many accounts, people, keys and groups, and which ids.

use crate::directory::entry::Entry;
use crate::directory::error::FetchError;
use crate::directory::ldap::Server;
use crate::directory::search::{Query, scope};
use ldap3::Ldap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Instant;
use svcauth_core::config::Config;
use svcauth_core::id::parse_id;

/// Most entries that are counted: enough to see what is where.
const ENTRIES_MAX: u32 = 20_000;
/// Most containers that are told of.
const CONTAINERS_MAX: usize = 200;

/// What a tree holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Census {
    /// What the server calls its trees; of Active Directory its own domain.
    pub contexts: Vec<String>,
    /// The entries that have entries of interest directly below them.
    pub containers: Vec<Container>,
    /// Whether there is more than was counted.
    pub is_cut: bool,
}

/// What is directly below one entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Its DN, as the directory writes it.
    pub dn: String,
    /// Entries with a uid number.
    pub posix: u32,
    /// Those of them that look like nobody's own: no person, no key.
    pub shared: u32,
    /// People.
    pub people: u32,
    /// Entries with a public key.
    pub keys: u32,
    /// Groups.
    pub groups: u32,
    /// The least and the greatest uid of the entries with one; gids of theirs included.
    pub ids: Option<(u32, u32)>,
    /// The SID of one of the entries that are no groups, in text.
    pub sid: Option<String>,
}

/// Counts entries while they pass by.
pub(super) struct Counter<'a> {
    config: &'a Config,
    containers: BTreeMap<String, Container>,
    count: u32,
    is_cut: bool,
}

impl<'a> Counter<'a> {
    pub(super) const fn new(config: &'a Config) -> Self {
        Self { config, containers: BTreeMap::new(), count: 0, is_cut: false }
    }

    pub(super) fn finish(self, contexts: Vec<String>) -> Census {
        Census { contexts, containers: self.containers.into_values().collect(), is_cut: self.is_cut }
    }

    /// Counts what is below `base`. A server that ends the list early has said enough.
    pub(super) async fn count(
        &mut self,
        server: &Server<'_>,
        session: &mut Ldap,
        base: &str,
        deadline: Instant,
    ) -> Result<(), FetchError> {
        let is_ad = self.config.directory.kind.is_ad();
        let filter = if is_ad {
            "(|(&(objectCategory=person)(objectClass=user))(objectClass=group))".to_owned()
        } else {
            let Config { accounts, groups, people, .. } = self.config;
            format!("(|{}{}{})", accounts.search.filter, groups.search.filter, people.search.filter)
        };
        let mut attributes: Vec<String> =
            ["objectClass", "uidNumber", "gidNumber", "objectSid"].map(str::to_owned).into();
        attributes.extend(self.config.people.ssh_key.iter().cloned());
        let controls = scope(self.config);
        let query = Query { step: "the count of the entries", base, filter: &filter, attributes, controls };
        let before = self.count;
        let done = server
            .each(session, query, &mut |entry| {
                if self.count >= ENTRIES_MAX || Instant::now() >= deadline {
                    return Err(FetchError::Deadline);
                }
                self.take(&entry);
                Ok(())
            })
            .await;
        match done {
            Ok(_) => Ok(()),
            Err(FetchError::Deadline | FetchError::Refused { code: 3 | 4 | 11, .. })
                if self.count > before =>
            {
                self.is_cut = true;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn take(&mut self, entry: &Entry) {
        self.count = self.count.saturating_add(1);
        let Some(parent) = parent(&entry.dn).filter(|parent| parent.len() <= 1024) else { return };
        if self.containers.len() >= CONTAINERS_MAX && !self.containers.contains_key(parent) {
            self.is_cut = true;
            return;
        }
        let is = |class: &str| {
            entry.values("objectclass").iter().any(|value| value.eq_ignore_ascii_case(class.as_bytes()))
        };
        let is_group = if self.config.directory.kind.is_ad() {
            is("group")
        } else {
            self.config.groups.search.filter.matches(&|name: &str| entry.values(name))
        };
        let uid = number(entry, "uidnumber").filter(|_| !is_group && !is("computer"));
        let has_key = self.has_key(entry);
        let is_person =
            (is("person") || is("inetOrgPerson") || is("user") || is("ldapPublicKey")) && !is_group;
        let looks_shared = uid.is_some() && !has_key && (!is_person || is("user"));
        let dn = parent.to_owned();
        let container = self.containers.entry(dn.clone()).or_insert(Container { dn, ..Container::default() });
        let more = |count: &mut u32, more: bool| *count = count.saturating_add(u32::from(more));
        more(&mut container.posix, uid.is_some());
        more(&mut container.shared, looks_shared);
        more(&mut container.people, is_person && !looks_shared);
        more(&mut container.keys, has_key);
        more(&mut container.groups, is_group);
        if let Some(uid) = uid {
            let gid = number(entry, "gidnumber").unwrap_or(uid);
            let (least, most) = container.ids.unwrap_or((uid, uid));
            container.ids = Some((least.min(uid).min(gid), most.max(uid).max(gid)));
        }
        if !is_group && container.sid.is_none() {
            container.sid =
                entry.values("objectsid").first().and_then(|bytes| crate::mapping::ad::sid(bytes));
        }
    }

    fn has_key(&self, entry: &Entry) -> bool {
        self.config.people.ssh_key.iter().any(|name| {
            let name = name.to_ascii_lowercase();
            let is_key = |value: &Vec<u8>| {
                name != "altsecurityidentities"
                    || value.trim_ascii().to_ascii_lowercase().starts_with(b"sshkey:")
            };
            entry.values(&name).iter().any(is_key)
        })
    }
}

fn number(entry: &Entry, name: &str) -> Option<u32> {
    parse_id(entry.values(name).first()?)
}

/// The DN above, as it is written.
fn parent(dn: &str) -> Option<&str> {
    let mut escaped = false;
    let comma = dn.char_indices().find(|(_, letter)| {
        let is_end = *letter == ',' && !escaped;
        escaped = *letter == '\\' && !escaped;
        is_end
    });
    comma.and_then(|(place, _)| dn.get(place + 1..)).map(str::trim_start).filter(|rest| !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::parent;

    #[test]
    fn the_parent_of_a_name_is_what_follows_the_first_comma_that_is_none_of_the_name() {
        assert_eq!(parent("uid=a,ou=x,dc=y"), Some("ou=x,dc=y"));
        assert_eq!(parent("cn=Doe\\, John, ou=x"), Some("ou=x"));
        assert_eq!(parent("cn=back\\\\,ou=x"), Some("ou=x"));
        assert_eq!(parent("dc=y"), None);
    }
}
