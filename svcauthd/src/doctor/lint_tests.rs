use std::collections::BTreeSet;

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
