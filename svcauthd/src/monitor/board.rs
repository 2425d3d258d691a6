//! The board: what `svcauth status` shows, written by the monitor's thread and read by the socket's.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use svcauth_core::config::{Config, Directory};
use svcauth_host::clock::Clock;
use svcauth_host::confirmed;
use svcauth_host::snapshot_file::open_access;

use crate::control::{Changes, Counts, DirectoryStatus, State, Status};
use crate::job::Done;

/// A handle to the one board of the process.
#[derive(Clone, Default)]
pub(super) struct Board(Arc<Mutex<Notes>>);

#[derive(Default)]
struct Notes {
    directory: Option<Directory>,
    /// The server or file of this directory that answered last.
    server: Option<String>,
    changes: Option<Changes>,
    max_stale: u64,
    refresh: u64,
    last_error: Option<String>,
    /// Why the configuration on the disk is not the one in use.
    not_configured: Option<String>,
    next_refresh: Option<Instant>,
    /// Why the audit file is not written.
    audit: Option<String>,
}

impl Board {
    fn notes<T>(&self, note: impl FnOnce(&mut Notes) -> T) -> T {
        note(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn configured(&self, config: &Config) {
        self.notes(|notes| {
            notes.not_configured = None;
            if notes.directory.as_ref() != Some(&config.directory) {
                notes.server = None;
                notes.changes = None;
                notes.directory = Some(config.directory.clone());
            }
            notes.max_stale = config.limits.max_stale.as_secs();
            notes.refresh = config.directory.refresh.as_secs();
        });
    }

    /// A server answered, whether or not what it said is published.
    pub(super) fn follows(&self, done: &Done) {
        let changes = match (&done.mark, done.live) {
            (_, true) => Changes::Pushed,
            (Some(_), false) => Changes::Polled,
            (None, false) => Changes::Whole,
        };
        self.notes(|notes| {
            notes.server = Some(done.server.clone());
            notes.changes = Some(changes);
        });
    }

    pub(super) fn refreshed(&self) {
        self.notes(|notes| notes.last_error = None);
    }

    pub(super) fn failed(&self, reason: &str) {
        self.notes(|notes| notes.last_error = Some(reason.to_owned()));
    }

    /// The configuration was read again and is faulty.
    pub(super) fn not_configured(&self, reason: &str) {
        self.notes(|notes| notes.not_configured = Some(reason.to_owned()));
    }

    /// Whether the audit file is written, or why it is not.
    pub(super) fn audit(&self, trouble: Option<&str>) {
        self.notes(|notes| notes.audit = trouble.map(str::to_owned));
    }

    pub(super) fn next_refresh(&self, due: Instant) {
        self.notes(|notes| notes.next_refresh = Some(due));
    }

    /// The status as logins see it: number, age and counts come from the published files and not from memory.
    pub(super) fn status(&self) -> Status {
        let opened = open_access();
        let header = opened.as_ref().ok().map(|snapshot| *snapshot.header());
        let age = header.as_ref().and_then(|header| confirmed::age(header, &Clock::now()).0);
        self.notes(|notes| {
            let unusable = opened.as_ref().err().map(ToString::to_string);
            let last_error = notes.last_error.clone().or(unusable).or_else(|| notes.not_configured.clone());
            let has_error = last_error.is_some() || notes.audit.is_some();
            Status {
                state: state(age, notes, has_error),
                generation: header.map_or(0, |header| header.generation),
                age_seconds: age,
                max_stale_seconds: Some(notes.max_stale),
                directory: notes.directory_status(),
                counts: header.map_or_else(Counts::default, |header| Counts {
                    accounts: header.accounts,
                    groups: header.groups,
                    people: header.people,
                }),
                last_error,
                next_refresh_seconds: notes
                    .next_refresh
                    .map(|due| due.saturating_duration_since(Instant::now()).as_secs()),
                audit_error: notes.audit.clone(),
            }
        })
    }
}

impl Notes {
    fn directory_status(&self) -> DirectoryStatus {
        let kind = self.directory.as_ref().map_or("", |directory| directory.kind.as_str());
        DirectoryStatus { kind: kind.to_owned(), server: self.server.clone(), changes: self.changes }
    }
}

/// Failed: logins are refused. Degraded: they are not, but the directory has not confirmed the snapshot in time, or the
/// configuration on the disk is faulty and would keep the next start from happening, or the audit file is not written.
fn state(age: Option<u64>, notes: &Notes, has_error: bool) -> State {
    match age {
        None => State::Failed,
        Some(age) if age >= notes.max_stale => State::Failed,
        Some(age) if has_error || age > notes.refresh.saturating_mul(3) => State::Degraded,
        Some(_) => State::Ok,
    }
}

#[cfg(test)]
mod tests {
    use super::{Board, Config, Done};

    #[test]
    fn what_answered_for_another_directory_is_not_shown_for_this_one() {
        let config = |file: &str| {
            let text = format!(
                "[directory]\nkind = \"ldif\"\nfile = \"{file}\"\n[[access]]\naccounts = [\"*\"]\nroles = [\"r\"]\n"
            );
            Config::parse(&text).unwrap()
        };
        let board = Board::default();
        let shown = || board.notes(|notes| notes.directory_status().server);
        board.configured(&config("/one.ldif"));
        board.follows(&Done { server: "/one.ldif".to_owned(), ..Done::default() });
        board.configured(&config("/one.ldif"));
        assert_eq!(shown().as_deref(), Some("/one.ldif"));
        board.configured(&config("/two.ldif"));
        assert_eq!(shown(), None);
    }
}
