//! `svcauth accounts`: what is managed, and by which roles it may be used.

use std::process::ExitCode;

use serde::Serialize;
use svcauth_core::policy::{Account, Circumstances, Origin, Person, Policy, Roles, Source, decide};
use svcauth_host::clock::Clock;
use svcauth_host::confirmed;
use svcauth_host::host_names::host_names;

use super::output::{Failure, json, table};
use super::snapshot::{self, damaged};
use super::{AccountsArgs, Done};
use crate::state::is_tombstone;

#[derive(Serialize)]
struct Row {
    name: String,
    uid: Option<u32>,
    local: bool,
    disabled: bool,
    locked: bool,
    expires: Option<u64>,
    hosts: Option<Vec<String>>,
    roles: Vec<String>,
}

pub(super) fn run(args: &AccountsArgs) -> Done {
    let snapshot = snapshot::open()?;
    let policy = snapshot.policy().map_err(damaged)?;
    let mut accounts = snapshot.accounts().map_err(damaged)?;
    accounts.retain(|account| !is_tombstone(account));
    if let Some(login) = &args.usable_by {
        let known = snapshot.person(login).map_err(damaged)?;
        let person = known
            .ok_or_else(|| Failure::usage(format!("{login} is nobody that the directory knows")))?
            .person;
        let age = confirmed::age(snapshot.header(), &Clock::now());
        accounts.retain(|account| usable(&policy, account, &person, age));
    }
    accounts.sort_by(|a, b| a.name.cmp(&b.name));
    let rows: Vec<Row> = accounts.into_iter().map(|account| row(&policy, account)).collect();
    if args.json.json {
        json(&rows)?;
    } else {
        let cells: Vec<Vec<String>> = rows.iter().map(cells).collect();
        table(&["ACCOUNT", "UID", "STATE", "ROLES"], &cells)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn usable(policy: &Policy, account: &Account, person: &Person, age: svcauth_core::policy::Age) -> bool {
    let names = host_names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let at = Circumstances {
        service: Some("sshd"),
        hosts: &names,
        source: Source::NotYetKnown,
        now: Clock::now().wall,
        age,
    };
    decide(policy, account, Origin::Person(person), &at).is_allow()
}

/// The roles of every rule that is about the account.
fn row(policy: &Policy, account: Account) -> Row {
    let rules =
        policy.rules.iter().filter(|rule| rule.accounts.iter().any(|pattern| pattern.matches(&account.name)));
    let roles = rules.flat_map(|rule| match &rule.roles {
        Roles::Named(roles) => roles.as_slice(),
        Roles::MemberOf => account.roles.as_slice(),
    });
    let mut names: Vec<String> =
        roles.filter_map(|role| Some(policy.roles.get(role.0 as usize)?.name.clone())).collect();
    names.sort_unstable();
    names.dedup();
    Row {
        local: policy.local_accounts.contains(&account.name),
        name: account.name,
        uid: account.uid,
        disabled: account.disabled,
        locked: account.locked_until.is_some_and(|end| end > Clock::now().wall),
        expires: account.expires,
        hosts: account.hosts,
        roles: names,
    }
}

fn cells(row: &Row) -> Vec<String> {
    let uid = row.uid.map_or_else(|| "local".to_owned(), |uid| uid.to_string());
    let expired = row.expires.is_some_and(|end| end <= Clock::now().wall);
    let state = match (row.disabled, row.locked, expired) {
        (true, ..) => "disabled",
        (false, true, _) => "locked",
        (false, false, true) => "expired",
        (false, false, false) => "enabled",
    };
    vec![row.name.clone(), uid, state.to_owned(), row.roles.join(",")]
}
