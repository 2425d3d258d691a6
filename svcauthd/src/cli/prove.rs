//! `svcauth doctor --prove`: a line for each step as it ends, and what it all means.

use std::process::ExitCode;

use serde::Serialize;

use super::Done;
use super::output::{Failure, json, line};
use crate::doctor::prove::{Said, Step, Tally, Verdict, run as prove};

/// The answer for scripts.
#[derive(Default, Serialize)]
struct Answer {
    proven: bool,
    ok: usize,
    failed: usize,
    skipped: usize,
    steps: Vec<Step>,
    differences: Vec<String>,
}

pub(super) fn run(as_json: bool) -> Done {
    let mut answer = Answer::default();
    let tally = prove(|said| {
        match said {
            Said::Step(step) if as_json => answer.steps.push(step.clone()),
            Said::Difference(text) if as_json => answer.differences.push(text.clone()),
            Said::Step(step) => show(step)?,
            Said::Difference(text) => line(&format!("private {text}"))?,
            Said::Ready | Said::End => {}
        }
        Ok::<(), Failure>(())
    })?;
    if as_json {
        let Tally { ok, failed, skipped, .. } = tally;
        json(&Answer { proven: tally.is_proven(), ok, failed, skipped, ..answer })?;
    } else {
        line(&last_line(tally))?;
    }
    Ok(if tally.is_proven() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(step: &Step) -> Result<(), Failure> {
    let word = match step.result {
        Verdict::Ok => "ok     ",
        Verdict::Failed => "FAILED ",
        Verdict::Skipped => "-      ",
    };
    let detail = if step.detail.is_empty() { String::new() } else { format!(" ({})", step.detail) };
    let text = format!("{word} {}{detail}", step.what);
    Ok(line(&text)?)
}

fn last_line(tally: Tally) -> String {
    let Tally { ok, failed, skipped, complete } = tally;
    let left_out =
        if skipped == 0 { String::new() } else { format!(", {skipped} not to be tried on this host") };
    match (tally.is_proven(), complete) {
        (true, _) => {
            format!("proven: {ok} steps{left_out}; the refused are refused, and root and local users get in")
        }
        (false, false) => format!(
            "NOT PROVEN: it ended in the middle, after {ok} steps that are ok and {failed} that are not"
        ),
        (false, true) => format!("NOT PROVEN: {failed} of {} steps failed{left_out}", ok + failed),
    }
}

#[cfg(test)]
mod tests {
    use super::{Tally, last_line};

    #[test]
    fn the_last_line_says_whether_it_is_proven_and_never_both() {
        let tally = |failed, complete| Tally { ok: 70, failed, skipped: 2, complete };
        let said = last_line(tally(0, true));
        assert!(said.starts_with("proven: 70 steps, 2 not to be tried on this host; "), "{said}");
        assert_eq!(
            last_line(tally(3, true)),
            "NOT PROVEN: 3 of 73 steps failed, 2 not to be tried on this host"
        );
        assert!(last_line(tally(0, false)).starts_with("NOT PROVEN: it ended in the middle"));
    }
}
