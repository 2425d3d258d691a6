//! `svcauth commands propose`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;
use svcauth_core::audit::escape::{for_terminal, text_of};
use svcauth_core::audit::rfc3339;
use svcauth_core::config::WrittenRule;
use svcauth_host::paths;

use super::ProposeArgs;
use super::past::{Records, now};
use crate::cli::Done;
use crate::cli::output::{Failure, json, note};
use crate::config_file::Loaded;
use crate::proposal::{
    Corpus, Heading, Host, Past, Proposal, Record, Seen, Standing, command_toml, propose, with_rules, write,
};

/// Different command lines beyond which memory would have no bound.
const LINES_MAX: usize = 200_000;
/// Where svcauth-shell and a login look for a program.
const PATH: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

#[derive(Serialize)]
struct Found {
    account: String,
    days: Option<u64>,
    rules: Vec<Rule>,
    without_rule: Counted,
}

#[derive(Serialize)]
struct Rule {
    line: u32,
    toml: String,
    shell: Option<Counted>,
    commands: Vec<Command>,
    left_out: Vec<LeftOut>,
    unread: Counted,
}

#[derive(Serialize)]
struct Command {
    rule: String,
    example: String,
    #[serde(flatten)]
    seen: Counted,
    remarks: Vec<String>,
}

#[derive(Serialize)]
struct LeftOut {
    command: String,
    why: String,
    #[serde(flatten)]
    seen: Counted,
}

#[derive(Serialize)]
struct Counted {
    count: u64,
    people: Vec<String>,
    last: Option<String>,
}

impl From<&Seen> for Counted {
    fn from(seen: &Seen) -> Self {
        let people = seen.people.iter().cloned().collect();
        Self { count: seen.count, people, last: seen.last.map(rfc3339) }
    }
}

pub(super) fn run(args: &ProposeArgs) -> Done {
    let mut records = Records::open(args.days)?;
    let loaded = Loaded::read().map_err(Failure::new)?;
    let rules = about(&loaded.config.access, args)?;
    let (policy, _) = with_rules(&records.policy, &loaded.config);
    let hosts = records.hosts.clone();
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let past = Past { policy: &policy, hosts: &hosts };
    let mut learned = Learned::default();
    records.each(|looked, entry| {
        let Some(record) = Record::of(entry).filter(|record| record.ran || args.refused) else {
            return Ok(());
        };
        if entry.account.as_deref() != Some(&args.account) {
            return Ok(());
        }
        match looked.standing(&past, entry)? {
            Standing::LetIn(granting) => granting.iter().for_each(|rule| {
                learned.by_rule.entry(rule.line).or_default().add(&record, entry);
            }),
            Standing::NotLetIn(_) => learned.without_rule.add(&Seen::once(entry)),
        }
        learned.bounded()
    })?;
    let proposals = proposals(args, &rules, &learned)?;
    if args.json {
        json(&found(args, &proposals, &learned))?;
    } else {
        show(args, &proposals, &learned)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What the trail says, by the line of the rule that lets in whoever asked.
#[derive(Default)]
struct Learned {
    by_rule: BTreeMap<u32, Corpus>,
    without_rule: Seen,
}

impl Learned {
    fn bounded(&self) -> Result<(), Failure> {
        let count: usize = self.by_rule.values().map(Corpus::len).sum();
        if count <= LINES_MAX {
            return Ok(());
        }
        Err(Failure::new(format!(
            "the trail has more than {LINES_MAX} different commands; take fewer: --days 7"
        )))
    }
}

/// The rules of the configuration that are about the account, or the one that was asked for.
fn about<'a>(rules: &'a [WrittenRule], args: &ProposeArgs) -> Result<Vec<&'a WrittenRule>, Failure> {
    let names = |rule: &&WrittenRule| rule.accounts.iter().any(|pattern| pattern.matches(&args.account));
    let all: Vec<&WrittenRule> = rules.iter().filter(names).collect();
    let chosen: Vec<&WrittenRule> =
        all.iter().copied().filter(|rule| args.rule.is_none_or(|line| rule.line == line)).collect();
    if chosen.is_empty() {
        let lines: Vec<String> = all.iter().map(|rule| rule.line.to_string()).collect();
        let why = match lines.as_slice() {
            [] => format!("no rule of {} is about {}", paths::CONFIG, args.account),
            lines => format!("the rules about {} begin at the lines: {}", args.account, lines.join(", ")),
        };
        return Err(Failure::usage(why));
    }
    Ok(chosen)
}

