//! The one decision: may this person, or whoever is behind the session, act as this account here and now?
//!
//! Allow-only. No match is a denial; an empty list of roles allows nobody. [`decide`] is what PAM, `svcauth explain`, the
//! keys command and the tests call; [`decide_target`] is its first half, for the phase in which nobody is known yet.

mod explain;
mod granting;
mod judge;
mod pattern;
mod reason;
mod service;
#[cfg(test)]
mod tests;

use core::net::IpAddr;
use std::string::String;
use std::vec::Vec;

pub use explain::{RuleTrace, explain, explain_target, flip, flip_job};
pub use granting::granting;
use judge::{judge, names_host};
pub use pattern::{Network, NetworkError, Pattern};
pub use reason::Reason;
pub use service::Family;

use crate::command::Limits;
use crate::id::IdRange;
use crate::origin::Fingerprint;

/// A role by its place in [`Policy::roles`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleRef(pub u32);

/// A directory group whose members may act as some account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Role {
    /// The group's name, or what the access rule calls it when there is no such group.
    pub name: String,
    /// The group's immutable id in the directory; `None`: no such group, so nobody holds the role.
    pub id: Option<String>,
    /// What access rules call it, each word once.
    pub words: Vec<String>,
    /// Without an id: the id of the group that the word has stood for, which is gone.
    pub remembered: Option<String>,
    /// Without an id: the id of another group that has the name now. It is nobody's role until it is approved.
    pub namesake: Option<String>,
}

/// Which roles an access rule asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Roles {
    /// The ones it names.
    Named(Vec<RoleRef>),
    /// The groups that the account itself is in (`roles_from = "memberOf"`).
    MemberOf,
}

/// How many of the roles a person must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Need {
    /// At least one.
    Any,
    /// All of them.
    Every,
}

/// These accounts may be used by members of these roles, through these services, on these hosts, from these addresses.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AccessRule {
    /// The line of the configuration file where the rule begins.
    pub line: u32,
    /// Which accounts the rule is about.
    pub accounts: Vec<Pattern>,
    /// Which roles it asks for.
    pub roles: Roles,
    /// How many of them.
    pub need: Need,
    /// PAM services; `su` covers `su-l`, `sudo` covers `sudo-i`.
    pub services: Vec<String>,
    /// Hosts, by any of a host's names; empty: every host.
    pub hosts: Vec<Pattern>,
    /// Source addresses; empty: from anywhere.
    pub from: Vec<Network>,
    /// What may be done with the accounts; `None`: everything.
    pub limits: Option<Limits>,
}

/// What happens when no log takes an audit record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuditMode {
    /// A managed account is denied.
    Required,
    /// The session goes on.
    BestEffort,
}

/// Everything a decision needs beside the account and the person.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Policy {
    /// The roles that access rules and accounts refer to.
    pub roles: Vec<Role>,
    /// The access rules, in the order of the configuration.
    pub rules: Vec<AccessRule>,
    /// Age from which on a snapshot no longer decides, in seconds.
    pub max_stale: u64,
    /// What happens when no log takes the audit record.
    pub audit: AuditMode,
    /// Certificate authorities whose certificates are evidence.
    pub trusted_ca: Vec<Fingerprint>,
    /// How a certificate's key id names a person; `None`: certificates are no evidence.
    pub key_id: Option<String>,
    /// The configured id range.
    pub id_range: IdRange,
    /// Accounts of /etc/passwd that are managed too.
    pub local_accounts: Vec<String>,
}

/// A managed account, as decisions see it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Account {
    /// The account's name.
    pub name: String,
    /// Its immutable id in the directory; empty for a local account that the directory does not know.
    pub id: String,
    /// Its uid; `None` for a local account.
    pub uid: Option<u32>,
    /// Disabled in the directory.
    pub disabled: bool,
    /// Seconds since 1970 from which on the account is expired.
    pub expires: Option<u64>,
    /// Seconds since 1970 until which the account is locked out; `u64::MAX`: until unlocked. A locked account is a
    /// disabled one: nobody unlocks a shared account by logging in.
    pub locked_until: Option<u64>,
    /// The hosts that its own entry names: `*` is every one, `!NAME` none by that name, whatever else is said; an empty
    /// list is nowhere. `None`: the entry is not asked.
    pub hosts: Option<Vec<String>>,
    /// The groups that the account itself is in, as far as they are roles.
    pub roles: Vec<RoleRef>,
}

