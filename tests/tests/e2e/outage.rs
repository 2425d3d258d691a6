//! The failure matrix, row by row: what goes on, what is refused, and that root and local users never notice.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use svcauth_tests::cases;
use svcauth_tests::daemon::Daemon;
use svcauth_tests::directory::{Schema, group_dn, person_dn};
use svcauth_tests::failure::{Context, Failure, Outcome, require_contains, require_eq};
use svcauth_tests::program::{Program, wait_until};
use svcauth_tests::site::{SVCAUTH_ID, svcauth, svcauth_json, text_at};
use svcauth_tests::slapd::Slapd;
use svcauth_tests::world::World;

use crate::host::{Host, Plan, getent, others_get_in};

cases!("outage":
    a_stopped_directory_slows_nothing_and_locks_nobody_out,
    a_frozen_directory_slows_nothing_and_locks_nobody_out,
    a_blackholed_directory_slows_nothing_and_locks_nobody_out,
    after_max_stale_managed_accounts_are_refused_and_names_still_resolve,
    a_killed_daemon_changes_nothing_until_max_stale_and_a_new_one_recovers,
    a_change_arrives_by_itself_with_member,
    a_change_arrives_by_itself_with_member_uid,
    a_directory_that_lost_most_entries_is_not_believed,
    a_directory_that_answers_half_is_not_believed,
    a_certificate_of_another_authority_is_not_believed,
);

/// A host whose directory is slapd.
fn with_slapd(
    world: &World,
    schema: Schema,
    edit: impl FnOnce(&mut Plan) -> Outcome,
) -> Outcome<(Host, Slapd)> {
    let mut plan = Plan::new(world)?;
    edit(&mut plan)?;
    let slapd = Slapd::start(world, &plan.site.directory, schema)?;
    Slapd::serve(world, &mut plan.site)?;
    let host = plan.start(world)?;
    Ok((host, slapd))
}

/// How long twenty lookups of each sort take, and one login.
fn speed(host: &Host) -> Outcome<(Duration, Duration)> {
    let began = Instant::now();
    for _ in 0..20 {
        getent("passwd", "deployer")?.expect_ok()?;
        getent("group", "7000")?.expect_ok()?;
        getent("passwd", "no-such-name")?.expect_code(2)?;
    }
    let lookups = began.elapsed();
    let login = host.ssh("bob", "deployer", &["true"])?.expect_ok()?.took;
    Ok((lookups, login))
}

/// The difference between fast and slow here is between milliseconds and a network timeout of two seconds or more. A machine
/// that stood still for as long does so once.
fn as_fast(before: (Duration, Duration), host: &Host) -> Outcome {
    let slack = Duration::from_millis(1500);
    let mut after = speed(host)?;
    for _ in 0..5 {
        if after.0 < before.0 * 2 + slack && after.1 < before.1 * 2 + slack {
            return Ok(());
        }
        after = speed(host)?;
    }
    Err(Failure::new(format!("slower: lookups and login took {before:?} before and {after:?} now")))
}

fn survives(world: &World, disturb: impl FnOnce(Slapd) -> Outcome<Option<Slapd>>) -> Outcome {
    let (mut host, slapd) = with_slapd(world, Schema::Rfc2307bis, |_| Ok(()))?;
    let before = speed(&host)?;
    let slapd = disturb(slapd)?;
    host.daemon.wait_for_state("degraded")?;
    wait_until("an error in the status", Duration::from_secs(60), || {
        let (code, status) = svcauth_json(&["status"]).ok()?;
        (code == 1 && !text_at(&status, "/last_error").is_empty()).then_some(())
    })?;
    as_fast(before, &host)?;
    let mark = world.log().mark();
    host.ssh("carol", "deployer", &["true"])?.expect_refused()?;
    world.log().wait_for(mark, "deny", &[("origin", "carol"), ("reason", "not_in_role")])?;
    others_get_in(&host)?;
    svcauth(&["sync"])?.expect_code(1)?;
    drop(slapd);
    Ok(())
}

fn a_stopped_directory_slows_nothing_and_locks_nobody_out(world: &mut World) -> Outcome {
    survives(world, |slapd| slapd.stop().map(|()| None))
}

