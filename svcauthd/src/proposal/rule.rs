//! The proposal: which command rules admit everything that was asked for, and what none can.

use std::collections::{BTreeMap, BTreeSet};

use svcauth_core::command::{CommandRule, Limits, Mode, Ruling, Wish, WordPattern, admit, lint, split};

use super::cluster::{self, Words};
use super::corpus::{Asked, Corpus, Seen};
use super::files::{self, Kind, Transfer};

/// What has to be known about the host.
pub struct Host<'a> {
    /// The absolute path of a program by its bare name; `None`: this host has no such program.
    pub program: &'a dyn Fn(&str) -> Option<String>,
    /// Whether this path is a folder.
    pub is_folder: &'a dyn Fn(&str) -> bool,
    /// Whether there is anything at this path.
    pub is_there: &'a dyn Fn(&str) -> bool,
    /// The home directory of the account.
    pub home: Option<String>,
}

/// A command rule and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposed {
    /// The rule.
    pub rule: CommandRule,
    /// How often what it admits was asked for.
    pub seen: Seen,
    /// The line of these that was asked for most.
    pub example: Vec<u8>,
    /// What to look at, one sentence each.
    pub remarks: Vec<String>,
}

/// A line that no rule but `{ kind = "any" }` should admit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The line.
    pub line: Vec<u8>,
    /// Why.
    pub why: String,
    /// How often it was asked for.
    pub seen: Seen,
}

/// What an access rule would have to allow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proposal {
    /// Interactive shells, if any was opened.
    pub shell: Option<Seen>,
    /// The commands.
    pub commands: Vec<Proposed>,
    /// What they do not admit.
    pub left_out: Vec<LeftOut>,
    /// How many lines the records have not whole.
    pub unread: Seen,
}

impl Proposal {
    /// The limits that are proposed, enforced.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            mode: Mode::Enforce,
            shell: self.shell.is_some(),
            commands: self.commands.iter().map(|one| one.rule.clone()).collect(),
            ..Limits::default()
        }
    }
}

/// Makes rules of what was asked for. Every line is admitted by them, or left out with the reason.
#[must_use]
pub fn propose(corpus: &Corpus, host: &Host<'_>) -> Proposal {
    let mut sorting = Sorting::default();
    for (asked, seen) in &corpus.asked {
        match asked {
            Asked::Shell => sorting.proposal.shell.get_or_insert_default().add(seen),
            Asked::Line(line) => sorting.line(line, seen, host),
        }
    }
    corpus.unread.values().for_each(|seen| sorting.proposal.unread.add(seen));
    let mut proposal = sorting.finish(host);
    leave_out_what_is_not_admitted(&mut proposal, corpus);
    proposal.commands.sort_by_key(|one| std::cmp::Reverse(one.seen.count));
    proposal.left_out.sort_by_key(|one| std::cmp::Reverse(one.seen.count));
    proposal
}

/// Nothing is promised that the rules do not keep.
fn leave_out_what_is_not_admitted(proposal: &mut Proposal, corpus: &Corpus) {
    let limits = proposal.limits();
    let named: BTreeSet<Vec<u8>> = proposal.left_out.iter().map(|one| one.line.clone()).collect();
    for (asked, seen) in &corpus.asked {
        let Asked::Line(line) = asked else { continue };
        let why = match admit(&[&limits], Wish::Line(line)) {
            _ if named.contains(line) => continue,
            Ruling::Run(_) => continue,
            Ruling::Learn(_, refusal) | Ruling::Refuse(refusal) => refusal.detail,
        };
        proposal.left_out.push(LeftOut { line: line.clone(), why, seen: seen.clone() });
    }
}

#[derive(Default)]
struct Sorting<'a> {
    proposal: Proposal,
    transfers: BTreeMap<Kind, Vec<Transfer<'a>>>,
    programs: BTreeMap<String, Vec<Words<'a>>>,
    /// Programs that this host does not have.
    missing: Vec<String>,
}

impl<'a> Sorting<'a> {
    fn line(&mut self, line: &'a [u8], seen: &'a Seen, host: &Host<'_>) {
        if let Some(transfer) = files::transfer(line, seen) {
            self.transfers.entry(transfer.kind).or_default().push(transfer);
            return;
        }
        match self.words(line, host) {
            Ok((path, arguments)) => {
                self.programs.entry(path).or_default().push(Words { line, arguments, seen });
            }
            Err(why) => self.left_out(line, why, seen),
        }
    }

    fn left_out(&mut self, line: &[u8], why: String, seen: &Seen) {
        self.proposal.left_out.push(LeftOut { line: line.to_vec(), why, seen: seen.clone() });
    }

