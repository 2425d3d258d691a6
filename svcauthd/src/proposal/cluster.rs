//! The command lines of one program, put together by their form: as many words, the same options.

use std::collections::{BTreeMap, BTreeSet};

use svcauth_core::command::{CommandRule, WordPattern};

use super::corpus::Seen;
use super::pattern::{Care, generalise};
use super::rule::Proposed;

/// Forms of a program beyond which a list says less than a sentence.
const FORMS_MAX: usize = 40;
/// Different first words that each get a rule of their own.
const VERBS_MAX: usize = 6;

/// One command line as words.
#[derive(Clone, Debug)]
pub(super) struct Words<'a> {
    /// The whole line.
    pub(super) line: &'a [u8],
    /// The words behind the program.
    pub(super) arguments: Vec<Vec<u8>>,
    pub(super) seen: &'a Seen,
}

/// What a line is like: of each word, the name of the option that it is, or nothing.
type Form = Vec<Option<Vec<u8>>>;

/// Rules that admit these lines of a program, and the lines that have none.
pub(super) fn rules<'a>(
    path: &str,
    lines: Vec<Words<'a>>,
    is_runner: bool,
) -> (Vec<Proposed>, Vec<Words<'a>>) {
    let mut forms: BTreeMap<(Form, Option<Vec<u8>>), Vec<Words<'a>>> = BTreeMap::new();
    for (form, lines) in by_form(lines) {
        for (verb, lines) in by_verb(&form, lines) {
            forms.insert((form.clone(), verb), lines);
        }
    }
    if forms.len() > FORMS_MAX && !is_runner {
        return (vec![everything(path, forms.into_values().flatten())], Vec::new());
    }
    let (mut found, mut left) = (Vec::new(), Vec::new());
    for ((form, _), lines) in forms {
        match one_form(path, &form, &lines, is_runner).filter(|_| found.len() < FORMS_MAX) {
            Some(rule) => found.push(rule),
            None => left.extend(lines),
        }
    }
    (found, left)
}

fn by_form(lines: Vec<Words<'_>>) -> BTreeMap<Form, Vec<Words<'_>>> {
    let mut forms: BTreeMap<Form, Vec<Words<'_>>> = BTreeMap::new();
    for line in lines {
        forms.entry(form(&line.arguments)).or_default().push(line);
    }
    forms
}

fn form(arguments: &[Vec<u8>]) -> Form {
    let mut are_options_over = false;
    let one = |word: &Vec<u8>| {
        if are_options_over || word.len() < 2 || word.first() != Some(&b'-') {
            return None;
        }
        are_options_over = word == b"--";
        let name = word.iter().position(|byte| *byte == b'=').map_or(word.len(), |at| at + 1);
        // `-n5` and `-n12` are the same option.
        let name = word.get(..name).unwrap_or(word);
        let digits = name.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        Some(name.get(..name.len() - digits).unwrap_or(name).to_vec())
    };
    arguments.iter().map(one).collect()
}

/// By the first word that is no option, where that says what is done: `restart`, `status`.
fn by_verb<'a>(form: &Form, lines: Vec<Words<'a>>) -> BTreeMap<Option<Vec<u8>>, Vec<Words<'a>>> {
    let first = form.iter().position(Option::is_none);
    let free = form.iter().filter(|option| option.is_none()).count();
    let verb = |line: &Words<'_>| first.and_then(|at| line.arguments.get(at)).cloned();
    let verbs: BTreeSet<Option<Vec<u8>>> = lines.iter().map(verb).collect();
    let are_verbs = verbs.iter().flatten().all(|word| is_verb(word));
    let mut out: BTreeMap<Option<Vec<u8>>, Vec<Words<'a>>> = BTreeMap::new();
    if free < 2 || verbs.len() > VERBS_MAX || !are_verbs {
        out.insert(None, lines);
        return out;
    }
    for line in lines {
        out.entry(verb(&line)).or_default().push(line);
    }
    out
}

/// Whether a word may say what is done.
fn is_verb(word: &[u8]) -> bool {
    word.iter().all(|byte| byte.is_ascii_lowercase() || *byte == b'-')
}

