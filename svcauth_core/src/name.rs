//! Names that a directory may give to accounts, groups and people.
//!
//! The sets are narrow on purpose: no `:` or newline can reach a passwd line, no `/` or `..` a path, no blank or `,` a
//! member list. Whatever is outside is refused with a [`NameError`] and never repaired.

use core::fmt;

/// Longest account name in bytes (`LOGIN_NAME_MAX` is 256, but utmp and useradd(8) stop at 32).
pub const ACCOUNT_MAX: usize = 32;
/// Longest group name in bytes.
pub const GROUP_MAX: usize = 128;
/// Longest login name of a person in bytes.
pub const LOGIN_MAX: usize = 128;

/// Why a name is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// The name is empty.
    Empty,
    /// The name is longer than this many bytes.
    TooLong(usize),
    /// The name begins with a character that it may not begin with.
    FirstCharacter,
    /// The name holds a character that it may not hold.
    Character,
    /// The name is one that every system reserves for itself (`root`).
    Reserved,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the name is empty"),
            Self::TooLong(max) => write!(f, "the name is longer than {max} bytes"),
            Self::FirstCharacter => f.write_str("the name must begin with a letter or _"),
            Self::Character => f.write_str("the name holds a character that is not allowed in it"),
            Self::Reserved => f.write_str("the name is reserved"),
        }
    }
}

impl core::error::Error for NameError {}

/// Checks the name of a managed account: `[A-Za-z_][A-Za-z0-9_.-]*`, at most [`ACCOUNT_MAX`] bytes, not `root`.
///
/// # Errors
/// The first rule that the name breaks.
pub fn check_account(name: &[u8]) -> Result<(), NameError> {
    check(name, ACCOUNT_MAX, |byte| matches!(byte, b'_' | b'.' | b'-'))
}

/// Checks the name of a managed group: as an account, and inner blanks (`Domain Users`), at most [`GROUP_MAX`] bytes.
///
/// # Errors
/// The first rule that the name breaks.
pub fn check_group(name: &[u8]) -> Result<(), NameError> {
    if name.last() == Some(&b' ') {
        return Err(NameError::Character);
    }
    check(name, GROUP_MAX, |byte| matches!(byte, b'_' | b'.' | b'-' | b' '))
}

/// Checks the login name of a person: as an account, may begin with a digit, and may hold `@` and `+`.
///
/// # Errors
/// The first rule that the name breaks.
pub fn check_login(name: &[u8]) -> Result<(), NameError> {
    let tail = name.get(1..).unwrap_or_default();
    if name.first().is_some_and(u8::is_ascii_digit) {
        if name.len() > LOGIN_MAX {
            return Err(NameError::TooLong(LOGIN_MAX));
        }
        return if tail.iter().copied().all(in_login) { Ok(()) } else { Err(NameError::Character) };
    }
    check(name, LOGIN_MAX, |byte| matches!(byte, b'_' | b'.' | b'-' | b'@' | b'+'))
}

fn in_login(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'@' | b'+')
}

fn check(name: &[u8], max: usize, also: impl Fn(u8) -> bool) -> Result<(), NameError> {
    let Some((first, rest)) = name.split_first() else {
        return Err(NameError::Empty);
    };
    if name.len() > max {
        return Err(NameError::TooLong(max));
    }
    if !(first.is_ascii_alphabetic() || *first == b'_') {
        return Err(NameError::FirstCharacter);
    }
    if !rest.iter().all(|byte| byte.is_ascii_alphanumeric() || also(*byte)) {
        return Err(NameError::Character);
    }
    if name.eq_ignore_ascii_case(b"root") {
        return Err(NameError::Reserved);
    }
    Ok(())
}

/// Checks a text field of a passwd entry (gecos, home, shell): no `:`, no control byte; what is not ASCII must be UTF-8.
///
/// # Errors
/// [`NameError::TooLong`] beyond `max` bytes, else [`NameError::Character`].
pub fn check_field(value: &[u8], max: usize) -> Result<(), NameError> {
    if value.len() > max {
        return Err(NameError::TooLong(max));
    }
    let text = core::str::from_utf8(value).map_err(|_| NameError::Character)?;
    if text.chars().any(|c| c == ':' || c.is_control()) { Err(NameError::Character) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::{NameError, check_account, check_field, check_group, check_login};

    #[test]
    fn ordinary_names_pass() {
        for name in ["deployer", "_apt", "web-1.prod", "A"] {
            assert_eq!(check_account(name.as_bytes()), Ok(()), "{name}");
        }
        assert_eq!(check_group(b"Domain Users"), Ok(()));
        for name in ["alice", "alice@example.com", "4711", "a+b"] {
            assert_eq!(check_login(name.as_bytes()), Ok(()), "{name}");
        }
        assert_eq!(check_field("Zoë, Deploy".as_bytes(), 64), Ok(()));
    }

    #[test]
    fn names_that_could_reach_a_passwd_line_a_path_or_an_option_are_refused() {
        for name in [
            "",
            "root",
            "ROOT",
            "a:b",
            "../x",
            "a/b",
            "a\nb",
            "a\0b",
            "-x",
            "0day",
            "a b",
            "a$",
            "ä",
            "a,b",
            "a\u{202e}b",
            ".x",
        ] {
            assert!(check_account(name.as_bytes()).is_err(), "{name:?}");
        }
        for name in ["", " x", "x ", "a:b", "a,b", "a\nb", "-x", "root", "a/b"] {
            assert!(check_group(name.as_bytes()).is_err(), "{name:?}");
        }
        for name in ["", "a b", "a:b", "a/b", "a,b", "-x", "@x", "0/", "root"] {
            assert!(check_login(name.as_bytes()).is_err(), "{name:?}");
        }
        assert_eq!(check_account(&[b'a'; 33]), Err(NameError::TooLong(32)));
        for value in ["a:b", "a\nb", "a\rb", "\u{1b}[0m", "\u{85}"] {
            assert_eq!(check_field(value.as_bytes(), 64), Err(NameError::Character), "{value:?}");
        }
        assert_eq!(check_field(b"\xff", 64), Err(NameError::Character));
    }
}
