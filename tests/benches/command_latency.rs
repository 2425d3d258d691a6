//! What a command costs through `svcauth-shell`: the shell asks, the daemon finds out who asks, decides and records, the shell
//! starts it and waits. In a private world, on a session of a real sshd, as ratios to `sh -c true` of the same run.
//!
//! `cargo bench -p svcauth_tests --features e2e --bench command_latency` as root; `-- 5000` for so many rounds in place of 1000.

#[path = "../tests/e2e/host.rs"]
#[allow(dead_code, reason = "the end-to-end tests need more of it")]
mod host;
#[path = "../tests/e2e/latency.rs"]
mod latency;

use std::process::ExitCode;

use svcauth_tests::artifacts::Artifacts;
use svcauth_tests::failure::{Context, Failure, Outcome, require};
use svcauth_tests::packages;
use svcauth_tests::terminal::say;
use svcauth_tests::world::{self, World};

use latency::{OURS, SH, Start, Times, measured};

/// What a command may cost at most, in milliseconds.
const BOUND: f64 = 5.0;
const ROUNDS: usize = 1000;

const SFTP: &str = "/usr/lib/openssh/sftp-server";

/// What is started, and what it shows. The first of a pair is what the second would be without us.
const STARTS: [Start; 5] = [
    SH,
    // How much of it is the program, which sh does without.
    ("/bin/sh", "/usr/bin/true"),
    OURS,
    // A program that is confined to a folder.
    ("/bin/sh", SFTP),
    ("/usr/bin/svcauth-shell", SFTP),
];

fn main() -> ExitCode {
    if let Some(code) = world::enter(|world, words| ended(inside(&world, words))) {
        return code;
    }
    ended(outside())
}

fn ended(outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            say(&why.to_string());
            ExitCode::FAILURE
        }
    }
}

fn outside() -> Outcome {
    packages::require_root()?;
    packages::ensure(packages::NEEDED, say)?;
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    rounds(&words)?;
    let artifacts = Artifacts::build(say)?;
    let status = world::launch(Some(&artifacts), &words)?.status().doing("run the world")?;
    require(status.success(), || "the measurement failed".to_owned())
}

fn rounds(words: &[&str]) -> Outcome<usize> {
    let number = |word: &str| word.parse().ok().filter(|rounds| *rounds > 0);
    let first = words.first().map_or(Some(ROUNDS), |word| number(word));
    first.ok_or_else(|| Failure::new("how many rounds is a number"))
}

fn inside(world: &World, words: &[String]) -> Outcome {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let rounds = rounds(&words)?;
    let [sh, program, ours, sh_sftp, our_sftp] = measured(world, &STARTS, rounds)?;
    say(&format!("{rounds} rounds; milliseconds: the median, and between what eight of ten lie"));
    for (start, times) in STARTS.iter().zip([&sh, &program, &ours, &sh_sftp, &our_sftp]) {
        row(start, times, &sh);
    }
    say("");
    added("svcauth-shell -c true adds to sh -c true", &sh, &ours);
    added("the same beside sh -c /usr/bin/true", &program, &ours);
    added("sftp-server, confined to a folder", &sh_sftp, &our_sftp);
    Ok(())
}

fn row((shell, line): &Start, times: &Times, sh: &Times) {
    let name = format!("{} -c {line}", shell.rsplit('/').next().unwrap_or(shell));
    let (median, few, most) = (times.median(), times.at(0.1), times.at(0.9));
    say(&format!("{name:<46} {median:>7.3}  ({few:.3} to {most:.3})  ratio {:>5.2}", median / sh.median()));
}

fn added(what: &str, without: &Times, with: &Times) {
    let (median, least) = (with.median() - without.median(), with.undisturbed() - without.undisturbed());
    let word = if least < BOUND { "below" } else { "NOT below" };
    say(&format!("{what:<46} {median:>7.3}  ({least:.3} where nothing disturbs: {word} {BOUND} ms)"));
}
