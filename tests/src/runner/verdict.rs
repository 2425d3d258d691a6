//! How cases ended, said as cargo test does.

use std::time::Duration;

use super::wish::Wish;
use crate::failure::indent;
use crate::terminal::say;

/// How one case ended.
pub(crate) struct Verdict {
    pub(crate) name: String,
    pub(crate) passed: bool,
    pub(crate) output: String,
    pub(crate) took: Duration,
}

/// One line about a case, and what it said when that is wanted.
pub(crate) fn announce(verdict: &Verdict, wish: &Wish) {
    let word = if verdict.passed { "ok" } else { "FAILED" };
    say(&format!("test {} ... {word} ({:.1}s)", verdict.name, verdict.took.as_secs_f64()));
    if wish.show_output && verdict.passed && !verdict.output.is_empty() {
        say(&indent(&verdict.output));
    }
}

/// What failed, at length, and the line of numbers.
pub(crate) fn report(verdicts: &[Verdict], left_out: usize, took: Duration) {
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
