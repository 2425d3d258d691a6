//! A private world for one test: its own /etc, /var/lib, /run and /dev, so that the module's fixed paths are the test's.

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MsFlags, mount};

use super::build;
use super::site::Site;

const WORLD: &str = "SVCAUTH_PAM_WORLD";
const MODULE: &str = "SVCAUTH_PAM_MODULE";
const SCRIPTED: &str = "SVCAUTH_PAM_SCRIPTED";
const HERE: &str = "/run/world";

/// The code by which [`World::services`] makes `PAM_IGNORE` visible.
pub(crate) const IGNORE: i32 = 29;
pub(crate) const SUCCESS: i32 = 0;
pub(crate) const DENIED: i32 = 6;

const CONFIG: &str = r#"
[directory]
kind = "ldif"
[accounts]
id_range = "7000-7999"
local_accounts = ["postgres"]
[[access]]
accounts = ["deployer"]
roles = ["application"]
"#;

const PASSWD: &str = "root:x:0:0::/root:/bin/sh\n\
                      alice:x:1001:1001::/home/alice:/bin/sh\n\
                      postgres:x:112:112::/:/bin/sh\n\
                      deployer:*:7001:7001::/home/deployer:/bin/sh\n";

/// Where a test body runs.
pub(crate) struct World {
    log: Option<UnixDatagram>,
}

/// Runs a body in a world of its own: this very test again, in a new process, as root of new mounts.
pub(crate) fn in_world(test: &str, body: impl FnOnce(&mut World)) {
    in_world_by(test, &[], body);
}

/// The same in an audit session of its own, as pam_loginuid(8) begins one; where the kernel lets us.
pub(crate) fn in_world_of_a_login(test: &str, body: impl FnOnce(&mut World)) {
    in_world_by(test, &["sh", "-c", "echo 7001 > /proc/self/loginuid; exec \"$@\"", "sh"], body);
}

fn in_world_by(test: &str, through: &[&str], body: impl FnOnce(&mut World)) {
    if std::env::var(WORLD).is_ok_and(|name| name == test) {
        return body(&mut World::enter());
    }
    let Some(unshare) = unshare() else {
        skipped(test, "neither root nor user namespaces here");
        return;
    };
    let status = Command::new("unshare")
        .args(unshare)
        .args(through)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(WORLD, test)
        .env(MODULE, build::module())
        .env(SCRIPTED, build::scripted())
        .status()
        .unwrap();
    assert!(status.success(), "{test} in its world: {status}");
}

/// The same with a daemon that was built before.
pub(crate) fn in_world_with_daemon(test: &str, body: impl FnOnce(&mut World)) {
    if std::env::var_os(WORLD).is_none() {
        build::daemon();
    }
    in_world(test, body);
}

