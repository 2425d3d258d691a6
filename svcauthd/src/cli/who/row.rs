//! One line: a process and who is behind it, or why nobody knows.

use serde::Serialize;
use svcauth_core::audit::rfc3339;
use svcauth_host::sessions::{Attribution, Behind, Processes, Seen, Session};

use super::command::short;
use super::managed::Managed;

/// A process that was looked at.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) seen: Seen,
    pub(super) command: Option<String>,
}

/// What is told of it. The keys are an interface: added at the end, never renamed.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pid: u32,
    pub(super) account: Option<String>,
    pub(super) uid: u32,
    origin: Option<String>,
    evidence: Option<&'static str>,
    session: Option<String>,
    since: Option<String>,
    from: Option<String>,
    command: Option<String>,
    origin_kind: Option<&'static str>,
    on_behalf_of: Option<String>,
    ended: Option<String>,
    /// Why the origin is not known.
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chain: Option<Vec<Step>>,
    #[serde(skip)]
    began: u64,
}

/// A session on the way to a process. Of one that is over only the name is left; `svcauth log` has the rest.
#[derive(Debug, Serialize)]
struct Step {
    session: String,
    account: Option<String>,
    origin: Option<String>,
    evidence: Option<&'static str>,
    service: Option<String>,
    from: Option<String>,
    since: Option<String>,
}

impl Row {
    /// The row of a process that runs as a managed account.
    pub(super) fn of_account(
        subject: Subject,
        attribution: &Attribution,
        processes: &Processes,
        managed: &mut Managed,
    ) -> Option<Self> {
        let uid = managed_uid(&subject.seen, managed)?;
        Some(Self::new(subject, uid, attribution, processes, managed))
    }

    /// The row of whatever process a session led to.
    pub(super) fn of_any(
        subject: Subject,
        attribution: &Attribution,
        processes: &Processes,
        managed: &mut Managed,
    ) -> Option<Self> {
        let uid = managed_uid(&subject.seen, managed).or_else(|| {
            let is_led_to = attribution.behind(&subject.seen, processes) != Behind::Nobody;
            is_led_to.then(|| subject.seen.uids[0])
        })?;
        Some(Self::new(subject, uid, attribution, processes, managed))
    }

    fn new(
        subject: Subject,
        uid: u32,
        attribution: &Attribution,
        processes: &Processes,
        managed: &mut Managed,
    ) -> Self {
        let behind = attribution.behind(&subject.seen, processes);
        let why = match &behind {
            Behind::Session(_) => None,
            Behind::Ambiguous(sessions) => Some(format!("ambiguous: {}", names(sessions))),
            Behind::Nobody => Some("no session".to_owned()),
        };
        let session = behind.session();
        let of_session = session.and_then(|session| session.uid).filter(|uid| subject.seen.has_uid(*uid));
        let uid = of_session.unwrap_or(uid);
        Self {
            pid: subject.seen.process.pid,
            account: session.map(|session| session.account.clone()).or_else(|| managed.name_of(uid)),
            uid,
            origin: session.map(|session| session.origin.name().to_owned()),
            evidence: session.and_then(|session| session.evidence).map(|evidence| evidence.as_str()),
            session: session.map(|session| session.id.clone()),
            since: session.map(|session| time(session.since)),
            from: session.and_then(|session| session.from.clone()),
            command: subject.command,
            origin_kind: session.map(|session| session.origin.kind()),
            on_behalf_of: session.and_then(|session| session.on_behalf_of.clone()),
            ended: session.and_then(|session| session.ended).map(time),
            why,
            chain: None,
            began: session.map_or(u64::MAX, |session| session.process.start),
        }
    }

    /// By session, in the order in which they began, and then by pid; what nobody is behind comes last.
    pub(super) fn place(&self) -> (u64, Option<&str>, u32) {
        (self.began, self.session.as_deref(), self.pid)
    }

    pub(super) fn cells(&self) -> Vec<String> {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        let origin = match (&self.origin, &self.why) {
            (Some(origin), _) => origin.clone(),
            (None, why) => format!("unknown ({})", why.as_deref().unwrap_or_default()),
        };
        vec![
            self.pid.to_string(),
            self.account.clone().unwrap_or_else(|| self.uid.to_string()),
            origin,
            self.evidence.unwrap_or("-").to_owned(),
            text(&self.session),
            text(&self.since),
            text(&self.from),
            short(self.command.as_deref().unwrap_or("-")),
        ]
    }

    /// Adds the sessions that led here, oldest first, this one last; tells them for a table.
    pub(super) fn set_chain(&mut self, around: &[Session]) -> Vec<String> {
        let find = |id: &str| around.iter().find(|session| session.id == id);
        let Some(own) = self.session.as_deref().and_then(find) else { return Vec::new() };
        let before = own.chain.iter().flat_map(|chain| chain.split('/'));
        let steps: Vec<Step> = before.chain([own.id.as_str()]).map(|id| Step::of(id, find(id))).collect();
        let told = steps.iter().map(Step::told).collect();
        self.chain = Some(steps);
        told
    }
}

impl Step {
    fn of(id: &str, session: Option<&Session>) -> Self {
        Self {
            session: id.to_owned(),
            account: session.map(|session| session.account.clone()),
            origin: session.map(|session| session.origin.name().to_owned()),
            evidence: session.and_then(|session| session.evidence).map(|evidence| evidence.as_str()),
            service: session.map(|session| session.service.clone()),
            from: session.and_then(|session| session.from.clone()),
            since: session.map(|session| time(session.since)),
        }
    }

    fn told(&self) -> String {
        let (Some(account), Some(origin), Some(service)) = (&self.account, &self.origin, &self.service)
        else {
            return format!("  {}: over; see: svcauth log --session {0}", self.session);
        };
        let from = self.from.as_ref().map(|from| format!(" from {from}")).unwrap_or_default();
        let evidence = self.evidence.map(|evidence| format!(", {evidence}")).unwrap_or_default();
        let since = self.since.as_deref().unwrap_or("-");
        format!("  {}: {since} {origin} as {account} by {service}{from}{evidence}", self.session)
    }
}

/// The uid by which it is a process of a managed account.
fn managed_uid(seen: &Seen, managed: &Managed) -> Option<u32> {
    seen.uids.into_iter().find(|uid| managed.is_managed(*uid))
}

/// The people between whom nobody can tell, each once.
fn names(sessions: &[&Session]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for session in sessions {
        if !names.contains(&session.origin.name()) {
            names.push(session.origin.name());
        }
    }
    names.join("|")
}

/// Seconds since 1970 as RFC 3339 without a fraction.
fn time(seconds: u64) -> String {
    rfc3339(seconds.saturating_mul(1_000_000)).replace(".000000", "")
}
