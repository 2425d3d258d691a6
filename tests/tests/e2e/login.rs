//! Logins by ssh with a key: who gets in, who does not, and what the log says.

use std::path::Path;
use std::time::Duration;

use svcauth_tests::cases;
use svcauth_tests::failure::{Outcome, require, require_contains, require_eq, require_lacks};
use svcauth_tests::keys::Key;
use svcauth_tests::program::{Program, wait_until};
use svcauth_tests::site::Site;
use svcauth_tests::sshd::client;
use svcauth_tests::world::World;

use crate::host::{Host, Plan, getent};

cases!("login":
    the_account_resolves_though_no_local_file_has_it,
    bob_gets_in_and_the_log_names_him_his_key_and_his_role,
    carol_is_refused_though_sshd_accepts_her_key,
    a_refused_person_gets_no_shell_no_transfer_and_no_forward,
    a_key_of_nobody_is_refused,
    two_people_behind_one_login_are_ambiguous,
    a_forged_pam_environment_does_not_change_who_it_is,
    a_client_cannot_name_its_own_origin,
    keys_come_from_the_directory_for_those_who_may_only,
    the_end_of_a_session_is_recorded,
    root_and_local_users_are_left_alone,
    a_rule_with_from_covers_its_addresses_only,
    a_rule_with_hosts_covers_its_hosts_only,
);

fn the_account_resolves_though_no_local_file_has_it(world: &mut World) -> Outcome {
    let _host = Plan::new(world)?.start(world)?;
    let local = std::fs::read_to_string("/etc/passwd")? + &std::fs::read_to_string("/etc/group")?;
    require_lacks("the local files", &local, "deployer")?;
    let by_name = getent("passwd", "deployer")?.expect_ok()?;
    require_contains("the passwd entry", &by_name.stdout, "deployer:*:7001:7000:")?;
    require_eq("the entry by uid", &getent("passwd", "7001")?.stdout, &by_name.stdout)?;
    let group = getent("group", "application")?.expect_ok()?;
    require_eq("the group", group.text(), "application:*:7000:alice,bob")?;
    require_eq("the group by gid", &getent("group", "7000")?.stdout, &group.stdout)?;
    let id = Program::new("id").arg("deployer").run()?.expect_ok()?;
    require_eq("id", id.text(), "uid=7001(deployer) gid=7000(application) groups=7000(application)")
}

fn bob_gets_in_and_the_log_names_him_his_key_and_his_role(world: &mut World) -> Outcome {
    let host = Plan::new(world)?.start(world)?;
    let ended = host.ssh("bob", "deployer", &["id", "-u"])?.expect_ok()?;
    require_eq("the uid", ended.text(), "7001")?;
    let fingerprint = host.key("bob")?.fingerprint().to_owned();
    let expected = [
        ("account", "deployer"),
        ("origin", "bob"),
        ("evidence", "publickey"),
        ("key", &fingerprint),
        ("role", "application"),
        ("service", "sshd"),
        ("from", "127.0.0.1"),
    ];
    let record = world.log().wait_for(0, "allow", &expected)?;
    require(!record.get("session").is_empty() && !record.get("generation").is_empty(), || record.line.clone())
}

fn carol_is_refused_though_sshd_accepts_her_key(world: &mut World) -> Outcome {
    let host = Plan::new(world)?.start(world)?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    let mark = world.log().mark();
    let refused = host.ssh("carol", "deployer", &["touch", "/home/deployer/marker"])?.expect_refused()?;
    require_lacks("what carol is told", &refused.stderr, "role")?;
    require(!Path::new("/home/deployer/marker").exists(), || "carol's command ran".to_owned())?;
    let key = host.key("carol")?.fingerprint();
    world.log().wait_for_line(mark, &["Accepted publickey for deployer", key])?;
    let pairs = [("account", "deployer"), ("origin", "carol"), ("reason", "not_in_role"), ("key", key)];
    world.log().wait_for(mark, "deny", &pairs).map(drop)
}

