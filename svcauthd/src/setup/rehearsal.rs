//! One refresh as the daemon does it, but for the publishing: fetched by a worker, mapped, checked and joined.

use std::collections::HashSet;
use std::sync::Arc;

use serde::Serialize;
use svcauth_core::config::Config;
use svcauth_core::origin::Fingerprint;
use svcauth_core::policy::Age;
use svcauth_host::clock::Clock;
use svcauth_host::host_names::host_names;

use super::talk::Stop;
use crate::candidate::{Candidate, Refusal};
use crate::config_file::Loaded;
use crate::directory::Depth;
use crate::job::Job;
use crate::local_names::{Ids, LocalNames};
use crate::monitor::supervisor::fetch_once;
use crate::report::access::{Here, Inventory, Service, Which, Wish};
use crate::state::{MEMBERSHIPS_MAX, RoleMemory, State, is_too_large, join, recheck};
use crate::table::Table;

/// Seconds that the fetch may take.
const FETCH: u64 = 300;

/// What a refresh would publish, but for the access rules.
pub struct Rehearsal {
    /// The server or file that answered.
    pub server: String,
    /// The entries that count, and what is wrong with others.
    pub candidate: Candidate,
}

/// Fetches with this configuration, which need not be in a file yet.
///
/// # Errors
/// The daemon's own words for what is wrong.
pub fn rehearse(
    user: Ids,
    loaded: &Loaded,
    secret: Option<String>,
    local: &LocalNames,
) -> Result<Rehearsal, Stop> {
    let job = Job {
        config: loaded.text.clone(),
        secret,
        deadline_seconds: FETCH,
        since: None,
        depth: Depth::Whole,
    };
    let keytab = loaded.keytab().map_err(Stop::failed)?;
    let (staged, done) =
        fetch_once(user, &job, keytab, &mut |_| {}).map_err(|failure| Stop::Failed(failure.reason))?;
    let mut table = Table::default();
    table.apply(staged);
    let mut candidate = table.candidate();
    recheck(&mut candidate, &loaded.config, local);
    if is_too_large(&candidate) {
        return Err(Stop::Failed(format!(
            "people and accounts are in groups more than {MEMBERSHIPS_MAX} times, nesting counted; narrow --groups-base or \
             --groups-filter to the groups that hosts and access rules need"
        )));
    }
    Ok(Rehearsal { server: done.server, candidate })
}

/// The state that the daemon would publish of it with this configuration, on a host that has none yet.
#[must_use]
pub fn state(candidate: &Candidate, config: &Config, trusted_ca: Vec<Fingerprint>) -> State {
    join(candidate, config, trusted_ca, &mut RoleMemory::default())
}

/// What was found, and what would come of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// The server or file that answered.
    pub server: String,
    /// The accounts, by name.
    pub accounts: Vec<AccountFound>,
    /// The groups, by name.
    pub groups: Vec<GroupFound>,
    /// How many people there are.
    pub people: usize,
    /// How many of them have a public key.
    pub people_with_keys: usize,
    /// How many of them have a Kerberos principal.
    pub people_with_principals: usize,
    /// Entries, or values of entries, that do not count.
    pub dropped: Vec<Refusal>,
    /// Who may become whom.
    pub access: Vec<Access>,
    /// Accounts and roles of the rules that the directory does not have.
    pub unknown: Vec<String>,
    /// Whether every person has access to some account.
    pub lets_everybody_in: bool,
}

/// A managed account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccountFound {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: u32,
    /// Its primary group.
    pub gid: u32,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GroupFound {
    /// Its name.
    pub name: String,
    /// Its gid; none: a role that is no group of this host.
    pub gid: Option<u32>,
}

/// One person may use one account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Access {
    /// The person.
    pub person: String,
    /// The account.
    pub account: String,
    /// The roles that give it.
    pub roles: Vec<String>,
    /// Through what.
    pub services: Vec<String>,
    /// Whether the directory has a public key or a Kerberos name by which sshd could know the person.
    pub has_proof: bool,
}

/// What a rehearsal found, with the access of this state.
///
/// # Errors
/// None but out of memory: nothing is written here.
pub fn findings(rehearsal: &Rehearsal, config: &Config, state: &State) -> std::io::Result<Findings> {
    let Candidate { accounts, groups, people, refused } = &rehearsal.candidate;
    let account = |entry: &Arc<crate::candidate::AccountEntry>| AccountFound {
        name: entry.name.clone(),
        uid: entry.uid,
        gid: entry.gid,
    };
    let group =
        |entry: &Arc<crate::candidate::GroupEntry>| GroupFound { name: entry.name.clone(), gid: entry.gid };
    let access = access(state)?;
    let mut who: Vec<&str> = access.iter().map(|access| access.person.as_str()).collect();
    who.sort_unstable();
    who.dedup();
    let mut accounts: Vec<AccountFound> = accounts.iter().map(account).collect();
    accounts.sort_by(|a, b| a.name.cmp(&b.name));
    let mut groups: Vec<GroupFound> = groups.iter().map(group).collect();
    groups.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Findings {
        server: rehearsal.server.clone(),
        people: people.len(),
        people_with_keys: people.iter().filter(|entry| !entry.keys.is_empty()).count(),
        people_with_principals: people.iter().filter(|entry| !entry.principals.is_empty()).count(),
        dropped: refused.clone(),
        unknown: unknown(config, state),
        lets_everybody_in: !who.is_empty() && who.len() == people.len() && people.len() > 1,
        access,
        accounts,
        groups,
    })
}

fn access(state: &State) -> std::io::Result<Vec<Access>> {
    let services = Service::all_of(&state.policy);
    let names = host_names();
    let hosts: Vec<&str> = names.iter().map(String::as_str).collect();
    let here = Here { hosts: &hosts, now: Clock::now().wall, age: Age(Some(0)) };
    let people = state.people.iter().map(|person| &person.person);
    let inventory = Inventory::new(&state.policy, &state.accounts, people, &services, here);
    let proven =
        state.people.iter().filter(|person| !person.keys.is_empty() || !person.principals.is_empty());
    let proven: HashSet<&str> = proven.map(|person| person.person.login.as_str()).collect();
    let mut found = Vec::new();
    inventory.visit(Which::Access, Wish::default(), &mut |grant| {
        found.push(Access {
            person: grant.person.login.clone(),
            account: grant.account.name.clone(),
            roles: grant.roles.iter().map(|role| role.name.to_owned()).collect(),
            services: grant.services.iter().map(|service| (*service).to_owned()).collect(),
            has_proof: proven.contains(grant.person.login.as_str()),
        });
        Ok(())
    })?;
    Ok(found)
}

/// Accounts and roles that a rule names and the directory does not have: a slip of the pen, most of the time.
fn unknown(config: &Config, state: &State) -> Vec<String> {
    let known = |pattern: &str| {
        let pattern = svcauth_core::policy::Pattern::new(pattern.to_owned());
        state.accounts.iter().any(|account| pattern.matches(&account.name))
    };
    let accounts = config.access.iter().flat_map(|rule| &rule.accounts).map(|pattern| pattern.as_str());
    let accounts = accounts.filter(|name| !known(name)).map(|name| format!("account {name}"));
    let roles = state.policy.roles.iter().filter(|role| role.id.is_none());
    accounts.chain(roles.map(|role| format!("group {}", role.name))).collect()
}
