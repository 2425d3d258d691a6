//! The shared object as it is shipped, built by cargo with the profile `nss`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// Where the world outside tells the world inside which module to load; nothing that is shipped reads it.
pub const MODULE_VARIABLE: &str = "NSS_SVCAUTH_TEST_MODULE";

/// The path of the built module. The first call builds it, unless an outer process has done so.
pub fn module() -> &'static Path {
    static MODULE: OnceLock<PathBuf> = OnceLock::new();
    MODULE.get_or_init(|| match std::env::var_os(MODULE_VARIABLE) {
        Some(path) => path.into(),
        None => build_into_the_current_target_directory(),
    })
}

fn build_into_the_current_target_directory() -> PathBuf {
    let target = target_directory();
    let output = cargo_build(&target, &[]);
    assert!(
        output.status.success(),
        "cargo build --profile nss failed:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    target.join("nss/libnss_svcauth.so")
}

/// Runs `cargo build --profile nss` for the module.
pub fn cargo_build(target: &Path, more: &[&str]) -> Output {
    Command::new(option_env!("CARGO").unwrap_or("cargo"))
        .args(["build", "--offline", "--profile", "nss", "--package", "nss_svcauth", "--target-dir"])
        .args([target.as_os_str()])
        .args(more.iter().map(OsStr::new))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap()
}

/// The target directory that this program was built into: `<target>/<profile>/deps/<program>`.
pub fn target_directory() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    program.ancestors().nth(3).unwrap().to_path_buf()
}
