//! A proposal as TOML that can be put into the configuration as it is.

use std::fmt::Write as _;

use svcauth_core::audit::escape::{bytes_for_terminal, for_terminal, is_deceptive};
use svcauth_core::audit::{capped, rfc3339};
use svcauth_core::command::{Access, CommandRule, Files, Forwarding, Limits};
use svcauth_core::config::{WrittenRoles, WrittenRule};
use svcauth_core::policy::Need;

use super::corpus::Seen;
use super::rule::{Proposal, Proposed};

/// People beyond which their number is said.
const PEOPLE_MAX: usize = 4;
/// Bytes of a command line in a comment.
const SHOWN_MAX: usize = 120;
/// Lines that are named one by one.
const LEFT_OUT_MAX: usize = 20;

/// Which rule the proposal is for.
#[derive(Clone, Copy, Debug)]
pub struct Heading<'a> {
    /// The account.
    pub account: &'a str,
    /// The rule that lets in those who asked.
    pub rule: &'a WrittenRule,
}

/// Writes the rule with the limits that are proposed.
#[must_use]
pub fn write(heading: Heading<'_>, proposal: &Proposal) -> String {
    let mut out = String::new();
    head(&mut out, heading);
    let (sftp, commands): (Vec<_>, Vec<_>) =
        proposal.commands.iter().partition(|one| every_file_by_sftp(&one.rule).is_some());
    line(&mut out, "mode = \"learn\" # refuses nothing yet; \"enforce\" when svcauth commands replay agrees");
    match &proposal.shell {
        None => line(&mut out, "shell = \"deny\""),
        Some(seen) => {
            line(&mut out, &format!("# shells were opened {}", said(seen)));
            line(
                &mut out,
                "# REVIEW: a shell runs anything, and the commands below limit nobody who has one: \"deny\" if it is not needed",
            );
            line(&mut out, "shell = \"allow\"");
        }
    }
    for one in sftp {
        comments(&mut out, "", one);
        let access = every_file_by_sftp(&one.rule).map_or("no", word);
        line(&mut out, &format!("sftp = \"{access}\""));
    }
    rest(&mut out, heading.rule.limits.as_ref());
    line(&mut out, "commands = [");
    for one in commands {
        comments(&mut out, "  ", one);
        line(&mut out, &format!("  {},", command_toml(&one.rule)));
    }
    left_out(&mut out, proposal);
    line(&mut out, "]");
    out
}

fn head(out: &mut String, heading: Heading<'_>) {
    let rule = heading.rule;
    line(out, "[[access]]");
    line(out, &format!("accounts = {}", list([heading.account])));
    match &rule.roles {
        WrittenRoles::Named(roles) => {
            line(out, &format!("roles = {}", list(roles.iter().map(String::as_str))));
        }
        WrittenRoles::MemberOf => line(out, "roles_from = \"memberOf\""),
    }
    if rule.need == Need::Every {
        line(out, "need = \"every\"");
    }
    line(out, &format!("services = {}", list(rule.services.iter().map(String::as_str))));
    if !rule.hosts.is_empty() {
        line(out, &format!("hosts = {}", list(rule.hosts.iter().map(|host| host.as_str()))));
    }
    if !rule.from.is_empty() {
        let from: Vec<String> = rule.from.iter().map(ToString::to_string).collect();
        line(out, &format!("from = {}", list(from.iter().map(String::as_str))));
    }
}

/// What no record says.
fn rest(out: &mut String, limits: Option<&Limits>) {
    let forwarding = match limits.map(|limits| limits.forwarding) {
        None | Some(Forwarding::No) => "no",
        Some(Forwarding::Local) => "local",
        Some(Forwarding::Remote) => "remote",
        Some(Forwarding::Any) => "any",
    };
    if limits.is_none() {
        line(
            out,
            "# what ssh forwards is in no record: \"local\", \"remote\" or \"any\" if ports are needed",
        );
    }
    line(out, &format!("forwarding = \"{forwarding}\""));
    if limits.is_some_and(|limits| limits.record) {
        line(out, "record = true");
    }
}

fn comments(out: &mut String, indent: &str, one: &Proposed) {
    let example = capped_line(&one.example);
    line(out, &format!("{indent}# {}; as: {example}", said(&one.seen)));
    for remark in &one.remarks {
        // It names words of the rule, which are words of a client.
        line(out, &format!("{indent}# REVIEW: {}", for_terminal(remark)));
    }
}

