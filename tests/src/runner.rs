//! Runs a table of cases, each in a world of its own, several at a time, and reports as cargo test does.

use std::collections::VecDeque;
use std::process::{ExitCode, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use crate::artifacts::Artifacts;
use crate::failure::{Failure, Outcome, indent};
use crate::packages;
use crate::program::Program;
use crate::terminal::say;
use crate::world::{self, World};

/// One test: a sentence, and the function that fails when it is not true.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// `theme::what_is_true`
    pub name: &'static str,
    /// The test itself, run as root inside the world.
    pub run: fn(&mut World) -> Outcome,
}

/// A group of cases; the name of each begins with `theme::`.
#[macro_export]
macro_rules! cases {
    ($theme:literal: $($name:ident),+ $(,)?) => {
        /// The cases of this theme.
        pub(crate) const CASES: &[svcauth_tests::runner::Case] = &[
            $(svcauth_tests::runner::Case { name: concat!($theme, "::", stringify!($name)), run: $name }),+
        ];
    };
}

/// How long one case may take before its world is ended. Generous: a slow machine is no failure.
const PATIENCE: Duration = Duration::from_secs(240);

/// Cases of this theme run without svcauth: they prove the harness and need no build.
const PLAIN: &str = "plain::";

/// What the command line asks for; the words of the standard test runner that make sense here.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wish {
    filters: Vec<String>,
    skipped: Vec<String>,
    exact: bool,
    list: bool,
    show_output: bool,
    threads: Option<usize>,
}

/// How one case ended.
struct Verdict {
    name: &'static str,
    passed: bool,
    output: String,
    took: Duration,
}

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

/// Inside the world: the one case named.
fn body(all: &[Case], mut world: World, words: &[String]) -> ExitCode {
    let wanted = words.first().map(String::as_str).unwrap_or_default();
    let Some(case) = all.iter().find(|case| case.name == wanted) else {
        say(&format!("no case {wanted:?}"));
        return ExitCode::FAILURE;
    };
    match (case.run)(&mut world) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            say(&format!("{why}\n\nthe end of the auth log:\n{}", indent(&world.log().tail(40))));
            ExitCode::FAILURE
        }
    }
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
    let needs_svcauth = chosen.iter().any(|case| !case.name.starts_with(PLAIN));
    let artifacts = needs_svcauth.then(|| Artifacts::build(say)).transpose()?;
    say(&format!("\nrunning {} tests", chosen.len()));
    let started = Instant::now();
    let verdicts = run_all(&chosen, wish, artifacts.as_ref());
    report(&verdicts, all.len() - chosen.len(), started.elapsed());
    Ok(verdicts.iter().all(|verdict| verdict.passed))
}

fn run_all(chosen: &[Case], wish: &Wish, artifacts: Option<&Artifacts>) -> Vec<Verdict> {
    let queue = Mutex::new(chosen.iter().copied().collect::<VecDeque<_>>());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..wish.threads() {
            let sender = sender.clone();
            scope.spawn(move || {
                while let Some(case) = next() {
                    let _ = sender.send(run_one(case, artifacts));
                }
            });
        }
        drop(sender);
        receiver.iter().inspect(|verdict| announce(verdict, wish)).collect()
    })
}

fn run_one(case: Case, artifacts: Option<&Artifacts>) -> Verdict {
    let started = Instant::now();
    let ended = world::launch(artifacts, &[case.name]).and_then(|mut command| {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Program::from_command(command, case.name).patience(PATIENCE).run()
    });
    let (passed, output) = match ended {
        Ok(ended) => (ended.ok(), format!("{}{}", ended.stdout, ended.stderr)),
        Err(why) => (false, why.to_string()),
    };
    Verdict { name: case.name, passed, output, took: started.elapsed() }
}

fn announce(verdict: &Verdict, wish: &Wish) {
    let word = if verdict.passed { "ok" } else { "FAILED" };
    say(&format!("test {} ... {word} ({:.1}s)", verdict.name, verdict.took.as_secs_f64()));
    if wish.show_output && verdict.passed && !verdict.output.is_empty() {
        say(&indent(&verdict.output));
    }
}

fn report(verdicts: &[Verdict], left_out: usize, took: Duration) {
    let failed: Vec<_> = verdicts.iter().filter(|verdict| !verdict.passed).collect();
    if !failed.is_empty() {
        say("\nfailures:");
    }
    for verdict in &failed {
        say(&format!("\n---- {} ----\n{}", verdict.name, verdict.output));
    }
    failed.iter().for_each(|verdict| say(&format!("    {}", verdict.name)));
    let (word, passed) = (if failed.is_empty() { "ok" } else { "FAILED" }, verdicts.len() - failed.len());
    say(&format!(
        "\ntest result: {word}. {passed} passed; {} failed; 0 ignored; 0 measured; {left_out} filtered out; finished in {:.2}s\n",
        failed.len(),
        took.as_secs_f64()
    ));
}

impl Wish {
    fn wants(&self, name: &str) -> bool {
        let hit = |part: &String| {
            if self.exact { name == part } else { name.contains(part.as_str()) }
        };
        (self.filters.is_empty() || self.filters.iter().any(hit)) && !self.skipped.iter().any(hit)
    }

    /// One more than the processors: a case spends much of its time waiting.
    fn threads(&self) -> usize {
        let processors = || std::thread::available_parallelism().map_or(2, usize::from);
        self.threads.unwrap_or_else(|| processors() + 1).max(1)
    }
}

fn parse(args: impl Iterator<Item = String>) -> Outcome<Wish> {
    let mut wish = Wish::default();
    let mut args = args.peekable();
    while let Some(arg) = args.next() {
        let (flag, attached) =
            arg.split_once('=').map_or((arg.as_str(), None), |(f, v)| (f, Some(v.to_owned())));
        let mut value = || attached.clone().or_else(|| args.next()).ok_or_else(|| missing_value(flag));
        match flag {
            "--exact" => wish.exact = true,
            "--list" => wish.list = true,
            "--nocapture" | "--no-capture" | "--show-output" => wish.show_output = true,
            "--skip" => wish.skipped.push(value()?),
            "--test-threads" => wish.threads = value()?.parse().ok(),
            "--format" | "--color" | "-Z" => drop(value()?),
            "--quiet" | "-q" | "--include-ignored" | "--test" => {}
            _ if flag.starts_with('-') => return Err(Failure::new(format!("unknown option {flag}"))),
            _ => wish.filters.push(arg),
        }
    }
    Ok(wish)
}

fn missing_value(flag: &str) -> Failure {
    Failure::new(format!("{flag} needs a value"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(words: &[&str]) -> Wish {
        parse(words.iter().map(|word| (*word).to_owned())).unwrap()
    }

    #[test]
    fn filters_choose_by_part_of_a_name_and_skip_wins() {
        let some = wish(&["login", "--skip", "carol"]);
        assert!(some.wants("login::bob_is_allowed"));
        assert!(!some.wants("login::carol_is_refused"));
        assert!(!some.wants("outage::x"));
        assert!(wish(&[]).wants("anything"));
    }

    #[test]
    fn exact_means_the_whole_name() {
        let one = wish(&["login::bob", "--exact", "--test-threads=1"]);
        assert!(one.wants("login::bob") && !one.wants("login::bobby"));
        assert_eq!(one.threads(), 1);
    }

    #[test]
    fn an_unknown_option_is_an_error() {
        assert!(parse(["--wat".to_owned()].into_iter()).is_err());
    }
}
