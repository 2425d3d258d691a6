//! What `svcauth enable` refuses to touch: each with one clear error that names the place, and nothing changed.

use std::fs;
use std::path::Path;

use svcauth_tests::cases;
use svcauth_tests::daemon::Daemon;
use svcauth_tests::failure::{Context, Outcome, require_contains, require_eq, require_lacks};
use svcauth_tests::program::Program;
use svcauth_tests::site::svcauth;
use svcauth_tests::sshd::Sshd;
use svcauth_tests::world::World;

use crate::activation::{differing, enable, files, is_in_force, switched_off};
use crate::host::{Plan, others_get_in};

cases!("activation_refusals":
    before_anything_is_published_there_is_nothing_to_switch_on,
    a_name_service_switch_that_cannot_be_edited_is_named_with_its_line,
    a_file_that_cannot_be_written_stops_it_and_everything_is_put_back,
    a_stack_that_was_edited_in_its_block_is_named_with_the_line,
    an_sshd_that_would_not_obey_is_named_with_the_place,
    a_fault_that_doctor_would_find_in_the_planned_state_stops_it,
    what_authselect_writes_is_left_to_it,
);

/// Tries to switch on, which must fail with these words and change nothing.
fn refused(words: &[&str]) -> Outcome {
    let before = files()?;
    let told = enable(&["--yes"])?.expect_code(1)?;
    for word in words {
        require_contains("the refusal", &told.stderr, word)?;
    }
    require_eq("lines of the refusal", &told.stderr.lines().count(), &1).doing(told.stderr.clone())?;
    require_eq("what it changed", &differing(&before, &files()?), &Vec::<String>::new())
}

fn before_anything_is_published_there_is_nothing_to_switch_on(world: &mut World) -> Outcome {
    let plan = Plan::new(world)?;
    plan.install_switched_off(world)?;
    refused(&["access.snap", "is svcauthd running"])?;
    let config = fs::read("/etc/svcauth/svcauth.toml")?;
    world.write("/etc/svcauth/svcauth.toml", 0o644, "[directory]\nkind = \"sundial\"\n")?;
    refused(&["/etc/svcauth/svcauth.toml: line 2", "svcauthd --check"])?;
    let status = svcauth(&["status"])?.expect_code(3)?;
    require_contains(
        "what keeps the daemon from starting",
        &status.stdout,
        "/etc/svcauth/svcauth.toml: line 2",
    )?;
    fs::remove_file("/etc/svcauth/svcauth.toml")?;
    refused(&["/etc/svcauth/svcauth.toml: there is no such file", "run: svcauth setup"])?;
    for word in ["status", "accounts", "sync", "doctor"] {
        let said = svcauth(&[word])?;
        require_contains(word, &format!("{}{}", said.stdout, said.stderr), "run: svcauth setup")?;
    }
    world.write("/etc/svcauth/svcauth.toml", 0o644, config)?;
    let _daemon = Daemon::start(world)?;
    let _sshd = Sshd::start(world, &[])?;
    enable(&["--yes"])?.expect_ok().map(drop)
}

fn a_name_service_switch_that_cannot_be_edited_is_named_with_its_line(world: &mut World) -> Outcome {
    let host = switched_off(world)?;
    let switch = Path::new("/etc/nsswitch.conf");
    world.write(switch, 0o644, "group: files\npasswd: files [NOTFOUND=return] db\n")?;
    refused(&["/etc/nsswitch.conf:2", "[NOTFOUND=return]"])?;
    world.write("/etc/nsswitch.real", 0o644, "passwd: files\ngroup: files\n")?;
    fs::remove_file(switch)?;
    std::os::unix::fs::symlink("nsswitch.real", switch)?;
    refused(&["/etc/nsswitch.conf", "symbolic link"])?;
    fs::remove_file(switch)?;
    world.write(
        switch,
        0o644,
        "# mine\npasswd:\tfiles systemd   # local\ngroup:  files [SUCCESS=merge] systemd\nhosts: files\n",
    )?;
    enable(&["--yes"])?.expect_ok()?;
    let expected = "# mine\npasswd:\tfiles systemd svcauth   # local\ngroup:  files [SUCCESS=merge] systemd svcauth\nhosts: files\n";
    require_eq("the edited switch", &fs::read_to_string(switch)?, &expected.to_owned())?;
    is_in_force(&host)
}

fn a_file_that_cannot_be_written_stops_it_and_everything_is_put_back(world: &mut World) -> Outcome {
    let host = switched_off(world)?;
    world.write("/run/world/switch", 0o644, fs::read("/etc/nsswitch.conf")?)?;
    let mount = |words: &[&str]| Program::new("mount").args(words).run()?.expect_ok().map(drop);
    // The last file of all: the others have changed by then.
    mount(&["--bind", "/run/world/switch", "/etc/nsswitch.conf"])?;
    refused(&["/etc/nsswitch.conf", "mounted over", "as it was before"])?;
    others_get_in(&host)?;
    Program::new("umount").arg("/etc/nsswitch.conf").run()?.expect_ok()?;
    Program::new("chattr").args(&["+i", "/etc/nsswitch.conf"]).run()?.expect_ok()?;
    refused(&["/etc/nsswitch.conf", "immutable", "as it was before"])?;
    Program::new("chattr").args(&["-i", "/etc/nsswitch.conf"]).run()?.expect_ok()?;
    mount(&["-o", "remount,ro", "/etc"])?;
    refused(&["/etc/pam.d/common-account", "remount,rw", "as it was before"])?;
    mount(&["-o", "remount,rw", "/etc"])?;
    require_eq("what is pending", &Path::new("/var/lib/svcauth/activation/pending").exists(), &false)?;
    enable(&["--yes"])?.expect_ok()?;
    is_in_force(&host)
}

