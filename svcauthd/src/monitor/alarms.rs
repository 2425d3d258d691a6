//! Alarms: each once, when it begins. An entry that stays bad for a year is one line and not two million, and five
//! thousand entries that are bad together are a few lines and a number.

use std::collections::{BTreeMap, BTreeSet};

use svcauth_core::audit::{AlarmKind, Event, Record};
use svcauth_host::audit;

use super::deeds;
use crate::candidate::Refusal;

/// How many refused entries of one refresh are told one by one.
const TOLD: usize = 20;

/// The alarms that are on.
#[derive(Default)]
pub(super) struct Alarms {
    refused: BTreeSet<Refusal>,
    failing: bool,
}

/// What an alarm record says.
#[derive(Debug, PartialEq, Eq)]
struct Alarm {
    kind: AlarmKind,
    detail: String,
}

impl Alarms {
    /// A refresh worked, and these entries are refused now; `None`: the same as before.
    pub(super) fn refresh_worked(&mut self, refused: Option<Vec<Refusal>>) {
        if let Some(refused) = refused {
            self.newly_refused(refused).iter().for_each(raise);
        }
        self.failing = false;
    }

    /// Something about an answer that is no failure, and that somebody should look at.
    #[allow(clippy::unused_self, reason = "every alarm is raised here, also the one that has no end")]
    pub(super) fn noted(&self, note: &str) {
        raise(&Alarm { kind: AlarmKind::ContinuityLost, detail: note.to_owned() });
    }

    /// A refresh failed; told once, until one works again.
    pub(super) fn refresh_failed(&mut self, reason: &str) {
        if !self.failing {
            raise(&Alarm { kind: AlarmKind::RefreshFailed, detail: reason.to_owned() });
        }
        self.failing = true;
    }

    /// What to say about entries that the refresh before did not refuse.
    fn newly_refused(&mut self, refused: Vec<Refusal>) -> Vec<Alarm> {
        let now: BTreeSet<Refusal> = refused.into_iter().collect();
        let new: Vec<&Refusal> = now.difference(&self.refused).collect();
        let (told, counted) = new.split_at(new.len().min(TOLD));
        let mut alarms: Vec<Alarm> = told.iter().map(|refusal| one(refusal)).collect();
        alarms.extend(summary(counted));
        self.refused = now;
        alarms
    }
}

fn one(refusal: &Refusal) -> Alarm {
    let Refusal { dn, what, why } = refusal;
    Alarm { kind: AlarmKind::RefusedEntry, detail: format!("{dn}: {what}: {why}") }
}

/// The rest of a long list, counted by what was wrong.
fn summary(rest: &[&Refusal]) -> Option<Alarm> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for refusal in rest {
        *counts.entry(&refusal.what).or_default() += 1;
    }
    let counts: Vec<String> = counts.into_iter().map(|(what, count)| format!("{what}: {count}")).collect();
    let detail = format!(
        "{} more that are not told one by one ({}); repair those above, then systemctl restart svcauthd tells the next",
        rest.len(),
        counts.join(", ")
    );
    (!rest.is_empty()).then_some(Alarm { kind: AlarmKind::RefusedEntries, detail })
}

fn raise(alarm: &Alarm) {
    let record =
        Record { reason: Some(alarm.kind.as_str().to_owned()), ..deeds::record(Event::Alarm, &alarm.detail) };
    // An alarm that no log takes is still on the board and on standard error; nothing may wait for it.
    let _ = audit::write(&record);
}

#[cfg(test)]
mod tests {
    use super::{AlarmKind, Alarms, Refusal, TOLD};

    fn refusals(count: usize) -> Vec<Refusal> {
        let one = |number| Refusal {
            dn: format!("cn=group{number:04},dc=example,dc=com"),
            what: if number < 4000 { "gidNumber" } else { "cn" }.to_owned(),
            why: "is outside id_range".to_owned(),
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn an_entry_that_stays_refused_is_told_once_and_again_after_it_was_good() {
        let mut alarms = Alarms::default();
        let first = alarms.newly_refused(refusals(1));
        let details: Vec<&str> = first.iter().map(|alarm| alarm.detail.as_str()).collect();
        assert_eq!(details, ["cn=group0000,dc=example,dc=com: gidNumber: is outside id_range"]);
        assert_eq!(alarms.newly_refused(refusals(1)), []);
        assert_eq!(alarms.newly_refused(Vec::new()), []);
        assert_eq!(alarms.newly_refused(refusals(1)), first);
    }

    #[test]
    fn of_very_many_the_first_are_told_and_the_others_counted_by_what_is_wrong() {
        let mut alarms = Alarms::default();
        let told = alarms.newly_refused(refusals(5000));
        assert_eq!(told.len(), TOLD + 1);
        assert!(told.iter().take(TOLD).all(|alarm| alarm.kind == AlarmKind::RefusedEntry));
        let last = told.last().unwrap();
        assert_eq!(last.kind, AlarmKind::RefusedEntries);
        assert!(last.detail.starts_with("4980 more"), "{}", last.detail);
        assert!(last.detail.contains("(cn: 1000, gidNumber: 3980)"), "{}", last.detail);
        assert_eq!(alarms.newly_refused(refusals(5000)), []);
        let one_more = alarms.newly_refused(refusals(5001));
        assert!(one_more.len() == 1 && one_more.iter().all(|alarm| alarm.kind == AlarmKind::RefusedEntry));
    }

    #[test]
    fn as_many_as_are_told_one_by_one_need_no_summary() {
        let told = Alarms::default().newly_refused(refusals(TOLD));
        assert_eq!(told.len(), TOLD);
        assert!(told.iter().all(|alarm| alarm.kind == AlarmKind::RefusedEntry));
    }
}
