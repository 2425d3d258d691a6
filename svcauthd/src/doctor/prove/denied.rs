//! The records that denials leave in the audit trail of the private world.

use std::time::Duration;

use super::program::wait_for;
use crate::trail::{Entry, Trail};

/// How long the recorder may take to write.
const PATIENCE: Duration = Duration::from_secs(8);

/// What a record must say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'a> {
    /// `decision`, or `key_refused`.
    pub(super) event: &'static str,
    pub(super) account: &'a str,
    pub(super) origin: Option<&'a str>,
    pub(super) reason: &'static str,
    pub(super) service: Option<&'a str>,
    pub(super) from: Option<&'a str>,
}

impl<'a> Expected<'a> {
    /// A denial.
    pub(super) const fn denial(account: &'a str, service: &'a str, reason: &'static str) -> Self {
        Self { event: "decision", account, origin: None, reason, service: Some(service), from: None }
    }

    pub(super) const fn of(self, origin: &'a str) -> Self {
        Self { origin: Some(origin), ..self }
    }

    pub(super) const fn from(self, from: &'a str) -> Self {
        Self { from: Some(from), ..self }
    }

    fn is(&self, entry: &Entry) -> bool {
        let refused = self.event != "decision" || entry.decision.as_deref() == Some("deny");
        refused
            && entry.event == self.event
            && entry.account.as_deref() == Some(self.account)
            && entry.origin.as_deref() == self.origin
            && entry.reason.as_deref() == Some(self.reason)
            && self.service.is_none_or(|service| entry.service.as_deref() == Some(service))
            && self.from.is_none_or(|from| entry.from.as_deref() == Some(from))
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        entries().iter().filter(|entry| self.is(entry)).count()
    }

    /// Waits for one more than there were: what it says, or else what was said in its place.
    pub(super) fn wait(&self, before: usize) -> Result<String, String> {
        let mut found = Vec::new();
        let there = wait_for(PATIENCE, || {
            found = entries();
            found.iter().filter(|entry| self.is(entry)).count() > before
        });
        let last = if there { found.iter().rfind(|entry| self.is(entry)) } else { None };
        last.map(said).ok_or_else(|| {
            let same = |entry: &&Entry| self.from.is_none_or(|from| entry.from.as_deref() == Some(from));
            let other = found
                .iter()
                .rfind(|entry| entry.decision.is_some() && same(entry))
                .filter(|_| self.from.is_some());
            let wanted =
                format!("no record says deny origin={} reason={}", self.origin.unwrap_or("-"), self.reason);
            other.map_or_else(|| wanted.clone(), |entry| format!("{wanted}, but {}", said(entry)))
        })
    }
}

fn entries() -> Vec<Entry> {
    Trail::open().map(|trail| trail.entries().flatten().collect()).unwrap_or_default()
}

fn said(entry: &Entry) -> String {
    let pair = |name: &str, value: &Option<String>| value.as_ref().map(|value| format!(" {name}={value}"));
    let parts = [
        pair("origin", &entry.origin),
        pair("reason", &entry.reason),
        pair("service", &entry.service),
        pair("evidence", &entry.evidence),
    ];
    format!("{}{}", entry.verb(), parts.into_iter().flatten().collect::<String>())
}
