//! svcauth(1) and svcauthd(8) against the command lines.

use std::collections::BTreeSet;

use clap::{Arg, Command};

use crate::page::{Page, items, parts, words};

/// The commands that do something, by the words that one types, in the order of the help.
fn commands(command: &Command, path: &str, out: &mut Vec<(String, Command)>) {
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        let path = format!("{path} {}", inner.get_name()).trim_start().to_owned();
        // One that only has others below it is not typed alone.
        if !inner.is_subcommand_required_set() {
            out.push((path.clone(), inner.clone()));
        }
        if inner.get_name() != "help" {
            commands(inner, &path, out);
        }
    }
}

fn all() -> Vec<(String, Command)> {
    let mut root = svcauthd::cli::command();
    root.build();
    let mut found = Vec::new();
    commands(&root, "", &mut found);
    // Each command with others below it has a help of its own, which is the help of the whole.
    found.retain(|(path, _)| path == "help" || !path.ends_with(" help"));
    found
}

/// `--json` and `-o`, `--output` of an option; nothing of a word.
fn flags(arg: &Arg) -> BTreeSet<String> {
    let long = arg.get_long().map(|long| format!("--{long}"));
    long.into_iter().chain(arg.get_short().map(|short| format!("-{short}"))).collect()
}

fn options(command: &Command) -> Vec<&Arg> {
    let is_own = |arg: &&Arg| !matches!(arg.get_id().as_str(), "help" | "version");
    command.get_arguments().filter(is_own).filter(|arg| !arg.is_positional() && !arg.is_hide_set()).collect()
}

/// `Fl o Ar file , Fl -output Ar file`: `-o`, `--output`.
fn flags_of_item(line: &str) -> BTreeSet<String> {
    let names = format!(" {line}").replace(".Fl ", " Fl ");
    let names = names.split(" Fl ").skip(1).map(|rest| rest.split(' ').next().unwrap());
    names.map(|name| format!("-{name}")).collect()
}

#[test]
fn the_page_has_every_command_in_the_order_of_the_help_and_no_other() {
    let written = parts(Page::read("svcauth.1").section("COMMANDS"));
    let known: Vec<String> = all().into_iter().map(|(path, _)| path).collect();
    assert!(known.len() > 8, "{known:?}");
    assert_eq!(written, known);
}

#[test]
fn the_page_has_every_option_of_a_command_and_no_other() {
    let page = Page::read("svcauth.1");
    for (path, command) in all() {
        let part = page.part(&path);
        let described: BTreeSet<BTreeSet<String>> =
            items(part, "Fl").keys().map(|item| flags_of_item(&format!("Fl {item}"))).collect();
        let known: BTreeSet<BTreeSet<String>> = options(&command).into_iter().map(flags).collect();
        assert_eq!(described, known, "svcauth {path}");
        let synopsis: Vec<String> = part.iter().take_while(|line| *line != ".Pp").cloned().collect();
        let shown = flags_of_item(&synopsis.join(" "));
        for flags in known {
            assert!(!flags.is_disjoint(&shown), "svcauth {path}: the synopsis is without {flags:?}");
        }
        assert!(shown.is_subset(&described.into_iter().flatten().collect()), "svcauth {path}: {shown:?}");
    }
}

#[test]
fn the_page_has_the_values_of_an_option_its_default_and_the_exit_status() {
    let page = Page::read("svcauth.1");
    for (path, command) in all() {
        let part = page.part(&path);
        assert!(words(part).contains("Exit status"), "svcauth {path}");
        for arg in options(&command).into_iter().filter(|arg| arg.get_action().takes_values()) {
            let mine = flags(arg);
            let items = items(part, "Fl");
            let (_, body) =
                items.iter().find(|(item, _)| flags_of_item(&format!("Fl {item}")) == mine).unwrap();
            let body = words(body);
            let values = arg.get_possible_values().into_iter().map(|value| value.get_name().to_owned());
            let defaults = arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned());
            for word in values.chain(defaults) {
                let is_there = body.split([' ', ',', '.', ':', '(']).any(|written| written == word);
                assert!(is_there, "svcauth {path} {mine:?}: {word} is missing in {body:?}");
            }
        }
    }
}

#[test]
fn the_page_names_what_a_command_is_asked_about() {
    let page = Page::read("svcauth.1");
    for (path, command) in all() {
        let part = page.part(&path);
        let synopsis: Vec<String> = part.iter().take_while(|line| *line != ".Pp").cloned().collect();
        let count = command.get_positionals().count();
        assert_eq!(synopsis.join(" ").contains("Ar"), count > 0 || has_values(&command), "svcauth {path}");
    }
}

fn has_values(command: &Command) -> bool {
    options(command).iter().any(|arg| arg.get_action().takes_values()) || command.get_name() == "help"
}

#[test]
fn the_page_of_the_daemon_has_its_options_and_no_other() {
    let mut root = svcauthd::daemon::command();
    root.build();
    assert_eq!(root.get_subcommands().filter(|inner| !inner.is_hide_set()).count(), 1, "help alone");
    let shown = root.get_arguments().filter(|arg| !arg.is_hide_set());
    let known: BTreeSet<BTreeSet<String>> = shown.map(flags).collect();
    let page = Page::read("svcauthd.8");
    let described: BTreeSet<BTreeSet<String>> = items(page.section("DESCRIPTION"), "Fl")
        .keys()
        .map(|item| flags_of_item(&format!("Fl {item}")))
        .collect();
    assert_eq!(described, known);
}

#[test]
fn the_help_has_one_line_of_eighty_columns_for_each_command() {
    for (path, command) in all() {
        let about = command.get_about().unwrap().to_string();
        // Blanks, the longest name of a command, blanks.
        assert!(2 + 8 + 2 + about.chars().count() <= 80 || path == "help", "svcauth {path}: {about}");
    }
}

/// The command lines of svcauth in a text, as words.
fn command_lines(text: &str) -> Vec<Vec<String>> {
    let anchor = format!(":{}", "0".repeat(64));
    let text = text.replace("\\\n", " ").replace(":9f2c...", &anchor);
    let parts = text.lines().flat_map(|line| line.split(" # ").next().unwrap().split([';', '|', '&', '>']));
    let calls = parts.map(|part| part.replace('\'', "\"")).filter(|part| {
        let name = part.split_whitespace().next();
        name == Some("svcauth")
    });
    calls.map(|call| split(&call)).collect()
}

/// Words, of which those in double quotes hold blanks.
fn split(call: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, piece) in call.split('"').enumerate() {
        if at % 2 == 1 {
            words.push(piece.to_owned());
        } else {
            words.extend(piece.split_whitespace().map(str::to_owned));
        }
    }
    words
}

#[test]
fn every_command_line_of_an_example_is_understood() {
    let read = |path: &str| std::fs::read_to_string(crate::page::workspace().join(path)).unwrap();
    let documents = ["README.md", "docs/audit.md", "docs/reports.md", "docs/commands.md"].map(read);
    let blocks = documents.iter().flat_map(|text| text.split("```").skip(1).step_by(2).map(str::to_owned));
    let indented = documents[1].lines().filter(|line| line.starts_with("    ")).map(str::to_owned);
    let displays = Page::all().into_iter().flat_map(|page| page.displays());
    let calls: Vec<Vec<String>> =
        displays.chain(blocks).chain(indented).flat_map(|text| command_lines(&text)).collect();
    assert!(calls.len() > 20, "{calls:?}");
    for call in calls {
        let parsed = svcauthd::cli::command().try_get_matches_from(&call);
        assert!(parsed.is_ok(), "{call:?}: {}", parsed.unwrap_err());
    }
}
