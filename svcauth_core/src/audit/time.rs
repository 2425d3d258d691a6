//! Time stamps of records.

use std::format;
use std::string::String;

const DAY: u64 = 86_400;
/// 9999-12-31T23:59:59.999999Z, the last moment that RFC 3339 can write.
const LAST: u64 = 253_402_300_799_999_999;

/// A time in microseconds since 1970 as RFC 3339 in UTC: `2026-01-31T08:15:00.000042Z`.
///
/// What lies behind the year 9999 is written as the last moment of that year.
#[must_use]
pub fn rfc3339(microseconds: u64) -> String {
    let microseconds = microseconds.min(LAST);
    let (seconds, fraction) = (microseconds / 1_000_000, microseconds % 1_000_000);
    let (year, month, day) = civil(seconds / DAY);
    let (hour, minute, second) = (seconds % DAY / 3600, seconds % 3600 / 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:06}Z")
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
///
/// Years are taken to begin in March, so that the leap day is the last of its year; 400 years have 146 097 days.
const fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

/// Days from 1970-01-01 to a day of the Gregorian calendar, the other way round; `None` for a day that does not exist.
const fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    if year < 1970 || year > 9999 || month < 1 || month > 12 || day < 1 {
        return None;
    }
    let march_year = if month > 2 { year } else { year - 1 };
    let march_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    let (era, year_of_era) = (march_year / 400, march_year % 400);
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    let (_, back_month, back_day) = civil(days);
    // The 30th of February would be the 2nd of March.
    if back_month == month && back_day == day { Some(days) } else { None }
}

/// A time of RFC 3339 in microseconds since 1970: `2026-01-31T08:15:00.000042Z`, `2026-01-31 09:15:00+01:00`.
///
/// `None` for what is no such time, and for one before 1970 or behind 9999 in UTC. What is finer than a microsecond is cut off; a leap second is
/// the first of the next minute.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<u64> {
    let (date, rest) = (text.get(..10)?, text.get(10..)?);
    let clock = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, offset) = split_offset(clock)?;
    let (whole, fraction) = match clock.split_once('.') {
        Some((whole, digits)) => (whole, microseconds(digits)?),
        None => (clock, 0),
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(whole, ':', [2, 2, 2])?;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = days(year, month, day)? * DAY + hour * 3600 + minute * 60 + second;
    let time = seconds.checked_add_signed(-offset)? * 1_000_000 + fraction;
    (time <= LAST).then_some(time)
}

/// The time of day, and what its zone is ahead of UTC in seconds.
fn split_offset(clock: &str) -> Option<(&str, i64)> {
    if let Some(clock) = clock.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let at = clock.rfind(['+', '-'])?;
    let (clock, zone) = (clock.get(..at)?, clock.get(at..)?);
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let [hours, minutes] = numbers(zone.get(1..)?, ':', [2, 2])?;
    let ahead = i64::try_from(hours * 3600 + minutes * 60).ok()?;
    (hours < 24 && minutes < 60).then_some((clock, sign * ahead))
}

fn microseconds(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let six: String = digits.chars().chain("000000".chars()).take(6).collect();
    if is_number { six.parse().ok() } else { None }
}

/// `N` numbers of so many digits each, with `between` between them, and nothing else.
fn numbers<const N: usize>(text: &str, between: char, digits: [usize; N]) -> Option<[u64; N]> {
    let mut parts = text.split(between);
    let mut found = [0; N];
    for (slot, count) in found.iter_mut().zip(digits) {
        let part = parts.next()?;
        let is_number = part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit());
        *slot = if is_number { part.parse().ok()? } else { return None };
    }
    parts.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::{LAST, parse_rfc3339, rfc3339};

    #[test]
    fn times_are_written_as_date_writes_them() {
        // date -u -d @SECONDS +%FT%TZ
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399, "2000-02-28T23:59:59.000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000000Z"),
            (1_709_251_200, "2024-03-01T00:00:00.000000Z"),
            (2_147_483_648, "2038-01-19T03:14:08.000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
        ] {
            assert_eq!(rfc3339(seconds * 1_000_000), text);
        }
        assert_eq!(rfc3339(1_700_000_000_000_042), "2023-11-14T22:13:20.000042Z");
        assert_eq!(rfc3339(u64::MAX), "9999-12-31T23:59:59.999999Z");
    }

    #[test]
    fn a_time_that_was_written_is_read_as_the_same() {
        for day in (0..2_932_896).step_by(13) {
            let time = day * 86_400_000_000 + 45_296_000_042;
            assert_eq!(parse_rfc3339(&rfc3339(time)), Some(time), "{}", rfc3339(time));
        }
        assert_eq!(parse_rfc3339(&rfc3339(LAST)), Some(LAST));
    }

    #[test]
    fn times_of_other_zones_and_of_other_precision_are_read() {
        for (text, seconds, fraction) in [
            ("2026-01-31T08:15:00Z", 1_769_847_300, 0),
            ("2026-01-31t08:15:00.5z", 1_769_847_300, 500_000),
            ("2026-01-31 09:15:00+01:00", 1_769_847_300, 0),
            ("2026-01-31T02:45:00.1234567-05:30", 1_769_847_300, 123_456),
            ("1970-01-01T00:00:00Z", 0, 0),
            ("2016-12-31T23:59:60Z", 1_483_228_800, 0),
        ] {
            assert_eq!(parse_rfc3339(text), Some(seconds * 1_000_000 + fraction), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_of_rfc_3339_is_refused() {
        for text in [
            "",
            "2026-01-31",
            "2026-01-31T08:15:00",
            "2026-01-31T08:15Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-31T24:00:00Z",
            "2026-01-31T08:60:00Z",
            "2026-01-31T08:15:61Z",
            "2026-01-31T08:15:00.Z",
            "2026-01-31T08:15:00.1x2Z",
            "2026-01-31T08:15:00+1:00",
            "2026-01-31T08:15:00+24:00",
            "2026-01-31T+8:15:00Z",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+00:01",
            "10000-01-01T00:00:00Z",
            "9999-12-31T23:59:59-00:01",
            "9999-12-31T23:59:60Z",
            "2026-01-31T08:15:00Z ",
            "2026\u{2d7}01-31T08:15:00Z",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text:?}");
        }
    }
}
