//! A host with svcauth installed, as a package and an administrator would leave it.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;

use serde_json::Value;

use crate::directory::{Directory, Schema};
use crate::failure::{Context, Failure, Outcome, require};
use crate::program::{Ended, Program};
use crate::world::World;

/// The configuration file.
pub const CONFIG: &str = "/etc/svcauth/svcauth.toml";
/// The directory file of `kind = "ldif"`.
pub const LDIF: &str = "/etc/svcauth/directory.ldif";
/// The uid and gid of the user svcauth in a world.
pub const SVCAUTH_ID: u32 = 991;

const EXAMPLE_CONFIG: &str = include_str!("../../conf/svcauth.toml");
const TMPFILES: &str = include_str!("../../conf/tmpfiles.conf");
const SSHD_DROP_IN: &str = include_str!("../../conf/sshd/svcauth.conf");
/// The profile of pam-auth-update(8).
const PAM_PROFILE: &str = include_str!("../../conf/pam-configs/svcauth");
const NSSWITCH: &str =
    "passwd: files svcauth\ngroup: files svcauth\nshadow: files\nhosts: files\nservices: files\n";

/// The PAM stacks of `conf/pam`: what the documentation shows is what the tests run.
const STACKS: &[(&str, &str)] = &[
    ("sshd", include_str!("../../conf/pam/sshd")),
    ("su", include_str!("../../conf/pam/su")),
    ("su-l", include_str!("../../conf/pam/su-l")),
    ("sudo", include_str!("../../conf/pam/sudo")),
    ("sudo-i", include_str!("../../conf/pam/sudo-i")),
    ("login", include_str!("../../conf/pam/login")),
    ("cron", include_str!("../../conf/pam/cron")),
    ("atd", include_str!("../../conf/pam/atd")),
];

/// Debian's common stacks without what a desktop or another directory client adds to them.
const COMMON: &[(&str, &str)] = &[
    (
        "auth",
        "auth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so\nauth required pam_permit.so\n",
    ),
    (
        "account",
        "account [success=1 new_authtok_reqd=done default=ignore] pam_unix.so\naccount requisite pam_deny.so\n\
         account required pam_permit.so\n",
    ),
    ("session", "session required pam_unix.so\n"),
    ("session-noninteractive", "session required pam_unix.so\n"),
    ("password", "password required pam_unix.so yescrypt\n"),
];

/// What svcauth is told: its configuration and, for `kind = "ldif"`, its directory.
#[derive(Debug, Clone)]
pub struct Site {
    /// The text of `svcauth.toml`.
    pub config: String,
    /// The entries of the LDIF file.
    pub directory: Directory,
}

impl Site {
    /// The examples of `conf/`, unchanged.
    pub fn example() -> Self {
        Self { config: EXAMPLE_CONFIG.to_owned(), directory: Directory::example() }
    }

    /// Replaces a part of the configuration; the part must be there once.
    pub fn configure(&mut self, from: &str, to: &str) -> Outcome {
        let times = self.config.matches(from).count();
        require(times == 1, || format!("{from:?} is {times} times in the configuration"))?;
        self.config = self.config.replace(from, to);
        Ok(())
    }

    /// Replaces every `[[access]]` of the configuration.
    pub fn access(&mut self, rules: &str) {
        let kept = self.config.split("[[access]]").next().unwrap_or_default();
        self.config = format!("{kept}{rules}\n");
    }

    /// Installs everything: modules, daemon, command, user, folders, name service, PAM stacks, sudoers, configuration.
    /// The daemon is not started.
    pub fn install(&self, world: &World) -> Outcome {
        self.install_switched_off(world)?;
        world.write("/etc/nsswitch.conf", 0o644, NSSWITCH)?;
        for (name, stack) in STACKS {
            world.write(format!("/etc/pam.d/{name}"), 0o644, stack)?;
        }
        for (name, stack) in COMMON {
            world.write(format!("/etc/pam.d/common-{name}"), 0o644, stack)?;
        }
        world.write("/etc/sudoers", 0o440, "root ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n")
    }

    /// Installs everything as the packages do: nothing about who can log in is changed. The name service and PAM stay as the
    /// distribution has them.
    pub fn install_switched_off(&self, world: &World) -> Outcome {
        install_products(world)?;
        world.local_service("svcauth", SVCAUTH_ID)?;
        make_folders()?;
        world.write("/usr/share/pam-configs/svcauth", 0o644, PAM_PROFILE)?;
        self.write(world)
    }

    /// Writes the configuration and the LDIF file again; the daemon sees it at its next look or `svcauth sync`.
    pub fn write(&self, world: &World) -> Outcome {
        world.write(CONFIG, 0o644, &self.config)?;
        let fresh = format!("{LDIF}.new");
        world.write(&fresh, 0o644, self.directory.text(Schema::Rfc2307bis))?;
        fs::rename(fresh, LDIF).doing("replace the LDIF file")
    }

    /// Lets sshd ask svcauth for keys, with the drop-in of `conf/sshd`.
    pub fn keys_from_directory(world: &World) -> Outcome {
        world.write("/etc/ssh/sshd_config.d/10-svcauth.conf", 0o644, SSHD_DROP_IN)
    }
}

/// Runs the command `svcauth` as root.
pub fn svcauth(args: &[&str]) -> Outcome<Ended> {
    Program::new("/usr/bin/svcauth").args(args).run()
}

/// Runs `svcauth ARGS --json` and reads what it prints; any exit status will do.
pub fn svcauth_json(args: &[&str]) -> Outcome<(i32, Value)> {
    let ended = Program::new("/usr/bin/svcauth").args(args).arg("--json").run()?;
    let value =
        serde_json::from_str(&ended.stdout).map_err(|e| Failure::new(format!("{e}\n{}", ended.report())))?;
    Ok((ended.code, value))
}

/// The text at a JSON pointer, e.g. `/roles/0/name`; empty when it is not there or no text.
pub fn text_at<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The items of the list at a JSON pointer; none when it is not there or no list.
pub fn list_at<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn install_products(world: &World) -> Outcome {
    let security = world.pam_folder()?;
    let libraries = security.parent().ok_or_else(|| Failure::new("the PAM folder has no parent"))?;
    let built = world.artifacts();
    world.copy(built.pam_module(), security.join("pam_svcauth.so"), 0o644)?;
    world.copy(built.nss_module(), libraries.join("libnss_svcauth.so.2"), 0o644)?;
    world.copy(built.daemon(), "/usr/sbin/svcauthd", 0o755)?;
    world.copy(built.command(), "/usr/bin/svcauth", 0o755)?;
    world.copy(built.shell(), "/usr/bin/svcauth-shell", 0o755)
}

/// Does what systemd-tmpfiles would do with `conf/tmpfiles.conf`.
fn make_folders() -> Outcome {
    for line in TMPFILES.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["d", path, mode, user, group, ..] = words.as_slice() else {
            continue;
        };
        let mode = u32::from_str_radix(mode, 8).doing(format!("the mode of {path}"))?;
        make_folder(Path::new(path), mode, id_of(user)?, id_of(group)?).doing(format!("make {path}"))?;
    }
    Ok(())
}

fn make_folder(path: &Path, mode: u32, uid: u32, gid: u32) -> Outcome {
    use std::os::unix::fs::PermissionsExt as _;
    fs::create_dir_all(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(chown(path, Some(uid), Some(gid))?)
}

fn id_of(name: &str) -> Outcome<u32> {
    match name {
        "root" => Ok(0),
        "svcauth" => Ok(SVCAUTH_ID),
        other => Err(Failure::new(format!("tmpfiles.conf names {other:?}"))),
    }
}
