//! `svcauth disable`

use std::path::Path;
use std::process::ExitCode;

use super::DisableArgs;
use super::nothing_pending;
use super::screen::{Asking, Report, agree, hold_signals, needs_root, rows, show_changes};
use crate::activation::apply::{PutBack, apply, undo, way_out};
use crate::activation::change::{Change, Content};
use crate::activation::journal::{FOLDER, Journal};
use crate::activation::plan::{left_to_others, own_calls};
use crate::activation::trial::{self, ThisHost};
use crate::activation::{Trouble, deed};
use crate::cli::Done;
use crate::cli::output::{Failure, json, line};

pub(in crate::cli) fn disable(args: &DisableArgs) -> Done {
    needs_root("svcauth disable")?;
    let asking = Asking { yes: args.yes, dry_run: args.dry_run, json: args.json.json };
    let trial = end_trial(&asking)?;
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

/// Undoes a run that is not kept, be it on trial or ended in the middle; what that changes.
fn end_trial(asking: &Asking) -> Result<Vec<Change>, Failure> {
    let Some(changes) = reversed(&Journal::open(Path::new(FOLDER))?)? else { return Ok(Vec::new()) };
    if !changes.is_empty() {
        show_way_out(&changes, asking)?;
    }
    if asking.dry_run {
        return Ok(changes);
    }
    if !changes.is_empty() {
        agree(asking, "Put these files back?")?;
    }
    let _held = hold_signals();
    let done = undo(&Journal::open(Path::new(FOLDER))?, &ThisHost::Unwatched)?;
    deed::record("svcauth disable", "an activation that was not kept is put back");
    if !asking.json {
        put_back(&done)?;
    }
    Ok(changes)
}

/// What undoing a run that is not kept would change; nothing at all if there is none.
fn reversed(journal: &Journal) -> Result<Option<Vec<Change>>, Failure> {
    let Some(pending) = journal.pending()? else { return Ok(None) };
    if pending.is_being_applied() {
        return Err(Failure::new("another svcauth enable or disable is at work; wait for its end"));
    }
    let mut out = Vec::new();
    for change in journal.changes()?.into_iter().rev() {
        let now = Content::read(&change.path)?;
        if now != change.old {
            out.push(Change { new: change.old, old: now, ..change });
        }
    }
    Ok(Some(out))
}

fn deactivate(changes: &[Change]) -> Result<(), Trouble> {
    let journal = Journal::open(Path::new(FOLDER))?;
    nothing_pending(&journal)?;
    apply(&journal, changes, &trial::beginning()?, &ThisHost::Unwatched, &mut || Ok(()))?;
    journal.forget_all()?;
    deed::record("svcauth disable", "switched off");
    Ok(())
}

fn show_way_out(changes: &[Change], asking: &Asking) -> Result<(), Failure> {
    if asking.json { Ok(()) } else { show_changes(changes) }
}

pub(super) fn put_back(files: &[PutBack]) -> Result<(), Failure> {
    for file in files {
        if let PutBack::SetAside(path, copy) = file {
            line(&format!("{} had been changed since; that is kept in {}", path.display(), copy.display()))?;
        }
    }
    Ok(())
}

fn is_off() -> Result<(), Failure> {
    left_to_others().map_or(Ok(()), |what| Err(Failure::new(what)))
}

fn already_off(as_json: bool) -> Done {
    is_off()?;
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
        super::screen::notes(&notes)?;
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
    super::screen::notes(&notes)?;
    if asking.dry_run {
        line("Nothing was changed.")?;
        return Ok(ExitCode::SUCCESS);
    }
    is_off()?;
    line("svcauth is switched off: managed accounts do not resolve any more, and nobody gets into them.")?;
    line(
        "What stays: sessions that are open, /etc/svcauth, the state and the audit trail, home folders, and svcauthd, \
         which goes on reading the directory (systemctl disable --now svcauthd ends that).",
    )?;
    Ok(ExitCode::SUCCESS)
}
