//! `packaging/install.sh`, with a folder in the place of the root folder and empty files in the place of what is built.

#![cfg(test)]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What the script may use: neither a compiler nor dpkg-dev, as on a minimal host.
const TOOLS: &[&str] =
    &["basename", "dirname", "dpkg", "dpkg-query", "grep", "head", "install", "mv", "sed", "sh"];

struct Host(PathBuf);

impl Host {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("svcauth-install-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        let tools = root.join("tools");
        fs::create_dir_all(&tools).unwrap();
        for tool in TOOLS {
            let found = ["/usr/bin", "/bin"]
                .iter()
                .map(|folder| Path::new(folder).join(tool))
                .find(|path| path.exists());
            if let Some(path) = found {
                symlink(path, tools.join(tool)).unwrap();
            }
        }
        for built in ["nss/libnss_svcauth.so", "pam/libpam_svcauth.so", "release/svcauthd", "release/svcauth"]
        {
            let path = root.join("target").join(built);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, built).unwrap();
        }
        Self(root)
    }

    fn install(&self) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/install.sh");
        let mut command = Command::new("/bin/sh");
        command.arg(script).arg(self.0.join("target"));
        command.env_clear().env("PATH", self.0.join("tools")).env("DESTDIR", self.0.join("root"));
        command.output().unwrap()
    }

    fn installed(&self, path: &str) -> PathBuf {
        self.0.join("root").join(path)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn a_host_without_a_compiler_gets_every_file_in_its_place_and_none_that_lets_anybody_in() {
    let host = Host::new("places");
    let ended = host.install();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let all = files(&host.0.join("root"));
    let module = |name: &str| all.iter().find(|path| path.ends_with(name)).unwrap().clone();
    let nss = module("libnss_svcauth.so.2");
    let beside_libc = Path::new("/").join(nss.parent().unwrap().strip_prefix(host.0.join("root")).unwrap());
    assert!(beside_libc.join("libc.so.6").exists(), "{}", beside_libc.display());
    assert_eq!(module("security/pam_svcauth.so").parent().unwrap().parent(), nss.parent());
    for (path, mode) in [
        ("usr/sbin/svcauthd", 0o755),
        ("usr/bin/svcauth", 0o755),
        ("usr/lib/systemd/system/svcauthd.service", 0o644),
        ("etc/svcauth/svcauth.toml", 0o644),
        ("etc/svcauth/directory.ldif", 0o644),
        ("usr/share/doc/svcauth/examples/pam/sudo", 0o644),
    ] {
        let found = fs::metadata(host.installed(path)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(found, mode, "{path}");
    }
    assert!(all.iter().all(|path| path.extension().is_none_or(|end| end != "new")));
    let etc = files(&host.installed("etc"));
    assert!(etc.iter().all(|path| path.starts_with(host.installed("etc/svcauth"))), "{etc:?}");
}

#[test]
fn a_configuration_that_is_there_stays() {
    let host = Host::new("kept");
    assert!(host.install().status.success());
    let config = host.installed("etc/svcauth/svcauth.toml");
    fs::write(&config, "mine").unwrap();
    fs::write(host.0.join("target/release/svcauthd"), "a newer one").unwrap();
    assert!(host.install().status.success());
    assert_eq!(fs::read_to_string(config).unwrap(), "mine");
    assert_eq!(fs::read_to_string(host.installed("usr/sbin/svcauthd")).unwrap(), "a newer one");
}

#[test]
fn what_is_not_built_is_named_and_nothing_is_installed() {
    let host = Host::new("missing");
    fs::remove_file(host.0.join("target/pam/libpam_svcauth.so")).unwrap();
    let ended = host.install();
    assert_eq!(ended.status.code(), Some(1));
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(said.contains("libpam_svcauth.so is not built"), "{said}");
    assert!(!host.0.join("root").exists());
}
