//! What `svcauth enable` would change: computed, examined, and nothing of it done.

use std::fs;
use std::path::Path;

use svcauth_host::clock::Clock;
use svcauth_host::confirmed;
use svcauth_host::paths;
use svcauth_host::snapshot_file::{open_access, open_accounts};

use super::change::{Change, Content, Part};
use super::stage::{Fault, Stage, Work, with_run_folder};
use super::{Trouble, nsswitch, pam, sshd};
use crate::config_file::Loaded;
use crate::doctor::Site;
use crate::limits::{self, Global, Limited};

/// Bytes of the drop-in, which sshd reads for each login: some forty thousand names. A file of twice the size would be one that
/// is not changed any more ([`Content::read`]).
const DROP_IN_MAX: usize = 512 << 10;

/// A plan that can be carried out, unless it has faults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The files, in the order in which they change; none when svcauth is switched on already.
    pub changes: Vec<Change>,
    /// What the administrator should know about them.
    pub notes: Vec<String>,
    /// What must be repaired first.
    pub faults: Vec<Fault>,
}

impl Plan {
    /// Whether svcauth is switched on, and only what its drop-in says about limits is behind the configuration.
    #[must_use]
    pub fn is_renewal(&self) -> bool {
        let is_limits = |change: &Change| match (&change.old, &change.new) {
            (Some(old), Some(new)) => {
                change.part == Part::Sshd && limits::without(&old.bytes) == limits::without(&new.bytes)
            }
            _ => false,
        };
        !self.changes.is_empty() && self.changes.iter().all(is_limits)
    }

    /// What else is wrong on a host where svcauth is on is no reason to leave limits behind; what makes sshd or the shell of
    /// limited accounts fail is.
    fn let_renew(&mut self) {
        let matters =
            |fault: &Fault| ["config_", "sshd_", "shell_"].iter().any(|it| fault.code.starts_with(it));
        let (stay, go): (Vec<Fault>, Vec<Fault>) = self.faults.drain(..).partition(matters);
        self.faults = stay;
        self.notes.extend(go.into_iter().map(|fault| {
            let place = fault.place.map_or_else(String::new, |place| format!("{place}: "));
            format!("fault {}: {place}{}; {}", fault.code, fault.what, fault.fix)
        }));
    }
}

/// Computes and examines what switching on would change.
///
/// # Errors
/// svcauth is not ready, or a file cannot be changed as it is: with the place and the next step.
pub fn enable() -> Result<Plan, Trouble> {
    is_ready()?;
    let mut plan = Plan::default();
    let needs_stacks = needs_stacks()?;
    let switch = planned_switch(&mut plan.notes)?;
    let drop_in = planned_drop_in()?;
    let work = Work { pam: needs_stacks, sshd: drop_in.is_some() };
    let stage = Stage::new()?;
    for change in drop_in.iter().chain(&switch) {
        if let Some(new) = &change.new {
            stage.put(&change.path, new)?;
        }
    }
    plan.faults = stage.examine(work)?.faults;
    if work.pam {
        plan.changes = stacks(&stage)?;
    }
    plan.changes.extend(drop_in.into_iter().chain(switch).filter(|change| change.old != change.new));
    plan.notes.extend(own_calls());
    if plan.is_renewal() {
        plan.let_renew();
    }
    Ok(plan)
}

/// None where somebody else writes the file (authselect has a link to its own) and has put the word there.
fn planned_switch(notes: &mut Vec<String>) -> Result<Option<Change>, Trouble> {
    let path = Path::new(nsswitch::PATH);
    let old = match Content::read(path) {
        Err(_) if fs::read(path).is_ok_and(|bytes| nsswitch::is_on(&bytes)) => return Ok(None),
        other => other?,
    };
    let edited = nsswitch::with_svcauth(old.as_ref().map(|content| content.bytes.as_slice()))?;
    notes.extend(edited.notes);
    let new = match &old {
        Some(old) => old.with(edited.bytes),
        None => Content::fresh(edited.bytes),
    };
    Ok(Some(Change { path: path.to_owned(), part: Part::Nsswitch, old, new: Some(new) }))
}

/// Whether there is something that managed accounts could be let in by.
fn is_ready() -> Result<(), Trouble> {
    Loaded::read().map_err(|error| {
        let next = if error.is_missing() { "" } else { "; correct it and run: svcauthd --check" };
        Trouble::new(format!("{error}{next}"))
    })?;
    let access =
        open_access().map_err(|error| Trouble::new(format!("{}: {error}", paths::ACCESS_SNAPSHOT)))?;
    let accounts =
        open_accounts().map_err(|error| Trouble::new(format!("{}: {error}", paths::ACCOUNTS_SNAPSHOT)))?;
    let max_stale = access.policy().map(|policy| policy.max_stale).unwrap_or(0);
    match confirmed::age(accounts.header(), &Clock::now()).0 {
        Some(age) if age < max_stale => Ok(()),
        _ => Err(Trouble::new(
            "the snapshot is too old, so every login to a managed account would be refused; `svcauth status` says why \
             the directory does not confirm it",
        )),
    }
}

