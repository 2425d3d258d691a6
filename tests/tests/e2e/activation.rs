//! `svcauth enable` and `svcauth disable` on the distribution's own PAM stacks, with its own pam-auth-update.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use svcauth_tests::cases;
use svcauth_tests::failure::{Outcome, require, require_contains, require_eq};
use svcauth_tests::program::{Ended, Program};
use svcauth_tests::site::{list_at, svcauth, svcauth_json, text_at};
use svcauth_tests::world::World;

use crate::host::{Host, Plan, getent, others_get_in};

cases!("activation":
    enable_puts_svcauth_in_force_and_disable_leaves_every_byte_as_it_was,
    what_would_change_is_shown_exactly_and_nothing_changes_without_a_yes,
);

/// A host with everything installed and the daemon running, and svcauth not switched on.
pub(crate) fn switched_off(world: &World) -> Outcome<Host> {
    let plan = Plan::new(world)?;
    plan.install_switched_off(world)?;
    plan.start_installed(world)
}

/// What the files of a host are, for a comparison byte by byte: mode and contents, or where a link points.
pub(crate) fn files() -> Outcome<BTreeMap<PathBuf, (u32, Vec<u8>)>> {
    let mut found = BTreeMap::new();
    for folder in ["/etc", "/var/lib/pam"] {
        walk(Path::new(folder), &mut found)?;
    }
    Ok(found)
}

fn walk(folder: &Path, found: &mut BTreeMap<PathBuf, (u32, Vec<u8>)>) -> Outcome {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let meta = fs::symlink_metadata(&path)?;
        let contents = if meta.is_symlink() {
            fs::read_link(&path)?.into_os_string().into_encoded_bytes()
        } else if meta.is_file() {
            fs::read(&path)?
        } else {
            Vec::new()
        };
        found.insert(path.clone(), (meta.permissions().mode(), contents));
        if meta.is_dir() {
            walk(&path, found)?;
        }
    }
    Ok(())
}

/// The files that differ, by name.
pub(crate) fn differing(
    before: &BTreeMap<PathBuf, (u32, Vec<u8>)>,
    now: &BTreeMap<PathBuf, (u32, Vec<u8>)>,
) -> Vec<String> {
    let mut names: Vec<String> = before
        .keys()
        .chain(now.keys())
        .filter(|path| before.get(*path) != now.get(*path))
        .map(|path| path.display().to_string())
        .collect();
    names.sort();
    names.dedup();
    names
}

pub(crate) fn enable(options: &[&str]) -> Outcome<Ended> {
    svcauth(&[&["enable"], options].concat())
}

/// Bob is let in and carol is not, and root and local users as always.
pub(crate) fn is_in_force(host: &Host) -> Outcome {
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    host.ssh("carol", "deployer", &["true"])?.expect_refused()?;
    others_get_in(host)
}

/// The account is not there, so nobody becomes it, and the others get in.
pub(crate) fn is_out_of_force(host: &Host) -> Outcome {
    getent("passwd", "deployer")?.expect_code(2)?;
    host.ssh("bob", "deployer", &["true"])?.expect_refused()?;
    others_get_in(host)
}

fn enable_puts_svcauth_in_force_and_disable_leaves_every_byte_as_it_was(world: &mut World) -> Outcome {
    let host = switched_off(world)?;
    let before = files()?;
    is_out_of_force(&host)?;
    let told = enable(&["--yes"])?.expect_ok()?;
    require_contains("what enable says", &told.stdout, "svcauth is switched on")?;
    let changed = differing(&before, &files()?);
    let expected = [
        "/etc/nsswitch.conf",
        "/etc/pam.d/common-account",
        "/etc/pam.d/common-session",
        "/etc/pam.d/common-session-noninteractive",
        "/etc/ssh/sshd_config.d/10-svcauth.conf",
        "/var/lib/pam/account",
        "/var/lib/pam/seen",
        "/var/lib/pam/session",
        "/var/lib/pam/session-noninteractive",
    ];
    require_eq("the changed files", &changed, &expected.map(str::to_owned).to_vec())?;
    is_in_force(&host)?;
    world.log().wait_for(0, "allow", &[("account", "deployer"), ("origin", "bob")])?;
    world.log().wait_for(
        0,
        "deny",
        &[("account", "deployer"), ("origin", "carol"), ("reason", "not_in_role")],
    )?;
    let on = files()?;
    let again = enable(&["--yes"])?.expect_ok()?;
    require_contains("enable once more", &again.stdout, "switched on already")?;
    require_eq("what it changed", &differing(&on, &files()?), &Vec::<String>::new())?;
    let told = svcauth(&["disable", "--yes"])?.expect_ok()?;
    require_contains("what disable says", &told.stdout, "What stays: ")?;
    require_eq("what is left", &differing(&before, &files()?), &Vec::<String>::new())?;
    is_out_of_force(&host)?;
    let again = svcauth(&["disable", "--yes"])?.expect_ok()?;
    require_contains("disable once more", &again.stdout, "switched off already")?;
    enable(&["--yes"])?.expect_ok()?;
    is_in_force(&host)
}

fn what_would_change_is_shown_exactly_and_nothing_changes_without_a_yes(world: &mut World) -> Outcome {
    let host = switched_off(world)?;
    let before = files()?;
    let shown = enable(&["--dry-run"])?.expect_ok()?;
    for line in [
        "--- /etc/pam.d/common-account\n+++ /etc/pam.d/common-account\n@@ ",
        "\n+account\t[success=2 ignore=2 module_unknown=ignore default=die]\tpam_svcauth.so \n",
        "--- /dev/null\n+++ /etc/ssh/sshd_config.d/10-svcauth.conf\n@@ -0,0 +1,",
        "\n-passwd: files\n-group: files\n+passwd: files svcauth\n+group: files svcauth\n",
        "Nothing was changed.",
    ] {
        require_contains("what would change", &shown.stdout, line)?;
    }
    let refused = enable(&[])?.expect_code(2)?;
    require_contains("without a terminal", &refused.stderr, "--yes")?;
    require_contains("without a terminal", &refused.stdout, "+passwd: files svcauth")?;
    let (code, plan) = svcauth_json(&["enable", "--dry-run"])?;
    require_eq(
        "the plan in JSON",
        &(code, text_at(&plan, "/state"), list_at(&plan, "/changes").len()),
        &(0, "off", 9),
    )?;
    world.as_user("local", &["/usr/bin/svcauth", "enable", "--yes"]).run()?.expect_code(1)?;
    require_eq("what has changed", &differing(&before, &files()?), &Vec::<String>::new())?;
    is_out_of_force(&host)?;
    // What was shown is what patch(1) and enable both make of the files.
    let diff = shown.stdout.split("also, so that").next().unwrap_or_default().to_owned();
    Program::new("cp").args(&["-a", "/etc", "/tmp/etc"]).run()?.expect_ok()?;
    Program::new("patch").args(&["-p2", "-d", "/tmp/etc"]).input(diff).run()?.expect_ok()?;
    enable(&["--yes"])?.expect_ok()?;
    let compared = Program::new("diff").args(&["-r", "--no-dereference", "/etc", "/tmp/etc"]).run()?;
    require(compared.ok(), || compared.report())?;
    require_eq("copies that are left", &fs::read_dir("/run/svcauth/planned")?.count(), &0)
}
