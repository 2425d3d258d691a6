//! What switching on and off says and asks.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;

use nix::sys::signal::{SigSet, Signal};
use serde::Serialize;

use crate::activation::change::{Change, Part};
use crate::activation::plan::Plan;
use crate::activation::stage::Fault;
use crate::activation::{diff, pam};
use crate::cli::Done;
use crate::cli::output::{Failure, duration, json, line};

/// How the caller wants to be asked.
pub(super) struct Asking {
    pub(super) yes: bool,
    pub(super) dry_run: bool,
    pub(super) json: bool,
}

/// What happened, for scripts.
#[derive(Serialize)]
pub(super) struct Report<'a> {
    /// `on`, `on_trial` or `off`, as it is now.
    pub(super) state: &'static str,
    /// Whether this run has changed it.
    pub(super) applied: bool,
    pub(super) changes: Vec<Row>,
    pub(super) notes: &'a [String],
    pub(super) faults: &'a [Fault],
    /// Until everything is put back, when it is on trial.
    pub(super) confirm_within_seconds: Option<u64>,
}

#[derive(Serialize)]
pub(super) struct Row {
    pub(super) path: String,
    pub(super) diff: String,
}

pub(super) fn rows(changes: &[Change]) -> Vec<Row> {
    let row = |change: &Change| Row { path: change.path.display().to_string(), diff: diff::unified(change) };
    changes.iter().map(row).collect()
}

pub(super) fn nothing_to_do(plan: &Plan, state: &'static str, as_json: bool) -> Done {
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
    Err(Failure::new(if plan.is_renewal() {
        "with these faults sshd's drop-in is not brought up to date; nothing was changed"
    } else {
        "with these faults svcauth is not switched on; nothing was changed"
    }))
}

/// The diff of what people edit, and the names of what pam-auth-update remembers.
pub(super) fn show(plan: &Plan, asking: &Asking) -> Result<(), Failure> {
    if asking.json {
        return Ok(());
    }
    show_changes(&plan.changes)?;
    notes(&plan.notes)
}

pub(super) fn show_changes(changes: &[Change]) -> Result<(), Failure> {
    let is_memory = |change: &&Change| change.path.starts_with(pam::MEMORY);
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

pub(super) fn notes(notes: &[String]) -> Result<(), Failure> {
    notes.iter().try_for_each(|note| line(&format!("note: {note}")).map_err(Failure::from))
}

/// `applied` is what is left of a trial if there is one, and nothing when nothing was changed.
pub(super) fn report(
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
    let renewed = "sshd's drop-in is up to date with the limits of /etc/svcauth/svcauth.toml";
    match (applied, left) {
        (None, _) => line("Nothing was changed.")?,
        (Some(_), None) if plan.is_renewal() => {
            line(&format!("{renewed}; svcauth was switched on already."))?;
        }
        (Some(_), Some(left)) if plan.is_renewal() => {
            let back = duration(left);
            line(&format!(
                "{renewed}, on trial: in {back} it is put back as it was; svcauth stays switched on."
            ))?;
            line("To keep it, open a NEW login (leave this one open), become root and run: svcauth confirm")?;
        }
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
pub(super) fn agree(asking: &Asking, question: &str) -> Result<(), Failure> {
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
pub(super) fn hold_signals() -> HeldSignals {
    let mut held = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGTSTP] {
        held.add(signal);
    }
    // A run that cannot hold them back can be undone after a kill, as any other.
    let _ = held.thread_block();
    HeldSignals(held)
}

pub(super) struct HeldSignals(SigSet);

impl Drop for HeldSignals {
    fn drop(&mut self) {
        let _ = self.0.thread_unblock();
    }
}

pub(super) fn needs_root(what: &str) -> Result<(), Failure> {
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    Err(Failure::new(format!("{what} needs root; run it with sudo, or in a root shell")))
}
