//! The planned state, examined before it is real: copies of what changes are mounted over the files in a private mount
//! namespace, and there pam-auth-update writes the stacks, sshd reads its configuration and doctor looks around.
//!
//! The parent makes the copies and reads the outcome; the child (`svcauth planned-state`, hidden) is the one in the
//! namespace. Nothing of it is seen by any other process, and nothing of the host changes, debconf's memory included.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use serde::{Deserialize, Serialize};
use svcauth_host::sessions::Process;

use super::change::{Content, named};
use super::{Trouble, nsswitch, pam, sshd};
use crate::doctor::{self, Finding, Severity};

/// Folders of which the child changes a copy.
const FOLDERS: &[&str] = &[pam::FOLDER, pam::MEMORY, "/var/cache/debconf", sshd::FOLDER];
/// Where copies are made; a kill leaves one, and the next takes it away.
const ROOM: &str = "/run/svcauth/planned";
/// What a new sshd wants to be there before it starts.
const SSHD_RUN: &str = "/run/sshd";

/// The copies.
#[derive(Debug)]
pub struct Stage(PathBuf);

/// What the child found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Why svcauth must not be switched on; empty when nothing is in the way.
    pub faults: Vec<Fault>,
}

/// One thing that is in the way, as doctor says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// A stable word for scripts.
    pub code: String,
    /// File and line, where there is one.
    pub place: Option<String>,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub fix: String,
}

/// What the child is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Whether pam-auth-update has lines to add.
    pub pam: bool,
    /// Whether sshd has a drop-in to obey.
    pub sshd: bool,
}

impl Stage {
    /// Copies what may change.
    ///
    /// # Errors
    /// A file cannot be copied.
    pub fn new() -> Result<Self, Trouble> {
        let stage = Self(PathBuf::from(ROOM).join(std::process::id().to_string()));
        sweep();
        let make = || -> io::Result<()> {
            fs::create_dir_all(&stage.0)?;
            fs::set_permissions(ROOM, Permissions::from_mode(0o700))
        };
        make().map_err(|error| named(Path::new(ROOM), &error))?;
        for folder in FOLDERS.iter().map(Path::new).filter(|folder| folder.is_dir()) {
            copy(folder, &stage.at(folder)).map_err(|error| named(folder, &error))?;
        }
        Ok(stage)
    }