/// Whether pam-auth-update has to write; without it, how the stacks come to be right.
fn needs_stacks() -> Result<bool, Trouble> {
    if pam::is_on(|stack| fs::read_to_string(pam::stack_path(stack)).ok()) {
        return Ok(false);
    }
    if Path::new(pam::PROGRAM).exists() {
        return match Path::new(pam::PROFILE).exists() {
            true => Ok(true),
            false => Err(Trouble::new(format!(
                "{}: there is no such file; install the package libpam-svcauth",
                pam::PROFILE
            ))),
        };
    }
    let calls = |file: &str| {
        let text = fs::read_to_string(Path::new(pam::FOLDER).join(file)).unwrap_or_default();
        text.lines().any(pam::calls_module)
    };
    if calls("system-auth") && calls("password-auth") {
        return Ok(false);
    }
    Err(Trouble::new(
        "no stack of PAM calls svcauth yet, and here authselect(8) writes them, and nsswitch.conf with them. Run: authselect \
         select svcauth with-svcauth, or take the lines marked with-svcauth of /usr/share/authselect/vendor/svcauth into your own \
         profile; then run this command again",
    ))
}

fn planned_drop_in() -> Result<Option<Change>, Trouble> {
    if !sshd::is_there() {
        return Ok(None);
    }
    let path = Path::new(sshd::DROP_IN);
    let old = Content::read(path)?;
    let now = with_run_folder(sshd::settings)?;
    sshd::no_other_command(&now)?;
    if !Path::new(sshd::FOLDER).is_dir() {
        return Err(Trouble::new(format!(
            "{}: there is no such folder; make it (mkdir -m 755 {}), put this as the first line into \
             /etc/ssh/sshd_config and run the command again: Include {}/*.conf",
            sshd::FOLDER,
            sshd::FOLDER,
            sshd::FOLDER
        )));
    }
    // What an administrator has made of it stays, as long as sshd obeys it.
    let kept = old.clone().unwrap_or_else(|| Content::fresh(sshd::TEXT.as_bytes().to_vec()));
    let blocks = limits::blocks(&limited()?, Global::read(&now));
    let new = kept.with(limits::renewed(&kept.bytes, &blocks));
    fits(&new)?;
    Ok(Some(Change { path: path.to_owned(), part: Part::Sshd, old, new: Some(new) }))
}

/// The accounts that the access rules limit on this host.
fn limited() -> Result<Vec<Limited>, Trouble> {
    Site::read().limited().ok_or_else(|| {
        Trouble::new("which accounts the access rules limit cannot be read; `svcauth status` says why")
    })
}

fn fits(drop_in: &Content) -> Result<(), Trouble> {
    if drop_in.bytes.len() <= DROP_IN_MAX {
        return Ok(());
    }
    Err(Trouble::new(format!(
        "{}: limits are written for each account by name, and there are too many of them; let the rules with limits in {} \
         cover fewer accounts",
        sshd::DROP_IN,
        paths::CONFIG
    )))
}

/// What pam-auth-update has made of the copies, as changes: each stack, and then what it remembers of it.
fn stacks(stage: &Stage) -> Result<Vec<Change>, Trouble> {
    let memory = |name: &str| Path::new(pam::MEMORY).join(name);
    let pairs = pam::STACKS.iter().flat_map(|stack| [pam::stack_path(stack), memory(stack)]);
    let mut changes = Vec::new();
    for path in pairs.chain([memory("seen")]) {
        let (old, copy) = (Content::read(&path)?, Content::read(&stage.at(&path))?);
        let new = match (copy, &old) {
            (Some(copy), Some(old)) => Some(old.with(copy.bytes)),
            // What the copy has besides comes from where it lies.
            (Some(copy), None) => Some(Content { attributes: None, ..copy }),
            (None, _) => None,
        };
        if new != old {
            changes.push(Change { path, part: Part::Pam, old, new });
        }
    }
    Ok(changes)
}

/// What keeps svcauth on after `disable`, because somebody else writes it.
#[must_use]
pub fn left_to_others() -> Option<String> {
    let is_link = fs::symlink_metadata(nsswitch::PATH).is_ok_and(|meta| meta.is_symlink());
    let names_us = fs::read(nsswitch::PATH).is_ok_and(|bytes| nsswitch::is_on(&bytes));
    let to = fs::read_link(nsswitch::PATH).unwrap_or_default();
    (is_link && names_us).then(|| {
        format!(
            "{} is a link to {}, which still names svcauth: with authselect(8), run: authselect disable-feature with-svcauth",
            nsswitch::PATH,
            to.display()
        )
    })
}

/// Lines of the services themselves that call the module, as the manual shows them for hosts without the common stacks.
#[must_use]
pub fn own_calls() -> Vec<String> {
    let Ok(entries) = fs::read_dir(pam::FOLDER) else { return Vec::new() };
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    let is_common = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("common-")
            || name.starts_with('.')
            || name.starts_with("system-auth")
            || name.starts_with("password-auth")
    };
    let mut found = Vec::new();
    for path in files.iter().filter(|path| !is_common(path)) {
        let text = fs::read(path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines = text.lines().enumerate().filter(|(_, line)| pam::calls_module(line));
        found.extend(lines.map(|(at, _)| {
            format!(
                "{}:{}: this line calls pam_svcauth.so besides the common stacks; take it out, or each login is decided \
                 and recorded twice",
                path.display(),
                at + 1
            )
        }));
    }
    found
}
