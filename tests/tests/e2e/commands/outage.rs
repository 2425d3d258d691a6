//! Without the daemon nobody runs anything unrecorded, and nobody else notices; what runs goes on.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use svcauth_tests::cases;
use svcauth_tests::daemon::Daemon;
use svcauth_tests::failure::{Failure, Outcome, require, require_eq};
use svcauth_tests::program::{Ended, Program, wait_until};
use svcauth_tests::sshd::client;
use svcauth_tests::world::World;

use super::{FAILED, REFUSED, asked, limited, line_of_ours, own_folder};
use crate::host::{Host, others_get_in};

cases!("commands_outage":
    without_the_daemon_a_limited_account_is_refused_and_nobody_else_is,
    a_daemon_that_comes_back_in_time_lets_the_command_run,
    a_command_goes_on_while_the_daemon_is_restarted,
);

const RULE: &str = "commands = [[\"/usr/bin/id\", \"-un\"], [\"/usr/local/bin/slow\"]]";
/// Ends when it is told to.
const SLOW: &str =
    "#!/bin/sh\ntouch /srv/slow/began\nuntil [ -e /srv/slow/go ]; do sleep 0.05; done\necho done; exit 6\n";

fn start(world: &World) -> Outcome<Host> {
    let host = limited(world, RULE)?.start(world)?;
    super::program(world, "/usr/local/bin/slow", SLOW)?;
    own_folder("/srv/slow")?;
    host.ssh("bob", "deployer", &["id -un"])?.expect_ok()?;
    Ok(host)
}

fn without_the_daemon_a_limited_account_is_refused_and_nobody_else_is(world: &mut World) -> Outcome {
    let host = start(world)?;
    let mark = world.log().mark();
    host.daemon.signal(Signal::SIGTERM)?;
    wait_until("the end of the daemon", Duration::from_secs(60), || host.daemon.has_ended().then_some(()))?;
    others_get_in(&host)?;
    let began = Instant::now();
    let ended = host.ssh("bob", "deployer", &["id -un"])?.expect_code(FAILED)?;
    require_eq("standard output", ended.stdout.as_str(), "")?;
    line_of_ours(&ended.stderr)?;
    require(began.elapsed() < Duration::from_secs(60), || format!("it took {:?}", began.elapsed()))?;
    // Root needs no daemon, whatever the account.
    let root = Program::new("su").args(&["-s", "/bin/sh", "deployer", "-c", "id -un"]).run()?.expect_ok()?;
    require_eq("root", root.text(), "deployer")?;
    require_eq("records of commands", &asked(world, mark).len(), &0)
}

fn a_daemon_that_comes_back_in_time_lets_the_command_run(world: &mut World) -> Outcome {
    let host = start(world)?;
    host.daemon.signal(Signal::SIGTERM)?;
    wait_until("the end of the daemon", Duration::from_secs(60), || host.daemon.has_ended().then_some(()))?;
    let mark = world.log().mark();
    let program = client(&[], "deployer", host.key("bob")?, &["id -un"]);
    let waiting = std::thread::spawn(move || program.run());
    // It asks for ten seconds: the daemon comes back as soon as it has begun.
    wait_until("the shell", Duration::from_secs(60), || {
        Program::new("pgrep").args(&["-x", "svcauth-shell"]).run().ok().filter(Ended::ok).map(drop)
    })?;
    std::thread::sleep(Duration::from_millis(500));
    let _daemon = Daemon::start(world)?;
    let ended = waiting.join().map_err(|_| Failure::new("the client"))??.expect_ok()?;
    require_eq("the output", &(ended.text(), ended.stderr.as_str()), &("deployer", ""))?;
    world.log().wait_for(mark, "command", &[("origin", "bob"), ("command", "id -un")]).map(drop)
}

fn a_command_goes_on_while_the_daemon_is_restarted(world: &mut World) -> Outcome {
    let host = start(world)?;
    let mut fresh: Option<Daemon> = None;
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let _ = fs::remove_file("/srv/slow/began");
        let _ = fs::remove_file("/srv/slow/go");
        let mark = world.log().mark();
        let program = client(&[], "deployer", host.key("bob")?, &["slow"]);
        let running = std::thread::spawn(move || program.run());
        wait_until("its beginning", Duration::from_secs(60), || {
            Path::new("/srv/slow/began").exists().then_some(())
        })?;
        let daemon = fresh.as_ref().unwrap_or(&host.daemon);
        daemon.signal(signal)?;
        wait_until("the end of the daemon", Duration::from_secs(60), || daemon.has_ended().then_some(()))?;
        let next = Daemon::start(world)?;
        fs::write("/srv/slow/go", "")?;
        let ended = running.join().map_err(|_| Failure::new("the client"))??.expect_code(6)?;
        require_eq("what comes out", &(ended.text(), ended.stderr.as_str()), &("done", ""))?;
        // Whoever is the daemon by then is told how it ended.
        let pairs = [("command", "slow"), ("origin", "bob"), ("exit_status", "6")];
        world.log().wait_for(mark, "command_end", &pairs)?;
        host.ssh("bob", "deployer", &["id -un"])?.expect_ok()?;
        host.ssh("bob", "deployer", &["id"])?.expect_code(REFUSED)?;
        fresh = Some(next);
    }
    Ok(())
}
