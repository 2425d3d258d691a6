//! A directory that tells of changes: how soon they count, and what goes on when it restarts.

use std::time::{Duration, Instant};

use svcauth_tests::cases;
use svcauth_tests::directory::{Schema, group_dn, person_dn};
use svcauth_tests::failure::{Outcome, require, require_eq};
use svcauth_tests::program::wait_until;
use svcauth_tests::site::{svcauth, svcauth_json, text_at};
use svcauth_tests::slapd::Slapd;
use svcauth_tests::terminal::say;
use svcauth_tests::world::World;

use crate::host::{Host, Plan};

cases!("pushed":
    a_group_change_reaches_the_decision_in_under_a_second,
    changes_are_told_again_after_the_server_restarted,
);

/// Far longer than any change may take: what counts sooner was told.
const REFRESH: &str = "refresh = \"15s\"";

fn with_push(world: &World) -> Outcome<(Host, Slapd)> {
    let mut plan = Plan::new(world)?;
    let slapd = Slapd::start(world, &plan.site.directory, Schema::Rfc2307bis)?;
    Slapd::serve(world, &mut plan.site)?;
    plan.site.configure("refresh = \"1s\"", REFRESH)?;
    let host = plan.start(world)?;
    Ok((host, slapd))
}

fn change(slapd: &Slapd, how: &str) -> Outcome {
    let (role, bob) = (group_dn("application"), person_dn("bob"));
    slapd.modify(&format!("dn: {role}\nchangetype: modify\n{how}: member\nmember: {bob}\n"))
}

/// Whether bob may act as deployer, by the exit status of `svcauth explain`.
fn is_allowed() -> Outcome<bool> {
    Ok(svcauth(&["explain", "bob", "deployer", "--service", "sshd"])?.ok())
}

/// A second, and what this machine takes besides to ask.
fn soon() -> Outcome<Duration> {
    let began = Instant::now();
    is_allowed()?;
    Ok(Duration::from_secs(1) + 10 * began.elapsed())
}

/// Makes the change, and gives the time from before it was sent until the decision is another one.
fn time_of(slapd: &Slapd, how: &str, allowed: bool) -> Outcome<Duration> {
    let began = Instant::now();
    change(slapd, how)?;
    wait_until("the other decision", Duration::from_secs(40), || {
        (is_allowed().ok()? == allowed).then_some(())
    })?;
    Ok(began.elapsed())
}

fn a_group_change_reaches_the_decision_in_under_a_second(world: &mut World) -> Outcome {
    let (host, slapd) = with_push(world)?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    let (_, status) = svcauth_json(&["status"])?;
    require_eq("how changes are learnt", &text_at(&status, "/directory/changes"), &"pushed")?;
    require(is_allowed()?, || "bob is refused at first".to_owned())?;
    // The first change waits while the host rests from reading everything.
    time_of(&slapd, "delete", false)?;
    time_of(&slapd, "add", true)?;
    let mut times = Vec::new();
    for _ in 0..5 {
        times.push(time_of(&slapd, "delete", false)?);
        times.push(time_of(&slapd, "add", true)?);
    }
    times.sort_unstable();
    say(&format!("from ldapmodify to the other decision, command included: {times:.0?}"));
    let median = times.get(times.len() / 2).copied().unwrap_or(Duration::MAX);
    let soon = soon()?;
    require(median < soon, || format!("{median:?} until a change counts, not {soon:?}"))?;
    time_of(&slapd, "delete", false)?;
    host.ssh("bob", "deployer", &["true"])?.expect_refused()?;
    host.ssh("alice", "deployer", &["true"])?.expect_ok().map(drop)
}

fn changes_are_told_again_after_the_server_restarted(world: &mut World) -> Outcome {
    let (mut host, slapd) = with_push(world)?;
    require(is_allowed()?, || "bob is refused at first".to_owned())?;
    slapd.stop()?;
    let slapd = Slapd::start_again(world)?;
    change(&slapd, "delete")?;
    wait_until("bob to be refused", Duration::from_secs(40), || (!is_allowed().ok()?).then_some(()))?;
    host.daemon.wait_for_state("ok")?;
    // Some of several may fall into a standstill of the machine; none of them is so soon when it has to be asked for.
    let mut times = vec![time_of(&slapd, "add", true)?];
    for _ in 0..2 {
        times.push(time_of(&slapd, "delete", false)?);
        times.push(time_of(&slapd, "add", true)?);
    }
    times.sort_unstable();
    let soon = soon()?;
    require(times.get(2).is_some_and(|time| *time < soon), || {
        format!("{times:?} until a change counts, not {soon:?}")
    })?;
    let gone = format!("dn: {}\nchangetype: delete\n", person_dn("bob"));
    slapd.modify(&gone)?;
    wait_until("bob to be gone", Duration::from_secs(40), || (!is_allowed().ok()?).then_some(()))
}
