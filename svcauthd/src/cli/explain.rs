//! `svcauth explain`: the decision that PAM would make, and what it rests on.

use std::process::ExitCode;

use serde::Serialize;
use svcauth_core::policy::{
    Account, Circumstances, Decision, Need, Origin, Outcome, Person, Policy, Reason, RoleRef, RuleTrace,
    Source, Verdict, decide, explain, flip,
};
use svcauth_host::clock::Clock;
use svcauth_host::confirmed;
use svcauth_host::host_names::host_names;

use super::output::{Failure, duration, json, line};
use super::snapshot::{self, damaged};
use super::{Done, ExplainArgs};

#[derive(Serialize)]
struct Explanation {
    decision: &'static str,
    reason: Option<&'static str>,
    account: String,
    origin: String,
    rules: Vec<Rule>,
    roles: Vec<Role>,
    generation: u64,
    age_seconds: Option<u64>,
    would_flip: Option<String>,
}

#[derive(Serialize)]
struct Rule {
    line: u32,
    accounts: Vec<String>,
    roles: Vec<String>,
    need: &'static str,
    services: Vec<String>,
    hosts: Vec<String>,
    from: Vec<String>,
    outcome: &'static str,
}

#[derive(Serialize)]
struct Role {
    name: String,
    id: Option<String>,
    held: bool,
    path: Vec<String>,
}

pub(super) fn run(args: &ExplainArgs) -> Done {
    let snapshot = snapshot::open()?;
    let policy = snapshot.policy().map_err(damaged)?;
    let Some(account) = snapshot.account(&args.account).map_err(damaged)? else {
        let message = format!(
            "{} is not a managed account: svcauth does not decide about it (see: svcauth accounts)",
            args.account
        );
        return Err(Failure::usage(message));
    };
    let person = snapshot.person(&args.person).map_err(damaged)?.map(|known| known.person);
    let now = Clock::now();
    let names = host_names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let at = Circumstances {
        service: Some(&args.service),
        hosts: &names,
        source: source(args),
        now: now.wall,
        age: confirmed::age(snapshot.header(), &now),
    };
    let origin = person.as_ref().map_or(Origin::Unproven(Reason::UnknownPrincipal), Origin::Person);
    let verdict = decide(&policy, &account, origin, &at);
    let found =
        explanation(args, &policy, &account, person.as_ref(), &at, &verdict, snapshot.header().generation);
    if args.json.json {
        json(&found)?;
    } else {
        show(&found, &verdict)?;
    }
    Ok(ExitCode::from(u8::from(!verdict.is_allow())))
}

/// su and sudo come from this host; for sshd the address is part of the question or left open.
fn source(args: &ExplainArgs) -> Source {
    match (args.from, args.service.as_str()) {
        (Some(address), _) => Source::Address(address),
        (None, "su" | "su-l" | "sudo" | "sudo-i") => Source::Local,
        (None, _) => Source::NotYetKnown,
    }
}

fn explanation(
    args: &ExplainArgs,
    policy: &Policy,
    account: &Account,
    person: Option<&Person>,
    at: &Circumstances<'_>,
    verdict: &Verdict,
    generation: u64,
) -> Explanation {
    let traces = person.map(|person| explain(policy, account, person, at)).unwrap_or_default();
    let reason = match verdict.decision {
        Decision::Allow => None,
        Decision::Deny(reason) => Some(reason.code()),
    };
    Explanation {
        decision: if verdict.is_allow() { "allow" } else { "deny" },
        reason,
        account: account.name.clone(),
        origin: args.person.clone(),
        roles: roles(policy, &traces, person),
        rules: traces.iter().filter_map(|trace| rule(policy, trace)).collect(),
        generation,
        age_seconds: at.age.0,
        would_flip: person.and_then(|person| flip(policy, account, person, at)),
    }
}

fn rule(policy: &Policy, trace: &RuleTrace) -> Option<Rule> {
    let rule = policy.rules.get(trace.rule)?;
    Some(Rule {
        line: rule.line,
        accounts: rule.accounts.iter().map(|pattern| pattern.as_str().to_owned()).collect(),
        roles: trace.roles.iter().map(|role| name_of(policy, *role)).collect(),
        need: match trace.need {
            Need::Any => "any",
            Need::Every => "every",
        },
        services: rule.services.clone(),
        hosts: rule.hosts.iter().map(|pattern| pattern.as_str().to_owned()).collect(),
        from: rule.from.iter().map(ToString::to_string).collect(),
        outcome: match trace.outcome {
            Outcome::Granted(_) => "allow",
            Outcome::OtherAccount => Reason::NoRule.code(),
            Outcome::OtherService => Reason::ServiceNotAllowed.code(),
            Outcome::OtherHost => Reason::HostNotAllowed.code(),
            Outcome::OtherSource => Reason::SourceNotAllowed.code(),
            Outcome::NoRoles => Reason::NoRoles.code(),
            Outcome::NotInRole(_) => Reason::NotInRole.code(),
            Outcome::MissingRole(_) => Reason::MissingRole.code(),
        },
    })
}

/// Every role that some rule asks for, once, and how the person holds it.
fn roles(policy: &Policy, traces: &[RuleTrace], person: Option<&Person>) -> Vec<Role> {
    let mut asked: Vec<RoleRef> = traces.iter().flat_map(|trace| trace.roles.iter().copied()).collect();
    asked.sort_unstable();
    asked.dedup();
    let one = |role: RoleRef| {
        let held = person.and_then(|person| person.held.iter().find(|held| held.role == role));
        Role {
            name: name_of(policy, role),
            id: policy.roles.get(role.0 as usize).and_then(|role| role.id.clone()),
            held: held.is_some(),
            path: held.map(|held| held.path.clone()).unwrap_or_default(),
        }
    };
    asked.into_iter().map(one).collect()
}

fn name_of(policy: &Policy, role: RoleRef) -> String {
    policy.roles.get(role.0 as usize).map_or_else(|| "?".to_owned(), |role| role.name.clone())
}

fn show(found: &Explanation, verdict: &Verdict) -> Result<(), Failure> {
    let Explanation { decision, account, origin, .. } = found;
    match verdict.decision {
        Decision::Allow => line(&format!("{decision}: {origin} may use {account}"))?,
        Decision::Deny(reason) => {
            line(&format!(
                "{decision}: {origin} may not use {account}: {} ({})",
                reason.sentence(),
                reason.code()
            ))?;
        }
    }
    for rule in &found.rules {
        line(&format!(
            "rule at line {}: {} of [{}] through [{}]: {}",
            rule.line,
            rule.need,
            rule.roles.join(", "),
            rule.services.join(", "),
            rule.outcome
        ))?;
    }
    for role in &found.roles {
        let how = match (role.held, role.id.is_some()) {
            (true, _) => format!("held by {} > {}", found.origin, role.path.join(" > ")),
            (false, true) => "missing".to_owned(),
            (false, false) => "missing: the directory has no such group".to_owned(),
        };
        line(&format!("role {}: {how}", role.name))?;
    }
    let age = found.age_seconds.map_or_else(|| "unknown".to_owned(), duration);
    line(&format!("data: generation {}, confirmed {age} ago", found.generation))?;
    if let Some(change) = &found.would_flip {
        line(&format!("to turn it: {change}"))?;
    }
    Ok(())
}
