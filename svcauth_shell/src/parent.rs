//! Being the parent of a command: what is sent to us is for the command, and its end is ours.

use std::os::fd::AsFd as _;

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};
use nix::unistd::{Pid, getpid, getppid};
use svcauth_core::command::protocol::Told;

use crate::link::Link;
use crate::process_sys::{self, Change};

/// The signals that were blocked, one by one.
pub(crate) fn signals(blocked: &SigSet) -> nix::Result<SignalFd> {
    SignalFd::with_flags(blocked, SfdFlags::SFD_CLOEXEC)
}

/// Waits until the command has ended.
pub(crate) fn wait(child: Pid, signals: &SignalFd, link: &mut Link) -> Told {
    loop {
        let (signalled, cut) = poll_both(signals, link);
        if cut {
            link.cut();
        }
        // Whoever asks later how it ended will know more by it; nothing depends on it.
        let _ = link.resume();
        if !signalled {
            continue;
        }
        if let Ok(Some(signal)) = signals.read_signal() {
            if let Some(end) = take(child, &signal) {
                return end;
            }
        }
    }
}

/// Whether there is a signal, and whether the daemon has hung up.
fn poll_both(signals: &SignalFd, link: &Link) -> (bool, bool) {
    let timeout =
        link.pause().and_then(|pause| PollTimeout::try_from(pause).ok()).unwrap_or(PollTimeout::NONE);
    let mut waiting = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
    waiting.extend(link.watched().map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
    if poll(&mut waiting, timeout).is_err() {
        return (false, false);
    }
    let ready = |index: usize| waiting.get(index).is_some_and(|fd| fd.any().unwrap_or_default());
    (ready(0), ready(1))
}

/// Does what one signal asks for; gives the end of the command.
pub(crate) fn take(child: Pid, signal: &siginfo) -> Option<Told> {
    let number = i32::try_from(signal.ssi_signo).unwrap_or_default();
    if number != libc::SIGCHLD {
        if is_for_child(child, number, signal) {
            process_sys::send(child, number);
        }
        return None;
    }
    let change = process_sys::look(child);
    if change == Change::Stopped {
        stop_too(child);
    }
    end(change)
}

/// The end, if it is one.
pub(crate) fn end(change: Change) -> Option<Told> {
    match change {
        Change::Exited(status) => Some(Told::Exited(status)),
        Change::Killed(signal) => Some(Told::Killed(signal)),
        Change::None | Change::Stopped => None,
    }
}

/// What the kernel sends to the terminal's group reaches the command without us, and so does what the command, or a process that
/// it has started, sends to all of its group (`kill 0`). A lost terminal is told to the first process of the session alone: that
/// is us. What a client of sshd sends, sshd sends to all of the group as well (RFC 4254, 6.9; killpg(3)).
fn is_for_child(child: Pid, number: i32, signal: &siginfo) -> bool {
    if signal.ssi_code <= 0 && is_sshd_above(signal.ssi_pid) {
        return false;
    }
    if matches!(number, libc::SIGHUP | libc::SIGCONT) {
        return true;
    }
    signal.ssi_code <= 0 && !is_from(child, signal.ssi_pid)
}

/// Whether a process is our parent, and is called as sshd's are (sshd, sshd-session).
fn is_sshd_above(process: u32) -> bool {
    i32::try_from(process).is_ok_and(|pid| Pid::from_raw(pid) == getppid())
        && std::fs::read(format!("/proc/{process}/comm")).is_ok_and(|name| name.starts_with(b"sshd"))
}

/// Whether a process is the command or comes from it. One that has ended meanwhile is not known to.
fn is_from(child: Pid, process: u32) -> bool {
    let Ok(mut process) = i32::try_from(process).map(Pid::from_raw) else { return false };
    // As deep as nobody nests processes.
    for _ in 0..1024 {
        if process == child || process.as_raw() <= 1 || process == getpid() {
            break;
        }
        process = parent_of(process).unwrap_or(getpid());
    }
    process == child
}

/// The field behind the state; the name before it is in parentheses and may hold some itself (proc(5)).
fn parent_of(process: Pid) -> Option<Pid> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok().map(Pid::from_raw)
}

/// Whoever waits for us sees the command stopped, as it would without us. Unless all of the group were stopped, we with them,
/// and have gone on since.
pub(crate) fn stop_too(child: Pid) {
    if !process_sys::goes_on(child) {
        process_sys::send(getpid(), libc::SIGSTOP);
        process_sys::send(child, libc::SIGCONT);
    }
}
