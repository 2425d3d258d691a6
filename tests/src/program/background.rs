//! A program that goes on while the test does something else.

use std::path::Path;
use std::process::Child;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{exit_code, wait_for, wait_until};
use crate::failure::{Context, Failure, Outcome};

/// How long the end that a signal asks for may take, and a standstill.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct Background {
    child: Child,
    line: String,
}

impl Background {
    pub(super) fn new(child: Child, line: String) -> Self {
        Self { child, line }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The exit status when it has ended by itself.
    pub fn ended(&mut self) -> Option<i32> {
        self.child.try_wait().ok().flatten().map(exit_code)
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Outcome {
        kill(as_pid(self.pid()), signal).doing(format!("send {signal} to {}", self.line))
    }

    /// Stops it in the middle of whatever it does, and waits until each of its threads stands still. SIGCONT lets it go on.
    pub fn freeze(&self) -> Outcome {
        self.signal(Signal::SIGSTOP)?;
        wait_until(&format!("{} to stand still", self.line), PATIENCE, || {
            let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid())).ok()?;
            tasks.flatten().all(|task| is_stopped(&task.path().join("stat"))).then_some(())
        })
    }

    /// Sends `signal` and waits for the end; SIGKILL follows when it takes too long.
    pub fn stop(mut self, signal: Signal) -> Outcome<i32> {
        self.signal(signal)?;
        let status = wait_for(&mut self.child, PATIENCE);
        status.map(exit_code).ok_or_else(|| Failure::new(format!("{} did not end on {signal}", self.line)))
    }

    /// Waits for its end.
    pub fn wait(mut self, patience: Duration) -> Outcome<i32> {
        let status = wait_for(&mut self.child, patience);
        status.map(exit_code).ok_or_else(|| Failure::new(format!("{} runs on after {patience:?}", self.line)))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // An error means that it has ended, which is what we want.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The state is the letter behind the name, which is in parentheses and may hold some itself (proc(5)).
fn is_stopped(stat: &Path) -> bool {
    let text = std::fs::read_to_string(stat).unwrap_or_default();
    text.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}

/// A process id as nix wants it. Linux pids end at 2^22, so the fallback is never taken.
pub fn as_pid(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).unwrap_or(i32::MAX))
}
