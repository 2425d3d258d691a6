//! What a test can do inside its world.

use std::any::Any;
use std::fs::{self, File, OpenOptions, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::local;
use crate::artifacts::Artifacts;
use crate::failure::{Context, Failure, Outcome};
use crate::keys::Key;
use crate::log::AuthLog;
use crate::program::{Background, Program, wait_until};

/// Own log file, own user database, the distribution's programs. Ends with the process.
#[derive(Debug)]
pub struct World {
    artifacts: Artifacts,
    syslog: Option<Background>,
    log: AuthLog,
    kept: Option<Box<dyn Any>>,
}

const SYSLOG: &str = r#"module(load="imuxsock" SysSock.Name="/dev/log" SysSock.RateLimit.Interval="0")
global(maxMessageSize="16k")
$FileCreateMode 0640
*.* /var/log/auth.log;RSYSLOG_FileFormat
"#;

const NSSWITCH: &str =
    "passwd: files\ngroup: files\nshadow: files\nhosts: files\nservices: files\nprotocols: files\n";

impl World {
    /// Makes the plain machine: system users, name service from files, hosts, syslog.
    pub(super) fn open(artifacts: Artifacts) -> Outcome<Self> {
        local::keep_system_entries()?;
        let log = AuthLog::at("/var/log/auth.log");
        let mut world = Self { artifacts, syslog: None, log, kept: None };
        world.write("/etc/nsswitch.conf", 0o644, NSSWITCH)?;
        world.write("/etc/hosts", 0o644, "127.0.0.1 localhost web1 web1.example.com\n::1 localhost\n")?;
        world.write("/run/world/rsyslog.conf", 0o644, SYSLOG)?;
        let _ = fs::remove_file("/var/log/auth.log");
        world.start_syslog()?;
        Ok(world)
    }

    /// Keeps what one case has set up for the next one of this world.
    pub fn keep<T: Any>(&mut self, thing: T) {
        self.kept = Some(Box::new(thing));
    }

    /// What the case before has kept, if there was one.
    pub fn take_kept<T: Any>(&mut self) -> Option<T> {
        self.kept.take()?.downcast().ok().map(|thing| *thing)
    }

    /// What cargo built.
    pub fn artifacts(&self) -> &Artifacts {
        &self.artifacts
    }

    /// The log that the world's syslog writes.
    pub fn log(&self) -> &AuthLog {
        &self.log
    }

    /// Writes a file with its folders, owner root, exactly this mode.
    pub fn write(&self, path: impl AsRef<Path>, mode: u32, text: impl AsRef<[u8]>) -> Outcome {
        let path = path.as_ref();
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).doing(format!("make {}", folder.display()))?;
        }
        fs::write(path, text).doing(format!("write {}", path.display()))?;
        fs::set_permissions(path, Permissions::from_mode(mode))
            .doing(format!("set the mode of {}", path.display()))
    }

    /// Copies a file with its folders, owner root, exactly this mode.
    pub fn copy(&self, from: impl AsRef<Path>, to: impl AsRef<Path>, mode: u32) -> Outcome {
        let bytes = fs::read(&from).doing(format!("read {}", from.as_ref().display()))?;
        self.write(to, mode, bytes)
    }

    /// Adds a local user with a home folder; `id` is its uid and gid.
    pub fn local_user(&self, name: &str, id: u32) -> Outcome {
        local::add_user(name, id)
    }

    /// Adds a local account for a service.
    pub fn local_service(&self, name: &str, id: u32) -> Outcome {
        local::add_service(name, id)
    }

    /// Makes the home folder of an account that the directory names.
    pub fn home(&self, account: &str, uid: u32, gid: u32) -> Outcome {
        local::make_home(account, uid, gid)
    }

    /// The folder of the distribution's PAM modules, e.g. `/usr/lib/x86_64-linux-gnu/security`.
    pub fn pam_folder(&self) -> Outcome<PathBuf> {
        let candidates = fs::read_dir("/usr/lib")?.flatten().map(|entry| entry.path().join("security"));
        let mut found = candidates.filter(|folder| folder.join("pam_unix.so").is_file());
        found.next().ok_or_else(|| Failure::new("no folder /usr/lib/*/security with pam_unix.so"))
    }

    /// A program run as a local user, with that user's groups and without any PAM session.
    pub fn as_user(&self, user: &str, words: &[&str]) -> Program {
        let switch = Program::new("setpriv").arg(format!("--reuid={user}")).arg(format!("--regid={user}"));
        switch
            .args(&["--init-groups", "--"])
            .args(words)
            .env("HOME", format!("/home/{user}"))
            .env("USER", user)
    }

    /// A program run with the ids of an account, without any PAM session and without asking who that is.
    pub fn as_account(&self, name: &str, uid: u32, gid: u32, words: &[&str]) -> Program {
        let switch = Program::new("setpriv").arg(format!("--reuid={uid}")).arg(format!("--regid={gid}"));
        switch
            .args(&["--clear-groups", "--"])
            .args(words)
            .env("HOME", format!("/home/{name}"))
            .env("USER", name)
    }

    /// A new ed25519 key pair, readable by root only.
    pub fn key(&self, name: &str) -> Outcome<Key> {
        Key::generate(Path::new("/run/world/keys"), name)
    }

    /// A file below `/var/log` for the output of a server.
    pub fn log_file(&self, name: &str) -> Outcome<File> {
        let path = format!("/var/log/{name}");
        OpenOptions::new().create(true).append(true).open(&path).doing(format!("open {path}"))
    }

    /// Starts the log server; it is running when a world begins.
    pub fn start_syslog(&mut self) -> Outcome {
        let daemon = Program::new("rsyslogd").args(&[
            "-n",
            "-f",
            "/run/world/rsyslog.conf",
            "-i",
            "/run/world/syslog.pid",
        ]);
        self.syslog = Some(daemon.start(self.log_file("rsyslogd.out")?)?);
        wait_until("/dev/log", Duration::from_secs(60), || Path::new("/dev/log").exists().then_some(()))
    }

    /// Stops the log server and removes its socket.
    pub fn stop_syslog(&mut self) -> Outcome {
        self.syslog = None;
        let _ = fs::remove_file("/run/world/syslog.pid");
        match fs::remove_file("/dev/log") {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// The running log server, to freeze it.
    pub fn syslog(&self) -> Outcome<&Background> {
        self.syslog.as_ref().ok_or_else(|| Failure::new("the log server is stopped"))
    }
}
