use std::collections::BTreeSet;

use svcauth_tests::seeded::FAULTS;

use super::ALL;

const MANUAL: &str = include_str!("../../../docs/doctor.md");

#[test]
fn the_manual_has_a_row_for_each_code_with_its_severity_and_for_no_other() {
    let rows = MANUAL.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let written: BTreeSet<(&str, &str)> =
        rows.filter_map(|(code, rest)| Some((code, rest.split_once(" | ")?.0))).collect();
    let known: BTreeSet<(&str, &str)> = ALL.iter().map(|lint| (lint.code, lint.severity.word())).collect();
    assert_eq!(written, known);
    assert_eq!(known.len(), ALL.len(), "a code stands for two lints");
}

const WORLDS: &str = include_str!("../../../tests/tests/e2e/doctor.rs");

/// Codes that no row of `svcauth_tests::seeded` seeds: the text of the test that does it in its place, and why.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("not_enabled", WORLDS, "on a host with a row of faults svcauth is enabled"),
    ("nss_other_source", WORLDS, "needs a library for the name service, and a case where it is none"),
    ("nss_source_unknown", WORLDS, "the same"),
    ("limits_no_landlock", WORLDS, "needs a filter for the system calls of doctor itself"),
    ("places_unseen", WORLDS, "takes as long as doctor waits"),
    (
        "sshd_key_files_unseen",
        include_str!("sshd/keys.rs"),
        "needs homes that are slow and answer in the end",
    ),
    ("homes_unseen", include_str!("homes.rs"), "the same"),
    ("no_audit_sessions", include_str!("running.rs"), "needs a kernel that was built without them"),
];

#[test]
fn each_code_is_seeded_by_a_test() {
    let rows: BTreeSet<&str> = FAULTS.iter().flat_map(|theme| theme.iter()).map(|fault| fault.code).collect();
    let elsewhere: BTreeSet<&str> = ELSEWHERE.iter().map(|(code, ..)| *code).collect();
    assert_eq!(rows.intersection(&elsewhere).collect::<Vec<_>>(), [] as [&&str; 0], "it has a row");
    let known: BTreeSet<&str> = ALL.iter().map(|lint| lint.code).collect();
    let differ = &(&rows | &elsewhere) ^ &known;
    assert!(differ.is_empty(), "no test seeds it, or doctor does not know it: {differ:?}");
    for (code, test, why) in ELSEWHERE {
        // The unit tests of a file stand behind what they test.
        let tests = test.split_once("#[cfg(test)]").map_or(*test, |(_, tests)| tests);
        assert!(tests.contains(&format!("\"{code}")), "{code}: not in the test that is named ({why})");
    }
}
