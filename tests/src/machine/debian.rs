//! A release with everything that its cases share: the tree, and the layers over it that take a while to make.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use nix::mount::{MsFlags, mount};

use super::boot::{Machine, Parts};
use super::deb::{Packages, Version};
use super::furnish;
use super::release::Release;
use crate::failure::{Context, Failure, Outcome};

/// Where a tree is seen on the ground: a path without signs that an overlay reads in its own way.
const TREES: &str = "/run/machines/trees";

/// A release of Debian, to boot machines of.
#[derive(Debug)]
pub struct Debian {
    release: Release,
    tree: PathBuf,
    run: String,
    packages: Packages,
    made: AtomicUsize,
    furnished: Layer,
    installed: Layer,
    enabled: Layer,
}

/// A layer that the first who wants it makes, or the reason why that failed.
#[derive(Debug, Default)]
struct Layer(Mutex<Option<Result<PathBuf, String>>>);

impl Debian {
    /// The release whose tree is at `tree`; `run` is the process id of the run outside.
    pub(super) fn at(release: Release, tree: &Path, run: &str, packages: Packages) -> Outcome<Self> {
        let seen = Path::new(TREES).join(release.word());
        fs::create_dir_all(&seen)?;
        mount(Some(tree), &seen, None::<&str>, MsFlags::MS_BIND, None::<&str>).doing(format!(
            "show {} at {}",
            tree.display(),
            seen.display()
        ))?;
        Ok(Self {
            release,
            tree: seen,
            run: run.to_owned(),
            packages,
            made: AtomicUsize::new(0),
            furnished: Layer::default(),
            installed: Layer::default(),
            enabled: Layer::default(),
        })
    }

    /// Which release this is.
    pub fn release(&self) -> Release {
        self.release
    }

    /// The packages of svcauth.
    pub fn packages(&self) -> &Packages {
        &self.packages
    }

    /// A plain server on which nobody has heard of svcauth: sshd, sudo, cron; root and the local user `local` (uid 1010,
    /// password `secret`, may run everything with sudo without a password) log in with keys of their names. alice, bob,
    /// carol and mallory have keys in `/root/keys` and no account.
    pub fn plain(&self) -> Outcome<Machine> {
        self.boot(&self.furnished_layers()?)
    }

    /// The same with the three packages installed, and nothing else done.
    pub fn installed(&self) -> Outcome<Machine> {
        self.boot(&self.installed_layers()?)
    }

    /// The same configured with the directory of `conf/` (deployer; alice and bob may, carol may not) and enabled. sshd
    /// accepts the keys of alice, bob and carol for deployer, so that it is svcauth who refuses carol.
    pub fn enabled(&self) -> Outcome<Machine> {
        self.boot(&self.enabled_layers()?)
    }

    fn boot(&self, layers: &[PathBuf]) -> Outcome<Machine> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        Machine::boot(&Parts { release: self.release, layers, run: &self.run, number })
    }

    fn furnished_layers(&self) -> Outcome<Vec<PathBuf>> {
        let below = vec![self.tree.clone()];
        self.furnished.over(self, below, furnish::people)
    }

    fn installed_layers(&self) -> Outcome<Vec<PathBuf>> {
        let install = |machine: &Machine| machine.install(&self.packages, Version::This);
        self.installed.over(self, self.furnished_layers()?, install)
    }

    fn enabled_layers(&self) -> Outcome<Vec<PathBuf>> {
        self.enabled.over(self, self.installed_layers()?, furnish::enable)
    }
}

impl Layer {
    /// All layers with this one on top; the first caller makes it with `make` on a machine over those `below`.
    fn over(
        &self,
        debian: &Debian,
        below: Vec<PathBuf>,
        make: impl FnOnce(&Machine) -> Outcome,
    ) -> Outcome<Vec<PathBuf>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.get_or_insert_with(|| {
            let machine = debian.boot(&below).map_err(|why| why.to_string())?;
            machine.explaining(|machine| make(machine)).map_err(|why| why.to_string())?;
            machine.into_layer().map_err(|why| why.to_string())
        });
        let top = found.clone().map_err(|why| Failure::new(format!("prepare {}: {why}", debian.release)))?;
        Ok([vec![top], below].concat())
    }
}
