//! Audit records of what was done to the published state: by a refresh, and by an administrator.

use std::fmt::Display;

use nix::sys::socket::UnixCredentials;
use svcauth_core::audit::{Event, Record};
use svcauth_host::audit;
use svcauth_host::clock::Clock;
use svcauth_host::host_names::host_names;

use crate::control::{Reply, Request};

/// What /proc/PID/loginuid says of a process that no login leads to (pam_loginuid(8)).
const NO_LOGIN: u32 = u32::MAX;

/// Something that an administrator asks the daemon to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Deed {
    /// The command that asks for it.
    pub(super) command: String,
    /// The process that asks.
    pub(super) pid: u32,
    /// The uid that logged in to get there: root by sudo is still somebody.
    pub(super) login: Option<u32>,
}

impl Deed {
    /// What a request of root changes, if it is granted. A refused one changes nothing, and anybody can send it.
    pub(super) fn of(request: &Request, peer: &UnixCredentials) -> Option<Self> {
        let command = match request {
            _ if peer.uid() != 0 => return None,
            Request::Sync { accept_shrink: true, .. } => "svcauth sync --accept-shrink".to_owned(),
            Request::Approve { role } => format!("svcauth roles approve {role}"),
            Request::Status {} | Request::Sync { accept_shrink: false, .. } | Request::KeyRefused(_) => {
                return None;
            }
        };
        let pid = u32::try_from(peer.pid()).unwrap_or(0);
        let login = std::fs::read_to_string(format!("/proc/{pid}/loginuid"));
        let login = login.ok().and_then(|text| text.trim().parse().ok()).filter(|uid| *uid != NO_LOGIN);
        Some(Self { command, pid, login })
    }

    /// Records it with what came of it.
    pub(super) fn record(self, reply: &Reply) {
        // It is done whether or not a log takes the record.
        let _ = audit::write(&self.into_record(reply));
    }

    fn into_record(self, reply: &Reply) -> Record {
        let who = self.login.map_or_else(
            || "by root, without a login".to_owned(),
            |uid| format!("by root, logged in as uid {uid}"),
        );
        let (generation, outcome) = match reply {
            Reply::Synced { generation } => (Some(*generation), String::new()),
            Reply::Approved { generation, id } => (Some(*generation), format!(": the group {id}")),
            Reply::Failed { reason } => (None, format!(": failed: {reason}")),
            Reply::Status(_) | Reply::Progress(_) | Reply::Noted {} => (None, String::new()),
        };
        let about = record(Event::Admin, format!("{who}{outcome}"));
        Record { command: Some(self.command), pid: Some(self.pid), generation, ..about }
    }
}

/// Records a new generation.
pub(super) fn published(generation: u64, what: &str) {
    // It is published whether or not a log takes the record.
    let _ = audit::write(&Record { generation: Some(generation), ..record(Event::Sync, what) });
}

/// A record of the daemon about itself, now.
pub(super) fn record(event: Event, detail: impl Display) -> Record {
    Record {
        event,
        time: Some(Clock::now().wall.saturating_mul(1_000_000)),
        host: host_names().into_iter().next(),
        pid: Some(std::process::id()),
        detail: Some(detail.to_string()),
        ..Record::default()
    }
}

#[cfg(test)]
mod tests {
    use super::{Deed, Reply, Request, UnixCredentials};

    #[test]
    fn a_deed_says_what_was_asked_by_whom_and_what_came_of_it() {
        let deed = |login| Deed { command: "svcauth roles approve x".to_owned(), pid: 7, login };
        let done = deed(Some(1001)).into_record(&Reply::Approved { id: "S-1".to_owned(), generation: 42 });
        assert_eq!(done.detail.as_deref(), Some("by root, logged in as uid 1001: the group S-1"));
        assert_eq!((done.event.as_str(), done.pid, done.generation), ("admin", Some(7), Some(42)));
        let failed = deed(None).into_record(&Reply::Failed { reason: "no group has that name".to_owned() });
        let said = "by root, without a login: failed: no group has that name";
        assert_eq!(failed.detail.as_deref(), Some(said));
        assert_eq!((failed.generation, failed.command.as_deref()), (None, Some("svcauth roles approve x")));
    }

    #[test]
    fn only_what_root_changes_is_a_deed() {
        let peer = |uid| UnixCredentials::from(nix::libc::ucred { pid: 1, uid, gid: 0 });
        let sync = |accept_shrink| Request::Sync { accept_shrink, whole: true, progress: false };
        let approve = Request::Approve { role: "x".to_owned() };
        assert_eq!(Deed::of(&sync(true), &peer(0)).unwrap().command, "svcauth sync --accept-shrink");
        assert_eq!(Deed::of(&approve, &peer(0)).unwrap().command, "svcauth roles approve x");
        for (request, uid) in
            [(&sync(false), 0), (&Request::Status {}, 0), (&sync(true), 1), (&approve, 1000)]
        {
            assert_eq!(Deed::of(request, &peer(uid)), None, "{request:?} {uid}");
        }
    }
}
