//! Which uids are those of managed accounts, and what the accounts are called.

use std::collections::HashMap;

use svcauth_core::config;
use svcauth_core::snapshot::access::AccessSnapshot;
use svcauth_core::snapshot::{PasswdEntry, RecordKind, Snapshot, Table};
use svcauth_host::local_users;
use svcauth_host::managed::Known;
use svcauth_host::snapshot_file::{SnapshotError, SnapshotFile, open_access, open_accounts};

/// What is managed, by the snapshot, or by what the configuration says where there is none.
pub(super) struct Managed {
    rules: Option<config::Managed>,
    /// Managed accounts of `/etc/passwd`, by uid.
    local: HashMap<u32, String>,
    access: Option<AccessSnapshot<SnapshotFile>>,
    accounts: Option<Snapshot<SnapshotFile>>,
    names: HashMap<u32, Option<String>>,
}

impl Managed {
    pub(super) fn look() -> Self {
        let access = open_access().ok();
        let policy = access.as_ref().and_then(|snapshot| snapshot.policy().ok());
        let by_policy = policy.map(|policy| config::Managed {
            id_range: policy.id_range,
            local_accounts: policy.local_accounts,
        });
        let rules = by_policy.or_else(|| match Known::look() {
            Known::ByConfig(managed) | Known::ByLastConfig(managed) => Some(managed),
            Known::Nothing | Known::Unreadable => None,
        });
        let local = rules.iter().flat_map(|rules| &rules.local_accounts);
        let local = local.filter_map(|name| Some((local_users::uid_of(name)?, name.clone()))).collect();
        Self { rules, local, access, accounts: open_accounts().ok(), names: HashMap::new() }
    }

    /// Root never is.
    pub(super) fn is_managed(&self, uid: u32) -> bool {
        let in_range = || self.rules.as_ref().is_some_and(|rules| rules.id_range.contains(uid));
        uid != 0 && (in_range() || self.local.contains_key(&uid))
    }

    pub(super) fn is_account(&self, name: &str) -> bool {
        let in_snapshot = |snapshot: &AccessSnapshot<_>| matches!(snapshot.account(name), Ok(Some(_)));
        self.local.values().any(|local| local == name) || self.access.as_ref().is_some_and(in_snapshot)
    }

    /// The account with this uid; `None` where nobody knows any more what it was called.
    pub(super) fn name_of(&mut self, uid: u32) -> Option<String> {
        if let Some(name) = self.local.get(&uid).or_else(|| self.names.get(&uid)?.as_ref()) {
            return Some(name.clone());
        }
        let accounts = self.accounts.as_ref()?;
        self.names.entry(uid).or_insert_with(|| in_snapshot(accounts, uid).ok().flatten()).clone()
    }
}

fn in_snapshot(accounts: &Snapshot<SnapshotFile>, uid: u32) -> Result<Option<String>, SnapshotError> {
    for place in accounts.find(Table::PasswdById, &uid.to_le_bytes())? {
        // A passwd entry is far below this; a longer record is none of ours.
        let mut record = vec![0; (place.len as usize).min(1 << 20)];
        let entry = PasswdEntry::parse(accounts.read(place, RecordKind::Passwd, &mut record)?)?;
        if entry.uid.get() == uid {
            return Ok(Some(entry.name.to_string_lossy().into_owned()));
        }
    }
    Ok(None)
}
