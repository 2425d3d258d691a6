//! A directory that wants to be root on this host changes nothing, and is reported.

use svcauth_tests::cases;
use svcauth_tests::directory::{BASE, account_dn, group_dn, person_dn};
use svcauth_tests::failure::{Outcome, require, require_contains, require_eq, require_lacks};
use svcauth_tests::log::Record;
use svcauth_tests::program::Program;
use svcauth_tests::world::World;

use crate::host::{Host, Plan, getent};

cases!("hostile":
    ids_that_are_not_ours_are_never_served,
    names_that_are_not_ours_are_never_served,
    a_group_of_this_host_gains_no_member,
    two_entries_with_one_name_or_uid_are_both_refused,
    a_bad_entry_does_not_hide_the_good_ones_and_alarms_once,
);

/// Publishes one bad account and gives the alarms that it raised.
fn offer(world: &World, host: &mut Host, name: &str, uid: &str, gid: &str) -> Outcome<Vec<Record>> {
    let good = host.site.directory.clone();
    let entry = format!(
        "dn: uid=bad,ou=accounts,{BASE}\nobjectClass: account\nobjectClass: posixAccount\n{name}\ncn: bad\n\
         uidNumber: {uid}\ngidNumber: {gid}\nhomeDirectory: /home/bad"
    );
    let mark = world.log().mark();
    host.site.directory.raw(&entry);
    host.publish(world)?;
    host.publish(world)?;
    host.site.directory = good;
    let _ = world.log().wait_for(mark, "alarm", &[]);
    Ok(world.log().records_since(mark).into_iter().filter(|record| record.verb == "alarm").collect())
}

fn the_host_is_as_before() -> Outcome {
    let root = getent("passwd", "0")?.expect_ok()?;
    require_contains("uid 0", &root.stdout, "root:x:0:0:")?;
    require_eq("lines of uid 0", &root.stdout.lines().count(), &1)?;
    require_contains(
        "deployer",
        &getent("passwd", "deployer")?.expect_ok()?.stdout,
        "deployer:*:7001:7000:",
    )?;
    let id = Program::new("id").arg("local").run()?.expect_ok()?;
    require_eq("a local user", id.text(), "uid=1010(local) gid=1010(local) groups=1010(local)")
}

fn ids_that_are_not_ours_are_never_served(world: &mut World) -> Outcome {
    let mut host = Plan::new(world)?.start(world)?;
    let ids = [
        "0",
        "1",
        "999",
        "6999",
        "8000",
        "65534",
        "65535",
        "4294967294",
        "4294967295",
        "4294967296",
        "4294974297",
        "-1",
    ];
    for id in ids {
        for (uid, gid) in [(id, "7000"), ("7005", id)] {
            let alarms = offer(world, &mut host, "uid: bad", uid, gid)?;
            require_eq(&format!("alarms about {uid}:{gid}"), &alarms.len(), &1)?;
            getent("passwd", "bad")?.expect_code(2)?;
            host.publish(world)?;
        }
    }
    the_host_is_as_before()
}

fn names_that_are_not_ours_are_never_served(world: &mut World) -> Outcome {
    let mut host = Plan::new(world)?.start(world)?;
    let before = Program::new("getent").arg("passwd").run()?.expect_ok()?.stdout;
    // The last three are base64 of "x\nroot2:x:0:0::/:/bin/sh", of "a\0b" and of a name that is not UTF-8.
    let names = [
        "uid: root",
        "uid: daemon",
        "uid: local",
        "uid: svcauth",
        "uid: a:b",
        "uid: ../x",
        "uid: -x",
        "uid: 0day",
        "uid: .",
        "uid: a b",
        "uid: ROOT/",
        "uid: x$(id)",
        "uid:: eApyb290Mjp4OjA6MDo6LzovYmluL3No",
        "uid:: YQBi",
        "uid:: /w==",
    ];
    for name in names {
        let alarms = offer(world, &mut host, name, "7005", "7000")?;
        require_eq(&format!("alarms about {name}"), &alarms.len(), &1)?;
        require_eq("all accounts", &Program::new("getent").arg("passwd").run()?.stdout, &before)?;
        host.publish(world)?;
    }
    the_host_is_as_before()
}

fn a_group_of_this_host_gains_no_member(world: &mut World) -> Outcome {
    let mut plan = Plan::new(world)?;
    let members = [person_dn("bob"), account_dn("deployer")];
    for (name, gid) in [("sudo", 7050), ("root", 7051), ("evil", 27), ("wheelish", 0), ("shadow", 42)] {
        plan.site.directory.group(name, gid, &members);
    }
    // A good one beside them: membership does arrive.
    plan.site.directory.group("good", 7060, &members);
    let host = plan.start(world)?;
    let id = Program::new("id").args(&["-G", "deployer"]).run()?.expect_ok()?;
    require_eq("groups of deployer", id.text(), "7000 7060")?;
    let session = host.ssh("bob", "deployer", &["id", "-G"])?.expect_ok()?;
    require_eq("groups of a session", session.text(), "7000 7060")?;
    let bob = Program::new("id").args(&["-G", "bob"]).run()?.expect_ok()?;
    require_eq("groups of the local user bob", bob.text(), "1002")?;
    require_lacks("sudo", &getent("group", "sudo")?.stdout, "deployer")?;
    require_lacks("gid 27", &getent("group", "27")?.stdout, "evil")?;
    for name in ["sudo", "root", "evil", "wheelish", "shadow"] {
        let dn = group_dn(name);
        let alarms = world
            .log()
            .records_since(0)
            .into_iter()
            .filter(|r| r.verb == "alarm" && r.line.contains(&dn))
            .count();
        require_eq(&format!("alarms about {dn}"), &alarms, &1)?;
    }
    the_host_is_as_before()
}

fn two_entries_with_one_name_or_uid_are_both_refused(world: &mut World) -> Outcome {
    let mut plan = Plan::new(world)?;
    plan.site.directory.account("one", 7005, 7000);
    let mut host = plan.start(world)?;
    getent("passwd", "one")?.expect_ok()?;
    offer(world, &mut host, "uid: one", "7006", "7000")?;
    getent("passwd", "one")?.expect_code(2)?;
    host.publish(world)?;
    getent("passwd", "one")?.expect_ok()?;
    offer(world, &mut host, "uid: two", "7005", "7000")?;
    getent("passwd", "7005")?.expect_code(2)?;
    the_host_is_as_before()
}

fn a_bad_entry_does_not_hide_the_good_ones_and_alarms_once(world: &mut World) -> Outcome {
    let mut plan = Plan::new(world)?;
    plan.site.directory.account("zero", 0, 0);
    plan.site.directory.account("jenkins", 7002, 7000);
    let host = plan.start(world)?;
    getent("passwd", "jenkins")?.expect_ok()?;
    for _ in 0..5 {
        host.publish(world)?;
    }
    let alarms = world.log().records_since(0).into_iter().filter(|record| record.verb == "alarm").count();
    require_eq("alarms after six looks", &alarms, &1)?;
    require(host.ssh("bob", "deployer", &["true"])?.ok(), || "bob is out".to_owned())?;
    the_host_is_as_before()
}
