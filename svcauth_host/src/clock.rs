//! The two clocks that ages are measured with: the wall clock, which anybody may set, and the one that runs since boot.

use std::sync::OnceLock;
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

/// What this boot is called for this process, when /proc is not to be asked.
static BOOT_ID: OnceLock<String> = OnceLock::new();

impl Clock {
    /// For the rest of this process the boot has this id, whatever its own /proc says: 32 hexadecimal digits, with or without
    /// hyphens; whether it is one. For a service with a /proc of its own, in a container whose manager has laid another id over
    /// the kernel's (systemd-nspawn(1)): whoever logs in there has that one.
    #[must_use]
    pub fn call_boot(id: &str) -> bool {
        let Some(id) = boot_id_of(id) else { return false };
        // The first word counts: nobody says two.
        BOOT_ID.get_or_init(|| id);
        true
    }

    /// Looks at both clocks.
    #[must_use]
    pub fn now() -> Self {
        let boottime =
            clock_gettime(ClockId::CLOCK_BOOTTIME).ok().and_then(|time| u64::try_from(time.tv_sec()).ok());
        let asked = || std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
        let boot_id = BOOT_ID.get().cloned().or_else(|| asked().map(|id| id.trim().to_owned()));
        Self {
            wall: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            boottime: boottime.unwrap_or(0),
            boot_id: boot_id.filter(|_| boottime.is_some()),
        }
    }
}

/// An id as the kernel writes it: lower case, in five groups.
fn boot_id_of(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(|&c| c != '-').collect();
    if digits.len() != 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let digits = digits.to_ascii_lowercase();
    let groups: Option<Vec<&str>> =
        [0..8, 8..12, 12..16, 16..20, 20..32].into_iter().map(|group| digits.get(group)).collect();
    groups.map(|groups| groups.join("-"))
}

#[cfg(test)]
mod tests {
    use super::boot_id_of;

    #[test]
    fn an_id_of_a_boot_reads_as_the_kernel_writes_it_whoever_wrote_it() {
        let id = "4aed6443-52f1-4efc-949a-db32d1710581";
        assert_eq!(boot_id_of("4aed644352f14efc949adb32d1710581").as_deref(), Some(id), "systemd's %b");
        assert_eq!(boot_id_of("4AED644352F14EFC949ADB32D1710581").as_deref(), Some(id));
        assert_eq!(boot_id_of(id).as_deref(), Some(id));
        for bad in
            ["", "%b", "4aed6443", "4aed644352f14efc949adb32d171058g", "4aed644352f14efc949adb32d17105811"]
        {
            assert_eq!(boot_id_of(bad), None, "{bad:?}");
        }
    }
}
