//! What the command and the daemon tell an administrator on a bad day: exit codes, states, alarms, and no raw byte of
//! the directory on a terminal.

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use svcauth_tests::cases;
use svcauth_tests::directory::group_dn;
use svcauth_tests::failure::{
    Context, Failure, Outcome, require, require_contains, require_eq, require_lacks,
};
use svcauth_tests::program::{Program, wait_until};
use svcauth_tests::site::{CONFIG, list_at, svcauth, svcauth_json, text_at};
use svcauth_tests::world::World;

use crate::host::{Plan, getent};

cases!("cli":
    status_without_a_daemon_says_whether_logins_work,
    who_may_not_read_the_policy_is_told_so_and_not_denied,
    a_faulty_configuration_shows_in_status_until_it_is_repaired,
    an_emptied_state_folder_is_filled_again_under_a_higher_number,
    a_worker_that_was_killed_idle_costs_no_refresh,
    hundreds_of_refused_groups_are_a_few_alarms,
    text_of_the_directory_that_would_drive_a_terminal_is_never_shown_raw,
);

/// State and exit status, which say the same.
fn state() -> Outcome<(i32, String)> {
    let (code, status) = svcauth_json(&["status"])?;
    Ok((code, text_at(&status, "/state").to_owned()))
}

fn status_without_a_daemon_says_whether_logins_work(world: &mut World) -> Outcome {
    let mut plan = Plan::new(world)?;
    plan.site.configure("max_stale = \"24h\"", "max_stale = \"20s\"")?;
    plan.site.configure("# refresh = \"15s\"", "refresh = \"1s\"")?;
    let host = plan.start(world)?;
    require_eq("the state with a daemon", &state()?, &(0, "ok".to_owned()))?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    let (key, sshd) = (host.key("bob")?.clone(), host.sshd);
    host.daemon.stop()?;
    require_eq("the state just after it", &state()?, &(1, "degraded".to_owned()))?;
    let told = svcauth(&["status"])?.expect_code(1)?;
    require_contains("what status says", &told.stdout, "systemctl start svcauthd")?;
    let sync = svcauth(&["sync"])?.expect_code(1)?;
    require_contains("what sync says", &sync.stderr, "systemctl start svcauthd")?;
    let failed = (3, "failed".to_owned());
    wait_until("the state failed", Duration::from_secs(120), || (state().ok()? == failed).then_some(()))?;
    let refused = sshd.ssh("deployer", &key, &["true"])?;
    refused.expect_refused()?;
    std::fs::remove_file("/var/lib/svcauth/accounts.snap")?;
    std::fs::remove_file("/var/lib/svcauth/access.snap")?;
    let told = svcauth(&["status"])?.expect_code(3)?;
    require_contains("what status says of no data", &told.stdout, "none yet")
}

fn who_may_not_read_the_policy_is_told_so_and_not_denied(world: &mut World) -> Outcome {
    let host = Plan::new(world)?.start(world)?;
    svcauth(&["explain", "bob", "deployer"])?.expect_ok()?;
    svcauth(&["explain", "carol", "deployer"])?.expect_code(1)?;
    let as_local = |args: &[&str]| world.as_user("local", &[&["svcauth"], args].concat()).run();
    as_local(&["status"])?.expect_ok()?;
    for args in [&["explain", "bob", "deployer"] as &[&str], &["accounts"], &["accounts", "--json"]] {
        let ended = as_local(args)?.expect_code(2)?;
        require_contains("what is said", &ended.stderr, "only root")?;
        require_eq("what is printed", ended.text(), "")?;
    }
    let sync = as_local(&["sync"])?.expect_code(1)?;
    require_contains("what sync says", &sync.stderr, "only root")?;
    host.daemon.stop()?;
    let ended = as_local(&["status", "--json"])?.expect_code(1)?;
    require_contains("the limit that a user does not learn", &ended.stdout, "\"max_stale_seconds\":null")?;
    require_contains("the age that a user does not learn", &ended.stdout, "\"age_seconds\":null")
}

fn a_faulty_configuration_shows_in_status_until_it_is_repaired(world: &mut World) -> Outcome {
    let host = Plan::new(world)?.start(world)?;
    Program::new("svcauthd").arg("--check").run()?.expect_ok()?;
    world.write(CONFIG, 0o644, host.site.config.replace("max_stale", "max_stael"))?;
    let checked = Program::new("svcauthd").arg("--check").run()?.expect_code(1)?;
    require_contains("what --check says", &checked.stderr, "did you mean \"max_stale\"?")?;
    host.daemon.signal(Signal::SIGHUP)?;
    let degraded = (1, "degraded".to_owned());
    wait_until("degraded", Duration::from_secs(60), || (state().ok()? == degraded).then_some(()))?;
    let (_, status) = svcauth_json(&["status"])?;
    require_contains("the error", text_at(&status, "/last_error"), "max_stael")?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    host.site.write(world)?;
    host.daemon.reload(world)?;
    require_eq("the state after the repair", &state()?, &(0, "ok".to_owned()))
}

fn generation() -> Outcome<u64> {
    let (_, status) = svcauth_json(&["status"])?;
    let number = status.get("generation").and_then(serde_json::Value::as_u64);
    number.ok_or_else(|| Failure::new(format!("no generation in {status}")))
}

