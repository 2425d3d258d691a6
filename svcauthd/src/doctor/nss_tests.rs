use std::path::PathBuf;

use super::{Item, examine, is_enabled, parse, unknown_local_accounts};
use crate::doctor::{Host, Site};
use svcauth_core::config::Managed;

struct World(PathBuf);

impl World {
    fn new(name: &str, nsswitch: &str) -> Self {
        let root = std::env::temp_dir().join(format!("svcauth-doctor-nss-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&root);
        let world = Self(root);
        world.write("etc/nsswitch.conf", nsswitch.as_bytes());
        world.write("etc/passwd", b"root:x:0:0::/root:/bin/sh\nalice:x:1001:1001::/home/alice:/bin/sh\n");
        world.write("etc/group", b"root:x:0:\nalice:x:1001:\n");
        let library = crate::doctor::elf::smallest();
        world.write("usr/lib/x86_64-linux-gnu/libnss_svcauth.so.2", &library);
        world
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.0.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// `code file:line` of every finding.
    fn codes(&self) -> Vec<String> {
        let host = Host::in_folder(&self.0);
        let mut found = examine(&host, &site());
        found.extend(unknown_local_accounts(&host, &site()));
        let shown = found.into_iter().map(|it| {
            let (file, line) = it.place.unwrap();
            let line = line.map_or_else(String::new, |line| format!(":{line}"));
            format!("{} {}{line}", it.code, file.display())
        });
        shown.collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn site() -> Site {
    let managed =
        Managed { id_range: "7000-7999".parse().unwrap(), local_accounts: vec!["alice".to_owned()] };
    Site { managed: Some(managed), ..Site::default() }
}

const HEALTHY: &str = "# x\npasswd:         files systemd svcauth\ngroup:\tfiles svcauth\nshadow: files\n";

#[test]
fn the_sources_are_read_with_what_happens_after_each() {
    let it = parse("passwd: files [NotFound=return success=merge]sss # svcauth\n", "passwd").unwrap();
    let actions = Item::Actions(vec!["notfound=return".to_owned(), "success=merge".to_owned()]);
    assert_eq!(it.items, [Item::Source("files".to_owned()), actions, Item::Source("sss".to_owned())]);
    assert!(parse("group: files\n", "passwd").is_none());
}

#[test]
fn every_order_that_hides_an_account_or_puts_it_before_a_local_user_is_named() {
    for (nsswitch, codes) in [
        (HEALTHY, &[] as &[&str]),
        ("passwd: files\ngroup: files\n", &["nss_missing /etc/nsswitch.conf:1"]),
        ("passwd: files svcauth\ngroup: files\n", &["nss_half /etc/nsswitch.conf:2"]),
        ("passwd: files svcauth\n", &["nss_half /etc/nsswitch.conf"]),
        ("passwd: svcauth files\ngroup: files svcauth\n", &["nss_order /etc/nsswitch.conf:1"]),
        (
            "passwd: files [NOTFOUND=return] svcauth\ngroup: files svcauth\n",
            &["nss_cut_off /etc/nsswitch.conf:1"],
        ),
        (
            "passwd: files [!SUCCESS=return] svcauth\ngroup: files svcauth\n",
            &["nss_cut_off /etc/nsswitch.conf:1"],
        ),
        ("passwd: files svcauth [NOTFOUND=return]\ngroup: files [UNAVAIL=return] svcauth\n", &[]),
        (
            "passwd: files svcauth\ngroup: files [SUCCESS=merge] svcauth\n",
            &["nss_merge /etc/nsswitch.conf:2"],
        ),
        (
            "passwd: files svcauth\ngroup: files svcauth\ninitgroups: files\n",
            &["nss_initgroups /etc/nsswitch.conf:3"],
        ),
        ("passwd: files svcauth\ngroup: files svcauth\ninitgroups: files [SUCCESS=continue] svcauth\n", &[]),
    ] {
        assert_eq!(World::new("order", nsswitch).codes(), codes, "{nsswitch}");
    }
}

#[test]
fn a_library_that_is_lost_broken_or_not_only_roots_is_named() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new("library", HEALTHY);
    let path = world.0.join("usr/lib/x86_64-linux-gnu/libnss_svcauth.so.2");
    assert!(is_enabled(&Host::in_folder(&world.0)));
    assert_eq!(world.codes(), [] as [&str; 0]);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o646)).unwrap();
    assert_eq!(world.codes(), ["nss_module_writable /usr/lib/x86_64-linux-gnu/libnss_svcauth.so.2"]);
    std::fs::write(&path, "garbage").unwrap();
    assert_eq!(world.codes(), ["nss_module_broken /usr/lib/x86_64-linux-gnu/libnss_svcauth.so.2"]);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(world.codes(), ["nss_module_missing /etc/nsswitch.conf"]);
}

#[test]
fn local_users_and_groups_under_numbers_of_the_directory_are_named_and_local_accounts_are_not() {
    let world = World::new("ids", HEALTHY);
    world.write(
        "etc/passwd",
        b"root:x:0:0::/root:/bin/sh\nalice:x:7002:7::/:/bin/sh\nmallory:x:7001:7::/:/bin/sh\n",
    );
    world.write("etc/group", b"root:x:0:\napps:x:7500:\n");
    assert_eq!(world.codes(), ["nss_local_uid /etc/passwd:3", "nss_local_gid /etc/group:2"]);
    world.write("etc/passwd", b"root:x:0:0::/root:/bin/sh\n");
    world.write("etc/group", b"root:x:0:\n");
    assert_eq!(world.codes(), ["local_account_unknown /etc/svcauth/svcauth.toml"]);
}