fn a_refused_person_gets_no_shell_no_transfer_and_no_forward(world: &mut World) -> Outcome {
    let host = Plan::new(world)?.start(world)?;
    world.write("/srv/secret", 0o644, "the secret\n")?;
    for (way, sign) in
        [("exec", "the secret"), ("shell", "the secret"), ("sftp", "the secret"), ("forward", "SSH-2.0")]
    {
        require_contains(&format!("bob by {way}"), &reaches(host.key("bob")?, way)?, sign)?;
        require_lacks(&format!("carol by {way}"), &reaches(host.key("carol")?, way)?, sign)?;
    }
    Ok(())
}

/// What comes back over one of the ways that sshd offers.
fn reaches(key: &Key, way: &str) -> Outcome<String> {
    let got = "/tmp/got";
    let program = match way {
        "exec" => client(&[], "deployer", key, &["cat /srv/secret"]),
        "shell" => client(&["-tt"], "deployer", key, &[]).input("cat /srv/secret; exit\n"),
        "sftp" => sftp(key, got),
        _ => client(&["-W", "127.0.0.1:22"], "deployer", key, &[]),
    };
    let ended = program.patience(Duration::from_secs(60)).run()?;
    let fetched = std::fs::read_to_string(got).unwrap_or_default();
    let _ = std::fs::remove_file(got);
    Ok(ended.stdout + &fetched)
}

fn sftp(key: &Key, to: &str) -> Program {
    let options = ["-q", "-b", "-", "-F/dev/null", "-oIdentitiesOnly=yes", "-oStrictHostKeyChecking=no"];
    let known = ["-oUserKnownHostsFile=/dev/null", "-i"];
    let sftp = Program::new("sftp").args(&options).args(&known).arg(key.path()).arg("deployer@127.0.0.1");
    sftp.input(format!("get /srv/secret {to}\n"))
}

fn a_key_of_nobody_is_refused(world: &mut World) -> Outcome {
    let mut plan = Plan::new(world)?;
    plan.make_key(world, "stranger")?;
    let host = plan.start(world)?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    host.ssh("stranger", "deployer", &["true"])?.expect_refused()?;
    let key = host.key("stranger")?.fingerprint();
    let record = world.log().wait_for(0, "deny", &[("reason", "unknown_key"), ("key", key)])?;
    require(record.get("origin").is_empty(), || format!("an origin was made up: {}", record.line))
}

fn two_people_behind_one_login_are_ambiguous(world: &mut World) -> Outcome {
    let mut plan = Plan::new(world)?;
    plan.sshd_line("AuthenticationMethods publickey,publickey");
    let host = plan.start(world)?;
    let alice = host.key("alice")?.path().display().to_string();
    let two = host.sshd.ssh_with(&["-i", &alice], "deployer", host.key("bob")?, &["true"])?;
    two.expect_refused()?;
    world.log().wait_for_line(0, &["Accepted publickey for deployer"])?;
    world.log().wait_for(0, "deny", &[("account", "deployer"), ("reason", "ambiguous_origin")]).map(drop)
}

fn a_forged_pam_environment_does_not_change_who_it_is(world: &mut World) -> Outcome {
    let host = Plan::new(world)?.start(world)?;
    let forged = format!("SSH_AUTH_INFO_0 DEFAULT=\"publickey {}\"\n", bare(host.key("bob")?.public()));
    world.write("/home/deployer/.pam_environment", 0o644, forged)?;
    let seen = host.ssh("alice", "deployer", &["true"])?.expect_ok()?;
    require_eq("what alice sees", seen.text(), "")?;
    world.log().wait_for(0, "allow", &[("origin", "alice")])?;
    host.ssh("carol", "deployer", &["true"])?.expect_refused()?;
    world.log().wait_for(0, "deny", &[("origin", "carol"), ("reason", "not_in_role")])?;
    let bobs =
        world.log().records_since(0).into_iter().filter(|record| record.get("origin") == "bob").count();
    require_eq("records that name bob", &bobs, &0)
}

fn bare(public: &str) -> &str {
    public.rsplit_once(' ').map_or(public, |(key, _comment)| key)
}

fn a_client_cannot_name_its_own_origin(world: &mut World) -> Outcome {
    let host = Plan::new(world)?.start(world)?;
    let lie = ["-oSetEnv=SVCAUTH_ORIGIN=bob LC_ORIGIN=bob SSH_AUTH_INFO_0=x"];
    let ended =
        host.sshd.ssh_with(&lie, "deployer", host.key("alice")?, &["echo $SVCAUTH_ORIGIN $LC_ORIGIN"])?;
    require_eq("the environment", ended.expect_ok()?.text(), "alice bob")?;
    world.log().wait_for(0, "allow", &[("origin", "alice")]).map(drop)
}

