//! Finding and reaching a server: which ones there are, which is tried next, what of that outlives a fetch.
//!
//! Belongs here: DNS and sites, the order of servers and their back-off, the certificates that count, and the way to a
//! connection on which a bind may be said. Never here: the bind, and searches.

mod discover;
pub(super) mod names;
pub mod netlogon;
#[expect(unsafe_code, reason = "the resolver of the C library")]
mod resolver_ffi;
pub mod servers;
pub mod srv;
#[cfg(test)]
mod tests;
mod trust;

use super::connect::{self, Stream};
use super::error::FetchError;
use super::traffic::{Meter, Traffic};
use discover::{Ask, Discovery};
use native_tls::TlsConnector;
use servers::{Round, Servers};
use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::Hasher as _;
use std::path::Path;
use std::time::{Duration, Instant};
use svcauth_core::config::{DirectoryUri, LdapDirectory, ServerSource, Tls};
use tokio::time::timeout;
use trust::Trust;

/// Longest time for a connection while another server could be had: `timeout` has to be long for searches alone.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// What is remembered of the ways to a directory from one fetch to the next.
pub struct Reach {
    of: Option<LdapDirectory>,
    servers: Servers,
    discovery: Discovery,
    trust: Trust,
    ask: Ask,
    seed: u64,
    in_use: Option<DirectoryUri>,
    meter: Meter,
}

/// One fetch on its way from server to server.
pub(super) struct Attempt<'a> {
    reach: &'a mut Reach,
    ldap: &'a LdapDirectory,
    tls: Option<TlsConnector>,
    wait: Duration,
    deadline: Instant,
    round: Round,
    failures: Vec<FetchError>,
}

/// A protected connection on which nothing of the bind was said yet.
pub(super) struct Way {
    /// The server at its end.
    pub(super) uri: DirectoryUri,
    /// The connection.
    pub(super) stream: Box<dyn Stream>,
}

impl Default for Reach {
    /// For this host: its resolver, and its name for what is drawn by lot.
    fn default() -> Self {
        Self::new(discover::system(), seed())
    }
}

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reach").field("servers", &self.servers).finish_non_exhaustive()
    }
}

/// The certificates that count, read now.
///
/// # Errors
/// [`FetchError::File`] when `ca_file` gives none.
pub(super) fn trusted(ca_file: Option<&Path>) -> Result<TlsConnector, FetchError> {
    Trust::default().connector(ca_file, Instant::now())
}

/// The controllers of a domain, as DNS names them now, in the order in which this host asks them.
///
/// # Errors
/// [`FetchError::Discovery`] when there is none.
pub(super) async fn controllers(
    domain: &str,
    tls: Tls,
    time: Duration,
) -> Result<Vec<DirectoryUri>, FetchError> {
    // Of the time for a whole fetch one question gets a quarter.
    let found = discover::find(&discover::system(), (domain, None), tls, seed(), time * 4).await?;
    Ok(found.uris)
}

/// What is drawn by lot is drawn for this host.
fn seed() -> u64 {
    let mut hasher = DefaultHasher::new();
    if let Ok(name) = nix::unistd::gethostname() {
        hasher.write(name.as_encoded_bytes());
    }
    hasher.finish()
}

impl Reach {
    fn new(ask: Ask, seed: u64) -> Self {
        Self {
            of: None,
            servers: Servers::default(),
            discovery: Discovery::default(),
            trust: Trust::default(),
            ask,
            seed,
            in_use: None,
            meter: Meter::default(),
        }
    }

    /// What was said on all ways so far.
    pub(super) fn traffic(&self) -> Traffic {
        self.meter.read()
    }

