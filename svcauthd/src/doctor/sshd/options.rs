//! The options that count for a login.

use super::config::Config;
use super::{Effective, KEYS_COMMAND, correct, lint, patterns, place};
use crate::doctor::Finding;
use crate::doctor::lint::Lint;

/// Variables that a client must not set: what svcauth says, and what makes a shell or the dynamic linker run something.
const FORBIDDEN: &[&str] = &["SVCAUTH_*", "LD_*", "SSH_ORIGINAL_COMMAND", "BASH_ENV", "ENV", "PATH"];

/// An option with the values that are right; anything else is a finding.
struct Rule {
    keyword: &'static str,
    right: &'static [&'static str],
    lint: &'static Lint,
    what: &'static str,
    line: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        keyword: "usepam",
        right: &["yes"],
        lint: &lint::SSHD_NO_PAM,
        what: "sshd does not ask PAM: whoever has a key that sshd takes is in, and svcauth never hears of it",
        line: "UsePAM yes",
    },
    Rule {
        keyword: "permituserenvironment",
        right: &["no"],
        lint: &lint::SSHD_USER_ENVIRONMENT,
        what: "~/.ssh/environment and environment= set variables of the session (LD_PRELOAD, PATH): whoever can write the home of \
               a shared account puts his own program into the sessions of all others",
        line: "PermitUserEnvironment no",
    },
    Rule {
        keyword: "pamservicename",
        right: &["sshd", ""],
        lint: &lint::SSHD_PAM_SERVICE,
        what: "sshd asks PAM under another name: another stack counts, and the access rules for the service sshd do not",
        line: "PAMServiceName sshd",
    },
    Rule {
        keyword: "chrootdirectory",
        right: &["none", ""],
        lint: &lint::SSHD_CHROOT,
        what: "sessions are put into another root folder: names of accounts are not known there, and nothing else is different",
        line: "ChrootDirectory none",
    },
];

pub(super) fn examine(config: &Config, user: &str, effective: &Effective) -> Vec<Finding> {
    let mut found: Vec<Finding> =
        RULES.iter().filter_map(|rule| broken(config, user, effective, rule)).collect();
    found.extend(accept_env(config, effective));
    found.extend(keys_command(config, user, effective));
    found
}

fn broken(config: &Config, user: &str, effective: &Effective, rule: &Rule) -> Option<Finding> {
    let value = effective.value(rule.keyword);
    if rule.right.iter().any(|right| right.eq_ignore_ascii_case(value)) {
        return None;
    }
    let at = place(config, rule.keyword, value);
    let what = format!("{} is {value} for {user}: {}", rule.keyword, rule.what);
    let fix = correct(&at, rule.line);
    Some(rule.lint.found(Some(at), what, fix))
}

fn accept_env(config: &Config, effective: &Effective) -> Option<Finding> {
    let meets = |pattern: &str| FORBIDDEN.iter().find(|name| patterns::meet(pattern, name));
    let (pattern, name) =
        effective.words("acceptenv").find_map(|pattern| Some((pattern, meets(pattern)?)))?;
    let line = config.all("acceptenv").find(|it| it.arguments.iter().any(|word| word == pattern));
    let at =
        line.map_or_else(|| place(config, "acceptenv", pattern), |it| (it.file.clone(), Some(it.number)));
    let what = format!(
        "AcceptEnv {pattern}: the client sets variables like {name} in the session, on which forced commands, shells and scripts rely"
    );
    let fix = correct(&at, "AcceptEnv LANG LC_*");
    Some(lint::SSHD_ACCEPT_ENV.found(Some(at), what, fix))
}

fn keys_command(config: &Config, user: &str, effective: &Effective) -> Option<Finding> {
    let command = effective.value("authorizedkeyscommand");
    let at = place(config, "authorizedkeyscommand", command);
    let fix = correct(&at, "AuthorizedKeysCommand /usr/bin/svcauth ssh-keys %u %f %t %k");
    if matches!(command, "none" | "") {
        let what = format!(
            "sshd asks nobody for keys of {user}: keys of the directory open nothing, and files on this host do"
        );
        return Some(lint::SSHD_NO_KEYS_COMMAND.found(Some(at), what, fix));
    }
    if !command.starts_with(KEYS_COMMAND) {
        let what = format!(
            "sshd asks {command} for keys of {user}, and not svcauth: keys that it names get as far as the session"
        );
        return Some(lint::SSHD_OTHER_KEYS_COMMAND.found(Some(at), what, fix));
    }
    let asker = effective.value("authorizedkeyscommanduser");
    if asker == "svcauth" {
        return None;
    }
    let at = place(config, "authorizedkeyscommanduser", asker);
    let what = format!(
        "the command for keys runs as {asker}: it needs the user svcauth, who may read the snapshot, and no more than that"
    );
    let fix = correct(&at, "AuthorizedKeysCommandUser svcauth");
    Some(lint::SSHD_KEYS_COMMAND_USER.found(Some(at), what, fix))
}
