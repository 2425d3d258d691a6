//! The files of a release, as `packaging/build` has left them in cargo's target folder: what is in them, what they need, what
//! their scripts look like, and what RPM makes of them. What they do on a booted system is in the room `machine`.
//!
//! `UPDATE_GOLDEN=1` writes the lists anew.

#![cfg(test)]

mod debs;
mod profile;
mod rpms;
mod scripts;
mod units;

use std::fs;
use std::path::{Path, PathBuf};

use svcauth_tests::artifacts::{target_folder, workspace_folder};
use svcauth_tests::program::{Ended, Program};

/// The one file of the release with this beginning and this end.
fn package(begin: &str, end: &str) -> PathBuf {
    let folder = target_folder().unwrap().join("packages");
    let entries = fs::read_dir(&folder).unwrap_or_else(|why| panic!("{why}; run packaging/build first"));
    let fits = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with(begin) && name.ends_with(end)
    };
    let found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).filter(fits).collect();
    assert_eq!(found.len(), 1, "packages {begin}*{end}: {found:?}; run packaging/build first");
    found.into_iter().next().unwrap()
}

fn workspace(path: &str) -> PathBuf {
    workspace_folder().unwrap().join(path)
}

/// Runs it to its end, which must be a success.
fn run<S: AsRef<std::ffi::OsStr>>(words: &[S]) -> Ended {
    Program::from_words(words).unwrap().run().unwrap().expect_ok().unwrap()
}

/// Holds a text against a file beside this one.
fn require_golden(name: &str, is: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packages/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, is).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(is, golden, "{name}; UPDATE_GOLDEN=1 writes it anew");
}

/// A folder that is gone with this.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("svcauth-packages-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
