//! Carrying out a plan, and undoing it. Whatever ends it in the middle, the journal says how to go back.

use std::path::{Path, PathBuf};

use super::change::{Change, Content, Part, commit, discard, prepare};
use super::journal::{Journal, Pending};
use super::{Trouble, nsswitch, pam, sshd};

/// What the host has to do besides: the programs that must look at the changed files again.
pub trait Host {
    /// The journal is written, and no file has changed yet: starts the one who undoes the run if this one cannot.
    ///
    /// # Errors
    /// It cannot be started.
    fn begun(&self) -> Result<(), Trouble>;
    /// Lets the running sshd read its configuration again.
    ///
    /// # Errors
    /// It does not take it.
    fn reload_sshd(&self) -> Result<(), Trouble>;
    /// Nobody may be asked any more who is only remembered: empties caches of the name service, and gives the logins that
    /// have just asked for a name the time to come to PAM.
    fn forget_names(&self);
}

/// What became of a file that was to be put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutBack {
    /// It is as it was.
    Restored(PathBuf),
    /// Somebody had changed it: it is as it was, and what they had made of it is kept in the second file.
    SetAside(PathBuf, PathBuf),
}

/// Writes the journal and then changes the files in their order; on an error everything is as before.
///
/// `between` is called before each step: the journal, and two for each file. Tests end there what a kill would end.
///
/// # Errors
/// What was in the way; and what could not be undone, if that failed as well.
pub fn apply(
    journal: &Journal,
    changes: &[Change],
    pending: &Pending,
    host: &dyn Host,
    between: &mut dyn FnMut() -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    between()?;
    journal.begin(changes, pending)?;
    let mut done = 0;
    let ended = host.begun().and_then(|()| carry_out(changes, host, between, &mut done));
    ended.map_err(|why| match give_up(journal, changes, pending, done, host) {
        Ok(()) => Trouble::new(format!("{why}. Everything is as it was before")),
        Err(also) => Trouble::new(format!(
            "{why}. Then something could not be put back: {also}. Repair that, and run: svcauth disable"
        )),
    })
}

/// `done` counts the files that have changed.
fn carry_out(
    changes: &[Change],
    host: &dyn Host,
    between: &mut dyn FnMut() -> Result<(), Trouble>,
    done: &mut usize,
) -> Result<(), Trouble> {
    for change in changes {
        between()?;
        still(change)?;
        if let Some(new) = &change.new {
            prepare(&change.path, new)?;
        }
    }
    for (at, change) in changes.iter().enumerate() {
        between()?;
        still(change)?;
        *done = at + 1;
        commit(&change.path, change.new.as_ref())?;
        if is_last_of(Part::Sshd, changes, at) {
            host.reload_sshd()?;
        }
        // On the way out PAM follows: by then nobody may come with a name that he was told before.
        if is_last_of(Part::Nsswitch, changes, at) && at + 1 < changes.len() {
            host.forget_names();
        }
    }
    Ok(())
}

/// Undoes the files that have changed, and leaves the others alone, whatever somebody else has made of them.
fn give_up(
    journal: &Journal,
    changes: &[Change],
    pending: &Pending,
    done: usize,
    host: &dyn Host,
) -> Result<(), Trouble> {
    let (changed, others) = changes.split_at_checked(done).unwrap_or((changes, &[]));
    journal.begin(changed, pending)?;
    others.iter().try_for_each(|change| discard(&change.path))?;
    undo(journal, host).map(drop)
}

/// A file that somebody has changed since the plan was made.
fn still(change: &Change) -> Result<(), Trouble> {
    if Content::read(&change.path)? == change.old {
        return Ok(());
    }
    Err(Trouble::new(format!(
        "{}: somebody else has changed it just now (is a package being installed?); run the command again",
        change.path.display()
    )))
}

fn is_last_of(part: Part, changes: &[Change], at: usize) -> bool {
    let is_part = |at: usize| changes.get(at).is_some_and(|change| change.part == part);
    is_part(at) && !is_part(at + 1)
}

/// Puts back what the journal has, in reverse order, whoever has changed it since, and forgets the run.
///
/// # Errors
/// The first file that could not be put back; the journal stays, and the others are put back.
pub fn undo(journal: &Journal, host: &dyn Host) -> Result<Vec<PutBack>, Trouble> {
    let changes = without_what_is_gone(journal.changes()?);
    let (mut done, mut failed) = (Vec::new(), None);
    for (at, change) in changes.iter().enumerate().rev() {
        match put_back(journal, change) {
            Ok(None) => {}
            Ok(Some(what)) => done.push(what),
            Err(why) => {
                failed.get_or_insert(why);
            }
        }
        settle(&changes, at, host, &mut failed);
    }
    match failed {
        Some(why) => Err(why),
        None => journal.forget().map(|()| done),
    }
}

/// Where old stacks call a module that somebody has removed meanwhile, with its lines, they would shut everybody out: our lines
/// are taken out of those that are there, and of what pam-auth-update remembers. Only where svcauth was being switched on: a way
/// out that was ended is undone to the stacks that guard.
fn without_what_is_gone(changes: Vec<Change>) -> Vec<Change> {
    let text = |content: &Option<Content>| {
        content.as_ref().map(|it| String::from_utf8_lossy(&it.bytes).into_owned()).unwrap_or_default()
    };
    let now = |change: &Change| Content::read(&change.path).ok().flatten();
    let is_pam = |change: &&Change| change.part == Part::Pam;
    let is_way_out = changes.iter().filter(is_pam).any(|it| text(&it.old).lines().any(pam::calls_module));
    let is_gone = |it: &Change| pam::calls_what_is_gone(&text(&it.old), &text(&now(it)));
    if is_way_out || !changes.iter().filter(is_pam).any(is_gone) {
        return changes;
    }
    let keep = |change: Change| match now(&change).filter(|_| change.part == Part::Pam) {
        Some(now) => {
            let old = now.with(without_us(&change.path, &now.bytes));
            Change { old: Some(old), new: Some(now), ..change }
        }
        None => change,
    };
    changes.into_iter().map(keep).collect()
}

