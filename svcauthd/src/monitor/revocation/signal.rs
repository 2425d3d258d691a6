//! Signals to the very process that was seen, and to no later one with its pid.

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};
use svcauth_host::sessions::Process;

/// Sends the signals in turn. That the process has ended meanwhile is as good.
///
/// The descriptor of pidfd_open(2) is the process: once its start has been compared, no signal can reach another one. Where
/// there are no such descriptors (Linux before 5.3, or a sandbox that does not know the call), it is compared immediately
/// before each signal: the kernel gives pids out in turn, so all others would have to be used in between.
pub(super) fn send(process: Process, signals: &[Signal]) {
    let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) else { return };
    let Ok(descriptor) = pidfd_open(pid, PidfdFlags::empty()) else {
        return by_pid(process, pid, signals);
    };
    if !process.is_alive() {
        return;
    }
    for signal in signals {
        if matches!(pidfd_send_signal(&descriptor, *signal), Err(Errno::NOSYS | Errno::PERM)) {
            return by_pid(process, pid, signals);
        }
    }
}

fn by_pid(process: Process, pid: Pid, signals: &[Signal]) {
    for signal in signals {
        if process.is_alive() {
            let _ = kill_process(pid, *signal);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{Child, Command};

    use super::{Pid, Process, Signal, by_pid, send};

    fn sleeper() -> (Child, Process) {
        let child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::by_pid(child.id()).unwrap();
        (child, process)
    }

    fn ended_by(mut child: Child) -> Option<i32> {
        child.wait().unwrap().signal()
    }

    #[test]
    fn a_signal_reaches_the_process_that_was_seen_and_no_later_one_with_its_pid() {
        let ways: [fn(Process, &[Signal]); 2] = [send, |process, signals| {
            by_pid(process, Pid::from_raw(process.pid.try_into().unwrap()).unwrap(), signals);
        }];
        for send in ways {
            let (mut child, process) = sleeper();
            send(Process { start: process.start + 1, ..process }, &[Signal::KILL]);
            std::thread::sleep(std::time::Duration::from_millis(50));
            assert!(child.try_wait().unwrap().is_none(), "another process was killed in its place");
            send(process, &[Signal::STOP, Signal::TERM, Signal::CONT]);
            assert_eq!(ended_by(child), Some(15));
            // Nobody is there any more.
            send(process, &[Signal::KILL]);
        }
    }
}
