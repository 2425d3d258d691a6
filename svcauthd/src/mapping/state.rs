//! Disabled, locked, expired: what the directory says about using an entry now or later.
//!
//! A value that cannot be understood refuses the entry: it was meant to take something away.

use super::Fault;
use super::ad::{self, Lockout};
use super::values::one;
use crate::directory::Entry;
use svcauth_core::config::Config;
use svcauth_core::id::parse_id;

const DAY: u64 = 86_400;

/// What the directory says about using an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) disabled: bool,
    /// Seconds since 1970.
    pub(super) expires: Option<u64>,
    /// Seconds since 1970; `u64::MAX`: until the directory takes it back.
    pub(super) locked_until: Option<u64>,
}

/// What the entry of an account or a person says; a machine's is refused here.
pub(super) fn read(entry: &Entry, config: &Config, lockout: Lockout) -> Result<State, Fault> {
    if config.directory.kind.is_ad() {
        ad::is_nobodys_machine(entry)?;
        return ad::state(entry, lockout);
    }
    let (locked, forever) = locked(entry)?;
    Ok(State {
        disabled: disabled(entry)? || forever,
        expires: expires(entry)?,
        locked_until: locked.then_some(u64::MAX),
    })
}

/// `nsAccountLock` of 389 Directory Server and FreeIPA.
fn disabled(entry: &Entry) -> Result<bool, Fault> {
    match one(entry, "nsAccountLock")? {
        None => Ok(false),
        Some(value) if value.eq_ignore_ascii_case(b"true") => Ok(true),
        Some(value) if value.eq_ignore_ascii_case(b"false") => Ok(false),
        Some(value) => Err(Fault::of("nsAccountLock", value, "expected TRUE or FALSE")),
    }
}

/// `pwdAccountLockedTime` (draft-behera-ldap-password-policy, 5.3.3): locked, and whether by an administrator for good.
///
/// Any other time is when a lock began. How long it lasts is in the policy, which we cannot read everywhere, and the
/// server takes the attribute away only at the next bind: so it counts until the attribute is gone.
fn locked(entry: &Entry) -> Result<(bool, bool), Fault> {
    match one(entry, "pwdAccountLockedTime")? {
        None => Ok((false, false)),
        Some(b"000001010000Z") => Ok((true, true)),
        Some(value)
            if value.len() >= 11
                && value.ends_with(b"Z")
                && value.iter().take(10).all(u8::is_ascii_digit) =>
        {
            Ok((true, false))
        }
        Some(value) => {
            Err(Fault::of("pwdAccountLockedTime", value, "expected a time such as 20250131120000Z"))
        }
    }
}

/// `shadowExpire`: days since 1970 from which on the account is expired, -1 for never (shadow(5)).
fn expires(entry: &Entry) -> Result<Option<u64>, Fault> {
    match one(entry, "shadowExpire")? {
        None | Some(b"-1") => Ok(None),
        Some(value) => match parse_id(value) {
            Some(days) => Ok(Some(u64::from(days) * DAY)),
            None => Err(Fault::of("shadowExpire", value, "expected a number of days since 1970, or -1")),
        },
    }
}
