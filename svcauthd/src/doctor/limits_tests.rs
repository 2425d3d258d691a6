use std::fs::{Permissions, create_dir_all, set_permissions, write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use svcauth_core::config::{Config, WrittenRule};

use super::{Host, kernel, listed, missing, other_ways, shell};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("svcauth-doctor-limits-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&root);
        create_dir_all(&root).unwrap();
        Self(root)
    }

    fn put(&self, path: &str, mode: u32, bytes: &[u8]) {
        let path = self.0.join(path.trim_start_matches('/'));
        create_dir_all(path.parent().unwrap()).unwrap();
        write(&path, bytes).unwrap();
        set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }

    fn host(&self) -> Host {
        Host::in_folder(&self.0)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn rule(more: &str) -> WrittenRule {
    let head = "[directory]\nkind = \"ldif\"\nfile = \"/etc/d.ldif\"\n[accounts]\nid_range = \"7000-7999\"\n";
    let text = format!("{head}[[access]]\naccounts = [\"deployer\"]\nroles = [\"r\"]\n{more}\n");
    Config::parse(&text).unwrap().access.remove(0)
}

/// The head of a program of 64 bits with one segment of this type.
fn program(segment: u32) -> Vec<u8> {
    let mut bytes = super::elf::smallest();
    bytes[64..68].copy_from_slice(&segment.to_ne_bytes());
    bytes
}

#[test]
fn the_shell_is_a_program_of_root_that_asks_for_no_linker() {
    const SHELL: &str = "/usr/bin/svcauth-shell";
    let folder = Folder::new("shell");
    let code = || shell(&folder.host()).map(|found| found.code);
    assert_eq!(code(), Some("shell_missing"));
    folder.put(SHELL, 0o755, &program(1));
    assert_eq!(code(), None);
    folder.put(SHELL, 0o755, &program(3));
    assert_eq!(code(), Some("shell_broken"));
    folder.put(SHELL, 0o755, b"#!/bin/sh\n");
    assert_eq!(code(), Some("shell_broken"));
    folder.put(SHELL, 0o750, &program(1));
    assert_eq!(code(), Some("shell_broken"));
    folder.put(SHELL, 0o775, &program(1));
    assert_eq!(code(), Some("shell_writable"));
}

#[test]
fn it_is_no_shell_that_users_may_choose_another_for() {
    let folder = Folder::new("shells");
    folder.put("/etc/shells", 0o644, b"# x\n/bin/sh\n/usr/bin/svcauth-shells\n");
    assert_eq!(listed(&folder.host()), None);
    folder.put("/etc/shells", 0o644, b"/bin/sh\n/bin/svcauth-shell\n");
    let found = listed(&folder.host()).unwrap();
    assert_eq!((found.code, found.place), ("shell_listed", Some(("/etc/shells".into(), Some(2)))));
}

#[test]
fn paths_need_a_kernel_that_can_confine_to_them() {
    let some = rule("commands = [{ kind = \"git\", access = \"read\", paths = [\"/srv\"] }]");
    let all = rule("sftp = \"write\"\ncommands = [[\"/bin/ls\", \"/srv\"]]");
    let code = |can_confine: bool, rule: &WrittenRule| {
        kernel(can_confine, rule, rule.limits.as_ref().unwrap()).map(|it| it.code)
    };
    assert_eq!(code(true, &some), None);
    assert_eq!((code(false, &some), code(false, &all)), (Some("limits_no_landlock"), None));
}

#[test]
fn programs_and_paths_that_are_not_here_are_named_once_for_each_rule() {
    let folder = Folder::new("missing");
    folder.put("/bin/ls", 0o755, b"");
    folder.put("/srv/here/x", 0o644, b"");
    let of = |commands: &str| {
        let rule = rule(&format!("commands = [{commands}]"));
        missing(&folder.host(), &rule, rule.limits.as_ref().unwrap())
    };
    let files = |path: &str| format!("{{ kind = \"rsync\", access = \"read\", paths = [\"{path}\"] }}");
    assert_eq!(
        of(&format!("[\"/bin/ls\"], {}, {}, {{ kind = \"any\" }}", files("/srv/here"), files("/"))),
        None
    );
    let found = of(&format!("[\"/bin/sl\"], {}", files("/srv/there"))).unwrap();
    assert_eq!((found.code, found.place.unwrap().1), ("command_missing", Some(6)));
    assert!(found.what.starts_with("not on this host: /bin/sl, /srv/there;"), "{}", found.what);
    let found = of("[\"/bin/ls -l /srv\"]").unwrap();
    assert!(found.fix.starts_with("write each word of a command as a text of its own"), "{}", found.fix);
}

#[test]
fn services_that_start_no_login_shell_are_named_with_the_line_of_the_rule() {
    let of = |services: &str| other_ways(&rule(&format!("shell = \"deny\"\n{services}")));
    assert_eq!(of("services = [\"sshd\", \"su\", \"login\"]"), None);
    let found = of("").unwrap();
    assert!(found.what.contains("sudo runs") && !found.what.contains("jobs"), "{}", found.what);
    assert_eq!(found.place, Some((Path::new("/etc/svcauth/svcauth.toml").to_owned(), Some(6))));
    let found = of("services = [\"cron\", \"sshd\", \"systemd-user\"]").unwrap();
    assert!(found.what.contains("cron, systemd-user runs") && !found.what.contains("sudo"), "{}", found.what);
}