/// A stack, or what pam-auth-update remembers, without our lines.
fn without_us(path: &Path, bytes: &[u8]) -> Vec<u8> {
    let without =
        if path.starts_with(pam::MEMORY) { pam::memory_without_svcauth } else { pam::without_svcauth };
    std::str::from_utf8(bytes).map_or_else(|_| bytes.to_vec(), |text| without(text).into_bytes())
}

/// The last change of a part, backwards: whoever depends on it is told, in any case. A run that was ended may have changed the
/// file and told nobody, or be undone by a run that was ended itself.
fn settle(changes: &[Change], at: usize, host: &dyn Host, failed: &mut Option<Trouble>) {
    let part = |at: usize| changes.get(at).map(|change| change.part);
    if at.checked_sub(1).and_then(part) == part(at) {
        return;
    }
    match part(at) {
        Some(Part::Sshd) => {
            if let Err(why) = host.reload_sshd() {
                failed.get_or_insert(why);
            }
        }
        Some(Part::Nsswitch) => host.forget_names(),
        Some(Part::Pam) | None => {}
    }
}

fn put_back(journal: &Journal, change: &Change) -> Result<Option<PutBack>, Trouble> {
    discard(&change.path)?;
    let now = Content::read(&change.path)?;
    if now == change.old {
        return Ok(None);
    }
    let edited = now.as_ref().filter(|_| now != change.new);
    let aside = edited.map(|content| journal.set_aside(&change.path, &content.bytes)).transpose()?;
    if let Some(old) = &change.old {
        prepare(&change.path, old)?;
    }
    commit(&change.path, change.old.as_ref())?;
    let path = change.path.clone();
    Ok(Some(aside.map_or(PutBack::Restored(path.clone()), |copy| PutBack::SetAside(path, copy))))
}

/// The changes that take us out: the old bytes where the files are what `enable` wrote, else without our own lines.
///
/// The stacks of PAM and what pam-auth-update remembers of them belong together: both ways are taken for all of them at
/// once.
///
/// # Errors
/// A file cannot be read.
pub fn way_out(active: &[Change]) -> Result<Vec<Change>, Trouble> {
    let mut out = Vec::new();
    out.extend(nsswitch_out(active)?);
    out.extend(sshd_out(active)?);
    out.extend(pam_out(active)?);
    Ok(out)
}

fn recorded<'a>(active: &'a [Change], path: &Path) -> Option<&'a Change> {
    active.iter().find(|change| change.path == path)
}

/// A file without us, unless it is as we left it.
fn out_of(
    active: &[Change],
    path: PathBuf,
    part: Part,
    without: impl Fn(&[u8]) -> Option<Vec<u8>>,
) -> Result<Option<Change>, Trouble> {
    let old = Content::read(&path)?;
    let written = recorded(active, &path).filter(|change| change.new == old && change.part == part);
    let new = match (written, &old) {
        (Some(change), _) => change.old.clone(),
        (None, Some(content)) => without(&content.bytes).map(|bytes| content.with(bytes)),
        (None, None) => None,
    };
    Ok((new != old).then_some(Change { path, part, old, new }))
}

/// A link leads to a file of somebody else, who has put us there (authselect) and takes us out.
fn nsswitch_out(active: &[Change]) -> Result<Option<Change>, Trouble> {
    if std::fs::symlink_metadata(nsswitch::PATH).is_ok_and(|meta| meta.is_symlink()) {
        return Ok(None);
    }
    out_of(active, nsswitch::PATH.into(), Part::Nsswitch, |bytes| Some(nsswitch::without_svcauth(bytes)))
}

/// A drop-in that somebody edited before it was brought up to date is remembered with our lines in it.
fn sshd_out(active: &[Change]) -> Result<Option<Change>, Trouble> {
    let out = out_of(active, sshd::DROP_IN.into(), Part::Sshd, sshd::without_svcauth)?;
    let clean = |content: Content| match sshd::is_ours(&content.bytes) {
        true => sshd::without_svcauth(&content.bytes).map(|bytes| content.with(bytes)),
        false => Some(content),
    };
    Ok(out.map(|change| Change { new: change.new.and_then(clean), ..change }))
}

fn pam_out(active: &[Change]) -> Result<Vec<Change>, Trouble> {
    let ours = |change: &&Change| change.part == Part::Pam;
    let mut untouched = true;
    for change in active.iter().filter(ours) {
        untouched &= Content::read(&change.path)? == change.new;
    }
    if untouched && active.iter().any(|change| ours(&change)) {
        let back =
            |change: &Change| Change { old: change.new.clone(), new: change.old.clone(), ..change.clone() };
        return Ok(active.iter().filter(ours).rev().map(back).collect());
    }
    let mut out = Vec::new();
    for stack in pam::STACKS.iter().rev() {
        for path in [Path::new(pam::MEMORY).join(stack), pam::stack_path(stack)] {
            out.extend(out_of(&[], path.clone(), Part::Pam, |bytes| Some(without_us(&path, bytes)))?);
        }
    }
    Ok(out)
}

#[cfg(test)]
#[path = "apply_tests.rs"]
mod tests;
