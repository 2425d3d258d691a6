//! Which services let people in, and which of them have no line of svcauth.

use super::Look;
use super::lint;
use crate::doctor::Finding;
use crate::pam_stack::Phase;

/// What a service is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It lets people in, and decides by opening a session: account and session lines are walked.
    OpensSessions,
    /// Nobody knows; it may let people in with the account lines alone.
    Unknown,
    /// Nobody becomes an account through it: only root may use it, or it is a part of other stacks.
    Nobody,
}

/// Services that let people in, of the distributions and of well-known programs.
const OPEN_SESSIONS: &[&str] =
    &["sshd", "su", "su-l", "sudo", "sudo-i", "login", "remote", "cron", "crond", "atd"];

/// Programs that let people in, and of which nobody knows here whether they open a session with PAM.
const LET_IN: &[&str] = &[
    "other",
    "cockpit",
    "ftp",
    "vsftpd",
    "proftpd",
    "pure-ftpd",
    "samba",
    "xrdp-sesman",
    "gdm",
    "gdm-password",
    "gdm-autologin",
    "gdm-fingerprint",
    "gdm-smartcard",
    "lightdm",
    "lightdm-autologin",
    "sddm",
    "sddm-autologin",
    "xdm",
    "kdm",
    "lxdm",
    "slim",
    "greetd",
    "ly",
    "kde",
    "rsh",
    "rlogin",
    "rexec",
    "telnet",
    "ppp",
    "dropbear",
    "nx",
    "x2go",
    "webmin",
    "usermin",
    "dovecot",
    "postgresql",
    "openvpn",
    "pkexec",
    "polkit-1",
    "doas",
    "vmtoolsd",
];

/// Services through which nobody becomes an account: root's own, changing a password, a part of other stacks, and the one that
/// sssd checks passwords of /etc/shadow with, for a service whose own stack then decides.
const NOBODY: &[&str] = &[
    "runuser",
    "runuser-l",
    "passwd",
    "chpasswd",
    "newusers",
    "chfn",
    "chsh",
    "chage",
    "groupadd",
    "groupdel",
    "groupmod",
    "groupmems",
    "useradd",
    "userdel",
    "usermod",
    "config-util",
    "sssd-shadowutils",
    "postlogin",
    "system-auth",
    "password-auth",
    "fingerprint-auth",
    "smartcard-auth",
    "gdm-launch-environment",
    "sddm-greeter",
    "lightdm-greeter",
];

/// Services that people log in through, whether or not this host has them.
pub(in crate::doctor) fn well_known() -> Vec<&'static str> {
    [OPEN_SESSIONS, LET_IN].concat()
}

/// What a service is for; a file that others include, and nobody knows as a service, is a part of them.
pub(super) fn kind_of(service: &str, is_included: bool) -> Kind {
    let is_left_behind = service.contains(".dpkg-")
        || service.ends_with('~')
        || [".rpmnew", ".rpmsave", ".bak", ".orig", ".pam-old"].iter().any(|end| service.ends_with(end));
    if NOBODY.contains(&service) || service.starts_with("common-") || is_left_behind {
        Kind::Nobody
    } else if OPEN_SESSIONS.contains(&service) {
        Kind::OpensSessions
    } else if is_included && !LET_IN.contains(&service) {
        Kind::Nobody
    } else {
        Kind::Unknown
    }
}

/// Findings about lines that are not there.
pub(super) fn missing(look: &Look<'_>, kind: Kind) -> Option<Finding> {
    let service = look.service();
    let lets_in = kind == Kind::OpensSessions || LET_IN.contains(&service);
    let lint = match (look.has_ours(Phase::Account), look.has_ours(Phase::Session)) {
        (true, true) => return None,
        (false, false) if lets_in => &lint::PAM_SERVICE_UNPROTECTED,
        (false, false) => &lint::PAM_OTHER_SERVICE_UNPROTECTED,
        (true, false) => &lint::PAM_SESSION_MISSING,
        (false, true) if kind == Kind::OpensSessions => &lint::PAM_ACCOUNT_MISSING,
        (false, true) if lets_in => &lint::PAM_SERVICE_UNPROTECTED,
        (false, true) => &lint::PAM_OTHER_SERVICE_UNPROTECTED,
    };
    let (what, phase) = match (look.has_ours(Phase::Account), look.has_ours(Phase::Session)) {
        (false, false) => (
            "no line of this service calls svcauth: whoever it lets in becomes a managed account, whatever the access rules say",
            Phase::Session,
        ),
        (true, false) => (
            "no session line of this service calls svcauth, and only there the person is known: whoever it lets in becomes a managed account",
            Phase::Session,
        ),
        (false, true) if kind == Kind::OpensSessions => (
            "no account line of this service calls svcauth: a refused person is refused late, and stays connected without a session",
            Phase::Account,
        ),
        _ => (
            "no account line of this service calls svcauth, and nobody knows whether it opens a session",
            Phase::Account,
        ),
    };
    Some(lint.of(look.file(), what.to_owned(), fix(look, phase)))
}

fn fix(look: &Look<'_>, phase: Phase) -> String {
    let common = if phase == Phase::Session { "common-session" } else { "common-account" };
    let includes = look.stack.lines.iter().any(|line| line.file.to_string_lossy().contains("/common-"));
    if includes {
        return "run: pam-auth-update --enable svcauth".to_owned();
    }
    format!(
        "add to {}: @include {common} (or, where there is no such file: {} requisite pam_svcauth.so)",
        look.file().display(),
        phase.word()
    )
}
