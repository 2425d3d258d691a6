//! What the documents say about the tree is true.

use std::collections::BTreeMap;

use svcauth_tests::artifacts::workspace_folder;
use svcauth_tests::failure::{Context, Outcome, require};

/// Documents whose rows end with the tests that hold them to be true, and how many files each names at least.
const TABLES: &[(&str, usize)] = &[("docs/past-cves.md", 20), ("docs/hostile-servers.md", 10)];

#[test]
fn every_test_that_a_table_names_exists_where_it_says() -> Outcome {
    for (table, files) in TABLES {
        let document = std::fs::read_to_string(workspace_folder()?.join(table))?;
        let named = named_tests(&document);
        require(named.len() > *files, || format!("{table} names only {} files", named.len()))?;
        exist(named).doing(table)?;
    }
    Ok(())
}

fn exist(named: BTreeMap<String, Vec<String>>) -> Outcome {
    let room = workspace_folder()?;
    for (file, tests) in named {
        let source = std::fs::read_to_string(room.join(&file)).doing(&file)?;
        for test in tests {
            require(source.contains(&format!("fn {test}(")), || format!("{file} has no test {test}"))?;
        }
    }
    Ok(())
}

#[test]
fn every_row_of_a_table_names_a_test_or_says_that_there_is_none() -> Outcome {
    for (table, _) in TABLES {
        let document = std::fs::read_to_string(workspace_folder()?.join(table))?;
        every_row(&document).doing(table)?;
    }
    Ok(())
}

/// A heading is the row above a line of dashes.
fn every_row(document: &str) -> Outcome {
    let lines = document.lines().zip(document.lines().skip(1));
    for (row, _) in lines.filter(|(row, next)| row.starts_with("| ") && !next.starts_with("|---")) {
        let last = row.trim_end_matches([' ', '|']).rsplit(" | ").next().unwrap_or_default();
        let has_tests = named_tests(row).values().any(|tests| !tests.is_empty());
        require(has_tests != (last == "no test yet"), || format!("this row does neither: {row}"))?;
    }
    Ok(())
}

/// Names in backticks: a path that ends in `.rs`, and the tests of that file behind it.
fn named_tests(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::<String, Vec<String>>::new();
    for line in text.lines() {
        let mut file = None;
        for word in line.split('`').skip(1).step_by(2) {
            if word.ends_with(".rs") && word.contains('/') {
                file = Some(word);
            } else if let Some(file) = file.filter(|_| word.contains('_')) {
                found.entry(file.to_owned()).or_default().push(word.to_owned());
            }
        }
    }
    found
}
