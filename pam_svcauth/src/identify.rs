//! Who is behind a session: the person that all evidence names, or why nobody is proven.
//!
//! Nothing but the snapshot and the session registry is asked. Not the environment of the process, not the name service.

use svcauth_core::origin::Evidence;
use svcauth_core::policy::{Origin, Person, Reason};
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
            Who::Nobody(reason) => Origin::Unproven(*reason),
        }
    }
}

/// The superuser calls. The sessions around the call are told, so that `sudo su - ACCOUNT` is not the end of the trace.
pub(crate) fn superuser(boot_id: &str) -> Identified {
    let around = Registry::open().and_then(|registry| registry.around_caller(boot_id));
    Identified {
        who: Who::Root,
        proof: Proof {
            evidence: Some(Evidence::Invoker),
            chain: around.ok().and_then(|sessions| chain_of(&sessions)),
            ..Proof::default()
        },
    }
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

/// The origin of the sessions that made this process the calling account. Root is not handed on: a process of an account
/// is not the superuser, whoever started it.
fn inherited(managed: &Managed, caller: &str, around: Vec<Session>) -> Result<Identified, Invalid> {
    let as_caller: Vec<Session> = around.into_iter().filter(|session| session.account == caller).collect();
    let Some(first) = as_caller.first() else {
        let detail = format!("{caller} is an account, and no session of it is around this call");
        return Ok(Identified::nobody_because(Reason::NoOrigin, detail));
    };
    let chain = chain_of(&as_caller);
    if as_caller.iter().any(|session| session.origin != first.origin) {
        let detail = "the sessions around this call have different origins".to_owned();
        let proof = Proof { chain, detail: Some(detail), ..Proof::default() };
        return Ok(Identified::nobody(Reason::AmbiguousOrigin, proof));
    }
    let proof = Proof { evidence: Some(Evidence::Inherited), chain, ..Proof::of_session(first) };
    let who = match &first.origin {
        SessionOrigin::Person(login) => Who::Person(Box::new(person_called(managed, login)?)),
        SessionOrigin::Root => Who::Nobody(Reason::NoOrigin),
    };
    Ok(Identified { who, proof })
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
    sorted.sort_by_key(|session| (session.since_boot, session.since));
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
