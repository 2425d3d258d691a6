//! What the modules of a stack may answer: in general, and on a day on which nothing is wrong.

use svcauth_host::paths;

use crate::pam_stack::{Action, Code, Line, Phase};

/// The module of svcauth.
pub(super) const MODULE: &str = "pam_svcauth.so";

/// Modules that never answer a session with `PAM_SESSION_ERR` while a user is named (their sources, Linux-PAM 1.5 to
/// 1.7): sudo takes that code from another module for no failure, and runs the command.
const NEVER_SESSION_ERR: &[&str] = &[
    "pam_permit.so",
    "pam_limits.so",
    "pam_unix.so",
    "pam_env.so",
    "pam_umask.so",
    "pam_mail.so",
    "pam_motd.so",
    "pam_lastlog.so",
    "pam_localuser.so",
    "pam_listfile.so",
    "pam_succeed_if.so",
    "pam_svcauth.so",
];

/// Who comes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Visitor {
    /// Root, or a user of `/etc/passwd` who is not managed.
    Local,
    /// An account of `/etc/passwd` that is managed.
    LocalAccount,
    /// An account that only the directory knows.
    DirectoryAccount,
}

pub(super) fn is_ours(line: &Line) -> bool {
    line.module() == MODULE
}

/// The line that names the managed accounts of `/etc/passwd` where the module is lost.
fn is_our_list(line: &Line) -> bool {
    let has = |word: &str| line.arguments().iter().any(|argument| argument == word);
    line.module() == "pam_listfile.so"
        && has("item=user")
        && has("sense=deny")
        && line.arguments().iter().any(|argument| {
            argument
                .strip_prefix("file=")
                .is_some_and(|file| file == format!("{}/local_accounts", paths::STATE_DIR))
        })
}

/// Lines that only mean something together with ours.
pub(super) fn is_fall_back(line: &Line) -> bool {
    is_our_list(line) || line.module() == "pam_localuser.so"
}

/// What our line and all others may answer when svcauth refuses a person who is not root.
pub(super) fn when_refused(line: &Line) -> Vec<Code> {
    if is_ours(line) {
        return vec![Code::PERM_DENIED];
    }
    if let Some(code) = always(line).or_else(|| not_root(line)) {
        return vec![code];
    }
    let masks = line.phase != Phase::Session || !NEVER_SESSION_ERR.contains(&line.module());
    distinct(line, Code::all().filter(|code| masks || *code != Code::SESSION_ERR))
}

/// What every module answers when nothing is wrong; `ours` is what our line does.
pub(super) fn on_a_good_day(line: &Line, visitor: Visitor, ours: Code) -> Vec<Code> {
    let answer = if is_ours(line) {
        ours
    } else if let Some(code) = always(line).or_else(|| not_root(line)) {
        code
    } else if is_our_list(line) {
        if visitor == Visitor::LocalAccount { Code::AUTH_ERR } else { Code::SUCCESS }
    } else if line.module() == "pam_localuser.so" {
        if visitor == Visitor::DirectoryAccount { Code::PERM_DENIED } else { Code::SUCCESS }
    } else if asks_who(line) && line.control.action(Code::SUCCESS) == Action::Done {
        // "sufficient, if it is one of the system's own": a managed account is none.
        Code::AUTH_ERR
    } else {
        Code::SUCCESS
    };
    vec![answer]
}

fn always(line: &Line) -> Option<Code> {
    match (line.module(), line.phase) {
        ("pam_permit.so", _) => Some(Code::SUCCESS),
        ("pam_deny.so", Phase::Session) => Some(Code::SESSION_ERR),
        ("pam_deny.so", _) => Some(Code::AUTH_ERR),
        _ => None,
    }
}

/// A line that says yes to root alone says no to a person. Root needs nobody's leave.
fn not_root(line: &Line) -> Option<Code> {
    let words: Vec<&str> = line.arguments().iter().map(String::as_str).collect();
    let is_root = |pair: &[&str]| matches!(pair, ["uid", "=" | "eq", "0"]);
    let asks_root =
        line.module() == "pam_succeed_if.so" && words.contains(&"use_uid") && words.windows(3).any(is_root);
    (line.module() == "pam_rootok.so" || asks_root).then_some(Code::AUTH_ERR)
}

fn asks_who(line: &Line) -> bool {
    matches!(line.module(), "pam_succeed_if.so" | "pam_usertype.so")
}

/// One code for each thing that the line can do; the codes with a meaning of their own stay apart.
fn distinct(line: &Line, codes: impl Iterator<Item = Code>) -> Vec<Code> {
    let special = [Code::SUCCESS, Code::IGNORE, Code::NEW_AUTHTOK_REQD, Code::SESSION_ERR];
    let mut found: Vec<Code> = Vec::new();
    for code in codes {
        let same = |other: &&Code| {
            line.control.action(**other) == line.control.action(code) && !special.contains(other)
        };
        if special.contains(&code) || !found.iter().any(|other| same(&other)) {
            found.push(code);
        }
    }
    found
}
