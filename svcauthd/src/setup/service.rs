//! Starts the daemon with what was written, and waits for its first generation.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::cli::client::{NoAnswer, ask};
use crate::control::{Reply, Request};

/// How long the daemon may take to listen.
const LISTENS: Duration = Duration::from_secs(20);
/// How long a first generation may take.
const PUBLISHES: Duration = Duration::from_secs(600);

/// What became of the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Started {
    /// It runs with the new configuration, and published this generation.
    Published(u64),
    /// Nothing starts services here, and nobody has started it.
    Nobody,
    /// It does not run, or publishes nothing; why, and the next step.
    Failed(String),
}

/// Starts it, or has it begin anew.
#[must_use]
pub(super) fn start() -> Started {
    if Path::new("/run/systemd/system").is_dir() {
        for words in [["enable", "--quiet", "svcauthd.service"].as_slice(), &["restart", "svcauthd.service"]]
        {
            if let Err(why) = systemctl(words) {
                return Started::Failed(why);
            }
        }
    } else if is_silent() {
        return Started::Nobody;
    } else if let Err(why) = reload() {
        return Started::Failed(why);
    }
    published()
}

/// Starts it if it does not run; what it has been told before is what it knows.
#[must_use]
pub(super) fn ensure() -> Started {
    if is_silent() { start() } else { published() }
}

fn systemctl(words: &[&str]) -> Result<(), String> {
    let said = |why: &str| {
        format!("systemctl {}: {why}; what the daemon says: journalctl -u svcauthd -n 20", words.join(" "))
    };
    let done = Command::new("systemctl").args(words).stdin(Stdio::null()).output();
    let done = done.map_err(|error| said(&error.to_string()))?;
    let why = String::from_utf8_lossy(&done.stderr);
    if done.status.success() { Ok(()) } else { Err(said(why.trim())) }
}

fn is_silent() -> bool {
    matches!(ask(&Request::Status {}, Some(Duration::from_secs(5))), Err(NoAnswer::NotRunning))
}

/// A daemon that somebody has started in another way reads its configuration again at SIGHUP.
fn reload() -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| {
        format!("the running svcauthd cannot be told to read its configuration again: {error}; restart it")
    };
    let pid = crate::cli::client::daemon_pid().map_err(|error| failed(&error))?;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGHUP)
        .map_err(|error| failed(&error))?;
    // It reads it in a thread that a question on the socket could overtake.
    std::thread::sleep(Duration::from_secs(1));
    Ok(())
}

/// Waits until the daemon has published what the directory says now.
fn published() -> Started {
    // What the administrator has just seen and confirmed may be less than half of what another configuration gave.
    let request = Request::Sync { accept_shrink: true, whole: true, progress: false };
    let deadline = Instant::now() + LISTENS;
    loop {
        match ask(&request, Some(PUBLISHES)) {
            Ok(Reply::Synced { generation }) => return Started::Published(generation),
            Ok(Reply::Failed { reason }) => return Started::Failed(reason),
            Ok(_) => return Started::Failed("svcauthd gave an answer to another question".to_owned()),
            Err(NoAnswer::NotRunning) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(200));
            }
            Err(NoAnswer::NotRunning) => {
                return Started::Failed(
                    "svcauthd does not listen; why: journalctl -u svcauthd -n 20".to_owned(),
                );
            }
            Err(NoAnswer::Failed(error)) => return Started::Failed(format!("svcauthd: {error}")),
        }
    }
}
