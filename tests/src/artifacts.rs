//! The built things that the tests install: two modules, the daemon, the command and the shell.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::failure::{Context, Failure, Outcome, require};
use crate::program::Program;

/// Where cargo put what a host would get from a package.
#[derive(Debug, Clone)]
pub struct Artifacts {
    target: PathBuf,
}

// Where `packaging/compile` leaves the files, below the target folder.
const NSS: &str = "nss/libnss_svcauth.so";
const PAM: &str = "pam/libpam_svcauth.so";
const DAEMON: &str = "release/svcauthd";
const COMMAND: &str = "release/svcauth";
const SHELL: &str = "shell/svcauth-shell";

/// A first build on two slow cores, with every dependency.
const PATIENCE: Duration = Duration::from_secs(1500);

impl Artifacts {
    /// Builds what is out of date. `say` gets one line.
    pub fn build(say: impl Fn(&str)) -> Outcome<Self> {
        let found = Self { target: target_folder()? };
        // The packages hold the same files: nothing is built twice.
        let script = workspace_folder()?.join("packaging/compile");
        let compile = Program::with_own_environment("sh").arg(script);
        say("packaging/compile");
        compile.patience(PATIENCE).run()?.expect_ok()?;
        for file in [NSS, PAM, DAEMON, COMMAND, SHELL] {
            let path = found.target.join(file);
            require(path.is_file(), || format!("cargo made no {}", path.display()))?;
        }
        Ok(found)
    }

    /// `libnss_svcauth.so`
    pub fn nss_module(&self) -> PathBuf {
        self.target.join(NSS)
    }

    /// `libpam_svcauth.so`
    pub fn pam_module(&self) -> PathBuf {
        self.target.join(PAM)
    }

    /// `svcauthd`
    pub fn daemon(&self) -> PathBuf {
        self.target.join(DAEMON)
    }

    /// `svcauth`
    pub fn command(&self) -> PathBuf {
        self.target.join(COMMAND)
    }

    /// `svcauth-shell`
    pub fn shell(&self) -> PathBuf {
        self.target.join(SHELL)
    }

    /// The target folder, to hand the artifacts to another process.
    pub fn folder(&self) -> &Path {
        &self.target
    }

    /// What another process has built: see [`Artifacts::folder`].
    pub fn in_folder(target: impl Into<PathBuf>) -> Self {
        Self { target: target.into() }
    }
}

/// The cargo that runs us, else the one in PATH; in the folder of the workspace, with the caller's environment.
pub fn cargo() -> Program {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let program = Program::with_own_environment(cargo);
    match std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from) {
        Some(room) if room.parent().is_some() => program.dir(room.join("..")),
        _ => program,
    }
}

/// The folder that holds the workspace's `Cargo.toml`.
pub fn workspace_folder() -> Outcome<PathBuf> {
    metadata_path("workspace_root")
}

/// The folder that cargo builds in.
pub fn target_folder() -> Outcome<PathBuf> {
    metadata_path("target_directory")
}

fn metadata_path(key: &str) -> Outcome<PathBuf> {
    let asked = cargo().args(&["metadata", "--no-deps", "--format-version", "1"]).run()?.expect_ok()?;
    let metadata: Value = serde_json::from_str(&asked.stdout).doing("read cargo metadata")?;
    let path = metadata.get(key).and_then(Value::as_str);
    path.map(PathBuf::from).ok_or_else(|| Failure::new(format!("cargo metadata names no {key}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_folder_is_the_one_cargo_uses() {
        let target = target_folder().unwrap();
        let me = std::env::current_exe().unwrap();
        assert!(me.starts_with(&target), "{} is not below {}", me.display(), target.display());
    }

    #[test]
    fn the_workspace_folder_holds_this_room() {
        assert!(workspace_folder().unwrap().join("tests/Cargo.toml").is_file());
    }
}
