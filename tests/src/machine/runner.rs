//! Runs a table of cases on every release, several at a time, all on one ground, and reports as cargo test does.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::deb::Packages;
use super::debian::Debian;
use super::release::Release;
use super::{cgroup, ground, tree};
use crate::artifacts::target_folder;
use crate::failure::{Context, Failure, Outcome, indent, require};
use crate::packages;
use crate::runner::verdict::{Verdict, announce, report};
use crate::runner::wish::{Wish, parse};
use crate::terminal::say;

/// One test: a sentence, and the function that fails when it is not true.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// `theme::what_is_true`; the word of the release comes before it.
    pub name: &'static str,
    /// The test itself. Others run at the same time, on machines of their own.
    pub run: fn(&Debian) -> Outcome,
}

/// A group of cases; the name of each begins with `theme::`.
#[macro_export]
macro_rules! machine_cases {
    ($theme:literal: $($name:ident),+ $(,)?) => {
        /// The cases of this theme.
        pub(crate) const CASES: &[svcauth_tests::machine::Case] = &[
            $(svcauth_tests::machine::Case { name: concat!($theme, "::", stringify!($name)), run: $name }),+
        ];
    };
}

/// What programs of every run need, besides those that make a tree.
const NEEDED: &[&str] = &[
    "systemd-container",
    "openssh-client",
    "openssl",
    "slapd",
    "iproute2",
    "libpam0g-dev",
    "libssl-dev",
    "pkg-config",
    "dpkg-dev",
];
/// Before the verdict about one case in the output of the body.
const VERDICT: &str = "\u{1}verdict ";

