//! Audit records of decisions and session ends.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use svcauth_core::audit::{Event, Record, Verdict as Word};
use svcauth_core::origin::Evidence;
use svcauth_core::policy::{Policy, Reason, RoleRef, Verdict};
use svcauth_host::audit::{self, NotTaken};
use svcauth_host::audit_log::DEADLINE;
use svcauth_host::clock::Clock;
use svcauth_host::decisions;
use svcauth_host::host_names::host_names;
use svcauth_host::sessions::Session;

use crate::identify::{Identified, Proof, Who};
use crate::request::{Request, User};
use crate::target::Managed;

/// What the request alone says.
pub(crate) fn of_request(request: &Request, hosts: &[String]) -> Record {
    Record {
        time: now_micros(),
        event: Event::Decision,
        account: match &request.user {
            User::Named(name) | User::NotText(name) => Some(name.clone()),
            User::Missing => None,
        },
        service: Some(request.service.clone()),
        from: request.rhost.clone(),
        tty: request.tty.clone(),
        host: hosts.first().cloned(),
        pid: Some(std::process::id()),
        ..Record::default()
    }
}

/// Adds what the snapshot says about the account.
pub(crate) fn add_target(record: &mut Record, managed: &Managed) {
    record.uid = managed.account.uid;
    record.generation = Some(managed.snapshot.header().generation);
    record.age_seconds = managed.age.0;
}

/// Adds who is behind the session, and by which proof.
pub(crate) fn add_origin(record: &mut Record, identified: &Identified) {
    let (origin, kind) = match &identified.who {
        Who::Person(person) => (Some(person.login.clone()), Some("person")),
        Who::Root => (Some("root".to_owned()), Some("root")),
        Who::Local | Who::BesideSessions => (record.account.clone(), Some("local")),
        Who::Nobody(_) => (None, None),
    };
    record.origin = origin;
    record.origin_kind = kind.map(str::to_owned);
    let proof = identified.proof.clone();
    record.evidence = proof.evidence.map(|evidence| evidence.as_str().to_owned());
    record.key_fingerprint = proof.key_fingerprint;
    record.cert_key_id = proof.cert_key_id;
    record.cert_serial = proof.cert_serial;
    record.cert_ca = proof.cert_ca;
    record.principal = proof.principal;
    record.first_evidence = proof.first_evidence.map(|evidence| evidence.as_str().to_owned());
    record.on_behalf_of = proof.on_behalf_of;
    record.chain = proof.chain;
    record.detail = proof.detail;
}

/// Adds the roles that allowed, or whose lack denied.
pub(crate) fn add_roles(record: &mut Record, policy: &Policy, verdict: &Verdict) {
    let name = |role: &RoleRef| policy.roles.get(role.0 as usize).map(|role| role.name.as_str());
    let names: Vec<&str> = verdict.roles.iter().filter_map(name).collect();
    record.role = (!names.is_empty()).then(|| names.join(","));
}

/// Hands over the record of an allowed request, before the access itself, whoever takes it.
pub(crate) fn allow(record: &mut Record) {
    record.decision = Some(Word::Allow);
    record.reason = None;
    deliver(record);
}

/// The same where access depends on it. Nothing of a record that nobody takes for certain is left behind.
pub(crate) fn allow_for_certain(record: &mut Record) -> Result<(), NotTaken> {
    record.decision = Some(Word::Allow);
    record.reason = None;
    audit::write_or_leave(record).map(drop)
}

/// Hands over the record of a denied request, and counts it. It stays denied when nobody takes the record.
pub(crate) fn deny(mut record: Record, reason: Reason) {
    record.decision = Some(Word::Deny);
    record.reason = Some(reason.code().to_owned());
    deliver(&record);
    decisions::note(Some(reason), record.service.as_deref().unwrap_or_default());
}

/// A denial that rests on nothing but the request.
pub(crate) fn deny_unplanned(request: &Request, reason: Reason) {
    deny(of_request(request, &[]), reason);
}

/// Hands over the record of a session's start. Access is granted by now, so nothing depends on who takes it.
pub(crate) fn start(session: &Session, hosts: &[String]) {
    let host = hosts.first().cloned();
    deliver(&Record { time: now_micros(), host, ..session.record(Event::SessionStart) });
}

/// Hands over the record of a session's end.
pub(crate) fn end(session: &Session, seconds: u64) {
    deliver(&Record {
        time: now_micros(),
        host: host_names().into_iter().next(),
        duration_seconds: Some(seconds),
        ..session.record(Event::SessionEnd)
    });
}

/// Hands over the records of sessions that nobody has ended, and whose entries had to make room. There may be hundreds of
/// them, and whoever logs in waits: for all together no longer than for one.
pub(crate) fn end_killed(sessions: &[Session], clock: &Clock) {
    let start = Instant::now();
    for session in sessions {
        let record = session.end_of_killed(clock, host_names().into_iter().next());
        let _ = audit::write_within(&record, DEADLINE.saturating_sub(start.elapsed()));
    }
}

impl Proof {
    /// What a session entry says of how its origin was proven, for the next session of the chain.
    pub(crate) fn inherited_from(session: &Session) -> Self {
        Self {
            evidence: Some(Evidence::Inherited),
            first_evidence: session.first_evidence.or(session.evidence),
            key_fingerprint: session.key_fingerprint.clone(),
            cert_key_id: session.cert_key_id.clone(),
            cert_serial: session.cert_serial,
            cert_ca: session.cert_ca.clone(),
            principal: session.principal.clone(),
            on_behalf_of: session.on_behalf_of.clone(),
            chain: session.chain.clone(),
            detail: None,
        }
    }
}

/// Whatever it is about happens, or happened, whoever takes the record.
fn deliver(record: &Record) {
    let _ = audit::write(record);
}

fn now_micros() -> Option<u64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_micros()).ok()
}
