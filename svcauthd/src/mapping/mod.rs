//! What directory entries mean: accounts, groups and people, or a refusal that names entry, attribute, value and reason.
//!
//! Belongs here: everything that can be said about an entry from the entry, the configuration and the names of this host.
//! Never here: who holds which role. Nothing is repaired, shortened or guessed; where two entries claim the same thing,
//! neither gets it.

mod account;
mod ad;
mod conflicts;
mod group;
mod person;
mod state;
#[cfg(test)]
mod tests;
mod values;

use crate::candidate::{Candidate, Refusal};
use crate::directory::{Entry, Extent, Fetched, Kind, Sink};
use crate::local_names::LocalNames;
use std::collections::HashSet;
use svcauth_core::audit::escape::for_terminal;
use svcauth_core::config::Config;

/// Longest value that a refusal shows, in characters.
const SHOWN: usize = 80;

/// What is wrong with an entry or one of its values.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    what: String,
    why: String,
}

impl Fault {
    fn new(what: &str, why: impl Into<String>) -> Self {
        Self { what: what.to_owned(), why: why.into() }
    }
    /// A fault that shows the value.
    fn of(what: &str, value: &[u8], why: impl std::fmt::Display) -> Self {
        Self::new(what, format!("\"{}\": {why}", shown(value)))
    }
    fn refusal(self, dn: &str) -> Refusal {
        Refusal { dn: for_terminal(dn), what: self.what, why: self.why }
    }
}

/// A value as a log may show it.
fn shown(value: &[u8]) -> String {
    let safe = svcauth_core::audit::escape::bytes_for_terminal(value.get(..4 * SHOWN).unwrap_or(value));
    let short: String = safe.chars().take(SHOWN).collect();
    if short.len() < safe.len() || value.len() > 4 * SHOWN { short + "..." } else { short }
}

/// Everything that the entries mean, and what of them is refused.
#[must_use]
pub fn map(fetched: Fetched, config: &Config, local: &LocalNames) -> Candidate {
    let mut mapper = Mapper::new(config, local);
    fetched.domain.iter().for_each(|domain| mapper.domain(domain));
    let all =
        [(Kind::Accounts, fetched.accounts), (Kind::Groups, fetched.groups), (Kind::People, fetched.people)];
    for (kind, entries) in all {
        entries.iter().for_each(|entry| mapper.take(kind, entry));
    }
    mapper.finish(fetched.server)
}

/// Maps entries while they arrive.
#[derive(Debug)]
pub struct Mapper<'a> {
    config: &'a Config,
    local: &'a LocalNames,
    found: Candidate,
    /// How long a lockout lasts, and who is in which group by number; of Active Directory alone.
    lockout: ad::Lockout,
    primaries: ad::Primaries,
}

impl<'a> Mapper<'a> {
    /// A mapper that has seen no entry yet.
    #[must_use]
    pub fn new(config: &'a Config, local: &'a LocalNames) -> Self {
        let (lockout, primaries) = (ad::Lockout::default(), ad::Primaries::default());
        Self { config, local, found: Candidate::default(), lockout, primaries }
    }

    /// Everything that the entries mean, when all of them were taken.
    #[must_use]
    pub fn finish(self, server: String) -> Candidate {
        let Candidate { mut accounts, mut groups, mut people, mut refused, .. } = self.found;
        conflicts::accounts(&mut accounts, &mut refused);
        conflicts::groups(&mut groups, &mut refused);
        // An entry that is a shared account is nobody: it must not become the person behind a session.
        let shared: HashSet<&str> = accounts.iter().map(|account| account.id.as_str()).collect();
        people.retain(|person| !shared.contains(person.id.as_str()));
        self.primaries.join(&mut groups);
        conflicts::people(&mut people, &mut refused);
        Candidate { server, accounts, groups, people, refused }
    }
}

impl Mapper<'_> {
    fn account(&mut self, entry: &Entry) -> Result<(), Fault> {
        let account = account::read(entry, self.config, self.local, self.lockout)?;
        if self.config.directory.kind.is_ad() {
            self.primaries.note(entry, &account.id, &account.dn)?;
        }
        self.found.accounts.push(account);
        Ok(())
    }

    fn person(&mut self, entry: &Entry, odd: &mut Vec<Fault>) -> Result<(), Fault> {
        let person = person::read(entry, self.config, self.lockout, odd)?;
        if self.config.directory.kind.is_ad() {
            self.primaries.note(entry, &person.id, &person.dn)?;
        }
        self.found.people.push(person);
        Ok(())
    }
}

impl Sink for Mapper<'_> {
    fn begin(&mut self, _: Extent) {
        *self = Self::new(self.config, self.local);
    }

    fn domain(&mut self, entry: &Entry) {
        self.lockout = ad::Lockout::of(entry);
    }

    /// A fault refuses the entry, an odd value only itself.
    fn take(&mut self, kind: Kind, entry: &Entry) {
        let mut odd = Vec::new();
        let read = match kind {
            Kind::Accounts => self.account(entry),
            Kind::Groups => group::read(entry, self.config, self.local, &mut odd)
                .map(|group| self.found.groups.push(group)),
            Kind::People => self.person(entry, &mut odd),
        };
        if let Err(fault) = read {
            odd = vec![fault];
        }
        self.found.refused.extend(odd.into_iter().map(|fault| fault.refusal(&entry.dn)));
    }

    // Only whole answers are asked for.
    fn gone(&mut self, _: Kind, _: Vec<String>) {}
    fn present(&mut self, _: Kind, _: Vec<String>) {}
    fn relisted(&mut self, _: Vec<String>) {}
}
