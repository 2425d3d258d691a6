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
    another_package_may_write_the_stacks_later_and_both_stay_what_they_are,
    disable_takes_only_its_own_lines_out_of_files_that_were_edited_since,
    a_word_that_somebody_put_into_the_switch_before_is_no_part_of_the_plan,
    access_lists_attributes_and_labels_stay_with_the_files_that_are_replaced,
);

/// Mode and contents of each file, or where a link points.
pub(crate) type Files = BTreeMap<PathBuf, (u32, Vec<u8>)>;

/// A host with everything installed and the daemon running, and svcauth not switched on.
pub(crate) fn switched_off(world: &World) -> Outcome<Host> {
    let plan = Plan::new(world)?;
    plan.install_switched_off(world)?;
    plan.start_installed(world)
}

/// What the files of a host are, for a comparison byte by byte: mode and contents, or where a link points.
pub(crate) fn files() -> Outcome<Files> {
    let mut found = BTreeMap::new();
    for folder in ["/etc", "/var/lib/pam"] {
        walk(Path::new(folder), &mut found)?;
    }
    Ok(found)
}

fn walk(folder: &Path, found: &mut Files) -> Outcome {
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
pub(crate) fn differing(before: &Files, now: &Files) -> Vec<String> {
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

fn update(words: &[&str]) -> Outcome<Ended> {
    let run = Program::new("pam-auth-update").args(words).env("DEBIAN_FRONTEND", "noninteractive");
    run.run()?.expect_ok()
}

/// The `seen` of pam-auth-update names every profile that it has ever met, and forgets none.
fn without_seen(names: Vec<String>) -> Vec<String> {
    names.into_iter().filter(|name| name != "/var/lib/pam/seen").collect()
}

fn another_package_may_write_the_stacks_later_and_both_stay_what_they_are(world: &mut World) -> Outcome {
    let host = switched_off(world)?;
    let before = files()?;
    update(&["--enable", "mkhomedir"])?;
    let with_other = files()?;
    require_eq("what the other changes", &without_seen(differing(&before, &with_other)).len(), &2)?;
    update(&["--disable", "mkhomedir"])?;
    enable(&["--yes"])?.expect_ok()?;
    update(&["--enable", "mkhomedir"])?;
    let stack = fs::read_to_string("/etc/pam.d/common-session")?;
    require_contains("the stack", &stack, "pam_mkhomedir.so")?;
    require_contains("the stack", &stack, "pam_svcauth.so")?;
    is_in_force(&host)?;
    require_contains("enable", &enable(&["--yes"])?.expect_ok()?.stdout, "switched on already")?;
    // An upgrade of a package that has a profile.
    update(&["--package"])?;
    is_in_force(&host)?;
    svcauth(&["disable", "--yes"])?.expect_ok()?;
    let left = without_seen(differing(&with_other, &files()?));
    require_eq("what differs from the other alone", &left, &Vec::<String>::new())?;
    is_out_of_force(&host)?;
    update(&["--disable", "mkhomedir"])?;
    let left = without_seen(differing(&before, &files()?));
    require_eq("what differs from the beginning", &left, &Vec::<String>::new())
}

fn disable_takes_only_its_own_lines_out_of_files_that_were_edited_since(world: &mut World) -> Outcome {
    let host = switched_off(world)?;
    let before = files()?;
    enable(&["--yes"])?.expect_ok()?;
    let append = |path: &str, line: &str| world.write(path, 0o644, fs::read_to_string(path)? + line);
    append("/etc/pam.d/common-account", "account required pam_time.so\n")?;
    append("/etc/nsswitch.conf", "netgroup: files\n")?;
    append("/etc/ssh/sshd_config.d/10-svcauth.conf", "MaxAuthTries 4\n")?;
    svcauth(&["disable", "--yes"])?.expect_ok()?;
    let expected = |path: &str, line: &str| -> Outcome {
        let old = before.get(Path::new(path)).map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned());
        require_eq(path, &fs::read_to_string(path)?, &(old.unwrap_or_default() + line))
    };
    expected("/etc/pam.d/common-account", "account required pam_time.so\n")?;
    expected("/etc/nsswitch.conf", "netgroup: files\n")?;
    expected("/etc/ssh/sshd_config.d/10-svcauth.conf", "MaxAuthTries 4\n")?;
    let names = without_seen(differing(&before, &files()?));
    require_eq("the files that differ", &names.len(), &3)?;
    is_out_of_force(&host)
}

fn a_word_that_somebody_put_into_the_switch_before_is_no_part_of_the_plan(world: &mut World) -> Outcome {
    let host = switched_off(world)?;
    let switch = "/etc/nsswitch.conf";
    let by_hand =
        fs::read_to_string(switch)?.replace(": files\ngroup: files", ": files svcauth\ngroup: files svcauth");
    world.write(switch, 0o644, by_hand)?;
    getent("passwd", "deployer")?.expect_ok()?;
    let (_, plan) = svcauth_json(&["enable", "--dry-run"])?;
    let paths: Vec<&str> = list_at(&plan, "/changes").iter().map(|change| text_at(change, "/path")).collect();
    require(paths.len() == 8 && !paths.contains(&switch), || format!("{paths:?}"))?;
    enable(&["--yes"])?.expect_ok()?;
    is_in_force(&host)?;
    svcauth(&["disable", "--yes"])?.expect_ok()?;
    is_out_of_force(&host)
}

/// Sets and shows what acl(5) and xattr(7) are about, without packages for it: `UID PATH` gives a list that lets this uid read;
/// `show PATH` prints all.
const LABELS: &str = r#"
import errno, os, struct, sys
if sys.argv[1] == "show":
    for name in sorted(os.listxattr(sys.argv[2])):
        print(name, os.getxattr(sys.argv[2], name).hex())
    sys.exit()
path, nobody = sys.argv[2], 0xFFFFFFFF
entries = [(1, 6, nobody), (2, 4, int(sys.argv[1])), (4, 4, nobody), (16, 4, nobody), (32, 4, nobody)]
packed = b"".join(struct.pack("<HHI", *entry) for entry in entries)
os.setxattr(path, "system.posix_acl_access", struct.pack("<I", 2) + packed)
os.setxattr(path, "security.selinux", b"system_u:object_r:etc_t:s0\0")
try:
    os.setxattr(path, "user.managed-by", b"the site")
except OSError as error:
    # tmpfs has them since Linux 6.6.
    if error.errno != errno.EOPNOTSUPP: raise
"#;

fn run_labels(words: &[&str]) -> Outcome<String> {
    let python = Program::new("python3").args(&["-c", LABELS]).args(words);
    Ok(python.run()?.expect_ok()?.stdout)
}

/// Gives each of these files a list, a label and an attribute.
pub(crate) fn label(paths: &[&str]) -> Outcome {
    paths.iter().try_for_each(|path| run_labels(&["1010", path]).map(drop))
}

/// What these files have of that.
pub(crate) fn labels(paths: &[&str]) -> Outcome<Vec<String>> {
    paths.iter().map(|path| run_labels(&["show", path])).collect()
}

fn access_lists_attributes_and_labels_stay_with_the_files_that_are_replaced(world: &mut World) -> Outcome {
    const FILES: &[&str] = &["/etc/nsswitch.conf", "/etc/pam.d/common-account", "/etc/pam.d/common-session"];
    const DROP_IN: &str = "/etc/ssh/sshd_config.d/10-svcauth.conf";
    let host = switched_off(world)?;
    label(FILES)?;
    let before = labels(FILES)?;
    for name in ["system.posix_acl_access ", "security.selinux "] {
        require(before.iter().all(|shown| shown.contains(name)), || format!("{before:?}"))?;
    }
    let (bytes, expected) = (files()?, ["/etc/nsswitch.conf", "/etc/pam.d/common-account"]);
    enable(&["--yes"])?.expect_ok()?;
    let changed = differing(&bytes, &files()?);
    require(expected.iter().all(|path| changed.iter().any(|it| it == path)), || format!("{changed:?}"))?;
    is_in_force(&host)?;
    require_eq("what they have when it is on", &labels(FILES)?, &before)?;
    // Edited, so that it stays when our lines go.
    let edited = fs::read_to_string(DROP_IN)? + "MaxAuthTries 4\n";
    world.write(DROP_IN, 0o644, edited)?;
    label(&[DROP_IN])?;
    let of_drop_in = labels(&[DROP_IN])?;
    svcauth(&["disable", "--yes"])?.expect_ok()?;
    require_eq("the drop-in", &fs::read_to_string(DROP_IN)?, &"MaxAuthTries 4\n".to_owned())?;
    require_eq("what the drop-in has", &labels(&[DROP_IN])?, &of_drop_in)?;
    require_eq("what they have when it is off", &labels(FILES)?, &before)?;
    is_out_of_force(&host)
}