fn an_emptied_state_folder_is_filled_again_under_a_higher_number(world: &mut World) -> Outcome {
    let mut host = Plan::new(world)?.start(world)?;
    host.site.directory.account("jenkins", 7002, 7000);
    host.publish(world)?;
    let before = generation()?;
    require(before >= 2, || format!("the second generation has the number {before}"))?;
    for name in ["access.snap", "accounts.snap", "confirmed", "managed"] {
        std::fs::remove_file(Path::new("/var/lib/svcauth").join(name)).doing(name)?;
    }
    host.daemon.sync()?;
    let after = generation()?;
    require(after > before, || format!("generation {after} after {before}"))?;
    let managed = std::fs::read_to_string("/var/lib/svcauth/managed")?;
    require_contains("what is managed", &managed, "7000")?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok().map(drop)
}

fn a_worker_that_was_killed_idle_costs_no_refresh(world: &mut World) -> Outcome {
    let host = Plan::new(world)?.start(world)?;
    let first = host.worker()?;
    let name = std::fs::read_to_string(format!("/proc/{first}/comm"))?;
    require_eq("its name in ps", name.trim(), "svcauthd")?;
    let mark = world.log().mark();
    kill(nix::unistd::Pid::from_raw(first), Signal::SIGKILL)
        .map_err(|error| Failure::new(error.to_string()))?;
    // With the last of its threads: what is left of the first one is called a zombie before.
    let dead = || {
        let is_zombie =
            std::fs::read_to_string(format!("/proc/{first}/stat")).map_or(true, |stat| stat.contains(") Z "));
        is_zombie && std::fs::read_dir(format!("/proc/{first}/task")).map_or(0, Iterator::count) <= 1
    };
    wait_until("the worker's end", Duration::from_secs(60), || dead().then_some(()))?;
    host.daemon.sync()?;
    require(host.worker()? != first, || "the worker was not killed".to_owned())?;
    let alarms = world.log().records_since(mark).into_iter().filter(|record| record.verb == "alarm").count();
    require_eq("the alarms", &alarms, &0)
}

fn hundreds_of_refused_groups_are_a_few_alarms(world: &mut World) -> Outcome {
    let mut host = Plan::new(world)?.start(world)?;
    let mark = world.log().mark();
    for number in 0..300 {
        host.site.directory.group(&format!("outside{number}"), 20_000 + number, &[]);
    }
    host.publish(world)?;
    let rest = world.log().wait_for(mark, "alarm", &[("reason", "refused_entries")])?;
    require_contains("the summary", &rest.line, "280 more")?;
    require_contains("the summary", &rest.line, "gidNumber: 280")?;
    let one_by_one = |mark| {
        let records = world.log().records_since(mark);
        records.iter().filter(|record| record.says("alarm", &[("reason", "refused_entry")])).count()
    };
    require_eq("the alarms of single groups", &one_by_one(mark), &20)?;
    let mark = world.log().mark();
    host.site.directory.account("jenkins", 7002, 7000);
    host.publish(world)?;
    require_eq("the alarms of the next generation", &one_by_one(mark), &0)?;
    host.site.directory.group("outside-too", 30_000, &[]);
    host.publish(world)?;
    world.log().wait_for(mark, "alarm", &[("reason", "refused_entry")]).map(drop)
}

fn text_of_the_directory_that_would_drive_a_terminal_is_never_shown_raw(world: &mut World) -> Outcome {
    let mut host = Plan::new(world)?.start(world)?;
    let mark = world.log().mark();
    // "a ESC[2J b" as a comment, and U+009B, the other way to write ESC [, as the name of a group that deployer needs.
    host.site.directory.raw(
        "dn: uid=odd,ou=accounts,dc=example,dc=com\nobjectClass: account\nobjectClass: posixAccount\nuid: odd\ncn: odd\n\
         gecos:: YRtbMkpi\nuidNumber: 7100\ngidNumber: 7000\nhomeDirectory: /home/odd",
    );
    host.site.directory.raw(&format!(
        "dn: {}\nobjectClass: groupOfNames\nobjectClass: posixGroup\ncn:: YcKbMzFtYg==\ngidNumber: 7050",
        group_dn("odd")
    ));
    host.publish(world)?;
    world.log().wait_for_line(mark, &["refused_entry", "gecos", "x1b[2J"])?;
    world.log().wait_for_line(mark, &["refused_entry", "cn=odd,"])?;
    getent("passwd", "odd")?.expect_refused()?;
    let (_, accounts) = svcauth_json(&["accounts"])?;
    require_eq("the accounts that are left", &list_at(&accounts, "").len(), &1)?;
    let odd = "a\u{1b}[2J\u{9b}31m\u{202e}b";
    for args in [
        &["explain", odd, "deployer"] as &[&str],
        &["explain", odd, "deployer", "--json"],
        &["explain", "bob", odd],
        &["accounts", "--usable-by", odd],
        &["ssh-keys", odd, "x", "ssh-ed25519", "AAAA", "--json"],
    ] {
        let ended = svcauth(args)?;
        let said = format!("{}{}", ended.stdout, ended.stderr);
        require_contains("what is said", &said, "31m")?;
        for raw in ["\u{1b}", "\u{9b}", "\u{202e}"] {
            require_lacks("what is said", &said, raw)?;
        }
    }
    require_lacks("the log", &world.log().text(), "\u{1b}")
}
