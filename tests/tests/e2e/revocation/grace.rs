//! How they end: asked, then killed; told on the terminal; once recorded; whatever happens to the daemon meanwhile.

use std::fs;
use std::time::{Duration, Instant};

use svcauth_tests::cases;
use svcauth_tests::daemon::Daemon;
use svcauth_tests::failure::{Outcome, require, require_eq};
use svcauth_tests::program::wait_until;
use svcauth_tests::world::World;

use crate::host::Host;

use super::{PATIENCE, Typing, all_end, all_live, all_stay, leave, lives, pids, plan, run, said};

cases!("revocation_grace":
    what_ignores_sigterm_lives_for_the_grace_and_no_longer,
    what_has_children_all_the_time_ends_too,
    with_on_revoke_log_everything_goes_on_and_one_record_says_so,
    a_terminal_that_is_stopped_holds_nobody_up,
    a_daemon_that_is_killed_in_the_grace_goes_on_where_it_was,
    who_is_allowed_again_within_the_grace_is_not_killed,
);

/// Says that it has heard SIGTERM, and goes on.
const DEAF: &str =
    "trap 'echo heard >> /tmp/heard' TERM HUP\necho $$ > /tmp/deaf\nwhile :; do sleep 0.2; done\n";

/// Has bob run it, and waits until it hears.
fn run_deaf(world: &World, host: &Host) -> Outcome<Vec<u32>> {
    let deaf = run(world, host, "bob", DEAF)?;
    wait_until("what hears SIGTERM", PATIENCE, || {
        fs::read_to_string("/tmp/deaf").ok().filter(|text| text.ends_with('\n')).map(drop)
    })?;
    Ok(deaf)
}

fn what_ignores_sigterm_lives_for_the_grace_and_no_longer(world: &mut World) -> Outcome {
    let mut host = plan(world, "grace = \"10s\"")?.start(world)?;
    let of_alice = leave(&host, "alice", "deployer")?;
    let deaf = run_deaf(world, &host)?;
    let mark = world.log().mark();
    host.site.directory.leave("bob", "application")?;
    // Before it is told, whatever the machine does in between.
    let told = Instant::now();
    host.publish(world)?;
    world.log().wait_for(mark, "revoked", &[("origin", "bob"), ("reason", "not_in_role")])?;
    wait_until("SIGTERM", PATIENCE, || fs::read_to_string("/tmp/heard").ok())?;
    all_live("what ignores SIGTERM", &deaf)?;
    all_end("what ignores SIGTERM", &deaf)?;
    require(told.elapsed() >= Duration::from_secs(10), || format!("killed after {:?}", told.elapsed()))?;
    all_stay("alice's", &of_alice)?;
    require_eq("records", &said(world, mark, "revoked", "bob").len(), &1)
}

/// Twenty that each start the next one and end.
fn what_has_children_all_the_time_ends_too(world: &mut World) -> Outcome {
    let mut host = plan(world, "grace = \"1s\"")?.start(world)?;
    let of_alice = leave(&host, "alice", "deployer")?;
    let next = "trap '' TERM HUP; sleep 0.05; sh -c \"$NEXT\" &";
    let script = format!(
        "NEXT='{}'; export NEXT\nfor i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sh -c \"$NEXT\" & done\n\
         trap '' TERM HUP; sleep 3007\n",
        next.replace('\'', "'\\''")
    );
    let first = run(world, &host, "bob", &script)?;
    let first = first.first().copied().unwrap_or_default();
    let session = fs::read_to_string(format!("/proc/{first}/sessionid"))?;
    let own = || -> Vec<u32> {
        let all = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let is_own = |pid: &u32| {
            lives(*pid) && fs::read_to_string(format!("/proc/{pid}/sessionid")).is_ok_and(|id| id == session)
        };
        pids.filter(is_own).collect()
    };
    let before = own();
    wait_until("new children", PATIENCE, || own().iter().any(|pid| !before.contains(pid)).then_some(()))?;
    host.site.directory.leave("bob", "application")?;
    host.publish(world)?;
    wait_until("the end of all of them", PATIENCE, || {
        (0..20)
            .all(|_| {
                std::thread::sleep(Duration::from_millis(10));
                own().is_empty()
            })
            .then_some(())
    })?;
    all_stay("alice's", &of_alice)?;
    require_eq("what is left", &own(), &Vec::<u32>::new())
}

