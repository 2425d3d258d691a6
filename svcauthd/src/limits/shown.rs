//! Limits as `svcauth explain` shows them: for scripts in the shape of the configuration, for people in sentences.

use serde_json::{Value, json};
use svcauth_core::command::{Access, CommandRule, Files, Forwarding, Limits, Mode, WordPattern};

/// For scripts.
#[must_use]
pub fn value(limits: &Limits) -> Value {
    json!({
        "mode": mode(limits.mode),
        "shell": if limits.shell { "allow" } else { "deny" },
        "commands": limits.commands.iter().map(command).collect::<Vec<_>>(),
        "forwarding": forwarding(limits.forwarding),
        "record": limits.record,
    })
}

/// For people: one line, and one for each kind of command.
#[must_use]
pub fn lines(limits: &Limits) -> Vec<String> {
    let shell = match (limits.shell, limits.record) {
        (false, _) => "no interactive shell",
        (true, false) => "interactive shells",
        (true, true) => "interactive shells, recorded",
    };
    let forwards = match limits.forwarding {
        Forwarding::No => "no forwarding",
        Forwarding::Local => "forwarding from the client's side",
        Forwarding::Remote => "forwarding from this host's side",
        Forwarding::Any => "any forwarding",
    };
    let commands = if limits.commands.is_empty() { ", no commands" } else { "" };
    let learns = match limits.mode {
        Mode::Enforce => "",
        Mode::Learn => {
            "; learning: what is not allowed runs and is recorded, and nothing keeps ssh from forwarding"
        }
    };
    let first = format!("allows {shell}, {forwards}{commands}{learns}");
    std::iter::once(first)
        .chain(limits.commands.iter().map(|rule| format!("allows {}", sentence(rule))))
        .collect()
}

const fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "enforce",
        Mode::Learn => "learn",
    }
}

const fn forwarding(forwarding: Forwarding) -> &'static str {
    match forwarding {
        Forwarding::No => "no",
        Forwarding::Local => "local",
        Forwarding::Remote => "remote",
        Forwarding::Any => "any",
    }
}

const fn access(access: Access) -> &'static str {
    match access {
        Access::Read => "read",
        Access::Write => "write",
    }
}

fn kind(rule: &CommandRule) -> Option<(&'static str, &Files)> {
    match rule {
        CommandRule::Words(_) | CommandRule::Any => None,
        CommandRule::Rsync(files) => Some(("rsync", files)),
        CommandRule::Scp(files) => Some(("scp", files)),
        CommandRule::Sftp(files) => Some(("sftp", files)),
        CommandRule::Git(files) => Some(("git", files)),
    }
}

fn command(rule: &CommandRule) -> Value {
    match (rule, kind(rule)) {
        (CommandRule::Words(words), _) => words.iter().map(ToString::to_string).collect(),
        (_, Some((kind, files))) => {
            json!({ "kind": kind, "access": access(files.access), "paths": files.paths })
        }
        (_, None) => json!({ "kind": "any" }),
    }
}

fn sentence(rule: &CommandRule) -> String {
    match (rule, kind(rule)) {
        (CommandRule::Words(words), _) => {
            format!("the command {}", words.iter().map(word).collect::<Vec<_>>().join(" "))
        }
        (_, Some((kind, files))) => {
            let how = match files.access {
                Access::Read => "reading",
                Access::Write => "reading and writing",
            };
            format!("{kind}, {how} {}", files.paths.join(" "))
        }
        (_, None) => "any command, by the account's own shell".to_owned(),
    }
}

/// As the configuration has it; in quotes where it would look like more than one.
fn word(pattern: &WordPattern) -> String {
    let text = pattern.to_string();
    if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c == '"') {
        format!("{text:?}")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::{Access, CommandRule, Files, Forwarding, Limits, Mode, json, lines, value};

    #[test]
    fn limits_are_shown_as_they_are_written() {
        let words = ["/usr/local/bin/deploy", "<re:[a-z]+>", "two words", "<rest>"];
        let limits = Limits {
            shell: true,
            record: true,
            forwarding: Forwarding::Local,
            commands: vec![
                CommandRule::Words(words.iter().map(|word| word.parse().unwrap()).collect()),
                CommandRule::Git(Files {
                    access: Access::Write,
                    paths: vec!["/srv/git".into(), "/x".into()],
                }),
                CommandRule::Any,
            ],
            ..Limits::default()
        };
        let expected = json!({
            "mode": "enforce", "shell": "allow", "forwarding": "local", "record": true,
            "commands": [words, { "kind": "git", "access": "write", "paths": ["/srv/git", "/x"] }, { "kind": "any" }],
        });
        assert_eq!(value(&limits), expected);
        assert_eq!(
            lines(&limits),
            [
                "allows interactive shells, recorded, forwarding from the client's side",
                "allows the command /usr/local/bin/deploy <re:[a-z]+> \"two words\" <rest>",
                "allows git, reading and writing /srv/git /x",
                "allows any command, by the account's own shell",
            ]
        );
        let nothing = Limits { mode: Mode::Learn, ..Limits::default() };
        assert!(
            lines(&nothing)[0]
                .starts_with("allows no interactive shell, no forwarding, no commands; learning")
        );
    }
}
