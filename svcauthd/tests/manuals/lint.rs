//! The pages against the two programs that show manual pages. These are no part of a Rust toolchain: `cargo verify`
//! installs and runs them.

use std::process::Command;

use crate::page::{Page, workspace};

fn said(program: &str, args: &[&str]) -> String {
    let ended = Command::new(program)
        .args(args)
        .envs([("LC_ALL", "C.UTF-8"), ("MANROFFSEQ", ""), ("MANWIDTH", "80")])
        .current_dir(workspace().join("docs/man"))
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let errors = String::from_utf8_lossy(&ended.stderr).into_owned();
    format!("{errors}{}", if ended.status.success() { "" } else { "exit status" })
}

#[test]
#[ignore = "needs mandoc(1): cargo verify runs it"]
fn mandoc_has_nothing_to_say_about_a_page() {
    for page in Page::all() {
        let ended = Command::new("mandoc")
            .args(["-T", "lint", "-W", "warning", &page.file])
            .current_dir(workspace().join("docs/man"))
            .output()
            .unwrap();
        let said =
            String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr);
        assert!(said.is_empty() && ended.status.success(), "{said}");
    }
}

/// As lintian asks.
#[test]
#[ignore = "needs man(1) and groff(1): cargo verify runs it"]
fn groff_has_nothing_to_say_about_a_page() {
    for page in Page::all() {
        let said = said("man", &["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", &page.file]);
        assert!(said.is_empty(), "{}: {said}", page.file);
    }
}

/// apropos(1) and the index of man(1) read the section NAME.
#[test]
#[ignore = "needs lexgrog(1): cargo verify runs it"]
fn the_name_of_a_page_is_found_by_the_index() {
    for page in Page::all() {
        let ended =
            Command::new("lexgrog").arg(&page.file).current_dir(workspace().join("docs/man")).output();
        let said = String::from_utf8_lossy(&ended.unwrap().stdout).into_owned();
        let name = page.file.rsplit_once('.').unwrap().0;
        assert!(said.contains(&format!("\"{name} - ")), "{}: {said}", page.file);
    }
}
