//! Generalized Time, as directories write it (RFC 4517, 3.3.13).

/// Seconds since 1970; what is before that is 0, and a fraction is left out. `None`: it is no such time.
pub(super) fn generalized(text: &[u8]) -> Option<u64> {
    let mut rest = text;
    let [year, month, day, hour] =
        [take(&mut rest, 4)?, take(&mut rest, 2)?, take(&mut rest, 2)?, take(&mut rest, 2)?];
    let minute = take(&mut rest, 2);
    let second = minute.and_then(|_| take(&mut rest, 2));
    if let Some((b'.' | b',', fraction)) = rest.split_first() {
        let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        // Of an hour or a minute, a fraction would be more than nothing.
        (digits > 0 && second.is_some()).then_some(())?;
        rest = fraction.get(digits..)?;
    }
    let (minute, second) = (minute.unwrap_or(0), second.unwrap_or(0));
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    let ok = (1..=days).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    let time = ok.then(|| days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)?;
    Some(u64::try_from(time - zone(rest)?).unwrap_or(0))
}

/// Seconds that a zone is ahead of UTC.
fn zone(text: &[u8]) -> Option<i64> {
    let (sign, mut rest) = match text.split_first()? {
        (b'Z', []) => return Some(0),
        (b'+', rest) => (1, rest),
        (b'-', rest) => (-1, rest),
        _ => return None,
    };
    let hours = take(&mut rest, 2)?;
    let minutes = if rest.is_empty() { 0 } else { take(&mut rest, 2)? };
    (rest.is_empty() && hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// A number of so many digits from the front.
fn take(rest: &mut &[u8], digits: usize) -> Option<i64> {
    let (head, tail) = rest.split_at_checked(digits)?;
    let number = head.iter().try_fold(0_i64, |number, byte| {
        byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0'))
    })?;
    *rest = tail;
    Some(number)
}

/// Days from 1970-01-01 to a day of the Gregorian calendar. The year begins in March, so that the odd day is its last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    365 * year + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (153 * month + 2) / 5
        + day
        - 719_469
}

#[cfg(test)]
mod tests {
    use super::generalized;

    #[test]
    fn a_time_is_read_to_the_second() {
        for (text, seconds) in [
            ("19700101000000Z", 0),
            ("19700101000001Z", 1),
            ("20000229235959Z", 951_868_799),
            ("20000301000000Z", 951_868_800),
            ("20250131120000Z", 1_738_324_800),
            ("20250131120000.123456Z", 1_738_324_800),
            ("20250131120000,5Z", 1_738_324_800),
            ("202501311200Z", 1_738_324_800),
            ("2025013112Z", 1_738_324_800),
            ("20250131140000+0200", 1_738_324_800),
            ("20250131063000-0530", 1_738_324_800),
            ("20250131140000+02", 1_738_324_800),
            ("19691231235959Z", 0),
            ("00000101000000Z", 0),
            ("99991231235959Z", 253_402_300_799),
            ("20380119031408Z", 2_147_483_648),
        ] {
            assert_eq!(generalized(text.as_bytes()), Some(seconds), "{text}");
        }
    }

    #[test]
    fn every_day_is_one_day_after_the_one_before() {
        let mut last = None;
        for year in 1970..2110 {
            for month in 1..=12 {
                for day in 1..=31 {
                    let text = format!("{year}{month:02}{day:02}000000Z");
                    if let Some(seconds) = generalized(text.as_bytes()) {
                        assert_eq!(seconds, last.map_or(0, |last: u64| last + 86_400), "{text}");
                        last = Some(seconds);
                    }
                }
            }
        }
        assert_eq!(last, Some(4_417_977_600 - 86_400));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "Z",
            "2025013112",
            "20250131120000",
            "20251301000000Z",
            "20250229000000Z",
            "20250100000000Z",
            "20250131240000Z",
            "20250131126000Z",
            "20250131120061Z",
            "20250131120000.Z",
            "202501311200.5Z",
            "20250131120000ZZ",
            "20250131120000z",
            "20250131120000+2",
            "20250131120000+2460",
            "+0250131120000Z",
            "2025013112000Z",
            "soon",
        ] {
            assert_eq!(generalized(text.as_bytes()), None, "{text}");
        }
    }
}
