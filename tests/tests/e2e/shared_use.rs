//! "Auditing Shared Account Usage": Alice, Bob and Carol share one account, and each is told apart.

use std::path::Path;
use std::time::Duration;

use svcauth_tests::cases;
use svcauth_tests::failure::{Outcome, require, require_contains, require_eq};
use svcauth_tests::keys::Key;
use svcauth_tests::program::{Background, Ended, wait_until};
use svcauth_tests::sshd::client;
use svcauth_tests::world::World;

use crate::host::{Host, Plan, getent};

cases!("shared_use":
    getent_lists_the_members_of_a_directory_group_and_of_a_local_one,
    a_command_that_refuses_all_still_refuses_all,
    alice_is_alice_whatever_her_client_sends,
    bob_is_in_the_group_and_his_output_and_exit_status_come_through,
    carol_is_not_and_her_command_does_not_run,
    membership_may_change_at_any_time_and_no_file_is_edited,
    a_person_who_leaves_gets_no_further_command_out_of_an_open_connection,
    a_key_alone_and_a_group_alone_are_not_enough,
);

/// T-B.2
fn getent_lists_the_members_of_a_directory_group_and_of_a_local_one(world: &mut World) -> Outcome {
    let mut plan = Plan::new(world)?;
    plan.site.directory.group("web team", 7040, &[svcauth_tests::directory::person_dn("carol")]);
    let _host = plan.start(world)?;
    require_eq(
        "directory",
        getent("group", "application")?.expect_ok()?.text(),
        "application:*:7000:alice,bob",
    )?;
    require_eq("local", getent("group", "local")?.expect_ok()?.text(), "local:x:1010:")
}

/// T-B.3
fn a_command_that_refuses_all_still_refuses_all(world: &mut World) -> Outcome {
    let host = Plan::new(world)?.start(world)?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    let line = format!("command=\"logger -p auth.INFO Not permitted\" {}\n", host.key("bob")?.public());
    world.write("/etc/ssh/keys/deployer", 0o644, line)?;
    let mark = world.log().mark();
    let ended = host.ssh("bob", "deployer", &["touch", "/tmp/bob"])?;
    require_eq("what bob sees", ended.text(), "")?;
    require(!Path::new("/tmp/bob").exists(), || "bob's command ran".to_owned())?;
    world.log().wait_for_line(mark, &["deployer", "Not permitted"])?;
    world.log().wait_for(mark, "allow", &[("origin", "bob")]).map(drop)
}

/// T-B.4
fn alice_is_alice_whatever_her_client_sends(world: &mut World) -> Outcome {
    let mut plan = Plan::new(world)?;
    plan.sshd_line("PermitUserEnvironment no");
    let host = plan.start(world)?;
    for lie in ["-oSetEnv=SVCAUTH_ORIGIN=bob", "-oSetEnv=SSH_REMOTE_USER=bob", "-oSetEnv=LC_ALL=bob"] {
        let mark = world.log().mark();
        let ended = host.sshd.ssh_with(&[lie], "deployer", host.key("alice")?, &["echo $SVCAUTH_ORIGIN"])?;
        require_eq(lie, ended.expect_ok()?.text(), "alice")?;
        world.log().wait_for(mark, "allow", &[("origin", "alice")])?;
    }
    Ok(())
}

/// T-B.7
fn bob_is_in_the_group_and_his_output_and_exit_status_come_through(world: &mut World) -> Outcome {
    let host = Plan::new(world)?.start(world)?;
    let listed = host.ssh("bob", "deployer", &["ls /"])?.expect_ok()?;
    require_contains("the listing", &listed.stdout, "etc\n")?;
    host.ssh("bob", "deployer", &["exit 7"])?.expect_code(7)?;
    let bytes = client(&[], "deployer", host.key("bob")?, &["cat"]).input("a\tb\r\nc").run()?.expect_ok()?;
    require_eq("bytes there and back", bytes.stdout.as_str(), "a\tb\r\nc")?;
    let key = host.key("bob")?.fingerprint();
    world.log().wait_for_line(0, &["Accepted publickey for deployer", key])?;
    world.log().wait_for(0, "allow", &[("origin", "bob"), ("role", "application"), ("key", key)]).map(drop)
}

