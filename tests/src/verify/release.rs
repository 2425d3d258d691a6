//! The packages of a release: built, built again elsewhere to the same bytes, and tested.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::{PATIENCE, run_tests};
use crate::artifacts::{target_folder, workspace_folder};
use crate::failure::{Context, Outcome, require};
use crate::packages;
use crate::program::Program;

/// What cargo and git keep in the source folder.
const NOT_SOURCE: &[&str] = &["target", ".git"];

/// Begins to build them, with a low priority, and does not wait. Who needs programs or packages builds them as if this had
/// not been: cargo waits for what is being built, finds what is there, and says what is wrong.
pub(super) fn begin() -> Outcome {
    let (source, target) = (workspace_folder()?, target_folder()?);
    // In a namespace of its own, which an interruption ends.
    let mut program =
        Program::with_own_environment("setpriv").args(&["--pdeathsig", "KILL", "--", "unshare"]);
    program = program.args(&["--pid", "--fork", "--kill-child", "--mount-proc", "nice", "-n", "10", "sh"]);
    let program = program.arg(source.join("packaging/build")).env("CARGO_TARGET_DIR", target).dir(source);
    let building = thread::spawn(move || drop(program.patience(PATIENCE).run()));
    *begun() = Some(building);
    Ok(())
}

fn begun() -> MutexGuard<'static, Option<JoinHandle<()>>> {
    static BEGUN: Mutex<Option<JoinHandle<()>>> = Mutex::new(None);
    BEGUN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The packages, below the target folder.
pub(super) fn build() -> Outcome<usize> {
    // Two at a time would write the same files.
    let building = begun().take();
    building.map(JoinHandle::join);
    packaging_build(&workspace_folder()?, &target_folder()?, None)?;
    Ok(0)
}

/// The same source in another folder, with another folder for cargo and for what it has downloaded: the same bytes.
pub(super) fn build_again() -> Outcome<usize> {
    let target = target_folder()?;
    let elsewhere = Elsewhere(target.join("elsewhere, in a folder of its own"));
    elsewhere.clear()?;
    let (source, its_target) = (elsewhere.0.join("source"), elsewhere.0.join("built"));
    copy_source(&workspace_folder()?, &source)?;
    packaging_build(&source, &its_target, Some(&elsewhere.cargo_home()?))?;
    let (one, other) = (digests(&target.join("packages"))?, digests(&its_target.join("packages"))?);
    require(one.len() == 5, || format!("three .deb and two .rpm files, and not {:?}", one.keys()))?;
    let differs: Vec<&String> = one.keys().filter(|name| one.get(*name) != other.get(*name)).collect();
    let same = differs.is_empty() && one.len() == other.len();
    let said = format!(
        "built in {} and in {}, these are different: {differs:?}",
        target.display(),
        its_target.display()
    );
    if !same {
        // Whoever looks for the reason needs both.
        std::mem::forget(elsewhere);
    }
    require(same, || said)?;
    Ok(one.len())
}

/// What is in the files, what they need, what RPM makes of them.
pub(super) fn files() -> Outcome<usize> {
    packages::require_root()?;
    run_tests(&[&["-p", "svcauth_tests", "--features", "e2e", "--test", "packages"]])
}

/// Installed on booted machines.
pub(super) fn machines() -> Outcome<usize> {
    packages::require_root()?;
    run_tests(&[&["-p", "svcauth_tests", "--features", "e2e", "--test", "machine"]])
}

fn packaging_build(source: &Path, target: &Path, cargo_home: Option<&Path>) -> Outcome {
    let program = Program::with_own_environment("sh").arg(source.join("packaging/build"));
    let program = program.env("CARGO_TARGET_DIR", target).dir(source);
    let program = match cargo_home {
        Some(home) => program.env("CARGO_HOME", home),
        None => program,
    };
    program.patience(PATIENCE).run()?.expect_ok().map(drop)
}

/// A folder that goes with this.
struct Elsewhere(PathBuf);

impl Elsewhere {
    fn clear(&self) -> Outcome {
        if self.0.exists() {
            fs::remove_dir_all(&self.0).doing(format!("remove {}", self.0.display()))?;
        }
        fs::create_dir_all(&self.0).doing(format!("make {}", self.0.display()))
    }

    /// Another CARGO_HOME with the same settings and downloads, and with the tools that are built already.
    fn cargo_home(&self) -> Outcome<PathBuf> {
        let home = self.0.join("cargo");
        let own = std::env::var_os("CARGO_HOME").map(PathBuf::from);
        let own = own.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
        fs::create_dir_all(&home)?;
        for entry in own.map(fs::read_dir).transpose()?.into_iter().flatten() {
            let entry = entry?;
            symlink(entry.path(), home.join(entry.file_name()))?;
        }
        let tools = self.0.join("built");
        fs::create_dir_all(&tools)?;
        symlink(target_folder()?.join("tools"), tools.join("tools"))?;
        Ok(home)
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn copy_source(from: &Path, to: &Path) -> Outcome {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).doing(format!("read {}", from.display()))? {
        let entry = entry?;
        if !NOT_SOURCE.iter().any(|name| entry.file_name() == *name) {
            let copy = Program::new("cp").args(&["-R", "--"]).arg(entry.path()).arg(to);
            copy.patience(PATIENCE).run()?.expect_ok()?;
        }
    }
    Ok(())
}

/// The SHA-256 of each file of a folder, by its name.
fn digests(folder: &Path) -> Outcome<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).doing(format!("read {}", folder.display()))? {
        let entry = entry?;
        let sum = Program::new("sha256sum").arg("-b").arg(entry.path()).run()?.expect_ok()?;
        let digest = sum.text().split(' ').next().unwrap_or_default().to_owned();
        found.insert(entry.file_name().to_string_lossy().into_owned(), digest);
    }
    Ok(found)
}
