//! What a record is about, how it came out, and how loud it is.

use core::fmt;

/// What a record is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Event {
    /// Somebody asked to become an account, and was allowed or denied.
    #[default]
    Decision,
    /// A session of an account began.
    SessionStart,
    /// A session ended by itself.
    SessionEnd,
    /// svcauth ended a session, because its person may no longer use the account.
    SessionRevoked,
    /// A command or a shell was asked for in a session of an account, and started or refused.
    Command,
    /// One of them ended.
    CommandEnd,
    /// A key was offered and refused. Nothing is proven: anybody can offer anybody's public key.
    KeyRefused,
    /// Something needs an administrator.
    Alarm,
    /// A new generation was published, or the attempt failed.
    Sync,
    /// An administrator changed something with the `svcauth` command.
    Admin,
    /// A credential was issued or refused.
    Credential,
    /// So many records like this one were not kept one by one.
    Suppressed,
    /// The audit file begins here.
    FileBegin,
}

/// The outcome of a decision, as a record holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The account may be used.
    Allow,
    /// It may not.
    Deny,
}

/// How loud a record is: the severities of RFC 5424, section 6.2.1, that svcauth uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// 4: alarms.
    Warning,
    /// 5: denials, refused keys, revoked sessions.
    Notice,
    /// 6: the rest.
    Informational,
}

impl Event {
    /// Every event there is.
    pub const ALL: &'static [Self] = &[
        Self::Decision,
        Self::SessionStart,
        Self::SessionEnd,
        Self::SessionRevoked,
        Self::Command,
        Self::CommandEnd,
        Self::KeyRefused,
        Self::Alarm,
        Self::Sync,
        Self::Admin,
        Self::Credential,
        Self::Suppressed,
        Self::FileBegin,
    ];

    /// The value of the key `event`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Decision => "decision",
            Self::SessionStart => "session_start",
            Self::SessionEnd => "session_end",
            Self::SessionRevoked => "session_revoked",
            Self::Command => "command",
            Self::CommandEnd => "command_end",
            Self::KeyRefused => "key_refused",
            Self::Alarm => "alarm",
            Self::Sync => "sync",
            Self::Admin => "admin",
            Self::Credential => "credential",
            Self::Suppressed => "suppressed",
            Self::FileBegin => "file_begin",
        }
    }

    /// The catalogue id of journald for this event (`journalctl MESSAGE_ID=...`); never changed once released.
    #[must_use]
    pub const fn message_id(self) -> &'static str {
        match self {
            Self::Decision => "3b5fe0ae760045c58ed6b09639e044ef",
            Self::SessionStart => "6da1c1640552406dbf471ff8c90ddef6",
            Self::SessionEnd => "14816f07d01b47208280efdf61a5ee97",
            Self::SessionRevoked => "a3bc8677323d47d9b8c07892f5c63e0e",
            Self::Command => "85b97dfd53b7418ca473b8c8755f1462",
            Self::CommandEnd => "1888bce97c1b47daac7da418ffa25ce3",
            Self::KeyRefused => "7bd636468e6c413880bc190d021c6db6",
            Self::Alarm => "9e5643b950624042b45218c6dc156048",
            Self::Sync => "25e11abc0595485c9ce6a7de8c5c1a3d",
            Self::Admin => "7093ab78bdab4b2db419ff5c55d157e3",
            Self::Credential => "432f45fd8f3a4216936194f1e14307b4",
            Self::Suppressed => "32589c00f1ad43a38d442dfecf589dda",
            Self::FileBegin => "48d11c5947b6403689bd8b7059d4dd65",
        }
    }
}

impl Verdict {
    /// The value of the key `decision`, and the verb of the line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

impl Severity {
    /// The number in a syslog priority and in journald's `PRIORITY`.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Warning => 4,
            Self::Notice => 5,
            Self::Informational => 6,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
