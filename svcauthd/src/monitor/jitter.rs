//! Hosts that were started together must not ask together for ever.

use std::time::Duration;

/// As long, or up to a tenth longer.
pub(super) fn later(time: Duration) -> Duration {
    time + time / 10 * random(1000) / 1000
}

/// Some part of a time.
pub(super) fn part(time: Duration) -> Duration {
    time / 1000 * random(1000)
}

/// A number from 0 to `most`.
fn random(most: u32) -> u32 {
    let mut bytes = [0; 4];
    // Without randomness hosts ask in step, which is a nuisance and no fault.
    let _ = getrandom::fill(&mut bytes);
    u32::from_le_bytes(bytes) % (most + 1)
}

#[cfg(test)]
mod tests {
    use super::{Duration, later, part};

    #[test]
    fn a_time_grows_by_a_tenth_at_most_and_not_always_by_the_same() {
        let time = Duration::from_secs(600);
        let times: Vec<Duration> = (0..50).map(|_| later(time)).collect();
        assert!(times.iter().all(|later| (time..=time + time / 10).contains(later)), "{times:?}");
        assert!(times.iter().any(|later| *later != times[0]));
        assert!((0..50).all(|_| part(time) <= time));
    }
}
