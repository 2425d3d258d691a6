//! What only a controller of Active Directory is asked: the domain's lockout policy, and the rest of long lists.

use super::Sink;
use super::entry::Entry;
use super::error::FetchError;
use super::ldap::{self, Server};
use super::ranges::{self, Rest};
use ldap3::adapters::{Adapter, EntriesOnly};
use ldap3::{Ldap, Scope};

/// An entry that is whole but for these lists.
pub(super) type Unfinished = (Entry, Vec<Rest>);

/// Says when the entry was last changed, on this controller.
const CHANGED: &str = "uSNChanged";

impl Server<'_> {
    /// Reads the entry of the domain, and gives its `lockoutDuration`. One that may not be read is none: then nobody can say
    /// how long a lockout lasts.
    pub(super) async fn domain(
        &self,
        session: &mut Ldap,
        dn: &str,
        sink: &mut dyn Sink,
    ) -> Result<Option<String>, FetchError> {
        let Some(domain) = self.one(session, "the search of the domain", dn, &["lockoutDuration"]).await?
        else {
            return Ok(None);
        };
        sink.domain(&domain);
        let duration = domain.values("lockoutduration").first();
        Ok(duration.map(|value| String::from_utf8_lossy(value).chars().take(32).collect()))
    }

    /// Reads the rest of the lists. An entry that changed meanwhile is an error, because the places of its values moved.
    pub(super) async fn finish(
        &self,
        session: &mut Ldap,
        step: &str,
        (mut entry, rests): Unfinished,
    ) -> Result<Entry, FetchError> {
        for rest in rests {
            let mut rest = Some(rest);
            while let Some(missing) = rest {
                let range = ranges::request(&missing.attribute, missing.from);
                let answer = self.one(session, step, &entry.dn, &[&range, CHANGED]).await?;
                let mut answer =
                    answer.ok_or_else(|| self.incomplete(step, "an entry went away while it was read"))?;
                let changed = CHANGED.to_ascii_lowercase();
                if answer.values(&changed).is_empty() || answer.values(&changed) != entry.values(&changed) {
                    let what = "an entry with many values changed while it was read; the next fetch will do";
                    return Err(self.incomplete(step, what));
                }
                rest = ranges::extend(&mut entry, &missing, &mut answer)
                    .map_err(|what| self.incomplete(step, &what))?;
            }
        }
        Ok(entry)
    }

    /// Reads one entry by its name; none when it is not there or may not be read.
    pub(super) async fn one(
        &self,
        session: &mut Ldap,
        step: &str,
        dn: &str,
        attributes: &[&str],
    ) -> Result<Option<Entry>, FetchError> {
        let adapters: Vec<Box<dyn Adapter<'_, String, Vec<String>>>> = vec![Box::new(EntriesOnly::new())];
        let filter = "(objectClass=*)";
        let attributes: Vec<String> = attributes.iter().map(ToString::to_string).collect();
        let started = session.streaming_search_with(adapters, dn, Scope::Base, filter, attributes);
        let mut stream = self.within(step, started).await?.map_err(|error| self.broken(step, &error))?;
        let mut found = None;
        while let Some(raw) = self.next(step, &mut stream).await? {
            self.taken();
            let entry =
                ldap::entry(raw).ok_or_else(|| self.incomplete(step, "an entry could not be read"))?;
            if found.replace(entry).is_some() {
                return Err(self.incomplete(step, "the server found two entries of one name"));
            }
        }
        let result = self.within(step, stream.finish()).await?;
        // noSuchObject, insufficientAccessRights
        if matches!(result.rc, 32 | 50) {
            return Ok(None);
        }
        self.accepted(step, result)?;
        Ok(found)
    }
}
