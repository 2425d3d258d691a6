//! Being the parent of a command: what is sent to us is for the command, and its end is ours.

use nix::libc;
use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};
use nix::unistd::{Pid, getpid};
use svcauth_core::command::protocol::Told;

use crate::process_sys::{self, Change};

/// The signals that were blocked, one by one.
pub(crate) fn signals(blocked: &SigSet) -> nix::Result<SignalFd> {
    SignalFd::with_flags(blocked, SfdFlags::SFD_CLOEXEC)
}

/// Waits until the command has ended.
pub(crate) fn wait(child: Pid, signals: &SignalFd) -> Told {
    loop {
        if let Ok(Some(signal)) = signals.read_signal() {
            if let Some(end) = take(child, &signal) {
                return end;
            }
        }
    }
}

/// Does what one signal asks for; gives the end of the command.
fn take(child: Pid, signal: &siginfo) -> Option<Told> {
    let number = i32::try_from(signal.ssi_signo).unwrap_or_default();
    if number != libc::SIGCHLD {
        if is_for_child(child, number, signal) {
            process_sys::send(child, number);
        }
        return None;
    }
    match process_sys::look(child) {
        Change::None => None,
        Change::Exited(status) => Some(Told::Exited(status)),
        Change::Killed(signal) => Some(Told::Killed(signal)),
        Change::Stopped => {
            stop_too(child);
            None
        }
    }
}

/// What the kernel sends to the terminal's group reaches the command without us, and so does what the command, or a process that
/// it has started, sends to all of its group (`kill 0`). A lost terminal is told to the first process of the session alone: that
/// is us.
fn is_for_child(child: Pid, number: i32, signal: &siginfo) -> bool {
    if matches!(number, libc::SIGHUP | libc::SIGCONT) {
        return true;
    }
    signal.ssi_code <= 0 && !is_from(child, signal.ssi_pid)
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
fn stop_too(child: Pid) {
    if !process_sys::goes_on(child) {
        process_sys::send(getpid(), libc::SIGSTOP);
        process_sys::send(child, libc::SIGCONT);
    }
}
