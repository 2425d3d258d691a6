//! The controllers of a domain, by DNS: those of this host's site first, then all the others.

use super::resolver_ffi::{self, Silence};
use super::srv::{self, Answer, Record};
use crate::directory::error::FetchError;
use std::sync::Arc;
use std::time::{Duration, Instant};
use svcauth_core::config::{DirectoryUri, Tls};
use tokio::time::timeout;

/// Most controllers that are remembered.
const SERVERS_MAX: usize = 64;
/// Longest time for one question.
const PATIENCE: Duration = Duration::from_secs(10);
/// An answer is not asked for again before, and is not believed longer than this, whatever its TTL.
const KEPT: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));

/// When DNS is asked again after it gave nothing.
pub(super) const RETRY: Duration = Duration::from_secs(60);

/// How many controllers are asked for the site after DNS was asked.
pub(super) const PINGS: u8 = 2;

/// Gives the SRV records of a name, blocking.
pub(super) type Ask = Arc<dyn Fn(&str) -> Result<Vec<u8>, Silence> + Send + Sync>;

/// What is known of a domain's controllers.
#[derive(Debug, Default)]
pub(super) struct Discovery {
    /// The site: as configured, or as a controller said.
    pub(super) site: Option<String>,
    /// The controllers of that site; the first of the list.
    pub(super) nearby: Vec<String>,
    /// How many controllers may still be asked for the site. One that cannot answer must not keep all from being used.
    pub(super) pings: u8,
    /// When DNS is to be asked again; none before it was asked for the first time.
    pub(super) until: Option<Instant>,
}

impl Discovery {
    /// Lets DNS be asked again, but no more than once in [`RETRY`].
    pub(super) fn expire(&mut self) {
        let soon = Instant::now() + RETRY;
        self.until = self.until.map(|until| until.min(soon));
    }
}

/// How DNS is asked on this host.
pub(super) fn system() -> Ask {
    Arc::new(resolver_ffi::srv)
}

/// What was found.
pub(super) struct Found {
    /// The controllers in order of preference.
    pub(super) uris: Vec<DirectoryUri>,
    /// The host names of those that belong to the site.
    pub(super) nearby: Vec<String>,
    /// How long that holds.
    pub(super) keep: Duration,
}

/// Asks DNS for the controllers of the domain; `time` is what is left for the whole fetch.
///
/// # Errors
/// [`FetchError::Discovery`] when there is none.
pub(super) async fn find(
    ask: &Ask,
    (domain, site): (&str, Option<&str>),
    tls: Tls,
    seed: u64,
    time: Duration,
) -> Result<Found, FetchError> {
    let asked = |name: String| lookup(ask, name, domain, PATIENCE.min(time / 4));
    let near = async {
        match site {
            Some(site) => asked(format!("_ldap._tcp.{site}._sites.dc._msdcs.{domain}")).await,
            None => Ok(Answer::default()),
        }
    };
    let (near, all) = tokio::join!(near, asked(format!("_ldap._tcp.dc._msdcs.{domain}")));
    let why = why_none(&near, &all);
    let (mut near, mut all) = (near.unwrap_or_default(), all.unwrap_or_default());
    srv::order(&mut near.records, seed);
    srv::order(&mut all.records, seed);
    let ttl = [&near, &all].into_iter().filter(|answer| !answer.records.is_empty()).map(|answer| answer.ttl);
    let keep = ttl.min().unwrap_or_default().clamp(KEPT.0, KEPT.1);
    let nearby: Vec<String> = near.records.iter().map(|record| record.host.clone()).collect();
    all.records.retain(|record| !nearby.contains(&record.host));
    let records = near.records.iter().chain(&all.records).take(SERVERS_MAX);
    let uris: Vec<DirectoryUri> = records.map(|record| uri(record, tls)).collect();
    if uris.is_empty() {
        return Err(FetchError::Discovery { domain: domain.to_owned(), what: why });
    }
    Ok(Found { uris, nearby, keep })
}

/// DNS gives the port for StartTLS; Active Directory registers none for TLS from the first byte.
fn uri(record: &Record, tls: Tls) -> DirectoryUri {
    let ldaps = tls == Tls::Ldaps;
    DirectoryUri::Host { host: record.host.clone(), port: if ldaps { 636 } else { record.port }, ldaps }
}

async fn lookup(ask: &Ask, name: String, domain: &str, patience: Duration) -> Result<Answer, String> {
    let (ask, asked) = (Arc::clone(ask), name.clone());
    let answer = timeout(patience, tokio::task::spawn_blocking(move || ask(&asked)));
    match answer.await {
        Ok(Ok(Ok(message))) => srv::parse(&message, domain).map_err(|error| format!("{name}: {error}")),
        Ok(Ok(Err(Silence::Absent))) => Ok(Answer::default()),
        Ok(Ok(Err(Silence::Failed))) => Err(format!("{name}: no name server answers")),
        Ok(Err(_)) => Err(format!("{name}: the resolver panicked")),
        Err(_) => Err(format!("{name}: no name server answers within {patience:?}")),
    }
}

fn why_none(near: &Result<Answer, String>, all: &Result<Answer, String>) -> String {
    let refused = [near, all].into_iter().flatten().find_map(|answer| answer.refused.as_deref());
    match (all, near, refused) {
        (Err(why), _, _) | (_, Err(why), _) => why.clone(),
        (_, _, Some(host)) => format!("DNS names {host}, which is no host of the domain"),
        _ => "DNS has no record of one".to_owned(),
    }
}