/// A role that a person holds, and how.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Held {
    /// The role.
    pub role: RoleRef,
    /// The groups from the one the person is in up to the role itself.
    pub path: Vec<String>,
}

/// A person or service of the directory who holds at least one role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Person {
    /// The login name.
    pub login: String,
    /// The immutable id in the directory.
    pub id: String,
    /// Disabled in the directory.
    pub disabled: bool,
    /// Seconds since 1970 from which on the person is expired.
    pub expires: Option<u64>,
    /// Seconds since 1970 until which the person is locked out; `u64::MAX`: until unlocked.
    pub locked_until: Option<u64>,
    /// The roles held.
    pub held: Vec<Held>,
}

impl Person {
    /// Somebody who has proven a login name that the directory does not know: no role, so no access, but a name to record.
    #[must_use]
    pub fn without_roles(login: &str) -> Self {
        Self { login: String::from(login), ..Self::default() }
    }
    /// Whether the person holds a role.
    #[must_use]
    pub fn holds(&self, role: RoleRef) -> bool {
        self.held.iter().any(|held| held.role == role)
    }
}

/// Who is asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin<'a> {
    /// A person, proven.
    Person(&'a Person),
    /// The superuser of this host, through su or sudo. Cannot be kept out, so is let in and recorded (decision 0005).
    Root,
    /// The account itself: cron or at runs a job of it, or its user manager is started, and nobody is proven. A rule has to
    /// name that service; its roles are asked of nobody (decision 0017).
    Local,
    /// The account's user manager, while a session of the account is open. Whoever is in that was let in by a rule, so none
    /// is asked for the manager; whether the account may be used at all is.
    BesideSessions,
    /// Nobody is proven, and why.
    Unproven(Reason),
}

/// Where the request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A remote address.
    Address(IpAddr),
    /// This host (su, sudo): a rule with `from` does not cover it.
    Local,
    /// Not known in this phase: `from` is left to the phase that knows.
    NotYetKnown,
}

/// How fresh the snapshot is: seconds since the directory last confirmed it; `None` when the clocks cannot tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age(pub Option<u64>);

/// The circumstances of a request.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// The PAM service; `None`: not asked (sudo's account phase, where PAM_USER is not the target).
    pub service: Option<&'a str>,
    /// All names of this host.
    pub hosts: &'a [&'a str],
    /// Where the request comes from.
    pub source: Source,
    /// Seconds since 1970-01-01 UTC.
    pub now: u64,
    /// How fresh the snapshot is.
    pub age: Age,
}

/// May they, and if not, why.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// They may.
    Allow,
    /// They may not.
    Deny(Reason),
}

/// A decision and what it rests on.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The decision.
    pub decision: Decision,
    /// The access rule that allowed, or that came closest to it.
    pub rule: Option<usize>,
    /// When allowed, the roles that did it; when denied for roles, the missing ones.
    pub roles: Vec<RoleRef>,
}

impl Verdict {
    pub(crate) const fn deny(reason: Reason) -> Self {
        Self { decision: Decision::Deny(reason), rule: None, roles: Vec::new() }
    }
    /// Whether the decision is to allow.
    #[must_use]
    pub const fn is_allow(&self) -> bool {
        matches!(self.decision, Decision::Allow)
    }
}

/// What one access rule says to a request. Ordered: later is closer to a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The rule is about other accounts.
    OtherAccount,
    /// The rule does not cover the service.
    OtherService,
    /// The rule does not cover this host.
    OtherHost,
    /// The rule does not cover the source address.
    OtherSource,
    /// The rule has no roles: nobody.
    NoRoles,
    /// The person holds none of the roles, and one would do.
    NotInRole(Vec<RoleRef>),
    /// The person lacks these roles, and all are needed.
    MissingRole(Vec<RoleRef>),
    /// The rule allows the request through these roles.
    Granted(Vec<RoleRef>),
}

