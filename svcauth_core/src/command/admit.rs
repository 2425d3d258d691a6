//! What the limits of all granting rules come to for one wish.
//!
//! Of all that fits, the least limiting runs: the whole line by the account's own shell, then a program by its words, then a
//! transfer within the paths of all rules of its kind. Nobody gains by that what they could not have had anyway, and a client
//! that works unlimited works the same.

use std::format;
use std::string::{String, ToString as _};
use std::vec::Vec;

use super::transfer;
use super::words::{Syntax, Unplain, Word, split};
use super::{CommandRule, Limits, Mode, Plan, Program, Refusal, Ruling, Wish, WordPattern};
use crate::policy::Reason;

/// Decides about a wish under the limits of every rule that grants the account: what any of them allows is allowed, and
/// what none allows runs only when one of them is learning. Without limits at all nothing is allowed: who is not limited is
/// not asked about here.
#[must_use]
pub fn admit(limits: &[&Limits], wish: Wish<'_>) -> Ruling {
    let (plan, refused) = match wish {
        Wish::Shell => (Plan::Shell { record: limits.iter().any(|one| one.record) }, shell(limits)),
        Wish::Line(line) => match command(limits, line) {
            Ok(plan) => return Ruling::Run(plan),
            Err(refusal) => (Plan::Line, Some(refusal)),
        },
    };
    match refused {
        None => Ruling::Run(plan),
        Some(refusal) if limits.iter().any(|one| one.mode == Mode::Learn) => Ruling::Learn(plan, refusal),
        Some(refusal) => Ruling::Refuse(refusal),
    }
}

fn shell(limits: &[&Limits]) -> Option<Refusal> {
    let refusal =
        || Refusal { reason: Reason::ShellNotAllowed, detail: "no rule has shell = \"allow\"".to_string() };
    (!limits.iter().any(|one| one.shell)).then(refusal)
}

fn command(limits: &[&Limits], line: &[u8]) -> Result<Plan, Refusal> {
    let rules = || limits.iter().flat_map(|one| &one.commands);
    if rules().any(|rule| *rule == CommandRule::Any) {
        return Ok(Plan::Line);
    }
    let words = split(line).map_err(|what| {
        refuse(format!("{what}, and no rule allows lines for a shell{}", hint(line, what)))
    })?;
    let Some(first) = words.first() else {
        return Err(refuse("the command is empty".to_string()));
    };
    let mut closest = Miss { depth: 0, detail: format!("no rule has the program {}", first.shown()) };
    for rule in rules() {
        let CommandRule::Words(patterns) = rule else { continue };
        match hold(patterns, &words) {
            Ok(program) => return Ok(Plan::Program(program)),
            Err(miss) if miss.depth > closest.depth => closest = miss,
            Err(_) => {}
        }
    }
    match transfer::admit(limits, &words) {
        Some(Ok(program)) => Ok(Plan::Program(program)),
        // A rule that has the program says more about it than one of another kind.
        Some(Err(detail)) if closest.depth == 0 => Err(refuse(detail)),
        _ => Err(refuse(closest.detail)),
    }
}

/// Wildcards are what clients of transfers leave to a shell on the other side.
fn hint(line: &[u8], what: Unplain) -> &'static str {
    let wild = matches!(what.what, Syntax::Byte(b'*' | b'?' | b'[' | b']'));
    if wild && line.starts_with(b"rsync ") {
        "; name the folder, and the files by --include and --exclude"
    } else if wild && line.starts_with(b"scp ") {
        "; name the files, or leave out -O, and scp itself finds them"
    } else {
        ""
    }
}

fn refuse(detail: String) -> Refusal {
    Refusal { reason: Reason::CommandNotAllowed, detail }
}

/// Why words do not fit a rule, and how many did before that: what came closest is what the administrator meant.
struct Miss {
    depth: usize,
    detail: String,
}

