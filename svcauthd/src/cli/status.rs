//! `svcauth status`

use std::process::ExitCode;
use std::time::Duration;

use svcauth_host::clock::Clock;
use svcauth_host::confirmed;
use svcauth_host::snapshot_file::{open_access, open_accounts};

use super::client::{NoAnswer, ask};
use super::output::{Failure, duration, json, line};
use super::{Done, Json};
use crate::control::{Counts, DirectoryStatus, Reply, Request, State, Status};

pub(super) fn run(args: &Json) -> Done {
    let status = match ask(&Request::Status {}, Some(Duration::from_secs(5))) {
        Ok(Reply::Status(status)) => status,
        Ok(_) => {
            return Err(Failure::new("svcauthd gave an answer to another question; is it of this version?"));
        }
        Err(NoAnswer::NotRunning) => without_daemon(),
        Err(other) => return Err(other.into()),
    };
    if args.json {
        json(&status)?;
    } else {
        show(&status)?;
    }
    Ok(ExitCode::from(status.state.exit_code()))
}

/// What the published files alone tell: logins go on without a daemon, so `failed` would be wrong.
fn without_daemon() -> Status {
    let opened = open_accounts();
    // Who may not read the policy does not learn the limit; everything else is for everybody.
    let max_stale =
        open_access().ok().and_then(|snapshot| snapshot.policy().ok()).map_or(0, |policy| policy.max_stale);
    let header = opened.as_ref().ok().map(|snapshot| *snapshot.header());
    let age = header.as_ref().and_then(|header| confirmed::age(header, &Clock::now()).0);
    let why = opened.err().map_or_else(String::new, |error| format!("; {error}"));
    Status {
        state: if header.is_some() { State::Degraded } else { State::Failed },
        generation: header.map_or(0, |header| header.generation),
        age_seconds: age,
        max_stale_seconds: max_stale,
        directory: DirectoryStatus::default(),
        counts: header.map_or_else(Counts::default, |header| Counts {
            accounts: header.accounts,
            groups: header.groups,
            people: header.people,
        }),
        last_error: Some(format!("svcauthd is not running; run: systemctl start svcauthd{why}")),
        next_refresh_seconds: None,
    }
}

fn show(status: &Status) -> Result<(), Failure> {
    let age = status.age_seconds.map_or_else(|| "unknown".to_owned(), duration);
    line(&format!("state       {}", status.state.as_str()))?;
    line(&format!(
        "generation  {} (confirmed {age} ago, refused from {} on)",
        status.generation,
        duration(status.max_stale_seconds)
    ))?;
    let server = status.directory.server.as_deref().unwrap_or("none has answered yet");
    line(&format!("directory   {} ({server})", status.directory.kind))?;
    let counts = status.counts;
    line(&format!(
        "holds       {} accounts, {} groups, {} people",
        counts.accounts, counts.groups, counts.people
    ))?;
    if let Some(seconds) = status.next_refresh_seconds {
        line(&format!("next        refresh in {}", duration(seconds)))?;
    }
    if let Some(error) = &status.last_error {
        line(&format!("last error  {error}"))?;
    }
    Ok(())
}
