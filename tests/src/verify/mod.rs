//! `cargo verify`: everything that has to be true before a change is handed over, in one command.

mod fuzz;
mod release;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::artifacts::{cargo, target_folder};
use crate::failure::{Failure, Outcome};
use crate::machine::{Release, tree};
use crate::packages;
use crate::program::{Ended, Program};
use crate::terminal::{Palette, Style, say, words};

const HELP: &str = "\
cargo verify             format, lints, unit tests, module gates, documentation, end-to-end tests, packages
cargo verify -- quick    the same without the last two; needs no root once the distribution's packages are there
cargo verify -- packages the packages alone, built twice in different folders: the bytes are the same
cargo verify -- fuzz [SECONDS]
                         every fuzz target for a minute, or for this long

Installs missing distribution packages and says so. The end-to-end tests and the packages need root; they run in private namespaces
and in containers.";

/// A stage may build everything from nothing on two slow cores.
const PATIENCE: Duration = Duration::from_secs(1500);

/// One thing that has to be true. `run` gives the number of tests that passed.
struct Stage {
    name: &'static str,
    run: fn() -> Outcome<usize>,
    /// Whether the stages behind it tell something when it has failed.
    then: Then,
}

/// What follows a stage that has failed.
#[derive(PartialEq)]
enum Then {
    /// The stages behind it: one run tells all that is wrong.
    GoOn,
    /// Nothing: those behind it need what it makes, or would only say the same again.
    End,
}

impl Stage {
    const fn test(name: &'static str, run: fn() -> Outcome<usize>) -> Self {
        Self { name, run, then: Then::GoOn }
    }

    const fn premise(name: &'static str, run: fn() -> Outcome<usize>) -> Self {
        Self { name, run, then: Then::End }
    }
}

const QUICK: &[Stage] = &[
    Stage::premise("distribution's packages", install_packages),
    Stage::premise("format", format),
    Stage::premise("lints", lints),
    Stage::test("unit tests", unit_tests),
    Stage::test("modules and their gates", module_tests),
    Stage::test("documentation", documentation),
];
/// Made while others compile: it waits for the network most of the time.
const TREES: Stage = Stage::premise("trees of Debian 12 and 13, in the background", begin_trees);
/// Made of the time that others leave, which is much: tests wait, and the last crate of a build is alone.
const RELEASE: Stage = Stage::premise("programs and packages, in the background", begin_release);
const END_TO_END: &[Stage] = &[
    Stage::test("end-to-end tests", end_to_end),
    Stage::premise("packages: built", release::build),
    Stage::test("packages: files", release::files),
    Stage::test("packages: booted machines", release::machines),
];
const PACKAGES: &[Stage] = &[
    Stage::premise("distribution's packages", install_packages),
    TREES,
    Stage::premise("built", release::build),
    Stage::test("built again elsewhere", release::build_again),
    Stage::test("files", release::files),
    Stage::test("booted machines", release::machines),
];

/// The whole of the command's main.
pub fn main() -> ExitCode {
    let args = words();
    let asked: Vec<&str> = args.iter().map(String::as_str).collect();
    let stages: Vec<&Stage> = match asked.as_slice() {
        [] => {
            let (first, rest) = QUICK.split_at(1);
            first.iter().chain([&TREES, &RELEASE]).chain(rest).chain(END_TO_END).collect()
        }
        ["quick"] => QUICK.iter().collect(),
        ["packages"] => PACKAGES.iter().collect(),
        ["fuzz"] => return ended("fuzz", fuzz::run_all(Duration::from_secs(60))),
        ["fuzz", seconds] => match seconds.parse() {
            Ok(seconds @ 1..) => return ended("fuzz", fuzz::run_all(Duration::from_secs(seconds))),
            _ => return usage(&args),
        },
        ["--help" | "-h" | "help"] => {
            say(HELP);
            return ExitCode::SUCCESS;
        }
        _ => return usage(&args),
    };
    ended("verify", run(&stages))
}

