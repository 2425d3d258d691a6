//! A host of the fleet: what the daemon's worker does, without the files of the host.

use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use svcauth_core::config::Config;
use svcauthd::directory::{Depth, Entry, Extent, Kind, Mark, Request, Sink, Source, Wake};

use crate::server::group_dn;

/// What all hosts of a fleet share.
pub(crate) struct Fleet {
    pub(crate) config: Config,
    pub(crate) secret: String,
    /// The member that the first group gets next; hosts say when they see it.
    pub(crate) awaited: RwLock<String>,
    /// When each host saw it.
    pub(crate) seen: Mutex<Vec<Instant>>,
    /// Hosts that have everything.
    pub(crate) complete: AtomicUsize,
    /// Hosts whose source notices changes by itself.
    pub(crate) live: AtomicUsize,
    /// Fetches that worked.
    pub(crate) fetches: AtomicU64,
    /// Why the others did not.
    pub(crate) failures: Mutex<Vec<String>>,
}

impl Fleet {
    pub(crate) fn new(config: Config, secret: &str) -> Self {
        Self {
            config,
            secret: secret.to_owned(),
            awaited: RwLock::default(),
            seen: Mutex::default(),
            complete: AtomicUsize::new(0),
            live: AtomicUsize::new(0),
            fetches: AtomicU64::new(0),
            failures: Mutex::default(),
        }
    }

    /// Runs one host: it fetches when it is told to by a byte, or by several that came meanwhile, and when its source stirs;
    /// until `asked` is closed.
    pub(crate) fn host(&self, mut asked: UnixStream) {
        let mut host = Host::default();
        loop {
            match host.source.wait(asked.as_fd()) {
                Ok(Wake::Stirred) => self.fetch(&mut host),
                Ok(Wake::Asked) if matches!(asked.read(&mut [0; 64]), Ok(1..)) => self.fetch(&mut host),
                _ => return,
            }
        }
    }

    fn fetch(&self, host: &mut Host) {
        let request = Request {
            config: &self.config,
            secret: Some(&self.secret),
            deadline: Instant::now() + Duration::from_secs(120),
            since: host.mark.as_ref(),
            depth: Depth::Changes,
        };
        let awaited = self.awaited.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut view = View { awaited: &awaited, seen: false };
        match host.source.fetch(&request, &mut view) {
            Ok(answer) => {
                self.fetches.fetch_add(1, Ordering::Relaxed);
                if !std::mem::replace(&mut host.is_complete, true) {
                    self.live.fetch_add(usize::from(answer.live), Ordering::Relaxed);
                    self.complete.fetch_add(1, Ordering::Relaxed);
                }
                if view.seen && host.seen != awaited {
                    self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
                    host.seen = awaited;
                }
                host.mark = answer.mark;
            }
            // The monitor keeps its entries and the mark; only the worker is a new one.
            Err(error) => {
                host.source = Source::default();
                self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(error.to_string());
            }
        }
    }
}

/// One host between two fetches.
#[derive(Default)]
struct Host {
    source: Source,
    mark: Option<Mark>,
    is_complete: bool,
    /// The awaited member that it saw last.
    seen: String,
}

/// Looks at what arrives for the awaited member, and keeps nothing.
struct View<'a> {
    awaited: &'a str,
    seen: bool,
}

impl Sink for View<'_> {
    fn begin(&mut self, _: Extent) {
        self.seen = false;
    }
    fn domain(&mut self, _: &Entry) {}
    fn take(&mut self, kind: Kind, entry: &Entry) {
        if kind == Kind::Groups && entry.dn == group_dn(0) {
            self.seen |= entry.values("member").iter().any(|member| *member == self.awaited.as_bytes());
        }
    }
    fn gone(&mut self, _: Kind, _: Vec<String>) {}
    fn present(&mut self, _: Kind, _: Vec<String>) {}
    fn relisted(&mut self, _: Vec<String>) {}
}
