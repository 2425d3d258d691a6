//! The completions of shells: what one gets by the tabulator key.

use std::collections::BTreeSet;
use std::process::Command;

fn script(shell: &str) -> String {
    let ended = Command::new(env!("CARGO_BIN_EXE_svcauth")).args(["completions", shell]).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    String::from_utf8(ended.stdout).unwrap()
}

/// What bash offers for the last of these words.
fn offered(words: &[&str]) -> BTreeSet<String> {
    let ask = r#"
        source /dev/stdin
        COMP_WORDS=("$@")
        COMP_CWORD=$(($# - 1))
        _svcauth svcauth "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let mut child = Command::new("bash")
        .args(["--norc", "-c", ask, "bash"])
        .args(words)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), script("bash").as_bytes()).unwrap();
    let ended = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&ended.stderr);
    // Without readline there is no compopt(1), and nothing of this needs it.
    assert!(errors.lines().all(|line| line.contains("compopt")), "{errors}");
    String::from_utf8(ended.stdout)
        .unwrap()
        .lines()
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(ToString::to_string).collect()
}

/// What the help of the command shows.
fn shown() -> Vec<String> {
    let command = svcauthd::cli::command();
    let shown = command.get_subcommands().filter(|inner| !inner.is_hide_set());
    shown.map(|inner| inner.get_name().to_owned()).collect()
}

#[test]
fn bash_completes_commands_options_and_values() {
    let first = offered(&["svcauth", ""]);
    assert!(shown().iter().all(|name| first.contains(name)), "{first:?}");
    assert_eq!(offered(&["svcauth", "stat"]), set(&["status"]));
    assert_eq!(offered(&["svcauth", "sync", "--acc"]), set(&["--accept-shrink"]));
    assert_eq!(offered(&["svcauth", "log", "--decision", ""]), set(&["allow", "deny"]));
    assert_eq!(offered(&["svcauth", "report", "access", "--format", "h"]), set(&["html"]));
    assert_eq!(offered(&["svcauth", "log", "ver"]), set(&["verify"]));
    assert!(offered(&["svcauth", "nope", "--j"]).is_empty());
}

#[test]
fn each_shell_knows_every_command_that_the_help_shows_and_no_other() {
    let command = svcauthd::cli::command();
    let hidden: Vec<&str> =
        command.get_subcommands().filter(|inner| inner.is_hide_set()).map(clap::Command::get_name).collect();
    assert!(hidden.contains(&"completions"));
    for (shell, start) in
        [("bash", "_svcauth()"), ("zsh", "#compdef svcauth"), ("fish", "# Print an optspec")]
    {
        let script = script(shell);
        assert!(script.contains(start), "{shell}: {}", &script[..80.min(script.len())]);
        let has =
            |name: &str| script.split(|c: char| !c.is_alphanumeric() && c != '-').any(|word| word == name);
        for name in shown() {
            assert!(has(&name), "{shell}: {name}");
        }
        for name in &hidden {
            assert!(!has(name), "{shell}: {name}");
        }
    }
}

/// The shells themselves say so where they are installed; neither is needed for anything else here.
#[test]
fn zsh_and_fish_can_read_their_scripts() {
    for (shell, option) in [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")] {
        let path = std::env::temp_dir().join(format!("svcauth-completions-{shell}-{}", std::process::id()));
        std::fs::write(&path, script(shell)).unwrap();
        let ended = Command::new(shell).arg(option).arg(&path).output();
        std::fs::remove_file(&path).unwrap();
        match ended {
            Ok(ended) => {
                assert!(ended.status.success(), "{shell}: {}", String::from_utf8_lossy(&ended.stderr))
            }
            Err(error) => assert!(shell != "bash", "{shell}: {error}"),
        }
    }
}