fn a_stack_that_was_edited_in_its_block_is_named_with_the_line(world: &mut World) -> Outcome {
    let host = switched_off(world)?;
    let path = "/etc/pam.d/common-session";
    let stack = fs::read_to_string(path)?;
    let inside =
        stack.replace("# end of pam-auth-update", "session optional pam_echo.so\n# end of pam-auth-update");
    let line = 1 + inside.lines().position(|line| line.contains("pam_echo")).unwrap_or(0);
    world.write(path, 0o644, inside)?;
    refused(&[&format!("{path}:{line}"), "pam_echo", "pam-auth-update"])?;
    let below = format!("{stack}session optional pam_echo.so\n");
    world.write(path, 0o644, &below)?;
    enable(&["--yes"])?.expect_ok()?;
    require_contains("the stack", &fs::read_to_string(path)?, "config\nsession optional pam_echo.so\n")?;
    is_in_force(&host)
}

fn an_sshd_that_would_not_obey_is_named_with_the_place(world: &mut World) -> Outcome {
    let host = switched_off(world)?;
    let other = "/etc/ssh/sshd_config.d/50-keys.conf";
    world.write(
        other,
        0o644,
        "# keys\nAuthorizedKeysCommand /usr/bin/true\nAuthorizedKeysCommandUser nobody\n",
    )?;
    refused(&["/etc/ssh/sshd_config.d/50-keys.conf:2", "/usr/bin/true", "AuthorizedKeysCommand"])?;
    fs::remove_file(other)?;
    let first = "/etc/ssh/sshd_config.d/00-first.conf";
    world.write(first, 0o644, "UsePAM no\n")?;
    refused(&["/etc/ssh/sshd_config.d/00-first.conf:1", "wins"])?;
    world.write(first, 0o644, "UsePAM maybe\n")?;
    refused(&["refuses its configuration", "00-first.conf"])?;
    fs::remove_file(first)?;
    let config = fs::read_to_string("/etc/ssh/sshd_config")?;
    world.write("/etc/ssh/sshd_config", 0o600, config.replace("Include ", "#Include "))?;
    refused(&["/etc/ssh/sshd_config:", "Include /etc/ssh/sshd_config.d/*.conf"])?;
    world.write("/etc/ssh/sshd_config", 0o600, config)?;
    // One that sorts behind ours and says what others say is no hindrance.
    world.write("/etc/ssh/sshd_config.d/50-cloud-init.conf", 0o600, "PasswordAuthentication yes\n")?;
    enable(&["--yes"])?.expect_ok()?;
    is_in_force(&host)
}

fn a_fault_that_doctor_would_find_in_the_planned_state_stops_it(world: &mut World) -> Outcome {
    let host = switched_off(world)?;
    let path = "/usr/share/pam-configs/svcauth";
    let profile = fs::read_to_string(path)?;
    world.write(path, 0o644, profile.replace("default=die", "default=ignore"))?;
    let before = files()?;
    let told = enable(&["--yes"])?.expect_code(1)?;
    require_contains("the refusal", &told.stderr, "nothing was changed")?;
    require_contains("what it finds", &told.stdout, "fault ")?;
    require_contains("where", &told.stdout, "/etc/pam.d/common-account")?;
    require_lacks("what it finds", &told.stdout, "+++")?;
    require_eq("what it changed", &differing(&before, &files()?), &Vec::<String>::new())?;
    world.write(path, 0o644, profile)?;
    enable(&["--yes"])?.expect_ok()?;
    is_in_force(&host)
}

fn what_authselect_writes_is_left_to_it(world: &mut World) -> Outcome {
    let host = switched_off(world)?;
    fs::rename("/usr/sbin/pam-auth-update", "/usr/sbin/not-here")?;
    refused(&["authselect select svcauth with-svcauth"])?;
    fs::rename("/usr/sbin/not-here", "/usr/sbin/pam-auth-update")?;
    let switch = Path::new("/etc/nsswitch.conf");
    world.write("/etc/authselect/nsswitch.conf", 0o644, "passwd: files svcauth\ngroup: files svcauth\n")?;
    fs::remove_file(switch)?;
    std::os::unix::fs::symlink("/etc/authselect/nsswitch.conf", switch)?;
    let before = files()?;
    enable(&["--yes"])?.expect_ok()?;
    require_lacks("what changes", &differing(&before, &files()?).join(" "), "nsswitch")?;
    is_in_force(&host)?;
    let told = svcauth(&["disable", "--yes"])?.expect_code(1)?;
    require_contains("what disable says", &told.stderr, "authselect disable-feature with-svcauth")?;
    require_lacks("what is left", &differing(&before, &files()?).join(" "), "pam.d")
}
