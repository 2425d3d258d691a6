//! What the daemon tells Prometheus: a file for the textfile collector of the node exporter that a host has anyway.
//!
//! No port is opened, and nobody has to be let in. The file lies beside the snapshots and survives a restart of the host:
//! where the daemon does not come up, the last confirmation in it grows old and raises the alarm that its owner wants.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use svcauth_core::policy::Reason;
use svcauth_host::clock::Clock;
use svcauth_host::decisions::{Counter, Counts};
use svcauth_host::spool::drain::Drain;

use super::board::Board;
use super::exposition::{Exposition, Labels, Type};
use super::recorder::Tally;
use crate::control::{State, Status};
use crate::directory::{Extent, Traffic};
use crate::failure::{Failure, FailureKind};
use crate::state_dir::StateDir;

/// Without anything to tell, the file is written anew this often: its age is the proof that the daemon lives.
const INTERVAL: Duration = Duration::from_secs(15);
/// However much there is to tell, it is not written more often.
const PAUSE: Duration = Duration::from_secs(1);
/// The file, in the folder of the published state.
const FILE: &str = "metrics.prom";
/// Upper limits of the buckets of a refresh, in seconds.
const LIMITS: [f64; 5] = [0.01, 0.1, 1.0, 10.0, 100.0];

/// The numbers of this process; every clone is the same.
#[derive(Clone, Default)]
pub(super) struct Metrics(Arc<Shared>);

#[derive(Default)]
struct Shared {
    numbers: Mutex<Numbers>,
    changed: Condvar,
}

/// What has been counted since the daemon started.
#[derive(Clone, Debug, Default)]
struct Numbers {
    whole: Durations,
    changes: Durations,
    failures: BTreeMap<FailureKind, u64>,
    revoked: BTreeMap<Reason, u64>,
    commands: BTreeMap<(bool, Option<Reason>), u64>,
    traffic: Traffic,
    fetch: Duration,
    publish: Duration,
    refused: usize,
    /// The number of the last line of the audit trail.
    trail: Option<u64>,
    tally: Tally,
    is_new: bool,
}

/// How long refreshes of one extent took.
#[derive(Clone, Copy, Debug, Default)]
struct Durations {
    below: [u64; LIMITS.len()],
    count: u64,
    sum: f64,
    last: Option<f64>,
}

/// A refresh that worked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refresh {
    pub(super) extent: Extent,
    /// Asking the directory and taking over what it said.
    pub(super) fetch: Duration,
    /// Making and writing the snapshots, or confirming them.
    pub(super) publish: Duration,
    /// Entries of the directory that are not used; `None`: as many as before.
    pub(super) refused: Option<usize>,
}

impl Durations {
    fn add(&mut self, seconds: f64) {
        for (limit, below) in LIMITS.iter().zip(&mut self.below) {
            *below += u64::from(seconds <= *limit);
        }
        self.count += 1;
        self.sum += seconds;
        self.last = Some(seconds);
    }
}

impl Metrics {
    fn note(&self, note: impl FnOnce(&mut Numbers)) {
        let mut numbers = self.0.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        note(&mut numbers);
        numbers.is_new = true;
        self.0.changed.notify_one();
    }

    /// A refresh worked.
    pub(super) fn refreshed(&self, refresh: &Refresh) {
        self.note(|numbers| {
            let durations = match refresh.extent {
                Extent::Whole => &mut numbers.whole,
                Extent::Changes => &mut numbers.changes,
            };
            durations.add((refresh.fetch + refresh.publish).as_secs_f64());
            numbers.fetch += refresh.fetch;
            numbers.publish += refresh.publish;
            numbers.refused = refresh.refused.unwrap_or(numbers.refused);
        });
    }

    /// A refresh failed.
    pub(super) fn failed(&self, failure: &Failure) {
        self.note(|numbers| *numbers.failures.entry(failure.kind).or_default() += 1);
    }

    /// A session is ended for this reason.
    pub(super) fn revoked(&self, reason: Reason) {
        self.note(|numbers| *numbers.revoked.entry(reason).or_default() += 1);
    }

    /// A command or a shell was asked for; `reason`: why it was refused, or would have been but for a learning rule.
    pub(super) fn command(&self, is_allowed: bool, reason: Option<Reason>) {
        self.note(|numbers| *numbers.commands.entry((is_allowed, reason)).or_default() += 1);
    }

    /// How the recorder stands. It says so at every look, so nobody is woken up for it.
    pub(super) fn recorded(&self, trail: Option<u64>, tally: &Tally) {
        let mut numbers = self.0.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        numbers.trail = trail;
        if numbers.tally != *tally {
            numbers.tally = tally.clone();
        }
    }

