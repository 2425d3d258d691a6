use std::path::PathBuf;

use super::{Ending, walk};
use crate::pam_stack::{Code, Control, Kind, Line, Phase};

/// `control module level` a line; the module `ours` is watched.
fn stack(text: &str) -> Vec<Line> {
    let line = |(index, line): (usize, &str)| {
        let mut words: Vec<&str> = line.trim().split(' ').collect();
        let level = words.last().unwrap().parse().unwrap_or(0);
        if words.last().unwrap().parse::<usize>().is_ok() {
            words.pop();
        }
        let module = words.pop().unwrap();
        let kind = match module.strip_prefix('@') {
            Some(name) => Kind::Substack(name.to_owned()),
            None => Kind::Module(module.to_owned(), Vec::new()),
        };
        let control = Control::parse(&words.join(" ")).unwrap();
        Line { phase: Phase::Session, control, kind, file: PathBuf::from("f"), number: index + 1, level }
    };
    text.split(';').enumerate().map(line).collect()
}

/// What the program hears, when `ours` refuses and `bad` fails with session_err and all others are content.
fn refused(text: &str) -> Ending {
    let answers = |line: &Line| match line.module() {
        "ours" => vec![Code::PERM_DENIED],
        "bad" => vec![Code::SESSION_ERR],
        "ignore" => vec![Code::IGNORE],
        "lost" => vec![Code::MODULE_UNKNOWN],
        _ => vec![Code::SUCCESS],
    };
    let endings = walk(&stack(text), answers, |line| line.module() == "ours").unwrap();
    assert_eq!(endings.len(), 1, "{text}: {endings:?}");
    endings[0]
}

/// The rows were run with libpam 1.5.2 and sudo (required X; requisite S and so on), or stand in pam.conf(5).
#[test]
fn a_refusal_ends_as_libpam_ends_it() {
    for (text, status) in [
        ("required ours; required x", Code::PERM_DENIED),
        ("requisite ours; required bad", Code::PERM_DENIED),
        ("required ours; required bad", Code::PERM_DENIED),
        ("optional bad; requisite ours", Code::PERM_DENIED),
        // The first failure is what sudo hears, and sudo runs the command on a session_err.
        ("required bad; required ours", Code::SESSION_ERR),
        ("required bad; requisite ours", Code::SESSION_ERR),
        ("required bad; [default=die] ours", Code::SESSION_ERR),
        ("optional ours; required x", Code::SUCCESS),
        ("sufficient ours; required x", Code::SUCCESS),
        ("[success=ok default=ignore] ours; required x", Code::SUCCESS),
        ("[success=done] ours; required x", Code::PERM_DENIED),
        ("sufficient x; requisite ours", Code::SUCCESS),
        ("[success=1] x; requisite ours; required y", Code::SUCCESS),
        // Nothing but a jump, and nobody has said yes: a failure.
        ("[success=1] x; requisite ours", Code::PERM_DENIED),
        ("[success=2] x; required y; required z; requisite ours", Code::PERM_DENIED),
        ("[success=9] x; required y", Code::PERM_DENIED),
        ("required ours; [success=reset] x; required y", Code::SUCCESS),
        ("required ignore", Code::PERM_DENIED),
        ("required lost; required x", Code::MODULE_UNKNOWN),
        ("[module_unknown=ignore default=die] lost; required x", Code::SUCCESS),
        // A substack is one line for a jump, and a decision in it ends no more than it.
        ("[success=1] x; required @s; requisite ours 1; required y", Code::SUCCESS),
        ("required @s; sufficient x 1; requisite ours 1; required y", Code::SUCCESS),
        ("required @s; requisite ours 1; required y", Code::PERM_DENIED),
        ("required x; required @s; required bad 1; [success=reset] y 1; required z", Code::SUCCESS),
    ] {
        assert_eq!(refused(text).status, status, "{text}");
    }
}

#[test]
fn the_line_that_leaves_another_out_is_named() {
    for (text, by) in [
        ("required a; sufficient x; requisite ours", Some(1)),
        ("[success=1] x; requisite ours; required y", Some(0)),
        ("required @s; sufficient x 1; requisite ours 1; required y", Some(1)),
        ("requisite ours; sufficient x", None),
        ("[success=1] x; required z; requisite ours", None),
    ] {
        let ended = refused(text);
        assert_eq!((ended.left_out_by, ended.watched), (by, by.is_none()), "{text}");
    }
    assert_eq!(refused("required x; required bad; requisite ours").status_by, Some(1));
}

#[test]
fn every_answer_is_followed_and_many_lines_end() {
    let lines = stack(&["[success=ok ignore=ignore default=bad] x"; 40].join(";"));
    let all = |_: &Line| Code::all().collect();
    let endings = walk(&lines, all, |_| false).unwrap();
    assert!(endings.iter().any(|it| it.status == Code::SUCCESS));
    assert!(endings.iter().any(|it| it.status == Code::SESSION_ERR));
    let jumps = stack(&["[success=1 auth_err=2 abort=3 default=4] x"; 40].join(";"));
    let ended = walk(&jumps, all, |_| false);
    assert!(ended.is_none_or(|endings| endings.iter().all(|it| it.status != Code::SUCCESS)));
}
