//! An activation on trial: it is undone at its deadline unless a new login has confirmed it, and at the next boot in any
//! case.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::SigSet;
use nix::unistd::setsid;
use svcauth_host::clock::Clock;
use svcauth_host::sessions::Process;

use super::apply::{Host, PutBack, undo};
use super::journal::{Journal, Pending, pending_in};
use super::{SYSTEMCTL, Trouble, login, sshd};

/// The unit that undoes what is pending.
pub const UNIT: &str = "svcauth-rollback.service";
/// How often the one who waits looks.
const PAUSE: Duration = Duration::from_millis(500);
/// How long it waits after a failure before it tries again.
const AGAIN: Duration = Duration::from_secs(5);
/// Programs that have asked for a name reach PAM within this.
const ON_THE_WAY: Duration = Duration::from_secs(1);

/// The host that this runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThisHost {
    /// Changes are applied and kept.
    Unwatched,
    /// Changes are applied on trial.
    OnTrial,
}

impl Host for ThisHost {
    fn begun(&self) -> Result<(), Trouble> {
        match self {
            Self::Unwatched => Ok(()),
            Self::OnTrial => start_waiting(),
        }
    }

    fn reload_sshd(&self) -> Result<(), Trouble> {
        sshd::reload()
    }

    fn forget_names(&self) {
        for database in ["passwd", "group"] {
            // Where no nscd runs, it says so and fails.
            let _ = Command::new("/usr/sbin/nscd")
                .args(["--invalidate", database])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
        }
        std::thread::sleep(ON_THE_WAY);
    }
}

/// What is about to be applied by this process, not yet on trial.
///
/// # Errors
/// /proc is not mounted.
pub fn beginning() -> Result<Pending, Trouble> {
    let no_proc =
        || Trouble::new("/proc is not mounted, so nobody can tell one boot or process from another");
    let own = Process::current().ok_or_else(no_proc)?;
    let boot_id = Clock::now().boot_id.ok_or_else(no_proc)?;
    Ok(Pending {
        boot_id,
        pid: own.pid,
        started: own.start,
        activated: None,
        deadline: None,
        last_session: None,
    })
}

/// The changes stand: from now on a new login can confirm them.
#[must_use]
pub fn on_trial(pending: &Pending, time: Duration) -> Pending {
    let now = Clock::now().boottime;
    Pending {
        // A login within the same second may be from before.
        activated: Some(now + 1),
        deadline: Some(now.saturating_add(time.as_secs())),
        last_session: login::last_session(),
        ..pending.clone()
    }
}

/// What is to be done about changes that are pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// They are being made, or their time is not over.
    Wait,
    /// They are undone.
    Undo,
}

/// What is to be done now.
#[must_use]
pub fn next(pending: &Pending, now: &Clock) -> Next {
    if now.boot_id.as_ref() != Some(&pending.boot_id) {
        return Next::Undo;
    }
    match (pending.activated, pending.deadline) {
        (Some(_), Some(deadline)) if now.boottime < deadline => Next::Wait,
        (None, _) if pending.is_being_applied() => Next::Wait,
        _ => Next::Undo,
    }
}

/// Seconds that are left of the trial.
#[must_use]
pub fn seconds_left(pending: &Pending) -> Option<u64> {
    let now = Clock::now();
    let deadline = pending.deadline.filter(|_| now.boot_id.as_ref() == Some(&pending.boot_id))?;
    Some(deadline.saturating_sub(now.boottime))
}

/// Starts the one who waits: the unit where systemd runs, else a process of its own that outlives the caller's terminal.
///
/// # Errors
/// It cannot be started; then nothing may be changed.
pub fn start_waiting() -> Result<(), Trouble> {
    if Path::new("/run/systemd/system").exists() {
        let ended = Command::new(SYSTEMCTL).args(["restart", UNIT]).output();
        return match ended {
            Ok(ended) if ended.status.success() => Ok(()),
            Ok(ended) => Err(Trouble::new(format!(
                "systemctl restart {UNIT}: {}",
                String::from_utf8_lossy(&ended.stderr).trim().replace('\n', "; ")
            ))),
            Err(error) => Err(Trouble::new(format!("systemctl restart {UNIT}: {error}"))),
        };
    }
    let null = Stdio::null;
    let started = Command::new("/proc/self/exe")
        .arg0("svcauth")
        .args(["rollback", "--detach"])
        .current_dir("/")
        .stdin(null())
        .stdout(null())
        .stderr(null())
        .spawn();
    started.map(drop).map_err(|error| Trouble::new(format!("svcauth cannot start itself: {error}")))
}

