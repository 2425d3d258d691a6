//! What has changed in the domain: ids, and what else changes with an entry although its own number stays.

use super::place::Place;
use crate::directory::dn;
use crate::directory::entry::Entry;
use crate::directory::error::FetchError;
use crate::directory::ldap::Server;
use crate::directory::search::Query;
use crate::mapping::ad::sid;
use ldap3::Ldap;
use std::collections::HashSet;

/// More changed entries than this: reading everything is the shorter way.
const MAX_CHANGED: usize = 20_000;
/// Entries with one of these classes have nothing below them that is an account, a group or a person.
const LEAVES: [&str; 14] = [
    "user",
    "group",
    "contact",
    "foreignsecurityprincipal",
    "ridset",
    "ridmanager",
    "infrastructureupdate",
    "dnsnode",
    "dnszone",
    "secret",
    "trusteddomain",
    "serviceconnectionpoint",
    "printqueue",
    "msfve-recoveryinformation",
];
const ENTRY: [&str; 3] = ["objectSid", "objectClass", "isDeleted"];

/// Entries that are different, gone, or may be.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changed {
    /// SIDs of all of them that have one.
    pub(super) ids: HashSet<String>,
    /// DNs of entries that may have others below them, the domain itself left out. Where one is renamed or moved, the
    /// numbers of those below stay.
    pub(super) containers: Vec<String>,
    /// Groups, by SID, with their DNs.
    pub(super) groups: Vec<(String, String)>,
    /// Whether one was deleted whose SID cannot be read.
    pub(super) lost: bool,
    /// Too many to be worth it; then the lists are not complete.
    pub(super) too_many: bool,
}

impl Changed {
    /// Whether there is nothing that could concern an account, a group or a person.
    pub(super) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    fn note(&mut self, entry: &Entry, domain: Option<&str>) {
        let has = |class: &str| {
            entry.values("objectclass").iter().any(|c| c.eq_ignore_ascii_case(class.as_bytes()))
        };
        let id = only_sid(entry);
        let is_deleted = entry.values("isdeleted").iter().any(|value| value.eq_ignore_ascii_case(b"TRUE"));
        if is_deleted {
            self.lost |=
                id.is_none() && (has("user") || has("group") || entry.values("objectclass").is_empty());
        } else if let Some(id) = id.as_ref().filter(|_| has("group")) {
            self.groups.push((id.clone(), entry.dn.clone()));
        } else if !LEAVES.iter().any(|leaf| has(leaf)) && dn::normalise(&entry.dn).as_deref() != domain {
            self.containers.push(entry.dn.clone());
        }
        self.ids.extend(id);
        self.too_many |= self.ids.len().max(self.containers.len()) > MAX_CHANGED;
    }
}

impl Server<'_> {
    /// Everything in the domain whose number is above `usn`.
    pub(super) async fn changed(
        &self,
        session: &mut Ldap,
        place: &Place,
        usn: u64,
    ) -> Result<Changed, FetchError> {
        let mut changed = Changed::default();
        let domain = dn::normalise(&place.domain);
        let query = Query {
            step: "the search for changes",
            base: &place.domain,
            filter: &since("(objectClass=*)", usn),
            attributes: ENTRY.map(str::to_owned).to_vec(),
            controls: place.controls(true),
        };
        let mut note = |entry: Entry| {
            if !changed.too_many {
                changed.note(&entry, domain.as_deref());
            }
            Ok(())
        };
        if !self.each(session, query, &mut note).await? {
            return Err(self.incomplete("the search for changes", "the domain is not there"));
        }
        Ok(changed)
    }

    /// SIDs of the entries below a base that a filter finds; says whether there was a base.
    pub(super) async fn ids(
        &self,
        session: &mut Ldap,
        place: &Place,
        (base, filter): (&str, &str),
        take: &mut dyn FnMut(String),
    ) -> Result<bool, FetchError> {
        let attributes = vec!["objectSid".to_owned()];
        let controls = place.controls(false);
        let query = Query { step: "the search for ids", base, filter, attributes, controls };
        let mut note = |entry: Entry| {
            only_sid(&entry).into_iter().for_each(&mut *take);
            Ok(())
        };
        self.each(session, query, &mut note).await
    }
}

/// Finds what the filter finds and has a higher number.
pub(super) fn since(filter: &str, usn: u64) -> String {
    format!("(&{filter}(uSNChanged>={}))", usn.saturating_add(1))
}

fn only_sid(entry: &Entry) -> Option<String> {
    match entry.values("objectsid") {
        [value] => sid(value),
        _ => None,
    }
}
