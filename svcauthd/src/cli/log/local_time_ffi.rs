//! The host's time zone, which the C library knows (tzset(3)).

use std::mem::MaybeUninit;

/// A time on the wall. Month and day from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Civil {
    pub(super) year: i32,
    pub(super) month: i32,
    pub(super) day: i32,
    pub(super) hour: i32,
    pub(super) minute: i32,
    pub(super) second: i32,
}

/// The time on the wall so many seconds after 1970-01-01 UTC.
pub(super) fn to_local(seconds: i64) -> Option<Civil> {
    let mut at = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: localtime_r(3) reads the first and writes the second, both live for the call, and keeps neither.
    let written = unsafe { libc::localtime_r(&raw const seconds, at.as_mut_ptr()) };
    if written.is_null() {
        return None;
    }
    // SAFETY: all bytes are zero or written by localtime_r, and zero is a value of every member (the zone is a pointer).
    let at = unsafe { at.assume_init() };
    Some(Civil {
        year: at.tm_year.checked_add(1900)?,
        month: at.tm_mon.checked_add(1)?,
        day: at.tm_mday,
        hour: at.tm_hour,
        minute: at.tm_min,
        second: at.tm_sec,
    })
}

/// Seconds from 1970-01-01 UTC to a time on the wall; `None` for a day or an hour that does not exist. Of an hour that
/// comes twice, one of the two.
pub(super) fn from_local(civil: Civil) -> Option<i64> {
    if !(0..=23).contains(&civil.hour)
        || !(0..=59).contains(&civil.minute)
        || !(0..=59).contains(&civil.second)
    {
        return None;
    }
    // SAFETY: zero is a value of every member of the structure (the zone is a pointer).
    let mut at = unsafe { MaybeUninit::<libc::tm>::zeroed().assume_init() };
    at.tm_year = civil.year.checked_sub(1900)?;
    at.tm_mon = civil.month.checked_sub(1)?;
    (at.tm_mday, at.tm_hour, at.tm_min, at.tm_sec) = (civil.day, civil.hour, civil.minute, civil.second);
    // The C library finds out whether it is summer.
    at.tm_isdst = -1;
    // SAFETY: mktime(3) reads and writes the structure, which lives for the call, and does not keep it.
    let seconds = unsafe { libc::mktime(&raw mut at) };
    // mktime makes the 2nd of March of the 30th of February, and a later hour of one that summer time leaves out.
    let is_that_day = (at.tm_mon, at.tm_mday) == (civil.month - 1, civil.day);
    (seconds != -1 && is_that_day).then_some(seconds)
}