    /// The worker has asked the directory that much.
    pub(super) fn asked(&self, traffic: Traffic) {
        self.note(|numbers| {
            let Traffic { requests, received, sent } = &mut numbers.traffic;
            *requests = requests.saturating_add(traffic.requests);
            *received = received.saturating_add(traffic.received);
            *sent = sent.saturating_add(traffic.sent);
        });
    }

    /// Numbers, and a thread that writes them for as long as the process lives: nothing waits for it, and what keeps it from
    /// writing keeps nothing else from being done.
    pub(super) fn start(dir: &StateDir, board: &Board) -> Self {
        let metrics = Self::default();
        let (own, dir, board) = (metrics.clone(), dir.clone(), board.clone());
        std::thread::spawn(move || own.write_for_ever(&dir, &board));
        metrics
    }

    fn write_for_ever(&self, dir: &StateDir, board: &Board) {
        let started = Clock::now().wall;
        let (mut counter, mut decisions) = (Counter::default(), Counts::default());
        loop {
            counter.count_into(&mut decisions);
            let numbers = self.taken();
            let (now, status, spool) = (Clock::now().wall, board.status(), Drain::default().held().ok());
            let text = text(&Facts { started, now, status, spool, numbers, decisions: &decisions });
            // The same disk takes the snapshots: a full one is reported there.
            let _ = dir.show(FILE, text.as_bytes());
            std::thread::sleep(PAUSE);
            self.wait();
        }
    }

    /// The numbers of now; until they change there is nothing new.
    fn taken(&self) -> Numbers {
        let mut numbers = self.0.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        numbers.is_new = false;
        numbers.clone()
    }

    fn wait(&self) {
        let numbers = self.0.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let waited =
            self.0.changed.wait_timeout_while(numbers, INTERVAL.saturating_sub(PAUSE), |n| !n.is_new);
        drop(waited);
    }
}

/// Everything that the file tells.
struct Facts<'a> {
    started: u64,
    now: u64,
    status: Status,
    /// Bytes of the spool.
    spool: Option<u64>,
    numbers: Numbers,
    decisions: &'a Counts,
}

fn text(facts: &Facts<'_>) -> String {
    let mut to = Exposition::default();
    about_the_snapshot(&mut to, facts);
    about_refreshes(&mut to, &facts.numbers);
    about_decisions(&mut to, facts.decisions);
    about_sessions(&mut to, &facts.numbers);
    about_commands(&mut to, &facts.numbers);
    about_audit(&mut to, facts);
    to.into_text()
}

fn about_the_snapshot(to: &mut Exposition, facts: &Facts<'_>) {
    let Facts { started, now, status, numbers, .. } = facts;
    to.metric("svcauth_build_info", Type::Gauge, "The version of the daemon.")
        .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    to.metric("svcauth_start_time_seconds", Type::Gauge, "When the daemon started, in seconds since 1970.")
        .sample(&[], started);
    let mut state = to.metric("svcauth_state", Type::Gauge, "1 for the state that svcauth status shows.");
    for (name, state_of_name) in [("ok", State::Ok), ("degraded", State::Degraded), ("failed", State::Failed)]
    {
        state.sample(&[("state", name)], u8::from(status.state == state_of_name));
    }
    // Without a snapshot nobody can tell an age; a number in its place would be a lie.
    if let Some(age) = status.age_seconds {
        let confirmed = now.saturating_sub(age);
        let help = "Seconds since the directory last confirmed the snapshot, when this file was written.";
        to.metric("svcauth_snapshot_age_seconds", Type::Gauge, help).sample(&[], age);
        let help = "When the directory last confirmed the snapshot, in seconds since 1970; to be held against time().";
        to.metric("svcauth_snapshot_confirmed_timestamp_seconds", Type::Gauge, help).sample(&[], confirmed);
    }
    if let Some(max_stale) = status.max_stale_seconds {
        let help = "The age from which on logins of managed accounts are refused.";
        to.metric("svcauth_max_stale_seconds", Type::Gauge, help).sample(&[], max_stale);
    }
    for (name, help, value) in [
        ("svcauth_generation", "Number of the published generation.", status.generation),
        ("svcauth_accounts", "Accounts in the published generation.", status.counts.accounts.into()),
        ("svcauth_groups", "Groups in the published generation.", status.counts.groups.into()),
        ("svcauth_people", "People in the published generation.", status.counts.people.into()),
        ("svcauth_refused_entries", "Entries of the directory that are not used.", numbers.refused as u64),
    ] {
        to.metric(name, Type::Gauge, help).sample(&[], value);
    }
}

