//! `svcauth doctor` on a host whose PAM stacks are those of the distribution with the profile of the package.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use svcauth_tests::cases;
use svcauth_tests::failure::{Context, Outcome, require, require_contains, require_eq};
use svcauth_tests::program::{Program, wait_until};
use svcauth_tests::seeded::{Seeder, of_worlds};
use svcauth_tests::site::{CONFIG, Site, list_at, svcauth, svcauth_json, text_at};
use svcauth_tests::world::World;

use crate::host::{Host, LOCAL_USERS, Plan};

cases!("doctor":
    every_seeded_fault_is_named_with_its_file,
    another_source_that_knows_the_number_of_an_account_or_does_not_answer_is_named,
    a_kernel_that_cannot_confine_is_named_where_a_rule_needs_it,
    a_home_whose_server_is_down_is_named_and_hides_nothing_else,
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
    seeder.every_fault_is_named(&of_worlds())
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
#ifdef SILENT
#include <unistd.h>
__attribute__((constructor)) static void wait_for_ever(void) { for (;;) pause(); }
#endif
enum nss_status _nss_other_getpwnam_r(const char *name, struct passwd *entry, char *room, size_t size, int *error) {
    return strcmp(name, "eve") ? NSS_STATUS_NOTFOUND : fill(entry);
}
enum nss_status _nss_other_getpwuid_r(uid_t uid, struct passwd *entry, char *room, size_t size, int *error) {
    return uid != UID ? NSS_STATUS_NOTFOUND : fill(entry);
}
"#;

fn another_source_that_knows_the_number_of_an_account_or_does_not_answer_is_named(
    world: &mut World,
) -> Outcome {
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
    let cc = Program::new("cc").args(&["-shared", "-fPIC", "-DUID=7001", "-DSILENT", "-o"]).arg(&library);
    cc.arg("/run/world/other.c").run()?.expect_ok()?;
    let found = codes(svcauth_json(&["doctor"])?);
    require(found.contains(&"nss_source_unknown".to_owned()), || format!("{found:?}"))
}

/// The codes of a report.
fn codes((_, report): (i32, Value)) -> Vec<String> {
    list_at(&report, "/findings").iter().map(|it| text_at(it, "/code").to_owned()).collect()
}

/// Runs its arguments where landlock_create_ruleset(2) is not there, as in a container that does not let it through.
const NO_LANDLOCK: &str = r#"
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <unistd.h>
int main(int count, char **words) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 444, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {4, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) return 99;
    execv(words[1], words + 1);
    return 98;
}
"#;

fn a_kernel_that_cannot_confine_is_named_where_a_rule_needs_it(world: &mut World) -> Outcome {
    let host = healthy(world)?;
    world.write("/run/world/without.c", 0o644, NO_LANDLOCK)?;
    let cc = Program::new("cc").args(&["-o", "/run/world/without", "/run/world/without.c"]);
    cc.run()?.expect_ok()?;
    let without = || -> Outcome<Vec<String>> {
        let ended =
            Program::new("/run/world/without").args(&["/usr/bin/svcauth", "doctor", "--json"]).run()?;
        Ok(codes((ended.code, serde_json::from_str(&ended.stdout).doing(ended.report())?)))
    };
    const CODE: &str = "limits_no_landlock";
    require(!without()?.iter().any(|code| code == CODE), || "named where nothing is confined".to_owned())?;
    let rule = "commands = [{ kind = \"rsync\", access = \"read\", paths = [\"/srv\"] }]\n";
    world.write(CONFIG, 0o644, format!("{}{rule}", host.site.config))?;
    let with = codes(svcauth_json(&["doctor"])?);
    require(!with.iter().any(|code| code == CODE), || "named where the kernel can confine".to_owned())?;
    let found = without()?;
    require(found.iter().any(|code| code == CODE), || format!("it is not named: {found:?}"))
}

/// A place that is mounted when somebody looks into it, by a server that takes the wish and does nothing: whoever looks waits
/// until he is killed. The process that holds the pipe stays.
const SILENT_SERVER: &str = "
mkfifo /run/world/wishes
exec 9<>/run/world/wishes
mount -t autofs -o fd=9,pgrp=$$,minproto=5,maxproto=5,direct none /home/deployer
echo mounted >/run/world/mounted
exec sleep 600 </dev/null >/dev/null 2>&1
";

fn a_home_whose_server_is_down_is_named_and_hides_nothing_else(world: &mut World) -> Outcome {
    let _host = healthy(world)?;
    let log = std::fs::File::create("/run/world/server.log")?;
    let _server = Program::new("sh").args(&["-euc", SILENT_SERVER]).start(log)?;
    wait_until("the mount", Duration::from_secs(60), || {
        Path::new("/run/world/mounted").exists().then_some(())
    })?;
    // It stands in the configuration alone, and sshd's files are looked at in any case.
    world.write("/etc/ssh/sshd_config.d/00-seed.conf", 0o644, "UsePAM no\n")?;
    let ended =
        Program::new("svcauth").args(&["doctor", "--json"]).patience(Duration::from_secs(200)).run()?;
    let found = codes((ended.code, serde_json::from_str(&ended.stdout).doing(ended.report())?));
    for code in ["places_unseen", "sshd_no_pam"] {
        require(found.iter().filter(|it| *it == code).count() == 1, || format!("{code}: {found:?}"))?;
    }
    require_eq("the exit status", &ended.code, &1)
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
