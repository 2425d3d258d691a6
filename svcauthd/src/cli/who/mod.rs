//! `svcauth who`: the person behind each live process of the managed accounts.
//!
//! What is shown is what attribution gives. A process that became another uid inside a session (root by a program of the
//! host) is none of an account any more, and is not listed; asked for by its pid it is told who opened what it descends from.

mod command;
mod look;
mod managed;
mod row;

use std::process::ExitCode;

use clap::Args;
use svcauth_core::id::parse_id;
use svcauth_host::clock::Clock;
use svcauth_host::sessions::{Attribution, Registry, RegistryError};

use self::look::{look_at_all, look_at_one, read_sessions};
use self::managed::Managed;
use self::row::Row;
use super::output::{Failure, json, line, table};
use super::{Done, Json};

#[derive(Debug, Args)]
pub(super) struct WhoArgs {
    /// A process, or else an account by uid or name; without it every process of every managed account
    #[arg(value_name = "PID|UID|ACCOUNT", conflicts_with_all = ["pid", "uid", "account"])]
    whose: Option<String>,
    /// This process
    #[arg(long, conflicts_with_all = ["uid", "account"])]
    pid: Option<u32>,
    /// The processes of the account with this uid
    #[arg(long, conflicts_with = "account")]
    uid: Option<u32>,
    /// The processes of the account with this name
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    #[command(flatten)]
    json: Json,
}

pub(super) fn run(args: &WhoArgs) -> Done {
    if !nix::unistd::geteuid().is_root() {
        return Err(Failure::new("only root may see who is behind a process; run this command by sudo"));
    }
    let clock = Clock::now();
    let boot_id = clock.boot_id.ok_or_else(|| Failure::new("/proc is not mounted"))?;
    let asked = match (&args.whose, args.pid, args.uid, &args.account) {
        (_, Some(pid), ..) => Asked::Pid(pid),
        (_, _, Some(uid), _) => Asked::Uid(uid),
        (.., Some(account)) => Asked::Account(account.clone()),
        (Some(whose), ..) => Asked::by_word(whose),
        (None, ..) => Asked::All,
    };
    let registry = Registry::open().map_err(refused)?;
    let managed = Managed::look();
    match asked {
        Asked::Pid(pid) => one(pid, &registry, managed, &boot_id, args.json.json),
        asked => all(&asked, &registry, managed, &boot_id, args.json.json),
    }
}

/// What is asked for.
enum Asked {
    All,
    Pid(u32),
    Uid(u32),
    Account(String),
}

impl Asked {
    /// A number is a process if there is such a one. No name that a directory may give begins with a digit.
    fn by_word(word: &str) -> Self {
        match parse_id(word.as_bytes()) {
            Some(pid) if std::fs::exists(format!("/proc/{pid}/stat")).unwrap_or(false) => Self::Pid(pid),
            Some(uid) => Self::Uid(uid),
            None => Self::Account(word.to_owned()),
        }
    }
}

fn all(asked: &Asked, registry: &Registry, mut managed: Managed, boot_id: &str, as_json: bool) -> Done {
    match asked {
        Asked::Uid(uid) if !managed.is_managed(*uid) => {
            return Err(Failure::new(format!("{uid} is neither a process nor the uid of a managed account")));
        }
        Asked::Account(name) if !managed.is_account(name) => {
            return Err(Failure::new(format!("{name} is no managed account; see: svcauth accounts")));
        }
        _ => {}
    }
    // Processes first: whatever began before the sessions are read has been registered before it began.
    let (subjects, processes) = look_at_all(&managed);
    let sessions = read_sessions(registry, &subjects, boot_id).map_err(refused)?;
    let attribution = Attribution::new(&sessions, svcauth_host::local_users::uid_of);
    let mut rows: Vec<Row> = subjects
        .into_iter()
        .filter_map(|subject| Row::of_account(subject, &attribution, &processes, &mut managed))
        .filter(|row| match asked {
            Asked::Uid(uid) => row.uid == *uid,
            Asked::Account(name) => row.account.as_ref() == Some(name),
            Asked::All | Asked::Pid(_) => true,
        })
        .collect();
    rows.sort_by(|a, b| a.place().cmp(&b.place()));
    show(&rows, as_json)?;
    Ok(ExitCode::SUCCESS)
}

fn one(pid: u32, registry: &Registry, mut managed: Managed, boot_id: &str, as_json: bool) -> Done {
    let none = || Failure::new(format!("there is no process {pid}"));
    let (subject, processes) = look_at_one(pid).ok_or_else(none)?;
    let ancestry: Vec<_> = processes.ancestry(&subject.seen).map(|seen| seen.process).collect();
    let sessions = registry.around(subject.seen.audit_session, &ancestry, boot_id).map_err(refused)?;
    let attribution = Attribution::new(&sessions, svcauth_host::local_users::uid_of);
    let Some(mut row) = Row::of_any(subject, &attribution, &processes, &mut managed) else {
        return Err(Failure::new(format!(
            "the process {pid} is of no managed account, and no session led to it"
        )));
    };
    let chain = row.set_chain(&sessions);
    show(std::slice::from_ref(&row), as_json)?;
    if !as_json {
        for step in chain {
            line(&step)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show(rows: &[Row], as_json: bool) -> Result<(), Failure> {
    if as_json {
        return Ok(json(&rows)?);
    }
    let cells: Vec<Vec<String>> = rows.iter().map(Row::cells).collect();
    Ok(table(&["PID", "ACCOUNT", "ORIGIN", "EVIDENCE", "SESSION", "SINCE", "FROM", "COMMAND"], &cells)?)
}

fn refused(error: RegistryError) -> Failure {
    Failure::new(error)
}
