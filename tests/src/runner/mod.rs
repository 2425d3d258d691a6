//! Runs a table of cases, each in a world of its own or those that share one in turn, several worlds at a time, and
//! reports as cargo test does.

pub(crate) mod verdict;
pub(crate) mod wish;

use std::collections::VecDeque;
use std::process::{ExitCode, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use crate::ansible;
use crate::artifacts::Artifacts;
use crate::browser;
use crate::failure::{Outcome, indent};
use crate::packages;
use crate::program::Program;
use crate::terminal::say;
use crate::world::{self, World};
use verdict::{Verdict, announce, report};
use wish::{Wish, parse};

/// One test: a sentence, and the function that fails when it is not true.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// `theme::what_is_true`
    pub name: &'static str,
    /// The test itself, run as root inside the world.
    pub run: fn(&mut World) -> Outcome,
    /// Cases with the same word here follow each other in one world, because it takes long to build. The one after a
    /// failure begins with a new one.
    pub shares: Option<&'static str>,
}

/// A group of cases; the name of each begins with `theme::`.
#[macro_export]
macro_rules! cases {
    ($theme:literal: $($name:ident),+ $(,)?) => {
        /// The cases of this theme.
        pub(crate) const CASES: &[svcauth_tests::runner::Case] = &[
            $(svcauth_tests::runner::Case {
                name: concat!($theme, "::", stringify!($name)),
                run: $name,
                shares: None,
            }),+
        ];
    };
}

/// How long one case may take before its world is ended, and each one more in the same world. Generous: a slow machine
/// is no failure.
const PATIENCE: Duration = Duration::from_secs(600);
const PATIENCE_MORE: Duration = Duration::from_secs(120);

/// Before the verdict about one case in the output of a world.
const VERDICT: &str = "\u{1}verdict ";

/// Cases of this theme run without an installed svcauth: they need no build.
const PLAIN: &str = "plain::";

/// Cases that follow each other in one world.
type Batch = Vec<Case>;

/// The whole of a test binary's main.
pub fn main(cases: &[&[Case]]) -> ExitCode {
    let all: Vec<Case> = cases.iter().flat_map(|group| group.iter().copied()).collect();
    if let Some(code) = world::enter(|world, words| body(&all, world, words)) {
        return code;
    }
    match parse(std::env::args().skip(1)).and_then(|wish| run(&all, &wish)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(101),
        Err(why) => {
            say(&format!("error: {why}"));
            ExitCode::from(2)
        }
    }
}

