//! What one access rule, and one entry's list of hosts, say to a request.

use std::string::String;
use std::vec::Vec;

use super::{AccessRule, Account, Circumstances, Need, Network, Outcome, Person, RoleRef, Roles, Source};

/// Whether an entry's own list names this host: what is taken away counts before what is given.
pub(super) fn names_host(list: &[String], names: &[&str]) -> bool {
    let is_here = |value: &str| value == "*" || names.iter().any(|name| name.eq_ignore_ascii_case(value));
    let denied = list.iter().filter_map(|value| value.strip_prefix('!')).any(is_here);
    !denied && !names.is_empty() && list.iter().any(|value| is_here(value))
}

/// What one rule says; without a person only as far as the account alone decides.
pub(super) fn judge(
    rule: &AccessRule,
    account: &Account,
    person: Option<&Person>,
    at: &Circumstances<'_>,
) -> Outcome {
    if !rule.accounts.iter().any(|pattern| pattern.matches(&account.name)) {
        return Outcome::OtherAccount;
    }
    if !at.service.is_none_or(|service| rule.services.iter().any(|allowed| covers(allowed, service))) {
        return Outcome::OtherService;
    }
    let named = |host: &&str| rule.hosts.iter().any(|pattern| pattern.matches_host(host));
    if !rule.hosts.is_empty() && !at.hosts.iter().any(named) {
        return Outcome::OtherHost;
    }
    if !rule.from.is_empty() && !covers_source(&rule.from, at.source) {
        return Outcome::OtherSource;
    }
    let roles = match &rule.roles {
        Roles::Named(roles) => roles.as_slice(),
        Roles::MemberOf => account.roles.as_slice(),
    };
    if roles.is_empty() {
        return Outcome::NoRoles;
    }
    person.map_or_else(|| Outcome::Granted(Vec::new()), |person| judge_roles(rule.need, roles, person))
}

fn judge_roles(need: Need, roles: &[RoleRef], person: &Person) -> Outcome {
    let (held, missing): (Vec<RoleRef>, Vec<RoleRef>) =
        roles.iter().copied().partition(|role| person.holds(*role));
    match need {
        Need::Any if held.is_empty() => Outcome::NotInRole(missing),
        Need::Every if !missing.is_empty() => Outcome::MissingRole(missing),
        Need::Any | Need::Every => Outcome::Granted(held),
    }
}

/// `su -` and `sudo -i` have PAM services of their own, but to an administrator they are su and sudo.
fn covers(allowed: &str, service: &str) -> bool {
    allowed == service || matches!((allowed, service), ("su", "su-l") | ("sudo", "sudo-i"))
}

fn covers_source(from: &[Network], source: Source) -> bool {
    match source {
        Source::Address(address) => from.iter().any(|network| network.contains(address)),
        Source::Local => false,
        Source::NotYetKnown => true,
    }
}