fn keys_come_from_the_directory_for_those_who_may_only(world: &mut World) -> Outcome {
    let mut plan = Plan::new(world)?;
    plan.sshd_line("AuthorizedKeysFile none");
    Site::keys_from_directory(world)?;
    let host = plan.start(world)?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    world.log().wait_for(0, "allow", &[("origin", "bob")])?;
    let mark = world.log().mark();
    let refused = host.ssh("carol", "deployer", &["true"])?.expect_code(255)?;
    require_contains("what carol is told", &refused.stderr, "Permission denied")?;
    let key = host.key("carol")?.fingerprint();
    let record = world.log().wait_for(
        mark,
        "key_refused",
        &[("account", "deployer"), ("key", key), ("proven", "no")],
    )?;
    let decided = world
        .log()
        .records_since(mark)
        .into_iter()
        .filter(|said| matches!(said.verb.as_str(), "allow" | "deny"));
    require_eq(&format!("decisions besides {}", record.line), &decided.count(), &0)
}

fn the_end_of_a_session_is_recorded(world: &mut World) -> Outcome {
    let host = Plan::new(world)?.start(world)?;
    host.ssh("bob", "deployer", &["sleep", "1"])?.expect_ok()?;
    let began = world.log().wait_for(0, "allow", &[("origin", "bob")])?;
    let session = began.get("session").to_owned();
    let ended = world.log().wait_for(0, "end", &[("origin", "bob"), ("session", &session)])?;
    let duration: f64 = ended.get("duration").parse().unwrap_or(0.0);
    require((1.0..600.0).contains(&duration), || ended.line.clone())?;
    // The record comes before the entry goes.
    wait_until("no session file", Duration::from_secs(60), || {
        let left = Program::new("grep").args(&["-r", "", "/run/svcauth/sessions"]).run().ok()?;
        left.text().is_empty().then_some(())
    })
}

fn root_and_local_users_are_left_alone(world: &mut World) -> Outcome {
    let host = Plan::new(world)?.start(world)?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    world.log().wait_for(0, "allow", &[("origin", "bob")])?;
    world.log().wait_for(0, "end", &[("origin", "bob")])?;
    let mark = world.log().mark();
    for user in ["root", "local"] {
        let ended = host.ssh("carol", user, &["id", "-un"])?.expect_ok()?;
        require_eq("the user", ended.text(), user)?;
    }
    world.log().wait_for_line(mark, &["Accepted publickey for local"])?;
    require_eq("records about them", &world.log().records_since(mark), &Vec::new())
}

fn a_rule_with_from_covers_its_addresses_only(world: &mut World) -> Outcome {
    let mut plan = Plan::new(world)?;
    plan.site.configure(
        "# from = [\"10.0.0.0/8\"]                 # default: anywhere",
        "from = [\"127.0.0.9/32\"]",
    )?;
    let host = plan.start(world)?;
    let from = |address: &str| host.sshd.ssh_with(&["-b", address], "deployer", host.key("bob")?, &["true"]);
    from("127.0.0.9")?.expect_ok()?;
    from("127.0.0.8")?.expect_refused()?;
    world.log().wait_for(0, "deny", &[("reason", "source_not_allowed"), ("from", "127.0.0.8")]).map(drop)
}

fn a_rule_with_hosts_covers_its_hosts_only(world: &mut World) -> Outcome {
    let mut plan = Plan::new(world)?;
    let line = "# hosts = [\"web*\"]                      # default: every host";
    plan.site.configure(line, "hosts = [\"web*\"]")?;
    let mut host: Host = plan.start(world)?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    host.site.configure("hosts = [\"web*\"]", "hosts = [\"db*\"]")?;
    host.site.write(world)?;
    host.daemon.reload(world)?;
    host.ssh("bob", "deployer", &["true"])?.expect_refused()?;
    world.log().wait_for(0, "deny", &[("account", "deployer"), ("reason", "host_not_allowed")]).map(drop)
}