fn a_frozen_directory_slows_nothing_and_locks_nobody_out(world: &mut World) -> Outcome {
    survives(world, |slapd| slapd.freeze().map(|()| Some(slapd)))
}

fn a_blackholed_directory_slows_nothing_and_locks_nobody_out(world: &mut World) -> Outcome {
    survives(world, |slapd| slapd.blackhole().map(|()| Some(slapd)))
}

/// Stale: nobody is let in on old data, but `ls` goes on naming the owner of files.
fn is_stale(world: &World, host: &Host) -> Outcome {
    let denied = || host.ssh("bob", "deployer", &["true"]).ok().filter(|ended| !ended.ok());
    wait_until("a refusal", Duration::from_secs(120), denied)?;
    let mark = world.log().mark();
    host.ssh("alice", "deployer", &["true"])?.expect_refused()?;
    world.log().wait_for(mark, "deny", &[("account", "deployer"), ("reason", "stale")])?;
    require_contains("the name", &getent("passwd", "7001")?.expect_ok()?.stdout, "deployer:*:7001:")?;
    require_eq("the group", getent("group", "application")?.text(), "application:*:7000:alice,bob")?;
    others_get_in(host)
}

fn after_max_stale_managed_accounts_are_refused_and_names_still_resolve(world: &mut World) -> Outcome {
    let stale = |plan: &mut Plan| plan.site.configure("max_stale = \"24h\"", "max_stale = \"20s\"");
    let (mut host, slapd) = with_slapd(world, Schema::Rfc2307bis, stale)?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    slapd.stop()?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok().doing("before max_stale is over")?;
    is_stale(world, &host)?;
    host.daemon.wait_for_state("failed")?;
    require_eq("the exit code of status", &svcauth(&["status"])?.code, &3)?;
    let (code, why) = svcauth_json(&["explain", "bob", "deployer", "--service", "sshd"])?;
    require_eq("explain", &(code, text_at(&why, "/reason")), &(1, "stale"))?;
    let _slapd = Slapd::start_again(world)?;
    host.daemon.wait_for_state("ok")?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok().doing("with the directory back").map(drop)
}

fn a_killed_daemon_changes_nothing_until_max_stale_and_a_new_one_recovers(world: &mut World) -> Outcome {
    let mut plan = Plan::new(world)?;
    plan.site.configure("max_stale = \"24h\"", "max_stale = \"24s\"")?;
    plan.site.configure("# refresh = \"15s\"", "refresh = \"1s\"")?;
    let mut host = plan.start(world)?;
    let before = speed(&host)?;
    host.daemon.signal(Signal::SIGKILL)?;
    wait_until("no answer", Duration::from_secs(60), || {
        svcauth(&["status"]).ok().filter(|ended| !ended.ok())
    })?;
    as_fast(before, &host)?;
    host.ssh("carol", "deployer", &["true"])?.expect_refused()?;
    others_get_in(&host)?;
    is_stale(world, &host)?;
    host.daemon = Daemon::start(world)?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok().doing("with a new daemon")?;
    require_eq("worker processes left over", &workers()?, &1)
}

/// Processes of svcauthd that run as the user svcauth.
fn workers() -> Outcome<usize> {
    let is_worker = |folder: &Path| {
        let program = std::fs::read_link(folder.join("exe")).unwrap_or_default();
        let status = std::fs::read_to_string(folder.join("status")).unwrap_or_default();
        program == Path::new("/usr/sbin/svcauthd") && status.contains(&format!("Uid:\t{SVCAUTH_ID}\t"))
    };
    Ok(std::fs::read_dir("/proc")?.flatten().filter(|entry| is_worker(&entry.path())).count())
}

fn a_change_arrives_by_itself_with_member(world: &mut World) -> Outcome {
    let (host, slapd) = with_slapd(world, Schema::Rfc2307bis, |_| Ok(()))?;
    arrives_by_itself(&host, &slapd, &format!("member: {}", person_dn("bob")))
}

fn a_change_arrives_by_itself_with_member_uid(world: &mut World) -> Outcome {
    let (host, slapd) = with_slapd(world, Schema::Rfc2307, |_| Ok(()))?;
    arrives_by_itself(&host, &slapd, "memberUid: bob")
}

