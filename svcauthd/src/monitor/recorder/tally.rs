//! What the recorder has met, in numbers.

use std::collections::BTreeMap;

use svcauth_core::audit::AlarmKind;

/// Counted from the start of the daemon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::monitor) struct Tally {
    /// Alarms of this host, whoever raised them.
    pub(in crate::monitor) alarms: BTreeMap<AlarmKind, u64>,
    /// Refusals beyond `denied_per_minute`: they are in the trail as numbers.
    pub(in crate::monitor) suppressed: u64,
}

impl Tally {
    pub(super) fn alarm(&mut self, kind: AlarmKind) {
        *self.alarms.entry(kind).or_default() += 1;
    }

    pub(super) fn add(&mut self, more: &Self) {
        for (kind, count) in &more.alarms {
            *self.alarms.entry(*kind).or_default() += count;
        }
        self.suppressed += more.suppressed;
    }
}
