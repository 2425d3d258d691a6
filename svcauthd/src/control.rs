//! What the `svcauth` command may ask the daemon, and what it hears. One request and one reply a connection.

use serde::{Deserialize, Serialize};

/// A request. Who asks is told by the kernel (SO_PEERCRED, unix(7)), never by a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// How are you? Everybody may ask. (With braces: serde lets unknown fields of a variant without them pass.)
    Status {},
    /// Fetch the directory now and publish. Only root may ask.
    Sync {
        /// Publish even if the directory suddenly holds much less than before.
        accept_shrink: bool,
        /// Read everything anew, not only what has changed.
        #[serde(default)]
        whole: bool,
        /// Send [`Reply::Progress`] now and then before the reply itself.
        #[serde(default)]
        progress: bool,
    },
    /// Take the group that has the name of a role now for the role. Only root may ask.
    Approve {
        /// What an access rule calls the role.
        role: String,
    },
    /// The keys command refused a key. Only its user and root may say so; nobody waits for a reply.
    KeyRefused(RefusedKey),
}

/// A key that was offered and refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefusedKey {
    /// The account that it was offered for.
    pub account: String,
    /// The code of the reason.
    pub reason: String,
    /// Whose it is.
    pub owner: Option<String>,
    /// Its fingerprint.
    pub fingerprint: String,
    /// The generation that the decision rests on.
    pub generation: u64,
    /// The age of that.
    pub age_seconds: Option<u64>,
}

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Reply {
    /// To [`Request::Status`].
    Status(Status),
    /// To [`Request::Sync`]: the generation that includes the directory's present state is published.
    Synced {
        /// Its number.
        generation: u64,
    },
    /// To [`Request::Approve`]: done and published.
    Approved {
        /// The id of the group.
        id: String,
        /// The generation from which on it counts.
        generation: u64,
    },
    /// To [`Request::Sync`] with `progress`, any number of times: so many entries have come in.
    Progress(Counts),
    /// To [`Request::KeyRefused`].
    Noted {},
    /// The request was not carried out.
    Failed {
        /// Why, and the next step.
        reason: String,
    },
}

/// Whether logins to managed accounts work, and for how long they will.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The directory confirms the snapshot as it should.
    Ok,
    /// Logins work, but the directory does not answer, or the audit file is not written.
    Degraded,
    /// Logins to managed accounts are refused.
    Failed,
}

/// `svcauth status --json`; the shape is an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The state in one word.
    pub state: State,
    /// Number of the published generation; 0: none yet.
    pub generation: u64,
    /// Seconds since the directory last confirmed it; `None`: unknown.
    pub age_seconds: Option<u64>,
    /// Age from which on logins to managed accounts are refused; `None`: not known to whoever asks.
    pub max_stale_seconds: Option<u64>,
    /// Where the entries come from.
    pub directory: DirectoryStatus,
    /// How many there are.
    pub counts: Counts,
    /// Why the last attempt to refresh failed; `None` after one that did not.
    pub last_error: Option<String>,
    /// Seconds until the next attempt; `None` when no daemon is running.
    pub next_refresh_seconds: Option<u64>,
    /// Why the audit file is not written; `None` when it is, or no daemon is running.
    #[serde(default)]
    pub audit_error: Option<String>,
}

/// Where the entries come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryStatus {
    /// The kind of directory, as in the configuration.
    pub kind: String,
    /// The server or file that answered last; `None`: none has yet.
    pub server: Option<String>,
    /// How changes reach this host; `None`: not known yet.
    #[serde(default)]
    pub changes: Option<Changes>,
}

/// How changes of the directory reach this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Changes {
    /// The server tells of them at once.
    Pushed,
    /// They are asked for at every refresh.
    Polled,
    /// Everything is read again at every refresh.
    Whole,
}

/// How many entries a generation has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Managed accounts.
    pub accounts: u32,
    /// Managed groups.
    pub groups: u32,
    /// People.
    pub people: u32,
}

impl State {
    /// The exit code of `svcauth status`.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Degraded => 1,
            Self::Failed => 3,
        }
    }
    /// The word for people and scripts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
        }
    }
}