fn arrives_by_itself(host: &Host, slapd: &Slapd, member: &str) -> Outcome {
    let change = |how: &str| {
        let (attribute, _) = member.split_once(':').unwrap_or_default();
        slapd.modify(&format!(
            "dn: {}\nchangetype: modify\n{how}: {attribute}\n{member}\n",
            group_dn("application")
        ))
    };
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    change("delete")?;
    let refused = || host.ssh("bob", "deployer", &["true"]).ok().filter(|ended| !ended.ok());
    wait_until("bob to be refused", Duration::from_secs(60), refused)?;
    host.ssh("alice", "deployer", &["true"])?.expect_ok()?;
    change("add")?;
    let allowed = || host.ssh("bob", "deployer", &["true"]).ok().filter(|ended| ended.ok());
    wait_until("bob to be let in again", Duration::from_secs(60), allowed).map(drop)
}

fn a_directory_that_lost_most_entries_is_not_believed(world: &mut World) -> Outcome {
    let mut plan = Plan::new(world)?;
    for uid in 7100..7150 {
        plan.site.directory.account(&format!("svc{uid}"), uid, 7000);
    }
    let mut host = plan.start(world)?;
    getent("passwd", "svc7149")?.expect_ok()?;
    for uid in 7101..7150 {
        host.site.directory.remove(&svcauth_tests::directory::account_dn(&format!("svc{uid}")))?;
    }
    host.site.write(world)?;
    let said = svcauth(&["sync"])?.expect_code(1)?;
    require_contains("what sync says", &format!("{}{}", said.stdout, said.stderr), "--accept-shrink")?;
    getent("passwd", "svc7149")?.expect_ok().doing("the old generation")?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    svcauth(&["sync", "--accept-shrink"])?.expect_ok()?;
    getent("passwd", "svc7149")?.expect_code(2)?;
    getent("passwd", "svc7100")?.expect_ok()?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok().map(drop)
}

fn a_directory_that_answers_half_is_not_believed(world: &mut World) -> Outcome {
    let (mut host, slapd) = with_slapd(world, Schema::Rfc2307bis, |_| Ok(()))?;
    // Asked for changes alone, this server would have little enough to answer.
    host.site.configure("timeout = \"2s\"", "timeout = \"2s\"\nchanges = \"off\"")?;
    host.site.write(world)?;
    host.daemon.reload(world)?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    slapd.stop()?;
    // The reader may now see groups and nothing else, and no more than two entries of a search.
    let path = "/run/world/slapd/slapd.conf";
    let config = std::fs::read_to_string(path)?;
    world.write(path, 0o600, config.replace("size=unlimited", "size=2 size.pr=1 size.prtotal=2"))?;
    let _slapd = Slapd::start_again(world)?;
    host.daemon.wait_for_state("degraded")?;
    require_eq("the group", getent("group", "application")?.text(), "application:*:7000:alice,bob")?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    host.ssh("carol", "deployer", &["true"])?.expect_refused().map(drop)
}

fn a_certificate_of_another_authority_is_not_believed(world: &mut World) -> Outcome {
    let (mut host, slapd) = with_slapd(world, Schema::Rfc2307bis, |_| Ok(()))?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    let good = std::fs::read("/run/world/slapd/ca.pem")?;
    // Another authority of the same name: only its key differs.
    let other = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=authority -keyout /dev/null -out /run/world/slapd/ca.pem";
    let words: Vec<&str> = other.split(' ').collect();
    Program::new("openssl").args(&words).run()?.expect_ok()?;
    let leave = format!(
        "dn: {}\nchangetype: modify\ndelete: member\nmember: {}\n",
        group_dn("application"),
        person_dn("bob")
    );
    slapd.modify(&leave)?;
    // A new connection is needed. The daemon keeps what it has read of the file, and notices that it is another one.
    slapd.stop()?;
    let _slapd = Slapd::start_again(world)?;
    let said = svcauth(&["sync"])?.expect_code(1)?;
    require_contains("sync", &said.stderr, "the certificate is refused")?;
    host.daemon.wait_for_state("degraded")?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok().doing("on the old data")?;
    world.write("/run/world/slapd/ca.pem", 0o644, good)?;
    host.daemon.sync()?;
    host.ssh("bob", "deployer", &["true"])?.expect_refused().map(drop)
}
