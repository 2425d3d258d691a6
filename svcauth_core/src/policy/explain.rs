//! The same decision, told rule by rule, and the one change that would turn it.

use std::format;
use std::string::String;
use std::vec::Vec;

use super::{
    Account, Age, Circumstances, Decision, Held, Need, Origin, Outcome, Person, Policy, Reason, RoleRef,
    Roles, decide, decide_target, judge::judge,
};

/// What one access rule says to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleTrace {
    /// The rule by its place in [`Policy::rules`].
    pub rule: usize,
    /// The roles it asks for, for this account.
    pub roles: Vec<RoleRef>,
    /// How many of them.
    pub need: Need,
    /// What it says.
    pub outcome: Outcome,
}

/// Every rule that is about the account, and what it says.
#[must_use]
pub fn explain(
    policy: &Policy,
    account: &Account,
    person: &Person,
    at: &Circumstances<'_>,
) -> Vec<RuleTrace> {
    traces(policy, account, Some(person), at)
}

/// The same as far as the account alone decides: what [`super::decide_target`] rests on, and jobs of cron and at.
#[must_use]
pub fn explain_target(policy: &Policy, account: &Account, at: &Circumstances<'_>) -> Vec<RuleTrace> {
    traces(policy, account, None, at)
}

fn traces(
    policy: &Policy,
    account: &Account,
    person: Option<&Person>,
    at: &Circumstances<'_>,
) -> Vec<RuleTrace> {
    let about = policy.rules.iter().enumerate().filter_map(|(index, rule)| {
        let outcome = judge(rule, account, person, at);
        let roles = match &rule.roles {
            Roles::Named(roles) => roles.clone(),
            Roles::MemberOf => account.roles.clone(),
        };
        (outcome != Outcome::OtherAccount).then_some(RuleTrace {
            rule: index,
            roles,
            need: rule.need,
            outcome,
        })
    });
    about.collect()
}

/// The one change that would turn the decision, in words; `None` when it takes more than one.
#[must_use]
pub fn flip(policy: &Policy, account: &Account, person: &Person, at: &Circumstances<'_>) -> Option<String> {
    match decide(policy, account, Origin::Person(person), at).decision {
        Decision::Allow => flip_to_deny(policy, account, person, at),
        Decision::Deny(reason) => flip_to_allow(policy, account, person, at, reason),
    }
}

/// The one change that would let jobs of the account run, in words; `None` when they do, or when it takes more than one.
#[must_use]
pub fn flip_job(policy: &Policy, account: &Account, at: &Circumstances<'_>) -> Option<String> {
    let Decision::Deny(reason) = decide_target(policy, account, at).decision else { return None };
    let (mut account, mut at) = (account.clone(), *at);
    let change = match reason {
        Reason::Stale => {
            at.age = Age(Some(0));
            String::from("refresh the snapshot (svcauth sync)")
        }
        Reason::ServiceNotAllowed => {
            at.service = None;
            format!("add the service to an access rule of {}", account.name)
        }
        other => change_account(&mut account, other)?,
    };
    decide_target(policy, &account, &at).is_allow().then_some(change)
}

fn flip_to_deny(
    policy: &Policy,
    account: &Account,
    person: &Person,
    at: &Circumstances<'_>,
) -> Option<String> {
    person.held.iter().find_map(|held| {
        let mut without = person.clone();
        without.held.retain(|other| other.role != held.role);
        let allowed = decide(policy, account, Origin::Person(&without), at).is_allow();
        let role = policy.roles.get(held.role.0 as usize)?;
        (!allowed).then(|| format!("remove {} from {}", person.login, role.name))
    })
}

fn flip_to_allow(
    policy: &Policy,
    account: &Account,
    person: &Person,
    at: &Circumstances<'_>,
    reason: Reason,
) -> Option<String> {
    let mut account = account.clone();
    let mut person = person.clone();
    let mut at = *at;
    let login = person.login.clone();
    let change = match reason {
        Reason::NotInRole | Reason::MissingRole => return one_more_role(policy, &account, &person, &at),
        Reason::PersonDisabled => {
            person.disabled = false;
            format!("enable {login} in the directory")
        }
        Reason::PersonExpired => {
            person.expires = None;
            format!("extend the expiry of {login} in the directory")
        }
        Reason::PersonLocked => {
            person.locked_until = None;
            format!("unlock {login} in the directory")
        }
        Reason::Stale => {
            at.age = Age(Some(0));
            String::from("refresh the snapshot (svcauth sync)")
        }
        Reason::ServiceNotAllowed => {
            at.service = None;
            format!("add the service to an access rule of {}", account.name)
        }
        other => change_account(&mut account, other)?,
    };
    decide(policy, &account, Origin::Person(&person), &at).is_allow().then_some(change)
}

/// The change to the account's own entry that takes the reason away, in words.
fn change_account(account: &mut Account, reason: Reason) -> Option<String> {
    let name = account.name.clone();
    Some(match reason {
        Reason::AccountDisabled => {
            let what = if account.disabled { "enable" } else { "unlock" };
            (account.disabled, account.locked_until) = (false, None);
            format!("{what} {name} in the directory")
        }
        Reason::AccountExpired => {
            account.expires = None;
            format!("extend the expiry of {name} in the directory")
        }
        Reason::HostNotAllowed => {
            account.hosts.take()?;
            format!("name this host in the entry of {name}")
        }
        _ => return None,
    })
}

fn one_more_role(
    policy: &Policy,
    account: &Account,
    person: &Person,
    at: &Circumstances<'_>,
) -> Option<String> {
    policy.roles.iter().enumerate().find_map(|(index, role)| {
        let mut with = person.clone();
        with.held.push(Held { role: RoleRef(u32::try_from(index).ok()?), path: Vec::new() });
        let allowed = role.id.is_some() && decide(policy, account, Origin::Person(&with), at).is_allow();
        allowed.then(|| format!("add {} to {}", person.login, role.name))
    })
}