    /// Where the copy of a path is.
    #[must_use]
    pub fn at(&self, path: &Path) -> PathBuf {
        self.0.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Puts a file that was computed into the planned state.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put(&self, path: &Path, content: &Content) -> Result<(), Trouble> {
        let copy = self.at(path);
        let write = || -> io::Result<()> {
            fs::create_dir_all(copy.parent().unwrap_or(&self.0))?;
            fs::write(&copy, &content.bytes)?;
            lchown(&copy, Some(content.uid), Some(content.gid))?;
            fs::set_permissions(&copy, Permissions::from_mode(content.mode))
        };
        write().map_err(|error| named(&copy, &error))
    }

    /// Runs the child in the planned state and reads what it found.
    ///
    /// # Errors
    /// It could not be run, or could not do its work.
    pub fn examine(&self, work: Work) -> Result<Outcome, Trouble> {
        let mut child = Command::new("/proc/self/exe");
        child.arg("planned-state").arg(&self.0).stdin(Stdio::null());
        for (wanted, flag) in [(work.pam, "--pam"), (work.sshd, "--sshd")] {
            if wanted {
                child.arg(flag);
            }
        }
        let ended =
            child.output().map_err(|error| Trouble::new(format!("svcauth cannot start itself: {error}")))?;
        let said = String::from_utf8_lossy(&ended.stderr).trim().trim_start_matches("svcauth: ").to_owned();
        if !ended.status.success() {
            return Err(Trouble::new(said));
        }
        serde_json::from_slice(&ended.stdout)
            .map_err(|error| Trouble::new(format!("the planned state could not be examined: {error} {said}")))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What is left is taken away by the next.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Takes away what runs have left that were killed.
fn sweep() {
    for entry in fs::read_dir(ROOM).into_iter().flatten().flatten() {
        let pid: Option<u32> = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if pid.and_then(Process::by_pid).is_none() || pid == Some(std::process::id()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// A folder with all that is below it, links as links.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let meta = fs::symlink_metadata(from)?;
    if meta.is_symlink() {
        symlink(fs::read_link(from)?, to)?;
        return lchown(to, Some(meta.uid()), Some(meta.gid()));
    }
    if meta.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let name = entry?.file_name();
            copy(&from.join(&name), &to.join(&name))?;
        }
    } else if meta.is_file() {
        fs::copy(from, to)?;
    } else {
        return Ok(());
    }
    lchown(to, Some(meta.uid()), Some(meta.gid()))?;
    fs::set_permissions(to, Permissions::from_mode(meta.mode() & 0o7777))
}

/// The child: makes the copies real for itself alone, and looks.
///
/// # Errors
/// What the administrator has to do something about before the state can even be planned.
pub fn examine_here(stage: &Path, work: Work) -> Result<Outcome, Trouble> {
    enter(stage)?;
    if work.pam {
        write_stacks()?;
    }
    if work.sshd {
        with_run_folder(|| sshd::obeys(&sshd::settings()?))?;
    }
    Ok(Outcome { faults: doctor::examine().into_iter().filter_map(fault).collect() })
}

fn fault(finding: Finding) -> Option<Fault> {
    let place = finding.place.map(|(file, line)| match line {
        Some(line) => format!("{}:{line}", file.display()),
        None => file.display().to_string(),
    });
    let (code, what, fix) = (finding.code.to_owned(), finding.what, finding.fix);
    (finding.severity == Severity::Fault).then_some(Fault { code, place, what, fix })
}

fn enter(stage: &Path) -> Result<(), Trouble> {
    let refused = |what: &str, error: nix::Error| {
        Trouble::new(format!(
            "the planned state cannot be examined: {what}: {error}. This needs root with CAP_SYS_ADMIN, which a container \
             may not have"
        ))
    };
    unshare(CloneFlags::CLONE_NEWNS).map_err(|error| refused("a mount namespace", error))?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>)
        .map_err(|error| refused("private mounts", error))?;
    for path in FOLDERS.iter().chain([&nsswitch::PATH]).map(Path::new) {
        let copy = stage.join(path.strip_prefix("/").unwrap_or(path));
        if copy.exists() && path.exists() {
            mount(Some(&copy), path, None::<&str>, MsFlags::MS_BIND, None::<&str>)
                .map_err(|error| refused(&path.display().to_string(), error))?;
        }
    }
    Ok(())
}

fn write_stacks() -> Result<(), Trouble> {
    let ended = Command::new(pam::PROGRAM)
        .args(["--enable", "svcauth"])
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Trouble::new(format!("{}: {error}", pam::PROGRAM)))?;
    if pam::is_on(|stack| fs::read_to_string(pam::stack_path(stack)).ok()) {
        return Ok(());
    }
    if !ended.status.success() {
        let said = String::from_utf8_lossy(&ended.stderr).trim().replace('\n', "; ");
        return Err(Trouble::new(format!("{} --enable svcauth: {said}", pam::PROGRAM)));
    }
    let memory = |stack: &str| fs::read_to_string(Path::new(pam::MEMORY).join(stack)).ok();
    Err(pam::why_refused(|stack| fs::read_to_string(pam::stack_path(stack)).ok(), memory))
}

/// sshd refuses to read its configuration without the folder that its service makes at each start. It stays: a service that
/// starts at this moment needs it.
pub(super) fn with_run_folder<T>(run: impl FnOnce() -> T) -> T {
    if fs::create_dir(SSHD_RUN).is_ok() {
        let _ = fs::set_permissions(SSHD_RUN, Permissions::from_mode(0o755));
    }
    run()
}