impl Outcome {
    const fn rank(&self) -> u8 {
        match self {
            Self::OtherAccount => 0,
            Self::OtherService => 1,
            Self::OtherHost => 2,
            Self::OtherSource => 3,
            Self::NoRoles => 4,
            Self::NotInRole(_) => 5,
            Self::MissingRole(_) => 6,
            Self::Granted(_) => 7,
        }
    }

    fn verdict(self, rule: usize) -> Verdict {
        let (reason, roles) = match self {
            Self::OtherAccount => return Verdict::deny(Reason::NoRule),
            Self::OtherService => (Reason::ServiceNotAllowed, Vec::new()),
            Self::OtherHost => (Reason::HostNotAllowed, Vec::new()),
            Self::OtherSource => (Reason::SourceNotAllowed, Vec::new()),
            Self::NoRoles => (Reason::NoRoles, Vec::new()),
            Self::NotInRole(roles) => (Reason::NotInRole, roles),
            Self::MissingRole(roles) => (Reason::MissingRole, roles),
            Self::Granted(roles) => {
                return Verdict { decision: Decision::Allow, rule: Some(rule), roles };
            }
        };
        Verdict { decision: Decision::Deny(reason), rule: Some(rule), roles }
    }
}

/// May whoever is behind the session act as the account?
pub fn decide(policy: &Policy, account: &Account, origin: Origin<'_>, at: &Circumstances<'_>) -> Verdict {
    if origin == Origin::Root {
        return Verdict { decision: Decision::Allow, rule: None, roles: Vec::new() };
    }
    let target = if origin == Origin::BesideSessions {
        decide_target(policy, account, &Circumstances { service: None, source: Source::NotYetKnown, ..*at })
    } else {
        decide_target(policy, account, at)
    };
    if !target.is_allow() {
        return target;
    }
    let person = match origin {
        Origin::Person(person) => person,
        Origin::BesideSessions => return target,
        Origin::Local if at.service.is_some_and(|service| Family::of(service).has_nobody_behind()) => {
            return target;
        }
        Origin::Local => return Verdict::deny(Reason::NoOrigin),
        Origin::Unproven(reason) => return Verdict::deny(reason),
        Origin::Root => return Verdict::deny(Reason::InternalError),
    };
    if let Some(reason) = state_of(person, at.now) {
        return Verdict::deny(reason);
    }
    closest(policy, |rule| judge(rule, account, Some(person), at))
}

/// What the account alone decides, nobody being known yet: is it usable, here, through this service, with this snapshot?
///
/// Whom it denies, [`decide`] denies for every person.
pub fn decide_target(policy: &Policy, account: &Account, at: &Circumstances<'_>) -> Verdict {
    if at.age.0.is_none_or(|age| age >= policy.max_stale) {
        return Verdict::deny(Reason::Stale);
    }
    if account.disabled || account.locked_until.is_some_and(|end| end > at.now) {
        return Verdict::deny(Reason::AccountDisabled);
    }
    if account.expires.is_some_and(|end| end <= at.now) {
        return Verdict::deny(Reason::AccountExpired);
    }
    if account.hosts.as_ref().is_some_and(|hosts| !names_host(hosts, at.hosts)) {
        return Verdict::deny(Reason::HostNotAllowed);
    }
    closest(policy, |rule| judge(rule, account, None, at))
}

fn state_of(person: &Person, now: u64) -> Option<Reason> {
    if person.disabled {
        Some(Reason::PersonDisabled)
    } else if person.expires.is_some_and(|end| end <= now) {
        Some(Reason::PersonExpired)
    } else if person.locked_until.is_some_and(|end| end > now) {
        Some(Reason::PersonLocked)
    } else {
        None
    }
}

/// The verdict of the rule that comes closest to a grant; the first of equals.
fn closest(policy: &Policy, judge: impl Fn(&AccessRule) -> Outcome) -> Verdict {
    let mut best: Option<(usize, Outcome)> = None;
    for (index, rule) in policy.rules.iter().enumerate() {
        let outcome = judge(rule);
        if best.as_ref().is_none_or(|(_, other)| outcome.rank() > other.rank()) {
            best = Some((index, outcome));
        }
    }
    best.map_or(Verdict::deny(Reason::NoRule), |(index, outcome)| outcome.verdict(index))
}
