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
}

const QUICK: &[Stage] = &[
    Stage { name: "distribution's packages", run: install_packages },
    Stage { name: "format", run: format },
    Stage { name: "lints", run: lints },
    Stage { name: "unit tests", run: unit_tests },
    Stage { name: "modules and their gates", run: module_tests },
    Stage { name: "documentation", run: documentation },
];
/// Made while others compile: it waits for the network most of the time.
const TREES: Stage = Stage { name: "trees of Debian 12 and 13, in the background", run: begin_trees };
const END_TO_END: &[Stage] = &[
    Stage { name: "end-to-end tests", run: end_to_end },
    Stage { name: "packages: built", run: release::build },
    Stage { name: "packages: files", run: release::files },
    Stage { name: "packages: booted machines", run: release::machines },
];
const PACKAGES: &[Stage] = &[
    Stage { name: "distribution's packages", run: install_packages },
    TREES,
    Stage { name: "built", run: release::build },
    Stage { name: "built again elsewhere", run: release::build_again },
    Stage { name: "files", run: release::files },
    Stage { name: "booted machines", run: release::machines },
];

/// The whole of the command's main.
pub fn main() -> ExitCode {
    let args = words();
    let asked: Vec<&str> = args.iter().map(String::as_str).collect();
    let stages: Vec<&Stage> = match asked.as_slice() {
        [] => QUICK.iter().take(1).chain([&TREES]).chain(QUICK.iter().skip(1)).chain(END_TO_END).collect(),
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

/// Runs the stages in order up to the first that fails.
fn run(stages: &[&Stage]) -> Outcome<usize> {
    let mut passed = 0;
    for (at, stage) in stages.iter().enumerate() {
        say(&format!("verify: [{}/{}] {} ...", at + 1, stages.len(), stage.name));
        let started = Instant::now();
        let tests = (stage.run)().map_err(|why| Failure::new(format!("{}\n{why}", stage.name)))?;
        let count = if tests == 0 { String::new() } else { format!(", {tests} passed") };
        let seconds = started.elapsed().as_secs_f64();
        say(&Palette::of_stdout().paint(Style::Dim, &format!("verify:       ok in {seconds:.1} s{count}")));
        passed += tests;
    }
    Ok(passed)
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
    let plain = run_tests(&["--workspace", "--exclude", "nss_svcauth", "--exclude", "pam_svcauth"])?;
    let ids = run_tests(&["-p", "svcauth_core", "--test", "sssd_library", "--", "--ignored"])?;
    let clients = ["--features", "command", "--test", "command_clients", "--", "--ignored"];
    let clients = run_tests(&[&["-p", "svcauth_core"], &clients[..]].concat())?;
    Ok(plain + ids + clients + run_tests(&["-p", "svcauthd", "--test", "manuals", "--", "--ignored"])?)
}

/// The modules by themselves, with no feature that another crate turns on: what they export, need and import, the proof
/// of panic freedom, every return code through a real libpam.
fn module_tests() -> Outcome<usize> {
    Ok(run_tests(&["-p", "nss_svcauth"])? + run_tests(&["-p", "pam_svcauth"])?)
}

fn end_to_end() -> Outcome<usize> {
    packages::require_root()?;
    let own = ["--test", "content_sync", "--test", "pam_walk", "--test", "report_pages"];
    let sources = run_tests(&[&["-p", "svcauthd", "--features", "e2e"], &own[..]].concat())?;
    let shell = run_tests(&["-p", "svcauth_shell", "--features", "e2e", "--test", "scripted"])?;
    Ok(sources + shell + run_tests(&["-p", "svcauth_tests", "--features", "e2e", "--test", "e2e"])?)
}

fn begin_trees() -> Outcome<usize> {
    // Without root the stages that need trees say so when it is their turn.
    if packages::require_root().is_ok() {
        packages::ensure(tree::PACKAGES, |line| say(&format!("verify: {line}")))?;
        tree::begin(Release::ALL, target_folder()?);
    }
    Ok(0)
}

fn documentation() -> Outcome<usize> {
    let doc = cargo().args(&["doc", "--locked", "--quiet", "--workspace", "--no-deps"]);
    run_cargo(doc.env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(0)
}

fn run_tests(which: &[&str]) -> Outcome<usize> {
    let ended = run_cargo(cargo().args(&["test", "--locked"]).args(which))?;
    Ok(count(&ended.stdout))
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
    fn the_first_failing_stage_ends_the_run() {
        let good = Stage { name: "good", run: || Ok(3) };
        let bad = Stage { name: "bad", run: || Err(Failure::new("no")) };
        let never = Stage { name: "never", run: || Err(Failure::new("reached")) };
        assert_eq!(run(&[&good, &good]).unwrap(), 6);
        assert_eq!(run(&[&good, &bad, &never]).unwrap_err().to_string(), "bad\nno");
    }
}
