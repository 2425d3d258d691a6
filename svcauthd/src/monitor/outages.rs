//! What the daemon's log says about refreshes that fail: a directory that is away for a night is a few lines and not
//! six thousand, and the line that ends it says how long it was.

use std::time::{Duration, Instant};

/// How long the same reason is not told again.
const QUIET: Duration = Duration::from_secs(3600);

/// The longest wait after a refused bind, unless refreshes are rarer anyway.
const BIND_WAIT: Duration = Duration::from_secs(300);

/// The refreshes that failed since the last one that worked.
#[derive(Default)]
pub(super) struct Outage {
    since: Option<Instant>,
    told: Option<(Instant, String)>,
    failures: u64,
    /// How many of them in a row were refused binds.
    refused_binds: u32,
}

impl Outage {
    /// Whether the last failure was a refused bind.
    pub(super) const fn bind_was_refused(&mut self, refused: bool) {
        self.refused_binds = if refused { self.refused_binds.saturating_add(1) } else { 0 };
    }

    /// How long to wait for the next refresh. A password that is refused again and again locks the account that all hosts
    /// bind with; so the wait grows, whatever `refresh` says.
    pub(super) fn wait(&self, refresh: Duration) -> Duration {
        let grown = refresh.saturating_mul(1 << self.refused_binds.saturating_sub(1).min(16));
        grown.min(BIND_WAIT.max(refresh))
    }

    /// A refresh failed. Whether the log is to say so: a new reason at once, the same one every hour.
    pub(super) fn failed(&mut self, reason: &str, now: Instant) -> bool {
        self.since.get_or_insert(now);
        self.failures += 1;
        let quiet = |(at, told): &(Instant, String)| told == reason && now.duration_since(*at) < QUIET;
        if self.told.as_ref().is_some_and(quiet) {
            return false;
        }
        self.told = Some((now, reason.to_owned()));
        true
    }

    /// A refresh worked. How many failed before it, and for how long, if any.
    pub(super) fn ended(&mut self, now: Instant) -> Option<(u64, Duration)> {
        let Self { since, failures, .. } = std::mem::take(self);
        Some((failures, now.duration_since(since?)))
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Instant, Outage, QUIET};

    #[test]
    fn a_bind_that_is_refused_again_and_again_is_tried_ever_more_rarely() {
        let (mut outage, seconds) = (Outage::default(), Duration::from_secs);
        assert_eq!(outage.wait(seconds(15)), seconds(15));
        let waits: Vec<u64> = (0..7)
            .map(|_| {
                outage.bind_was_refused(true);
                outage.wait(seconds(15)).as_secs()
            })
            .collect();
        assert_eq!(waits, [15, 30, 60, 120, 240, 300, 300]);
        assert_eq!(outage.wait(seconds(3600)), seconds(3600));
        (0..u32::MAX - 10).step_by(1 << 28).for_each(|_| outage.bind_was_refused(true));
        assert_eq!(outage.wait(seconds(1)), seconds(300));
        outage.bind_was_refused(false);
        assert_eq!(outage.wait(seconds(15)), seconds(15));
    }

    #[test]
    fn the_same_reason_is_told_once_an_hour_and_another_one_at_once() {
        let (mut outage, start) = (Outage::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(outage.failed("refused", at(0)));
        assert!(!outage.failed("refused", at(15)));
        assert!(outage.failed("timeout", at(30)));
        assert!(!outage.failed("timeout", at(29 + QUIET.as_secs())));
        assert!(outage.failed("timeout", at(30 + QUIET.as_secs())));
    }

    #[test]
    fn the_end_is_told_once_with_its_length_and_the_next_outage_from_its_beginning() {
        let (mut outage, start) = (Outage::default(), Instant::now());
        assert_eq!(outage.ended(start), None);
        outage.failed("refused", start);
        outage.failed("refused", start + Duration::from_secs(15));
        assert_eq!(outage.ended(start + Duration::from_secs(20)), Some((2, Duration::from_secs(20))));
        assert_eq!(outage.ended(start + Duration::from_secs(30)), None);
        assert!(outage.failed("refused", start + Duration::from_secs(40)));
    }
}
