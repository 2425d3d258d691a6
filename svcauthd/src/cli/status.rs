//! `svcauth status`

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;
use svcauth_host::clock::Clock;
use svcauth_host::confirmed;
use svcauth_host::paths;
use svcauth_host::snapshot_file::{SnapshotError, open_access, open_accounts};

use super::client::{NOT_RUNNING, NoAnswer, ask, why_not_running};
use super::output::{Failure, duration, json, line};
use super::{Done, Json};
use crate::activation::journal::{FOLDER, pending_in};
use crate::activation::trial::seconds_left;
use crate::control::{Changes, Counts, DirectoryStatus, Reply, Request, State, Status};

pub(super) fn run(args: &Json) -> Done {
    let status = match ask(&Request::Status {}, Some(Duration::from_secs(5))) {
        Ok(Reply::Status(status)) => status,
        Ok(_) => {
            return Err(Failure::new("svcauthd gave an answer to another question; is it of this version?"));
        }
        Err(NoAnswer::NotRunning) => without_daemon(),
        Err(other) => return Err(other.into()),
    };
    let activation = trial();
    if args.json {
        json(&WithTrial { status: &status, activation: activation.as_ref() })?;
    } else {
        show(&status)?;
        show_trial(activation.as_ref())?;
    }
    Ok(ExitCode::from(status.state.exit_code()))
}

/// The answer of the daemon, and what this command sees by itself.
#[derive(Serialize)]
struct WithTrial<'a> {
    #[serde(flatten)]
    status: &'a Status,
    /// There while `svcauth enable --confirm` waits for `svcauth confirm`; root alone sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    activation: Option<&'a Trial>,
}

/// An activation that is not kept yet.
#[derive(Serialize)]
struct Trial {
    state: &'static str,
    confirm_within_seconds: u64,
}

fn trial() -> Option<Trial> {
    let pending = pending_in(Path::new(FOLDER)).ok().flatten()?;
    Some(Trial { state: "on_trial", confirm_within_seconds: seconds_left(&pending)? })
}

fn show_trial(trial: Option<&Trial>) -> Result<(), Failure> {
    let Some(trial) = trial else { return Ok(()) };
    line(&format!(
        "activation  on trial: put back in {} unless `svcauth confirm` is run from a new login",
        duration(trial.confirm_within_seconds)
    ))?;
    Ok(())
}

/// What the published files alone tell: logins go on without a daemon until the snapshot is too old.
fn without_daemon() -> Status {
    let access = open_access();
    let opened = open_accounts();
    let header = opened.as_ref().ok().map(|snapshot| *snapshot.header());
    // Who may not read the policy may not read the confirmation either, and learns neither limit nor age.
    let policy = access.as_ref().ok().and_then(|snapshot| snapshot.policy().ok());
    let max_stale = policy.map(|policy| policy.max_stale);
    let age = header.as_ref().filter(|_| access.is_ok()).and_then(|it| confirmed::age(it, &Clock::now()).0);
    let unusable =
        opened.as_ref().err().map(ToString::to_string).or_else(|| hidden_or_damaged(access.as_ref().err()?));
    let why = unusable.map_or_else(String::new, |why| format!("; {why}"));
    Status {
        state: state_of(header.is_some(), access.as_ref().err(), age, max_stale),
        generation: header.map_or(0, |header| header.generation),
        age_seconds: age,
        max_stale_seconds: max_stale,
        directory: DirectoryStatus::default(),
        counts: header.map_or_else(Counts::default, |header| Counts {
            accounts: header.accounts,
            groups: header.groups,
            people: header.people,
        }),
        last_error: Some(why_not_running().unwrap_or_else(|| format!("{NOT_RUNNING}{why}"))),
        next_refresh_seconds: None,
        audit_error: None,
    }
}

/// Failed: logins are refused, because there is nothing to decide from or because it is too old.
fn state_of(names: bool, access: Option<&SnapshotError>, age: Option<u64>, max_stale: Option<u64>) -> State {
    match (access, age, max_stale) {
        _ if !names => State::Failed,
        // Permission denied says nothing about logins.
        (Some(SnapshotError::Refused(_)), ..) => State::Degraded,
        (None, Some(age), Some(max_stale)) if age < max_stale => State::Degraded,
        _ => State::Failed,
    }
}

fn hidden_or_damaged(error: &SnapshotError) -> Option<String> {
    match error {
        SnapshotError::Refused(_) => Some("age and limit are shown to root only".to_owned()),
        other => Some(format!("{}: {other}", paths::ACCESS_SNAPSHOT)),
    }
}

fn show(status: &Status) -> Result<(), Failure> {
    line(&format!("state       {}", status.state.as_str()))?;
    line(&format!("generation  {}", generation(status)))?;
    if !status.directory.kind.is_empty() {
        let server = status.directory.server.as_deref().unwrap_or("none has answered yet");
        let how = match status.directory.changes {
            Some(Changes::Pushed) => ", tells of changes at once",
            Some(Changes::Polled) => ", asked for changes",
            Some(Changes::Whole) | None => "",
        };
        line(&format!("directory   {} ({server}{how})", status.directory.kind))?;
    }
    let counts = status.counts;
    line(&format!(
        "holds       accounts: {}, groups: {}, people: {}",
        counts.accounts, counts.groups, counts.people
    ))?;
    if let Some(seconds) = status.next_refresh_seconds {
        line(&format!("next        refresh in {}", duration(seconds)))?;
    }
    if let Some(error) = &status.audit_error {
        line(&format!("audit file  not written, records wait in /run/svcauth: {error}"))?;
    }
    if let Some(error) = &status.last_error {
        line(&format!("last error  {error}"))?;
    }
    Ok(())
}

fn generation(status: &Status) -> String {
    if status.generation == 0 {
        return "none yet".to_owned();
    }
    let age = status.age_seconds.map_or_else(
        || "nobody knows when it was confirmed".to_owned(),
        |seconds| format!("confirmed {} ago", duration(seconds)),
    );
    let limit = status
        .max_stale_seconds
        .map_or_else(String::new, |limit| format!(", refused from {} on", duration(limit)));
    format!("{} ({age}{limit})", status.generation)
}

#[cfg(test)]
mod tests {
    use super::{SnapshotError, State, state_of};

    #[test]
    fn without_a_daemon_the_state_says_whether_logins_work() {
        let damaged = SnapshotError::Untrusted("it is not owned by root");
        let hidden = SnapshotError::Refused("Permission denied".to_owned());
        for (names, access, age, max_stale, state) in [
            (true, None, Some(5), Some(60), State::Degraded),
            (true, None, Some(59), Some(60), State::Degraded),
            (true, None, Some(60), Some(60), State::Failed),
            (true, None, None, Some(60), State::Failed),
            (true, Some(&hidden), None, None, State::Degraded),
            (true, Some(&damaged), None, None, State::Failed),
            (true, Some(&SnapshotError::Missing), None, None, State::Failed),
            (false, None, Some(5), Some(60), State::Failed),
        ] {
            assert_eq!(state_of(names, access, age, max_stale), state, "{names} {access:?} {age:?}");
        }
    }
}
