//! The limits of an `[[access]]` rule: `mode`, `shell`, `commands`, `sftp`, `forwarding`, `record`.
//!
//! A rule with any of these keys allows what they say and nothing else; a rule with none of them limits nothing.

use super::check::Check;
use super::error::{ConfigError, unknown};
use super::raw;
use crate::command::{Access, CommandRule, Files, Forwarding, Limits, Mode, WordPattern};
use core::ops::Range;
use std::format;
use std::string::{String, ToString as _};
use std::vec;
use std::vec::Vec;
use toml::{Spanned, Value};

const KINDS: [&str; 5] = ["any", "rsync", "scp", "sftp", "git"];
const KEYS: [&str; 3] = ["kind", "access", "paths"];
const ACCESS: [(&str, Access); 2] = [("read", Access::Read), ("write", Access::Write)];

pub(super) fn check(check: Check<'_>, raw: &mut raw::Access) -> Result<Option<Limits>, ConfigError> {
    let (mode, shell) = (raw.mode.take(), raw.shell.take());
    let (sftp, forwarding) = (raw.sftp.take(), raw.forwarding.take());
    let (commands, record) = (raw.commands.take(), raw.record.take());
    let texts = [&mode, &shell, &sftp, &forwarding];
    if texts.iter().all(|text| text.is_none()) && commands.is_none() && record.is_none() {
        return Ok(None);
    }
    let shell = check.one_of(shell, "shell", &[("deny", false), ("allow", true)])?.unwrap_or(false);
    let mut rules = match commands {
        // Whoever may open a shell may type any command into it.
        None if shell => vec![CommandRule::Any],
        None => Vec::new(),
        Some(list) => {
            list.into_inner().into_iter().map(|one| command(check, one)).collect::<Result<_, _>>()?
        }
    };
    let words = [("no", None), ("read", Some(Access::Read)), ("write", Some(Access::Write))];
    if let Some(access) = check.one_of(sftp, "sftp", &words)?.flatten() {
        rules.push(CommandRule::Sftp(Files { access, paths: vec!["/".to_string()] }));
    }
    Ok(Some(Limits {
        mode: check
            .one_of(mode, "mode", &[("enforce", Mode::Enforce), ("learn", Mode::Learn)])?
            .unwrap_or_default(),
        shell,
        commands: rules,
        forwarding: forwarding_of(check, forwarding)?,
        record: recorded(check, shell, record)?,
    }))
}

fn forwarding_of(check: Check<'_>, text: raw::Text) -> Result<Forwarding, ConfigError> {
    let words = [
        ("no", Forwarding::No),
        ("local", Forwarding::Local),
        ("remote", Forwarding::Remote),
        ("any", Forwarding::Any),
    ];
    Ok(check.one_of(text, "forwarding", &words)?.unwrap_or_default())
}

fn recorded(check: Check<'_>, shell: bool, record: raw::Flag) -> Result<bool, ConfigError> {
    match record {
        Some(record) if *record.get_ref() && !shell => {
            let hint =
                "only interactive shells are recorded, and this rule allows none; add shell = \"allow\"";
            Err(check.0.error(record.span(), hint))
        }
        record => Ok(record.is_some_and(Spanned::into_inner)),
    }
}

/// One of `commands`: a list of words, or a table with a kind.
fn command(check: Check<'_>, one: Spanned<Value>) -> Result<CommandRule, ConfigError> {
    let at = At { check, span: one.span() };
    match one.into_inner() {
        Value::Array(words) => at.words(words),
        Value::Table(table) => at.named(&table),
        _ => Err(at.error(
            "expected a list of words, [\"/usr/bin/uptime\"], or a kind, { kind = \"rsync\", access = \"read\", paths = [\"/srv\"] }",
        )),
    }
}

/// Where a command stands in the file; what is inside one has no place of its own.
struct At<'a> {
    check: Check<'a>,
    span: Range<usize>,
}

