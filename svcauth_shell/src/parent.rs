//! Being the parent of a command: what is sent to us is for the command, and its end is ours.

use nix::libc;
use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};
use nix::unistd::{Pid, getpgid, getpgrp, getpid};
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

/// What the kernel sends to the terminal's group reaches the command without us, and so does what somebody of our own process
/// group sends to all of it. A lost terminal is told to the first process of the session alone: that is us.
fn is_for_child(child: Pid, number: i32, signal: &siginfo) -> bool {
    if matches!(number, libc::SIGHUP | libc::SIGCONT) {
        return true;
    }
    let sender = i32::try_from(signal.ssi_pid).map(Pid::from_raw).unwrap_or(child);
    signal.ssi_code <= 0
        && sender != child
        && (sender.as_raw() == 0 || getpgid(Some(sender)) != Ok(getpgrp()))
}

/// Whoever waits for us sees the command stopped, as it would without us. Unless all of the group were stopped, we with them,
/// and have gone on since.
fn stop_too(child: Pid) {
    if !process_sys::goes_on(child) {
        process_sys::send(getpid(), libc::SIGSTOP);
        process_sys::send(child, libc::SIGCONT);
    }
}