fn usage(args: &[String]) -> ExitCode {
    say(&format!("verify: unknown words {args:?}\n\n{HELP}"));
    ExitCode::from(2)
}

/// Runs the stages in order; gives the number of tests that passed, or all that failed.
fn run(stages: &[&Stage]) -> Outcome<usize> {
    let (mut passed, mut failed) = (0, Vec::new());
    for (at, stage) in stages.iter().enumerate() {
        say(&format!("verify: [{}/{}] {} ...", at + 1, stages.len(), stage.name));
        let started = Instant::now();
        let result = (stage.run)();
        let seconds = started.elapsed().as_secs_f64();
        let (style, word) = match &result {
            Ok(0) => (Style::Dim, format!("ok in {seconds:.1} s")),
            Ok(tests) => (Style::Dim, format!("ok in {seconds:.1} s, {tests} passed")),
            Err(_) => (Style::Bad, format!("failed in {seconds:.1} s")),
        };
        say(&Palette::of_stdout().paint(style, &format!("verify:       {word}")));
        match result {
            Ok(tests) => passed += tests,
            Err(why) => {
                // Now for who waits for it, and at the end again: that is what is read of a long log.
                say(&format!("{why}"));
                failed.push(format!("{}\n{why}", stage.name));
                if stage.then == Then::End {
                    break;
                }
            }
        }
    }
    if failed.is_empty() { Ok(passed) } else { Err(Failure::new(failed.join("\n\n"))) }
}

fn ended(what: &str, result: Outcome<usize>) -> ExitCode {
    let palette = Palette::of_stdout();
    match result {
        Ok(passed) => {
            say(&palette.paint(Style::Good, &format!("{what}: ok")));
            say(&format!("{passed} passed, 0 failed"));
            ExitCode::SUCCESS
        }
        Err(why) => {
            say(&palette.paint(Style::Bad, &format!("{what}: failed: {why}")));
            ExitCode::FAILURE
        }
    }
}

fn install_packages() -> Outcome<usize> {
    packages::ensure(packages::NEEDED, |line| say(&format!("verify: {line}")))?;
    Ok(0)
}

fn format() -> Outcome<usize> {
    run_cargo(cargo().args(&["fmt", "--all", "--", "--check", "--color", "never"]))?;
    Ok(0)
}

fn lints() -> Outcome<usize> {
    let features =
        ["--workspace", "--all-targets", "--features", "svcauth_tests/e2e,svcauthd/e2e,svcauth_shell/e2e"];
    run_cargo(
        cargo().args(&["clippy", "--locked", "--quiet"]).args(&features).args(&["--", "-D", "warnings"]),
    )?;
    Ok(0)
}

/// Everything but the modules; and what plain `cargo test` does without: the ids of SIDs against sssd's library, the manual
/// pages against the programs that show them, the commands of real rsync, scp and git.
fn unit_tests() -> Outcome<usize> {
    run_tests(&[
        &["--workspace", "--exclude", "nss_svcauth", "--exclude", "pam_svcauth"],
        &["-p", "svcauth_core", "--test", "sssd_library", "--", "--ignored"],
        &["-p", "svcauth_core", "--features", "command", "--test", "command_clients", "--", "--ignored"],
        &["-p", "svcauthd", "--test", "manuals", "--", "--ignored"],
    ])
}

/// The modules by themselves, with no feature that another crate turns on: what they export, need and import, the proof
/// of panic freedom, every return code through a real libpam.
fn module_tests() -> Outcome<usize> {
    run_tests(&[&["-p", "nss_svcauth"], &["-p", "pam_svcauth"]])
}

