//! What holds for every command line.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests: a failure is a panic"
)]

#[path = "support/ruled.rs"]
mod ruled;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use svcauth_core::command::{CommandRule, Limits, Plan, Program, Ruling, Wish, WordPattern, admit};

/// Lines that run, and lines that must not.
fn corpus() -> Vec<Vec<u8>> {
    let rows = [
        include_str!("commands/rsync.txt"),
        include_str!("commands/transfers.txt"),
        include_str!("commands/escapes.txt"),
    ];
    let rows = rows.iter().flat_map(|rows| rows.lines()).filter(|row| !row.starts_with('#'));
    rows.map(|row| row.rsplit('\t').next().unwrap().as_bytes().to_vec()).collect()
}

/// What somebody might put into a line.
const INSERTED: [&str; 40] = [
    " ",
    "'",
    "\"",
    "\\",
    ";id",
    "$(id)",
    "`id`",
    "|id",
    "&",
    "\n",
    "*",
    "~",
    "~/",
    "..",
    "../",
    "/../",
    "/",
    "/etc",
    "-",
    "--",
    " -- ",
    " . ",
    " -s",
    "s",
    "e",
    "-e",
    " -esh",
    " --daemon",
    " --config=/x",
    " --log-file=/x",
    " --sender",
    " --server",
    " --rsh=id",
    " -S id",
    " -o x",
    " -t",
    " -f",
    " --exec=id",
    " --help",
    "=",
];

fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<Index>(), any::<Index>(), 0..3u8, select(&INSERTED[..]), any::<u8>());
    (select(corpus()), proptest::collection::vec(edit, 0..4)).prop_map(|(mut line, edits)| {
        for (at, to, what, inserted, byte) in edits {
            let at = at.index(line.len() + 1);
            match what {
                0 => drop(line.splice(at..at, inserted.bytes())),
                1 => drop(line.splice(at..at + to.index(line.len() - at + 1), [])),
                _ => drop(line.splice(at..(at + 1).min(line.len()), [byte])),
            }
        }
        line
    })
}

fn pattern() -> impl Strategy<Value = WordPattern> {
    let regex = select(&["[a-z]+", "a|b c", ".*", "-?[0-9]", ""][..]);
    prop_oneof![
        4 => word().prop_map(WordPattern::Exact),
        2 => regex.prop_map(|regex| WordPattern::Regex(regex.to_owned())),
        2 => Just(WordPattern::Any),
    ]
}

fn word() -> impl Strategy<Value = String> {
    let odd = "[ -~é\n]{0,5}";
    prop_oneof![4 => select(&["a", "b c", "-1", "", "x", "*", "~/x"][..]).prop_map(str::to_owned), 1 => odd]
}

/// The expressions above, without an engine.
fn is_match(regex: &str, word: &str) -> bool {
    match regex {
        "[a-z]+" => !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase()),
        "a|b c" => word == "a" || word == "b c",
        ".*" => !word.contains('\n'),
        "-?[0-9]" => matches!(word.strip_prefix('-').unwrap_or(word).as_bytes(), [b'0'..=b'9']),
        "" => word.is_empty(),
        other => panic!("{other}"),
    }
}

fn fits(patterns: &[WordPattern], words: &[String]) -> bool {
    match (patterns.first(), words.first()) {
        (None, None) => true,
        (Some(WordPattern::Rest), _) => true,
        (None, _) | (_, None) => false,
        (Some(pattern), Some(word)) => {
            let one = match pattern {
                WordPattern::Exact(exact) => exact == word,
                WordPattern::Regex(regex) => is_match(regex, word),
                WordPattern::Any | WordPattern::Rest => true,
            };
            one && fits(&patterns[1..], &words[1..])
        }
    }
}

/// One word as a client may write it.
fn written(word: &str, how: u8) -> Vec<u8> {
    match how {
        0 if !word.contains('\n') => word.chars().flat_map(|c| ['\\', c]).collect::<String>().into_bytes(),
        1 => {
            let inner: String = word
                .chars()
                .flat_map(|c| ["$`\"\\".contains(c).then_some('\\'), Some(c)])
                .flatten()
                .collect();
            format!("\"{inner}\"").into_bytes()
        }
        _ => ruled::in_quotes(word.as_bytes()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn whatever_is_done_to_a_line_what_runs_has_its_words_and_stays_in_its_folder(line in damaged()) {
        ruled::check(&line);
    }

    #[test]
    fn a_program_runs_with_exactly_the_words_of_the_line_if_and_only_if_the_rule_fits_them(
        patterns in proptest::collection::vec(pattern(), 0..4),
        rest in any::<bool>(),
        words in proptest::collection::vec((word(), 0..3u8), 0..5),
        path in any::<bool>(),
    ) {
        let mut patterns = patterns;
        patterns.extend(rest.then_some(WordPattern::Rest));
        let program = if path { "/opt/bin/run" } else { "run" };
        let mut line = program.as_bytes().to_vec();
        for (word, how) in &words {
            line.push(b' ');
            // Nothing written is no word at all.
            line.extend(written(word, if word.is_empty() { 2 } else { *how }));
        }
        let words: Vec<String> = words.into_iter().map(|(word, _)| word).collect();
        let expected = fits(&patterns, &words);
        let rule = core::iter::once(WordPattern::Exact("/opt/bin/run".to_owned())).chain(patterns).collect();
        let limits = Limits { commands: vec![CommandRule::Words(rule)], ..Limits::default() };
        match admit(&[&limits], Wish::Line(&line)) {
            Ruling::Run(Plan::Program(Program { path, arguments, files: None, .. })) => {
                prop_assert!(expected);
                prop_assert_eq!(path, "/opt/bin/run");
                prop_assert_eq!(arguments, words.into_iter().map(String::into_bytes).collect::<Vec<_>>());
            }
            Ruling::Refuse(_) => prop_assert!(!expected),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn lines_of_the_corpus_run_and_are_refused_before_anything_is_done_to_them() {
    let ran = corpus().iter().filter(|line| ruled::check(line)).count();
    assert!(ran > 120 && corpus().len() > ran + 120, "{ran} of {}", corpus().len());
}
