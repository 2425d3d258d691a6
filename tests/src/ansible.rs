//! Ansible as it comes from PyPI, beside the distribution's: what many people deploy with.
//!
//! A virtual environment below the target folder that a world sees at [`FOLDER`]. Where PyPI cannot be reached, the tests do
//! without it and say so.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::artifacts::target_folder;
use crate::failure::{Context, Outcome};
use crate::program::Program;

/// Cases of this theme use it.
pub const THEME: &str = "commands_deploy";
/// Where a world sees it.
pub const FOLDER: &str = "/run/world/ansible";

/// Below the target folder; the name changes with what is in it.
const NAME: &str = "ansible-venv";
/// Written when all is there.
const READY: &str = "is-complete";
/// The distribution's, whatever else the caller's PATH has first: the worlds have no other.
const PYTHON: &str = "/usr/bin/python3";

/// The environment below a target folder, if it is complete.
pub fn below(target: &Path) -> Option<PathBuf> {
    let folder = target.join(NAME);
    folder.join(READY).is_file().then_some(folder)
}

/// The interpreter of the environment, seen from inside a world, if there is one.
pub fn python() -> Option<PathBuf> {
    let folder = Path::new(FOLDER);
    folder.join(READY).is_file().then(|| folder.join("bin/python3"))
}

/// Fetches it unless it is here. `say` gets one sentence when that was not possible, which is no failure: nobody has to
/// have a network.
pub fn fetch(say: impl Fn(&str)) {
    if let Err(why) = try_to_fetch() {
        let why = why.to_string();
        let last = why.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        say(&format!("no ansible from PyPI ({}); the distribution's is used alone", last.trim()));
    }
}

fn try_to_fetch() -> Outcome {
    let target = target_folder()?;
    if below(&target).is_some() {
        return Ok(());
    }
    let folder = target.join(NAME);
    let _ = fs::remove_dir_all(&folder);
    Program::with_own_environment(PYTHON).args(&["-m", "venv"]).arg(&folder).run()?.expect_ok()?;
    // The caller's environment: it may say which index and which certificates pip has to use.
    let pip = Program::with_own_environment(folder.join("bin/python3")).args(&["-m", "pip", "install"]);
    let pip =
        pip.args(&["--quiet", "--disable-pip-version-check", "--retries", "1", "--timeout", "15", "ansible"]);
    pip.patience(Duration::from_secs(240)).run()?.expect_ok()?;
    fs::write(folder.join(READY), "").doing("mark it as complete")
}
