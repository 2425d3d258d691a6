//! The module as a package gets it: built with its own profile.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds `pam_svcauth.so` and returns where it is.
pub(crate) fn module() -> PathBuf {
    let target = target_folder();
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--profile", "pam", "-p", "pam_svcauth", "--target-dir"])
        .arg(&target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(status.success(), "cargo build --profile pam -p pam_svcauth");
    target.join("pam/libpam_svcauth.so")
}

/// The folder of this build: cargo gives tests a folder inside it.
pub(crate) fn target_folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().to_owned()
}

/// Builds the daemon.
pub(crate) fn daemon() {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "-p", "svcauthd", "--bin", "svcauthd", "--target-dir"])
        .arg(target_folder())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(status.success(), "cargo build -p svcauthd");
}

/// Where the daemon is when it was built.
pub(crate) fn daemon_path() -> PathBuf {
    target_folder().join("debug/svcauthd")
}

/// Builds the module that returns what it is told to, and returns where it is.
pub(crate) fn scripted() -> PathBuf {
    let target = target_folder();
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "-p", "pam_svcauth", "--example", "pam_scripted", "--target-dir"])
        .arg(&target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(status.success(), "cargo build --example pam_scripted");
    target.join("debug/examples/libpam_scripted.so")
}