fn with_on_revoke_log_everything_goes_on_and_one_record_says_so(world: &mut World) -> Outcome {
    let mut host = plan(world, "grace = \"1s\"\non_revoke = \"log\"")?.start(world)?;
    let of_bob = leave(&host, "bob", "deployer")?;
    let mark = world.log().mark();
    host.site.directory.leave("bob", "application")?;
    host.publish(world)?;
    let pairs = [("origin", "bob"), ("reason", "revoked_session_goes_on")];
    world.log().wait_for(mark, "alarm", &pairs)?;
    all_stay("bob's", &of_bob)?;
    require_eq("records", &said(world, mark, "alarm", "bob").len(), &1)?;
    require_eq("ends", &said(world, mark, "revoked", "bob").len(), &0)?;
    host.site.configure("on_revoke = \"log\"\n", "on_revoke = \"end\"\n")?;
    host.site.write(world)?;
    host.daemon.reload(world)?;
    all_end("bob's", &of_bob)?;
    require_eq("ends", &said(world, mark, "revoked", "bob").len(), &1)
}

fn a_terminal_that_is_stopped_holds_nobody_up(world: &mut World) -> Outcome {
    let mut host = plan(world, "grace = \"2s\"")?.start(world)?;
    let command = "echo $$ > /tmp/$0.pid; while :; do echo line; sleep 0.1; done";
    let mut stopped = Typing::start(world, &host, "bob", &[&format!("exec sh -c '{command}' stopped")])?;
    stopped.wait_for("line")?;
    stopped.press("\u{13}")?;
    wait_until("a screen that stands still", PATIENCE, || {
        let before = stopped.screen();
        std::thread::sleep(Duration::from_secs(2));
        (stopped.screen() == before).then_some(())
    })?;
    let of_bob = [leave(&host, "bob", "deployer")?, pids(&fs::read_to_string("/tmp/stopped.pid")?)?].concat();
    let began = Instant::now();
    host.site.directory.leave("bob", "application")?;
    host.publish(world)?;
    all_end("bob's", &of_bob)?;
    require(began.elapsed() < PATIENCE / 2, || format!("it took {:?}", began.elapsed()))?;
    require(!stopped.screen().contains("svcauth:"), || "the terminal was not stopped".to_owned())
}

fn a_daemon_that_is_killed_in_the_grace_goes_on_where_it_was(world: &mut World) -> Outcome {
    let mut host = plan(world, "grace = \"20s\"")?.start(world)?;
    let of_alice = leave(&host, "alice", "deployer")?;
    let deaf = run_deaf(world, &host)?;
    let mark = world.log().mark();
    host.site.directory.leave("bob", "application")?;
    host.publish(world)?;
    world.log().wait_for(mark, "revoked", &[("origin", "bob")])?;
    wait_until("SIGTERM", PATIENCE, || fs::read_to_string("/tmp/heard").ok())?;
    let told = Instant::now();
    host.daemon.kill()?;
    all_live("what ignores SIGTERM", &deaf)?;
    let _daemon = Daemon::start(world)?;
    all_live("what ignores SIGTERM", &deaf)?;
    all_end("what ignores SIGTERM", &deaf)?;
    require(told.elapsed() < Duration::from_secs(60), || format!("a new grace: {:?}", told.elapsed()))?;
    all_stay("alice's", &of_alice)?;
    require_eq("records", &said(world, mark, "revoked", "bob").len(), &1)
}

fn who_is_allowed_again_within_the_grace_is_not_killed(world: &mut World) -> Outcome {
    let mut host = plan(world, "grace = \"12s\"")?.start(world)?;
    let deaf = run_deaf(world, &host)?;
    let mark = world.log().mark();
    host.site.directory.leave("bob", "application")?;
    host.publish(world)?;
    world.log().wait_for(mark, "revoked", &[("origin", "bob")])?;
    host.site.directory.join("bob", "application")?;
    host.publish(world)?;
    // Sixteen seconds, and more than the grace in any case.
    (0..4).try_for_each(|_| all_stay("what ignores SIGTERM", &deaf))
}
