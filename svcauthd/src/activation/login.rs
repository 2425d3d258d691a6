//! Whether the one who confirms has come in since the activation: a session from before proves nothing about new logins.

use std::collections::HashMap;

use nix::unistd::{SysconfVar, sysconf};
use svcauth_host::sessions::{Place, Processes, Seen, current_audit_session, pids};

use super::Trouble;
use super::journal::Pending;

/// Programs that wait for somebody and then open a session. A job of cron or a service is no login.
const WAITING: &[&[u8]] = &[b"login", b"gdm-session-wor", b"lightdm", b"sddm-helper"];
/// Programs of which each connection has one. sshd is `sshd-session` since OpenSSH 9.8.
const CONNECTED: &[&[u8]] = &[b"sshd", b"sshd-session", b"cockpit-session"];

/// A program that opens sessions for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Login {
    /// It may have begun long before the login, but what it started has not.
    Waiting,
    /// It began with the login.
    Connected,
}

/// A process on the way from the caller up to process 1, nearest first.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    audit_session: Option<u32>,
    /// When it started, in clock ticks since boot.
    start: u64,
    login: Option<Login>,
}

/// The highest audit session that there is now. The kernel counts them upwards, so a later login has a higher one.
#[must_use]
pub fn last_session() -> Option<u32> {
    Processes::look(|session| session.is_some()).iter().filter_map(|seen| seen.audit_session).max()
}

/// Whether the caller is in a login that was opened after the activation.
///
/// # Errors
/// It is not, or nobody can tell; with what to do.
pub fn is_new(pending: &Pending) -> Result<(), Trouble> {
    let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten().and_then(|ticks| u64::try_from(ticks).ok());
    let activated = pending.activated.unwrap_or(u64::MAX).saturating_mul(ticks.unwrap_or(100));
    judge(&ancestry(), current_audit_session(), pending.last_session, activated)
}

fn judge(
    steps: &[Step],
    session: Option<u32>,
    last_session: Option<u32>,
    activated: u64,
) -> Result<(), Trouble> {
    let opened = |step: &Step| step.login.is_some() && step.audit_session == session;
    let Some((at, login)) = steps.iter().position(opened).and_then(|at| Some((at, steps.get(at)?.login?)))
    else {
        return Err(Trouble::new(
            "this is no login by ssh or on a console (of somebody who then became root, for example by sudo), so it does \
             not show that one works. Open a new one and run `svcauth confirm` there, not in tmux or screen",
        ));
    };
    let begun = match login {
        Login::Connected => Some(at),
        Login::Waiting => at.checked_sub(1),
    };
    let started = begun.and_then(|at| steps.get(at)).map_or(0, |step| step.start);
    let is_new = match (session, last_session) {
        (Some(own), Some(last)) => own > last,
        (Some(_), None) => true,
        (None, _) => started > activated,
    };
    if is_new {
        return Ok(());
    }
    Err(Trouble::new(
        "this login is older than the activation, so it does not show that a new one works. Open a new one, leave this \
         one open, and run `svcauth confirm` there",
    ))
}

fn ancestry() -> Vec<Step> {
    let names = Processes::visit(&pids(), |seen, place| (seen, login(place)));
    let logins: HashMap<u32, Login> =
        names.iter().filter_map(|(seen, login)| Some((seen.process.pid, (*login)?))).collect();
    let all: Processes = names.into_iter().map(|(seen, _)| seen).collect();
    let step = |seen: &Seen| Step {
        audit_session: seen.audit_session,
        start: seen.process.start,
        login: logins.get(&seen.process.pid).copied(),
    };
    all.get(std::process::id()).map_or_else(Vec::new, |seen| all.ancestry(seen).map(step).collect())
}

fn login(place: &Place) -> Option<Login> {
    let name = place.name()?;
    let is = |names: &[&[u8]]| names.contains(&name.trim_ascii());
    if is(WAITING) { Some(Login::Waiting) } else { is(CONNECTED).then_some(Login::Connected) }
}

#[cfg(test)]
mod tests {
    use super::{Login, Step, judge};

    const SSHD: Option<Login> = Some(Login::Connected);

    fn step(audit_session: Option<u32>, start: u64, login: Option<Login>) -> Step {
        Step { audit_session, start, login }
    }

    #[test]
    fn a_login_with_a_higher_audit_session_is_new_and_no_other() {
        let chain =
            |own| [step(own, 900, None), step(own, 800, SSHD), step(own, 700, SSHD), step(None, 1, SSHD)];
        assert_eq!(judge(&chain(Some(8)), Some(8), Some(7), 500), Ok(()));
        assert_eq!(judge(&chain(Some(8)), Some(8), None, 500), Ok(()));
        for old in [7, 3] {
            let told = judge(&chain(Some(old)), Some(old), Some(7), 500).unwrap_err();
            assert!(told.to_string().contains("older than"), "{told}");
        }
    }

    #[test]
    fn a_job_a_service_and_a_terminal_multiplexer_are_no_login() {
        let job = [step(Some(9), 900, None), step(Some(9), 800, None), step(None, 1, None)];
        let tmux = [step(Some(3), 900, None), step(Some(3), 800, None), step(None, 1, SSHD)];
        for (steps, session) in [(&job[..], Some(9)), (&tmux[..], Some(3)), (&[][..], None)] {
            let told = judge(steps, session, Some(7), 500).unwrap_err();
            assert!(told.to_string().contains("no login"), "{told}");
        }
    }

    #[test]
    fn without_audit_sessions_it_counts_when_the_connection_or_the_shell_of_the_console_began() {
        let ssh = |start| [step(None, 900, None), step(None, start, SSHD), step(None, 100, SSHD)];
        assert_eq!(judge(&ssh(600), None, None, 500), Ok(()));
        assert!(judge(&ssh(400), None, None, 500).is_err(), "a new shell of an old connection");
        let console =
            |start| [step(None, 900, None), step(None, start, None), step(None, 100, Some(Login::Waiting))];
        assert_eq!(judge(&console(600), None, None, 500), Ok(()));
        assert!(judge(&console(400), None, None, 500).is_err());
    }
}