/// Inside the world: the cases named, in turn, up to the first that fails.
fn body(all: &[Case], mut world: World, words: &[String]) -> ExitCode {
    for wanted in words {
        let Some(case) = all.iter().find(|case| case.name == wanted) else {
            say(&format!("no case {wanted:?}"));
            return ExitCode::FAILURE;
        };
        let started = Instant::now();
        let ended = (case.run)(&mut world);
        if let Err(why) = &ended {
            say(&format!("{why}\n\nthe end of the auth log:\n{}", indent(&world.log().tail(40))));
        }
        let word = if ended.is_ok() { "ok" } else { "failed" };
        say(&format!("{VERDICT}{word} {}", started.elapsed().as_millis()));
        if ended.is_err() {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn run(all: &[Case], wish: &Wish) -> Outcome<bool> {
    let chosen: Vec<Case> = all.iter().copied().filter(|case| wish.wants(case.name)).collect();
    if wish.list {
        chosen.iter().for_each(|case| say(&format!("{}: test", case.name)));
        return Ok(true);
    }
    packages::require_root()?;
    packages::ensure(packages::NEEDED, say)?;
    packages::download(packages::SSSD, say)?;
    if chosen.iter().any(|case| case.name.starts_with(browser::THEME)) {
        packages::ensure(browser::PACKAGE, say)?;
    }
    let needs_svcauth = chosen.iter().any(|case| !case.name.starts_with(PLAIN));
    let needs_ansible = chosen.iter().any(|case| case.name.starts_with(ansible::THEME));
    // It takes half a minute, which a first build takes much longer than.
    let fetching = needs_ansible.then(|| std::thread::spawn(|| ansible::fetch(say)));
    let artifacts = needs_svcauth.then(|| Artifacts::build(say)).transpose()?;
    fetching.map(std::thread::JoinHandle::join);
    say(&format!("\nrunning {} tests", chosen.len()));
    let started = Instant::now();
    let verdicts = run_all(&chosen, wish, artifacts.as_ref());
    report(&verdicts, all.len() - chosen.len(), started.elapsed());
    Ok(verdicts.iter().all(|verdict| verdict.passed))
}

fn run_all(chosen: &[Case], wish: &Wish, artifacts: Option<&Artifacts>) -> Vec<Verdict> {
    let queue = Mutex::new(batches(chosen));
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..wish.threads() {
            let sender = sender.clone();
            scope.spawn(move || {
                while let Some(batch) = next() {
                    run_batch(&batch, artifacts, |verdict| drop(sender.send(verdict)));
                }
            });
        }
        drop(sender);
        receiver.iter().inspect(|verdict| announce(verdict, wish)).collect()
    })
}

/// What goes into one world, the longest first: it would be the last to end.
fn batches(chosen: &[Case]) -> VecDeque<Batch> {
    let mut shared: Vec<Batch> = Vec::new();
    for case in chosen {
        let same = |batch: &&mut Batch| {
            case.shares.is_some() && batch.first().is_some_and(|first| first.shares == case.shares)
        };
        match shared.iter_mut().find(same) {
            Some(batch) => batch.push(*case),
            None => shared.push(vec![*case]),
        }
    }
    // Those that share are many, and the table has the slowest first.
    shared.sort_by_key(|batch| batch.len() == 1);
    shared.into()
}

/// Runs the cases of a batch in one world; after a failure the rest in a new one.
fn run_batch(batch: &[Case], artifacts: Option<&Artifacts>, tell: impl Fn(Verdict)) {
    let mut left = batch;
    while !left.is_empty() {
        let verdicts = run_world(left, artifacts);
        left = left.get(verdicts.len()..).unwrap_or_default();
        verdicts.into_iter().for_each(&tell);
    }
}

/// One world: a verdict for each case up to the first that failed, and at least one.
fn run_world(cases: &[Case], artifacts: Option<&Artifacts>) -> Vec<Verdict> {
    let started = Instant::now();
    let names: Vec<&str> = cases.iter().map(|case| case.name).collect();
    let ended = world::launch(artifacts, &names).and_then(|mut command| {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let label = names.first().copied().unwrap_or_default();
        let more = u32::try_from(names.len().saturating_sub(1)).unwrap_or(0);
        Program::from_command(command, label).patience(PATIENCE + PATIENCE_MORE * more).run()
    });
    let (ok, output, errors) = match ended {
        Ok(ended) => (ended.ok(), ended.stdout, ended.stderr),
        // It shows what the world has said until then.
        Err(why) => (false, why.to_string(), String::new()),
    };
    let (mut verdicts, rest) = verdicts(cases, &output);
    let all_passed = verdicts.iter().all(|verdict| verdict.passed);
    if let Some(case) = cases.get(verdicts.len()).filter(|_| all_passed) {
        // The world ended or hung without a word about this one.
        let output = rest + &errors;
        verdicts.push(Verdict { name: case.name.to_owned(), passed: false, output, took: started.elapsed() });
    } else if let Some(last) = verdicts.last_mut() {
        last.passed &= ok;
        last.output.push_str(&errors);
    }
    verdicts
}

/// The verdicts in what a world has said, in the order of the cases, and what it said behind the last one.
fn verdicts(cases: &[Case], output: &str) -> (Vec<Verdict>, String) {
    let (mut found, mut text) = (Vec::new(), String::new());
    let mut cases = cases.iter();
    for line in output.lines() {
        let Some(verdict) = line.trim_start().strip_prefix(VERDICT) else {
            text.push_str(line);
            text.push('\n');
            continue;
        };
        let (word, took) = verdict.split_once(' ').unwrap_or_default();
        let took = Duration::from_millis(took.parse().unwrap_or(0));
        let output = std::mem::take(&mut text);
        found.extend(cases.next().map(|case| Verdict {
            name: case.name.to_owned(),
            passed: word == "ok",
            output,
            took,
        }));
    }
    (found, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases(shares: &[(&'static str, Option<&'static str>)]) -> Vec<Case> {
        let case = |(name, shares): &(&'static str, Option<&'static str>)| Case {
            name,
            run: |_| Ok(()),
            shares: *shares,
        };
        shares.iter().map(case).collect()
    }

    #[test]
    fn cases_that_share_a_world_go_first_and_stay_in_order() {
        let all = cases(&[("a", None), ("b1", Some("b")), ("c", None), ("b2", Some("b"))]);
        let names = |batch: &Batch| batch.iter().map(|case| case.name).collect::<Vec<_>>();
        let batches: Vec<Vec<&str>> = batches(&all).iter().map(names).collect();
        assert_eq!(batches, [vec!["b1", "b2"], vec!["a"], vec!["c"]]);
    }

    #[test]
    fn each_case_of_a_world_gets_its_own_words() {
        let all = cases(&[("a", None), ("b", None), ("c", None)]);
        let said = format!("one\n{VERDICT}ok 12\n    two\n    {VERDICT}failed 3\nthe end\n");
        let (found, rest) = verdicts(&all, &said);
        let seen: Vec<_> = found.iter().map(|v| (v.name.as_str(), v.passed, v.output.as_str())).collect();
        assert_eq!(seen, [("a", true, "one\n"), ("b", false, "    two\n")]);
        assert_eq!((found[0].took, rest.as_str()), (Duration::from_millis(12), "the end\n"));
    }

    #[test]
    fn an_unknown_option_is_an_error() {
        assert!(parse(["--wat".to_owned()].into_iter()).is_err());
    }
}
