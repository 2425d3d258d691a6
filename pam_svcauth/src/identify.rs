//! Who is behind a session: the person that all evidence names, or why nobody is proven.
//!
//! Nothing but the snapshot and the session registry is asked. Not the environment of the process, not the name service.

use std::collections::BTreeSet;

use svcauth_core::origin::Evidence;
use svcauth_core::policy::{Family, Origin, Person, Reason};
use svcauth_core::snapshot::Invalid;
use svcauth_host::sessions::{Registry, RegistryError, Session, SessionOrigin};

use crate::request::Request;
use crate::target::Managed;

/// Who is behind a session, and what proves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identified {
    pub(crate) who: Who,
    pub(crate) proof: Proof,
}

/// Who is behind a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Person(Box<Person>),
    Root,
    /// The account itself: a job of cron or at.
    Local,
    /// The account itself, in which a session is open: its user manager.
    BesideSessions,
    Nobody(Reason),
}

/// What proves it, or what was offered as a proof.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Proof {
    pub(crate) evidence: Option<Evidence>,
    pub(crate) key_fingerprint: Option<String>,
    pub(crate) cert_key_id: Option<String>,
    pub(crate) cert_serial: Option<u64>,
    pub(crate) cert_ca: Option<String>,
    pub(crate) principal: Option<String>,
    /// Where the evidence is inherited: what it was at first.
    pub(crate) first_evidence: Option<Evidence>,
    /// On whose behalf, as a trusted authority says.
    pub(crate) on_behalf_of: Option<String>,
    /// The sessions before this one, oldest first, joined by `/`.
    pub(crate) chain: Option<String>,
    /// For the administrator.
    pub(crate) detail: Option<String>,
}

impl Identified {
    pub(crate) fn nobody(reason: Reason, proof: Proof) -> Self {
        Self { who: Who::Nobody(reason), proof }
    }

    pub(crate) fn nobody_because(reason: Reason, detail: String) -> Self {
        let proof = Proof { detail: Some(detail), ..Proof::default() };
        Self::nobody(reason, proof)
    }

    /// The origin, as decisions want it.
    pub(crate) fn origin(&self) -> Origin<'_> {
        match &self.who {
            Who::Person(person) => Origin::Person(person),
            Who::Root => Origin::Root,
            Who::Local => Origin::Local,
            Who::BesideSessions => Origin::BesideSessions,
            Who::Nobody(reason) => Origin::Unproven(*reason),
        }
    }
}

/// The superuser calls. The sessions around the call are told, so that `sudo su - ACCOUNT` is not the end of the trace.
pub(crate) fn superuser(boot_id: &str) -> Identified {
    let around = Registry::open().and_then(|registry| registry.around_caller(boot_id)).unwrap_or_default();
    let proof = Proof {
        evidence: Some(Evidence::Invoker),
        chain: chain_of(&around),
        detail: people_around(&around),
        ..Proof::default()
    };
    Identified { who: Who::Root, proof }
}

/// Whose sessions are around a call of the superuser.
fn people_around(around: &[Session]) -> Option<String> {
    let people: BTreeSet<&str> = around
        .iter()
        .filter_map(|session| match &session.origin {
            SessionOrigin::Person(login) => Some(login.as_str()),
            SessionOrigin::Root | SessionOrigin::Local(_) => None,
        })
        .collect();
    let names: Vec<&str> = people.into_iter().collect();
    (!names.is_empty()).then(|| format!("root was called inside a session of {}", names.join(" and ")))
}

/// A job of cron or at: the account owns it, and nobody is proven to have written it.
pub(crate) fn job() -> Identified {
    Identified { who: Who::Local, proof: Proof::default() }
}

/// The user manager of the account: started beside a session that is open, or for nobody.
pub(crate) fn manager(account: &str, boot_id: &str) -> Identified {
    let sessions = match Registry::open().and_then(|registry| registry.sessions(boot_id)) {
        Ok(sessions) => sessions,
        Err(error) => return unreadable_registry(&error),
    };
    let is_open = |session: &Session| session.account == account && session.ended.is_none();
    let has_somebody = |session: &Session| !Family::of(&session.service).has_nobody_behind();
    let is_beside = sessions.iter().any(|session| is_open(session) && has_somebody(session));
    let who = if is_beside { Who::BesideSessions } else { Who::Local };
    Identified { who, proof: Proof::default() }
}

