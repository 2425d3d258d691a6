//! `svcauth explain`: the decision that PAM would make, and what it rests on.

use std::process::ExitCode;

use serde::Serialize;
use svcauth_core::policy::{
    Decision, Need, Outcome, Person, Policy, Reason, RoleRef, RuleTrace, Verdict, explain, explain_target,
    flip, flip_job,
};

use super::output::{Failure, duration, json, line};
use super::question::{self, Proof, Question};
use super::{Done, ExplainArgs};
use crate::limits::shown;

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
    /// What those may do whom the rule lets in; without it: everything.
    limits: Option<serde_json::Value>,
    outcome: &'static str,
    #[serde(skip)]
    allows: Vec<String>,
}

#[derive(Serialize)]
struct Role {
    name: String,
    id: Option<String>,
    held: bool,
    path: Vec<String>,
    /// Another group that has the name now and is not approved.
    new_id: Option<String>,
}

pub(super) fn run(args: &ExplainArgs) -> Done {
    question::put(args, |question| {
        let verdict = question.decide();
        let found = explanation(args, question, &verdict);
        if args.json.json {
            json(&found)?;
        } else {
            show(&found, &verdict, question.proof)?;
        }
        Ok(ExitCode::from(u8::from(!verdict.is_allow())))
    })
}

fn explanation(args: &ExplainArgs, question: &Question<'_>, verdict: &Verdict) -> Explanation {
    let Question { policy, account, person, at, proof, .. } = question;
    let (traces, would_flip) = match (proof, person) {
        (Proof::Job, _) => (explain_target(policy, account, at), flip_job(policy, account, at)),
        (Proof::Sshd | Proof::Caller, Some(person)) => {
            (explain(policy, account, person, at), flip(policy, account, person, at))
        }
        // Where nobody can be proven, no change to a person turns the answer.
        (Proof::Nothing, Some(person)) => (explain(policy, account, person, at), None),
        (_, None) => (Vec::new(), None),
    };
    // When a job begins, the roles of a rule are asked of nobody.
    let asked = if *proof == Proof::Job { &[][..] } else { traces.as_slice() };
    let reason = match verdict.decision {
        Decision::Allow => None,
        Decision::Deny(reason) => Some(reason.code()),
    };
    Explanation {
        decision: if verdict.is_allow() { "allow" } else { "deny" },
        reason,
        account: account.name.clone(),
        origin: args.person.clone(),
        roles: roles(policy, asked, *person),
        rules: traces.iter().filter_map(|trace| rule(policy, trace)).collect(),
        generation: question.generation,
        age_seconds: at.age.0,
        would_flip,
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
        limits: rule.limits.as_ref().map(shown::value),
        allows: rule.limits.as_ref().map(shown::lines).unwrap_or_default(),
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
            new_id: policy.roles.get(role.0 as usize).and_then(|role| role.namesake.clone()),
        }
    };
    asked.into_iter().map(one).collect()
}

fn name_of(policy: &Policy, role: RoleRef) -> String {
    policy.roles.get(role.0 as usize).map_or_else(|| "?".to_owned(), |role| role.name.clone())
}

/// The sentence of a reason, where that is not about a certificate or a ticket: `explain` is asked about a login name.
const fn sentence(reason: Reason, proof: Proof) -> &'static str {
    match (reason, proof) {
        (Reason::UnknownPrincipal, _) => "the directory has nobody of this login name who holds a role",
        (Reason::NoOrigin, Proof::Job) => {
            "whoever wrote a job is not known; ask about the account itself, which owns it"
        }
        (other, _) => other.sentence(),
    }
}

fn show(found: &Explanation, verdict: &Verdict, proof: Proof) -> Result<(), Failure> {
    let Explanation { decision, account, origin, .. } = found;
    match verdict.decision {
        Decision::Allow => line(&format!("{decision}: {origin} may use {account}"))?,
        Decision::Deny(reason) => {
            line(&format!(
                "{decision}: {origin} may not use {account}: {} ({})",
                sentence(reason, proof),
                reason.code()
            ))?;
        }
    }
    show_rules(found)?;
    for role in &found.roles {
        let how = match (role.held, &role.id, &role.new_id) {
            (true, ..) => format!("held by {} > {}", found.origin, role.path.join(" > ")),
            (false, Some(_), _) => "missing".to_owned(),
            (false, None, Some(id)) => format!(
                "missing: the group {} was re-created (new id {id}): approve it with: svcauth roles approve {}",
                role.name,
                shell_word(&role.name)
            ),
            (false, None, None) => "missing: the directory has no such group".to_owned(),
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

fn show_rules(found: &Explanation) -> Result<(), Failure> {
    for rule in &found.rules {
        line(&format!(
            "rule at line {}: {} of [{}] through [{}]: {}",
            rule.line,
            rule.need,
            rule.roles.join(", "),
            rule.services.join(", "),
            rule.outcome
        ))?;
        if rule.outcome == "allow" {
            rule.allows.iter().try_for_each(|what| line(&format!("  {what}")))?;
        }
    }
    if let Some(free) = without_limits(found) {
        line(&format!("limits: none, as the rule at line {} has none", free.line))?;
    }
    Ok(())
}

/// The rule that takes the limits of the others away.
fn without_limits(found: &Explanation) -> Option<&Rule> {
    let granting = || found.rules.iter().filter(|rule| rule.outcome == "allow");
    granting().any(|rule| rule.limits.is_some()).then(|| granting().find(|rule| rule.limits.is_none()))?
}

/// A word as a shell takes it.
pub(super) fn shell_word(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-=,@:/+".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_role_is_shown_as_a_shell_takes_it() {
        for (word, shown) in [
            ("application", "application"),
            ("cn=app,ou=x", "cn=app,ou=x"),
            ("Domain Users", "'Domain Users'"),
            ("a;b$(c)", "'a;b$(c)'"),
            ("it's", "'it'\\''s'"),
            ("", "''"),
        ] {
            assert_eq!(super::shell_word(word), shown);
        }
    }
}
