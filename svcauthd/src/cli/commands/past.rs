//! What both commands read: the trail, and what is known of the people in it.

use std::collections::HashMap;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::unistd::geteuid;
use svcauth_core::policy::{Account, Person, Policy};
use svcauth_core::snapshot::access::AccessSnapshot;
use svcauth_host::host_names::host_names;
use svcauth_host::paths;
use svcauth_host::snapshot_file::SnapshotFile;

use crate::cli::output::{Failure, note};
use crate::cli::snapshot::{self, damaged};
use crate::proposal::{Past, Standing};
use crate::trail::{Entry, Trail, waiting};

/// Different people and accounts that are kept in memory.
const KNOWN_MAX: usize = 100_000;

/// The trail of this host, and the people and accounts that are published.
pub(super) struct Records {
    trail: Trail,
    since: Option<u64>,
    snapshot: AccessSnapshot<SnapshotFile>,
    pub(super) policy: Policy,
    pub(super) hosts: Vec<String>,
    accounts: HashMap<String, Option<Account>>,
    people: HashMap<String, Option<Person>>,
}

impl Records {
    pub(super) fn open(days: Option<u64>) -> Result<Self, Failure> {
        if !geteuid().is_root() {
            return Err(Failure::usage("only root may read the audit trail; run this command by sudo"));
        }
        let snapshot = snapshot::open()?;
        let policy = snapshot.policy().map_err(damaged)?;
        let trail = Trail::open().map_err(Failure::new)?;
        let behind = waiting();
        if behind > 0 {
            note(&format!(
                "{behind} records wait in {} and are not looked at, because svcauthd is not running",
                paths::AUDIT_SPOOL
            ));
        }
        let since = days.map(|days| now().saturating_sub(days.saturating_mul(86_400_000_000)));
        let (accounts, people) = (HashMap::new(), HashMap::new());
        Ok(Self { trail, since, snapshot, policy, hosts: host_names(), accounts, people })
    }

    /// Every record of the time that is asked about. Lines that are no records are passed over, and counted.
    pub(super) fn each(
        &mut self,
        mut one: impl FnMut(&mut Looked<'_>, &Entry) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let Self { trail, since, snapshot, accounts, people, .. } = self;
        let mut looked = Looked { snapshot, accounts, people };
        let mut unread = 0_u64;
        for line in trail.lines() {
            match line.map_err(Failure::new)?.entry() {
                Ok(entry) if entry.time < *since => {}
                Ok(entry) => one(&mut looked, &entry)?,
                Err(_) => unread += 1,
            }
        }
        if unread > 0 {
            note(&format!("{unread} lines of the trail are no records (see: svcauth log verify)"));
        }
        Ok(())
    }
}

/// What is known now of whom a record names.
pub(super) struct Looked<'a> {
    snapshot: &'a AccessSnapshot<SnapshotFile>,
    accounts: &'a mut HashMap<String, Option<Account>>,
    people: &'a mut HashMap<String, Option<Person>>,
}

impl Looked<'_> {
    /// How whoever is behind a record stands under a policy.
    pub(super) fn standing<'p>(&mut self, past: &Past<'p>, entry: &Entry) -> Result<Standing<'p>, Failure> {
        let account = match &entry.account {
            Some(name) => {
                let find = || self.snapshot.account(name).map_err(damaged);
                known(self.accounts, name, find)?
            }
            None => None,
        };
        let person = match &entry.origin {
            Some(login) => {
                let find = || Ok(self.snapshot.person(login).map_err(damaged)?.map(|known| known.person));
                known(self.people, login, find)?
            }
            None => None,
        };
        Ok(past.standing(entry, account, person))
    }
}

fn known<'a, T>(
    found: &'a mut HashMap<String, Option<T>>,
    name: &str,
    find: impl FnOnce() -> Result<Option<T>, Failure>,
) -> Result<Option<&'a T>, Failure> {
    if found.len() >= KNOWN_MAX {
        found.clear();
    }
    if !found.contains_key(name) {
        found.insert(name.to_owned(), find()?);
    }
    Ok(found.get(name).and_then(Option::as_ref))
}

/// In microseconds since 1970.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// A file of the administrator's; a fault of it is one of the question.
pub(super) fn read(path: &Path) -> Result<String, Failure> {
    let fault = |why: &dyn std::fmt::Display| Failure::usage(format!("{}: {why}", path.display()));
    let length = std::fs::metadata(path).map_err(|error| fault(&error))?.len();
    if length > svcauth_host::managed::CONFIG_MAX {
        return Err(fault(&"it is longer than a configuration can be (1 MiB)"));
    }
    std::fs::read_to_string(path).map_err(|error| fault(&error))
}
