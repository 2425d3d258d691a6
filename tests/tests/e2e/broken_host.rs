//! What is broken on the host itself: the configuration, the log. Managed accounts are refused, nobody else notices.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use svcauth_tests::cases;
use svcauth_tests::daemon::Daemon;
use svcauth_tests::failure::{Context, Outcome, require, require_contains};
use svcauth_tests::program::{Program, wait_until};
use svcauth_tests::site::CONFIG;
use svcauth_tests::world::World;

use crate::host::{Plan, no_passwords, others_get_in, sudo};

cases!("broken_host":
    a_broken_configuration_leaves_the_old_data_in_place,
    without_configuration_and_snapshot_managed_accounts_stay_denied,
    without_any_log_and_recorder_a_managed_account_is_denied,
    with_best_effort_audit_a_missing_log_lets_bob_in,
    a_log_server_that_does_not_read_hangs_no_login,
);

fn a_broken_configuration_leaves_the_old_data_in_place(world: &mut World) -> Outcome {
    let mut host = Plan::new(world)?.start(world)?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    host.daemon.signal(Signal::SIGTERM)?;
    for (text, hint) in
        [("[directory]\nkind = \"ldif\"\nfoo = 1\n", "foo"), ("[directory\n", "line 1"), ("", "")]
    {
        world.write(CONFIG, 0o644, text)?;
        let started =
            Program::new("/usr/sbin/svcauthd").patience(Duration::from_secs(60)).run()?.expect_refused()?;
        require_contains("what the daemon says", &format!("{}{}", started.stdout, started.stderr), CONFIG)?;
        require_contains("what the daemon says", &format!("{}{}", started.stdout, started.stderr), hint)?;
        host.ssh("bob", "deployer", &["true"])?.expect_ok().doing(format!("with {text:?}"))?;
        host.ssh("carol", "deployer", &["true"])?.expect_refused()?;
        others_get_in(&host)?;
    }
    host.site.write(world)?;
    host.daemon = Daemon::start(world)?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok().map(drop)
}

fn without_configuration_and_snapshot_managed_accounts_stay_denied(world: &mut World) -> Outcome {
    let host = Plan::new(world)?.start(world)?;
    no_passwords(world)?;
    sudo(world, "bob", "deployer", &["true"])?.expect_ok()?;
    host.daemon.signal(Signal::SIGTERM)?;
    std::fs::remove_file("/var/lib/svcauth/access.snap")?;
    for (what, reason) in [("snapshot", "snapshot_missing"), ("configuration", "config_invalid")] {
        if what == "configuration" {
            std::fs::remove_file(CONFIG)?;
        }
        let mark = world.log().mark();
        host.ssh("bob", "deployer", &["true"])?.expect_refused().doing(format!("without {what}"))?;
        sudo(world, "bob", "deployer", &["true"])?.expect_refused().doing(format!("without {what}"))?;
        world.log().wait_for(mark, "deny", &[("account", "deployer"), ("reason", reason)])?;
        others_get_in(&host)?;
    }
    Ok(())
}

fn without_any_log_and_recorder_a_managed_account_is_denied(world: &mut World) -> Outcome {
    let host = Plan::new(world)?.start(world)?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    world.stop_syslog()?;
    // The daemon alone is enough: its recorder takes the record.
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    host.daemon.signal(Signal::SIGTERM)?;
    wait_until("the daemon's end", Duration::from_secs(60), || host.daemon.has_ended().then_some(()))?;
    host.ssh("bob", "deployer", &["touch", "/tmp/bob"])?.expect_refused()?;
    require(!Path::new("/tmp/bob").exists(), || "bob's command ran".to_owned())?;
    others_get_in(&host)?;
    world.start_syslog()?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok().map(drop)
}

fn with_best_effort_audit_a_missing_log_lets_bob_in(world: &mut World) -> Outcome {
    let mut plan = Plan::new(world)?;
    plan.site.configure("audit = \"required\"", "audit = \"best_effort\"")?;
    let host = plan.start(world)?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    world.stop_syslog()?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    host.ssh("carol", "deployer", &["true"])?.expect_refused()?;
    others_get_in(&host)
}

fn a_log_server_that_does_not_read_hangs_no_login(world: &mut World) -> Outcome {
    let host = Plan::new(world)?.start(world)?;
    no_passwords(world)?;
    sudo(world, "bob", "deployer", &["true"])?.expect_ok()?;
    // sudo and the other modules of its stack use syslog(3), which would hang by itself: our module is asked alone.
    alone(world, "sudo")?;
    world.write("/etc/sudoers.d/quiet", 0o440, "Defaults !syslog\n")?;
    sudo(world, "bob", "deployer", &["true"])?.expect_ok()?;
    world.syslog()?.freeze()?;
    fill_log_socket()?;
    let began = Instant::now();
    // The daemon's recorder takes the record, and nobody waits for the log.
    sudo(world, "bob", "deployer", &["true"])?.expect_ok()?;
    require(began.elapsed() < Duration::from_secs(60), || format!("it took {:?}", began.elapsed()))?;
    host.daemon.kill()?;
    let began = Instant::now();
    sudo(world, "bob", "deployer", &["touch", "/tmp/bob"])?.expect_refused()?;
    require(began.elapsed() < Duration::from_secs(60), || format!("it took {:?}", began.elapsed()))?;
    require(!Path::new("/tmp/bob").exists(), || "bob's command ran".to_owned())?;
    let began = Instant::now();
    sudo(world, "bob", "local", &["true"])?.expect_ok()?;
    require(began.elapsed() < Duration::from_secs(60), || {
        format!("a local target waited {:?}", began.elapsed())
    })?;
    world.syslog()?.signal(Signal::SIGCONT)?;
    wait_until("room in the log", Duration::from_secs(60), || {
        sudo(world, "bob", "deployer", &["true"]).ok().filter(|ended| ended.ok())
    })
    .map(drop)
}

/// A stack of pam_svcauth and nothing that logs.
fn alone(world: &World, service: &str) -> Outcome {
    let stack = "auth required pam_permit.so\naccount required pam_svcauth.so\naccount required pam_permit.so\n\
                 session requisite pam_svcauth.so\nsession required pam_permit.so\n";
    world.write(format!("/etc/pam.d/{service}"), 0o644, stack)
}

/// Sends to /dev/log until the kernel takes no more.
fn fill_log_socket() -> Outcome {
    let socket = std::os::unix::net::UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    let full = |_| socket.send_to(b"<38>filler[1]: x", "/dev/log").is_err();
    require((0..100_000).any(full), || "the log socket takes for ever".to_owned())
}
