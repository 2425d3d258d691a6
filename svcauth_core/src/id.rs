//! User and group ids that a directory may give to a managed account or group.
//!
//! A directory is not trusted to name uid 0. Two fences stand here, and every reader applies the first one again:
//! [`is_assignable`] is the fixed fence (ids that no directory may ever hand out), [`IdRange`] is the administrator's.

use core::fmt;
use core::str::FromStr;

/// A user id of a managed account: always [`is_assignable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(u32);

/// A group id of a managed group, or the primary group of a managed account: always [`is_assignable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gid(u32);

impl Uid {
    /// The id, if a directory may hand it out.
    #[must_use]
    pub const fn new(raw: u32) -> Option<Self> {
        if is_assignable(raw) { Some(Self(raw)) } else { None }
    }
    /// The number as libc knows it.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl Gid {
    /// The id, if a directory may hand it out.
    #[must_use]
    pub const fn new(raw: u32) -> Option<Self> {
        if is_assignable(raw) { Some(Self(raw)) } else { None }
    }
    /// The number as libc knows it.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// Whether a directory may ever hand out this id, whatever the configuration says.
///
/// Refused: 0-99 (root and the distribution's static ids, Debian policy 9.2.2), 60001-60705 (homed, foreign and
/// greeter users of systemd), 61184-65535 (systemd's dynamic users, nobody, the 16-bit -1), and 2147483647 upwards
/// (negative for programs that keep ids in an `int`; -1 and -2). Source: <https://systemd.io/UIDS-GIDS/>.
#[must_use]
pub const fn is_assignable(raw: u32) -> bool {
    !matches!(raw, 0..=99 | 60_001..=60_705 | 61_184..=65_535 | 2_147_483_647..)
}

/// The administrator's range of managed ids, both ends included: `id_range = "7000-7999"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IdRange {
    first: u32,
    last: u32,
}

/// Why a text is no [`IdRange`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdRangeError {
    /// Not `FIRST-LAST` with two plain decimal numbers.
    Syntax,
    /// The first id is greater than the last.
    Reversed,
    /// An end of the range is an id that no directory may hand out.
    Reserved(u32),
}

impl fmt::Display for IdRangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax => f.write_str("expected FIRST-LAST in plain decimal digits, such as \"7000-7999\""),
            Self::Reversed => f.write_str("the first id is greater than the last"),
            Self::Reserved(id) => {
                write!(f, "id {id} is reserved (root, system, systemd or nobody ids); choose another range")
            }
        }
    }
}

impl core::error::Error for IdRangeError {}

impl IdRange {
    /// A range from its ends; both must be [`is_assignable`] and in order.
    ///
    /// # Errors
    /// [`IdRangeError::Reversed`] or [`IdRangeError::Reserved`]. Reserved ids *between* the ends are no error: they
    /// are simply not in the range ([`Self::contains`]).
    pub const fn new(first: u32, last: u32) -> Result<Self, IdRangeError> {
        if first > last {
            return Err(IdRangeError::Reversed);
        }
        if !is_assignable(first) {
            return Err(IdRangeError::Reserved(first));
        }
        if !is_assignable(last) {
            return Err(IdRangeError::Reserved(last));
        }
        Ok(Self { first, last })
    }
    /// Whether a managed account or group may have this id.
    #[must_use]
    pub const fn contains(self, raw: u32) -> bool {
        self.first <= raw && raw <= self.last && is_assignable(raw)
    }
    /// The lowest id of the range.
    #[must_use]
    pub const fn first(self) -> u32 {
        self.first
    }
    /// The highest id of the range.
    #[must_use]
    pub const fn last(self) -> u32 {
        self.last
    }
}

impl fmt::Display for IdRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl FromStr for IdRange {
    type Err = IdRangeError;
    fn from_str(text: &str) -> Result<Self, IdRangeError> {
        let (first, last) = text.split_once('-').ok_or(IdRangeError::Syntax)?;
        let first = parse_id(first.trim().as_bytes()).ok_or(IdRangeError::Syntax)?;
        let last = parse_id(last.trim().as_bytes()).ok_or(IdRangeError::Syntax)?;
        Self::new(first, last)
    }
}

/// An id as a directory writes it: plain ASCII digits, no sign, no leading zero, nothing around, at most 4294967295.
///
/// Nothing is truncated or repaired: `4294967296`, `+5`, `007`, ` 1000` and `1e3` are all `None`.
#[must_use]
pub fn parse_id(text: &[u8]) -> Option<u32> {
    if text.is_empty() || text.len() > 10 || (text.len() > 1 && text.first() == Some(&b'0')) {
        return None;
    }
    text.iter().try_fold(0u32, |value, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        value.checked_mul(10)?.checked_add(u32::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::{IdRange, IdRangeError, is_assignable, parse_id};

    #[test]
    fn ids_that_a_directory_must_never_hand_out_are_refused() {
        for good in [100, 112, 999, 1000, 7001, 60_000, 65_536, 200_000, 2_000_200_000] {
            assert!(is_assignable(good), "{good}");
        }
        for bad in [
            0,
            1,
            99,
            60_001,
            60_513,
            60_577,
            61_184,
            65_519,
            65_534,
            65_535,
            2_147_483_647,
            u32::MAX - 1,
            u32::MAX,
        ] {
            assert!(!is_assignable(bad), "{bad}");
        }
    }

    #[test]
    fn numbers_are_read_exactly_or_not_at_all() {
        assert_eq!(parse_id(b"7001"), Some(7001));
        assert_eq!(parse_id(b"0"), Some(0));
        assert_eq!(parse_id(b"4294967295"), Some(u32::MAX));
        for bad in [
            "",
            "4294967296",
            "4294968296",
            "-1",
            "+5",
            "007",
            " 1000",
            "1000 ",
            "1e3",
            "99999999999999999999",
            "\u{661}",
        ] {
            assert_eq!(parse_id(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn a_range_names_what_is_wrong_with_it() {
        assert_eq!("7000-7999".parse(), IdRange::new(7000, 7999));
        assert_eq!("7000".parse::<IdRange>(), Err(IdRangeError::Syntax));
        assert_eq!("8000-7999".parse::<IdRange>(), Err(IdRangeError::Reversed));
        assert_eq!("0-7999".parse::<IdRange>(), Err(IdRangeError::Reserved(0)));
        assert_eq!("7000-4294967295".parse::<IdRange>(), Err(IdRangeError::Reserved(u32::MAX)));
        let wide: IdRange = "1000-70000".parse().unwrap();
        assert!(wide.contains(1000) && wide.contains(70_000) && !wide.contains(65_534));
    }
}
