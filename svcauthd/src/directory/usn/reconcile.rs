//! Deletions that nobody tells us of.
//!
//! A deleted entry moves to the container Deleted Objects, which an ordinary user may not list: then it is found only by
//! its absence, and all ids are compared from time to time. That costs a controller nearly as much as reading everything,
//! so it is rare, and each host does it at a time of its own.

use super::increment::PART;
use super::place::Place;
use crate::directory::error::FetchError;
use crate::directory::ldap::Server;
use crate::directory::mark::UsnMark;
use crate::directory::{Kind, Sink};
use ldap3::adapters::{Adapter, EntriesOnly};
use ldap3::{Ldap, Scope, SearchOptions};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use svcauth_core::config::Config;

/// So many comparisons between two complete fetches.
const SHARE: u32 = 12;
/// Never more often.
const LEAST: Duration = Duration::from_secs(600);

/// Seconds since 1970 of the next comparison.
pub(super) fn next(config: &Config) -> u64 {
    let interval = interval(config);
    // A tenth more or less, so that a thousand hosts that were started together do not stay together.
    let spread = RandomState::new().hash_one(()) % (interval / 5).max(1);
    now() + interval - interval / 10 + spread
}

/// Whether it is time; a clock that was set back makes it so, too.
pub(super) fn is_due(mark: &UsnMark, config: &Config) -> bool {
    let now = now();
    now >= mark.reconcile_at || mark.reconcile_at > now + 2 * interval(config)
}

fn interval(config: &Config) -> u64 {
    (config.directory.full_refresh / SHARE).max(LEAST).as_secs()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Server<'_> {
    /// Lists all ids of every kind.
    pub(super) async fn reconcile(
        &self,
        session: &mut Ldap,
        place: &Place,
        config: &Config,
        sink: &mut dyn Sink,
    ) -> Result<(), FetchError> {
        for kind in Kind::ALL {
            let search = kind.search(config);
            let filter = search.filter.to_string();
            let mut part = Vec::new();
            let mut take = |id| {
                part.push(id);
                if part.len() >= PART {
                    sink.present(kind, std::mem::take(&mut part));
                }
            };
            if !self.ids(session, place, (&search.base, &filter), &mut take).await? {
                let (section, base) = (kind.section(), search.base.clone());
                return Err(FetchError::NoBase { server: self.name(), section, base });
            }
            // An empty list says something, too.
            sink.present(kind, part);
        }
        Ok(())
    }

    /// Whether deleted entries and their SIDs may be read. One of them is the proof: who may read the container alone
    /// (Read Property without List Contents) sees it empty.
    pub(super) async fn sees_deletions(&self, session: &mut Ldap, place: &Place) -> Result<bool, FetchError> {
        if !place.shows_deleted() {
            return Ok(false);
        }
        let step = "the look at Deleted Objects";
        let base = format!("CN=Deleted Objects,{}", place.domain);
        let filter = "(&(isDeleted=TRUE)(objectSid=*))";
        let adapters: Vec<Box<dyn Adapter<'_, String, Vec<String>>>> = vec![Box::new(EntriesOnly::new())];
        session.with_controls(place.controls(true)).with_search_options(SearchOptions::new().sizelimit(1));
        let attributes = vec!["objectSid".to_owned()];
        let started = session.streaming_search_with(adapters, &base, Scope::OneLevel, filter, attributes);
        let mut stream = self.within(step, started).await?.map_err(|error| self.broken(step, &error))?;
        let mut seen = false;
        while let Some(entry) = self.next(step, &mut stream).await? {
            self.taken();
            seen |= crate::directory::ldap::entry(entry)
                .is_some_and(|entry| !entry.values("objectsid").is_empty());
        }
        let result = self.within(step, stream.finish()).await?;
        match result.rc {
            // sizeLimitExceeded: there are more of them.
            0 | 4 => Ok(seen),
            // noSuchObject, insufficientAccessRights
            32 | 50 => Ok(false),
            _ => self.accepted(step, result).map(|()| false),
        }
    }
}
