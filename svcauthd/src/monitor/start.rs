//! Starting up, in the order in which things may fail: lock, configuration, user, directories, socket, then work.

use std::fmt;
use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{Gid, Uid};
use sd_notify::NotifyState;
use svcauth_host::paths;

use super::alarms::Alarms;
use super::board::Board;
use super::commands::Commands;
use super::log::{Level, Log};
use super::metrics::Metrics;
use super::mirror::Mirror;
use super::outages::Outage;
use super::publisher::Publisher;
use super::recorder::Recorder;
use super::revocation::Revocation;
use super::server::Server;
use super::supervisor::Supervisor;
use super::sweep::Sweeper;
use super::{Event, Monitor, malloc_ffi};
use crate::config_file::{ConfigFileError, Loaded};
use crate::local_names::LocalNames;
use crate::state_dir::{StateDir, make_own_dir};

/// How long the last records may take to be written when the daemon is told to stop.
const LAST_RECORDS: Duration = Duration::from_secs(1);
/// Descriptors for 2048 commands at a time, each recorded, and for all the rest.
const DESCRIPTORS: u64 = 8192;
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
    malloc_ffi::return_large_blocks();
    raise_descriptors();
    let loaded = Loaded::read().map_err(StartError::Config)?;
    let local =
        LocalNames::read().map_err(|error| StartError::System("/etc/passwd and /etc/group", error))?;
    let user =
        local.ids_of(paths::USER).filter(|ids| ids.uid != 0 && ids.gid != 0).ok_or(StartError::NoUser)?;
    let run_dir = Path::new(RUN_DIR);
    make_own_dir(run_dir).map_err(|error| StartError::System(RUN_DIR, error))?;
    let _lock = lock(run_dir)?;
    let dir = StateDir::open(Path::new(paths::STATE_DIR))
        .map_err(|error| StartError::System(paths::STATE_DIR, error))?;
    let signals = signals_of_interest();
    signals.thread_block().map_err(|error| StartError::System("signals", error.into()))?;
    let (events, inbox) = channel();
    let board = Board::default();
    board.configured(&loaded.config);
    let listener =
        Server::bind(Path::new(paths::SOCKET)).map_err(|error| StartError::System(paths::SOCKET, error))?;
    let asked = Server::bind(Path::new(paths::COMMAND_SOCKET))
        .map_err(|error| StartError::System(paths::COMMAND_SOCKET, error))?;
    let (server, own) =
        (Server { board: board.clone(), events: events.clone(), keys_uid: user.uid }, events.clone());
    let beside = Beside::start(&loaded, run_dir, &dir, &board)?;
    let last_words = beside.recorder.clone();
    std::thread::spawn(move || server.run(&listener));
    Commands::start(asked, beside.metrics.clone());
    std::thread::spawn(move || handle_signals(&signals, &events, &last_words));
    let publisher = Publisher::new(dir, Gid::from_raw(user.gid));
    Monitor::new(loaded, Supervisor::new(user), publisher, board, own, beside).start(&inbox);
    Ok(())
}

/// What runs beside the monitor's own thread, each in one of its own.
struct Beside {
    recorder: Recorder,
    metrics: Metrics,
    revocation: Revocation,
}

impl Beside {
    fn start(loaded: &Loaded, run_dir: &Path, dir: &StateDir, board: &Board) -> Result<Self, StartError> {
        let run_dir = StateDir::open(run_dir).map_err(|error| StartError::System(RUN_DIR, error))?;
        let metrics = Metrics::start(dir, board);
        let (audit, own) = (loaded.config.audit, run_dir.clone());
        let recorder = Recorder::start(audit, own, dir.clone(), board.clone(), metrics.clone())
            .map_err(|error| StartError::System("the recorder of audit records", error))?;
        let revocation = Revocation::start(&loaded.config, run_dir, metrics.clone());
        Ok(Self { recorder, metrics, revocation })
    }
}

impl Monitor {
    fn new(
        loaded: Loaded,
        supervisor: Supervisor,
        publisher: Publisher,
        board: Board,
        events: Sender<Event>,
        beside: Beside,
    ) -> Self {
        let Beside { recorder, metrics, revocation } = beside;
        Self {
            loaded,
            supervisor,
            mirror: Mirror::new(),
            publisher,
            alarms: Alarms::default(),
            outage: Outage::default(),
            board,
            metrics,
            log: Log::new(),
            seen: None,
            revocation,
            sweeper: Sweeper::start(),
            events,
            recorder,
            rested: Instant::now(),
        }
    }

    /// Logins never wait for the daemon, so neither may the boot: ready means that the socket answers.
    fn start(&mut self, inbox: &Receiver<Event>) {
        self.publisher.configured(&self.loaded);
        self.log.say(Level::Info, "started");
        let _ = sd_notify::notify(false, &[NotifyState::Ready]);
        self.serve(inbox);
    }
}

/// Holds off a second daemon, also after this one was killed: the kernel lets go of the lock.
///
/// Nobody else may open the file: flock(2) locks for whoever can read, and a user who waits for the lock would have it
/// as soon as the daemon is restarted, and keep it from starting.
fn lock(run_dir: &Path) -> Result<Flock<File>, StartError> {
    let refused = |error| StartError::System("/run/svcauth/svcauthd.lock", error);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600).custom_flags(OFlag::O_NOFOLLOW.bits());
    let file = options.open(run_dir.join("svcauthd.lock")).map_err(refused)?;
    // One that an earlier version or a hand made may be open to others.
    file.set_permissions(Permissions::from_mode(0o600)).map_err(refused)?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| StartError::Running)
}

/// Each command that runs has a descriptor here, two where it is recorded; the service manager's usual limit is for fewer.
fn raise_descriptors() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // What is refused here leaves fewer commands at a time.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, soft.max(hard.min(DESCRIPTORS)), hard);
    }
}

fn signals_of_interest() -> SigSet {
    [Signal::SIGHUP, Signal::SIGTERM, Signal::SIGINT].into_iter().collect()
}

/// SIGHUP reads the configuration again. SIGTERM and SIGINT end the process at once: a file is published by one rename,
/// and the worker dies with us, so there is nothing to wind up but the records of the last moments, which a reboot would take.
fn handle_signals(signals: &SigSet, events: &Sender<Event>, recorder: &Recorder) {
    while let Ok(signal) = signals.wait() {
        if signal == Signal::SIGHUP {
            if events.send(Event::Reload).is_err() {
                return;
            }
            continue;
        }
        let _ = sd_notify::notify(false, &[NotifyState::Stopping]);
        recorder.finish(LAST_RECORDS);
        let _ = std::fs::remove_file(paths::SOCKET);
        let _ = std::fs::remove_file(paths::COMMAND_SOCKET);
        std::process::exit(0);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::{Path, PathBuf};

    use super::{StartError, lock, make_own_dir};

    fn scratch(test: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("svcauth-start-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        path
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn nobody_else_can_open_the_lock_and_so_keep_the_daemon_from_starting() {
        let dir = scratch("lock");
        make_own_dir(&dir).unwrap();
        let path = dir.join("svcauthd.lock");
        let held = lock(&dir).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert!(matches!(lock(&dir), Err(StartError::Running)));
        drop(held);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        drop(lock(&dir).unwrap());
        assert_eq!(mode(&path), 0o600, "one that was open to others is closed");
        fs::remove_dir_all(&dir).unwrap();
    }
}
