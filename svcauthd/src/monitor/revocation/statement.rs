//! What is written about a session that would not be opened again, and what is said on its terminal.

use std::time::{Duration, Instant};

use svcauth_core::audit::{AlarmKind, Event, Record};
use svcauth_core::policy::Reason;
use svcauth_host::audit;
use svcauth_host::audit_log::DEADLINE;
use svcauth_host::clock::Clock;
use svcauth_host::host_names::host_names;
use svcauth_host::sessions::{Seen, Session};

use super::scope::Found;

/// Processes that a record names one by one.
const NAMED: usize = 20;
/// How long all records of one look may take together: a hung log must not keep hundreds of sessions from ending.
const BUDGET: Duration = Duration::from_secs(2);
/// What each record may take beyond that.
const LEAST: Duration = Duration::from_millis(1);

/// A session that would not be opened again.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub(super) session: Session,
    pub(super) reason: Reason,
    /// The generation that says so.
    pub(super) generation: u64,
}

/// Writes records, and does not wait for ever when nobody takes them.
pub(super) struct Writer {
    clock: Clock,
    host: Option<String>,
    started: Instant,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self { clock: Clock::now(), host: host_names().into_iter().next(), started: Instant::now() }
    }

    /// Its end begins.
    pub(super) fn ends(&self, refused: &Refused, found: &Found, grace: Duration) {
        let after = if grace.is_zero() {
            "SIGKILL follows at once".to_owned()
        } else {
            format!("SIGKILL to what is left follows after {} s", grace.as_secs())
        };
        let detail = format!(
            "{}; its {} get SIGTERM, {after}{}",
            refused.reason.sentence(),
            processes(found.all()),
            left_alone(found)
        );
        let record = Record {
            reason: Some(refused.reason.code().to_owned()),
            count: Some(found.all().count() as u64),
            detail: Some(detail),
            ..refused.session.record(Event::SessionRevoked)
        };
        self.write(refused, record);
    }

    /// It should end, and the configuration lets it go on.
    pub(super) fn goes_on(&self, refused: &Refused, found: &Found) {
        let what = format!("it goes on, because on_revoke = \"log\", with {}", processes(found.all()));
        self.alarm(refused, AlarmKind::RevokedSessionGoesOn, &format!("{what}{}", left_alone(found)));
    }

    /// It has nothing that is certainly its own.
    pub(super) fn unclear(&self, refused: &Refused, found: &Found) {
        let what = format!("nothing is certainly its own{}", left_alone(found));
        self.alarm(refused, AlarmKind::RevokedSessionUnclear, &what);
    }

    /// Some of it outlived SIGKILL.
    pub(super) fn survives(&self, refused: &Refused, found: &Found) {
        let what = format!(
            "SIGKILL has not ended its {}; a process in state D of ps(1) waits for a disk or a file server; the next \
             refresh tries again",
            processes(found.all())
        );
        self.alarm(refused, AlarmKind::RevokedSessionSurvives, &what);
    }

    fn alarm(&self, refused: &Refused, kind: AlarmKind, what: &str) {
        let reason = refused.reason;
        let record = Record {
            reason: Some(kind.as_str().to_owned()),
            detail: Some(format!("{reason}: {}; {what}", reason.sentence())),
            ..refused.session.record(Event::Alarm)
        };
        self.write(refused, record);
    }

    fn write(&self, refused: &Refused, record: Record) {
        let record = Record {
            time: Some(self.clock.wall.saturating_mul(1_000_000)),
            generation: Some(refused.generation),
            host: self.host.clone(),
            duration_seconds: Some(self.clock.boottime.saturating_sub(refused.session.since_boot)),
            ..record
        };
        let left = BUDGET.saturating_sub(self.started.elapsed()).clamp(LEAST, DEADLINE);
        // What is to end ends whether or not a log takes the record.
        let _ = audit::write_within(&record, left);
    }
}

/// The line for the terminals of a session that ends.
pub(super) fn line(refused: &Refused, grace: Duration) -> String {
    let Refused { session, reason, .. } = refused;
    let when = if grace.is_zero() {
        "this session ends now".to_owned()
    } else {
        format!("this session ends now, and what still runs in {} s is killed", grace.as_secs())
    };
    format!(
        "svcauth: the access of {} to {} has ended ({}); {when}",
        session.origin.name(),
        session.account,
        reason.sentence()
    )
}

fn processes<'a>(all: impl Iterator<Item = &'a Seen>) -> String {
    named(all.map(|seen| seen.process.pid.to_string()).collect())
}

fn named(pids: Vec<String>) -> String {
    let more = pids.len().saturating_sub(NAMED);
    let told: Vec<String> = pids.into_iter().take(NAMED).collect();
    let told = if told.is_empty() { "none".to_owned() } else { told.join(" ") };
    if more > 0 { format!("processes ({told} and {more} more)") } else { format!("processes ({told})") }
}

fn left_alone(found: &Found) -> String {
    if found.shared.is_empty() {
        return String::new();
    }
    let pids = found.shared.keys().map(u32::to_string).collect();
    let mut with: Vec<&str> = found.shared.values().map(String::as_str).collect();
    with.sort_unstable();
    with.dedup();
    format!(
        "; left alone, because they may belong to another session of {}: {}",
        with.join(", "),
        named(pids)
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use svcauth_host::sessions::{Process, Seen, SessionOrigin};

    use super::{Found, Reason, Refused, left_alone, line, processes};
    use crate::monitor::session_fixture::session;

    fn seen(pid: u32) -> Seen {
        let process = Process { pid, start: 1 };
        Seen { process, parent: 1, uids: [7001; 4], audit_session: Some(7), terminal: None }
    }

    #[test]
    fn the_terminal_is_told_who_why_and_how_long() {
        let session = session("deployer", SessionOrigin::Person("bob".to_owned()), "::1");
        let refused = Refused { session, reason: Reason::NotInRole, generation: 7 };
        assert_eq!(
            line(&refused, Duration::from_secs(10)),
            "svcauth: the access of bob to deployer has ended (the person is in none of the roles that may use this \
             account); this session ends now, and what still runs in 10 s is killed"
        );
        assert!(line(&refused, Duration::ZERO).ends_with("; this session ends now"));
    }

    #[test]
    fn a_record_names_the_first_processes_and_counts_the_others() {
        let all: Vec<Seen> = (1..=22).map(seen).collect();
        assert_eq!(processes(all.iter().take(2)), "processes (1 2)");
        assert!(processes(all.iter()).ends_with(" 20 and 2 more)"));
        let mut found = Found::default();
        assert_eq!(left_alone(&found), "");
        found.shared.extend([(5, "alice".to_owned()), (6, "alice".to_owned()), (7, "carol".to_owned())]);
        let text = left_alone(&found);
        assert!(text.ends_with("another session of alice, carol: processes (5 6 7)"), "{text}");
    }
}
