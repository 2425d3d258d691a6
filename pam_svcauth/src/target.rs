//! Is `PAM_USER` a managed account, and what does the snapshot say about it?

use nix::unistd::User as PasswdEntry;
use svcauth_core::policy::{Account, Age, AuditMode, Circumstances, Policy, Reason, Source};
use svcauth_core::snapshot::Invalid;
use svcauth_core::snapshot::access::AccessSnapshot;
use svcauth_host::clock::Clock;
use svcauth_host::confirmed;
use svcauth_host::managed::Known;
use svcauth_host::paths;
use svcauth_host::snapshot_file::{SnapshotError, SnapshotFile, is_shown, open_access};

use crate::request::User;

/// What `PAM_USER` is.
pub(crate) enum Target {
    /// Known not to be managed.
    Unmanaged,
    /// A managed account, and everything that a decision needs.
    Managed(Box<Managed>),
    /// Managed, or nobody can tell; and there is nothing to decide with.
    Unusable(Unusable),
}

/// A managed account of a valid snapshot.
pub(crate) struct Managed {
    pub(crate) snapshot: AccessSnapshot<SnapshotFile>,
    pub(crate) policy: Policy,
    pub(crate) account: Account,
    pub(crate) age: Age,
}

/// Why there is nothing to decide with.
#[derive(Debug)]
pub(crate) struct Unusable {
    pub(crate) reason: Reason,
    pub(crate) uid: Option<u32>,
    /// For the administrator.
    pub(crate) detail: String,
}

impl Managed {
    /// The circumstances of a request at this host and moment.
    pub(crate) fn circumstances<'a>(
        &self,
        service: Option<&'a str>,
        hosts: &'a [&'a str],
        source: Source,
        clock: &Clock,
    ) -> Circumstances<'a> {
        Circumstances {
            service,
            hosts,
            source,
            now: self.snapshot.header().not_before(clock.wall),
            age: self.age,
        }
    }

    pub(crate) fn needs_audit(&self) -> bool {
        self.policy.audit == AuditMode::Required
    }
}

/// Looks at the snapshot; only where there is none at the configuration and the user database.
pub(crate) fn look_up(user: &User, clock: &Clock) -> Target {
    let name = match user {
        User::Named(name) => Some(name.as_str()),
        User::NotText(_) => None,
        User::Missing => {
            let detail = "the application did not set PAM_USER".to_owned();
            return Target::Unusable(Unusable { reason: Reason::InternalError, uid: None, detail });
        }
    };
    match open_access() {
        Ok(snapshot) => match name.map(|name| in_snapshot(snapshot, name, clock)) {
            None => Target::Unmanaged,
            Some(Ok(None)) => absent(name),
            Some(Ok(Some(managed))) => Target::Managed(Box::new(managed)),
            Some(Err(why)) => without_snapshot(name, Reason::SnapshotInvalid, &why.into()),
        },
        Err(why @ SnapshotError::Missing) => without_snapshot(name, Reason::SnapshotMissing, &why),
        Err(why) => without_snapshot(name, Reason::SnapshotInvalid, &why),
    }
}

/// Not in the snapshot means not managed; unless NSS shows the account, which says that one of the two files was brought
/// back from a backup and knows less than the other.
fn absent(name: Option<&str>) -> Target {
    if !name.is_some_and(is_shown) {
        return Target::Unmanaged;
    }
    let detail = format!(
        "{} does not know an account that {} shows; run: svcauth sync",
        paths::ACCESS_SNAPSHOT,
        paths::ACCOUNTS_SNAPSHOT
    );
    Target::Unusable(Unusable { reason: Reason::SnapshotInvalid, uid: None, detail })
}

fn in_snapshot(
    snapshot: AccessSnapshot<SnapshotFile>,
    name: &str,
    clock: &Clock,
) -> Result<Option<Managed>, Invalid> {
    let Some(account) = snapshot.account(name)? else {
        return Ok(None);
    };
    let policy = snapshot.policy()?;
    let age = confirmed::age(snapshot.header(), clock);
    Ok(Some(Managed { snapshot, policy, account, age }))
}

/// Without a snapshot only root-owned, static data may say that an account is not managed.
fn without_snapshot(name: Option<&str>, reason: Reason, why: &SnapshotError) -> Target {
    // The module's only question to the name service: which may well be one that svcauth does not answer.
    let entry = name.and_then(|name| PasswdEntry::from_name(name).ok().flatten());
    let uid = entry.as_ref().map(|entry| entry.uid.as_raw());
    let known = Known::look();
    if name.zip(uid).is_some_and(|(name, uid)| !known.covers(name, uid)) {
        return Target::Unmanaged;
    }
    let reason = match known {
        Known::ByConfig(_) | Known::Nothing => reason,
        Known::ByLastConfig(_) | Known::Unreadable => Reason::ConfigInvalid,
    };
    Target::Unusable(Unusable { reason, uid, detail: format!("{}: {why}", paths::ACCESS_SNAPSHOT) })
}
