//! Spans of time as the configuration writes them: a whole number and one unit.

use core::time::Duration;

/// `15s`, `30m`, `6h` or `7d`; `None` for anything else, and for more than a hundred years.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    let total = u64::from(crate::id::parse_id(digits.as_bytes())?).checked_mul(seconds)?;
    (total <= 36_525 * 86_400).then(|| Duration::from_secs(total))
}

/// What [`parse`] takes, for messages.
pub(super) const EXPECTED: &str =
    "expected a whole number and a unit (s, m, h or d), such as \"15s\" or \"24h\"";

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_span_is_a_whole_number_and_one_unit() {
        for (text, seconds) in
            [("15s", 15), ("30m", 1800), ("6h", 21_600), ("24h", 86_400), ("7d", 604_800), ("0s", 0)]
        {
            assert_eq!(parse(text).map(|span| span.as_secs()), Some(seconds), "{text}");
        }
        for bad in
            ["", "s", "15", "15 s", "-1s", "+1s", "1.5h", "1h30m", "15S", "015s", "4294967295d", "15\u{e4}"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