fn end_to_end() -> Outcome<usize> {
    packages::require_root()?;
    let own = ["--test", "content_sync", "--test", "pam_walk", "--test", "report_pages"];
    run_tests(&[
        &[&["-p", "svcauthd", "--features", "e2e"], &own[..]].concat(),
        &["-p", "svcauth_shell", "--features", "e2e", "--test", "scripted"],
        &["-p", "svcauth_tests", "--features", "e2e", "--test", "e2e"],
    ])
}

fn begin_trees() -> Outcome<usize> {
    // Without root the stages that need trees say so when it is their turn.
    if packages::require_root().is_ok() {
        packages::ensure(tree::PACKAGES, |line| say(&format!("verify: {line}")))?;
        tree::begin(Release::ALL, target_folder()?);
    }
    Ok(0)
}

fn begin_release() -> Outcome<usize> {
    if packages::require_root().is_ok() {
        release::begin()?;
    }
    Ok(0)
}

fn documentation() -> Outcome<usize> {
    let doc = cargo().args(&["doc", "--locked", "--quiet", "--workspace", "--no-deps"]);
    run_cargo(doc.env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(0)
}

/// `cargo test` with each of these words, whatever comes of the others: the number that passed, or all that failed.
fn run_tests(runs: &[&[&str]]) -> Outcome<usize> {
    let (mut passed, mut failed) = (0, Vec::new());
    for words in runs {
        let test = cargo().args(&["test", "--locked", "--no-fail-fast"]).args(words);
        let ended = test.patience(PATIENCE).run()?;
        passed += count(&ended.stdout);
        let ended = Ended { stdout: without_passed(&ended.stdout), ..ended };
        failed.extend(ended.expect_ok().err().map(|why| why.to_string()));
    }
    if failed.is_empty() { Ok(passed) } else { Err(Failure::new(failed.join("\n"))) }
}

fn run_cargo(program: Program) -> Outcome<Ended> {
    program.patience(PATIENCE).run()?.expect_ok()
}

/// The sum of `N passed` over all `test result:` lines.
fn count(output: &str) -> usize {
    let passed =
        |line: &str| line.strip_prefix("test result: ok. ")?.split(' ').next()?.parse::<usize>().ok();
    output.lines().filter_map(passed).sum()
}

/// What `cargo test` and our own runner print, without what passed.
fn without_passed(output: &str) -> String {
    let of_test = |line: &str| {
        line.starts_with("test ") && [" ... ok", " ... ignored"].iter().any(|end| line.contains(end))
    };
    let of_program = |line: &str| line.starts_with("test result: ok.") || line.starts_with("running ");
    let says = |line: &&str| !(line.is_empty() || of_test(line) || of_program(line));
    output.lines().filter(says).map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_counted_over_all_binaries() {
        let output = "running 2 tests\ntest result: ok. 2 passed; 0 failed; 0 ignored\n\ntest result: ok. 40 passed; 0 failed\n";
        assert_eq!(count(output), 42);
        assert_eq!(count("test result: FAILED. 3 passed; 1 failed"), 0);
    }

    #[test]
    fn what_passed_is_left_out_of_what_failed() {
        let output = "running 3 tests\ntest a ... ok\ntest b ... ok (0.1s)\ntest d ... ignored, needs e\n\n\
            test c ... FAILED (0.1s)\n---- c ----\nnot ... ok\ntest result: ok. 7 passed; 0 failed\n";
        assert_eq!(without_passed(output), "test c ... FAILED (0.1s)\n---- c ----\nnot ... ok\n");
    }

    #[test]
    fn one_run_tells_all_that_failed_up_to_a_premise() {
        let good = Stage::test("good", || Ok(3));
        let bad = Stage::test("bad", || Err(Failure::new("no")));
        let worse = Stage::premise("worse", || Err(Failure::new("never")));
        assert_eq!(run(&[&good, &good]).unwrap(), 6);
        let premise = Stage::premise("premise", || Ok(0));
        assert_eq!(run(&[&bad, &premise, &worse, &bad]).unwrap_err().to_string(), "bad\nno\n\nworse\nnever");
    }
}
