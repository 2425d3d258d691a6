//! What svcauth knows about itself: its configuration, and the accounts of its snapshot.

use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use svcauth_core::config::Managed;
use svcauth_core::origin::Fingerprint;
use svcauth_core::snapshot::access::AccessSnapshot;
use svcauth_core::snapshot::{Invalid, PasswdEntry, RecordKind, Snapshot, Table};
use svcauth_host::host_names::host_names;
use svcauth_host::managed::Known;
use svcauth_host::snapshot_file::{SnapshotFile, open_access, open_accounts};

use crate::config_file::{ConfigFileError, Loaded};
use crate::limits::{self, Limited};
use crate::local_names::LocalNames;
use crate::state::is_tombstone;

/// An account that is managed on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) home: PathBuf,
    /// It is one of `/etc/passwd`.
    pub(super) is_local: bool,
}

/// What is managed here.
#[derive(Debug, Default)]
pub struct Site {
    /// Nothing, if it cannot be read; then `fault` says why.
    pub(super) loaded: Option<Loaded>,
    pub(super) fault: Option<ConfigFileError>,
    /// The numbers and local accounts, also where only the last configuration says so.
    pub(super) managed: Option<Managed>,
    pub(super) accounts: Vec<Account>,
    pub(super) access: Option<AccessSnapshot<SnapshotFile>>,
}

impl Site {
    /// Reads what is there.
    #[must_use]
    pub fn read() -> Self {
        let (loaded, fault) = match Loaded::read() {
            Ok(loaded) => (Some(loaded), None),
            Err(why) => (None, Some(why)),
        };
        let managed = loaded.as_ref().map(|loaded| loaded.config.managed()).or_else(|| match Known::look() {
            Known::ByConfig(managed) | Known::ByLastConfig(managed) => Some(managed),
            Known::Nothing | Known::Unreadable => None,
        });
        let access = open_access().ok();
        let accounts = access.as_ref().and_then(|access| accounts(access).ok()).unwrap_or_default();
        Self { loaded, fault, managed, accounts, access }
    }

    /// The accounts that access rules of the configuration limit on this host; `None` if one or the other cannot be read.
    #[must_use]
    pub fn limited(&self) -> Option<Vec<Limited>> {
        let config = &self.loaded.as_ref()?.config;
        self.access.as_ref()?;
        let others = LocalNames::read().ok()?;
        let hosts = host_names();
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        let rules = limits::on_this_host(&config.access, &hosts);
        let names: Vec<String> = self.accounts.iter().map(|account| account.name.clone()).collect();
        let managed = config.managed();
        let is_managed = |name: &str| managed.local_accounts.iter().any(|local| local == name);
        Some(limits::limited(&rules, &names, |name| others.has_user(name) && !is_managed(name)))
    }

    /// The login name of the person whose key this is.
    pub(super) fn owner_of(&self, key: &Fingerprint) -> Option<String> {
        Some(self.access.as_ref()?.person_by_key(key).ok()??.person.login)
    }
}

fn accounts(access: &AccessSnapshot<SnapshotFile>) -> Result<Vec<Account>, Invalid> {
    let passwd = open_accounts().ok();
    let mut found = Vec::new();
    for account in access.accounts()?.into_iter().filter(|account| !is_tombstone(account)) {
        let (uid, home, is_local) = match account.uid {
            Some(uid) => {
                let home = passwd.as_ref().and_then(|passwd| home(passwd, &account.name).ok().flatten());
                (uid, home.unwrap_or_default(), false)
            }
            // Read from /etc/passwd: the name service would ask every other source, too.
            None => match local(&account.name) {
                Some((uid, home)) => (uid, home, true),
                None => continue,
            },
        };
        found.push(Account { name: account.name, uid, home, is_local });
    }
    Ok(found)
}

fn home(passwd: &Snapshot<SnapshotFile>, name: &str) -> Result<Option<PathBuf>, Invalid> {
    for place in passwd.find(Table::PasswdByName, name.as_bytes())? {
        // A passwd entry is far below this; a longer record is none of ours.
        let mut record = vec![0; (place.len as usize).min(1 << 20)];
        let entry = PasswdEntry::parse(passwd.read(place, RecordKind::Passwd, &mut record)?)?;
        if entry.name.to_bytes() == name.as_bytes() {
            return Ok(Some(PathBuf::from(std::ffi::OsStr::from_bytes(entry.home.to_bytes()))));
        }
    }
    Ok(None)
}

fn local(name: &str) -> Option<(u32, PathBuf)> {
    let passwd = std::fs::read("/etc/passwd").ok()?;
    let text = String::from_utf8_lossy(&passwd);
    let line = text.lines().find(|line| line.split(':').next() == Some(name))?;
    let fields: Vec<&str> = line.split(':').collect();
    let uid = svcauth_core::id::parse_id(fields.get(2)?.as_bytes())?;
    Some((uid, PathBuf::from(fields.get(5)?)))
}
