//! Floods: of the refusals of one minute so many are kept one by one, and the others become one record of each kind with
//! their number. What was allowed never comes here.

use serde::{Deserialize, Serialize};
use svcauth_core::audit::{Event, Record};

/// How many kinds are told apart in one minute. An attacker can choose the account among all that are managed; what comes
/// after is told apart by its reason alone.
const KINDS_MAX: usize = 256;

/// What is counted together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kind {
    pub(super) reason: Option<String>,
    pub(super) account: Option<String>,
    pub(super) service: Option<String>,
}

/// What becomes of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is kept as it is.
    Kept,
    /// It is counted.
    Counted,
}

/// The minute that is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Flood {
    minute: u64,
    kept: u32,
    counted: Vec<Counted>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Counted {
    kind: Kind,
    count: u64,
    /// When the first and the last of them happened, as their records say.
    from: String,
    to: String,
}

impl Flood {
    /// What becomes of a refusal that comes now, after [`Flood::ended`] was asked. `time` is that of its record.
    pub(super) fn meet(&mut self, kind: Kind, time: &str, budget: u32) -> Fate {
        if self.kept < budget {
            self.kept += 1;
            return Fate::Kept;
        }
        let known = self.counted.iter().position(|counted| counted.kind == kind);
        let kind = if known.is_none() && self.counted.len() >= KINDS_MAX {
            Kind { account: None, service: None, ..kind }
        } else {
            kind
        };
        if let Some(counted) = self.counted.iter_mut().find(|counted| counted.kind == kind) {
            counted.count = counted.count.saturating_add(1);
            time.clone_into(&mut counted.to);
        } else {
            let time = time.to_owned();
            self.counted.push(Counted { kind, count: 1, from: time.clone(), to: time });
        }
        Fate::Counted
    }

    /// The records of a minute that is over; `seconds` is a clock that nobody sets, such as the time since boot.
    pub(super) fn ended(&mut self, seconds: u64) -> Vec<Record> {
        let minute = seconds / 60;
        if minute == self.minute {
            return Vec::new();
        }
        *self = Self { minute, kept: 0, counted: std::mem::take(&mut self.counted) };
        self.told()
    }

    /// The records of what was counted so far: the daemon is told to stop.
    pub(super) fn told(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.counted).into_iter().map(Counted::record).collect()
    }
}

impl Counted {
    fn record(self) -> Record {
        let Self { kind, count, from, to } = self;
        Record {
            event: Event::Suppressed,
            reason: kind.reason,
            account: kind.account,
            service: kind.service,
            count: Some(count),
            detail: Some(format!("refusals beyond denied_per_minute, from {from} to {to}")),
            ..Record::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Fate, Flood, KINDS_MAX, Kind};

    fn kind(account: &str) -> Kind {
        Kind {
            reason: Some("not_in_role".to_owned()),
            account: Some(account.to_owned()),
            service: Some("sshd".to_owned()),
        }
    }

    #[test]
    fn so_many_are_kept_and_the_others_are_counted_by_their_kind_until_the_minute_is_over() {
        let mut flood = Flood::default();
        assert_eq!(flood.ended(600), []);
        let fates: Vec<Fate> = (0..5).map(|_| flood.meet(kind("a"), "t1", 3)).collect();
        assert_eq!(fates, [Fate::Kept, Fate::Kept, Fate::Kept, Fate::Counted, Fate::Counted]);
        assert_eq!(flood.meet(kind("b"), "t2", 3), Fate::Counted);
        assert_eq!(flood.meet(kind("a"), "t3", 3), Fate::Counted);
        assert_eq!(flood.ended(659), []);
        let told = flood.ended(660);
        let all: Vec<_> =
            told.iter().map(|record| (record.account.as_deref().unwrap(), record.count.unwrap())).collect();
        assert_eq!(all, [("a", 3), ("b", 1)]);
        assert!(told[0].detail.as_ref().unwrap().ends_with("from t1 to t3"), "{told:?}");
        assert_eq!(told[0].reason.as_deref(), Some("not_in_role"));
        assert_eq!(flood.meet(kind("a"), "t4", 3), Fate::Kept, "a new minute has a budget of its own");
        assert_eq!(flood.ended(720), []);
    }

    #[test]
    fn many_kinds_are_bounded_and_every_refusal_is_counted_all_the_same() {
        let mut flood = Flood::default();
        for number in 0..10_000 {
            assert_eq!(flood.meet(kind(&format!("a{}", number % 1000)), "t", 0), Fate::Counted);
        }
        let told = flood.told();
        assert_eq!(told.len(), KINDS_MAX + 1);
        assert_eq!(told.iter().filter_map(|record| record.count).sum::<u64>(), 10_000);
        assert_eq!(told.iter().filter(|record| record.account.is_none()).count(), 1);
        assert_eq!(flood.told(), []);
    }

    #[test]
    fn what_was_counted_is_the_same_after_it_was_stored() {
        let mut flood = Flood::default();
        flood.meet(kind("a"), "t", 0);
        let stored = serde_json::to_string(&flood).unwrap();
        assert_eq!(serde_json::from_str::<Flood>(&stored).unwrap(), flood);
    }
}