/// Whoever called su or sudo: a person by login name, or, through the registry, who became the calling account before.
///
/// # Errors
/// When the snapshot is damaged.
pub(crate) fn invoker(managed: &Managed, request: &Request, boot_id: &str) -> Result<Identified, Invalid> {
    let Some(ruser) = request.ruser.as_deref() else {
        let detail = format!("{} did not say who called (PAM_RUSER)", request.service);
        return Ok(Identified::nobody_because(Reason::NoOrigin, detail));
    };
    if managed.snapshot.account(ruser)?.is_none() {
        let proof = Proof { evidence: Some(Evidence::Invoker), ..Proof::default() };
        return Ok(Identified { who: Who::Person(Box::new(person_called(managed, ruser)?)), proof });
    }
    match Registry::open().and_then(|registry| registry.around_caller(boot_id)) {
        Ok(around) => inherited(managed, ruser, around),
        Err(error) => Ok(unreadable_registry(&error)),
    }
}

/// Nobody called that is known: neither sshd nor su nor sudo.
pub(crate) fn stranger(request: &Request) -> Identified {
    let detail = format!("the service {} does not tell who is behind it", request.service);
    Identified::nobody_because(Reason::NoOrigin, detail)
}

/// The origin of the sessions that made this process the calling account. Neither root nor a job is handed on: a process
/// of an account is not the superuser, whoever started it, and what nobody is behind has nobody to hand on.
fn inherited(managed: &Managed, caller: &str, around: Vec<Session>) -> Result<Identified, Invalid> {
    let mut as_caller: Vec<Session> =
        around.into_iter().filter(|session| session.account == caller).collect();
    as_caller.sort_by_key(|session| (session.since_boot, session.process.start));
    let nobody = |detail: String, chain: Option<String>| {
        let proof = Proof { chain, detail: Some(detail), ..Proof::default() };
        Ok(Identified::nobody(Reason::NoOrigin, proof))
    };
    let Some(first) = as_caller.first() else {
        return nobody(format!("{caller} is an account, and no session of it is around this call"), None);
    };
    let chain = chain_of(&as_caller);
    if as_caller.iter().any(|session| session.origin != first.origin) {
        let detail = "the sessions around this call have different origins".to_owned();
        let proof = Proof { chain, detail: Some(detail), ..Proof::default() };
        return Ok(Identified::nobody(Reason::AmbiguousOrigin, proof));
    }
    match &first.origin {
        SessionOrigin::Person(login) => {
            let who = Who::Person(Box::new(person_called(managed, login)?));
            Ok(Identified { who, proof: Proof { chain, ..Proof::inherited_from(first) } })
        }
        SessionOrigin::Root => nobody(format!("root became {caller}, and root is not handed on"), chain),
        SessionOrigin::Local(_) => {
            nobody(format!("a job of {caller} ({}) called, and nobody is behind a job", first.service), chain)
        }
    }
}

/// The person of this login name. A local user whom the directory does not know has proven a name all the same, and holds
/// no role: the decision and the record say that of them, by name.
fn person_called(managed: &Managed, login: &str) -> Result<Person, Invalid> {
    let known = managed.snapshot.person(login)?;
    Ok(known.map_or_else(|| Person::without_roles(login), |known| known.person))
}

/// The way back: the longest chain of the sessions around, and they themselves.
fn chain_of(sessions: &[Session]) -> Option<String> {
    /// Sessions named in a chain; the records of these name the ones before.
    const MAX: usize = 8;
    let mut ids: Vec<&str> = Vec::new();
    let mut sorted: Vec<&Session> = sessions.iter().collect();
    sorted.sort_by_key(|session| (session.since_boot, session.process.start));
    for session in sorted {
        let before = session.chain.iter().flat_map(|chain| chain.split('/'));
        for id in before.chain([session.id.as_str()]) {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
    }
    let recent = ids.get(ids.len().saturating_sub(MAX)..).unwrap_or_default();
    (!recent.is_empty()).then(|| recent.join("/"))
}

fn unreadable_registry(error: &RegistryError) -> Identified {
    Identified::nobody_because(Reason::InternalError, error.to_string())
}
