//! What sshd, su, sudo and login say by the words that they start a login shell with.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use svcauth_core::command::SHELL_PATH;

use crate::failure::Failure;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invocation {
    /// The command line; `None`: an interactive shell.
    pub(crate) line: Option<Vec<u8>>,
    /// Whether it is to be a login shell, which reads the profile.
    pub(crate) login: bool,
}

/// Reads the words. `original` is SSH_ORIGINAL_COMMAND: sshd sets it for a forced command, and for nothing else, so that it
/// says something only when we are one. A client could have sent it otherwise.
///
/// # Errors
/// Words that nobody starts a login shell with.
pub(crate) fn read(words: &[OsString], original: Option<OsString>) -> Result<Invocation, Failure> {
    let (name, words) =
        words.split_first().map_or((OsStr::new(""), &[][..]), |(name, rest)| (name.as_os_str(), rest));
    let login = name.as_bytes().first() == Some(&b'-');
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    match words.as_slice() {
        [] => Ok(Invocation { line: None, login }),
        [b"-l" | b"--login"] => Ok(Invocation { line: None, login: true }),
        [b"--forced"] => Ok(forced(original)),
        [b"-c", line] if is_forced(line) => Ok(forced(original)),
        [b"-c", line] => Ok(Invocation { line: Some(line.to_vec()), login }),
        [b"-l" | b"--login", b"-c", line] | [b"-lc" | b"-cl", line] => {
            Ok(Invocation { line: Some(line.to_vec()), login: true })
        }
        [b"-c"] => Err(Failure::refused("-c needs a command line")),
        [b"-c", _, word, ..] | [word, ..] => Err(Failure::refused(format!(
            "{} is no option of this shell; see svcauth-shell(1)",
            word.escape_ascii()
        ))),
    }
}

/// As ForceCommand: what the client asked for, or an interactive shell, which sshd would have started as a login shell.
fn forced(original: Option<OsString>) -> Invocation {
    let line = original.map(OsString::into_vec);
    Invocation { login: line.is_none(), line }
}

/// sshd runs a forced command by the login shell, which may be this very program.
fn is_forced(line: &[u8]) -> bool {
    line.strip_prefix(SHELL_PATH.as_bytes()) == Some(b" --forced")
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::{Invocation, read};

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    fn line(line: &str, login: bool) -> Invocation {
        Invocation { line: Some(line.as_bytes().to_vec()), login }
    }

    #[test]
    fn every_way_that_a_login_shell_is_started_is_understood() {
        let shell = |login| Invocation { line: None, login };
        for (started, wanted) in [
            // login, su -, sudo -i, sshd without a command
            (&["-svcauth-shell"][..], shell(true)),
            // su
            (&["svcauth-shell"], shell(false)),
            (&["svcauth-shell", "-l"], shell(true)),
            // sshd, su -c
            (&["svcauth-shell", "-c", "ls /"], line("ls /", false)),
            (&["svcauth-shell", "-c", ""], line("", false)),
            (&["svcauth-shell", "-c", "--forced"], line("--forced", false)),
            // su - -c, sudo -i
            (&["-svcauth-shell", "-c", "ls /"], line("ls /", true)),
            (&["bash", "-lc", "ls /"], line("ls /", true)),
            (&["bash", "-l", "-c", "ls /"], line("ls /", true)),
        ] {
            assert_eq!(read(&words(started), Some("evil".into())), Ok(wanted), "{started:?}");
        }
    }

    #[test]
    fn a_forced_command_is_what_the_client_asked_for_and_a_login_shell_without_that() {
        for forced in [&["x", "--forced"][..], &["x", "-c", "/usr/bin/svcauth-shell --forced"]] {
            let forced = words(forced);
            assert_eq!(read(&forced, Some("scp -t f".into())), Ok(line("scp -t f", false)));
            assert_eq!(read(&forced, Some(OsString::new())), Ok(line("", false)));
            assert_eq!(read(&forced, None), Ok(Invocation { line: None, login: true }));
        }
        let longer = words(&["x", "-c", "/usr/bin/svcauth-shell --forced; id"]);
        assert_eq!(read(&longer, None), Ok(line("/usr/bin/svcauth-shell --forced; id", false)));
    }

    #[test]
    fn other_words_are_refused() {
        for odd in [
            &["x", "-c"][..],
            &["x", "-i"],
            &["x", "file"],
            &["x", "--help"],
            &["x", "-c", "ls", "name"],
            &["x", "--forced", "-c", "ls"],
            &["x", "-l", "-i"],
            &["x", "-lc"],
            &["x", ""],
        ] {
            let refused = read(&words(odd), None).unwrap_err();
            assert_eq!(refused.status, crate::REFUSED, "{odd:?}");
        }
        assert!(
            read(&words(&["x", "-c", "ls", "a\nb"]), None)
                .unwrap_err()
                .message
                .starts_with("a\\nb is no option")
        );
        assert!(read(&[], None).is_ok(), "no words at all ask for a shell");
    }
}
