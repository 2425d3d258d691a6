//! The session phases: the decision, its record and its entry in the registry; the environment; the end.

use std::cell::Cell;
use std::ffi::CString;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pam::module::PamHandle;
use svcauth_core::audit::Record;
use svcauth_core::policy::{Decision, Family, Reason, decide};
use svcauth_core::snapshot::Invalid;
use svcauth_host::clock::Clock;
use svcauth_host::decisions;
use svcauth_host::host_names::host_names;
use svcauth_host::local_users;
use svcauth_host::sessions::{
    Process, Registry, RegistryError, Session, SessionOrigin, current_audit_session, may_have_processes,
};

use crate::answer::Answer;
use crate::identify::{self, Identified, Who};
use crate::request::{Request, User};
use crate::target::{self, Managed, Target, Unusable};
use crate::{ffi, identify_ssh, record};

/// How long the end of a session looks for processes that live on. Where that is not enough the daemon looks later.
const LOOK: Duration = Duration::from_millis(20);

/// What pam_set_data(3) keeps from open_session to close_session.
#[derive(Debug)]
pub(crate) struct Open {
    session: Session,
    ended: Cell<bool>,
}

/// A request on its way to an answer.
struct Case<'a> {
    request: &'a Request,
    clock: Clock,
    hosts: Vec<String>,
    record: Record,
}

/// What a case came to.
struct Outcome {
    identified: Identified,
    decision: Decision,
    needs_audit: bool,
}

/// Decides, records, registers; in this order nobody is let in without a trace.
pub(crate) fn open(pamh: &mut PamHandle, request: &Request) -> Answer {
    // A second session on the same handle ends the first.
    end_open(pamh);
    let clock = Clock::now();
    let target = target::look_up(&request.user, &clock);
    let hosts = host_names();
    let record = record::of_request(request, &hosts);
    let mut case = Case { request, clock, hosts, record };
    let outcome = match target {
        Target::Unmanaged => return Answer::NotOurs,
        Target::Unusable(unusable) => case.without_snapshot(unusable),
        Target::Managed(managed) => case.by_policy(pamh, &managed),
    };
    record::add_origin(&mut case.record, &outcome.identified);
    match outcome.decision {
        Decision::Allow => case.grant(pamh, &outcome),
        Decision::Deny(reason) => case.deny(reason),
    }
}

/// Puts origin and session into the environment of the session: for its user to read, and never evidence.
pub(crate) fn establish(pamh: &mut PamHandle, request: &Request) -> Answer {
    let own = |open: &&Open| !open.ended.get() && request.user == User::Named(open.session.account.clone());
    let Some(lines) = ffi::open(pamh).filter(own).map(|open| environment(&open.session)) else {
        return Answer::NotOurs;
    };
    put(pamh, lines);
    Answer::Granted
}

/// Ends the session that this handle has open, if any: its record, and its entry in the registry.
pub(crate) fn end_open(pamh: &PamHandle) -> bool {
    let Some(open) = ffi::open(pamh).filter(|open| !open.ended.replace(true)) else {
        return false;
    };
    let registry = Registry::open();
    let entry = registry.as_ref().ok().and_then(|registry| registry.reread(&open.session).ok().flatten());
    // Whoever opened it may be dead, and the daemon have seen that before us.
    if entry.is_none_or(|entry| entry.ended.is_none()) {
        let seconds = Clock::now().boottime.saturating_sub(open.session.since_boot);
        record::end(&open.session, seconds);
    }
    // What stays behind is recognised by its dead process.
    let _ = registry.and_then(|registry| leave(&registry, &open.session));
    true
}

/// Removes the entry; or marks it as ended while processes of the session live on, behind which there is still somebody.
fn leave(registry: &Registry, session: &Session) -> Result<(), RegistryError> {
    let around = match session.audit_session {
        Some(id) => registry.in_audit_session(id, &session.boot_id)?,
        None => Vec::new(),
    };
    if may_have_processes(session, &around, LOOK) {
        return registry.mark_ended(session, Clock::now().wall);
    }
    registry.remove(session)
}

