//! The daemon in a world.

use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use serde_json::Value;

use crate::failure::{Failure, Outcome};
use crate::program::{Background, Ended, Program, as_pid, wait_until};
use crate::site::{svcauth, svcauth_json};
use crate::world::World;

/// How long a first answer may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Whether a sync has failed because the server did not answer in the time that it has.
pub fn ran_out_of_time(sync: &Ended) -> bool {
    !sync.ok() && sync.stderr.contains(" within ")
}

/// A running svcauthd, in the foreground as a service manager runs it.
#[derive(Debug)]
pub struct Daemon {
    process: Background,
}

impl Daemon {
    /// Starts it and waits until `svcauth status` says that all is well.
    pub fn start(world: &World) -> Outcome<Self> {
        let mut daemon = Self::start_unready(world)?;
        daemon.wait_for_state("ok")?;
        Ok(daemon)
    }

    /// Starts it and waits for nothing.
    pub fn start_unready(world: &World) -> Outcome<Self> {
        let process = Program::new("/usr/sbin/svcauthd").start(world.log_file("svcauthd.out")?)?;
        Ok(Self { process })
    }

    /// Waits until `svcauth status` names this state.
    pub fn wait_for_state(&mut self, state: &str) -> Outcome<Value> {
        let process = &mut self.process;
        let mut last = String::new();
        let found = wait_until(&format!("svcauthd {state}"), PATIENCE, || {
            if let Some(code) = process.ended() {
                return Some(Err(Failure::new(format!("svcauthd ended with status {code}"))));
            }
            let answer = svcauth_json(&["status"]);
            last = answer.as_ref().map_or_else(ToString::to_string, |(_, value)| value.to_string());
            let (_, value) = answer.ok()?;
            (value.get("state")?.as_str()? == state).then_some(Ok(value))
        });
        let output = std::fs::read_to_string("/var/log/svcauthd.out").unwrap_or_default();
        found.and_then(|inner| inner).map_err(|why| Failure::new(format!("{why}\nlast: {last}\n{output}")))
    }

    /// Waits until what the directory says now is published. Where a server has a second or two to answer, a machine that
    /// stands still for so long is asked again.
    pub fn sync(&self) -> Outcome {
        let mut ended = svcauth(&["sync"])?;
        for _ in 0..4 {
            if !ran_out_of_time(&ended) {
                break;
            }
            ended = svcauth(&["sync"])?;
        }
        ended.expect_ok().map(drop)
    }

    /// Lets it read its configuration again and waits until it has.
    pub fn reload(&self, world: &World) -> Outcome {
        let mark = world.log().mark();
        self.signal(Signal::SIGHUP)?;
        world.log().wait_for_line(mark, &["svcauthd", "configuration"])?;
        self.sync()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Whether it has ended, with all of its threads: /proc calls it a zombie when the first one is gone, while others may
    /// still hold its files and locks.
    pub fn has_ended(&self) -> bool {
        let how = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        !matches!(waitid(Id::Pid(as_pid(self.pid())), how), Ok(WaitStatus::StillAlive))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Outcome {
        self.process.signal(signal)
    }

    /// Stops the monitor in the middle of whatever it does.
    pub fn freeze(&self) -> Outcome {
        self.process.freeze()
    }

    /// Ends it as a crash would.
    pub fn kill(self) -> Outcome {
        self.process.stop(Signal::SIGKILL).map(drop)
    }

    /// Ends it as a service manager would.
    pub fn stop(self) -> Outcome<i32> {
        self.process.stop(Signal::SIGTERM)
    }
}
