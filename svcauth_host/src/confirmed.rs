//! When the directory last confirmed the published state, and how old that makes it.
//!
//! The file is apart from the snapshots, so that a directory in which nothing changes costs one small write per refresh.
//! It names the generation it speaks of: beside a snapshot that was brought back from a backup it counts for nothing.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use svcauth_core::policy::Age;
use svcauth_core::snapshot::Header;

use crate::clock::Clock;
use crate::paths;
use crate::snapshot_file::read_trusted;

/// How far the wall clock may stand behind a recorded time and still count as equal, in seconds.
const SKEW: u64 = 300;

/// One confirmation by the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// The generation that was confirmed.
    pub generation: u64,
    /// When, by both clocks.
    pub at: Clock,
}

impl fmt::Display for Confirmation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let boot_id = self.at.boot_id.as_deref().unwrap_or("-");
        writeln!(f, "confirmed {} {} {} {}", self.generation, self.at.wall, self.at.boottime, boot_id)
    }
}

/// A text that is no [`Confirmation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

impl FromStr for Confirmation {
    type Err = Unreadable;
    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let mut words = text.strip_suffix('\n').ok_or(Unreadable)?.split(' ');
        let mut next = || words.next().ok_or(Unreadable);
        if next()? != "confirmed" {
            return Err(Unreadable);
        }
        let number = |text: &str| text.parse().map_err(|_| Unreadable);
        let generation = number(next()?)?;
        let (wall, boottime) = (number(next()?)?, number(next()?)?);
        let boot_id = Some(next()?.to_owned()).filter(|id| id != "-");
        if words.next().is_some() {
            return Err(Unreadable);
        }
        Ok(Self { generation, at: Clock { wall, boottime, boot_id } })
    }
}

/// How old the state behind this header is now.
#[must_use]
pub fn age(header: &Header, now: &Clock) -> Age {
    let confirmation = read_trusted(Path::new(paths::CONFIRMED), 256).ok().and_then(|text| text.parse().ok());
    age_from(confirmation.as_ref(), header.generation, header.created, now)
}

/// The age from what is known: within one boot by the clock that nobody can set, across boots by the wall clock.
#[must_use]
pub fn age_from(confirmation: Option<&Confirmation>, generation: u64, created: u64, now: &Clock) -> Age {
    let confirmed = confirmation.filter(|confirmation| confirmation.generation == generation);
    match confirmed {
        Some(last) if last.at.boot_id.is_some() && last.at.boot_id == now.boot_id => {
            Age(now.boottime.checked_sub(last.at.boottime))
        }
        Some(last) => Age(by_wall(last.at.wall, now.wall)),
        None => Age(by_wall(created, now.wall)),
    }
}

/// A time in the future means that a clock was wrong then or is wrong now: nobody can tell the age.
fn by_wall(then: u64, now: u64) -> Option<u64> {
    now.checked_sub(then).or_else(|| (then.saturating_sub(now) <= SKEW).then_some(0))
}

#[cfg(test)]
mod tests {
    use super::{Age, Clock, Confirmation, Unreadable, age_from};

    fn clock(wall: u64, boottime: u64, boot: &str) -> Clock {
        Clock { wall, boottime, boot_id: Some(boot.to_owned()) }
    }

    #[test]
    fn a_confirmation_is_read_as_it_was_written_and_nothing_else_is() {
        let one = Confirmation { generation: 42, at: clock(1_700_000_000, 99, "b-1") };
        assert_eq!(one.to_string().parse(), Ok(one.clone()));
        let nameless = Confirmation { at: Clock { boot_id: None, ..one.at.clone() }, ..one };
        assert_eq!(nameless.to_string().parse(), Ok(nameless));
        for bad in [
            "",
            "\n",
            "confirmed 1 2 3 x",
            "confirmed 1 2 3\n",
            "confirmed 1 2 3 x y\n",
            "confirmed -1 2 3 x\n",
            "x 1 2 3 x\n",
        ] {
            assert_eq!(bad.parse::<Confirmation>(), Err(Unreadable), "{bad:?}");
        }
    }

    #[test]
    fn within_one_boot_a_wall_clock_that_jumps_changes_nothing() {
        let last = Confirmation { generation: 7, at: clock(1_000_000, 500, "boot") };
        for wall in [0, 1_000_100, 40_000_000] {
            assert_eq!(age_from(Some(&last), 7, 0, &clock(wall, 600, "boot")), Age(Some(100)), "{wall}");
        }
    }

    #[test]
    fn across_boots_the_wall_clock_counts_and_a_clock_in_the_past_counts_as_unknown() {
        let last = Confirmation { generation: 7, at: clock(1_000_000, 500, "old") };
        assert_eq!(age_from(Some(&last), 7, 0, &clock(1_000_060, 9, "new")), Age(Some(60)));
        assert_eq!(age_from(Some(&last), 7, 0, &clock(999_900, 9, "new")), Age(Some(0)));
        assert_eq!(age_from(Some(&last), 7, 0, &clock(1_000, 9, "new")), Age(None));
    }

    #[test]
    fn a_confirmation_of_another_generation_counts_for_nothing() {
        let last = Confirmation { generation: 8, at: clock(1_000_000, 500, "boot") };
        let now = clock(1_000_010, 510, "boot");
        assert_eq!(age_from(Some(&last), 8, 900_000, &now), Age(Some(10)));
        assert_eq!(age_from(Some(&last), 7, 900_000, &now), Age(Some(100_010)));
        assert_eq!(age_from(None, 7, 900_000, &now), Age(Some(100_010)));
    }
}
