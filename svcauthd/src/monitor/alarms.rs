//! Alarms: each once, when it begins. An entry that stays bad for a year is one line and not two million.

use std::collections::BTreeSet;
use std::time::Duration;

use svcauth_core::audit::{Event, Record};
use svcauth_host::audit_log::{Sinks, send};
use svcauth_host::clock::Clock;

use crate::candidate::Refusal;

/// The alarms that are on.
#[derive(Default)]
pub(super) struct Alarms {
    refused: BTreeSet<String>,
    failing: bool,
}

impl Alarms {
    /// A refresh worked, and these entries were refused in it.
    pub(super) fn refresh_worked(&mut self, refused: &[Refusal]) {
        let now: BTreeSet<String> = refused
            .iter()
            .map(|refusal| format!("{}: {}: {}", refusal.dn, refusal.what, refusal.why))
            .collect();
        for new in now.difference(&self.refused) {
            raise("refused_entry", new);
        }
        self.refused = now;
        self.failing = false;
    }

    /// A refresh failed; told once, until one works again.
    pub(super) fn refresh_failed(&mut self, reason: &str) {
        if !self.failing {
            raise("refresh_failed", reason);
        }
        self.failing = true;
    }
}

fn raise(what: &str, detail: &str) {
    let record = Record {
        event: Event::Alarm,
        time: Some(Clock::now().wall.saturating_mul(1_000_000)),
        reason: Some(what.to_owned()),
        detail: Some(detail.to_owned()),
        pid: Some(std::process::id()),
        ..Record::default()
    };
    // An alarm that no log takes is still on the board and on standard error; nothing may wait for it.
    let _ = send(&record, &Sinks::default(), Duration::from_millis(100));
}
