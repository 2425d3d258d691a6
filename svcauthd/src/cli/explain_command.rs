//! `svcauth explain PERSON ACCOUNT --command LINE`: what becomes of a command line, by the functions that decide about it.

use std::process::ExitCode;

use serde::Serialize;
use svcauth_core::audit::escape::text_of;
use svcauth_core::command::{Access, CommandRule, Limits, Plan, Refusal, Ruling, Wish, admit};
use svcauth_core::policy::{AccessRule, Decision, Family, Origin, Reason, granting};

use super::explain::shell_word;
use super::output::{Failure, duration, json, line};
use super::question::{self, Question};
use super::{Done, ExplainArgs};
use crate::proposal::command_toml;

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Explanation {
    decision: &'static str,
    reason: Option<&'static str>,
    account: String,
    origin: String,
    command: String,
    /// The line of the rule of the configuration that lets it run.
    rule: Option<u32>,
    /// The command rule in it; absent where the rule limits nothing.
    command_rule: Option<String>,
    runs: Option<Runs>,
    /// It runs only because a rule is learning.
    learning: bool,
    /// What is in the way, or what there is to know.
    detail: Option<String>,
    generation: u64,
    age_seconds: Option<u64>,
}

/// What is started.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Runs {
    /// `shell`: the account's own shell reads the line. `program`: no shell does.
    by: &'static str,
    program: Option<String>,
    arguments: Vec<String>,
    access: Option<&'static str>,
    paths: Vec<String>,
}

/// What the rules say about a line.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Denied(Reason, Option<String>),
    Runs { rule: Option<u32>, command: Option<String>, plan: Plan, learning: Option<Refusal> },
}

pub(super) fn run(args: &ExplainArgs, asked: &str) -> Done {
    question::put(args, |question| {
        let Question { policy, account, origin, at, .. } = question;
        let found = match question.decide().decision {
            Decision::Deny(reason) => Found::Denied(reason, None),
            Decision::Allow if *origin == Origin::Root => unlimited(None),
            Decision::Allow => judge(&granting(policy, account, *origin, at), asked.as_bytes()),
        };
        let shown = explanation(args, asked, found, question.generation, at.age.0);
        if args.json.json {
            json(&shown)?;
        } else {
            show(&shown)?;
        }
        Ok(ExitCode::from(u8::from(shown.decision == "deny")))
    })
}

const fn unlimited(rule: Option<u32>) -> Found {
    Found::Runs { rule, command: None, plan: Plan::Line, learning: None }
}

/// What the rules that let somebody in say about a line: one without limits is enough.
fn judge(rules: &[&AccessRule], asked: &[u8]) -> Found {
    if let Some(rule) = rules.iter().find(|rule| rule.limits.is_none()) {
        return unlimited(Some(rule.line));
    }
    let limits: Vec<&Limits> = rules.iter().filter_map(|rule| rule.limits.as_ref()).collect();
    match admit(&limits, Wish::Line(asked)) {
        Ruling::Refuse(refusal) => Found::Denied(refusal.reason, Some(refusal.detail)),
        Ruling::Learn(plan, refusal) => {
            let learns = |rule: &&&AccessRule| {
                rule.limits.as_ref().is_some_and(|one| one.mode == svcauth_core::command::Mode::Learn)
            };
            let rule = rules.iter().find(learns).map(|rule| rule.line);
            Found::Runs { rule, command: None, plan, learning: Some(refusal) }
        }
        Ruling::Run(plan) => {
            let by = rules.iter().find_map(|rule| Some((rule.line, admitting(rule, asked, &plan)?)));
            let (rule, command) =
                by.map_or((None, None), |(line, one)| (Some(line), Some(command_toml(one))));
            Found::Runs { rule, command, plan, learning: None }
        }
    }
}

/// The command rule that admits a line alone, as the same thing; else one that admits it at all.
fn admitting<'a>(rule: &'a AccessRule, asked: &[u8], plan: &Plan) -> Option<&'a CommandRule> {
    let commands = &rule.limits.as_ref()?.commands;
    let ruling = |one: &CommandRule| {
        let alone = Limits { commands: vec![one.clone()], ..Limits::default() };
        admit(&[&alone], Wish::Line(asked))
    };
    let same = commands.iter().find(|one| ruling(one) == Ruling::Run(plan.clone()));
    same.or_else(|| commands.iter().find(|one| matches!(ruling(one), Ruling::Run(_))))
}

