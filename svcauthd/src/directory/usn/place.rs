//! Which controller this is, and how far it has counted.

use crate::directory::Kind;
use crate::directory::dn;
use crate::directory::entry::Entry;
use crate::directory::error::FetchError;
use crate::directory::ldap::Server;
use ldap3::Ldap;
use ldap3::controls::RawControl;
use svcauth_core::config::{Config, Filter};

/// Shows deleted entries to who may see them ([MS-ADTS] 3.1.1.3.4.1.14).
const SHOW_DELETED: &str = "1.2.840.113556.1.4.417";
/// Keeps other domains out of the answer ([MS-ADTS] 3.1.1.3.4.1.4).
const DOMAIN_SCOPE: &str = "1.2.840.113556.1.4.1339";
/// Attributes of the root DSE that say which controller it is and how far it has counted.
const COUNT: [&str; 2] = ["highestCommittedUSN", "dsServiceName"];

/// Longest text in bytes.
const MAX_TEXT: usize = 4096;

/// A controller and its database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The controller (`dsServiceName`).
    pub(super) controller: String,
    /// Its database (`invocationId`), in hexadecimal.
    pub(super) invocation: String,
    /// The domain (`defaultNamingContext`).
    pub(super) domain: String,
    /// Which of our controls it knows. An unknown one is not sent: Samba answers it with what is no LDAP.
    controls: Vec<&'static str>,
}

impl Place {
    /// Controls for a search of the domain.
    pub(super) fn controls(&self, with_deleted: bool) -> Vec<RawControl> {
        let wanted = self.controls.iter().filter(|oid| with_deleted || **oid != SHOW_DELETED);
        wanted.map(|oid| RawControl { ctype: (*oid).to_owned(), crit: false, val: None }).collect()
    }

    /// Whether deleted entries can be asked for.
    pub(super) fn shows_deleted(&self) -> bool {
        self.controls.contains(&SHOW_DELETED)
    }
}

impl Server<'_> {
    /// Asks a controller who it is: the domain, and where changes can be told from the rest, the place and the number.
    pub(super) async fn place(
        &self,
        session: &mut Ldap,
        config: &Config,
    ) -> Result<(String, Option<(Place, u64)>), FetchError> {
        let step = "the search of the domain";
        let wanted = [&COUNT[..], &["defaultNamingContext", "supportedControl"]].concat();
        let root = self.one(session, step, "", &wanted).await?.unwrap_or_default();
        let domain = text(&root, "defaultnamingcontext").ok_or_else(|| {
            self.incomplete(
                step,
                "the server names no domain (defaultNamingContext); is it Active Directory?",
            )
        })?;
        let (Some(usn), Some(controller)) = (number(&root), text(&root, "dsservicename")) else {
            return Ok((domain, None));
        };
        if !can_follow(config, &domain) {
            return Ok((domain, None));
        }
        let Some(invocation) = self.invocation(session, &controller).await? else {
            return Ok((domain, None));
        };
        let known = |oid: &&str| root.values("supportedcontrol").iter().any(|known| known == oid.as_bytes());
        let controls = [SHOW_DELETED, DOMAIN_SCOPE].into_iter().filter(known).collect();
        let place = Place { controller, invocation, domain: domain.clone(), controls };
        Ok((domain, Some((place, usn))))
    }

    /// The one request of an interval without changes: how far the controller of this connection has counted.
    pub(super) async fn glance(&self, session: &mut Ldap, place: &Place) -> Result<u64, FetchError> {
        let step = "the look at the controller's count";
        let root = self.one(session, step, "", &COUNT).await?.unwrap_or_default();
        if text(&root, "dsservicename").as_ref() != Some(&place.controller) {
            return Err(self.incomplete(step, "another controller answers on this connection"));
        }
        number(&root).ok_or_else(|| self.incomplete(step, "highestCommittedUSN is no number"))
    }

    /// The controller's database.
    pub(super) async fn invocation(
        &self,
        session: &mut Ldap,
        controller: &str,
    ) -> Result<Option<String>, FetchError> {
        let found = self.one(session, "the search of the controller", controller, &["invocationId"]).await?;
        Ok(found.and_then(|entry| match entry.values("invocationid") {
            [id] if id.len() == 16 => Some(id.iter().map(|byte| format!("{byte:02x}")).collect()),
            _ => None,
        }))
    }
}

/// The only value of an attribute, as text of no more than the length of a DN.
pub(super) fn text(entry: &Entry, name: &str) -> Option<String> {
    match entry.values(name) {
        [value] if (1..=MAX_TEXT).contains(&value.len()) => String::from_utf8(value.clone()).ok(),
        _ => None,
    }
}

/// `highestCommittedUSN`: decimal, of 63 bits.
fn number(root: &Entry) -> Option<u64> {
    let text =
        text(root, "highestcommittedusn").filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    text.parse::<i64>().ok().map(i64::unsigned_abs)
}

/// Whether a change to what is searched for always counts as a change of the entry, on this controller.
fn can_follow(config: &Config, domain: &str) -> bool {
    let Some(domain) = dn::normalise(domain) else {
        return false;
    };
    Kind::ALL.into_iter().map(|kind| kind.search(config)).all(|search| {
        let base = dn::normalise(&search.base);
        base.is_some_and(|base| dn::is_at_or_below(&base, &domain)) && !needs_links(&search.filter)
    })
}

/// Whether the filter asks for what other entries say of this one (`memberOf`): that changes without the entry's number.
fn needs_links(filter: &Filter) -> bool {
    match filter {
        Filter::And(parts) | Filter::Or(parts) => parts.iter().any(needs_links),
        Filter::Not(part) => needs_links(part),
        Filter::Present(name)
        | Filter::Equal(name, _)
        | Filter::Substrings(name, _)
        | Filter::AtLeast(name, _)
        | Filter::AtMost(name, _) => {
            let name = name.to_ascii_lowercase();
            // Names of back links end so; the others are older than that habit, or computed at the moment of asking.
            name.ends_with("bl")
                || name.ends_with("-computed")
                || ["memberof", "directreports", "managedobjects", "tokengroups", "ismemberofdl"]
                    .contains(&name.as_str())
        }
    }
}
