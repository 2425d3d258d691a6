//! The distribution's programs that the tests drive: what is missing, and how it gets here.

use std::time::Duration;

use nix::unistd::geteuid;

use crate::failure::{Context, Failure, Outcome, require};
use crate::program::Program;

/// What a run needs besides a Rust toolchain and a linker.
pub const NEEDED: &[&str] = &[
    "openssh-server",
    "openssh-client",
    "slapd",
    "ldap-utils",
    "samba-ad-dc",
    "samba-ad-provision",
    "ldb-tools",
    "libsss-idmap0",
    "krb5-kdc",
    "krb5-admin-server",
    "krb5-user",
    "cron",
    "at",
    "sudo",
    "systemd",
    "login",
    "util-linux",
    "rsyslog",
    "prometheus-node-exporter",
    "openssl",
    "binutils",
    "iproute2",
    "libpam0g-dev",
    "libssl-dev",
    "pkg-config",
    "python3-jsonschema",
    "strace",
    "patch",
    "python3-yaml",
    "ansible-core",
    "python3-venv",
    "rsync",
    "git",
    "man-db",
    "mandoc",
    "dpkg-dev",
    "lintian",
    "rpm",
    "shellcheck",
];

/// sssd, which a world installs for itself ([`install_here`]): on the machine it would change PAM and the name service.
pub const SSSD: &[&str] = &["sssd-ldap"];

/// Starts no service while a package is set up, and is gone afterwards, also after an interruption. `$@` is for apt-get.
const INSTALL: &str = r#"
set -eu
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' INT TERM HUP
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
apt-get update -q
apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
"#;

/// Fails with the next step when the caller is not root or the system has no apt.
pub fn require_root() -> Outcome {
    require(geteuid().is_root(), || {
        "this needs root: it starts a real sshd in private namespaces and installs what is missing. Run it with sudo, \
         or as root in a container or virtual machine."
            .to_owned()
    })
}

/// Installs what is missing of `needed`. `say` gets one sentence before anything is changed, and none when nothing is
/// missing.
pub fn ensure(needed: &[&str], say: impl Fn(&str)) -> Outcome {
    let query =
        Program::new("dpkg-query").args(&["-W", "-f", "${Package} ${db:Status-Status}\n"]).args(needed);
    let known = query.run().map_err(|_| no_apt(needed))?.stdout;
    let missing = not_installed(needed, &known);
    if missing.is_empty() {
        return Ok(());
    }
    require_root()?;
    say(&format!("installing from the distribution: {}", missing.join(" ")));
    let install = Program::new("sh").args(&["-c", INSTALL, "install"]).args(&missing);
    let quiet = install.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
    let done = quiet.patience(Duration::from_secs(900)).run()?;
    done.expect_ok().doing("apt-get install").map(drop)
}

/// Downloads what is missing of `wanted` and of what it needs, and installs nothing.
pub fn download(wanted: &[&str], say: impl Fn(&str)) -> Outcome {
    let options = ["install", "-qq", "-y", "--no-install-recommends"];
    let known = Program::new("apt-get").args(&options).arg("--print-uris").args(wanted).run()?;
    if known.ok() && known.stdout.trim().is_empty() {
        return Ok(());
    }
    require_root()?;
    say(&format!("downloading from the distribution, not installing: {}", wanted.join(" ")));
    Program::new("apt-get").args(&["update", "-q"]).patience(Duration::from_secs(300)).run()?.expect_ok()?;
    let fetch = Program::new("apt-get").args(&options).arg("--download-only").args(wanted);
    fetch.patience(Duration::from_secs(900)).run()?.expect_ok().doing("apt-get --download-only").map(drop)
}

/// Installs downloaded packages in the world that this process is in; needs no network.
pub fn install_here(wanted: &[&str]) -> Outcome {
    let options = ["install", "-q", "-y", "--no-install-recommends", "--no-download"];
    let quick = ["-o", "Dpkg::Options::=--force-unsafe-io", "-o", "Dpkg::Options::=--force-confold"];
    let install = Program::new("apt-get").args(&options).args(&quick).args(wanted);
    let quiet = install.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
    quiet.patience(Duration::from_secs(120)).run()?.expect_ok().doing("install in the world").map(drop)
}

fn not_installed<'a>(needed: &[&'a str], known: &str) -> Vec<&'a str> {
    let installed = |name: &str| known.lines().any(|line| line.split_once(' ') == Some((name, "installed")));
    needed.iter().copied().filter(|name| !installed(name)).collect()
}

fn no_apt(needed: &[&str]) -> Failure {
    Failure::new(format!(
        "dpkg-query is not here: this runs on Debian and its relatives. It needs the programs of the packages {}.",
        needed.join(" ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_counts_only_when_it_is_fully_installed() {
        let known = NEEDED.iter().map(|name| format!("{name} installed\n")).collect::<String>();
        assert!(not_installed(NEEDED, &known).is_empty());
        let broken = known.replace("slapd installed", "slapd config-files");
        assert_eq!(not_installed(NEEDED, &broken), ["slapd"]);
        assert_eq!(not_installed(NEEDED, "").len(), NEEDED.len());
    }
}
