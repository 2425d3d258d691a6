//! Room for a new entry. Whoever calls su may kill it with SIGKILL, and so leave its entry behind, as often as they like; and
//! a host may run for weeks without the daemon that sweeps. The folders must not fill up with what is left, and keep
//! everybody else out; and nothing is removed that tells who is behind a live process.

use std::collections::HashSet;
use std::time::Duration;

use super::RegistryError;
use super::entry::{Session, SessionOrigin};
use super::folder::{Folder, Key};
use super::processes::Processes;
use super::rest::Rest;

/// Entries of one audit session.
pub(super) const PER_AUDIT_SESSION: usize = 256;
/// Whenever a folder has a multiple of so many entries, what is left behind is removed. 256 folders hold four times as many
/// sessions before anybody pays for it.
const CROWD: usize = 64;
/// A folder with so many entries is cleared even when nobody can tell in time which processes live.
const FOLDER_MAX: usize = 1024;
/// What stays of ended sessions when nobody can tell.
const KEPT: usize = 256;
/// How long the processes of a host are looked at. 10,000 of them take a tenth.
const LOOK: Duration = Duration::from_millis(300);

/// Makes room; gives the removed sessions whose end nobody has recorded.
pub(super) fn make(folder: &Folder, session: &Session) -> Result<Vec<Session>, RegistryError> {
    let names = folder.names()?;
    let prefix = Key::of(session).prefix();
    let own = names.iter().filter(|name| name.starts_with(&prefix)).count();
    let is_crowded = names.len() >= CROWD && names.len() % CROWD == 0;
    if own < PER_AUDIT_SESSION && !is_crowded && names.len() < FOLDER_MAX {
        return Ok(Vec::new());
    }
    folder.clear(&session.boot_id)?;
    let mut all = folder.sessions(&session.boot_id)?;
    let mut removed = useless(&all);
    removed.iter().try_for_each(|other| folder.remove(other))?;
    all.retain(|other| !removed.contains(other));
    all.retain(|other| Key::of(other) == Key::of(session));
    if session.audit_session.is_some() && all.len() >= PER_AUDIT_SESSION {
        let doubled = doubled(&all);
        doubled.iter().try_for_each(|other| folder.remove(other))?;
        if doubled.is_empty() {
            return Err(RegistryError::TooMany);
        }
        removed.extend(doubled);
    }
    removed.retain(|other| other.ended.is_none());
    Ok(removed)
}

fn is_over(session: &Session) -> bool {
    session.ended.is_some() || !session.process.is_alive()
}

/// The sessions that are over and have no process any more.
fn useless(all: &[Session]) -> Vec<Session> {
    let mut over: Vec<Session> = all.iter().filter(|session| is_over(session)).cloned().collect();
    let places: HashSet<Option<u32>> = over.iter().map(|session| session.audit_session).collect();
    if let Some(processes) = Processes::look_within(|id| id.is_some() && places.contains(&id), LOOK) {
        let rest = Rest::of(all, &processes, |_| None);
        over.retain(|session| !rest.includes(session));
    } else if all.len() >= FOLDER_MAX {
        over.sort_by_key(|session| session.since_boot);
        over.truncate(over.len().saturating_sub(KEPT));
    } else {
        over.clear();
    }
    over
}

/// The sessions that are over, and after which another one is over that names the same people for the same processes.
fn doubled(own: &[Session]) -> Vec<Session> {
    let mut over: Vec<&Session> = own.iter().filter(|session| is_over(session)).collect();
    over.sort_by_key(|session| (session.process.start, session.since_boot));
    let mut later: Vec<&Session> = Vec::new();
    let mut doubled = Vec::new();
    for session in over.into_iter().rev() {
        if later.iter().any(|other| is_same(session, other)) {
            doubled.push(session.clone());
        } else {
            later.push(session);
        }
    }
    doubled
}

fn is_same(one: &Session, other: &Session) -> bool {
    let names_alike = one.origin != SessionOrigin::Root || one.chain == other.chain;
    one.account == other.account && one.uid == other.uid && one.origin == other.origin && names_alike
}
