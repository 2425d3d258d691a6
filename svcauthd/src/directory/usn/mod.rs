//! Changes of Active Directory, by update sequence numbers ([MS-ADTS] 3.1.1.1.9).
//!
//! A controller numbers everything that it writes, and every entry has the number of its last change (`uSNChanged`). The
//! numbers are that controller's own, and that of its database (`invocationId`), which a restored one replaces. So a
//! fetch goes on from a mark only where the same controller with the same database answers; anywhere else everything is
//! read. The connection stays open between fetches, so that an interval without changes costs one small request.
//!
//! Left out: what is in a domain of its own. Members of other domains (`foreignSecurityPrincipal`) are nobody here, and
//! bases outside of the controller's domain are read whole each time.

mod changed;
mod increment;
mod place;
mod reconcile;
#[cfg(test)]
mod reconcile_tests;
#[cfg(test)]
mod script;
#[cfg(test)]
mod tests;

use self::place::Place;
use super::error::FetchError;
use super::ldap::Server;
use super::mark::{Mark, UsnMark};
use super::pump::Link;
use super::source::{Answer, Depth, Request};
use super::{Extent, Kind, Sink};
use ldap3::Ldap;
use std::time::Duration;
use svcauth_core::config::{DirectoryUri, LdapDirectory};
use tokio::time::timeout;

/// How long a connection that was idle may take to answer before a new one is made.
const IDLE_WAIT: Duration = Duration::from_secs(10);
/// More numbers than this since the last fetch: reading everything is the shorter way.
const MAX_BEHIND: u64 = 1_000_000;

/// A connection to a controller that outlasts a fetch.
#[derive(Debug)]
pub(super) struct Line {
    uri: DirectoryUri,
    ldap: LdapDirectory,
    link: Link,
    session: Ldap,
    place: Place,
}

/// How the next answer is to be found.
#[derive(Debug, PartialEq, Eq)]
enum Plan<'a> {
    /// Everything is read; the reason, where an administrator should know it.
    Whole(Option<String>),
    /// What has changed since this mark.
    Changes(&'a UsnMark),
}

/// What [`Server::advance`] came to: where it stands now, and what an administrator should know.
type Advanced = (UsnMark, Option<String>);

/// Asks on the connection that is open already. `None`: there is none, it is no longer any good, or its server is only second
/// best; and nothing counts that the sink was given.
pub(super) async fn resume(
    line: &mut Option<Line>,
    ldap: &LdapDirectory,
    request: &Request<'_>,
    is_better_known: impl Fn(&DirectoryUri) -> bool,
    sink: &mut dyn Sink,
) -> Option<Answer> {
    let mut held = line.take().filter(|line| line.ldap == *ldap && !is_better_known(&line.uri))?;
    let Some(Mark::Usn(mark)) = request.since.filter(|_| request.depth != Depth::Whole) else {
        return None;
    };
    let (uri, wait) = (held.uri.clone(), request.config.directory.timeout);
    held.link.renew();
    let quick = Server::new(&uri, wait.min(IDLE_WAIT), held.link.clone());
    let usn = quick.glance(&mut held.session, &held.place).await.ok()?;
    let server = Server::new(&uri, wait, held.link.clone());
    if usn != mark.usn {
        held.place.invocation = server.invocation(&mut held.session, &held.place.controller).await.ok()??;
    }
    let Line { session, place, .. } = &mut held;
    let (mark, note) = server.advance(session, place, usn, request, sink).await.ok()?;
    *line = Some(held);
    Some(Answer { server: server.name(), mark: Some(Mark::Usn(mark)), live: false, note })
}

impl Server<'_> {
    /// Asks on a new connection, and keeps it where it will be of use.
    pub(super) async fn follow(
        &self,
        mut session: Ldap,
        ldap: &LdapDirectory,
        request: &Request<'_>,
        line: &mut Option<Line>,
        sink: &mut dyn Sink,
    ) -> Result<Answer, FetchError> {
        let (domain, place) = self.place(&mut session, request.config).await?;
        let Some((place, usn)) = place else {
            self.whole_domain(&mut session, &domain, request, sink).await?;
            // Polite, and of no consequence: everything has been read.
            let _ = timeout(Duration::from_secs(1), session.unbind()).await;
            return Ok(Answer { server: self.name(), ..Answer::default() });
        };
        let (mark, note) = self.advance(&mut session, &place, usn, request, sink).await?;
        let (uri, link) = self.way();
        *line = Some(Line { uri, ldap: ldap.clone(), link, session, place });
        Ok(Answer { server: self.name(), mark: Some(Mark::Usn(mark)), live: false, note })
    }

    /// Gives the sink what it takes to get from the mark of the request to `usn`.
    async fn advance(
        &self,
        session: &mut Ldap,
        place: &Place,
        usn: u64,
        request: &Request<'_>,
        sink: &mut dyn Sink,
    ) -> Result<Advanced, FetchError> {
        let note = match plan(request, place, usn, &self.name()) {
            Plan::Whole(note) => note,
            Plan::Changes(mark) => {
                if let Some(mark) = self.changes(session, place, (mark, usn), request, sink).await? {
                    return Ok((mark, None));
                }
                None
            }
        };
        let lockout = self.whole_domain(session, &place.domain, request, sink).await?;
        let reconcile_at = reconcile::next(request.config);
        let (server, invocation) = (place.controller.clone(), place.invocation.clone());
        Ok((UsnMark { server, invocation, usn, lockout, reconcile_at }, note))
    }

    /// Reads everything there is, and gives the domain's `lockoutDuration`.
    async fn whole_domain(
        &self,
        session: &mut Ldap,
        domain: &str,
        request: &Request<'_>,
        sink: &mut dyn Sink,
    ) -> Result<Option<String>, FetchError> {
        sink.begin(Extent::Whole);
        let lockout = self.domain(session, domain, sink).await?;
        for kind in Kind::ALL {
            self.search(session, request.config, kind, sink).await?;
        }
        Ok(lockout)
    }
}

fn plan<'a>(request: &Request<'a>, place: &Place, usn: u64, name: &str) -> Plan<'a> {
    let Some(Mark::Usn(mark)) = request.since else {
        return Plan::Whole(None);
    };
    if mark.server != place.controller {
        return Plan::Whole(None);
    }
    if mark.invocation != place.invocation {
        return Plan::Whole(Some(format!(
            "{name}: the controller has another database than before (invocationId {} instead of {}: restored from a \
             backup?); everything was read again",
            place.invocation, mark.invocation
        )));
    }
    if usn < mark.usn {
        return Plan::Whole(Some(format!(
            "{name}: highestCommittedUSN went back from {} to {usn} (restored from a snapshot?); everything was read again",
            mark.usn
        )));
    }
    if request.depth == Depth::Whole || usn - mark.usn > MAX_BEHIND {
        return Plan::Whole(None);
    }
    Plan::Changes(mark)
}
