//! Who ends, and who does not.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use svcauth_tests::cases;
use svcauth_tests::directory::{Schema, account_dn, group_dn, person_dn};
use svcauth_tests::failure::{Outcome, require, require_eq};
use svcauth_tests::program::{Ended, wait_until};
use svcauth_tests::slapd::Slapd;
use svcauth_tests::sshd::Sshd;
use svcauth_tests::world::World;

use super::{LEAVE, PATIENCE, Typing, all_end, all_live, all_stay, is_left, leave, pids, plan, said};
use crate::host::{Host, Plan, no_passwords};
use crate::shared_use::OpenConnection;

cases!("revocation":
    bob_leaves_and_all_of_his_ends_and_nothing_of_alices,
    an_account_that_is_disabled_ends_for_everybody_and_for_nobody_else,
    a_person_who_expires_is_out_without_any_change_of_the_directory,
    who_came_in_as_themselves_keeps_their_own_shell,
    of_two_sessions_of_one_person_only_the_one_without_a_rule_ends,
    the_next_step_of_a_chain_goes_on_when_it_has_left_the_terminal,
    without_audit_sessions_what_is_below_the_opener_ends,
);

fn kernel_session(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/sessionid")).unwrap_or_default()
}

fn bob_leaves_and_all_of_his_ends_and_nothing_of_alices(world: &mut World) -> Outcome {
    let mut plan = Plan::new(world)?;
    plan.site.configure("# [sessions]\n", "[sessions]\ngrace = \"2s\"\n")?;
    let slapd = Slapd::start(world, &plan.site.directory, Schema::Rfc2307bis)?;
    Slapd::serve(world, &mut plan.site)?;
    let host = plan.start(world)?;
    let (mut of_alice, mut of_bob) = (leave(&host, "alice", "deployer")?, leave(&host, "bob", "deployer")?);
    let (alice, bob) = (OpenConnection::of("alice", &host, world)?, OpenConnection::of("bob", &host, world)?);
    of_alice.extend(pids(&alice.command(&[LEAVE])?.expect_ok()?.stdout)?);
    of_bob.extend(pids(&bob.command(&[LEAVE])?.expect_ok()?.stdout)?);
    let mut shell = Typing::start(world, &host, "bob", &["bash --norc -i"])?;
    shell.press("sleep 3004 & echo shell $((40 + 2))\n")?;
    shell.wait_for("shell 42")?;
    let both = |pids: &[u32]| pids.iter().map(|pid| kernel_session(*pid)).collect::<BTreeSet<String>>();
    require(both(&of_alice).is_disjoint(&both(&of_bob)), || {
        "the kernel does not tell them apart".to_owned()
    })?;
    let mark = world.log().mark();
    slapd.modify(&format!(
        "dn: {}\nchangetype: modify\ndelete: member\nmember: {}\n",
        group_dn("application"),
        person_dn("bob")
    ))?;
    let took = all_end("bob's", &of_bob)?;
    wait_until("the end of bob's connection", PATIENCE, || {
        bob.command(&["true"]).and_then(Ended::expect_refused).ok()
    })?;
    shell.wait_for("svcauth: the access of bob to deployer has ended (the person is in none of the roles")?;
    let pairs = [("account", "deployer"), ("origin", "bob"), ("reason", "not_in_role"), ("service", "sshd")];
    world.log().wait_for(mark, "revoked", &pairs)?;
    all_stay("alice's", &of_alice)?;
    alice.command(&["true"])?.expect_ok()?;
    require(took < PATIENCE / 2, || format!("it took {took:?}"))?;
    records_are_exact(world, mark)
}

/// One for each session of bob, and none about alice.
fn records_are_exact(world: &World, mark: usize) -> Outcome {
    let records = said(world, mark, "revoked", "bob");
    let sessions: BTreeSet<&str> = records.iter().map(|record| record.get("session")).collect();
    require_eq("one record a session", &records.len(), &sessions.len())?;
    // The login that was over, the connection, and the shell.
    require_eq("sessions of bob", &sessions.len(), &3)?;
    require(
        records.iter().all(|record| record.get("count").parse().is_ok_and(|count: u32| count >= 3)),
        || format!("{records:?}"),
    )?;
    let left = |verb| said(world, mark, verb, "alice");
    require(left("revoked").is_empty() && left("end").is_empty(), || format!("{:?}", left("revoked")))
}

