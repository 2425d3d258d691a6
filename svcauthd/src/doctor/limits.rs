//! What the limits of access rules rest on, besides sshd: the shell that asks, the kernel, and who comes another way.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use svcauth_core::command::{CommandRule, Files, Limits, SHELL_PATH, WordPattern};
use svcauth_core::config::WrittenRule;
use svcauth_core::policy::Family;
use svcauth_host::host_names::host_names;
use svcauth_host::paths;

use super::{Finding, Host, Site, elf, landlock_sys, lint, trust};
use crate::limits;

const SHELLS: &str = "/etc/shells";
const INSTALL: &str = "run: apt-get install --reinstall svcauth";

pub(super) fn examine(host: &Host, site: &Site) -> Vec<Finding> {
    let is_limited = site.limited().is_some_and(|limited| !limited.is_empty());
    let Some(loaded) = site.loaded.as_ref().filter(|_| is_limited) else { return Vec::new() };
    let names = host_names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let rules = limits::on_this_host(&loaded.config.access, &names);
    let limiting: Vec<_> = rules.into_iter().filter_map(|rule| Some((rule, rule.limits.as_ref()?))).collect();
    let mut found: Vec<Finding> = shell(host).into_iter().collect();
    found.extend(listed(host));
    let can_confine = landlock_sys::is_possible();
    for (rule, limits) in limiting {
        found.extend(kernel(can_confine, rule, limits));
        found.extend(other_ways(rule));
        found.extend(missing(host, rule, limits));
    }
    found
}

/// The program that every login of a limited account runs.
fn shell(host: &Host) -> Option<Finding> {
    let path = Path::new(SHELL_PATH);
    let Ok(meta) = host.path(path).metadata() else {
        let what =
            format!("{SHELL_PATH} is not there: nobody gets into an account that an access rule limits");
        return Some(lint::SHELL_MISSING.of(path, what, INSTALL.to_owned()));
    };
    if let Some(why) = trust::not_only_roots(host, path) {
        let what = format!("{why}: whoever can change it decides what limited accounts run");
        return Some(lint::SHELL_WRITABLE.of(path, what, trust::repair(path, 0o755)));
    }
    if meta.permissions().mode() & 0o111 != 0o111 {
        let what =
            "not everybody can execute it: nobody gets into an account that an access rule limits".to_owned();
        return Some(lint::SHELL_BROKEN.of(path, what, trust::repair(path, 0o755)));
    }
    let what = match elf::has_interpreter(&host.path(path)) {
        Some(false) => return None,
        Some(true) => {
            "it is linked dynamically: variables like LD_PRELOAD, and files that they name, count in it before it asks"
        }
        None => "it is no program of this machine (no ELF file): what it does nobody knows",
    };
    Some(lint::SHELL_BROKEN.of(path, what.to_owned(), INSTALL.to_owned()))
}

fn listed(host: &Host) -> Option<Finding> {
    let text = host.text(SHELLS)?;
    let is_it = |line: &str| Path::new(line.trim()).file_name() == Path::new(SHELL_PATH).file_name();
    let at = text.lines().position(is_it)?;
    let what = format!(
        "{SHELL_PATH} is listed as a shell that users may have: su -s then lets anybody who gets into a limited account choose \
         another one, without limits"
    );
    let fix = format!("run: sed -i '{}d' {SHELLS}", at + 1);
    Some(lint::SHELL_LISTED.at(Path::new(SHELLS), at + 1, what, fix))
}

/// The files that a transfer may touch, where they are not all of them.
fn confined(rule: &CommandRule) -> Option<&Files> {
    let files = match rule {
        CommandRule::Rsync(files)
        | CommandRule::Scp(files)
        | CommandRule::Sftp(files)
        | CommandRule::Git(files) => files,
        CommandRule::Words(_) | CommandRule::Any => return None,
    };
    files.paths.iter().all(|path| path != "/").then_some(files)
}

fn kernel(can_confine: bool, rule: &WrittenRule, limits: &Limits) -> Option<Finding> {
    let files = limits.commands.iter().find_map(confined).filter(|_| !can_confine)?;
    let what = format!(
        "this kernel has no Landlock, so that nothing confines a program to {}: such commands are refused",
        files.paths.join(" ")
    );
    let fix = "boot a kernel with Landlock (lsm=landlock,... on its command line where it was left out; a container needs \
               landlock_create_ruleset(2)), or allow paths = [\"/\"]";
    Some(in_rule(&lint::LIMITS_NO_LANDLOCK, rule, what, fix.to_owned()))
}

/// Programs and paths that are not here. A configuration may be for other hosts, too.
fn missing(host: &Host, rule: &WrittenRule, limits: &Limits) -> Option<Finding> {
    let is_gone = |path: &&str| {
        let at = host.path(Path::new(path)).symlink_metadata();
        at.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
    };
    let gone: Vec<&str> = limits.commands.iter().flat_map(named).filter(is_gone).collect();
    let first = gone.first()?;
    let what = format!(
        "not on this host: {}; what needs it is allowed, and fails (exit status 127)",
        gone.join(", ")
    );
    let fix = if first.contains(' ') {
        "write each word of a command as a text of its own: [\"/usr/bin/systemctl\", \"status\"]"
    } else {
        "correct the path, or leave it where the rule is for other hosts"
    };
    Some(in_rule(&lint::COMMAND_MISSING, rule, what, fix.to_owned()))
}

/// The paths that a command needs: its program, or those that it is confined to.
fn named(rule: &CommandRule) -> Vec<&str> {
    match rule {
        CommandRule::Words(words) => match words.first() {
            Some(WordPattern::Exact(program)) => vec![program],
            _ => Vec::new(),
        },
        CommandRule::Rsync(files)
        | CommandRule::Scp(files)
        | CommandRule::Sftp(files)
        | CommandRule::Git(files) => files.paths.iter().map(String::as_str).collect(),
        CommandRule::Any => Vec::new(),
    }
}

/// Services of PAM that start something else than the login shell.
fn other_ways(rule: &WrittenRule) -> Option<Finding> {
    let family = |service: &String| Family::of(service);
    let of = |wanted: &[Family]| {
        let named: Vec<&str> =
            rule.services.iter().filter(|it| wanted.contains(&family(it))).map(String::as_str).collect();
        named.join(", ")
    };
    let (sudo, jobs) = (of(&[Family::Sudo]), of(&[Family::Job, Family::Manager]));
    let mut why = Vec::new();
    if !sudo.is_empty() {
        why.push(format!("{sudo} runs commands without the login shell, and sudoers(5) says which"));
    }
    if !jobs.is_empty() {
        why.push(format!("{jobs} runs whatever is in the jobs and units of the account"));
    }
    if why.is_empty() {
        return None;
    }
    let what = format!("the limits of this rule do not hold there: {}", why.join("; "));
    let fix = "write services = [\"sshd\", \"su\", \"login\"] into the rule, and give the other services a rule of their own, for \
               those whom they should not limit";
    Some(in_rule(&lint::LIMITS_OTHER_WAY, rule, what, fix.to_owned()))
}

fn in_rule(lint: &lint::Lint, rule: &WrittenRule, what: String, fix: String) -> Finding {
    let line = usize::try_from(rule.line).unwrap_or_default();
    lint.at(
        Path::new(paths::CONFIG),
        line,
        what,
        format!("{fix}; then run: systemctl reload svcauthd && svcauth enable"),
    )
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
