//! Searches of which nothing may be missing.
//!
//! A list counts only if every step says that it is whole: no error from the stream AND result code 0 at its end. (After
//! a connection that broke in mid-page the library's `finish` still reports success; after a size limit its stream ends
//! as if all were well.)

use super::entry::Entry;
use super::error::FetchError;
use super::ldap::{self, Server};
use super::ranges;
use super::schema::Schema;
use super::{Kind, Sink};
use ldap3::adapters::{Adapter, EntriesOnly, PagedResults};
use ldap3::controls::RawControl;
use ldap3::{Ldap, ResultEntry, Scope, SearchStream};
use svcauth_core::config::Config;

/// Entries of one page: small enough for every server's limit, and for memory.
const PAGE: i32 = 500;
/// Most entries of one search.
const MAX_ENTRIES: usize = 1_000_000;

/// A search below a base.
#[derive(Debug)]
pub(super) struct Query<'a> {
    /// What it is called in an error.
    pub(super) step: &'a str,
    /// Where it begins.
    pub(super) base: &'a str,
    /// Which entries it finds.
    pub(super) filter: &'a str,
    /// What it asks of them.
    pub(super) attributes: Vec<String>,
    /// Controls besides that of paging.
    pub(super) controls: Vec<RawControl>,
}

/// What is done with an entry that a search found.
pub(super) type Take<'a> = &'a mut dyn FnMut(Entry) -> Result<(), FetchError>;

/// At its root a domain refers to the naming contexts below it and to other domains, which hold nothing that was asked for
/// ([MS-ADTS] 3.1.1.3.4.1.4: `LDAP_SERVER_DOMAIN_SCOPE_OID`). Of other kinds a referral is a part that is missing.
pub(super) fn scope(config: &Config) -> Vec<RawControl> {
    let ctype = "1.2.840.113556.1.4.1339".to_owned();
    let is_ad = config.directory.kind.is_ad();
    is_ad.then_some(RawControl { ctype, crit: false, val: None }).into_iter().collect()
}

impl Server<'_> {
    /// Reads everything of a kind.
    pub(super) async fn search(
        &self,
        session: &mut Ldap,
        config: &Config,
        kind: Kind,
        sink: &mut dyn Sink,
    ) -> Result<(), FetchError> {
        self.search_for(session, config, kind, &kind.search(config).filter.to_string(), sink).await
    }

    /// Reads what this filter finds where the entries of a kind are.
    pub(super) async fn search_for(
        &self,
        session: &mut Ldap,
        config: &Config,
        kind: Kind,
        filter: &str,
        sink: &mut dyn Sink,
    ) -> Result<(), FetchError> {
        let base = &kind.search(config).base;
        self.read(session, config, kind, (base, filter), &mut |entry| sink.take(kind, entry)).await
    }

    /// Reads entries of one kind below `base`, the lists of their values whole.
    pub(super) async fn read(
        &self,
        session: &mut Ldap,
        config: &Config,
        kind: Kind,
        (base, filter): (&str, &str),
        take: &mut dyn FnMut(&Entry),
    ) -> Result<(), FetchError> {
        let section = kind.section();
        let step = format!("the search of [{section}]");
        let attributes = Schema::of(config).attributes(kind, config);
        let query = Query { step: &step, base, filter, attributes, controls: scope(config) };
        let mut unfinished = Vec::new();
        let mut settle = |mut entry| {
            let rests = self.settled(&step, &mut entry, config)?;
            if rests.is_empty() {
                take(&entry);
            } else {
                unfinished.push((entry, rests));
            }
            Ok(())
        };
        if !self.each(session, query, &mut settle).await? {
            return Err(FetchError::NoBase { server: self.name(), section, base: base.to_owned() });
        }
        for entry in unfinished {
            take(&self.finish(session, &step, entry).await?);
        }
        Ok(())
    }

    /// Reads every entry that a search finds, page by page; says whether there was a base.
    pub(super) async fn each(
        &self,
        session: &mut Ldap,
        query: Query<'_>,
        take: Take<'_>,
    ) -> Result<bool, FetchError> {
        let Query { step, base, filter, attributes, controls } = query;
        let adapters: Vec<Box<dyn Adapter<'_, String, Vec<String>>>> =
            vec![Box::new(EntriesOnly::new()), Box::new(PagedResults::new(PAGE))];
        if !controls.is_empty() {
            session.with_controls(controls);
        }
        let started = session.streaming_search_with(adapters, base, Scope::Subtree, filter, attributes);
        let mut stream = self.within(step, started).await?.map_err(|error| self.broken(step, &error))?;
        let mut count = 0;
        // Armed anew for every entry; the deadline of the whole fetch catches a server that drips.
        while let Some(found) = self.next(step, &mut stream).await? {
            self.taken();
            count += 1;
            if count > MAX_ENTRIES {
                return Err(self.incomplete(step, "more than 1,000,000 entries"));
            }
            let entry =
                ldap::entry(found).ok_or_else(|| self.incomplete(step, "an entry could not be read"))?;
            take(entry)?;
        }
        let result = self.within(step, stream.finish()).await?;
        // noSuchObject
        if result.rc == 32 {
            return Ok(false);
        }
        self.accepted(step, result).map(|()| true)
    }

    pub(super) async fn next<'s>(
        &self,
        step: &str,
        stream: &mut SearchStream<'s, String, Vec<String>>,
    ) -> Result<Option<ResultEntry>, FetchError> {
        self.within(step, stream.next()).await?.map_err(|error| self.broken(step, &error))
    }

    /// Ranges of values are known of Active Directory alone.
    pub(super) fn settled(
        &self,
        step: &str,
        entry: &mut Entry,
        config: &Config,
    ) -> Result<Vec<ranges::Rest>, FetchError> {
        if config.directory.kind.is_ad() {
            return ranges::settle(entry).map_err(|what| self.incomplete(step, &what));
        }
        if entry.attributes.keys().any(|name| name.contains(";range=")) {
            let what = "the server sends values in ranges, which needs kind = \"ad\"";
            return Err(self.incomplete(step, what));
        }
        Ok(Vec::new())
    }
}
