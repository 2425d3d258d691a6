//! What Active Directory says in ways of its own: SIDs, account control bits, times since 1601, primary groups.
//!
//! A value that cannot be understood refuses the entry: it was meant to take something away.

use super::Fault;
use super::state::State;
use super::values::{one, required};
use crate::directory::Entry;
use svcauth_core::id::parse_id;

/// `userAccountControl`: the account is disabled ([MS-ADTS] 2.2.16, `ADS_UF_ACCOUNT_DISABLE`).
const DISABLED: u32 = 0x2;
/// `userAccountControl`: another domain's, a computer's or a controller's account.
const MACHINE: u32 = 0x800 | 0x1000 | 0x2000;
/// `groupType`: a security group ([MS-ADTS] 2.2.12, `GROUP_TYPE_SECURITY_ENABLED`).
const SECURITY: u32 = 0x8000_0000;
/// Ticks of 100 ns in a second.
const TICKS: u64 = 10_000_000;
/// Seconds from 1601 to 1970.
const EPOCH: u64 = 11_644_473_600;

/// An `accountExpires` that never comes.
const NEVER: u64 = i64::MAX.unsigned_abs();

/// How long a lockout lasts in this domain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Lockout {
    /// Until an administrator ends it; also where nobody can tell.
    #[default]
    UntilUnlocked,
    /// This many ticks of 100 ns.
    Ticks(u64),
}

impl Lockout {
    /// `lockoutDuration` of the domain: a negative number of ticks; 0 and the least number there is stand for ever.
    pub(super) fn of(domain: &Entry) -> Self {
        let text = one(domain, "lockoutDuration").ok().flatten();
        let ticks = text.and_then(|text| std::str::from_utf8(text).ok()?.parse::<i64>().ok());
        match ticks {
            Some(ticks @ ..=-1) if ticks != i64::MIN => Self::Ticks(ticks.unsigned_abs()),
            _ => Self::UntilUnlocked,
        }
    }
}

/// The entry's SID, which never changes and never returns with another entry.
pub(super) fn id(entry: &Entry) -> Result<String, Fault> {
    let value = required(entry, "objectSid")?;
    sid(value).ok_or_else(|| Fault::of("objectSid", value, "is no SID"))
}

/// The SID of the entry's primary group, which must be there and is of the entry's own domain.
pub(super) fn primary_group(entry: &Entry) -> Result<String, Fault> {
    required(entry, "primaryGroupID")?;
    primary(entry, &id(entry)?)?.ok_or_else(|| Fault::new("objectSid", "is of no domain"))
}

/// As [`primary_group`], where the entry names one.
pub(super) fn primary(entry: &Entry, id: &str) -> Result<Option<String>, Fault> {
    let Some(value) = one(entry, "primaryGroupID")? else {
        return Ok(None);
    };
    let rid = parse_id(value).ok_or_else(|| Fault::of("primaryGroupID", value, "is no number"))?;
    Ok(id.rsplit_once('-').map(|(domain, _)| format!("{domain}-{rid}")))
}

/// A SID as text ([MS-DTYP] 2.4.2): revision 1, a count, six bytes of authority, and so many numbers of four bytes.
pub(crate) fn sid(value: &[u8]) -> Option<String> {
    let (head, rest) = value.split_at_checked(8)?;
    let [1, count @ 1..=15, authority @ ..] = head else {
        return None;
    };
    let authority = authority.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    if rest.len() != 4 * usize::from(*count) {
        return None;
    }
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    let numbers = rest.chunks_exact(4).map(|bytes| format!("-{}", number(bytes)));
    Some(format!("S-1-{authority}{}", numbers.collect::<String>()))
}

/// The Kerberos name that every user of a domain has besides `userPrincipalName`: `sAMAccountName@REALM`, where the realm
/// is the DNS name of the domain that the DN (in normal form) ends in, in capitals ([MS-KILE] 3.3.5.6.1 looks for it
/// first).
pub(crate) fn principal(name: &str, dn: &str) -> Option<String> {
    let mut labels: Vec<&str> = dn.rsplit(',').map_while(|rdn| rdn.strip_prefix("dc=")).collect();
    labels.reverse();
    let plain = |label: &&str| label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let realm = labels.join(".").to_ascii_uppercase();
    (!realm.is_empty() && labels.iter().all(plain)).then(|| format!("{name}@{realm}"))
}

/// Refuses computers, and whatever else of the class user is nobody who logs in.
pub(super) fn is_nobodys_machine(entry: &Entry) -> Result<(), Fault> {
    let computer = entry.values("objectclass").iter().any(|class| class.eq_ignore_ascii_case(b"computer"));
    let name = one(entry, "sAMAccountName")?.unwrap_or_default();
    if computer || name.ends_with(b"$") || control(entry)? & MACHINE != 0 {
        return Err(Fault::of("sAMAccountName", name, "is a machine's account; it is nobody"));
    }
    Ok(())
}

/// Refuses mailing lists, which no configured filter can turn into a role.
pub(super) fn is_security_group(entry: &Entry) -> Result<(), Fault> {
    let value = required(entry, "groupType")?;
    let bits = number::<i32>(value).map(unsigned);
    match bits.ok_or_else(|| Fault::of("groupType", value, "is no number of 32 bits"))? & SECURITY {
        0 => Err(Fault::of(
            "groupType",
            value,
            "is that of a distribution group; only a security group is a role",
        )),
        _ => Ok(()),
    }
}

/// Disabled, expired, locked. Whoever may read one of these may read them all, and the first is always there; so an
/// absent one is not a hidden one.
pub(super) fn state(entry: &Entry, lockout: Lockout) -> Result<State, Fault> {
    Ok(State {
        disabled: control(entry)? & DISABLED != 0,
        expires: ticks(entry, "accountExpires")?.filter(|ticks| *ticks != NEVER).map(unix),
        locked_until: ticks(entry, "lockoutTime")?.map(|since| match lockout {
            Lockout::UntilUnlocked => u64::MAX,
            Lockout::Ticks(length) => unix(since.saturating_add(length)),
        }),
    })
}

fn control(entry: &Entry) -> Result<u32, Fault> {
    let value = required(entry, "userAccountControl")?;
    let bits = number::<i32>(value).map(unsigned);
    bits.ok_or_else(|| Fault::of("userAccountControl", value, "is no number of 32 bits"))
}

/// Ticks since 1601, if there are any: 0 stands for none.
fn ticks(entry: &Entry, name: &str) -> Result<Option<u64>, Fault> {
    let Some(value) = one(entry, name)? else {
        return Ok(None);
    };
    let ticks = number::<i64>(value).and_then(|ticks| u64::try_from(ticks).ok());
    let ticks = ticks.ok_or_else(|| Fault::of(name, value, "is no time since 1601"))?;
    Ok((ticks != 0).then_some(ticks))
}

/// Seconds since 1970; what is before that is 0.
fn unix(ticks: u64) -> u64 {
    ticks.div_ceil(TICKS).saturating_sub(EPOCH)
}

/// The bits of a number that the directory writes with a sign.
const fn unsigned(number: i32) -> u32 {
    u32::from_ne_bytes(number.to_ne_bytes())
}

fn number<T: std::str::FromStr>(value: &[u8]) -> Option<T> {
    std::str::from_utf8(value).ok()?.parse().ok()
}