fn an_account_that_is_disabled_ends_for_everybody_and_for_nobody_else(world: &mut World) -> Outcome {
    let mut plan = plan(world, "grace = \"1s\"")?;
    plan.site.directory.account("jenkins", 7002, 7000);
    plan.site.configure("accounts = [\"deployer\"] ", "accounts = [\"deployer\", \"jenkins\"] ")?;
    let mut host = plan.start(world)?;
    let of_deployer = [leave(&host, "alice", "deployer")?, leave(&host, "bob", "deployer")?].concat();
    let of_jenkins = leave(&host, "bob", "jenkins")?;
    let mark = world.log().mark();
    host.site.directory.add_value(&account_dn("deployer"), "nsAccountLock", "TRUE")?;
    host.publish(world)?;
    all_end("deployer's", &of_deployer)?;
    for person in ["alice", "bob"] {
        world.log().wait_for(mark, "revoked", &[("origin", person), ("reason", "account_disabled")])?;
    }
    all_stay("jenkins'", &of_jenkins)
}

fn a_person_who_expires_is_out_without_any_change_of_the_directory(world: &mut World) -> Outcome {
    let mut plan = plan(world, "grace = \"1s\"")?;
    let soon = std::time::SystemTime::now() + Duration::from_secs(20);
    let soon = soon.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let date = svcauth_tests::program::Program::new("date").args(&["-u", "+%Y%m%d%H%M%SZ", "-d"]);
    let moment = date.arg(format!("@{soon}")).run()?.expect_ok()?;
    plan.site.directory.add_value(&person_dn("bob"), "krbPrincipalExpiration", moment.text())?;
    let host = plan.start(world)?;
    let (of_alice, of_bob) = (leave(&host, "alice", "deployer")?, leave(&host, "bob", "deployer")?);
    let mark = world.log().mark();
    // And the directory says nothing any more.
    std::fs::remove_file(svcauth_tests::site::LDIF)?;
    all_live("bob's", &of_bob)?;
    all_end("bob's", &of_bob)?;
    world.log().wait_for(mark, "revoked", &[("origin", "bob"), ("reason", "person_expired")])?;
    all_stay("alice's", &of_alice)
}

/// bob logs in as bob, who is a local user, and goes on by sudo: the audit session is one, the uids are two.
fn who_came_in_as_themselves_keeps_their_own_shell(world: &mut World) -> Outcome {
    let mut host = plan(world, "grace = \"1s\"")?.start(world)?;
    Sshd::authorize(world, "bob", &[host.key("bob")?])?;
    let own = pids(&host.ssh("bob", "bob", &[LEAVE])?.expect_ok()?.stdout)?;
    let both = format!("{LEAVE}; sudo -n -u deployer sh -c '{LEAVE}'");
    let both = pids(&host.ssh("bob", "bob", &[&both])?.expect_ok()?.stdout)?;
    require_eq("all of them", &both.len(), &6)?;
    let (his, deployers) = both.split_at(3);
    let sessions: BTreeSet<String> = both.iter().map(|pid| kernel_session(*pid)).collect();
    require_eq("audit sessions", &sessions.len(), &1)?;
    host.site.directory.leave("bob", "application")?;
    host.publish(world)?;
    all_end("deployer's", deployers)?;
    all_stay("bob's own", &[&own, his].concat())
}

fn of_two_sessions_of_one_person_only_the_one_without_a_rule_ends(world: &mut World) -> Outcome {
    let mut plan = plan(world, "grace = \"1s\"")?;
    let bob = [person_dn("bob")];
    plan.site.directory.group("admins", 7050, &bob);
    plan.site.access(
        "[[access]]\naccounts = [\"deployer\"]\nroles = [\"application\"]\nservices = [\"sshd\"]\n\
         [[access]]\naccounts = [\"deployer\"]\nroles = [\"admins\"]\nservices = [\"sudo\"]\n",
    );
    let mut host = plan.start(world)?;
    Sshd::authorize(world, "bob", &[host.key("bob")?])?;
    let by_ssh = leave(&host, "bob", "deployer")?;
    let sudo = format!("sudo -n -u deployer sh -c '{LEAVE}'");
    let by_sudo = pids(&host.ssh("bob", "bob", &[&sudo])?.expect_ok()?.stdout)?;
    let mark = world.log().mark();
    host.site.directory.leave("bob", "application")?;
    host.publish(world)?;
    all_end("what ssh began", &by_ssh)?;
    all_stay("what sudo began", &by_sudo)?;
    require_eq("records", &said(world, mark, "revoked", "bob").len(), &1)?;
    host.site.directory.leave("bob", "admins")?;
    host.publish(world)?;
    all_end("what sudo began", &by_sudo).map(drop)
}