/// Written past the capture of the test harness: a test that did not run must not look like one that passed.
pub(crate) fn skipped(test: &str, why: &str) {
    let line = format!("SKIPPED {test}: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// How to get new mounts here, if at all.
fn unshare() -> Option<&'static [&'static str]> {
    let ways: [&[&str]; 2] = [&["-m", "--propagation", "private"], &["-Urm", "--propagation", "private"]];
    ways.into_iter().find(|way| {
        let probe = ["mount", "-t", "tmpfs", "none", "/run"];
        let output = Command::new("unshare").args(*way).args(probe).output();
        output.is_ok_and(|output| output.status.success())
    })
}

impl World {
    fn enter() -> Self {
        let [module, scripted] =
            [MODULE, SCRIPTED].map(|name| fs::read(std::env::var(name).unwrap()).unwrap());
        let cache = fs::read("/etc/ld.so.cache").unwrap_or_default();
        private_dev();
        for folder in ["/etc", "/var/lib", "/run"] {
            tmpfs(folder);
        }
        fs::write("/etc/ld.so.cache", cache).unwrap();
        fs::write("/etc/nsswitch.conf", "passwd: files\ngroup: files\n").unwrap();
        fs::write("/etc/passwd", PASSWD).unwrap();
        fs::create_dir_all(HERE).unwrap();
        fs::write(format!("{HERE}/pam_svcauth.so"), module).unwrap();
        fs::write(format!("{HERE}/scripted.so"), scripted).unwrap();
        for folder in ["/etc/svcauth", "/var/lib/svcauth"] {
            fs::create_dir(folder).unwrap();
        }
        let mut world = Self { log: None };
        world.services();
        world.restore();
        world
    }

    /// A stack for every service a test names. Behind our line a module that returns 29, reached on PAM_IGNORE only.
    fn services(&self) {
        fs::create_dir(self.pam_folder()).unwrap();
        let stack: String = ["auth", "account", "password", "session"]
            .iter()
            .map(|phase| {
                format!(
                    "{phase} [success=done ignore=ignore default=die] {HERE}/pam_svcauth.so\n\
                     {phase} required {HERE}/scripted.so {IGNORE}\n"
                )
            })
            .collect();
        for service in [
            "sshd",
            "su",
            "su-l",
            "sudo",
            "sudo-i",
            "runuser",
            "runuser-l",
            "login",
            "cron",
            "crond",
            "atd",
            "systemd-user",
            "vsftpd",
            "other",
        ] {
            fs::write(self.pam_folder().join(service), &stack).unwrap();
        }
    }

    /// A service with a stack of its own; `SVCAUTH` stands for our module, `SCRIPTED` for the other one.
    pub(crate) fn service(&self, name: &str, stack: &str) {
        let stack = stack
            .replace("SVCAUTH", &format!("{HERE}/pam_svcauth.so"))
            .replace("SCRIPTED", &format!("{HERE}/scripted.so"));
        fs::write(self.pam_folder().join(name), stack).unwrap();
    }

    pub(crate) fn pam_folder(&self) -> PathBuf {
        Path::new(HERE).join("pam.d")
    }

    /// Everything as it should be: a fresh snapshot, the configuration, a log that is read, no session.
    pub(crate) fn restore(&mut self) {
        for path in [SNAPSHOT, CONFIG_FILE, LAST_MANAGED] {
            let _ = fs::remove_file(path);
            let _ = fs::remove_dir(path);
        }
        let _ = fs::remove_dir_all("/run/svcauth");
        let _ = fs::remove_file("/run/svcauth");
        self.write(CONFIG_FILE, 0o644, CONFIG);
        self.write(LAST_MANAGED, 0o644, "id_range 7000-7999\nlocal_account postgres\n");
        self.publish(&Site::usual());
        self.open_log();
    }

    pub(crate) fn write(&self, path: &str, mode: u32, bytes: impl AsRef<[u8]>) {
        let _ = fs::remove_file(path);
        fs::write(path, bytes).unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    pub(crate) fn publish(&self, site: &Site) {
        self.write(SNAPSHOT, 0o640, site.snapshot());
    }

    /// A log server that reads what it gets.
    pub(crate) fn open_log(&mut self) {
        let _ = fs::remove_file(LOG);
        let log = UnixDatagram::bind(LOG).unwrap();
        log.set_nonblocking(true).unwrap();
        self.log = Some(log);
    }

    /// No log server at all.
    pub(crate) fn remove_log(&mut self) {
        self.log = None;
        let _ = fs::remove_file(LOG);
    }

    /// A log server that has stopped reading, its queue full.
    pub(crate) fn stall_log(&mut self) {
        self.open_log();
        let sender = UnixDatagram::unbound().unwrap();
        sender.set_nonblocking(true).unwrap();
        while sender.send_to(b"full", LOG).is_ok() {}
    }

    /// The records since the last call, without `<PRI>svcauth[PID]: `.
    pub(crate) fn records(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut buffer = vec![0; 1 << 16];
        while let Some(len) = self.log.as_ref().and_then(|log| log.recv(&mut buffer).ok()) {
            let text = String::from_utf8(buffer[..len].to_vec()).unwrap();
            let (tag, line) = text.split_once(": ").unwrap();
            assert!(tag.contains(">svcauth["), "{text}");
            found.push(line.to_owned());
        }
        found
    }

    /// The entries in the session registry, each as `FOLDER/NAME`.
    pub(crate) fn sessions(&self) -> Vec<String> {
        let folders = fs::read_dir(SESSIONS).into_iter().flatten().map(|folder| folder.unwrap().path());
        let entries = folders.flat_map(|folder| fs::read_dir(folder).unwrap());
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.map(|path| path.strip_prefix(SESSIONS).unwrap().to_str().unwrap().to_owned()).collect()
    }
}

pub(crate) const SNAPSHOT: &str = "/var/lib/svcauth/access.snap";
pub(crate) const CONFIG_FILE: &str = "/etc/svcauth/svcauth.toml";
pub(crate) const LAST_MANAGED: &str = "/var/lib/svcauth/managed";
pub(crate) const SESSIONS: &str = "/run/svcauth/sessions";
pub(crate) const LOG: &str = "/dev/log";

fn tmpfs(folder: &str) {
    let flags = MsFlags::MS_NOSUID;
    mount(Some("none"), folder, Some("tmpfs"), flags, Some("mode=0755")).unwrap();
}

/// A /dev with the devices a process may want, and room for a log socket.
fn private_dev() {
    tmpfs("/run");
    let new = Path::new("/run/dev");
    fs::create_dir(new).unwrap();
    tmpfs("/run/dev");
    for device in ["null", "zero", "urandom", "random"] {
        File::create(new.join(device)).unwrap();
        let bind = MsFlags::MS_BIND;
        mount(Some(&Path::new("/dev").join(device)), &new.join(device), None::<&str>, bind, None::<&str>)
            .unwrap();
    }
    mount(Some(new), "/dev", None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>).unwrap();
}
