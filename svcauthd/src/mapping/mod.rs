//! What directory entries mean: accounts, groups and people, or a refusal that names entry, attribute, value and reason.
//!
//! Belongs here: everything that can be said about an entry from the entry, the configuration and the names of this host.
//! Never here: what takes two entries to say. Nothing is repaired, shortened or guessed.

mod account;
pub(crate) mod ad;
mod group;
mod outbox;
mod person;
mod state;
#[cfg(test)]
mod tests;
mod time;
mod values;

use self::outbox::Outbox;
use crate::candidate::{Candidate, Refusal};
use crate::directory::{Entry, Extent, Fetched, Kind, Sink, dn};
use crate::job::{Part, Refused};
use crate::local_names::LocalNames;
use crate::state::settle;
use crate::table::{Staged, Table};
use std::io;
use svcauth_core::audit::escape::text_of;
use svcauth_core::config::Config;

/// Longest value that a refusal shows, in characters.
const SHOWN: usize = 80;

/// What is wrong with an entry or one of its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    what: String,
    why: String,
}

impl Fault {
    pub(crate) fn new(what: &str, why: impl Into<String>) -> Self {
        Self { what: what.to_owned(), why: why.into() }
    }
    /// A fault that shows the value.
    pub(crate) fn of(what: &str, value: &[u8], why: impl std::fmt::Display) -> Self {
        Self::new(what, format!("\"{}\": {why}", shown(value)))
    }
    pub(crate) fn refusal(self, dn: &str) -> Refusal {
        Refusal { dn: dn.to_owned(), what: self.what, why: self.why }
    }
}

/// The beginning of a value. It is escaped where it is shown, as everything else is.
pub(crate) fn shown(value: &[u8]) -> String {
    let text = text_of(value.get(..4 * SHOWN).unwrap_or(value));
    let short: String = text.chars().take(SHOWN).collect();
    if short.len() < text.len() || value.len() > 4 * SHOWN { short + "..." } else { short }
}

/// Everything that the entries of a whole answer mean, and what of them is refused.
#[must_use]
pub fn map(fetched: Fetched, config: &Config, local: &LocalNames) -> Candidate {
    let mut staged = Staged::default();
    let mut keep = |part| {
        staged.add(part);
        Ok(())
    };
    let mut mapper = Mapper::new(config, local, &mut keep);
    mapper.begin(Extent::Whole);
    fetched.domain.iter().for_each(|domain| mapper.domain(domain));
    let all =
        [(Kind::Accounts, fetched.accounts), (Kind::Groups, fetched.groups), (Kind::People, fetched.people)];
    for (kind, entries) in all {
        entries.iter().for_each(|entry| mapper.take(kind, entry));
    }
    // What keeps the parts never fails.
    let _ = mapper.finish();
    let mut table = Table::default();
    table.apply(staged);
    let mut candidate = table.candidate();
    settle(&mut candidate);
    candidate
}

/// Maps entries while they arrive, and sends on what they mean.
pub struct Mapper<'a> {
    config: &'a Config,
    local: &'a LocalNames,
    /// How long a lockout lasts; of Active Directory alone.
    lockout: ad::Lockout,
    out: Outbox<'a>,
}

impl<'a> Mapper<'a> {
    /// A mapper that has seen no entry yet; `send` gets the parts of the answer.
    #[must_use]
    pub fn new(
        config: &'a Config,
        local: &'a LocalNames,
        send: &'a mut dyn FnMut(Part) -> io::Result<()>,
    ) -> Self {
        Self { config, local, lockout: ad::Lockout::default(), out: Outbox::new(send) }
    }

    /// Sends what is left when all entries were taken.
    ///
    /// # Errors
    /// The first that `send` gave.
    pub fn finish(self) -> io::Result<()> {
        self.out.finish()
    }

    fn read(&mut self, kind: Kind, entry: &Entry, odd: &mut Vec<Fault>) -> Result<(), Fault> {
        let (config, local, lockout) = (self.config, self.local, self.lockout);
        match kind {
            Kind::Accounts => self.out.account(account::read(entry, config, local, lockout)?),
            Kind::Groups => self.out.group(group::read(entry, config, local, odd)?),
            Kind::People => self.out.person(person::read(entry, config, lockout, odd)?),
        }
        Ok(())
    }
}

impl Sink for Mapper<'_> {
    fn begin(&mut self, extent: Extent) {
        self.lockout = ad::Lockout::default();
        self.out.begin(extent);
    }

    fn domain(&mut self, entry: &Entry) {
        self.lockout = ad::Lockout::of(entry);
    }

    /// A fault refuses the entry, an odd value only itself.
    fn take(&mut self, kind: Kind, entry: &Entry) {
        let mut odd = Vec::new();
        let fault = self.read(kind, entry, &mut odd).err();
        let is_dropped = fault.is_some();
        let faults = fault.map_or(odd, |fault| vec![fault]);
        if faults.is_empty() {
            return;
        }
        let id = values::identity(entry, self.config).map_or_else(|_| entry.dn.clone(), |(id, _)| id);
        let refusals = faults.into_iter().map(|fault| fault.refusal(&entry.dn)).collect();
        self.out.refused(Refused { kind, id, is_dropped, refusals });
    }

    fn gone(&mut self, kind: Kind, ids: Vec<String>) {
        self.out.send_alone(Part::Gone { kind, ids });
    }

    fn present(&mut self, kind: Kind, ids: Vec<String>) {
        self.out.send_alone(Part::Present { kind, ids });
    }

    fn relisted(&mut self, dns: Vec<String>) {
        self.out.send_alone(Part::Relisted(dns.iter().filter_map(|dn| dn::normalise(dn)).collect()));
    }
}
