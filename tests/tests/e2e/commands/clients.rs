//! The clients of sshd besides ssh: sftp, scp, rsync, git.

use svcauth_tests::failure::Outcome;
use svcauth_tests::keys::Key;
use svcauth_tests::program::Program;
use svcauth_tests::sshd::CLIENT;

use crate::host::Host;

/// A fast cipher, so that what is measured is not that.
const FAST: &str = "-oCiphers=aes128-gcm@openssh.com";

/// A client with the key of a person.
pub(super) struct Client<'a> {
    key: &'a Key,
    /// Further options of ssh.
    pub(super) options: Vec<String>,
}

impl<'a> Client<'a> {
    pub(super) fn of(person: &str, host: &'a Host) -> Outcome<Self> {
        Ok(Self { key: host.key(person)?, options: Vec::new() })
    }

    /// Over this connection and no other.
    pub(super) fn over(mut self, socket: &str) -> Self {
        self.options.extend([format!("-oControlPath={socket}"), "-oControlMaster=no".to_owned()]);
        self
    }

    fn words(&self) -> Vec<String> {
        let own = [FAST, "-oBatchMode=yes", "-i"].map(str::to_owned);
        let mut words: Vec<String> = CLIENT.iter().map(|word| (*word).to_owned()).chain(own).collect();
        words.push(self.key.path().display().to_string());
        words.extend(self.options.iter().cloned());
        words
    }

    /// ssh as one word, for the option of a program that starts it.
    pub(super) fn ssh_line(&self) -> String {
        format!("ssh {}", self.words().join(" "))
    }

    pub(super) fn ssh(&self, user: &str, command: &[&str]) -> Program {
        Program::new("ssh").args(&self.words()).arg(format!("{user}@127.0.0.1")).args(command)
    }

    /// sftp, fed with these lines.
    pub(super) fn sftp(&self, user: &str, batch: &str) -> Program {
        let sftp = Program::new("sftp").args(&self.words()).args(&["-q", "-b", "-"]);
        sftp.arg(format!("{user}@127.0.0.1")).input(batch)
    }

    /// sftp with another server: a subsystem, or a command when it has a slash.
    pub(super) fn sftp_by(&self, user: &str, server: &str) -> Program {
        let sftp = Program::new("sftp").args(&self.words()).args(&["-q", "-s", server, "-b", "-"]);
        sftp.arg(format!("{user}@127.0.0.1")).input("ls\n")
    }

    /// scp with its own options, which decide about the protocol; a path that begins with a colon is there.
    pub(super) fn scp(&self, user: &str, words: &[&str]) -> Program {
        let there = |word: &&str| match word.strip_prefix(':') {
            Some(path) => format!("{user}@127.0.0.1:{path}"),
            None => (*word).to_owned(),
        };
        Program::new("scp").args(&self.words()).args(&words.iter().map(there).collect::<Vec<_>>())
    }

    /// rsync; a path that begins with a colon is there.
    pub(super) fn rsync(&self, user: &str, words: &[&str]) -> Program {
        let there = |word: &&str| match word.strip_prefix(':') {
            Some(path) => format!("{user}@127.0.0.1:{path}"),
            None => (*word).to_owned(),
        };
        Program::new("rsync")
            .arg("-e")
            .arg(self.ssh_line())
            .args(&words.iter().map(there).collect::<Vec<_>>())
    }

    /// git in a folder.
    pub(super) fn git(&self, folder: &str, words: &[&str]) -> Program {
        let git = Program::new("/usr/bin/git").args(&["-c", "protocol.version=2", "-C", folder]).args(words);
        let names = ["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"];
        let git = names.iter().fold(git, |git, name| git.env(name, "bob@example.com"));
        git.env("GIT_SSH_COMMAND", self.ssh_line())
    }
}
