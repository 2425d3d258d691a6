//! `svcauth doctor` on a host whose PAM stacks are those of the distribution with the profile of the package.

use svcauth_tests::cases;
use svcauth_tests::failure::{Context, Outcome, require_contains, require_eq};
use svcauth_tests::program::Program;
use svcauth_tests::seeded::{FAULTS, Fault, On, Seeder};
use svcauth_tests::site::{Site, list_at, svcauth, svcauth_json, text_at};
use svcauth_tests::world::World;

use crate::host::{Host, LOCAL_USERS, Plan};

cases!("doctor":
    every_seeded_fault_is_named_with_its_file,
    another_source_that_knows_the_number_of_an_account_is_named,
    a_host_that_nobody_has_enabled_has_no_fault,
    a_finding_says_line_and_fix_and_the_exit_status_counts_faults,
);

const PROFILE: &str = include_str!("../../../conf/pam-configs/svcauth");

/// Services whose stacks a world has from `conf/pam`, with lines that were written by hand.
const BY_HAND: &[&str] = &["sshd", "su", "sudo", "sudo-i", "login", "cron", "atd"];

/// What stands in those lines: the module, and the two that count when it is lost.
const BY_HAND_MODULES: &[&str] = &["pam_svcauth.so", "pam_listfile.so", "pam_localuser.so"];

/// The lines of a part of the profile, as pam-auth-update writes them.
fn profile(part: &str) -> String {
    let begins = format!("{part}:");
    let lines = PROFILE.lines().skip_while(|line| *line != begins).skip(1);
    lines
        .take_while(|line| line.starts_with('\t'))
        .map(|line| format!("{}{line}\n", part.to_lowercase()))
        .collect()
}

/// Takes the lines that were written by hand out, and puts those of the profile where pam-auth-update puts them.
fn enable(world: &World) -> Outcome {
    for service in BY_HAND {
        let path = format!("/etc/pam.d/{service}");
        let stack = std::fs::read_to_string(&path).doing(&path)?;
        let is_ours = |line: &&str| BY_HAND_MODULES.iter().any(|module| line.contains(module));
        let kept: Vec<&str> = stack.lines().filter(|line| !is_ours(line)).collect();
        world.write(path, 0o644, kept.join("\n") + "\n")?;
    }
    let begins =
        "session [default=1] pam_permit.so\nsession requisite pam_deny.so\nsession required pam_permit.so\n";
    for (name, before, part) in [
        ("account", "", "Account"),
        ("session", begins, "Session"),
        ("session-noninteractive", begins, "Session"),
    ] {
        let path = format!("/etc/pam.d/common-{name}");
        let stack = std::fs::read_to_string(&path).doing(&path)?;
        world.write(path, 0o644, format!("{before}{}{stack}", profile(part)))?;
    }
    Ok(())
}

/// A healthy host: bob is let in and carol is not, and no key but those of the directory opens anything.
fn healthy(world: &World) -> Outcome<Host> {
    let mut plan = Plan::new(world)?;
    plan.sshd_line("AuthorizedKeysFile .ssh/authorized_keys .ssh/authorized_keys2");
    plan.install(world)?;
    enable(world)?;
    Site::keys_from_directory(world)?;
    let host = plan.start_installed(world)?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    host.ssh("carol", "deployer", &["true"])?.expect_refused()?;
    Ok(host)
}

/// A frozen daemon whose socket is out of the way is as good as stopped, and goes on where it was.
const FUNCTIONS: &str = "
stop_daemon() { kill -STOP $(pidof svcauthd); mv /run/svcauth/svcauthd.sock /run/svcauth/sock; }
start_daemon() { mv /run/svcauth/sock /run/svcauth/svcauthd.sock; kill -CONT $(pidof svcauthd); }
";

fn every_seeded_fault_is_named_with_its_file(world: &mut World) -> Outcome {
    let _host = healthy(world)?;
    let shell = |script: &str| Program::new("sh").args(&["-euc", script]).run();
    let seeder = Seeder { shell: &shell, functions: FUNCTIONS };
    let faults: Vec<Fault> = FAULTS
        .iter()
        .flat_map(|theme| theme.iter())
        .filter(|fault| fault.on == On::EveryHost)
        .copied()
        .collect();
    seeder.every_fault_is_named(&faults)
}

