//! Reads what has changed, and tells what no longer belongs.

use super::changed::{Changed, since};
use super::place::Place;
use super::reconcile;
use crate::directory::entry::Entry;
use crate::directory::error::FetchError;
use crate::directory::ldap::Server;
use crate::directory::mark::UsnMark;
use crate::directory::relist::{self, MAX_RELISTED};
use crate::directory::source::{Depth, Request};
use crate::directory::{Extent, Kind, Sink, dn};
use crate::mapping::ad::sid;
use ldap3::Ldap;
use std::collections::HashSet;
use svcauth_core::config::{Config, WrittenRoles};

/// More containers than this were changed: reading everything is the shorter way.
const MAX_CONTAINERS: usize = 50;
/// Ids in one part of an answer.
pub(super) const PART: usize = 5000;

/// One answer while it is put together.
struct Walk<'a> {
    server: &'a Server<'a>,
    session: &'a mut Ldap,
    place: &'a Place,
    config: &'a Config,
    sink: &'a mut dyn Sink,
    /// Ids that the search of each kind gave.
    found: [HashSet<String>; 3],
    /// DNs of everything that was given.
    dns: Vec<String>,
}

impl Server<'_> {
    /// Gives the sink what has changed from the mark to `usn`, and the new mark; `None` where only everything will do.
    pub(super) async fn changes(
        &self,
        session: &mut Ldap,
        place: &Place,
        (mark, usn): (&UsnMark, u64),
        request: &Request<'_>,
        sink: &mut dyn Sink,
    ) -> Result<Option<UsnMark>, FetchError> {
        sink.begin(Extent::Changes);
        let changed = match usn {
            same if same == mark.usn => Changed::default(),
            _ => self.changed(session, place, mark.usn).await?,
        };
        if changed.too_many || changed.containers.len() > MAX_CONTAINERS {
            return Ok(None);
        }
        let lost = changed.lost;
        let config = request.config;
        if !changed.is_nothing() || (request.depth == Depth::Exact && has_own_roles(config)) {
            let (found, dns) = Default::default();
            let walk = Walk { server: self, session, place, config, sink, found, dns };
            if !walk.all(changed, mark, request.depth).await? {
                return Ok(None);
            }
        }
        let mut next = UsnMark { usn, ..mark.clone() };
        if lost || request.depth == Depth::Exact || reconcile::is_due(mark, config) {
            if lost || !self.sees_deletions(session, place).await? {
                self.reconcile(session, place, config, sink).await?;
            }
            next.reconcile_at = reconcile::next(config);
        }
        Ok(Some(next))
    }
}

impl Walk<'_> {
    /// Whether the answer could be put together from changes.
    async fn all(mut self, mut changed: Changed, mark: &UsnMark, depth: Depth) -> Result<bool, FetchError> {
        let lockout = self.server.domain(self.session, &self.place.domain, self.sink).await?;
        if lockout != mark.lockout {
            return Ok(false);
        }
        for container in std::mem::take(&mut changed.containers) {
            if !self.below(&container, &mut changed.ids).await? {
                return Ok(false);
            }
        }
        for kind in Kind::ALL {
            let search = kind.search(self.config);
            self.read(kind, &search.base, &since(&search.filter.to_string(), mark.usn)).await?;
        }
        for (kind, found) in Kind::ALL.into_iter().zip(&self.found) {
            let gone: Vec<String> = changed.ids.difference(found).cloned().collect();
            gone.chunks(PART).for_each(|ids| self.sink.gone(kind, ids.to_vec()));
        }
        if !self.own_roles(&changed, depth).await? || self.dns.len() > MAX_RELISTED {
            return Ok(false);
        }
        self.server.relist(self.session, self.config, self.dns, self.sink).await?;
        Ok(true)
    }

    /// Reads all that is below a container, and adds it to what has changed; `false` where it holds a base.
    async fn below(&mut self, container: &str, ids: &mut HashSet<String>) -> Result<bool, FetchError> {
        let Some(normal) = dn::normalise(container) else {
            return Ok(false);
        };
        let bases = Kind::ALL.map(|kind| (kind, dn::normalise(&kind.search(self.config).base)));
        if bases.iter().any(|(_, base)| base.as_ref().is_none_or(|base| dn::is_at_or_below(base, &normal))) {
            return Ok(false);
        }
        let filter = "(objectSid=*)";
        let mut take = |id| ids.extend([id]);
        // One that has gone meanwhile has a new number.
        self.server.ids(self.session, self.place, (container, filter), &mut take).await?;
        for (kind, base) in bases {
            if base.is_some_and(|base| dn::is_at_or_below(&normal, &base)) {
                self.read(kind, container, &kind.search(self.config).filter.to_string()).await?;
            }
        }
        Ok(true)
    }

    async fn read(&mut self, kind: Kind, base: &str, filter: &str) -> Result<(), FetchError> {
        let Self { server, session, config, sink, found, dns, .. } = self;
        let [accounts, groups, people] = found;
        let found = match kind {
            Kind::Accounts => accounts,
            Kind::Groups => groups,
            Kind::People => people,
        };
        let mut take = |entry: &Entry| {
            found.extend(entry.values("objectsid").first().and_then(|value| sid(value)));
            dns.push(entry.dn.clone());
            sink.take(kind, entry);
        };
        server.read(session, config, kind, (base, filter), &mut take).await
    }

    /// Accounts whose own groups are their roles, where a group has changed that is none of `[groups]`: what the accounts
    /// say of it (`memberOf`) changes without their numbers. Who has left such a group is found by [`Depth::Exact`] only;
    /// until then the account can be used by fewer people, not by more.
    async fn own_roles(&mut self, changed: &Changed, depth: Depth) -> Result<bool, FetchError> {
        if !has_own_roles(self.config) {
            return Ok(true);
        }
        let search = &self.config.accounts.search;
        let [_, groups, _] = &self.found;
        let others = changed.groups.iter().filter(|(id, _)| !groups.contains(id));
        let others: Vec<String> = others.map(|(_, dn)| dn.clone()).collect();
        if depth == Depth::Exact {
            self.read(Kind::Accounts, &search.base, &search.filter.to_string()).await?;
        } else {
            if others.len() > MAX_RELISTED {
                return Ok(false);
            }
            let names = ["memberOf".to_owned()];
            for batch in others.chunks(relist::BATCH) {
                if let Some(filter) = relist::listing(&search.filter, &names, batch) {
                    self.read(Kind::Accounts, &search.base, &filter).await?;
                }
            }
        }
        Ok(true)
    }
}

fn has_own_roles(config: &Config) -> bool {
    config.access.iter().any(|rule| rule.roles == WrittenRoles::MemberOf)
}
