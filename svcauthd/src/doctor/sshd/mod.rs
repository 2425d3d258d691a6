//! sshd: is PAM asked, whose keys does it take, and does what was written count?

mod config;
mod effective;
mod keys;
mod limits;
mod options;
mod patterns;

use std::path::{Path, PathBuf};

use self::config::{Config, Directive, MAIN};
use self::effective::{Answers, Effective, SSHD};
use super::{Finding, Host, Site, lint, trust};

/// The folder of drop-ins.
const FOLDER: &str = "/etc/ssh/sshd_config.d";
const RELOAD: &str = "then run: sshd -t && systemctl reload ssh";
/// What the drop-in of svcauth decides (conf/sshd/svcauth.conf).
const KEYS_COMMAND: &str = "/usr/bin/svcauth ssh-keys";

pub(super) fn examine(host: &Host, site: &Site) -> Vec<Finding> {
    if !host.has(SSHD) && !host.has(MAIN) {
        return Vec::new();
    }
    let config = Config::read(host);
    let answers = effective::ask(host, site, &config);
    let mut found = judge(host, site, &config, &answers);
    found.extend(super::once(limits::examine(host, site, &config, &answers)));
    found
}

/// The files of keys in the homes of accounts, which may be on a server that is down.
pub(super) fn key_files(host: &Host, site: &Site) -> Vec<Finding> {
    if !host.has(SSHD) && !host.has(MAIN) {
        return Vec::new();
    }
    keys::examine(host, site, &Config::read(host))
}

/// What follows from the files and from what sshd says about them.
fn judge(host: &Host, site: &Site, config: &Config, answers: &Answers) -> Vec<Finding> {
    let mut found: Vec<Finding> = invalid(host, answers).into_iter().collect();
    found.extend(answers.is_cut.then(|| {
        let what = "the configuration has more kinds of logins than were asked about".to_owned();
        lint::SSHD_NOT_ALL_ASKED.of(
            MAIN,
            what,
            "run: sshd -T -C user=ACCOUNT,host=HOST,addr=ADDRESS".to_owned(),
        )
    }));
    found.extend(writable(host, config));
    found.extend(drop_in(host, config));
    for (login, effective) in &answers.logins {
        found.extend(options::examine(config, &login.user, effective));
        found.extend(keys::authorities(host, site, config, effective));
    }
    super::once(found)
}

fn invalid(host: &Host, answers: &Answers) -> Option<Finding> {
    let why = answers.trouble.as_ref().filter(|_| host.has(SSHD))?;
    if why.contains("privilege separation directory") {
        // Where sshd is started when somebody knocks, /run/sshd is made then.
        let what = "sshd does not run, and cannot be asked what its configuration means: only the files were looked at".to_owned();
        return Some(lint::SSHD_NOT_RUNNING.of(
            MAIN,
            what,
            "run: systemctl start ssh, and then svcauth doctor again".to_owned(),
        ));
    }
    let what = format!(
        "sshd cannot use its configuration ({why}): it does not start again, and nobody gets in, root included"
    );
    Some(lint::SSHD_CONFIG_INVALID.found(
        Some(place_in(why)),
        what,
        "correct the line, then run: sshd -t".to_owned(),
    ))
}

/// sshd names file and line: `/etc/ssh/sshd_config: line 3: Bad configuration option: X`, or with `terminating, 1 bad ...`.
fn place_in(why: &str) -> (PathBuf, Option<usize>) {
    let file = why.split([':', ' ', ',']).find(|word| word.starts_with('/')).unwrap_or(MAIN);
    let line = why.split_once(" line ").and_then(|(_, rest)| {
        rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|number| number.parse().ok())
    });
    (PathBuf::from(file), line)
}

fn writable(host: &Host, config: &Config) -> Vec<Finding> {
    let look = |file: &PathBuf| {
        let why = trust::not_only_roots(host, file)?;
        let what = format!("{why}: whoever can change it decides which keys sshd takes");
        Some(lint::SSHD_FILE_WRITABLE.of(file, what, trust::repair(file, 0o644)))
    };
    config.files.iter().filter_map(look).collect()
}

/// The drop-in of svcauth: is it read, and does nothing before it say otherwise?
fn drop_in(host: &Host, config: &Config) -> Vec<Finding> {
    let names = host.names(FOLDER);
    let is_ours = |name: &&String| name.ends_with("svcauth.conf") && !name.starts_with('.');
    let Some(ours) = names.iter().find(is_ours).map(|name| Path::new(FOLDER).join(name)) else {
        return Vec::new();
    };
    if !config.files.contains(&ours) {
        let what = format!(
            "sshd does not read {}: its configuration has no line \"Include {FOLDER}/*.conf\"",
            ours.display()
        );
        let fix = format!("run: sed -i '1i Include {FOLDER}/*.conf' {MAIN}; {RELOAD}");
        return vec![lint::SSHD_NO_INCLUDE.of(MAIN, what, fix)];
    }
    let begins = config.directives.iter().position(|it| it.file == ours).unwrap_or(0);
    let (before, rest) = config.directives.split_at_checked(begins).unwrap_or_default();
    rest.iter()
        .filter(|it| it.file == ours && it.under.is_none())
        .filter_map(|mine| {
            let wins = before.iter().find(|it| it.keyword == mine.keyword && it.under.is_none())?;
            (wins.arguments != mine.arguments).then(|| shadowed(mine, wins))
        })
        .collect()
}

fn shadowed(mine: &Directive, wins: &Directive) -> Finding {
    let what = format!(
        "sshd takes the first value that it reads, and {} is said here before {} line {} is read",
        mine.keyword,
        mine.file.display(),
        mine.number
    );
    let fix = format!("delete line {} of {}; {RELOAD}", wins.number, wins.file.display());
    lint::SSHD_SHADOWED.at(&wins.file, wins.number, what, fix)
}

/// Where an effective value comes from; the main file if it is the default.
fn place(config: &Config, keyword: &str, value: &str) -> (PathBuf, Option<usize>) {
    let line = config.origin(keyword, value);
    line.map_or_else(|| (PathBuf::from(MAIN), None), |it| (it.file.clone(), Some(it.number)))
}

/// Puts an option right where it is said, or at the beginning.
fn correct(place: &(PathBuf, Option<usize>), line: &str) -> String {
    match place.1 {
        Some(number) => format!("write \"{line}\" into line {number} of {}; {RELOAD}", place.0.display()),
        None => format!("write \"{line}\" into {FOLDER}/10-svcauth.conf; {RELOAD}"),
    }
}

#[cfg(test)]
#[path = "../sshd_tests.rs"]
mod tests;
