//! `svcauth commands replay`.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;
use svcauth_core::audit::escape::text_of;
use svcauth_core::audit::{VALUE_MAX, capped, rfc3339};
use svcauth_core::command::{CommandRule, Limits, Ruling, Wish, admit};
use svcauth_core::config::{Config, ConfigError};
use svcauth_core::policy::AccessRule;
use svcauth_host::paths;

use super::ReplayArgs;
use super::past::{Records, read};
use crate::cli::Done;
use crate::cli::output::{Failure, json, note, table};
use crate::proposal::{Asked, Past, Record, Seen, Standing, Unread, with_rules};
use crate::trail::Entry;

/// Verdicts that are kept in memory.
const VERDICTS_MAX: usize = 100_000;
/// Rows beyond which only their number is said.
const ROWS_MAX: usize = 10_000;
/// The word for a line that the record has not whole.
const NOT_JUDGED: &str = "not_judged";

#[derive(Serialize)]
struct Outcome {
    looked_at: u64,
    refused: u64,
    not_judged: u64,
    rows: Vec<Row>,
    more_rows: u64,
    unknown_roles: Vec<String>,
}

#[derive(Serialize)]
struct Row {
    account: String,
    origin: String,
    /// Absent: a shell.
    command: Option<String>,
    /// A code of svcauth-audit(5), or `not_judged`.
    reason: &'static str,
    detail: String,
    count: u64,
    last: Option<String>,
}

/// What sets a row apart, in the order of rows of the same count.
type Key = (String, String, Option<String>, &'static str);

/// Why something would be refused: the code and the sentence. `None`: it would not.
type Verdict = Option<(&'static str, String)>;

pub(super) fn run(args: &ReplayArgs) -> Done {
    let text = read(&args.file)?;
    let config = Config::parse(&text).map_err(|error| fault(error, &text, &args.file))?;
    let mut records = Records::open(args.days)?;
    let (policy, unknown_roles) = with_rules(&records.policy, &config);
    let hosts = records.hosts.clone();
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let past = Past { policy: &policy, hosts: &hosts };
    let mut replay = Replay::default();
    records.each(|looked, entry| {
        let Some(record) = Record::of(entry).filter(|record| record.ran) else { return Ok(()) };
        if args.account.is_some() && args.account != entry.account {
            return Ok(());
        }
        replay.looked_at += 1;
        let standing = looked.standing(&past, entry)?;
        let verdict = replay.verdict(&standing, &record.asked);
        if let Some((reason, detail)) = verdict {
            replay.refused(entry, &record.asked, reason, detail);
        }
        Ok(())
    })?;
    let outcome = replay.outcome(unknown_roles);
    tell(&outcome);
    if args.json {
        json(&outcome)?;
    } else {
        show(&outcome)?;
    }
    Ok(ExitCode::from(u8::from(outcome.refused + outcome.not_judged > 0)))
}

/// A fault of the file; rules alone, as they are proposed, are no configuration.
fn fault(error: ConfigError, text: &str, path: &Path) -> Failure {
    let is_rules_alone = text.contains("[[access]]") && !text.contains("[directory]");
    let error = error.with_path(path);
    if !is_rules_alone {
        return Failure::usage(error);
    }
    let whole = paths::CONFIG;
    Failure::usage(format!(
        "{error}; a whole configuration is read: put the rules into a copy of {whole}, in place of the old ones"
    ))
}

#[derive(Default)]
struct Replay {
    looked_at: u64,
    rows: BTreeMap<Key, (Seen, String)>,
    refused: u64,
    not_judged: u64,
    more_rows: u64,
    /// By the lines of the rules that let somebody in.
    verdicts: HashMap<(Vec<u32>, Asked), Verdict>,
}

impl Replay {
    fn verdict(&mut self, standing: &Standing<'_>, asked: &Result<Asked, Unread>) -> Verdict {
        let rules = match standing {
            Standing::NotLetIn(reason) => return Some((reason.code(), reason.sentence().to_owned())),
            Standing::LetIn(rules) => rules,
        };
        // Whom a rule without limits lets in may do everything.
        let limits = limits(rules)?;
        let asked = match asked {
            Ok(asked) => asked,
            Err(_) if limits.iter().any(|one| one.commands.contains(&CommandRule::Any)) => return None,
            Err(_) => return Some((NOT_JUDGED, "the record has not the whole line".to_owned())),
        };
        let key = (rules.iter().map(|rule| rule.line).collect(), asked.clone());
        if self.verdicts.len() >= VERDICTS_MAX {
            self.verdicts.clear();
        }
        self.verdicts.entry(key).or_insert_with(|| judged(&limits, asked)).clone()
    }

    fn refused(
        &mut self,
        entry: &Entry,
        asked: &Result<Asked, Unread>,
        reason: &'static str,
        detail: String,
    ) {
        *(if reason == NOT_JUDGED { &mut self.not_judged } else { &mut self.refused }) += 1;
        let command = match asked {
            Ok(Asked::Shell) => None,
            Ok(Asked::Line(line)) => Some(text_of(line)),
            Err(cut) => Some(cut.text.clone()),
        };
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let key = (text(&entry.account), text(&entry.origin), command, reason);
        if self.rows.len() >= ROWS_MAX && !self.rows.contains_key(&key) {
            self.more_rows += 1;
            return;
        }
        self.rows.entry(key).or_insert_with(|| (Seen::default(), detail)).0.add(&Seen::once(entry));
    }

    fn outcome(self, unknown_roles: Vec<String>) -> Outcome {
        let row = |((account, origin, command, reason), (seen, detail)): (Key, (Seen, String))| Row {
            account,
            origin,
            command,
            reason,
            detail,
            count: seen.count,
            last: seen.last.map(rfc3339),
        };
        let Self { looked_at, rows, refused, not_judged, more_rows, .. } = self;
        let mut rows: Vec<Row> = rows.into_iter().map(row).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.count));
        Outcome { looked_at, refused, not_judged, rows, more_rows, unknown_roles }
    }
}

