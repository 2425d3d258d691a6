//! `id_map` and its range: whether ids are read or computed, and from which slices.

use super::check::Check;
use super::error::ConfigError;
use super::raw;
use crate::id_map::{IdMap, Slices};
use core::ops::Range;
use std::format;
use toml::Spanned;

/// The keys of `[accounts]` that decide it.
pub(super) struct Keys {
    pub(super) map: raw::Text,
    pub(super) min: raw::Number,
    pub(super) max: raw::Number,
    pub(super) size: raw::Number,
    /// Whether `id_range` is written.
    pub(super) id_range: bool,
}

pub(super) fn check(check: Check<'_>, is_ad: bool, keys: Keys) -> Result<IdMap, ConfigError> {
    let place = keys.map.as_ref().map_or(0..0, Spanned::span);
    let by_sid = check.one_of(keys.map.clone(), "id_map", &[("posix", false), ("sid", true)])? == Some(true);
    if !by_sid {
        let named = [
            ("idmap_range_min", &keys.min),
            ("idmap_range_max", &keys.max),
            ("idmap_range_size", &keys.size),
        ];
        let unused = named.into_iter().find_map(|(key, value)| Some((key, value.as_ref()?.span())));
        return unused.map_or(Ok(IdMap::Posix), |(key, span)| {
            Err(check.0.error(span, format!("{key} has no meaning without id_map = \"sid\"; take it out")))
        });
    }
    if !is_ad {
        let hint = "id_map = \"sid\" needs kind = \"ad\": only its entries have SIDs";
        return Err(check.0.error(place, hint));
    }
    let slices = slices(check, place.clone(), keys.min, keys.max, keys.size)?;
    if !keys.id_range {
        let (first, last) = slices.span();
        let hint = format!(
            "id_map = \"sid\" needs id_range, because the default holds no id that sssd computes; \
             write the ids that managed accounts and groups may have, all of them being id_range = \"{first}-{last}\""
        );
        return Err(check.0.error(place, hint));
    }
    Ok(IdMap::Sid(slices))
}

fn slices(
    check: Check<'_>,
    place: Range<usize>,
    min: raw::Number,
    max: raw::Number,
    size: raw::Number,
) -> Result<Slices, ConfigError> {
    let last = [&size, &max, &min].into_iter().find_map(|key| Some(key.as_ref()?.span()));
    let (min, max) = (number(check, min, 200_000)?, number(check, max, 2_000_200_000)?);
    let size = number(check, size, 200_000)?;
    Slices::new(min, max, size).ok_or_else(|| {
        let hint = format!(
            "between idmap_range_min {min} and idmap_range_max {max} there is no slice of idmap_range_size {size} ids; \
             copy all three from sssd.conf (ldap_idmap_range_min, _max, _size)"
        );
        check.0.error(last.unwrap_or(place), hint)
    })
}

fn number(check: Check<'_>, number: raw::Number, default: u32) -> Result<u32, ConfigError> {
    let Some(number) = number else { return Ok(default) };
    u32::try_from(*number.get_ref()).map_err(|_| {
        check.0.error(number.span(), format!("{} is no id; expected 0 to {}", number.get_ref(), u32::MAX))
    })
}
