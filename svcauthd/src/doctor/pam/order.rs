//! Where the session line stands: behind pam_loginuid, which opens the audit session, and before anything that reads a
//! file of the user.

use super::Look;
use super::answers::is_ours;
use super::lint;
use crate::doctor::Finding;
use crate::pam_stack::{Line, Phase};

/// Services that begin a session of their own; su and sudo belong to the one that they are called in.
const BEGIN: &[&str] = &["sshd", "login", "remote", "cron", "crond", "atd"];

pub(super) fn examine(look: &Look<'_>, phase: Phase) -> Vec<Finding> {
    if phase != Phase::Session {
        return Vec::new();
    }
    let lines = look.lines(Phase::Session);
    let Some((at, ours)) = lines.iter().enumerate().find(|(_, line)| is_ours(line)) else {
        return Vec::new();
    };
    let mut found: Vec<Finding> = loginuid(look, &lines, at, ours).into_iter().collect();
    // pam_env in auth does its work in pam_setcred, which sshd calls before it opens the session.
    found.extend(
        look.lines(Phase::Auth)
            .iter()
            .filter(|line| reads_user_file(line))
            .map(|line| user_env(look, line, true)),
    );
    found.extend(
        lines
            .iter()
            .enumerate()
            .filter(|(_, line)| reads_user_file(line))
            .map(|(index, line)| user_env(look, line, index < at)),
    );
    found
}

fn loginuid(look: &Look<'_>, lines: &[Line], at: usize, ours: &Line) -> Option<Finding> {
    if !BEGIN.contains(&look.service()) {
        return None;
    }
    let is_loginuid = |line: &Line| line.module() == "pam_loginuid.so";
    let (file, number) = ours.place();
    let Some(place) = lines.iter().position(is_loginuid) else {
        let what = "there is no line pam_loginuid.so: a session has no audit session of its own, and a later su or sudo is \
                    traced back by its processes alone";
        let fix = format!("add before line {number}: session required pam_loginuid.so");
        return Some(lint::PAM_NO_LOGINUID.at(file, number, what.to_owned(), fix));
    };
    if place < at {
        return None;
    }
    let (other, line) = lines.get(place)?.place();
    let what = format!(
        "svcauth is called before pam_loginuid.so ({} line {line}): the session is registered under the audit session of whoever \
         started the service, and everybody in that one inherits its origin",
        other.display()
    );
    let fix = format!("put the line pam_loginuid.so before line {number} of {}", file.display());
    Some(lint::PAM_BEFORE_LOGINUID.at(file, number, what, fix))
}

fn reads_user_file(line: &Line) -> bool {
    line.module() == "pam_env.so" && line.arguments().iter().any(|argument| argument == "user_readenv=1")
}

fn user_env(look: &Look<'_>, line: &Line, is_before: bool) -> Finding {
    let (file, number) = line.place();
    let fix = format!("delete user_readenv=1 in line {number} of {}", file.display());
    // Only sshd tells in the environment which key was proven.
    if is_before && look.service() == "sshd" {
        let what = "~/.pam_environment is read before svcauth: it can say that another key was proven, and be any person";
        return lint::PAM_AFTER_USER_ENV.at(file, number, what.to_owned(), fix);
    }
    let what = "~/.pam_environment is read: whoever can write the home of a shared account sets the environment of everybody \
                in it, SVCAUTH_ORIGIN included";
    lint::PAM_USER_ENV.at(file, number, what.to_owned(), fix)
}
