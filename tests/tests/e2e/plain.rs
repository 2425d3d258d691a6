//! The harness proves itself: without svcauth a world is an ordinary Debian host.

use std::path::Path;

use svcauth_tests::cases;
use svcauth_tests::failure::{Outcome, require, require_contains, require_eq};
use svcauth_tests::program::Program;
use svcauth_tests::sshd::Sshd;
use svcauth_tests::world::World;

cases!("plain": a_local_user_logs_in_and_the_log_says_so, a_wrong_key_is_refused, the_machine_is_out_of_reach);

fn a_local_user_logs_in_and_the_log_says_so(world: &mut World) -> Outcome {
    world.local_user("local", 1010)?;
    let key = world.key("local")?;
    Sshd::authorize(world, "local", &[&key])?;
    let sshd = Sshd::start(world, &[])?;
    let ended = sshd.ssh("local", &key, &["id", "-u"])?.expect_ok()?;
    require_eq("the uid of the session", ended.text(), "1010")?;
    world
        .log()
        .wait_for_line(0, &["Accepted publickey for local", key.fingerprint()])?;
    sshd.stop()
}

fn a_wrong_key_is_refused(world: &mut World) -> Outcome {
    world.local_user("local", 1010)?;
    let (right, wrong) = (world.key("right")?, world.key("wrong")?);
    Sshd::authorize(world, "local", &[&right])?;
    let sshd = Sshd::start(world, &[])?;
    sshd.ssh("local", &right, &["true"])?.expect_ok()?;
    let refused = sshd.ssh("local", &wrong, &["true"])?.expect_code(255)?;
    require_contains("what the client is told", &refused.stderr, "Permission denied")
}

fn the_machine_is_out_of_reach(world: &mut World) -> Outcome {
    world.write("/etc/only-here", 0o644, "x")?;
    require(std::fs::write("/only-here", "x").is_err(), || {
        "the root folder can be written".to_owned()
    })?;
    require(!Path::new("/run/systemd/system").exists(), || {
        "the machine's /run shows".to_owned()
    })?;
    let routes = Program::new("ip")
        .args(&["route", "show", "table", "all", "scope", "global"])
        .run()?
        .expect_ok()?;
    require_eq("the routes to elsewhere", routes.text(), "")?;
    let processes = std::fs::read_dir("/proc")?
        .flatten()
        .filter(|entry| entry.path().join("exe").exists())
        .count();
    require(processes < 10, || {
        format!("{processes} processes: the machine's own show")
    })
}