/// Holds words against the patterns of a rule. What runs is the rule's own program with exactly these words.
fn hold(patterns: &[WordPattern], words: &[Word]) -> Result<Program, Miss> {
    let miss = |depth, detail| Err(Miss { depth, detail });
    let (Some((WordPattern::Exact(path), patterns)), Some((program, words))) =
        (patterns.split_first(), words.split_first())
    else {
        return miss(0, "the rule has no program".to_string());
    };
    if !names(path, &program.bytes) {
        return miss(0, String::new());
    }
    if program.bytes.contains(&b'/') && program.bytes != path.as_bytes() {
        return miss(1, format!("no rule has the program {}; one has {path}", program.shown()));
    }
    let mut open = patterns.iter();
    for (index, word) in words.iter().enumerate() {
        let (place, depth) = (index + 1, index + 2);
        if word.home {
            return miss(depth, format!("argument {place} of {path}, {}, is for a shell", word.shown()));
        }
        match open.next() {
            // What <rest> stands for is looked at all the same: it is for no shell either.
            Some(WordPattern::Rest) => open = core::slice::from_ref(&WordPattern::Rest).iter(),
            Some(pattern) if pattern.matches(&word.bytes) => {}
            Some(pattern) => {
                let shown = word.shown();
                return miss(depth, format!("argument {place} of {path}, {shown}, is not {pattern}"));
            }
            None => {
                return miss(depth, format!("argument {place} of {path}, {}, is one too many", word.shown()));
            }
        }
    }
    match open.next() {
        None | Some(WordPattern::Rest) => {
            let arguments = words.iter().map(|word| word.bytes.clone()).collect();
            Ok(Program { path: path.clone(), arguments, environment: Vec::new(), files: None })
        }
        Some(pattern) => {
            let place = words.len() + 1;
            miss(place, format!("argument {place} of {path} is missing; the rule has {pattern}"))
        }
    }
}

/// Whether a client may mean the program at `path` by this word: its last part is what `path` ends in.
fn names(path: &str, word: &[u8]) -> bool {
    let last = |path: &[u8]| path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let name = path.as_bytes().get(last(path.as_bytes())..);
    name.is_some_and(|name| !name.is_empty()) && word.get(last(word)..) == name
}

#[cfg(test)]
mod tests {
    use super::admit;
    use crate::command::{CommandRule, Limits, Mode, Plan, Program, Ruling, Wish};
    use crate::policy::Reason;
    use std::string::{String, ToString as _};
    use std::vec;
    use std::vec::Vec;

    fn words(patterns: &[&str]) -> CommandRule {
        CommandRule::Words(patterns.iter().map(|pattern| pattern.parse().unwrap()).collect())
    }

    fn rule(commands: Vec<CommandRule>) -> Limits {
        Limits { commands, ..Limits::default() }
    }