/// With the connection the terminal goes, and the kernel tells what is on it (SIGHUP). What has left it goes on.
fn the_next_step_of_a_chain_goes_on_when_it_has_left_the_terminal(world: &mut World) -> Outcome {
    let mut plan = plan(world, "grace = \"1s\"")?;
    plan.site.directory.account("postgres2", 7003, 7000);
    let bob = [person_dn("bob")];
    plan.site.directory.group("admins", 7050, &bob);
    plan.site.access(
        "[[access]]\naccounts = [\"deployer\"]\nroles = [\"application\"]\n\
         [[access]]\naccounts = [\"postgres2\"]\nroles = [\"admins\"]\n",
    );
    let mut host = plan.start(world)?;
    no_passwords(world)?;
    let mut shell = Typing::start(world, &host, "bob", &["bash --norc -i"])?;
    shell.press("sudo -n -u postgres2 env PS1=next\\> bash --norc -i\n")?;
    world.write("/tmp/leave", 0o755, LEAVE)?;
    shell.wait_for("next>")?;
    // In the foreground: the kernel tells that alone. A job in the background is told by its shell, which may have read the
    // end of its terminal and be gone before it is told itself.
    shell.press(
        "sh /tmp/leave > /tmp/left; sh -c 'echo $$ > /tmp/shown; echo step $((40 + 2)); exec sleep 3005'\n",
    )?;
    shell.wait_for("step 42")?;
    let left = pids(&std::fs::read_to_string("/tmp/left")?)?;
    is_left(&left)?;
    let shown = pids(&std::fs::read_to_string("/tmp/shown")?)?;
    let of_deployer = leave(&host, "bob", "deployer")?;
    let mark = world.log().mark();
    host.site.directory.leave("bob", "application")?;
    host.publish(world)?;
    all_end("deployer's", &of_deployer)?;
    world.log().wait_for(mark, "revoked", &[("account", "deployer"), ("origin", "bob")])?;
    all_end("what was on the terminal", &shown)?;
    all_stay("what postgres2 has put into the background", &left)?;
    let revoked = said(world, mark, "revoked", "bob");
    require(revoked.iter().all(|record| record.get("account") == "deployer"), || format!("{revoked:?}"))?;
    host.site.directory.leave("bob", "admins")?;
    host.publish(world)?;
    all_end("postgres2's", &left)?;
    world.log().wait_for(mark, "revoked", &[("account", "postgres2"), ("origin", "bob")]).map(drop)
}

/// Without pam_loginuid the process tree is all there is: what has left it cannot be told from anybody's.
fn without_audit_sessions_what_is_below_the_opener_ends(world: &mut World) -> Outcome {
    let plan = plan(world, "grace = \"1s\"")?;
    let mut host: Host = plan.start(world)?;
    let stack = std::fs::read_to_string("/etc/pam.d/sshd")?;
    world.write("/etc/pam.d/sshd", 0o644, stack.replace("session    required     pam_loginuid.so\n", ""))?;
    let (alice, bob) = (OpenConnection::of("alice", &host, world)?, OpenConnection::of("bob", &host, world)?);
    let (of_alice, of_bob) = (Path::new("/tmp/of-alice"), Path::new("/tmp/of-bob"));
    let mut typing = Vec::new();
    for (person, file) in [("alice", of_alice), ("bob", of_bob)] {
        let command = format!("echo $$ > {}; sleep 3006 & echo $! >> {0}; wait", file.display());
        typing.push(Typing::start(world, &host, person, &[&command])?);
        wait_until("the pids", PATIENCE, || {
            std::fs::read_to_string(file).is_ok_and(|text| text.lines().count() == 2).then_some(())
        })?;
    }
    let (of_alice, of_bob) =
        (pids(&std::fs::read_to_string(of_alice)?)?, pids(&std::fs::read_to_string(of_bob)?)?);
    let sessions: BTreeSet<String> = of_bob.iter().map(|pid| kernel_session(*pid)).collect();
    require_eq("bob's audit session", &sessions, &BTreeSet::from(["4294967295".to_owned()]))?;
    host.site.directory.leave("bob", "application")?;
    host.publish(world)?;
    all_end("bob's", &of_bob)?;
    wait_until("the end of bob's connection", PATIENCE, || {
        bob.command(&["true"]).and_then(Ended::expect_refused).ok()
    })?;
    all_stay("alice's", &of_alice)?;
    alice.command(&["true"])?.expect_ok().map(drop)
}
