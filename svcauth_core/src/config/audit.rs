//! `[audit]`: how large the audit file becomes, and how much of a flood of refusals is kept.

use super::check::Check;
use super::error::ConfigError;
use super::raw;
use core::ops::RangeInclusive;
use std::format;

const SIZES: RangeInclusive<u64> = (64 << 10)..=(1 << 30);
const FILES: RangeInclusive<i64> = 1..=999;
const PER_MINUTE: RangeInclusive<i64> = 1..=1_000_000;

/// `[audit]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audit {
    /// A file that is as long as this is rotated away, in bytes; 64 KiB to 1 GiB.
    pub rotate_size: u64,
    /// How many files that were rotated away are kept; 1 to 999.
    pub keep: u32,
    /// How many refusals of one minute are kept one by one; 1 to 1,000,000. The others are counted.
    pub denied_per_minute: u32,
}

impl Default for Audit {
    fn default() -> Self {
        Self { rotate_size: 64 << 20, keep: 15, denied_per_minute: 600 }
    }
}

pub(super) fn check(check: Check<'_>, raw: raw::Audit) -> Result<Audit, ConfigError> {
    let default = Audit::default();
    Ok(Audit {
        rotate_size: size(check, raw.rotate_size)?.unwrap_or(default.rotate_size),
        keep: count(check, raw.keep, "keep", FILES)?.unwrap_or(default.keep),
        denied_per_minute: count(check, raw.denied_per_minute, "denied_per_minute", PER_MINUTE)?
            .unwrap_or(default.denied_per_minute),
    })
}

fn size(check: Check<'_>, text: raw::Text) -> Result<Option<u64>, ConfigError> {
    let Some(text) = text else { return Ok(None) };
    let shown = text.get_ref().escape_default();
    let fault = match parse(text.get_ref()) {
        Some(size) if SIZES.contains(&size) => return Ok(Some(size)),
        Some(_) => format!("a size of \"{shown}\" is out of range; expected \"64K\" to \"1G\""),
        None => format!(
            "\"{shown}\" is no size; expected a whole number and a unit (K, M or G), such as \"64M\" or \"1G\""
        ),
    };
    Err(check.0.error(text.span(), fault))
}

/// `64K`, `64M` or `1G`: powers of 1024.
fn parse(text: &str) -> Option<u64> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let shift = match unit {
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return None,
    };
    Some(u64::from(crate::id::parse_id(digits.as_bytes())?) << shift)
}

fn count(
    check: Check<'_>,
    number: raw::Number,
    name: &str,
    range: RangeInclusive<i64>,
) -> Result<Option<u32>, ConfigError> {
    let Some(number) = number else { return Ok(None) };
    let value = *number.get_ref();
    match u32::try_from(value) {
        Ok(count) if range.contains(&value) => Ok(Some(count)),
        _ => {
            let fault =
                format!("{name} = {value} is out of range; expected {} to {}", range.start(), range.end());
            Err(check.0.error(number.span(), fault))
        }
    }
}