fn explanation(
    args: &ExplainArgs,
    asked: &str,
    found: Found,
    generation: u64,
    age_seconds: Option<u64>,
) -> Explanation {
    let mut shown = Explanation {
        decision: "allow",
        reason: None,
        account: args.account.clone(),
        origin: args.person.clone(),
        command: asked.to_owned(),
        rule: None,
        command_rule: None,
        runs: None,
        learning: false,
        detail: None,
        generation,
        age_seconds,
    };
    match found {
        Found::Denied(reason, detail) => {
            (shown.decision, shown.reason) = ("deny", Some(reason.code()));
            shown.detail = Some(detail.unwrap_or_else(|| reason.sentence().to_owned()));
        }
        Found::Runs { rule, command, plan, learning } => {
            (shown.rule, shown.command_rule, shown.runs) = (rule, command, Some(Runs::of(plan)));
            shown.learning = learning.is_some();
            shown.reason = learning.as_ref().map(|refusal| refusal.reason.code());
            shown.detail = learning.map(|refusal| refusal.detail);
            shown.detail = shown.detail.or_else(|| shown.runs.as_ref().and_then(not_here));
            if shown.detail.is_none() && !is_limited(&args.service) {
                let who = &args.service;
                shown.detail =
                    Some(format!("what {who} starts without the account's shell is not limited by this"));
            }
        }
    }
    shown
}

/// What is allowed, and fails because this host has no such program or path.
fn not_here(runs: &Runs) -> Option<String> {
    let is_gone = |path: &&String| {
        std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
    };
    let gone = runs.program.iter().chain(&runs.paths).find(is_gone)?;
    Some(format!("{gone} is not on this host, and the command fails (exit status 127)"))
}

/// Whether a service starts what it starts with the shell of the account.
fn is_limited(service: &str) -> bool {
    matches!(Family::of(service), Family::Sshd | Family::Su)
}

impl Runs {
    fn of(plan: Plan) -> Self {
        let Plan::Program(program) = plan else {
            return Self {
                by: "shell",
                program: None,
                arguments: Vec::new(),
                access: None,
                paths: Vec::new(),
            };
        };
        let access = program.files.as_ref().map(|files| match files.access {
            Access::Read => "read",
            Access::Write => "write",
        });
        Self {
            by: "program",
            program: Some(program.path),
            arguments: program.arguments.iter().map(|word| text_of(word)).collect(),
            access,
            paths: program.files.map(|files| files.paths).unwrap_or_default(),
        }
    }
}

fn show(found: &Explanation) -> Result<(), Failure> {
    let Explanation { origin, account, .. } = found;
    let detail = found.detail.as_deref().unwrap_or_default();
    match (found.decision, found.reason) {
        ("deny", reason) => line(&format!(
            "deny: {origin} may not run this as {account}: {detail} ({})",
            reason.unwrap_or_default()
        ))?,
        (_, Some(reason)) => line(&format!(
            "allow: {origin} may run this as {account}, but only as long as a rule is learning; it would be refused: {detail} ({reason})"
        ))?,
        (_, None) => line(&format!("allow: {origin} may run this as {account}"))?,
    }
    if let Some(number) = found.rule {
        let command = found.command_rule.as_deref();
        let what = command.unwrap_or(if found.learning { "mode = \"learn\"" } else { "it limits nothing" });
        line(&format!("rule at line {number}: {what}"))?;
    }
    if let Some(runs) = &found.runs {
        line(&runs_sentence(runs))?;
    }
    if found.decision == "allow" && found.reason.is_none() && !detail.is_empty() {
        line(&format!("note: {detail}"))?;
    }
    let age = found.age_seconds.map_or_else(|| "unknown".to_owned(), duration);
    line(&format!("data: generation {}, confirmed {age} ago", found.generation))?;
    Ok(())
}

