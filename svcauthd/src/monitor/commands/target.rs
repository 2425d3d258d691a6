//! Which account a uid is, and what decides about it.

use svcauth_core::command::SHELL_PATH;
use svcauth_core::policy::{Account, Age, Policy, Reason};
use svcauth_core::snapshot::OwnShell;
use svcauth_core::snapshot::access::AccessSnapshot;
use svcauth_host::clock::Clock;
use svcauth_host::local_users::{self, LocalUser};
use svcauth_host::managed::Known;
use svcauth_host::snapshot_file::{SnapshotError, SnapshotFile, open_access, shown_by_uid};
use svcauth_host::{confirmed, paths};

/// The shell of an account whose own one nobody knows.
const NO_OTHER: &str = "/bin/sh";
/// A generation is two files, published one after the other: what is read between them is read again so often.
const LOOKS: usize = 3;

/// What a uid is.
pub(super) enum Target {
    /// No managed account.
    NotManaged,
    /// One, and everything that a decision needs.
    Managed(Box<Managed>),
    /// One, or nobody can tell; and there is nothing to decide with.
    Unusable(Unusable),
}

/// A managed account of a valid snapshot.
pub(super) struct Managed {
    pub(super) snapshot: AccessSnapshot<SnapshotFile>,
    pub(super) policy: Policy,
    pub(super) account: Account,
    pub(super) age: Age,
    /// What it has without svcauth-shell.
    pub(super) own: OwnShell,
}

/// Why there is nothing to decide with.
#[derive(Debug)]
pub(super) struct Unusable {
    /// The account, if its name is known.
    pub(super) account: Option<String>,
    pub(super) reason: Reason,
    /// For the administrator.
    pub(super) detail: String,
    /// What root gets, whom nothing keeps out.
    pub(super) shell: String,
}

/// Looks at what is published now.
pub(super) fn of(uid: u32, clock: &Clock) -> Target {
    if uid == 0 {
        return Target::NotManaged;
    }
    let local = local_users::with_uid(uid);
    let mut looked = look(uid, &local, clock);
    for _ in 1..LOOKS {
        if !matches!(&looked, Ok(Target::Unusable(_))) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
        looked = look(uid, &local, clock);
    }
    looked.unwrap_or_else(|why| without_snapshot(uid, &local, &why))
}

fn look(uid: u32, local: &[LocalUser], clock: &Clock) -> Result<Target, SnapshotError> {
    let snapshot = open_access()?;
    let policy = snapshot.policy()?;
    let (name, outside) = match shown_by_uid(uid)? {
        Some(shown) => (shown.name, OwnShell { shell: shown.shell, home: shown.home }),
        None => match local.iter().find(|user| policy.local_accounts.contains(&user.name)) {
            Some(user) => (user.name.clone(), own_of(user)),
            None if local.is_empty() && policy.id_range.contains(uid) => return Ok(unknown(uid)),
            None => return Ok(Target::NotManaged),
        },
    };
    let own = snapshot.shell(&name)?.unwrap_or(outside);
    let Some(account) = snapshot.account(&name)?.filter(|_| own.shell != SHELL_PATH) else {
        return Ok(Target::Unusable(apart(name)));
    };
    let age = confirmed::age(snapshot.header(), clock);
    Ok(Target::Managed(Box::new(Managed { snapshot, policy, account, age, own })))
}

fn own_of(user: &LocalUser) -> OwnShell {
    // A local account may have been given svcauth-shell by hand; its own one is forgotten then.
    let shell = if user.shell == SHELL_PATH { NO_OTHER } else { &user.shell };
    OwnShell { shell: shell.to_owned(), home: user.home.clone() }
}

/// The directory no longer has it, and something of it still runs.
fn unknown(uid: u32) -> Target {
    let detail = format!("the uid {uid} is in the id range, and no account has it");
    Target::Unusable(Unusable { account: None, reason: Reason::NoRule, detail, shell: NO_OTHER.to_owned() })
}

/// The two files are not of one generation.
fn apart(name: String) -> Unusable {
    let detail = format!(
        "{} and {} do not say the same about {name}; run: svcauth sync",
        paths::ACCESS_SNAPSHOT,
        paths::ACCOUNTS_SNAPSHOT
    );
    Unusable { account: Some(name), reason: Reason::SnapshotInvalid, detail, shell: NO_OTHER.to_owned() }
}

/// Without a snapshot only root-owned, static data may say that an account is not managed.
fn without_snapshot(uid: u32, local: &[LocalUser], why: &SnapshotError) -> Target {
    let known = Known::look();
    let names = || local.iter().map(|user| user.name.as_str());
    // An account that only the snapshot knew has a uid of the id range, whatever its name is.
    let is_managed = names().chain(local.is_empty().then_some("")).any(|name| known.covers(name, uid));
    if !is_managed {
        return Target::NotManaged;
    }
    let reason = match (&known, why) {
        (Known::ByLastConfig(_) | Known::Unreadable, _) => Reason::ConfigInvalid,
        (_, SnapshotError::Missing) => Reason::SnapshotMissing,
        _ => Reason::SnapshotInvalid,
    };
    Target::Unusable(Unusable {
        account: names().next().map(str::to_owned),
        reason,
        detail: format!("{}: {why}", paths::STATE_DIR),
        shell: NO_OTHER.to_owned(),
    })
}