/// The whole of a test binary's main.
pub fn main(cases: &[&[Case]]) -> ExitCode {
    let all: Vec<Case> = cases.iter().flat_map(|group| group.iter().copied()).collect();
    if let Some(code) = ground::enter(|words| body(&all, words)) {
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

fn run(all: &[Case], wish: &Wish) -> Outcome<bool> {
    // Case by case and not release by release, so that a slow one starts on both at once.
    let names = all.iter().flat_map(|case| Release::ALL.iter().map(move |release| name_on(*release, case)));
    let (chosen, others): (Vec<String>, Vec<String>) = names.partition(|name| wish.wants(name));
    if wish.list {
        chosen.iter().for_each(|name| say(&format!("{name}: test")));
        return Ok(true);
    }
    packages::require_root()?;
    packages::ensure(NEEDED, say)?;
    cgroup::remove_left_over()?;
    let target = target_folder()?;
    Packages::build(&target, say)?;
    let releases: Vec<Release> = Release::ALL.iter().copied().filter(|one| is_on(&chosen, *one)).collect();
    tree::ensure(&releases, &target, say)?;
    say(&format!("\nrunning {} tests", chosen.len()));
    let started = Instant::now();
    let verdicts = run_body(&chosen, wish, &target)?;
    report(&verdicts, others.len(), started.elapsed());
    Ok(verdicts.iter().all(|verdict| verdict.passed))
}

fn name_on(release: Release, case: &Case) -> String {
    format!("{release}::{}", case.name)
}

fn is_on(names: &[String], release: Release) -> bool {
    names.iter().any(|name| name.split("::").next() == Some(release.word()))
}

/// Starts the body and says each verdict as it comes; a case without one has failed.
fn run_body(chosen: &[String], wish: &Wish, target: &Path) -> Outcome<Vec<Verdict>> {
    let head = [std::process::id().to_string(), target.display().to_string(), wish.threads().to_string()];
    let mut command = ground::launch(&[&head[..], chosen].concat());
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().doing("start the machines' ground")?;
    let stdout = child.stdout.take().ok_or_else(|| Failure::new("no output of the ground"))?;
    let mut stderr = child.stderr.take().ok_or_else(|| Failure::new("no errors of the ground"))?;
    let errors = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = stderr.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    let (mut verdicts, mut text) = (Vec::new(), String::new());
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        match line.strip_prefix(VERDICT).and_then(|words| verdict(words, &text)) {
            Some(verdict) => {
                announce(&verdict, wish);
                verdicts.push(verdict);
                text.clear();
            }
            None => text.push_str(&format!("{line}\n")),
        }
    }
    let status = child.wait()?;
    let errors = errors.join().unwrap_or_default();
    let silent = |name: &&String| verdicts.iter().all(|verdict| verdict.name != **name);
    let missing: Vec<String> = chosen.iter().filter(silent).cloned().collect();
    let output = format!("the ground ended with {status} before this case did\n{text}{errors}");
    verdicts.extend(missing.into_iter().map(|name| failed(name, &output)));
    Ok(verdicts)
}

/// `ok 1234 debian12::theme::what_is_true`
fn verdict(words: &str, output: &str) -> Option<Verdict> {
    let mut words = words.splitn(3, ' ');
    let (word, took, name) = (words.next()?, words.next()?.parse().ok()?, words.next()?);
    let took = Duration::from_millis(took);
    Some(Verdict { name: name.to_owned(), passed: word == "ok", output: output.to_owned(), took })
}

fn failed(name: String, output: &str) -> Verdict {
    Verdict { name, passed: false, output: output.to_owned(), took: Duration::ZERO }
}

/// On the ground: every case named, several at a time.
fn body(all: &[Case], words: &[String]) -> Outcome {
    let [run, target, threads, names @ ..] = words else {
        return Err(Failure::new("the body was told too little"));
    };
    let target = PathBuf::from(target);
    let make = |release: &Release| {
        Debian::at(*release, &tree::path(&target, *release), run, Packages::in_folder(&target))
    };
    let wanted = Release::ALL.iter().filter(|release| is_on(names, **release));
    let debians: Vec<Debian> = wanted.map(make).collect::<Outcome<_>>()?;
    let queue: Mutex<VecDeque<(&Debian, &Case)>> =
        Mutex::new(names.iter().map(|name| find(name, all, &debians)).collect::<Outcome<_>>()?);
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    std::thread::scope(|scope| {
        for _ in 0..threads.parse().unwrap_or(1) {
            scope.spawn(|| {
                while let Some((debian, case)) = next() {
                    run_case(debian, case);
                }
            });
        }
    });
    Ok(())
}

fn find<'a>(name: &str, all: &'a [Case], debians: &'a [Debian]) -> Outcome<(&'a Debian, &'a Case)> {
    let parts = name.split_once("::").and_then(|(word, rest)| {
        let debian = debians.iter().find(|debian| debian.release().word() == word)?;
        Some((debian, all.iter().find(|case| case.name == rest)?))
    });
    require(parts.is_some(), || format!("no case {name:?}"))?;
    parts.ok_or_else(|| Failure::new("no such case"))
}

thread_local! {
    /// What the case that this thread runs has to say even when it passes.
    static NOTES: RefCell<String> = const { RefCell::new(String::new()) };
}

/// A line about what a case has measured; shown when it fails, and with `--show-output`.
pub fn note(line: &str) {
    NOTES.with_borrow_mut(|notes| {
        notes.push_str(line);
        notes.push('\n');
    });
}

fn run_case(debian: &Debian, case: &Case) {
    let started = Instant::now();
    let ended = (case.run)(debian);
    let took = started.elapsed().as_millis();
    let notes = indent(&NOTES.take());
    let (word, text) = match &ended {
        Ok(()) => ("ok", notes),
        Err(why) => ("failed", notes + &indent(&why.to_string())),
    };
    // In one write: others speak at the same time.
    say(&format!("{text}{VERDICT}{word} {took} {}", name_on(debian.release(), case)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_carries_what_was_said_before_it() {
        let found = verdict("failed 1200 debian12::a::b", "    why\n").unwrap();
        assert_eq!((found.name.as_str(), found.passed), ("debian12::a::b", false));
        assert_eq!((found.took, found.output.as_str()), (Duration::from_millis(1200), "    why\n"));
        assert!(verdict("failed soon debian12::a::b", "").is_none());
    }
}
