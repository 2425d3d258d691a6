//! What somebody who may use an account may do with it: the limits of access rules, and what a command line comes to.
//!
//! Belongs here: the limits as the configuration means them, reading a command line without a shell, deciding what of it
//! may run, and what `svcauth-shell` and the daemon say to each other. Never here: running anything.
//!
//! Allow-only, as the rest of the policy: a rule without limits allows everything that sshd does; a rule with limits allows
//! what they name and nothing else. Who is granted the account by several rules may do what any of them allows.

#[cfg(feature = "command")]
mod admit;
#[cfg(feature = "command")]
mod git;
#[cfg(feature = "command")]
mod lint;
#[cfg(feature = "command")]
mod pattern;
pub mod protocol;
#[cfg(feature = "command")]
mod rsync;
#[cfg(feature = "command")]
mod scp;
#[cfg(feature = "command")]
mod sftp;
#[cfg(feature = "command")]
mod transfer;
#[cfg(feature = "command")]
mod words;

#[cfg(feature = "command")]
pub use admit::admit;
#[cfg(feature = "command")]
pub use lint::lint;
#[cfg(feature = "command")]
pub use pattern::check_regex;
#[cfg(feature = "command")]
pub use words::{Syntax, Unplain, Word, split};

use std::string::String;
use std::vec::Vec;

/// The login shell of accounts that a rule limits, and the forced command of sshd.
pub const SHELL_PATH: &str = "/usr/bin/svcauth-shell";

/// Where distributions keep sftp-server(8): the first that exists is what runs, whichever of them was asked for.
pub const SFTP_SERVERS: [&str; 5] = [
    "/usr/lib/openssh/sftp-server",
    "/usr/libexec/openssh/sftp-server",
    "/usr/lib/ssh/sftp-server",
    "/usr/libexec/sftp-server",
    "/usr/lib/sftp-server",
];

/// What an access rule allows those whom it grants an account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Whether what the rule does not allow is refused, or only recorded.
    pub mode: Mode,
    /// Whether an interactive shell may be opened.
    pub shell: bool,
    /// The commands that may be run.
    pub commands: Vec<CommandRule>,
    /// What sshd may forward.
    pub forwarding: Forwarding,
    /// Whether interactive shells are recorded.
    pub record: bool,
}

/// Whether what a rule does not allow is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It is refused.
    #[default]
    Enforce,
    /// It runs, and a record says that it would be refused.
    Learn,
}

/// What sshd may forward for somebody (`AllowTcpForwarding` of sshd_config(5), and beyond).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Forwarding {
    /// Nothing: no port, no socket, no agent, no X11, no tunnel.
    #[default]
    No,
    /// Ports and sockets from the client's side (`ssh -L`, `-D`, `-W`).
    Local,
    /// Ports and sockets from this host's side (`ssh -R`).
    Remote,
    /// Whatever sshd allows.
    Any,
}

/// One kind of command that may run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CommandRule {
    /// A program with its arguments, each given by a pattern. Runs without a shell. The first one is an absolute path.
    Words(Vec<WordPattern>),
    /// Whatever the account's own shell makes of the command line.
    Any,
    /// `rsync --server`, as rsync(1) starts it on the other side.
    Rsync(Files),
    /// `scp -t` and `scp -f`, as `scp -O` starts it on the other side.
    Scp(Files),
    /// The SFTP subsystem, and so scp(1) of OpenSSH 9.
    Sftp(Files),
    /// `git-upload-pack`, `git-upload-archive` and, with [`Access::Write`], `git-receive-pack`.
    Git(Files),
}

/// Which files a transfer may touch, and how.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Files {
    /// Whether they may be changed.
    pub access: Access,
    /// Absolute paths; each stands for itself and all below. At least one.
    pub paths: Vec<String>,
}

/// Whether files may be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// They may be read: transfers from this host.
    Read,
    /// They may be read and changed.
    Write,
}

/// A pattern for one word of a command, or for the rest of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum WordPattern {
    /// This very word.
    Exact(String),
    /// `<re:...>`: a word that this regular expression matches from end to end.
    Regex(String),
    /// `<any>`: any one word.
    Any,
    /// `<rest>`: any number of any words, none too; only as the last one.
    Rest,
}

/// A text that is no [`WordPattern`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadPattern;

impl core::fmt::Display for BadPattern {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("between < and > stands re:EXPRESSION, any, or rest; write a word that begins with < as <re:<...>")
    }
}

impl core::error::Error for BadPattern {}

impl core::str::FromStr for WordPattern {
    type Err = BadPattern;
    fn from_str(text: &str) -> Result<Self, BadPattern> {
        if !text.starts_with('<') {
            return Ok(Self::Exact(String::from(text)));
        }
        let inner = text.strip_prefix('<').and_then(|text| text.strip_suffix('>')).ok_or(BadPattern)?;
        match inner {
            "any" => Ok(Self::Any),
            "rest" => Ok(Self::Rest),
            _ => inner.strip_prefix("re:").map(|regex| Self::Regex(String::from(regex))).ok_or(BadPattern),
        }
    }
}

impl core::fmt::Display for WordPattern {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Exact(word) => f.write_str(word),
            Self::Regex(regex) => write!(f, "<re:{regex}>"),
            Self::Any => f.write_str("<any>"),
            Self::Rest => f.write_str("<rest>"),
        }
    }
}

/// What a login asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish<'a> {
    /// An interactive shell.
    Shell,
    /// A command line, as sshd and su hand it to a shell after `-c`: any bytes.
    Line(&'a [u8]),
}

/// What is to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// The account's own shell, as a login shell.
    Shell {
        /// Whether the session is recorded.
        record: bool,
    },
    /// The whole line, by the account's own shell.
    Line,
    /// This program, without a shell.
    Program(Program),
}

/// A program and all that it gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its absolute path; also the first word that it sees. One of [`SFTP_SERVERS`] stands for all of them.
    pub path: String,
    /// The other words: exactly what the rule admitted.
    pub arguments: Vec<Vec<u8>>,
    /// Variables that it gets whatever else its environment is: they close ways to other programs.
    pub environment: Vec<(String, String)>,
    /// The files that it may touch; `None`: as the account may.
    pub files: Option<Files>,
}

/// What the limits of all granting rules come to for a wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// It may run.
    Run(Plan),
    /// It would be refused, and runs because a rule is learning.
    Learn(Plan, Refusal),
    /// It is refused.
    Refuse(Refusal),
}

/// Why something is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// `command_not_allowed` or `shell_not_allowed`.
    pub reason: crate::policy::Reason,
    /// What exactly is in the way, for the administrator: `no rule has the option --rsync-path`.
    pub detail: String,
}
