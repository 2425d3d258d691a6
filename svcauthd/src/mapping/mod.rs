//! What directory entries mean: accounts, groups and people, or a refusal that names entry, attribute, value and reason.
//!
//! Belongs here: everything that can be said about an entry from the entry, the configuration and the names of this host.
//! Never here: who holds which role. Nothing is repaired, shortened or guessed; where two entries claim the same thing,
//! neither gets it.

mod account;
mod conflicts;
mod group;
mod person;
mod state;
#[cfg(test)]
mod tests;
mod values;

use crate::candidate::{Candidate, Refusal};
use crate::directory::{Entry, Fetched};
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
        Self {
            what: what.to_owned(),
            why: why.into(),
        }
    }
    /// A fault that shows the value.
    fn of(what: &str, value: &[u8], why: impl std::fmt::Display) -> Self {
        Self::new(what, format!("\"{}\": {why}", shown(value)))
    }
    fn refusal(self, dn: &str) -> Refusal {
        Refusal {
            dn: for_terminal(dn),
            what: self.what,
            why: self.why,
        }
    }
}

/// A value as a log may show it.
fn shown(value: &[u8]) -> String {
    let safe = svcauth_core::audit::escape::bytes_for_terminal(value.get(..4 * SHOWN).unwrap_or(value));
    let short: String = safe.chars().take(SHOWN).collect();
    if short.len() < safe.len() || value.len() > 4 * SHOWN {
        short + "..."
    } else {
        short
    }
}

/// Everything that the entries mean, and what of them is refused.
#[must_use]
pub fn map(fetched: Fetched, config: &Config, local: &LocalNames) -> Candidate {
    let mut refused = Vec::new();
    let mut accounts = each(&fetched.accounts, &mut refused, |entry, _| {
        account::read(entry, config, local)
    });
    let mut groups = each(&fetched.groups, &mut refused, |entry, odd| {
        group::read(entry, config, local, odd)
    });
    conflicts::accounts(&mut accounts, &mut refused);
    conflicts::groups(&mut groups, &mut refused);
    // An entry that is a shared account is nobody: it must not become the person behind a session.
    let shared: HashSet<&str> = accounts.iter().map(|account| account.id.as_str()).collect();
    let people: Vec<&Entry> = fetched
        .people
        .iter()
        .filter(|entry| entry.id_or_dn().is_none_or(|id| !shared.contains(id.as_str())))
        .collect();
    let mut people = each(people, &mut refused, |entry, odd| {
        person::read(entry, &config.people, odd)
    });
    conflicts::people(&mut people, &mut refused);
    Candidate {
        server: fetched.server,
        accounts,
        groups,
        people,
        refused,
    }
}

/// Reads each entry; a fault refuses the entry, an odd value (second argument of `read`) only itself.
fn each<'e, T>(
    entries: impl IntoIterator<Item = &'e Entry>,
    refused: &mut Vec<Refusal>,
    read: impl Fn(&Entry, &mut Vec<Fault>) -> Result<T, Fault>,
) -> Vec<T> {
    let mut good = Vec::new();
    for entry in entries {
        let mut odd = Vec::new();
        match read(entry, &mut odd) {
            Ok(read) => good.push(read),
            Err(fault) => odd = vec![fault],
        }
        refused.extend(odd.into_iter().map(|fault| fault.refusal(&entry.dn)));
    }
    good
}