/// The limits of the rules that let somebody in; `None`: one of them has none.
fn limits<'a>(rules: &[&'a AccessRule]) -> Option<Vec<&'a Limits>> {
    rules.iter().map(|rule| rule.limits.as_ref()).collect()
}

/// As if every rule enforced: what one that learns lets run is what it will refuse.
fn judged(limits: &[&Limits], asked: &Asked) -> Verdict {
    let wish = match asked {
        Asked::Shell => Wish::Shell,
        Asked::Line(line) => Wish::Line(line),
    };
    match admit(limits, wish) {
        Ruling::Run(_) => None,
        Ruling::Learn(_, refusal) | Ruling::Refuse(refusal) => Some((refusal.reason.code(), refusal.detail)),
    }
}

/// What one has to know to believe the list.
fn tell(outcome: &Outcome) {
    for role in &outcome.unknown_roles {
        note(&format!(
            "nobody is known to hold the role {role}, because it is in no published rule: its people are taken for strangers"
        ));
    }
    note(&format!(
        "{} commands and shells were looked at: {} would be refused, {} cannot be judged",
        outcome.looked_at, outcome.refused, outcome.not_judged
    ));
    if outcome.more_rows > 0 {
        note(&format!("only {ROWS_MAX} rows are listed; {} more records are not in them", outcome.more_rows));
    }
}

