//! The installed daemon on the probe's directory, and what it publishes.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::time::Duration;

use nix::unistd::Group;
use svcauth_host::paths;

use super::cast::{Cast, DIRECTORY};
use super::etc::write;
use super::fault::{Doing as _, Done, Fault};
use super::program::{Program, Running, wait_for};

const DAEMON: &str = "/usr/sbin/svcauthd";
const SNAPSHOTS: [&str; 2] = [paths::ACCESS_SNAPSHOT, paths::ACCOUNTS_SNAPSHOT];

/// The state of svcauth in the private world.
pub(super) struct State {
    config: String,
    group: u32,
    daemon: Option<Running>,
    kept: Vec<(&'static str, Vec<u8>, u32)>,
}

impl State {
    /// Writes configuration and directory, starts the daemon, and waits until it has published.
    pub(super) fn publish(cast: &Cast, allowed_key: &str, refused_key: &str) -> Done<Self> {
        let group = Group::from_name(paths::USER).ok().flatten().map_or(0, |group| group.gid.as_raw());
        for (folder, mode, gid) in
            [("/run/svcauth", 0o755, group), (paths::SESSIONS_DIR, 0o700, 0), ("/var/log/svcauth", 0o700, 0)]
        {
            fs::create_dir_all(folder)
                .and_then(|()| chown(folder, Some(0), Some(gid)))
                .and_then(|()| fs::set_permissions(folder, Permissions::from_mode(mode)))
                .doing(format!("make {folder}"))?;
        }
        for folder in ["/etc/svcauth", paths::STATE_DIR] {
            if !Path::new(folder).is_dir() {
                return Err(Fault::new(format!("{folder} is not there; is svcauth installed?")));
            }
        }
        let config = cast.config();
        write(Path::new(paths::CONFIG), &config, None, 0o644)?;
        write(Path::new(DIRECTORY), &cast.directory(allowed_key, refused_key), None, 0o644)?;
        let mut state = Self { config, group, daemon: None, kept: Vec::new() };
        state.start()?;
        for path in SNAPSHOTS {
            let bytes = fs::read(path).doing(format!("read {path}"))?;
            let mode = fs::metadata(path).doing(format!("look at {path}"))?.permissions().mode();
            state.kept.push((path, bytes, mode & 0o7777));
        }
        Ok(state)
    }

    fn start(&mut self) -> Done {
        let mut daemon = Program::new(&[DAEMON]).start()?;
        let mut last = String::new();
        let published = wait_for(Duration::from_secs(15), || {
            if daemon.ended().is_some() {
                return true;
            }
            let answer = Program::new(&["/usr/bin/svcauth", "sync"]).run();
            last = answer.as_ref().map_or_else(ToString::to_string, |ended| ended.said.clone());
            answer.is_ok_and(|ended| ended.code == Some(0))
        });
        if !published || daemon.ended().is_some() {
            return Err(Fault::new(format!(
                "svcauthd does not publish the probe's directory: {} {last}",
                daemon.said()
            )));
        }
        self.daemon = Some(daemon);
        Ok(())
    }

    /// Stops the daemon: from here on logins have the snapshot alone.
    pub(super) fn stop_daemon(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            daemon.stop();
        }
    }

    pub(super) fn remove(&self, snapshot: &str) -> Done {
        match fs::remove_file(snapshot) {
            Err(why) if why.kind() != std::io::ErrorKind::NotFound => {
                Err(why).doing(format!("remove {snapshot}"))
            }
            _ => Ok(()),
        }
    }

    /// Puts the snapshots and the configuration back as they were published.
    pub(super) fn restore(&self) -> Done {
        for (path, bytes, mode) in &self.kept {
            fs::write(path, bytes)
                .and_then(|()| chown(path, Some(0), Some(self.group)))
                .and_then(|()| fs::set_permissions(path, Permissions::from_mode(*mode)))
                .doing(format!("put {path} back"))?;
        }
        write(Path::new(paths::CONFIG), &self.config, None, 0o644)
    }

    pub(super) fn break_config(&self) -> Done {
        write(Path::new(paths::CONFIG), "this is [[[ no configuration\n", None, 0o644)
    }
}

/// Whether the name service of this host finds an account.
pub(super) fn resolves(account: &str) -> bool {
    Program::new(&["getent", "passwd", account]).run().is_ok_and(|ended| ended.code == Some(0))
}
