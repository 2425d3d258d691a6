//! A state as the two files, and the accounts that must not vanish at once.

use std::collections::HashSet;

use svcauth_core::command::SHELL_PATH;
use svcauth_core::policy::{Account, Policy};
use svcauth_core::snapshot::access::AccessFile;
use svcauth_core::snapshot::{AccountsFile, BuildError, NewAccount, NewGroup, OwnShell, Stamp};

use super::State;

/// How long a removed account is remembered, in seconds: longer than any login takes from its first lookup to its session.
const REMEMBERED: u64 = 24 * 3600;

/// The two files of one generation.
pub struct Files {
    /// `accounts.snap`.
    pub accounts: Vec<u8>,
    /// `access.snap`.
    pub access: Vec<u8>,
}

/// Lays a state out as its two files. Takes it, because a large one must not stay in memory beside both of them; gives its
/// accounts back.
///
/// # Errors
/// [`BuildError`]; a state that has been checked and joined gives none but for absurd lengths.
pub fn to_files(state: State, stamp: Stamp) -> Result<(Files, Vec<Account>), BuildError> {
    let State { mut passwd, groups, policy, accounts, people } = state;
    let mut access = AccessFile::new(stamp, &policy)?;
    limit_shells(&mut passwd, &policy, &mut access)?;
    let shown = accounts_file(passwd, groups, stamp)?;
    accounts.iter().try_for_each(|account| access.account(account))?;
    people.iter().try_for_each(|known| access.person(&known.person, &known.keys, &known.principals))?;
    drop(people);
    Ok((Files { accounts: shown, access: access.finish()? }, accounts))
}

/// Gives the accounts that a rule limits the shell that asks first; what they would have without is kept beside the rules.
fn limit_shells(
    passwd: &mut [NewAccount],
    policy: &Policy,
    access: &mut AccessFile,
) -> Result<(), BuildError> {
    let limiting: Vec<_> = policy.rules.iter().filter(|rule| rule.limits.is_some()).collect();
    let is_limited =
        |name: &str| limiting.iter().any(|rule| rule.accounts.iter().any(|pattern| pattern.matches(name)));
    for account in passwd.iter_mut().filter(|account| is_limited(&account.name)) {
        let shell = std::mem::replace(&mut account.shell, SHELL_PATH.to_owned());
        access.shell(&account.name, &OwnShell { shell, home: account.home.clone() })?;
    }
    Ok(())
}

fn accounts_file(
    passwd: Vec<NewAccount>,
    groups: Vec<NewGroup>,
    stamp: Stamp,
) -> Result<Vec<u8>, BuildError> {
    let mut shown = AccountsFile::new(stamp)?;
    passwd.iter().try_for_each(|account| shown.account(account))?;
    groups.iter().try_for_each(|group| shown.group(group))?;
    drop((passwd, groups));
    shown.finish()
}

/// The accounts of a state, with those of the last generation that are gone now.
///
/// A login that began when the account still existed must not meet a snapshot that has never heard of it: "not in the
/// snapshot" means "not managed" and lets it pass. So a removed account stays for a day, disabled. A name that is local
/// now is left alone at once.
pub fn with_tombstones(
    mut accounts: Vec<Account>,
    last: &[Account],
    now: u64,
    is_local: impl Fn(&str) -> bool,
) -> Vec<Account> {
    let names: HashSet<&str> = accounts.iter().map(|account| account.name.as_str()).collect();
    let gone = last.iter().filter(|account| account.uid.is_some() && !names.contains(account.name.as_str()));
    let mut remembered = Vec::new();
    for account in gone.filter(|account| !is_local(&account.name)) {
        let removed = if is_tombstone(account) { account.expires.unwrap_or(0) } else { now };
        if removed.saturating_add(REMEMBERED) > now {
            remembered.push(Account {
                id: String::new(),
                disabled: true,
                expires: Some(removed),
                roles: Vec::new(),
                ..account.clone()
            });
        }
    }
    accounts.append(&mut remembered);
    accounts
}

/// Whether an account is only remembered as removed.
#[must_use]
pub fn is_tombstone(account: &Account) -> bool {
    account.id.is_empty() && account.uid.is_some() && account.disabled
}
