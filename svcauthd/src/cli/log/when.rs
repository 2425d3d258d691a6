//! Times as people write them on a command line, and as they read them in a table.

use svcauth_core::audit::parse_rfc3339;

use super::local_time_ffi::{Civil, from_local, to_local};

const SECOND: u64 = 1_000_000;

/// The units of a span, in seconds; the months of people are of no fixed length, and so no unit here.
const UNITS: &[(&str, u64)] =
    &[("s", 1), ("m", 60), ("min", 60), ("h", 3600), ("d", 86_400), ("w", 604_800), ("y", 31_557_600)];

/// A moment in microseconds since 1970; `now` likewise. What has no zone is in that of the host.
pub(super) fn moment(text: &str, now: u64) -> Result<u64, String> {
    let understood = parse_rfc3339(text)
        .or_else(|| span(text).map(|seconds| now.saturating_sub(seconds.saturating_mul(SECOND))))
        .or_else(|| local(text, now));
    understood.ok_or_else(|| {
        format!(
            "the time {text:?} cannot be understood; write 2026-01-31, \"2026-01-31 15:04\", 15:04 for today, \
             2026-01-31T15:04:05Z, or a span ago as 30m, 2h or 7d"
        )
    })
}

/// `2h`, `1h30m`: seconds.
fn span(text: &str) -> Option<u64> {
    let (mut rest, mut total) = (text, 0_u64);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|end| *end > 0)?;
        let (number, tail) = rest.split_at(digits);
        let word = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(word);
        let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(*seconds)?)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(total)
}

/// `2026-01-31`, `2026-01-31 15:04`, `2026-01-31 15:04:05`, `15:04`, `15:04:05` by the clock on the wall.
fn local(text: &str, now: u64) -> Option<u64> {
    let (date, clock) = match text.split_once([' ', 'T']) {
        Some((date, clock)) => (Some(date), Some(clock)),
        None if text.contains(':') => (None, Some(text)),
        None => (Some(text), None),
    };
    let today = || to_local(i64::try_from(now / SECOND).ok()?);
    let [year, month, day] = match date {
        Some(date) => numbers(date, '-', &[4, 2, 2])?,
        None => today().map(|now| [now.year, now.month, now.day])?,
    };
    let [hour, minute, second] = match clock {
        Some(clock) => {
            numbers(clock, ':', &[2, 2, 2]).or_else(|| numbers(&format!("{clock}:00"), ':', &[2, 2, 2]))?
        }
        None => [0, 0, 0],
    };
    let seconds = from_local(Civil { year, month, day, hour, minute, second })?;
    u64::try_from(seconds).ok()?.checked_mul(SECOND)
}

fn numbers(text: &str, between: char, digits: &[usize; 3]) -> Option<[i32; 3]> {
    let parts: Vec<&str> = text.split(between).collect();
    let fits = |(part, count): (&&str, &usize)| {
        part.len() == *count && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    if parts.len() != 3 || !parts.iter().zip(digits).all(fits) {
        return None;
    }
    let mut found = [0; 3];
    for (slot, part) in found.iter_mut().zip(parts) {
        *slot = part.parse().ok()?;
    }
    Some(found)
}

/// `2026-01-31 15:04:05` by the clock on the wall.
pub(super) fn shown(time: u64) -> Option<String> {
    let at = to_local(i64::try_from(time / SECOND).ok()?)?;
    let Civil { year, month, day, hour, minute, second } = at;
    Some(format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"))
}

#[cfg(test)]
mod tests {
    use super::{moment, shown};

    /// 2026-01-31T08:15:00.5Z
    const NOW: u64 = 1_769_847_300_500_000;

    #[test]
    fn spans_count_back_from_now() {
        for (text, seconds) in [
            ("0s", 0),
            ("90s", 90),
            ("30m", 1800),
            ("30min", 1800),
            ("2h", 7200),
            ("1h30m", 5400),
            ("7d", 604_800),
            ("1w", 604_800),
            ("1y", 31_557_600),
        ] {
            assert_eq!(moment(text, NOW), Ok(NOW - seconds * 1_000_000), "{text}");
        }
        assert_eq!(moment("9999y", NOW), Ok(0));
    }

    #[test]
    fn times_with_a_zone_are_taken_as_they_are() {
        assert_eq!(moment("2026-01-31T08:15:00.5Z", 0), Ok(NOW));
        assert_eq!(moment("2026-01-31 09:15:00.5+01:00", 0), Ok(NOW));
    }

    #[test]
    fn times_without_a_zone_are_those_on_the_wall() {
        let wall = shown(NOW).unwrap();
        let (date, clock) = wall.split_once(' ').unwrap();
        let whole = NOW - 500_000;
        assert_eq!(moment(&wall, 0), Ok(whole));
        assert_eq!(moment(&format!("{date}T{clock}"), 0), Ok(whole));
        assert_eq!(moment(clock, NOW), Ok(whole));
        assert_eq!(moment(&clock[..5], NOW), Ok(whole));
        assert_eq!(moment(&format!("{date} {}", &clock[..5]), NOW), Ok(whole));
        assert_eq!(shown(moment(date, NOW).unwrap()).unwrap(), format!("{date} 00:00:00"));
    }

    #[test]
    fn what_is_no_time_is_refused_with_what_would_be_one() {
        for text in [
            "",
            " ",
            "x",
            "2",
            "h",
            "2x",
            "2 h",
            "-2h",
            "2h-",
            "2026-02-30",
            "2026-13-01",
            "2026-1-31",
            "25:00",
            "15:60",
            "15",
            "15:04:05:06",
            "2026-01-31 15",
            "2026-01-31T15:04:05+1",
            "99999999999999999999s",
            "now\n",
            "１５:04",
        ] {
            let error = moment(text, NOW).unwrap_err();
            assert!(error.contains("15:04 for today"), "{text:?}: {error}");
        }
    }
}
