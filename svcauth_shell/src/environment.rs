//! The environment of a program that runs without a shell: what is fixed, and of what came what is known to do no harm.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use nix::unistd::getuid;
use svcauth_core::command::SHELL_PATH;

/// Where programs look for others. The account has no say in it.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A value of a locale, a terminal or a time zone: a name, never a path. (TZ with a path makes libc read that file, TERM makes
/// a terminal library look for it.)
fn is_name(value: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-+@,:/=".contains(byte);
    value.len() <= 128
        && value.first() != Some(&b'/')
        && value.first() != Some(&b':')
        && value.iter().all(plain)
        && !has_dots(value)
}

/// `..` as a part of a path.
fn has_dots(value: &[u8]) -> bool {
    value.split(|byte| *byte == b'/').any(|part| part == b"..")
}

/// What sshd says about the connection: addresses and ports.
fn is_connection(value: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b".:% ".contains(byte);
    value.len() <= 256 && value.iter().all(plain)
}

/// An absolute path without anything odd in it.
fn is_path(value: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_graphic() && !b":\"'\\$`".contains(byte);
    value.first() == Some(&b'/') && value.len() <= 256 && value.iter().all(plain) && !has_dots(value)
}

/// The folder of this user, as pam_systemd(8) makes it. su without a dash leaves that of whoever called it, or what they say:
/// programs trust the sockets and the settings that they find there.
fn is_runtime_folder(value: &[u8]) -> bool {
    value == format!("/run/user/{}", getuid()).as_bytes()
}

/// What git(1) knows: `version=2`, or keys like it with colons between.
fn is_git_protocol(value: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"=:.-".contains(byte);
    value.len() <= 128 && value.iter().all(plain)
}

/// The session and the person behind it, as our PAM module names them.
fn is_label(value: &[u8]) -> bool {
    value.len() <= 256 && value.iter().all(u8::is_ascii_graphic)
}

type Check = fn(&[u8]) -> bool;

const KEPT: &[(&str, Check)] = &[
    ("LANG", is_name),
    ("LANGUAGE", is_name),
    ("LC_ALL", is_name),
    ("LC_COLLATE", is_name),
    ("LC_CTYPE", is_name),
    ("LC_MESSAGES", is_name),
    ("LC_MONETARY", is_name),
    ("LC_NUMERIC", is_name),
    ("LC_TIME", is_name),
    ("TERM", is_name),
    ("TZ", is_name),
    ("SSH_CLIENT", is_connection),
    ("SSH_CONNECTION", is_connection),
    ("SSH_TTY", is_path),
    ("SSH_AUTH_SOCK", is_path),
    ("XDG_RUNTIME_DIR", is_runtime_folder),
    ("XDG_SESSION_ID", is_label),
    ("GIT_PROTOCOL", is_git_protocol),
    ("SVCAUTH_ORIGIN", is_label),
    ("SVCAUTH_SESSION", is_label),
];

/// `NAME=value`, for execve(2). What is not on the list, or has a value that such a variable never has, is left out.
pub(crate) fn clean(
    came: impl Iterator<Item = (OsString, OsString)>,
    account: &str,
    home: &str,
) -> Vec<OsString> {
    let fixed = [
        ("HOME", home),
        ("USER", account),
        ("LOGNAME", account),
        // A program that starts its user's shell gets one that asks again.
        ("SHELL", SHELL_PATH),
        ("PATH", PATH),
    ];
    let fixed = fixed.into_iter().map(|(name, value)| pair(OsStr::new(name), OsStr::new(value)));
    fixed
        .chain(came.filter(|(name, value)| is_kept(name, value)).map(|(name, value)| pair(&name, &value)))
        .collect()
}

/// What a program must have, whatever it would have had otherwise.
pub(crate) fn with(mut environment: Vec<OsString>, fixed: &[(String, String)]) -> Vec<OsString> {
    for (name, value) in fixed {
        let own = [name.as_bytes(), b"="].concat();
        environment.retain(|pair| !pair.as_bytes().starts_with(&own));
        environment.push(pair(OsStr::new(name), OsStr::new(value)));
    }
    environment
}

fn is_kept(name: &OsStr, value: &OsStr) -> bool {
    KEPT.iter().any(|(kept, check)| name == OsStr::new(kept) && check(value.as_bytes()))
}

/// The environment as it came, for the account's own shell. That it was us who was started is not for programs that start
/// their user's shell.
pub(crate) fn untouched(came: impl Iterator<Item = (OsString, OsString)>, shell: &str) -> Vec<OsString> {
    let own = |name: &OsStr, value: &OsStr| name == "SHELL" && value == SHELL_PATH;
    came.map(
        |(name, value)| if own(&name, &value) { pair(&name, OsStr::new(shell)) } else { pair(&name, &value) },
    )
    .collect()
}

fn pair(name: &OsStr, value: &OsStr) -> OsString {
    OsString::from_vec([name.as_bytes(), b"=", value.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::{clean, with};
    use std::ffi::OsString;

    #[test]
    fn the_runtime_folder_of_somebody_else_is_left_out() {
        let has = |folder: &str| {
            let came = [("XDG_RUNTIME_DIR".into(), folder.into())].into_iter();
            clean(came, "deployer", "/home/deployer")
                .iter()
                .any(|pair| *pair == OsString::from(format!("XDG_RUNTIME_DIR={folder}")))
        };
        let uid = nix::unistd::getuid().as_raw();
        assert!(has(&format!("/run/user/{uid}")));
        for other in [format!("/run/user/{}", uid + 1), format!("/run/user/{uid}/x"), "/tmp".to_owned()] {
            assert!(!has(&other), "{other}");
        }
    }

    #[test]
    fn what_a_program_must_have_takes_the_place_of_what_it_would_have_had() {
        let environment = ["HOME=/home/x", "HOMELY=1"].map(OsString::from).to_vec();
        let fixed = [("HOME".to_owned(), "/dev/null".to_owned()), ("A".to_owned(), "b".to_owned())];
        let expected = ["HOMELY=1", "HOME=/dev/null", "A=b"].map(OsString::from);
        assert_eq!(with(environment, &fixed), expected);
    }
}
