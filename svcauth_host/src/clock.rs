//! The two clocks that ages are measured with: the wall clock, which anybody may set, and the one that runs since boot.

use std::time::{SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

/// One look at both clocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Seconds since 1970-01-01 UTC; 0 when the wall clock stands before that.
    pub wall: u64,
    /// Seconds since boot, suspended time included (CLOCK_BOOTTIME, clock_gettime(2)).
    pub boottime: u64,
    /// The kernel's id of this boot (`/proc/sys/kernel/random/boot_id`); `None` where /proc is not mounted.
    pub boot_id: Option<String>,
}

impl Clock {
    /// Looks at both clocks.
    #[must_use]
    pub fn now() -> Self {
        let boottime =
            clock_gettime(ClockId::CLOCK_BOOTTIME).ok().and_then(|time| u64::try_from(time.tv_sec()).ok());
        let boot_id =
            std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().map(|id| id.trim().to_owned());
        Self {
            wall: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            boottime: boottime.unwrap_or(0),
            boot_id: boot_id.filter(|_| boottime.is_some()),
        }
    }
}
