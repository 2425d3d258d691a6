//! Accounts that access rules limit: does sshd do what the rules say?

use std::path::Path;

use svcauth_core::command::SHELL_PATH;

use super::config::Config;
use super::effective::{Answers, Effective, SSHD};
use super::{FOLDER, RELOAD, correct, lint, place};
use crate::activation::sshd::DROP_IN;
use crate::doctor::{Finding, Host, Site};
use crate::limits::{self, FORCED, Forwards, Global, Limited};

const ENABLE: &str = "run: svcauth enable";

pub(super) fn examine(host: &Host, site: &Site, config: &Config, answers: &Answers) -> Vec<Finding> {
    let Some(limited) = site.limited() else { return Vec::new() };
    let sshd = host.run(SSHD, &["-T"]).ok().filter(|said| said.success);
    let mut found: Vec<Finding> =
        sshd.and_then(|said| behind(host, &limited, Global::read(&said.out))).into_iter().collect();
    found.extend(judge(host, config, answers, &limited));
    found
}

/// The blocks of the drop-in, held against what `svcauth enable` would write now.
pub(super) fn behind(host: &Host, limited: &[Limited], global: Global) -> Option<Finding> {
    let names = host.names(FOLDER);
    let ours = names.iter().find(|name| name.ends_with("svcauth.conf") && !name.starts_with('.'));
    let path = ours.map_or_else(|| Path::new(DROP_IN).to_owned(), |name| Path::new(FOLDER).join(name));
    let text = host.text(&path).unwrap_or_default();
    if limits::extract(text.as_bytes()) == limits::blocks(limited, global).as_bytes() {
        return None;
    }
    let what = "the blocks for limited accounts are not those of the access rules and accounts that there are now: what sshd \
                forwards and runs by itself (internal-sftp) follows older rules";
    Some(lint::SSHD_LIMITS_OLD.of(path, what.to_owned(), ENABLE.to_owned()))
}

/// What sshd says for the limited accounts; without a `Match`, what it says for anybody.
pub(super) fn judge(host: &Host, config: &Config, answers: &Answers, limited: &[Limited]) -> Vec<Finding> {
    let same_for_all = config.all("match").next().is_none();
    let mut found = Vec::new();
    for (login, effective) in &answers.logins {
        for account in limited.iter().filter(|account| same_for_all || account.name == login.user) {
            found.extend(forced(host, config, account, effective));
            found.extend(forwards(config, account, effective));
        }
    }
    found
}

/// The login shell of a limited account that is in `/etc/passwd`, if it is another one.
fn own_shell(host: &Host, account: &str) -> Option<String> {
    let passwd = host.text("/etc/passwd")?;
    let line = passwd.lines().find(|line| line.split(':').next() == Some(account))?;
    line.split(':').nth(6).filter(|shell| *shell != SHELL_PATH).map(str::to_owned)
}

fn forced(host: &Host, config: &Config, account: &Limited, effective: &Effective) -> Option<Finding> {
    let (name, command) = (&account.name, effective.value("forcecommand"));
    let at = place(config, "forcecommand", command);
    let shell = own_shell(host, name);
    if command == FORCED {
        let shell = shell?;
        let what = format!(
            "{name} is limited, and its login shell {shell} reads files of its home before it runs what sshd forces: whoever can \
             write them is not limited"
        );
        let fix = format!("run: usermod -s {SHELL_PATH} {name}");
        return Some(lint::LIMITED_STARTUP_FILES.of("/etc/passwd", what, fix));
    }
    let runs_itself = |word: &str| word == "internal-sftp" || word.ends_with("/internal-sftp");
    if command.split(' ').next().is_some_and(runs_itself) || effective.words("subsystem").any(runs_itself) {
        let what = format!(
            "sshd serves files to {name} by itself (internal-sftp), and asks nobody: the limits of the access rules do not count"
        );
        let at = place(config, "subsystem", "sftp internal-sftp");
        return Some(lint::SSHD_INTERNAL_SFTP.found(Some(at), what, ENABLE.to_owned()));
    }
    let shell = shell?;
    let what = format!(
        "{name} is limited, its login shell is {shell}, and sshd runs that without a word to svcauth (ForceCommand is {command}): \
         the limits of the access rules do not count, but for keys of the directory"
    );
    let fix = format!("{ENABLE}, and usermod -s {SHELL_PATH} {name}");
    let at = if at.1.is_some() { at } else { ("/etc/passwd".into(), None) };
    Some(lint::LIMITED_OTHER_SHELL.found(Some(at), what, fix))
}

/// What sshd forwards for the account beyond what any of its rules allows. Keys of the directory bring their own limits.
fn forwards(config: &Config, account: &Limited, effective: &Effective) -> Option<Finding> {
    if account.forwards == Forwards::ANYTHING || effective.value("disableforwarding") == "yes" {
        return None;
    }
    let only = ["allowagentforwarding", "x11forwarding", "permittunnel"];
    let open =
        only.into_iter().find(|keyword| !matches!(effective.value(keyword), "no" | "")).or_else(|| {
            let ways = ["allowtcpforwarding", "allowstreamlocalforwarding"];
            ways.into_iter().find(|keyword| {
                let allowed = Global::word(effective.value(keyword));
                account.forwards.or(allowed) != account.forwards && !effective.value(keyword).is_empty()
            })
        })?;
    let value = effective.value(open);
    let at = place(config, open, value);
    let what = format!(
        "{open} is {value} for {}, and no access rule allows that: it counts for logins without a key of the directory \
         (passwords, tickets, certificates)",
        account.name
    );
    let fix = match at.1 {
        Some(_) if at.0 != Path::new(DROP_IN) => {
            format!("{}, and {ENABLE}", correct(&at, &format!("{open} no")))
        }
        _ => format!("{ENABLE}; {RELOAD}"),
    };
    Some(lint::SSHD_FORWARDS_MORE.found(Some(at), what, fix))
}
