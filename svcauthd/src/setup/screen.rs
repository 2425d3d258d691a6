//! The findings on one screen.

use std::io;

use super::rehearsal::{Access, Findings};
use super::talk::Talk;
use crate::directory::look::Step;

/// Most names or lines of one sort.
const SHOWN: usize = 10;

/// Tells how a step went.
///
/// # Errors
/// As [`Talk::say`].
pub(super) fn step(step: &Step, talk: &mut dyn Talk) -> io::Result<()> {
    let mark = if step.ok { "ok    " } else { "FAILED" };
    talk.say(&format!("  {mark}  {:<11} {}", step.what, step.said))
}

/// Tells what was found, and who may become whom.
///
/// # Errors
/// As [`Talk::say`].
pub(super) fn findings(found: &Findings, talk: &mut dyn Talk) -> io::Result<()> {
    talk.say("")?;
    talk.say(&format!("Found at {}:", found.server))?;
    let accounts = found.accounts.iter().map(|account| format!("{} (uid {})", account.name, account.uid));
    talk.say(&format!("  accounts  {:>5}  {}", found.accounts.len(), names(accounts)))?;
    let groups = found.groups.iter().map(|group| match group.gid {
        Some(gid) => format!("{} (gid {gid})", group.name),
        None => group.name.clone(),
    });
    talk.say(&format!("  groups    {:>5}  {}", found.groups.len(), names(groups)))?;
    let keys = format!(
        "{} with a public key, {} with a Kerberos name",
        found.people_with_keys, found.people_with_principals
    );
    talk.say(&format!("  people    {:>5}  {keys}", found.people))?;
    talk.say(&format!(
        "  dropped   {:>5}{}",
        found.dropped.len(),
        if found.dropped.is_empty() { "" } else { ":" }
    ))?;
    for refusal in found.dropped.iter().take(SHOWN) {
        talk.say(&format!("    {}: {}: {}", refusal.dn, refusal.what, refusal.why))?;
    }
    more(found.dropped.len(), talk)
}

/// Tells who may become whom.
///
/// # Errors
/// As [`Talk::say`].
pub(super) fn access(found: &Findings, talk: &mut dyn Talk) -> io::Result<()> {
    talk.say("")?;
    talk.say("Who may become which account by this rule:")?;
    for Access { person, account, roles, services, has_proof } in found.access.iter().take(SHOWN) {
        let key = if *has_proof { "" } else { "; no key" };
        let how = format!("member of {}, through {}{key}", roles.join(", "), services.join(", "));
        talk.say(&format!("  {person} -> {account}  ({how})"))?;
    }
    more(found.access.len(), talk)?;
    let mut who: Vec<&str> = found.access.iter().map(|access| access.person.as_str()).collect();
    who.sort_unstable();
    who.dedup();
    let others = found.people.saturating_sub(who.len());
    match (who.len(), others) {
        (0, _) => talk.say("  nobody: no person is in a group that the rule names"),
        (_, 0) => talk.say("  That is EVERYBODY whom the directory knows. Is the rule meant like that?"),
        (_, others) => {
            talk.say(&format!("  Nobody else: {others} of {} people may become no account.", found.people))
        }
    }
}

fn names(all: impl ExactSizeIterator<Item = String>) -> String {
    let rest = all.len().saturating_sub(SHOWN);
    let mut shown = all.take(SHOWN).collect::<Vec<_>>().join(", ");
    if rest > 0 {
        shown += &format!(", and {rest} more");
    }
    shown
}

fn more(count: usize, talk: &mut dyn Talk) -> io::Result<()> {
    match count.saturating_sub(SHOWN) {
        0 => Ok(()),
        rest => talk.say(&format!("  ... and {rest} more")),
    }
}
