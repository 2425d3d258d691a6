//! Words of a command line, held against real shells.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests: a failure is a panic"
)]

use std::process::Command;

use proptest::prelude::*;
use svcauth_core::command::split;

/// dash on Debian, and what most accounts have.
const SHELLS: [&str; 2] = ["sh", "bash"];
const HOME: &str = "/home/somebody";

/// The words that a shell makes of what follows the name of a program.
fn by(shell: &str, arguments: &[u8]) -> Vec<Vec<u8>> {
    use std::os::unix::ffi::OsStringExt as _;
    let line = [b"printf '%s\\0' ".as_slice(), arguments].concat();
    let output = Command::new(shell)
        .env_clear()
        .envs([("HOME", HOME), ("PATH", "/usr/bin:/bin"), ("LC_ALL", "C.UTF-8")])
        .arg("-c")
        .arg(std::ffi::OsString::from_vec(line))
        .output()
        .unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{shell}: {output:?}");
    let mut words: Vec<Vec<u8>> = output.stdout.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
    assert_eq!(words.pop(), Some(Vec::new()), "{shell} printed no zero at the end");
    words
}

/// Our words behind a program, with the home directory where a shell puts it.
fn ours(arguments: &[u8]) -> Option<Vec<Vec<u8>>> {
    let words = split(&[b"x ", arguments].concat()).ok()?;
    let expanded = words.into_iter().skip(1).map(|word| match word.home {
        true => [HOME.as_bytes(), &word.bytes[1..]].concat(),
        false => word.bytes,
    });
    Some(expanded.collect())
}

#[test]
fn every_line_of_the_corpus_becomes_the_words_that_shells_make_of_it_or_names_what_is_for_a_shell() {
    let (mut read, mut refused) = (0, 0);
    for row in include_str!("commands/words.jsonl").lines() {
        let (line, expected): (String, serde_json::Value) = serde_json::from_str(row).unwrap();
        let words = split(line.as_bytes());
        let Some(expected) = expected.as_array() else {
            let what = words.expect_err(&line).to_string();
            assert!(what.contains(expected.as_str().unwrap()), "{line:?}: {what}");
            refused += 1;
            continue;
        };
        let expected: Vec<&[u8]> = expected.iter().map(|word| word.as_str().unwrap().as_bytes()).collect();
        let words: Vec<Vec<u8>> = match words {
            Ok(words) => words.into_iter().map(|word| word.bytes).collect(),
            Err(what) => panic!("{line:?}: {what}"),
        };
        assert_eq!(words, expected, "{line:?}");
        for shell in SHELLS {
            assert_eq!(by(shell, line.as_bytes()), expected, "{shell}: {line:?}");
        }
        read += 1;
    }
    assert!(read >= 100 && refused >= 100, "{read} and {refused}");
}

/// Bytes as they are found in hostile lines: much that a shell acts upon, in and out of quotes.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let any = any::<u8>().prop_filter("no argument holds it", |byte| *byte != 0).prop_map(|byte| vec![byte]);
    let single = "[ -&(-~]{0,6}".prop_map(|text| format!("'{text}'").into_bytes());
    let double = r#"([ !#%-_a-~]|\\[ -~]){0,6}"#.prop_map(|text| format!("\"{text}\"").into_bytes());
    let escaped = any.clone().prop_map(|byte| [b"\\", byte.as_slice()].concat());
    let plain = "[a-zA-Z0-9_./:=+,@%^-]{1,6}".prop_map(String::into_bytes);
    let rare = "[!#~;&|<>()$`*?{}\n\\[\\]'\"\\\\]".prop_map(String::into_bytes);
    let blank = "[ \t]{1,2}".prop_map(String::into_bytes);
    let home =
        prop_oneof![Just(b" ~/".to_vec()), Just(b" ~ ".to_vec()), Just(b"=~/".to_vec()), Just(b"#".to_vec())];
    let piece = prop_oneof![6 => plain, 6 => blank, 3 => single, 3 => double, 3 => escaped, 1 => any, 1 => rare, 1 => home];
    proptest::collection::vec(piece, 1..9).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 1 << 20, ..ProptestConfig::with_cases(400) })]
    #[test]
    fn whatever_is_read_is_what_shells_read(line in pieces()) {
        let Some(words) = ours(&line) else { return Err(TestCaseError::reject("for a shell")) };
        prop_assume!(!words.is_empty());
        for shell in SHELLS {
            prop_assert_eq!(&by(shell, &line), &words, "{}: {}", shell, line.escape_ascii());
        }
    }
}

#[test]
fn every_word_of_the_language_of_a_shell_is_refused_where_a_program_stands() {
    let keywords = Command::new("bash").args(["-c", "compgen -k"]).output().unwrap().stdout;
    let keywords = String::from_utf8(keywords).unwrap();
    assert!(keywords.lines().count() > 15, "{keywords}");
    for keyword in keywords.lines() {
        assert!(split(format!("{keyword} x").as_bytes()).is_err(), "{keyword}");
        assert!(split(format!("x '{keyword}'").as_bytes()).is_ok(), "{keyword}");
    }
}