impl At<'_> {
    fn error(&self, message: impl Into<String>) -> ConfigError {
        self.check.0.error(self.span.clone(), message)
    }

    fn words(&self, words: Vec<Value>) -> Result<CommandRule, ConfigError> {
        let count = words.len();
        let mut patterns = Vec::new();
        for (index, word) in words.into_iter().enumerate() {
            let Value::String(text) = word else {
                return Err(self.error("every word of a command is a text; write numbers in quotes, too"));
            };
            patterns.push(self.word(&text, index, count)?);
        }
        match patterns.first() {
            None => Err(self.error("the command is empty; write the path of a program first")),
            Some(WordPattern::Exact(program)) => {
                self.path("program", program)?;
                Ok(CommandRule::Words(patterns))
            }
            Some(_) => Err(self.error("the program itself cannot be a pattern; write its absolute path")),
        }
    }

    fn word(&self, text: &str, index: usize, count: usize) -> Result<WordPattern, ConfigError> {
        let shown = text.escape_default();
        let pattern: WordPattern =
            text.parse().map_err(|error| self.error(format!("\"{shown}\" is no pattern: {error}")))?;
        if text.contains('\0') {
            return Err(self.error(format!("\"{shown}\" holds a zero byte, which no argument can")));
        }
        if pattern == WordPattern::Rest && index + 1 != count {
            return Err(self.error("<rest> stands for all words that follow; nothing can come behind it"));
        }
        #[cfg(feature = "command")]
        if let WordPattern::Regex(regex) = &pattern {
            let checked = crate::command::check_regex(regex);
            checked.map_err(|why| self.error(format!("\"{shown}\" is no regular expression: {why}")))?;
        }
        Ok(pattern)
    }

    fn named(&self, table: &toml::Table) -> Result<CommandRule, ConfigError> {
        if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(self.error(unknown("key of a command", key, &KEYS)));
        }
        let Some(kind) = table.get("kind").and_then(Value::as_str) else {
            return Err(self.error(
                "this command has no kind; add kind = \"rsync\", \"scp\", \"sftp\", \"git\" or \"any\"",
            ));
        };
        let rule = match kind {
            "any" if table.len() == 1 => return Ok(CommandRule::Any),
            "any" => return Err(self.error("kind = \"any\" allows every command; it has no other keys")),
            "rsync" => CommandRule::Rsync,
            "scp" => CommandRule::Scp,
            "sftp" => CommandRule::Sftp,
            "git" => CommandRule::Git,
            other => return Err(self.error(unknown("kind of command", other, &KINDS))),
        };
        Ok(rule(self.files(table)?))
    }

    fn files(&self, table: &toml::Table) -> Result<Files, ConfigError> {
        let word = table.get("access").and_then(Value::as_str);
        let access = ACCESS.iter().find(|(known, _)| Some(*known) == word).map(|(_, access)| *access);
        let Some(access) = access else {
            return Err(self.error("this command needs access = \"read\" or access = \"write\""));
        };
        let paths = table.get("paths").and_then(Value::as_array).filter(|paths| !paths.is_empty());
        let Some(paths) = paths else {
            return Err(self.error("this command needs paths = [\"/FOLDER\"]; [\"/\"] is every path"));
        };
        let path = |path: &Value| match path.as_str() {
            Some(path) => self.path("path", path),
            None => Err(self.error("every path is a text in quotes")),
        };
        Ok(Files { access, paths: paths.iter().map(path).collect::<Result<_, _>>()? })
    }

    /// An absolute path as it is compared: no `.`, no `..`, no empty part.
    fn path(&self, what: &str, path: &str) -> Result<String, ConfigError> {
        let shown = path.escape_default();
        if !path.starts_with('/') || path.chars().any(char::is_control) {
            return Err(self.error(format!("\"{shown}\" is no absolute {what}; begin it with /")));
        }
        let parts = || path.split('/').skip(1);
        if path != "/" && parts().any(|part| matches!(part, "" | "." | "..")) {
            let hint = "write it without //, . and .., and without / at its end";
            return Err(self.error(format!("\"{shown}\" is no plain {what}; {hint}")));
        }
        Ok(path.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::{Access, CommandRule, Files, Forwarding, Limits, Mode, WordPattern};
    use crate::config::Config;
    use std::format;
    use std::string::{String, ToString as _};
    use std::vec;

    const HEAD: &str =
        "[directory]\nkind = \"ldif\"\nfile = \"/etc/d.ldif\"\n[accounts]\nid_range = \"7000-7999\"\n";
    const RULE: &str = "[[access]]\naccounts = [\"deployer\"]\nroles = [\"application\"]\n";

    fn limits(text: &str) -> Result<Option<Limits>, String> {
        let config = Config::parse(&format!("{HEAD}{RULE}{text}")).map_err(|error| error.to_string())?;
        Ok(config.access[0].limits.clone())
    }

    #[test]
    fn a_rule_without_any_of_the_keys_limits_nothing_and_with_one_allows_only_what_it_says() {
        assert_eq!(limits(""), Ok(None));
        for text in
            ["mode = \"enforce\"", "shell = \"deny\"", "commands = []", "sftp = \"no\"", "record = false"]
        {
            assert_eq!(limits(text), Ok(Some(Limits::default())), "{text}");
        }
        let shell =
            Limits { shell: true, commands: vec![CommandRule::Any], record: true, ..Limits::default() };
        assert_eq!(limits("shell = \"allow\"\nrecord = true"), Ok(Some(shell)));
    }

    #[test]
    fn commands_are_words_or_kinds() {
        let text = "mode = \"learn\"\nsftp = \"read\"\nforwarding = \"local\"\ncommands = [\n\
            [\"/usr/bin/deploy\", \"<re:[a-z]+>\", \"<any>\", \"<rest>\"],\n\
            { kind = \"git\", access = \"write\", paths = [\"/srv/git\"] },\n{ kind = \"any\" },\n]";
        let files = |access, path: &str| Files { access, paths: vec![path.to_string()] };
        let words = vec![
            WordPattern::Exact("/usr/bin/deploy".to_string()),
            WordPattern::Regex("[a-z]+".to_string()),
            WordPattern::Any,
            WordPattern::Rest,
        ];
        let expected = Limits {
            mode: Mode::Learn,
            forwarding: Forwarding::Local,
            commands: vec![
                CommandRule::Words(words),
                CommandRule::Git(files(Access::Write, "/srv/git")),
                CommandRule::Any,
                CommandRule::Sftp(files(Access::Read, "/")),
            ],
            ..Limits::default()
        };
        assert_eq!(limits(text), Ok(Some(expected)));
    }

    #[test]
    fn what_makes_no_sense_is_named_with_its_line() {
        for (text, part) in [
            ("commands = [\"/bin/ls\"]", "expected a list of words"),
            ("commands = [[]]", "the command is empty"),
            ("commands = [[\"ls\"]]", "no absolute program"),
            ("commands = [[\"/bin/../bin/ls\"]]", "no plain program"),
            ("commands = [[\"<any>\"]]", "cannot be a pattern"),
            ("commands = [[\"/bin/ls\", 1]]", "is a text"),
            ("commands = [[\"/bin/ls\", \"<x>\"]]", "is no pattern"),
            ("commands = [[\"/bin/ls\", \"<rest>\", \"a\"]]", "nothing can come behind it"),
            ("commands = [[\"/bin/ls\", \"a\\u0000\"]]", "zero byte"),
            ("commands = [{ kind = \"rsnyc\" }]", "rsync"),
            ("commands = [{ kind = \"any\", paths = [\"/\"] }]", "no other keys"),
            ("commands = [{ kind = \"git\", path = \"/\" }]", "paths"),
            ("commands = [{ kind = \"git\", access = \"all\", paths = [\"/\"] }]", "access ="),
            ("commands = [{ kind = \"git\", access = \"read\", paths = [] }]", "paths ="),
            ("commands = [{ kind = \"git\", access = \"read\", paths = [\"srv\"] }]", "begin it with /"),
            ("shell = \"no\"", "allow"),
            ("record = true", "allows none"),
        ] {
            let error = limits(text).unwrap_err();
            assert!(error.contains("line 9") && error.contains(part), "{text}: {error}");
        }
        #[cfg(feature = "command")]
        assert!(
            limits("commands = [[\"/bin/ls\", \"<re:(>\"]]").unwrap_err().contains("no regular expression")
        );
    }
}
