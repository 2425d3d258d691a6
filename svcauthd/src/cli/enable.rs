//! `svcauth enable`, `confirm`, `disable`, and what systemd runs to undo an activation that nobody confirmed.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use nix::sys::signal::{SigSet, Signal};
use serde::Serialize;
use svcauth_core::audit::escape::for_terminal;

use super::output::{Failure, duration, json, line};
use super::{Done, Json};
use crate::activation::apply::{PutBack, apply, undo, way_out};
use crate::activation::change::{Change, Part};
use crate::activation::journal::{FOLDER, Journal, Pending, pending_in};
use crate::activation::plan::{self, Plan, own_calls};
use crate::activation::stage::{self, Fault, Work};
use crate::activation::trial::{self, Next, ThisHost, seconds_left};
use crate::activation::{Trouble, diff, login};

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

/// What happened, for scripts.
#[derive(Serialize)]
struct Report<'a> {
    /// `on`, `on_trial` or `off`, as it is now.
    state: &'static str,
    /// Whether this run has changed it.
    applied: bool,
    changes: Vec<Row>,
    notes: &'a [String],
    faults: &'a [Fault],
    /// Until everything is put back, when it is on trial.
    confirm_within_seconds: Option<u64>,
}

#[derive(Serialize)]
struct Row {
    path: String,
    diff: String,
}

fn rows(changes: &[Change]) -> Vec<Row> {
    let row = |change: &Change| Row { path: change.path.display().to_string(), diff: diff::unified(change) };
    changes.iter().map(row).collect()
}

/// How the caller wants to be asked.
struct Asking {
    yes: bool,
    dry_run: bool,
    json: bool,
}

pub(super) fn enable(args: &EnableArgs) -> Done {
    let asking = Asking { yes: args.yes, dry_run: args.dry_run, json: args.json.json };
    needs_root("svcauth enable")?;
    if let Some(done) = settle_pending(&asking)? {
        return Ok(done);
    }
    let plan = plan::enable()?;
    let before = if plan.changes.is_empty() { "on" } else { "off" };
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

fn nothing_to_do(plan: &Plan, state: &'static str, as_json: bool) -> Done {
    if as_json {
        let report = Report {
            state,
            applied: false,
            changes: rows(&plan.changes),
            notes: &plan.notes,
            faults: &plan.faults,
            confirm_within_seconds: None,
        };
        json(&report)?;
    } else {
        notes(&plan.notes)?;
        for fault in &plan.faults {
            let place = fault.place.as_deref().map_or_else(String::new, |place| format!("{place}: "));
            line(&format!("fault {}: {place}{}", fault.code, fault.what))?;
            line(&format!("  to do: {}", fault.fix))?;
        }
    }
    if plan.changes.is_empty() {
        if !as_json {
            line("svcauth is switched on already; nothing was changed.")?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    Err(Failure::new("with these faults svcauth is not switched on; nothing was changed"))
}

/// The diff of what people edit, and the names of what pam-auth-update remembers.
fn show(plan: &Plan, asking: &Asking) -> Result<(), Failure> {
    if asking.json {
        return Ok(());
    }
    show_changes(&plan.changes)?;
    notes(&plan.notes)
}

fn show_changes(changes: &[Change]) -> Result<(), Failure> {
    let is_memory = |change: &&Change| change.path.starts_with(crate::activation::pam::MEMORY);
    for change in changes.iter().filter(|change| !is_memory(change)) {
        write!(io::stdout(), "{}", diff::unified(change))?;
    }
    let memory: Vec<String> =
        changes.iter().filter(is_memory).map(|change| change.path.display().to_string()).collect();
    if !memory.is_empty() {
        line(&format!("also, so that pam-auth-update(8) knows of it: {}", memory.join(" ")))?;
    }
    if changes.iter().any(|change| change.part == Part::Sshd) {
        line("and a running sshd reads its configuration again; open sessions go on.")?;
    }
    Ok(())
}

fn notes(notes: &[String]) -> Result<(), Failure> {
    notes.iter().try_for_each(|note| line(&format!("note: {note}")).map_err(Failure::from))
}

/// `applied` is what is left of a trial if there is one, and nothing when nothing was changed.
fn report(
    plan: &Plan,
    state: &'static str,
    applied: Option<Option<u64>>,
    as_json: bool,
) -> Result<(), Failure> {
    let left = applied.flatten();
    if as_json {
        let changes = rows(&plan.changes);
        let applied = applied.is_some() && !changes.is_empty();
        let (notes, faults) = (&plan.notes, &plan.faults);
        return Ok(json(&Report { state, applied, changes, notes, faults, confirm_within_seconds: left })?);
    }
    match (applied, left) {
        (None, _) => line("Nothing was changed.")?,
        (Some(_), None) => line("svcauth is switched on: it decides who gets into managed accounts.")?,
        (Some(_), Some(left)) => {
            line(&format!(
                "svcauth is switched on, on trial: in {} everything is put back as it was.",
                duration(left)
            ))?;
            line("To keep it, open a NEW login (leave this one open), become root and run: svcauth confirm")?;
        }
    }
    Ok(())
}

/// Asks on the terminal; without one, somebody must have said yes before.
fn agree(asking: &Asking, question: &str) -> Result<(), Failure> {
    if asking.yes {
        return Ok(());
    }
    if asking.json || !io::stdin().is_terminal() {
        return Err(Failure::usage("nothing was changed: nobody is there to be asked; --yes answers before"));
    }
    write!(io::stdout(), "{question} [y/N] ")?;
    io::stdout().flush()?;
    let mut answer = String::new();
    io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|error| Failure::new(format!("standard input: {error}")))?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::new("nothing was changed")),
    }
}