    /// Begins a fetch: `wait` is the longest one step may take, and everything is to be over at `deadline`.
    ///
    /// # Errors
    /// When no server is known, or the certificates that count cannot be read.
    pub(super) async fn begin<'a>(
        &'a mut self,
        ldap: &'a LdapDirectory,
        wait: Duration,
        deadline: Instant,
    ) -> Result<Attempt<'a>, FetchError> {
        if self.of.as_ref() != Some(ldap) {
            self.adopt(ldap);
        }
        // The last fetch ended in the middle of this one: the deadline passed, or something panicked.
        if let Some(uri) = self.in_use.take() {
            self.put_back(&uri);
        }
        if self.discovery.until.is_none_or(|until| until <= Instant::now()) {
            self.find(deadline).await?;
        }
        let is_host = |uri: &DirectoryUri| matches!(uri, DirectoryUri::Host { .. });
        let needs_tls = ldap.tls != Tls::Off && self.servers.uris().any(is_host);
        let ca_file = ldap.ca_file.as_deref();
        let tls = needs_tls.then(|| self.trust.connector(ca_file, Instant::now())).transpose()?;
        let (round, failures) = (Round::default(), Vec::new());
        Ok(Attempt { reach: self, ldap, tls, wait, deadline, round, failures })
    }

    /// Whether a server that is preferred to this one may be tried again.
    pub(super) fn has_better(&self, uri: &DirectoryUri) -> bool {
        let now = Instant::now();
        self.servers.better_at(uri, now).is_some_and(|at| at <= now)
    }

    /// Another configuration: what was learned under the old one may be wrong.
    fn adopt(&mut self, ldap: &LdapDirectory) {
        (self.servers, self.discovery, self.in_use) = (Servers::default(), Discovery::default(), None);
        match &ldap.servers {
            ServerSource::Uris(uris) => self.servers.set(uris.clone()),
            ServerSource::Domain { site, .. } => self.discovery.site.clone_from(site),
        }
        self.of = Some(ldap.clone());
    }

    /// Asks DNS, where the configuration names a domain. What is known already stays when DNS does not answer.
    async fn find(&mut self, deadline: Instant) -> Result<(), FetchError> {
        let Some((ldap, (domain, site))) = self.of.as_ref().and_then(|ldap| Some((ldap, ldap.domain()?)))
        else {
            return Ok(());
        };
        let place = (domain, self.discovery.site.as_deref());
        let time = deadline.saturating_duration_since(Instant::now());
        match discover::find(&self.ask, place, ldap.tls, self.seed, time).await {
            Ok(found) => {
                self.discovery.until = Some(Instant::now() + found.keep);
                self.discovery.nearby = found.nearby;
                self.discovery.pings = if site.is_none() { discover::PINGS } else { 0 };
                self.servers.set(found.uris);
                Ok(())
            }
            Err(_) if self.servers.uris().next().is_some() => {
                self.discovery.until = Some(Instant::now() + discover::RETRY);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Takes note of this host's site, and says whether the controller will do: it is of that site, or none is.
    async fn is_in(
        &mut self,
        site: Option<String>,
        uri: &DirectoryUri,
        deadline: Instant,
    ) -> Result<bool, FetchError> {
        if site.is_some() && site != self.discovery.site {
            self.discovery.site = site;
            self.find(deadline).await?;
        }
        self.discovery.pings = 0;
        let nearby = &self.discovery.nearby;
        let is_here = matches!(uri, DirectoryUri::Host { host, .. } if nearby.contains(host));
        Ok(is_here || nearby.is_empty())
    }

    fn put_back(&mut self, uri: &DirectoryUri) {
        let chance = getrandom::u32().map_or(0.5, |number| f64::from(number) / f64::from(u32::MAX));
        self.servers.failed(uri, Instant::now(), chance);
    }
}

impl Attempt<'_> {
    /// The next server that can be reached; none when there is no other to try.
    pub(super) async fn next(&mut self) -> Option<Way> {
        loop {
            let uri = self.reach.servers.next(&mut self.round, Instant::now())?;
            match self.open(&uri).await {
                Ok(Some(stream)) => {
                    self.reach.in_use = Some(uri.clone());
                    let stream = self.reach.meter.on(stream);
                    return Some(Way { uri, stream });
                }
                Ok(None) => self.round.untry(&uri),
                Err(error) => self.failed(&uri, error),
            }
        }
    }

    /// The server gave all that was asked of it.
    pub(super) fn worked(self, uri: &DirectoryUri) {
        self.reach.in_use = None;
        self.reach.servers.worked(uri);
    }

    /// The server is to be had once more on a new connection.
    pub(super) fn again(&mut self, uri: &DirectoryUri) {
        self.reach.in_use = None;
        self.round.untry(uri);
    }

    /// The server failed, and is put back.
    pub(super) fn failed(&mut self, uri: &DirectoryUri, error: FetchError) {
        self.reach.in_use = None;
        self.reach.put_back(uri);
        self.failures.push(error);
    }

    /// Why no server could be used.
    pub(super) fn failure(mut self) -> FetchError {
        // Controllers come and go; the next fetch looks for them anew.
        self.reach.discovery.expire();
        match self.failures.len() {
            1 => self.failures.remove(0),
            _ => FetchError::NoServer(self.failures),
        }
    }

    /// Connects; none when a controller of this host's own site is to be tried first.
    async fn open(&mut self, uri: &DirectoryUri) -> Result<Option<Box<dyn Stream>>, FetchError> {
        let wait = self.share();
        let late = |step: &str| FetchError::Timeout {
            server: uri.to_string(),
            step: step.to_owned(),
            seconds: wait.as_secs(),
        };
        let opened = timeout(wait, connect::open(self.ldap, uri, self.tls.as_ref())).await;
        let mut stream = opened.map_err(|_| late("connecting"))??;
        let Some((domain, None)) = self.ldap.domain().filter(|_| self.reach.discovery.pings > 0) else {
            return Ok(Some(stream));
        };
        self.reach.discovery.pings -= 1;
        let pong = timeout(wait, connect::ping(uri, &mut stream, domain)).await;
        let site = pong.map_err(|_| late("the ping"))??.and_then(|pong| pong.client_site);
        let is_right_place = self.reach.is_in(site, uri, self.deadline).await?;
        Ok(is_right_place.then_some(stream))
    }

    /// The time for one connection: less than `wait` when there are others to try.
    fn share(&self) -> Duration {
        let left = u32::try_from(self.reach.servers.left(&self.round)).unwrap_or(u32::MAX - 1);
        let time = self.deadline.saturating_duration_since(Instant::now());
        let most = if left > 0 { self.wait.min(CONNECT_MAX) } else { self.wait };
        most.min(time / (left + 1)).max(Duration::from_secs(1))
    }
}
