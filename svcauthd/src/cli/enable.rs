//! `svcauth enable`, `confirm`, `disable`, and what systemd runs to undo an activation that nobody confirmed.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use svcauth_core::audit::escape::for_terminal;

use self::disable::put_back;
use self::screen::{Asking, agree, hold_signals, needs_root, nothing_to_do, report, show};
use super::output::{Failure, json, line};
use super::{Done, Json};
use crate::activation::apply::apply;
use crate::activation::change::Change;
use crate::activation::journal::{FOLDER, Journal, Pending, pending_in};
use crate::activation::plan::{self, Plan};
use crate::activation::stage::{self, Work};
use crate::activation::trial::{self, Next, ThisHost, seconds_left};
use crate::activation::{Trouble, deed, login};

mod disable;
mod screen;

pub(super) use self::disable::disable;

/// The longest trial in seconds: a day.
const TRIAL_MAX: u64 = 86_400;

#[derive(Debug, Args)]
pub(super) struct EnableArgs {
    /// Change the files without asking
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Put everything back after this time (1s to 24h) and at the next boot, unless `svcauth confirm` was run from a new login
    #[arg(long, value_name = "TIME", value_parser = time)]
    confirm: Option<Duration>,
    #[command(flatten)]
    json: Json,
}

#[derive(Debug, Args)]
pub(super) struct DisableArgs {
    /// Change the files without asking
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    json: Json,
}

#[derive(Debug, Args)]
pub(super) struct RollbackArgs {
    /// Leave the terminal of the caller
    #[arg(long)]
    detach: bool,
}

#[derive(Debug, Args)]
pub(super) struct PlannedStateArgs {
    stage: PathBuf,
    #[arg(long)]
    pam: bool,
    #[arg(long)]
    sshd: bool,
}

fn time(text: &str) -> Result<Duration, String> {
    let expected = || "expected a whole number and a unit (s, m or h) from 1s to 24h, such as 10m".to_owned();
    let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(expected)?;
    let unit =
        [("s", 1), ("m", 60), ("h", 3600)].iter().find(|(name, _)| *name == unit).ok_or_else(expected)?.1;
    let count: u64 = digits
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| digits.parse().ok())
        .flatten()
        .ok_or_else(expected)?;
    let seconds =
        count.checked_mul(unit).filter(|seconds| (1..=TRIAL_MAX).contains(seconds)).ok_or_else(expected)?;
    Ok(Duration::from_secs(seconds))
}

impl From<Trouble> for Failure {
    fn from(why: Trouble) -> Self {
        Self::new(why)
    }
}

pub(super) fn enable(args: &EnableArgs) -> Done {
    let asking = Asking { yes: args.yes, dry_run: args.dry_run, json: args.json.json };
    needs_root("svcauth enable")?;
    if let Some(done) = settle_pending(&asking)? {
        return Ok(done);
    }
    let plan = plan::enable()?;
    let before = if plan.changes.is_empty() || plan.is_renewal() { "on" } else { "off" };
    if plan.changes.is_empty() || !plan.faults.is_empty() {
        return nothing_to_do(&plan, before, asking.json);
    }
    show(&plan, &asking)?;
    if asking.dry_run {
        report(&plan, before, None, asking.json)?;
        return Ok(ExitCode::SUCCESS);
    }
    agree(&asking, "Change these files?")?;
    let _held = hold_signals();
    let pending = activate(&plan.changes, args.confirm)?;
    let left = pending.as_ref().and_then(seconds_left);
    let done = if plan.is_renewal() { "limits brought up to date in sshd" } else { "switched on" };
    let outcome = left.map_or(done.to_owned(), |left| format!("{done}, on trial for {left} seconds"));
    deed::record("svcauth enable", &outcome);
    report(&plan, if left.is_some() { "on_trial" } else { "on" }, Some(left), asking.json)?;
    Ok(ExitCode::SUCCESS)
}

/// Applies the plan; what is on trial if it is.
fn activate(changes: &[Change], confirm: Option<Duration>) -> Result<Option<Pending>, Trouble> {
    let journal = Journal::open(Path::new(FOLDER))?;
    nothing_pending(&journal)?;
    let begun = trial::beginning()?;
    let host = if confirm.is_some() { ThisHost::OnTrial } else { ThisHost::Unwatched };
    apply(&journal, changes, &begun, &host, &mut || Ok(()))?;
    let Some(time) = confirm else { return journal.keep().map(|()| None) };
    let pending = trial::on_trial(&begun, time);
    journal.mark(&pending)?;
    Ok(Some(pending))
}

fn nothing_pending(journal: &Journal) -> Result<(), Trouble> {
    match journal.pending()? {
        None => Ok(()),
        Some(_) => Err(Trouble::new("another svcauth has changed something just now; run the command again")),
    }
}

/// What an earlier run has left: one that was ended is undone first, one that is on trial goes on.
fn settle_pending(asking: &Asking) -> Result<Option<ExitCode>, Failure> {
    let Some(pending) = pending_in(Path::new(FOLDER))? else { return Ok(None) };
    if trial::next(&pending, &svcauth_host::clock::Clock::now()) == Next::Wait {
        let Some(left) = seconds_left(&pending).filter(|_| pending.activated.is_some()) else {
            return Err(Failure::new("another svcauth enable or disable is at work; wait for its end"));
        };
        let plan = Plan::default();
        report(&plan, "on_trial", Some(Some(left)), asking.json)?;
        return Ok(Some(ExitCode::SUCCESS));
    }
    if asking.dry_run {
        return Err(Failure::new(
            "an earlier run was ended in the middle; `svcauth disable` puts back what it has changed",
        ));
    }
    let undone = trial::undo_if_due(Path::new(FOLDER), &ThisHost::Unwatched)?.unwrap_or_default();
    if !asking.json {
        line("An earlier run was ended in the middle, or never confirmed; what it had changed is put back.")?;
        put_back(&undone)?;
    }
    Ok(None)
}

pub(super) fn confirm(args: &Json) -> Done {
    needs_root("svcauth confirm")?;
    let journal = Journal::open(Path::new(FOLDER))?;
    let now = svcauth_host::clock::Clock::now();
    let pending = journal.pending()?.filter(|pending| trial::next(pending, &now) == Next::Wait);
    let Some(pending) = pending.filter(|pending| pending.activated.is_some()) else {
        return Err(Failure::new(
            "no activation is on trial: it was kept already, or everything was put back",
        ));
    };
    login::is_new(&pending)?;
    let _held = hold_signals();
    journal.keep()?;
    deed::record("svcauth confirm", "the activation is kept");
    if args.json {
        json(&serde_json::json!({ "state": "on", "applied": true }))?;
    } else {
        line("Confirmed: svcauth stays switched on, over reboots too.")?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn rollback(args: &RollbackArgs) -> Done {
    needs_root("svcauth rollback")?;
    if args.detach {
        trial::detach();
    }
    let ready = || {
        // Without systemd there is nobody to tell.
        let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Ready]);
    };
    let say = |text: &str| {
        let _ = writeln!(io::stderr(), "svcauth: {}", for_terminal(text));
        deed::record("svcauth rollback", text);
    };
    trial::watch(Path::new(FOLDER), &ThisHost::Unwatched, &ready, &say);
    Ok(ExitCode::SUCCESS)
}

pub(super) fn planned_state(args: &PlannedStateArgs) -> Done {
    needs_root("svcauth planned-state")?;
    let found = stage::examine_here(&args.stage, Work { pam: args.pam, sshd: args.sshd })?;
    json(&found)?;
    Ok(ExitCode::SUCCESS)
}