impl Case<'_> {
    fn without_snapshot(&mut self, unusable: Unusable) -> Outcome {
        self.record.uid = unusable.uid;
        if self.request.is_by_root() {
            let mut identified = self.superuser();
            identified.proof.detail = Some(unusable.detail);
            return Outcome { identified, decision: Decision::Allow, needs_audit: false };
        }
        Outcome {
            identified: Identified::nobody_because(unusable.reason, unusable.detail),
            decision: Decision::Deny(unusable.reason),
            needs_audit: true,
        }
    }

    fn by_policy(&mut self, pamh: &mut PamHandle, managed: &Managed) -> Outcome {
        record::add_target(&mut self.record, managed);
        let identified = self
            .identify(pamh, managed)
            .unwrap_or_else(|why| Identified::nobody_because(Reason::SnapshotInvalid, why.to_string()));
        let names: Vec<&str> = self.hosts.iter().map(String::as_str).collect();
        let service = Some(self.request.service.as_str());
        let at = managed.circumstances(service, &names, self.request.source(), &self.clock);
        let verdict = decide(&managed.policy, &managed.account, identified.origin(), &at);
        record::add_roles(&mut self.record, &managed.policy, &verdict);
        Outcome {
            // Nothing keeps root out, so no full log does either.
            needs_audit: managed.needs_audit() && identified.who != Who::Root,
            decision: verdict.decision,
            identified,
        }
    }

    fn identify(&self, pamh: &mut PamHandle, managed: &Managed) -> Result<Identified, Invalid> {
        if self.request.is_by_root() {
            return Ok(self.superuser());
        }
        match self.request.family() {
            // Read once and here: a later pam_env(8) may put in what ~/.pam_environment says.
            Family::Sshd => {
                let info = ffi::get_env(pamh, c"SSH_AUTH_INFO_0");
                identify_ssh::by_auth_info(&managed.snapshot, &managed.policy, info.as_deref())
            }
            Family::Su | Family::Sudo => identify::invoker(managed, self.request, self.boot_id()),
            Family::Job => Ok(identify::job()),
            Family::Manager => Ok(identify::manager(&managed.account.name, self.boot_id())),
            Family::Other => Ok(identify::stranger(self.request)),
        }
    }

    fn superuser(&self) -> Identified {
        identify::superuser(self.boot_id())
    }

    fn boot_id(&self) -> &str {
        self.clock.boot_id.as_deref().unwrap_or_default()
    }

    fn deny(self, reason: Reason) -> Answer {
        record::deny(self.record, reason);
        Answer::Denied
    }

    fn grant(mut self, pamh: &mut PamHandle, outcome: &Outcome) -> Answer {
        if outcome.identified.who == Who::Root {
            self.admit_root(pamh, &outcome.identified);
            return self.granted();
        }
        match self.admit(pamh, outcome) {
            Ok(()) => self.granted(),
            Err((reason, detail)) => {
                self.record.detail = Some(detail);
                self.deny(reason)
            }
        }
    }

    fn granted(&self) -> Answer {
        decisions::note(None, &self.request.service);
        Answer::Granted
    }

    /// Registers, records, keeps: whatever fails undoes what came before it.
    fn admit(&mut self, pamh: &mut PamHandle, outcome: &Outcome) -> Result<(), (Reason, String)> {
        let failed = |detail: String| (Reason::InternalError, detail);
        let session =
            self.session(&outcome.identified).ok_or_else(|| failed("/proc is not mounted".to_owned()))?;
        let registry = Registry::open().map_err(|error| failed(error.to_string()))?;
        let killed = registry.register(&session).map_err(|error| failed(error.to_string()))?;
        record::end_killed(&killed, &self.clock);
        self.record.session = Some(session.id.clone());
        let recorded = if outcome.needs_audit {
            let taken = record::allow_for_certain(&mut self.record);
            taken.map_err(|error| (Reason::AuditUnavailable, error.to_string()))
        } else {
            record::allow(&mut self.record);
            Ok(())
        };
        let kept = recorded.and_then(|()| {
            keep(pamh, session.clone()).map_err(|()| failed("pam_set_data(3) failed".to_owned()))
        });
        match &kept {
            Ok(()) => record::start(&session, &self.hosts),
            Err(_) => drop(registry.remove(&session)),
        }
        kept
    }

    /// Leaves what traces can be left. Nothing of it may keep the superuser, or a job of the system, out.
    fn admit_root(&mut self, pamh: &mut PamHandle, identified: &Identified) {
        let session = self.session(identified);
        self.record.session = session.as_ref().map(|session| session.id.clone());
        record::allow(&mut self.record);
        if let Some(session) = session {
            let killed = Registry::open().and_then(|registry| registry.register(&session));
            record::end_killed(&killed.unwrap_or_default(), &self.clock);
            record::start(&session, &self.hosts);
            let _ = keep(pamh, session);
        }
    }

    /// The entry of the registry; `None` without /proc.
    fn session(&self, identified: &Identified) -> Option<Session> {
        let boot_id = self.clock.boot_id.clone()?;
        let process = Process::current()?;
        let User::Named(account) = self.request.user.clone() else {
            return None;
        };
        let origin = match &identified.who {
            Who::Person(person) => SessionOrigin::Person(person.login.clone()),
            Who::Root => SessionOrigin::Root,
            Who::Local | Who::BesideSessions => SessionOrigin::Local(account.clone()),
            Who::Nobody(_) => return None,
        };
        let proof = identified.proof.clone();
        Some(Session {
            id: session_id(&boot_id, process.pid),
            boot_id,
            audit_session: current_audit_session(),
            process,
            uid: self.record.uid.or_else(|| local_users::uid_of(&account)),
            account,
            origin,
            evidence: proof.evidence,
            key_fingerprint: proof.key_fingerprint,
            cert_key_id: proof.cert_key_id,
            cert_serial: proof.cert_serial,
            cert_ca: proof.cert_ca,
            principal: proof.principal,
            first_evidence: proof.first_evidence,
            on_behalf_of: proof.on_behalf_of,
            service: self.request.service.clone(),
            from: self.request.rhost.clone(),
            tty: self.request.tty.clone(),
            chain: proof.chain,
            since: self.clock.wall,
            since_boot: self.clock.boottime,
            generation: self.record.generation,
            ended: None,
        })
    }
}

/// Unique on this host without asking for randomness: the boot, the process, the nanosecond.
fn session_id(boot_id: &str, pid: u32) -> String {
    let boot: String = boot_id.chars().take_while(char::is_ascii_hexdigit).collect();
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    format!("{boot}-{pid:x}-{nanos:x}")
}

/// Keeps the session for the phases to come and puts its environment.
fn keep(pamh: &mut PamHandle, session: Session) -> Result<(), ()> {
    let lines = environment(&session);
    let open = Open { session, ended: Cell::new(false) };
    ffi::keep_open(pamh, open).map_err(|_| ())?;
    put(pamh, lines);
    Ok(())
}

fn environment(session: &Session) -> [String; 2] {
    [format!("SVCAUTH_ORIGIN={}", session.origin.name()), format!("SVCAUTH_SESSION={}", session.id)]
}

fn put(pamh: &mut PamHandle, lines: [String; 2]) {
    for line in lines.into_iter().filter_map(|line| CString::new(line).ok()) {
        // A session without the variables is no less recorded.
        let _ = ffi::put_env(pamh, &line);
    }
}
