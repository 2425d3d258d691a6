//! Starting up, in the order in which things may fail: lock, configuration, user, directories, socket, then work.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::mpsc::{Sender, channel};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{Gid, Uid};
use sd_notify::NotifyState;
use svcauth_host::paths;

use super::alarms::Alarms;
use super::board::Board;
use super::log::{Level, Log};
use super::publisher::Publisher;
use super::server::Server;
use super::supervisor::Supervisor;
use super::{Event, Monitor};
use crate::config_file::{ConfigFileError, Loaded};
use crate::local_names::LocalNames;
use crate::state_dir::StateDir;

/// The directory of the socket and the lock.
const RUN_DIR: &str = "/run/svcauth";

/// Why the daemon does not start.
#[derive(Debug)]
pub enum StartError {
    /// It must be root to publish.
    NotRoot,
    /// Another one is running.
    Running,
    /// The configuration is missing or faulty.
    Config(ConfigFileError),
    /// The user that the worker runs as does not exist.
    NoUser,
    /// The operating system refused something.
    System(&'static str, io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRoot => f.write_str("svcauthd must be started by root; run: systemctl start svcauthd"),
            Self::Running => f.write_str("another svcauthd is running (it holds /run/svcauth/svcauthd.lock)"),
            Self::Config(error) => write!(f, "{error}"),
            Self::NoUser => write!(
                f,
                "there is no user {0} in /etc/passwd for the worker to run as; run: useradd --system --no-create-home {0}",
                paths::USER
            ),
            Self::System(what, error) => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// Runs the daemon until a signal ends it.
///
/// # Errors
/// [`StartError`]; once it is up, it stays up.
pub fn run() -> Result<(), StartError> {
    if !Uid::effective().is_root() {
        return Err(StartError::NotRoot);
    }
    let loaded = Loaded::read().map_err(StartError::Config)?;
    let local =
        LocalNames::read().map_err(|error| StartError::System("/etc/passwd and /etc/group", error))?;
    let user =
        local.ids_of(paths::USER).filter(|ids| ids.uid != 0 && ids.gid != 0).ok_or(StartError::NoUser)?;
    std::fs::create_dir_all(RUN_DIR).map_err(|error| StartError::System(RUN_DIR, error))?;
    let _lock = lock()?;
    let dir = StateDir::open(Path::new(paths::STATE_DIR))
        .map_err(|error| StartError::System(paths::STATE_DIR, error))?;
    let signals = signals_of_interest();
    signals.thread_block().map_err(|error| StartError::System("signals", error.into()))?;
    let (events, inbox) = channel();
    let board = Board::default();
    board.configured(&loaded.config);
    let listener =
        Server::bind(Path::new(paths::SOCKET)).map_err(|error| StartError::System(paths::SOCKET, error))?;
    let server = Server { board: board.clone(), events: events.clone() };
    std::thread::spawn(move || server.run(&listener));
    std::thread::spawn(move || handle_signals(&signals, &events));
    let publisher = Publisher::new(dir, Gid::from_raw(user.gid));
    publisher.configured(&loaded);
    let log = Log::new();
    log.say(Level::Info, "started");
    // Logins never wait for the daemon, so neither may the boot: ready means that the socket answers.
    let _ = sd_notify::notify(false, &[NotifyState::Ready]);
    let supervisor = Supervisor::new(user);
    let mut monitor =
        Monitor { loaded, supervisor, publisher, alarms: Alarms::default(), board, log, seen: None };
    monitor.serve(&inbox);
    Ok(())
}

/// Holds off a second daemon, also after this one was killed: the kernel lets go of the lock.
fn lock() -> Result<Flock<File>, StartError> {
    let path = Path::new(RUN_DIR).join("svcauthd.lock");
    let opened = OpenOptions::new().write(true).create(true).truncate(false).open(path);
    let file = opened.map_err(|error| StartError::System("/run/svcauth/svcauthd.lock", error))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| StartError::Running)
}

fn signals_of_interest() -> SigSet {
    [Signal::SIGHUP, Signal::SIGTERM, Signal::SIGINT].into_iter().collect()
}

/// SIGHUP reads the configuration again. SIGTERM and SIGINT end the process at once: a file is published by one rename,
/// and the worker dies with us, so there is nothing to wind up.
fn handle_signals(signals: &SigSet, events: &Sender<Event>) {
    while let Ok(signal) = signals.wait() {
        if signal == Signal::SIGHUP {
            if events.send(Event::Reload).is_err() {
                return;
            }
            continue;
        }
        let _ = sd_notify::notify(false, &[NotifyState::Stopping]);
        let _ = std::fs::remove_file(paths::SOCKET);
        std::process::exit(0);
    }
}