fn one_form(path: &str, form: &Form, lines: &[Words<'_>], is_runner: bool) -> Option<Proposed> {
    let mut patterns = vec![WordPattern::Exact(path.to_owned())];
    let mut remarks = Vec::new();
    let first = form.iter().position(Option::is_none);
    for column in 0..form.len() {
        let words: BTreeSet<&[u8]> =
            lines.iter().filter_map(|line| line.arguments.get(column)).map(Vec::as_slice).collect();
        let care = match (is_runner, Some(column) == first) {
            (true, _) => Care::Runner,
            (false, true) if words.iter().all(|word| is_verb(word)) => Care::Verb,
            (false, _) => Care::Usual,
        };
        let (pattern, remark) = generalise(&words, care)?;
        remarks.extend(remark.map(|remark| format!("argument {}: {remark}", column + 1)));
        patterns.push(pattern);
    }
    Some(Proposed { remarks, ..proposed(CommandRule::Words(patterns), lines) })
}

fn proposed<'a, 'b: 'a>(rule: CommandRule, lines: impl IntoIterator<Item = &'a Words<'b>>) -> Proposed {
    let (mut seen, mut example, mut most) = (Seen::default(), Vec::new(), 0);
    for line in lines {
        seen.add(line.seen);
        if line.seen.count > most {
            (most, example) = (line.seen.count, line.line.to_vec());
        }
    }
    Proposed { rule, seen, example, remarks: Vec::new() }
}

fn everything<'a>(path: &str, lines: impl Iterator<Item = Words<'a>>) -> Proposed {
    let rule = CommandRule::Words(vec![WordPattern::Exact(path.to_owned()), WordPattern::Rest]);
    let lines: Vec<Words<'a>> = lines.collect();
    let remarks =
        vec![format!("it was used in more than {FORMS_MAX} ways: <rest> allows every option; review it")];
    Proposed { remarks, ..proposed(rule, &lines) }
}

#[cfg(test)]
mod tests {
    use super::{Seen, Words, rules};

    fn found(lines: &[&str], is_runner: bool) -> (Vec<String>, usize) {
        let seen = Seen { count: 1, ..Seen::default() };
        let words = |line: &&'static str| Words {
            line: line.as_bytes(),
            arguments: line.split(' ').skip(1).map(|word| word.as_bytes().to_vec()).collect(),
            seen: &seen,
        };
        let lines: Vec<&'static str> = lines.iter().map(|line| &*(*line).to_owned().leak()).collect();
        let (rules, left) = rules("/usr/bin/x", lines.iter().map(words).collect(), is_runner);
        let text = |rule: &super::Proposed| super::super::write::command_toml(&rule.rule);
        (rules.iter().map(text).collect(), left.len())
    }

    #[test]
    fn what_is_done_to_what_is_one_rule_each() {
        let lines = ["x restart web1", "x restart web2", "x status", "x status web1"];
        let rules = [
            r#"["/usr/bin/x", "status"]"#,
            r#"["/usr/bin/x", "restart", "<re:web[0-9]+>"]"#,
            r#"["/usr/bin/x", "status", "web1"]"#,
        ];
        assert_eq!(found(&lines, false), (rules.map(str::to_owned).to_vec(), 0));
    }

    #[test]
    fn options_are_never_mixed_up_with_what_is_no_option() {
        let lines = ["x -n5 a", "x -n12 a", "x a -n5", "x -- -n5"];
        let rules = [
            r#"["/usr/bin/x", "a", "-n5"]"#,
            r#"["/usr/bin/x", "--", "-n5"]"#,
            r#"["/usr/bin/x", "<re:-n[0-9]+>", "a"]"#,
        ];
        assert_eq!(found(&lines, false), (rules.map(str::to_owned).to_vec(), 0));
    }

    #[test]
    fn a_program_used_in_every_way_gets_one_wide_rule_and_a_runner_none() {
        let lines: Vec<String> = (1..60).map(|count| format!("x{}", " a b".repeat(count))).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        assert_eq!(found(&lines, false), (vec![r#"["/usr/bin/x", "<rest>"]"#.to_owned()], 0));
        let (rules, left) = found(&lines, true);
        assert_eq!((rules.len(), left), (40, 19));
        assert!(rules.iter().all(|rule| !rule.contains('<')), "{rules:?}");
    }
}
