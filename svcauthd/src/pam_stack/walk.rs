//! How libpam walks a phase of a stack, for every answer that the modules might give: the rules of `_pam_dispatch_aux`.

use std::collections::HashSet;

use super::{Action, Code, Kind, Line};

/// What a stack fails with that nobody has answered in (`PAM_MUST_FAIL_CODE`).
const MUST_FAIL: Code = Code::PERM_DENIED;
/// More ways than this are not followed; real stacks have some hundred.
const STATES_MAX: usize = 200_000;

/// One way that a walk can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ending {
    /// What the program hears.
    pub status: Code,
    /// Whether the watched line was walked.
    pub watched: bool,
    /// The line, counted from 0, whose answer left the watched line out.
    pub left_out_by: Option<usize>,
    /// The line whose answer the program hears.
    pub status_by: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Impression {
    Undefined,
    Positive,
    Negative,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Verdict {
    impression: Impression,
    status: Code,
    by: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    at: usize,
    verdict: Verdict,
    /// What the verdict was where each substack began.
    before: Vec<Verdict>,
    watched: bool,
    left_out_by: Option<usize>,
}

/// All ends that a walk can have. `answers` are the codes that a line's module may return; `watched` says which line is
/// asked about. Nothing, if there are too many ways to follow.
pub fn walk(
    lines: &[Line],
    answers: impl Fn(&Line) -> Vec<Code>,
    watched: impl Fn(&Line) -> bool,
) -> Option<Vec<Ending>> {
    let undefined = Verdict { impression: Impression::Undefined, status: MUST_FAIL, by: None };
    let mut open =
        vec![State { at: 0, verdict: undefined, before: vec![undefined], watched: false, left_out_by: None }];
    let (mut seen, mut endings) = (HashSet::new(), Vec::new());
    while let Some(state) = open.pop() {
        let Some(line) = lines.get(state.at) else {
            let ending = ending(&state);
            if !endings.contains(&ending) {
                endings.push(ending);
            }
            continue;
        };
        let entered = enter(lines, state);
        if let Kind::Substack(_) = line.kind {
            open.push(State { at: entered.at + 1, ..entered });
            continue;
        }
        let codes = if let Kind::Broken(_) = line.kind { vec![MUST_FAIL] } else { answers(line) };
        for code in codes {
            let next = step(lines, &entered, line, code, watched(line), &watched);
            if seen.len() >= STATES_MAX {
                return None;
            }
            if seen.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    Some(endings)
}

fn ending(state: &State) -> Ending {
    let Verdict { impression, status, by } = state.verdict;
    let status =
        if status == Code::SUCCESS && impression != Impression::Positive { MUST_FAIL } else { status };
    Ending { status, watched: state.watched, left_out_by: state.left_out_by, status_by: by }
}

/// Remembers the verdict where a substack begins.
fn enter(lines: &[Line], mut state: State) -> State {
    let level = |at: usize| lines.get(at).map_or(0, |line| line.level);
    let before = state.at.checked_sub(1).map_or(0, level);
    if before < level(state.at) {
        state.before.truncate(level(state.at));
        state.before.push(state.verdict);
    }
    state
}

fn step(
    lines: &[Line],
    state: &State,
    line: &Line,
    code: Code,
    is_watched: bool,
    watched: &impl Fn(&Line) -> bool,
) -> State {
    let mut next = state.clone();
    next.watched |= is_watched;
    next.at += 1;
    let bad = |status| Verdict { impression: Impression::Negative, status, by: Some(state.at) };
    match line.control.action(code) {
        Action::Ignore => {}
        Action::Ok => next.verdict = good(state, code),
        Action::Done => {
            next.verdict = good(state, code);
            if next.verdict.impression == Impression::Positive {
                next.at = behind(lines, state.at, line.level);
            }
        }
        action @ (Action::Bad | Action::Die) => {
            if state.verdict.impression != Impression::Negative {
                next.verdict = bad(if code == Code::IGNORE { MUST_FAIL } else { code });
            }
            if action == Action::Die {
                next.at = behind(lines, state.at, line.level);
            }
        }
        Action::Reset => next.verdict = state.before.get(line.level).copied().unwrap_or(state.verdict),
        Action::Jump(count) => match landing(lines, state.at, line.level, count) {
            Some(at) => next.at = at,
            None => {
                // "bad jump in stack": what is skipped is skipped, and the stack fails.
                next.at = behind(lines, state.at, line.level);
                next.verdict = bad(MUST_FAIL);
            }
        },
    }
    let skipped = lines.get(state.at + 1..next.at).unwrap_or_default();
    if !next.watched && skipped.iter().any(watched) {
        next.left_out_by.get_or_insert(state.at);
    }
    next
}

fn good(state: &State, code: Code) -> Verdict {
    let Verdict { impression, status, .. } = state.verdict;
    let undisturbed = impression == Impression::Undefined
        || (impression == Impression::Positive && status == Code::SUCCESS);
    if undisturbed {
        Verdict { impression: Impression::Positive, status: code, by: Some(state.at) }
    } else {
        state.verdict
    }
}

/// The line behind the stack or substack that a line is in.
fn behind(lines: &[Line], at: usize, level: usize) -> usize {
    let rest = lines.get(at + 1..).unwrap_or_default();
    at + 1 + rest.iter().take_while(|line| line.level >= level).count()
}

/// Where a jump over so many lines ends; a substack counts as one line. Nothing: the stack is not that long.
fn landing(lines: &[Line], at: usize, level: usize, count: u32) -> Option<usize> {
    let end = behind(lines, at, level);
    let mut here = at;
    for _ in 0..count {
        here += 1;
        if here >= end {
            return None;
        }
        while lines.get(here + 1).is_some_and(|line| line.level > level) {
            here += 1;
        }
    }
    Some(here + 1)
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