    /// The program and the words behind it, or why a rule of words cannot admit the line.
    fn words(&mut self, line: &[u8], host: &Host<'_>) -> Result<(String, Vec<Vec<u8>>), String> {
        let words = split(line).map_err(|why| why.to_string())?;
        let Some((program, arguments)) = words.split_first() else {
            return Err("the line is empty".to_owned());
        };
        if let Some(word) = words.iter().find(|word| word.home) {
            return Err(format!("the ~ at byte {} is for a shell", word.at + 1));
        }
        let name = std::str::from_utf8(&program.bytes).map_err(|_| "the program's name is no UTF-8")?;
        let arguments: Vec<Vec<u8>> = arguments.iter().map(|word| word.bytes.clone()).collect();
        if runs_a_line(name, &arguments) {
            return Err("it has a shell or an interpreter run a text".to_owned());
        }
        let path = if name.contains('/') { Some(name.to_owned()) } else { (host.program)(name) };
        let path = path.unwrap_or_else(|| {
            let guess = format!("/usr/bin/{name}");
            self.missing.push(guess.clone());
            guess
        });
        if !is_plain(&path) {
            return Err("the program has no plain absolute path".to_owned());
        }
        Ok((path, arguments))
    }

    fn finish(mut self, host: &Host<'_>) -> Proposal {
        for (kind, transfers) in &self.transfers {
            self.proposal.commands.extend(files::rules(*kind, transfers, host));
        }
        for (path, lines) in std::mem::take(&mut self.programs) {
            let is_runner = runs_others(&path);
            let (rules, left) = cluster::rules(&path, lines, is_runner);
            for mut rule in rules {
                if self.missing.contains(&path) {
                    rule.remarks.push(format!("this host has no {path}: write the path that it has"));
                }
                rule.remarks.extend(dangers(&rule.rule));
                keep(&mut self.proposal.commands, rule);
            }
            for line in left {
                let why =
                    format!("{path} can run other programs, and these words vary too much to be listed");
                self.proposal.left_out.push(LeftOut {
                    line: line.line.to_vec(),
                    why,
                    seen: line.seen.clone(),
                });
            }
        }
        self.proposal
    }
}

/// The same rule twice is one.
fn keep(rules: &mut Vec<Proposed>, rule: Proposed) {
    match rules.iter_mut().find(|one| one.rule == rule.rule) {
        Some(one) => one.seen.add(&rule.seen),
        None => rules.push(rule),
    }
}

/// A path as the configuration takes it for a program.
fn is_plain(path: &str) -> bool {
    let mut parts = path.split('/').skip(1);
    path.starts_with('/')
        && !path.chars().any(char::is_control)
        && !parts.any(|part| matches!(part, "" | "." | ".."))
}

fn last_part(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Whether a program is asked to read a program from one of its words: `sh -c`, `python3 -c`, `perl -e`.
fn runs_a_line(program: &str, arguments: &[Vec<u8>]) -> bool {
    const SHELLS: [&str; 9] = ["sh", "bash", "dash", "zsh", "ksh", "mksh", "fish", "csh", "tcsh"];
    const INTERPRETERS: [&str; 5] = ["python", "perl", "ruby", "node", "php"];
    let name = last_part(program);
    let is_shell = SHELLS.contains(&name) || name == "busybox";
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let letters: &[u8] = if is_shell { b"c" } else { b"ceErp" };
    let is_text = |word: &Vec<u8>| match word.as_slice() {
        [b'-', b'-', rest @ ..] => matches!(rest, b"eval" | b"print" | b"run"),
        [b'-', rest @ ..] => rest.iter().any(|byte| letters.contains(byte)),
        _ => false,
    };
    (is_shell || INTERPRETERS.contains(&bare))
        && arguments.iter().take_while(|word| word.starts_with(b"-")).any(is_text)
}

/// What an administrator should know about a rule, alone.
fn dangers(rule: &CommandRule) -> Vec<String> {
    let alone = Limits { commands: vec![rule.clone()], ..Limits::default() };
    // The rule itself stands below the remark.
    let shown: String = super::write::command_toml(rule);
    lint(&alone)
        .into_iter()
        .map(|why| why.strip_prefix(&format!("{shown}: ")).map(str::to_owned).unwrap_or(why))
        .collect()
}

/// Whether a program starts others, or writes files, by what its words say.
fn runs_others(path: &str) -> bool {
    const MORE: &str = "ansible ansible-playbook capsh curl docker git journalctl kubectl make mount podman rsync scp ssh \
        systemctl tcpdump wget zip";
    let name = last_part(path);
    let any = [WordPattern::Exact(path.to_owned()), WordPattern::Rest].to_vec();
    MORE.split_ascii_whitespace().any(|more| more == name) || !dangers(&CommandRule::Words(any)).is_empty()
}
