//! The three packages, as `packaging/build` makes them, and the same under a higher version.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::boot::Machine;
use crate::artifacts::workspace_folder;
use crate::failure::{Context, Outcome, require};
use crate::program::Program;

/// A version that is higher than any of ours.
const NEXT: &str = "9999";
/// A first build on two slow cores, with every dependency.
const PATIENCE: Duration = Duration::from_secs(1500);

/// The names, in no order that matters: apt finds its own.
pub const NAMES: &[&str] = &["svcauth", "libnss-svcauth", "libpam-svcauth"];

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// As the changelog says.
    This,
    /// The same files under a higher version.
    Next,
}

impl Version {
    /// The folder below cargo's target folder; that of this version is where `packaging/build` puts it.
    fn folder(self) -> &'static str {
        match self {
            Self::This => "packages",
            Self::Next => "packages-next",
        }
    }
}

/// The files of both versions.
#[derive(Debug, Clone)]
pub struct Packages {
    target: PathBuf,
}

impl Packages {
    /// Builds what is out of date.
    pub(super) fn build(target: &Path, say: impl Fn(&str)) -> Outcome<Self> {
        say("packaging/build");
        let script = workspace_folder()?.join("packaging/build");
        let found = Self::in_folder(target);
        let next = target.join(Version::Next.folder());
        if next.exists() {
            fs::remove_dir_all(&next).doing(format!("remove {}", next.display()))?;
        }
        let again: [&std::ffi::OsStr; 3] = ["--renumber".as_ref(), NEXT.as_ref(), next.as_os_str()];
        for words in [&[][..], &again] {
            let build = Program::with_own_environment("sh").arg(&script).args(words);
            build.patience(PATIENCE).run()?.expect_ok()?;
        }
        for version in [Version::This, Version::Next] {
            require(found.files(version)?.len() == NAMES.len(), || {
                format!("not all packages are in {target:?}")
            })?;
        }
        Ok(found)
    }

    /// What was built before.
    pub(super) fn in_folder(target: &Path) -> Self {
        Self { target: target.to_owned() }
    }

    /// The `.deb` files.
    pub fn files(&self, version: Version) -> Outcome<Vec<PathBuf>> {
        let folder = self.target.join(version.folder());
        let entries = fs::read_dir(&folder).doing(format!("read {}", folder.display()))?.flatten();
        Ok(entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|end| end == "deb"))
            .collect())
    }

    /// Puts the files into a machine and says where.
    pub fn copy_to(&self, machine: &Machine, version: Version) -> Outcome<String> {
        let folder = format!("/root/{}", version.folder());
        for file in self.files(version)? {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            machine.copy_in(&file, &format!("{folder}/{name}"), 0o644)?;
        }
        Ok(folder)
    }
}

impl Machine {
    /// Installs the packages as an administrator without a network would; also to go to a higher or lower version.
    pub fn install(&self, packages: &Packages, version: Version) -> Outcome {
        let folder = packages.copy_to(self, version)?;
        self.apt(&format!("install --allow-downgrades {folder}/*.deb"))
    }

    /// `apt-get` with words for a shell; asks nobody anything.
    pub fn apt(&self, words: &str) -> Outcome {
        let script = format!("DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends {words}");
        let run = self.program(&["sh", "-euc", &script])?.patience(Duration::from_secs(600));
        run.run()?.expect_ok().map(drop)
    }
}