fn show(outcome: &Outcome) -> Result<(), Failure> {
    let cell = |text: &str| capped(text, VALUE_MAX).into_owned();
    let row = |row: &Row| {
        let last = row.last.as_deref().and_then(|last| last.split('.').next()).unwrap_or("-");
        vec![
            row.count.to_string(),
            last.to_owned(),
            cell(&row.account),
            cell(&row.origin),
            row.reason.to_owned(),
            row.command.as_deref().map_or_else(|| "(a shell)".to_owned(), cell),
            cell(&row.detail),
        ]
    };
    let rows: Vec<Vec<String>> = outcome.rows.iter().map(row).collect();
    if !rows.is_empty() {
        table(&["TIMES", "LAST (UTC)", "ACCOUNT", "ORIGIN", "WHY", "COMMAND", "DETAIL"], &rows)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Asked, NOT_JUDGED, Replay, Standing, Unread};
    use svcauth_core::command::Limits;
    use svcauth_core::config::Config;
    use svcauth_core::policy::{AccessRule, Need, Reason, Roles};

    fn rules(text: &str) -> Vec<AccessRule> {
        let text = format!("[directory]\nkind = \"ldif\"\n{text}");
        let rule = |written: &svcauth_core::config::WrittenRule| AccessRule {
            line: written.line,
            accounts: written.accounts.clone(),
            roles: Roles::MemberOf,
            need: Need::Any,
            services: Vec::new(),
            hosts: Vec::new(),
            from: Vec::new(),
            limits: written.limits.clone(),
        };
        Config::parse(&text).unwrap().access.iter().map(rule).collect()
    }

    const HEAD: &str = "[[access]]\naccounts = [\"d\"]\nroles = [\"r\"]\n";

    fn reason(text: &str, asked: &Result<Asked, Unread>) -> Option<&'static str> {
        let rules = rules(text);
        let standing = Standing::LetIn(rules.iter().collect());
        let mut replay = Replay::default();
        let first = replay.verdict(&standing, asked);
        assert_eq!(first, replay.verdict(&standing, asked), "the second time from memory");
        first.map(|(reason, _)| reason)
    }

    #[test]
    fn rules_alone_are_told_to_be_no_configuration_and_a_fault_of_one_is_told_as_it_is() {
        let said = |text: &str| {
            let error = Config::parse(text).unwrap_err();
            format!("{:?}", super::fault(error, text, std::path::Path::new("/root/rule.toml")))
        };
        let alone = said(HEAD);
        assert!(
            alone.contains("/root/rule.toml: line 1")
                && alone.contains("into a copy of /etc/svcauth/svcauth.toml"),
            "{alone}"
        );
        let whole = said(&format!("[directory]\nkind = \"ldif\"\n{HEAD}shel = 1\n"));
        assert!(whole.contains("did you mean") && !whole.contains("into a copy"), "{whole}");
    }

    #[test]
    fn a_rule_that_learns_is_judged_as_if_it_enforced() {
        let line = |text: &str| Ok(Asked::Line(text.as_bytes().to_vec()));
        for mode in ["learn", "enforce"] {
            let text = format!("{HEAD}mode = \"{mode}\"\ncommands = [[\"/usr/bin/uptime\"]]\n");
            assert_eq!(reason(&text, &line("uptime")), None);
            assert_eq!(reason(&text, &line("uptime; id")), Some("command_not_allowed"));
            assert_eq!(reason(&text, &Ok(Asked::Shell)), Some("shell_not_allowed"));
        }
    }

    #[test]
    fn whom_a_rule_without_limits_lets_in_is_refused_nothing() {
        let limited = format!("{HEAD}shell = \"deny\"\n");
        assert_eq!(reason(&limited, &Ok(Asked::Shell)), Some("shell_not_allowed"));
        assert_eq!(reason(&format!("{limited}{HEAD}"), &Ok(Asked::Shell)), None);
        let verdict = Replay::default().verdict(&Standing::NotLetIn(Reason::NotInRole), &Ok(Asked::Shell));
        assert_eq!(verdict.unwrap().0, "not_in_role");
    }

    #[test]
    fn half_a_line_is_judged_only_where_every_line_is_allowed() {
        let cut = Err(Unread { text: "tar ...(+9 bytes)".to_owned() });
        let words = format!("{HEAD}commands = [[\"/usr/bin/tar\", \"<rest>\"]]\n");
        assert_eq!(reason(&words, &cut), Some(NOT_JUDGED));
        assert_eq!(reason(&format!("{HEAD}commands = [{{ kind = \"any\" }}]\n"), &cut), None);
        assert_eq!(reason(HEAD, &cut), None);
        assert_eq!(super::limits(&[]), Some(Vec::<&Limits>::new()));
    }
}