fn runs_sentence(runs: &Runs) -> String {
    let Some(program) = &runs.program else {
        return "runs: the whole line, by the account's own shell".to_owned();
    };
    let words: Vec<String> =
        std::iter::once(program).chain(&runs.arguments).map(|word| shell_word(word)).collect();
    let files = match runs.access {
        Some(access) => format!("; it may {access} below {} alone", runs.paths.join(", ")),
        None => String::new(),
    };
    format!("runs, without a shell: {}{files}", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::{AccessRule, Found, Plan, Reason, Runs, judge, runs_sentence};
    use svcauth_core::config::Config;
    use svcauth_core::policy::{Need, Roles};

    fn rules(text: &str) -> Vec<AccessRule> {
        let rule = |limits: &str| format!("[[access]]\naccounts = [\"d\"]\nroles = [\"r\"]\n{limits}\n");
        let all: String = text.split(';').map(rule).collect();
        let config = Config::parse(&format!("[directory]\nkind = \"ldif\"\n{all}")).unwrap();
        let one = |written: &svcauth_core::config::WrittenRule| AccessRule {
            line: written.line,
            accounts: written.accounts.clone(),
            roles: Roles::MemberOf,
            need: Need::Any,
            services: Vec::new(),
            hosts: Vec::new(),
            from: Vec::new(),
            limits: written.limits.clone(),
        };
        config.access.iter().map(one).collect()
    }

    fn found(text: &str, line: &str) -> Found {
        let rules = rules(text);
        judge(&rules.iter().collect::<Vec<_>>(), line.as_bytes())
    }

    #[test]
    fn the_rule_that_admits_a_line_is_named_and_what_would_run() {
        let two = r#"commands = [["/usr/bin/uptime"]];commands = [["/bin/ls", "-l"], ["/bin/ls", "<any>", "<rest>"]]"#;
        let Found::Runs { rule, command, plan, learning: None } = found(two, "ls '/a b' x") else { panic!() };
        assert_eq!((rule, command.as_deref()), (Some(7), Some(r#"["/bin/ls", "<any>", "<rest>"]"#)));
        assert_eq!(runs_sentence(&Runs::of(plan)), "runs, without a shell: /bin/ls '/a b' x");
        let Found::Runs { rule, .. } = found(two, "uptime") else { panic!() };
        assert_eq!(rule, Some(3));
        let files = r#"commands = [{ kind = "git", access = "read", paths = ["/srv/git"] }]"#;
        let Found::Runs { plan, .. } = found(files, "git-upload-pack '/srv/git/a.git'") else { panic!() };
        let said = runs_sentence(&Runs::of(plan));
        assert!(said.ends_with("; it may read below /srv/git alone"), "{said}");
    }

    #[test]
    fn what_is_allowed_and_not_on_this_host_is_said() {
        let gone = |program: &str, path: &str| {
            let runs = Runs {
                by: "program",
                program: Some(program.to_owned()),
                arguments: Vec::new(),
                access: Some("read"),
                paths: vec![path.to_owned()],
            };
            super::not_here(&runs).map(|said| said.split(' ').next().unwrap_or_default().to_owned())
        };
        assert_eq!(gone("/bin/sh", "/"), None);
        assert_eq!(gone("/bin/shh", "/").as_deref(), Some("/bin/shh"));
        assert_eq!(gone("/bin/sh", "/nowhere").as_deref(), Some("/nowhere"));
    }

    #[test]
    fn what_is_in_the_way_is_said_and_a_rule_without_limits_or_one_that_learns_lets_it_run() {
        let limited = r#"commands = [["/usr/bin/uptime"]]"#;
        let Found::Denied(Reason::CommandNotAllowed, Some(why)) = found(limited, "uptime; id") else {
            panic!()
        };
        assert!(why.starts_with("; at byte 7"), "{why}");
        let both = format!("{limited};");
        let runs = Found::Runs { rule: Some(7), command: None, plan: Plan::Line, learning: None };
        assert_eq!(found(&both, "uptime; id"), runs);
        let learn = format!("mode = \"learn\"\n{limited}");
        let Found::Runs { rule: Some(3), learning: Some(refusal), .. } = found(&learn, "id") else {
            panic!()
        };
        assert_eq!(refusal.reason, Reason::CommandNotAllowed);
    }
}