/// Leaves the caller's session, so that neither its end nor a key of its terminal ends this process.
pub fn detach() {
    // It is the leader of a session already, or it becomes one.
    let _ = setsid();
    let _ = SigSet::all().thread_unblock();
}

/// Waits for the end of the trial and undoes it, and tries again for as long as that fails. `ready` is called once, when others
/// may log in: at boot, after what was pending is undone, or could not be: nobody waits for a disk that takes nothing.
pub fn watch(folder: &Path, host: &dyn Host, ready: &dyn Fn(), say: &dyn Fn(&str)) {
    let (mut is_told, mut last) = (false, None);
    let mut tell = || {
        if !std::mem::replace(&mut is_told, true) {
            ready();
        }
    };
    loop {
        match step(folder, host) {
            Ok(Some(Next::Wait)) => {
                tell();
                std::thread::sleep(PAUSE);
            }
            Ok(Some(Next::Undo)) => say("the activation was not confirmed; everything is as it was before"),
            Ok(None) => {
                tell();
                return;
            }
            Err(why) => {
                // A disk that takes nothing says so for ever, and is reported once.
                if last.as_ref() != Some(&why) {
                    say(&format!("the activation is not undone yet: {why}"));
                }
                last = Some(why);
                tell();
                std::thread::sleep(AGAIN);
            }
        }
    }
}

fn step(folder: &Path, host: &dyn Host) -> Result<Option<Next>, Trouble> {
    let Some(pending) = pending_in(folder)? else { return Ok(None) };
    if next(&pending, &Clock::now()) == Next::Wait {
        return Ok(Some(Next::Wait));
    }
    undo_if_due(folder, host).map(|done| Some(done.map_or(Next::Wait, |_| Next::Undo)))
}

/// Undoes what is pending and due. `None` if nothing is.
///
/// # Errors
/// A file could not be put back, or somebody else is at work.
pub fn undo_if_due(folder: &Path, host: &dyn Host) -> Result<Option<Vec<PutBack>>, Trouble> {
    let journal = Journal::open(folder)?;
    // Looked at again, now that nobody else can change it.
    match journal.pending()? {
        Some(pending) if next(&pending, &Clock::now()) == Next::Undo => undo(&journal, host).map(Some),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock, Next, Pending, Process, next};

    fn clock(boot_id: &str, boottime: u64) -> Clock {
        Clock { wall: 0, boottime, boot_id: Some(boot_id.to_owned()) }
    }

    #[test]
    fn a_trial_lasts_until_its_deadline_and_never_over_a_boot() {
        let own = Process::current().unwrap();
        let applying = Pending {
            boot_id: "b".to_owned(),
            pid: own.pid,
            started: own.start,
            activated: None,
            deadline: None,
            last_session: None,
        };
        let trial = Pending { activated: Some(10), deadline: Some(70), ..applying.clone() };
        let dead = Pending { started: 1, ..applying.clone() };
        for (pending, now, expected) in [
            (&applying, clock("b", 5), Next::Wait),
            (&dead, clock("b", 5), Next::Undo),
            (&trial, clock("b", 69), Next::Wait),
            (&trial, clock("b", 70), Next::Undo),
            (&trial, clock("c", 20), Next::Undo),
            (&applying, clock("c", 5), Next::Undo),
            (&Pending { activated: Some(10), ..applying.clone() }, clock("b", 20), Next::Undo),
        ] {
            assert_eq!(next(pending, &now), expected, "{pending:?} {now:?}");
        }
    }
}
