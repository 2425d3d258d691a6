//! docs/commands.md against the code: each configuration in it is one, and each line under it runs or is refused as it says.

use std::fs;

use svcauth_core::command::{Limits, Ruling, Wish, admit};
use svcauth_core::config::Config;

use crate::page::workspace;

/// The fenced blocks of the guide with the word behind their fence.
fn blocks() -> Vec<(String, String)> {
    let text = fs::read_to_string(workspace().join("docs/commands.md")).unwrap();
    let inside = text.split("```").skip(1).step_by(2);
    inside
        .map(|block| block.split_once('\n').unwrap())
        .map(|(kind, body)| (kind.to_owned(), body.to_owned()))
        .collect()
}

fn limits(text: &str) -> Vec<Limits> {
    let config = Config::parse(&format!("[directory]\nkind = \"ldif\"\n{text}"));
    let config = config.unwrap_or_else(|error| panic!("{error}\n{text}"));
    config.access.into_iter().map(|rule| rule.limits.expect("a rule of the guide has limits")).collect()
}

#[test]
fn every_line_of_the_guide_runs_or_is_refused_as_it_says() {
    let (mut present, mut ran, mut refused) = (Vec::new(), 0, 0);
    for (kind, body) in blocks() {
        match kind.as_str() {
            "toml" => present = limits(&body),
            "text" => {
                let all: Vec<&Limits> = present.iter().collect();
                for line in body.lines() {
                    let (word, rest) = line.split_once(' ').unwrap();
                    let (wish, verdict) = match word {
                        "shell" => (Wish::Shell, rest.trim()),
                        verdict => (Wish::Line(rest.trim().as_bytes()), verdict),
                    };
                    match (verdict, admit(&all, wish)) {
                        ("runs", Ruling::Run(_)) => ran += 1,
                        ("refused", Ruling::Refuse(_)) => refused += 1,
                        (_, ruling) => panic!("{line}: {ruling:?}"),
                    }
                }
            }
            other => panic!("a block of {other:?} is held against nothing"),
        }
    }
    assert!(ran > 12 && refused > 15, "{ran} {refused}");
}

#[test]
fn every_command_that_the_guide_names_is_one() {
    let text = fs::read_to_string(workspace().join("docs/commands.md")).unwrap();
    let outside: String = text.split("```").step_by(2).collect();
    let spans = outside.split('`').skip(1).step_by(2).filter(|span| span.starts_with("svcauth "));
    let mut tried = 0;
    for span in spans {
        let call = span.split('>').next().unwrap().replace('\'', "\"");
        let (call, quoted) =
            call.split_once('"').map_or((call.as_str(), None), |(call, rest)| (call, Some(rest)));
        let words: Vec<&str> =
            call.split_whitespace().chain(quoted.map(|rest| rest.trim_end_matches('"'))).collect();
        let parsed = svcauthd::cli::command().try_get_matches_from(&words);
        assert!(parsed.is_ok(), "{span}: {}", parsed.unwrap_err());
        tried += 1;
    }
    assert!(tried >= 7, "{tried}");
}