/// Until this is dropped, neither Ctrl-C nor a terminal that goes away ends the run in the middle.
fn hold_signals() -> HeldSignals {
    let mut held = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGTSTP] {
        held.add(signal);
    }
    // A run that cannot hold them back can be undone after a kill, as any other.
    let _ = held.thread_block();
    HeldSignals(held)
}

struct HeldSignals(SigSet);

impl Drop for HeldSignals {
    fn drop(&mut self) {
        let _ = self.0.thread_unblock();
    }
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
    if args.json {
        json(&serde_json::json!({ "state": "on", "applied": true }))?;
    } else {
        line("Confirmed: svcauth stays switched on, over reboots too.")?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn disable(args: &DisableArgs) -> Done {
    needs_root("svcauth disable")?;
    let asking = Asking { yes: args.yes, dry_run: args.dry_run, json: args.json.json };
    let trial = reversed(&Journal::open(Path::new(FOLDER))?)?;
    if !trial.is_empty() {
        show_way_out(&trial, &asking)?;
        if !asking.dry_run {
            agree(&asking, "Put these files back?")?;
            let _held = hold_signals();
            let done = undo(&Journal::open(Path::new(FOLDER))?, &ThisHost::Unwatched)?;
            if !asking.json {
                put_back(&done)?;
            }
        }
    }
    let changes = way_out(&Journal::open(Path::new(FOLDER))?.active()?)?;
    if changes.is_empty() && trial.is_empty() {
        return already_off(asking.json);
    }
    if !changes.is_empty() {
        show_way_out(&changes, &asking)?;
        if !asking.dry_run {
            agree(&asking, "Change these files?")?;
            let _held = hold_signals();
            deactivate(&changes)?;
        }
    }
    switched_off(&[trial, changes].concat(), &asking)
}

/// What undoing a run that is not kept would change.
fn reversed(journal: &Journal) -> Result<Vec<Change>, Failure> {
    let Some(pending) = journal.pending()? else { return Ok(Vec::new()) };
    if pending.is_being_applied() {
        return Err(Failure::new("another svcauth enable or disable is at work; wait for its end"));
    }
    let mut out = Vec::new();
    for change in journal.changes()?.into_iter().rev() {
        let now = crate::activation::change::Content::read(&change.path)?;
        if now != change.old {
            out.push(Change { new: change.old, old: now, ..change });
        }
    }
    Ok(out)
}

fn deactivate(changes: &[Change]) -> Result<(), Trouble> {
    let journal = Journal::open(Path::new(FOLDER))?;
    nothing_pending(&journal)?;
    apply(&journal, changes, &trial::beginning()?, &ThisHost::Unwatched, &mut || Ok(()))?;
    journal.forget_all()
}

fn show_way_out(changes: &[Change], asking: &Asking) -> Result<(), Failure> {
    if asking.json { Ok(()) } else { show_changes(changes) }
}

fn put_back(files: &[PutBack]) -> Result<(), Failure> {
    for file in files {
        if let PutBack::SetAside(path, copy) = file {
            line(&format!("{} had been changed since; that is kept in {}", path.display(), copy.display()))?;
        }
    }
    Ok(())
}

fn already_off(as_json: bool) -> Done {
    let notes = own_calls();
    if as_json {
        let report = Report {
            state: "off",
            applied: false,
            changes: Vec::new(),
            notes: &notes,
            faults: &[],
            confirm_within_seconds: None,
        };
        json(&report)?;
    } else {
        self::notes(&notes)?;
        line("svcauth is switched off already; nothing was changed.")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn switched_off(changes: &[Change], asking: &Asking) -> Done {
    let notes = own_calls();
    let state = if asking.dry_run { "on" } else { "off" };
    if asking.json {
        let report = Report {
            state,
            applied: !asking.dry_run,
            changes: rows(changes),
            notes: &notes,
            faults: &[],
            confirm_within_seconds: None,
        };
        json(&report)?;
        return Ok(ExitCode::SUCCESS);
    }
    self::notes(&notes)?;
    if asking.dry_run {
        line("Nothing was changed.")?;
        return Ok(ExitCode::SUCCESS);
    }
    line("svcauth is switched off: managed accounts do not resolve any more, and nobody gets into them.")?;
    line(
        "What stays: sessions that are open, /etc/svcauth, the state and the audit trail, home folders, and svcauthd, \
         which goes on reading the directory (systemctl disable --now svcauthd ends that).",
    )?;
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

fn needs_root(what: &str) -> Result<(), Failure> {
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    Err(Failure::new(format!("{what} needs root; run it with sudo, or in a root shell")))
}