fn left_out(out: &mut String, proposal: &Proposal) {
    if proposal.unread.count > 0 {
        line(out, &format!("  # {}: lines that the records have not whole", said(&proposal.unread)));
    }
    if proposal.left_out.is_empty() {
        return;
    }
    line(
        out,
        "  # Refused by the rules above, because only a shell can read them or they could run anything:",
    );
    for one in proposal.left_out.iter().take(LEFT_OUT_MAX) {
        let why = for_terminal(&one.why);
        line(out, &format!("  # - {}: {} ({why})", said(&one.seen), capped_line(&one.line)));
    }
    if proposal.left_out.len() > LEFT_OUT_MAX {
        line(out, &format!("  # - and {} others", proposal.left_out.len() - LEFT_OUT_MAX));
    }
    line(out, "  # The next line would allow them, and with them every command; each is still recorded:");
    line(out, "  # { kind = \"any\" },");
}

/// A line of the file; what is foreign in it has been escaped.
fn line(out: &mut String, text: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{text}");
}

fn capped_line(bytes: &[u8]) -> String {
    capped(&bytes_for_terminal(bytes), SHOWN_MAX).into_owned()
}

/// How often, by whom, and when last.
fn said(seen: &Seen) -> String {
    let mut people: Vec<&str> = seen.people.iter().map(String::as_str).collect();
    let others = people.len().saturating_sub(PEOPLE_MAX);
    people.truncate(PEOPLE_MAX);
    let mut who = for_terminal(&people.join(", "));
    if others > 0 {
        let _ = write!(who, " and {others} others");
    }
    let times = if seen.count == 1 { "once".to_owned() } else { format!("{} times", seen.count) };
    let last = seen
        .last
        .map(rfc3339)
        .map_or_else(String::new, |last| format!(", last on {}", last.split('T').next().unwrap_or_default()));
    let by = if who.is_empty() { String::new() } else { format!(" by {who}") };
    format!("{times}{by}{last}")
}

fn every_file_by_sftp(rule: &CommandRule) -> Option<Access> {
    match rule {
        CommandRule::Sftp(files) if files.paths == ["/"] => Some(files.access),
        _ => None,
    }
}

const fn word(access: Access) -> &'static str {
    match access {
        Access::Read => "read",
        Access::Write => "write",
    }
}

/// One of `commands`, on one line.
#[must_use]
pub fn command_toml(rule: &CommandRule) -> String {
    let kind = |kind: &str, files: &Files| {
        let paths = list(files.paths.iter().map(String::as_str));
        format!("{{ kind = \"{kind}\", access = \"{}\", paths = {paths} }}", word(files.access))
    };
    match rule {
        CommandRule::Words(words) => {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            list(words.iter().map(String::as_str))
        }
        CommandRule::Any => "{ kind = \"any\" }".to_owned(),
        CommandRule::Rsync(files) => kind("rsync", files),
        CommandRule::Scp(files) => kind("scp", files),
        CommandRule::Sftp(files) => kind("sftp", files),
        CommandRule::Git(files) => kind("git", files),
    }
}

fn list<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    format!("[{}]", texts.into_iter().map(text).collect::<Vec<_>>().join(", "))
}

/// A string of TOML 1.0, on one line and without a character that an editor or a terminal would obey or hide.
fn text(value: &str) -> String {
    let is_plain = !value.chars().any(|c| c.is_control() || is_deceptive(c));
    if is_plain && value.contains(['\\', '"']) && !value.contains('\'') {
        return format!("'{value}'");
    }
    let mut out = String::from("\"");
    for c in value.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() || is_deceptive(c) => {
                let _ = write!(out, "\\U{:08X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::{Seen, said, text};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whatever_a_text_holds_the_reader_gets_it_back(value in any::<String>()) {
            let written = format!("a = {}", text(&value));
            let table: toml::Table = written.parse().unwrap();
            prop_assert_eq!(table["a"].as_str(), Some(value.as_str()));
            prop_assert!(!written.chars().any(svcauth_core::audit::escape::is_deceptive));
        }
    }

    #[test]
    fn a_count_says_who_and_when() {
        let people = ["ann", "bob", "cid", "dan", "eve\x1b[2J"].map(str::to_owned).into();
        let seen = Seen { count: 7, people, last: Some(1_769_847_300_500_000) };
        assert_eq!(said(&seen), "7 times by ann, bob, cid, dan and 1 others, last on 2026-01-31");
        let one = Seen { count: 1, people: ["x\x1b".to_owned()].into(), last: None };
        assert_eq!(said(&one), "once by x\\x1b");
    }
}