    fn runs(limits: &[&Limits], line: &str) -> Result<(String, Vec<String>), String> {
        match admit(limits, Wish::Line(line.as_bytes())) {
            Ruling::Run(Plan::Program(Program { path, arguments, files: None, .. })) => {
                Ok((path, arguments.into_iter().map(|word| String::from_utf8(word).unwrap()).collect()))
            }
            Ruling::Refuse(refusal) if refusal.reason == Reason::CommandNotAllowed => Err(refusal.detail),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn a_program_runs_with_the_words_that_its_rule_fits_and_by_the_path_of_the_rule() {
        let limits = rule(vec![
            words(&["/usr/local/bin/deploy", "<re:[a-z0-9-]+>", "<any>", "<rest>"]),
            words(&["/usr/bin/uptime"]),
        ]);
        for line in ["deploy web-1 'a b' c ''", "/usr/local/bin/deploy web-1 \"a b\" c \"\""] {
            let expected = ["web-1", "a b", "c", ""].map(String::from).to_vec();
            assert_eq!(runs(&[&limits], line), Ok(("/usr/local/bin/deploy".to_string(), expected)));
        }
        assert_eq!(runs(&[&limits], " uptime "), Ok(("/usr/bin/uptime".to_string(), Vec::new())));
    }

    #[test]
    fn what_is_in_the_way_of_a_command_is_named() {
        let limits = rule(vec![
            words(&["/usr/bin/true"]),
            words(&["/usr/local/bin/deploy", "<re:[a-z]+>", "now"]),
            words(&["/usr/local/bin/deploy", "all"]),
        ]);
        for (line, detail) in [
            ("", "the command is empty"),
            ("ls /", "no rule has the program ls"),
            ("./deploy x", "no rule has the program ./deploy; one has /usr/local/bin/deploy"),
            ("/bin/true", "no rule has the program /bin/true; one has /usr/bin/true"),
            ("deploy A", "argument 1 of /usr/local/bin/deploy, A, is not <re:[a-z]+>"),
            ("deploy web later", "argument 2 of /usr/local/bin/deploy, later, is not now"),
            ("deploy web", "argument 2 of /usr/local/bin/deploy is missing; the rule has now"),
            ("true \x1b[1m", "[ at byte 7 is for a shell, and no rule allows lines for a shell"),
            ("true '\x1b[1m'", "argument 1 of /usr/bin/true, \\x1b[1m, is one too many"),
            ("true ~/x", "argument 1 of /usr/bin/true, ~/x, is for a shell"),
            ("true; id", "; at byte 5 is for a shell, and no rule allows lines for a shell"),
        ] {
            assert_eq!(runs(&[&limits], line), Err(detail.to_string()), "{line}");
        }
        assert!(runs(&[], "true").is_err());
    }

    #[test]
    fn words_that_a_shell_would_expand_fit_no_pattern_at_all() {
        let limits = rule(vec![words(&["/bin/echo", "<any>", "<rest>"])]);
        assert!(runs(&[&limits], "echo '~' '~/x'").is_ok());
        for line in ["echo ~", "echo a b ~/x", "echo $HOME", "echo a b *"] {
            assert!(runs(&[&limits], line).is_err(), "{line}");
        }
    }

    #[test]
    fn what_any_of_several_rules_allows_is_allowed() {
        let (deploy, uptime) = (rule(vec![words(&["/bin/deploy"])]), rule(vec![words(&["/bin/uptime"])]));
        let any = rule(vec![words(&["/bin/uptime"]), CommandRule::Any]);
        for line in ["deploy", "uptime"] {
            assert!(runs(&[&deploy, &uptime], line).is_ok());
            assert_eq!(admit(&[&deploy, &any], Wish::Line(line.as_bytes())), Ruling::Run(Plan::Line));
        }
        assert!(runs(&[&deploy], "uptime").is_err());
        assert_eq!(admit(&[&deploy, &any], Wish::Line(b"a; b")), Ruling::Run(Plan::Line));
    }

    #[test]
    fn a_shell_is_opened_by_any_rule_that_allows_one_and_recorded_when_any_rule_records() {
        let (closed, open) = (Limits::default(), Limits { shell: true, ..Limits::default() });
        let recorded = Limits { record: true, ..open.clone() };
        let shell = |record| Ruling::Run(Plan::Shell { record });
        assert_eq!(admit(&[&closed, &open], Wish::Shell), shell(false));
        assert_eq!(admit(&[&open, &recorded], Wish::Shell), shell(true));
        for limits in [&[][..], &[&closed], &[&closed, &closed]] {
            let Ruling::Refuse(refusal) = admit(limits, Wish::Shell) else { panic!("opened") };
            assert_eq!(refusal.reason, Reason::ShellNotAllowed);
        }
    }

    #[test]
    fn a_learning_rule_lets_run_what_no_rule_allows_and_says_why_it_would_be_refused() {
        let learning = Limits { mode: Mode::Learn, ..rule(vec![words(&["/bin/uptime"])]) };
        let enforcing = rule(vec![words(&["/bin/deploy"])]);
        for limits in [&[&learning][..], &[&enforcing, &learning]] {
            let Ruling::Learn(Plan::Line, refusal) = admit(limits, Wish::Line(b"ls; id")) else { panic!() };
            assert!(refusal.detail.starts_with("; at byte 3"), "{}", refusal.detail);
            let Ruling::Learn(Plan::Shell { record: false }, refusal) = admit(limits, Wish::Shell) else {
                panic!()
            };
            assert_eq!(refusal.reason, Reason::ShellNotAllowed);
            assert!(runs(limits, "uptime").is_ok());
        }
    }
}