fn proposals<'a>(
    args: &ProposeArgs,
    rules: &[&'a WrittenRule],
    learned: &Learned,
) -> Result<Vec<(&'a WrittenRule, Proposal)>, Failure> {
    let user = nix::unistd::User::from_name(&args.account).ok().flatten();
    let home = user.and_then(|user| user.dir.into_os_string().into_string().ok());
    let host = Host {
        program: &program,
        is_folder: &|path| Path::new(path).is_dir(),
        is_there: &|path| Path::new(path).exists(),
        home,
    };
    let corpus = |rule: &&'a WrittenRule| Some((*rule, propose(learned.by_rule.get(&rule.line)?, &host)));
    let found: Vec<_> = rules.iter().filter_map(corpus).collect();
    if found.is_empty() {
        let by = if learned.without_rule.count > 0 { " by somebody whom these rules let in" } else { "" };
        return Err(Failure::new(format!(
            "the audit trail has no command or shell of {}{by}; commands are recorded where a rule has limits: mode = \"learn\" lets everything run",
            args.account
        )));
    }
    Ok(found)
}

/// Where this host has a program.
fn program(name: &str) -> Option<String> {
    let paths = PATH.iter().map(|folder| format!("{folder}/{name}"));
    let is_program = |path: &String| {
        std::fs::metadata(path).is_ok_and(|at| at.is_file() && at.permissions().mode() & 0o111 != 0)
    };
    paths.into_iter().find(is_program)
}

fn show(
    args: &ProposeArgs,
    proposals: &[(&WrittenRule, Proposal)],
    learned: &Learned,
) -> Result<(), Failure> {
    let mut out = String::new();
    for (rule, proposal) in proposals {
        out.push_str(&comment(args, rule));
        out.push_str(&write(Heading { account: &args.account, rule }, proposal));
        out.push('\n');
    }
    std::io::stdout().write_all(out.as_bytes())?;
    if learned.without_rule.count > 0 {
        note(&format!(
            "{} commands and shells of people whom no rule lets in any more are not in it",
            learned.without_rule.count
        ));
    }
    let left: usize = proposals.iter().map(|(_, proposal)| proposal.left_out.len()).sum();
    if left > 0 {
        let lines = if left == 1 { "line is" } else { "lines are" };
        note(&format!("{left} command {lines} left out; the comments at the end of the rules say why"));
    }
    Ok(())
}

fn comment(args: &ProposeArgs, rule: &WrittenRule) -> String {
    let account = for_terminal(&args.account);
    let (line, day) = (rule.line, rfc3339(now()));
    let day = day.split('T').next().unwrap_or_default();
    let span =
        args.days.map_or_else(|| "that the audit trail has".to_owned(), |days| format!("of {days} days"));
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(out, "# {day}: allows what was done with {account}, of everything {span}.");
    let _ = writeln!(out, "# In place of the rule at line {line} of {}.", paths::CONFIG);
    if rule.accounts.iter().any(|pattern| pattern.as_str() != args.account) {
        let _ = writeln!(
            out,
            "# REVIEW: that rule is about other accounts, too. As long as it is also about {account}, what it allows goes on being allowed."
        );
    }
    out
}

fn found(args: &ProposeArgs, proposals: &[(&WrittenRule, Proposal)], learned: &Learned) -> Found {
    let rule = |(rule, proposal): &(&WrittenRule, Proposal)| Rule {
        line: rule.line,
        toml: write(Heading { account: &args.account, rule }, proposal),
        shell: proposal.shell.as_ref().map(Counted::from),
        commands: proposal
            .commands
            .iter()
            .map(|one| Command {
                rule: command_toml(&one.rule),
                example: text_of(&one.example),
                seen: Counted::from(&one.seen),
                remarks: one.remarks.clone(),
            })
            .collect(),
        left_out: proposal
            .left_out
            .iter()
            .map(|one| LeftOut {
                command: text_of(&one.line),
                why: one.why.clone(),
                seen: Counted::from(&one.seen),
            })
            .collect(),
        unread: Counted::from(&proposal.unread),
    };
    Found {
        account: args.account.clone(),
        days: args.days,
        rules: proposals.iter().map(rule).collect(),
        without_rule: Counted::from(&learned.without_rule),
    }
}

#[cfg(test)]
mod tests {
    use super::program;

    #[test]
    fn a_program_is_found_where_a_login_finds_it() {
        assert!(program("sh").is_some_and(|path| path.starts_with('/') && path.ends_with("/sh")));
        for nothing in ["", ".", "..", "no-such-program-here"] {
            assert_eq!(program(nothing), None, "{nothing}");
        }
    }
}
