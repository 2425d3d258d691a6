//! Disabled, locked, expired: what the directory says about using an entry now or later.
//!
//! What depends on time alone is kept as a time: no event tells when it comes. Passwords are not looked at: one that has
//! expired, or must be changed, keeps nobody from logging in with a key (as sshd and sssd have it).
//! A value that cannot be understood refuses the entry: it was meant to take something away.

use super::ad::{self, Lockout};
use super::values::one;
use super::{Fault, time};
use crate::directory::Entry;
use svcauth_core::config::Config;
use svcauth_core::id::parse_id;

const DAY: u64 = 86_400;
/// A `pwdAccountLockedTime` that says: for good, by an administrator.
const FOR_GOOD: &[u8] = b"000001010000Z";

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
    let for_good = one(entry, "pwdAccountLockedTime")? == Some(FOR_GOOD);
    let ends = [expires(entry)?, moment(entry, "pwdEndTime")?, moment(entry, "krbPrincipalExpiration")?];
    let locks = [locked(entry, config)?, moment(entry, "pwdStartTime")?, unlocks(entry)?];
    Ok(State {
        disabled: disabled(entry)? || for_good,
        expires: ends.into_iter().flatten().min(),
        locked_until: locks.into_iter().flatten().max(),
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

/// `pwdAccountLockedTime` (draft-behera-ldap-password-policy, 5.3.3): when a lockout began. How long it lasts is in a
/// policy that need not be readable, and the server takes the attribute away only at the next bind: so the configuration
/// says it, or it counts until the attribute is gone.
fn locked(entry: &Entry, config: &Config) -> Result<Option<u64>, Fault> {
    let name = "pwdAccountLockedTime";
    if one(entry, name)? == Some(FOR_GOOD) {
        return Ok(Some(u64::MAX));
    }
    let duration = config.directory.lockout_duration;
    let end = |began: u64| duration.map_or(u64::MAX, |duration| began.saturating_add(duration.as_secs()));
    Ok(moment(entry, name)?.map(end))
}

/// `accountUnlockTime` of 389 Directory Server: when a lockout ends; the beginning of 1970 stands for never.
fn unlocks(entry: &Entry) -> Result<Option<u64>, Fault> {
    Ok(moment(entry, "accountUnlockTime")?.map(|end| if end == 0 { u64::MAX } else { end }))
}

/// A point in time, in seconds since 1970.
fn moment(entry: &Entry, name: &str) -> Result<Option<u64>, Fault> {
    let value = one(entry, name)?;
    let moment = |value| {
        time::generalized(value)
            .ok_or_else(|| Fault::of(name, value, "expected a time such as 20250131120000Z"))
    };
    value.map(moment).transpose()
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