/// T-B.8
fn carol_is_not_and_her_command_does_not_run(world: &mut World) -> Outcome {
    let host = Plan::new(world)?.start(world)?;
    host.ssh("bob", "deployer", &["touch", "/tmp/bob"])?.expect_ok()?;
    require(Path::new("/tmp/bob").exists(), || "bob's command did not run".to_owned())?;
    host.ssh("carol", "deployer", &["touch", "/tmp/carol"])?.expect_refused()?;
    require(!Path::new("/tmp/carol").exists(), || "carol's command ran".to_owned())?;
    world.log().wait_for(0, "deny", &[("origin", "carol"), ("reason", "not_in_role")]).map(drop)
}

/// T-B.9
fn membership_may_change_at_any_time_and_no_file_is_edited(world: &mut World) -> Outcome {
    let mut host = Plan::new(world)?.start(world)?;
    let daemon = host.daemon.pid();
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    host.ssh("carol", "deployer", &["true"])?.expect_refused()?;
    host.site.directory.leave("bob", "application")?;
    host.site.directory.join("carol", "application")?;
    host.publish(world)?;
    host.ssh("bob", "deployer", &["true"])?.expect_refused()?;
    host.ssh("carol", "deployer", &["true"])?.expect_ok()?;
    host.ssh("alice", "deployer", &["true"])?.expect_ok()?;
    require_eq("the group", getent("group", "application")?.text(), "application:*:7000:alice,carol")?;
    require(Path::new(&format!("/proc/{daemon}/exe")).exists(), || "the daemon was restarted".to_owned())
}

/// T-B.10: sshd asks PAM once for a connection, so it is the daemon that ends the one whose person has left, and no other.
fn a_person_who_leaves_gets_no_further_command_out_of_an_open_connection(world: &mut World) -> Outcome {
    let mut host = Plan::new(world)?.start(world)?;
    let bob = OpenConnection::of("bob", &host, world)?;
    let alice = OpenConnection::of("alice", &host, world)?;
    bob.command(&["true"])?.expect_ok()?;
    alice.command(&["true"])?.expect_ok()?;
    let mark = world.log().mark();
    host.site.directory.leave("bob", "application")?;
    host.publish(world)?;
    wait_until("the end of bob's connection", Duration::from_secs(60), || {
        bob.command(&["true"]).and_then(Ended::expect_refused).ok()
    })?;
    bob.command(&["touch", "/home/deployer/bob-was-here"])?.expect_refused()?;
    require(!Path::new("/home/deployer/bob-was-here").exists(), || "bob's command ran".to_owned())?;
    let who = [("account", "deployer"), ("origin", "bob")];
    world.log().wait_for(mark, "revoked", &[who[0], who[1], ("reason", "not_in_role")])?;
    world.log().wait_for(mark, "end", &who)?;
    alice.command(&["true"])?.expect_ok()?;
    let since = world.log().records_since(mark);
    let of_alice = |verb: &str| since.iter().any(|record| record.says(verb, &[("origin", "alice")]));
    require(!of_alice("revoked") && !of_alice("end"), || format!("alice was touched: {since:?}"))
}

/// A ControlMaster over which commands run without another login.
pub(crate) struct OpenConnection {
    socket: String,
    key: Key,
    _master: Background,
}

impl OpenConnection {
    pub(crate) fn of(person: &str, host: &Host, world: &mut World) -> Outcome<Self> {
        let socket = format!("/tmp/{person}");
        let key = host.key(person)?.clone();
        let path = format!("-oControlPath={socket}");
        let master = client(&["-N", "-oControlMaster=yes", &path], "deployer", &key, &[]);
        let master = master.start(world.log_file(&format!("{person}.out"))?)?;
        wait_until("the connection", Duration::from_secs(60), || Path::new(&socket).exists().then_some(()))?;
        Ok(Self { socket, key, _master: master })
    }

    /// Over this connection or not at all: no new one is possible.
    pub(crate) fn command(&self, command: &[&str]) -> Outcome<Ended> {
        let path = format!("-oControlPath={}", self.socket);
        let only = [path.as_str(), "-oControlMaster=no", "-oProxyCommand=false"];
        client(&only, "deployer", &self.key, command).run()
    }
}

/// T-B.11
fn a_key_alone_and_a_group_alone_are_not_enough(world: &mut World) -> Outcome {
    let mut plan = Plan::new(world)?;
    let other = plan.make_key(world, "other")?;
    let host = plan.start(world)?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    // A key of the directory, no role.
    host.ssh("carol", "deployer", &["true"])?.expect_refused()?;
    // bob has the role; this key is not his.
    host.sshd.ssh("deployer", &other, &["true"])?.expect_refused()?;
    world.log().wait_for(0, "deny", &[("reason", "unknown_key"), ("key", other.fingerprint())]).map(drop)
}