fn about_refreshes(to: &mut Exposition, numbers: &Numbers) {
    let kinds: [(Labels<'_>, &Durations); 2] =
        [(&[("kind", "whole")], &numbers.whole), (&[("kind", "changes")], &numbers.changes)];
    let help = "How long refreshes took that worked, by whether everything was read or what had changed.";
    let mut all = to.metric("svcauth_refresh_duration_seconds", Type::Histogram, help);
    for (labels, durations) in kinds {
        let buckets: Vec<(f64, u64)> = LIMITS.iter().copied().zip(durations.below).collect();
        all.histogram(labels, &buckets, durations.sum, durations.count);
    }
    if kinds.iter().any(|(_, durations)| durations.last.is_some()) {
        let mut last = to.metric(
            "svcauth_refresh_last_duration_seconds",
            Type::Gauge,
            "How long the last refresh took that worked.",
        );
        for (labels, seconds) in kinds.into_iter().filter_map(|(labels, d)| Some((labels, d.last?))) {
            last.sample(labels, seconds);
        }
    }
    let help = "Seconds spent on refreshes that worked, by step.";
    to.metric("svcauth_refresh_seconds_total", Type::Counter, help)
        .sample(&[("step", "fetch")], numbers.fetch.as_secs_f64())
        .sample(&[("step", "publish")], numbers.publish.as_secs_f64());
    let failed: u64 = numbers.failures.values().sum();
    to.metric("svcauth_refresh_total", Type::Counter, "Refreshes since the daemon started.")
        .sample(&[("result", "success")], numbers.whole.count + numbers.changes.count)
        .sample(&[("result", "failure")], failed);
    let mut errors =
        to.metric("svcauth_refresh_errors_total", Type::Counter, "Refreshes that failed, by why.");
    for kind in FailureKind::ALL {
        errors.sample(&[("kind", kind.as_str())], numbers.failures.get(kind).copied().unwrap_or_default());
    }
    let Traffic { requests, received, sent } = numbers.traffic;
    to.metric("svcauth_directory_requests_total", Type::Counter, "LDAP requests.").sample(&[], requests);
    let help = "Bytes of LDAP messages, before TLS.";
    to.metric("svcauth_directory_bytes_total", Type::Counter, help)
        .sample(&[("direction", "received")], received)
        .sample(&[("direction", "sent")], sent);
}

/// A kind of decision that was never made on this host has no series: there are nearly two hundred of them.
fn about_decisions(to: &mut Exposition, decisions: &Counts) {
    let help = "Decisions of the PAM module on this host about managed accounts.";
    let mut all = to.metric("svcauth_decisions_total", Type::Counter, help);
    for (kind, count) in &decisions.decisions {
        let (decision, reason) = kind.denied.map_or(("allow", ""), |reason| ("deny", reason.code()));
        let labels = [("decision", decision), ("reason", reason), ("service", kind.service.as_str())];
        all.sample(&labels, count);
    }
    let help = "How often so many decisions waited to be counted that some may be missing.";
    to.metric("svcauth_decision_overflows_total", Type::Counter, help).sample(&[], decisions.full);
}

/// As with decisions, what never happened has no series.
fn about_sessions(to: &mut Exposition, numbers: &Numbers) {
    let help = "Sessions that were ended because they would not be opened again, by why.";
    let mut all = to.metric("svcauth_sessions_revoked_total", Type::Counter, help);
    for (reason, count) in &numbers.revoked {
        all.sample(&[("reason", reason.code())], count);
    }
}

fn about_commands(to: &mut Exposition, numbers: &Numbers) {
    let help = "Commands and shells that svcauth-shell asked for; a reason beside allow: a learning rule let it run.";
    let mut all = to.metric("svcauth_commands_total", Type::Counter, help);
    for ((is_allowed, reason), count) in &numbers.commands {
        let decision = if *is_allowed { "allow" } else { "deny" };
        all.sample(&[("decision", decision), ("reason", reason.map_or("", Reason::code))], count);
    }
}

fn about_audit(to: &mut Exposition, facts: &Facts<'_>) {
    let Facts { status, spool, numbers, .. } = facts;
    let help = "1 while the audit file is written, 0 while records wait in the spool because it cannot be.";
    to.metric("svcauth_audit_writable", Type::Gauge, help)
        .sample(&[], u8::from(status.audit_error.is_none()));
    if let Some(trail) = numbers.trail {
        let help = "Records in the audit trail so far: the number of its last line.";
        to.metric("svcauth_audit_records_total", Type::Counter, help).sample(&[], trail);
    }
    let help = "Refusals beyond denied_per_minute, which are in the audit trail as numbers.";
    to.metric("svcauth_audit_suppressed_total", Type::Counter, help).sample(&[], numbers.tally.suppressed);
    if let Some(spool) = spool {
        let help = "Bytes that the spool of audit records takes of the memory.";
        to.metric("svcauth_audit_spool_bytes", Type::Gauge, help).sample(&[], spool);
    }
    let mut all = to.metric("svcauth_alarms_total", Type::Counter, "Alarms of this host, by kind.");
    for (kind, count) in &numbers.tally.alarms {
        all.sample(&[("kind", kind.as_str())], count);
    }
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