/// A name service with one user, as a directory client of another kind would show him.
const OTHER_SOURCE: &str = r#"
#include <errno.h>
#include <nss.h>
#include <pwd.h>
#include <string.h>
static enum nss_status fill(struct passwd *entry) {
    static char name[] = "eve", empty[] = "";
    memset(entry, 0, sizeof *entry);
    entry->pw_name = name;
    entry->pw_passwd = entry->pw_gecos = entry->pw_dir = entry->pw_shell = empty;
    entry->pw_uid = UID;
    return NSS_STATUS_SUCCESS;
}
enum nss_status _nss_other_getpwnam_r(const char *name, struct passwd *entry, char *room, size_t size, int *error) {
    return strcmp(name, "eve") ? NSS_STATUS_NOTFOUND : fill(entry);
}
enum nss_status _nss_other_getpwuid_r(uid_t uid, struct passwd *entry, char *room, size_t size, int *error) {
    return uid != UID ? NSS_STATUS_NOTFOUND : fill(entry);
}
"#;

fn another_source_that_knows_the_number_of_an_account_is_named(world: &mut World) -> Outcome {
    let _host = healthy(world)?;
    world.write("/run/world/other.c", 0o644, OTHER_SOURCE)?;
    world.write("/etc/nsswitch.conf", 0o644, "passwd: files other svcauth\ngroup: files svcauth\n")?;
    let library = world.pam_folder()?.with_file_name("libnss_other.so.2");
    // Below the range of managed accounts, and in it under the number of deployer.
    for (uid, named) in [("6999", false), ("7001", true)] {
        let cc = Program::new("cc").args(&["-shared", "-fPIC", &format!("-DUID={uid}"), "-o"]).arg(&library);
        cc.arg("/run/world/other.c").run()?.expect_ok()?;
        Program::new("getent").args(&["-s", "other", "passwd", "eve"]).run()?.expect_ok()?;
        let (code, report) = svcauth_json(&["doctor"])?;
        let found =
            list_at(&report, "/findings").iter().find(|it| text_at(it, "/code") == "nss_other_source");
        require_eq("whether it is a fault", &(code, found.is_some()), &(i32::from(named), named))?;
        if let Some(found) = found {
            require_eq("the file", text_at(found, "/file"), "/etc/nsswitch.conf")?;
            require_contains("who it is", text_at(found, "/what"), "eve")?;
        }
    }
    Ok(())
}

fn a_host_that_nobody_has_enabled_has_no_fault(world: &mut World) -> Outcome {
    for (name, id) in LOCAL_USERS {
        world.local_user(name, *id)?;
    }
    let built = world.artifacts();
    world.copy(built.command(), "/usr/bin/svcauth", 0o755)?;
    let (code, report) = svcauth_json(&["doctor"])?;
    let found: Vec<&str> = list_at(&report, "/findings").iter().map(|it| text_at(it, "/code")).collect();
    require_eq("the findings", &(code, found), &(0, vec!["not_enabled"]))?;
    let as_local = world.as_user("local", &["svcauth", "doctor"]).run()?.expect_code(2)?;
    require_contains("what a user is told", &as_local.stderr, "only root")
}

fn a_finding_says_line_and_fix_and_the_exit_status_counts_faults(world: &mut World) -> Outcome {
    let _host = healthy(world)?;
    svcauth(&["doctor"])?.expect_ok()?;
    let stack = std::fs::read_to_string("/etc/pam.d/common-session")?;
    world.write("/etc/pam.d/common-session", 0o644, stack.replace("default=die", "default=ignore"))?;
    let said = svcauth(&["doctor"])?.expect_code(1)?;
    require_contains("the place", &said.stdout, "fault    pam_denial_ignored  /etc/pam.d/common-session:4")?;
    require_contains("the fix", &said.stdout, "fix: run: pam-auth-update")?;
    require_contains("the count", &said.stdout, "1 fault, ")
}
