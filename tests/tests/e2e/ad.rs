//! A real Active Directory (Samba): what is different there. What is the same everywhere is in `everywhere`.

use svcauth_tests::cases;
use svcauth_tests::failure::{Context, Outcome, require_eq};
use svcauth_tests::samba::{Samba, example, group, group_dn, key_line, members_from, person, person_dn};
use svcauth_tests::world::World;

use crate::host::{Host, Plan, getent};

cases!("ad":
    bob_is_in_by_his_group_and_out_when_he_leaves_it,
    member_3200_of_a_group_is_in_and_getent_lists_them_all,
    a_computer_is_nobody,
);

const RULE: &str = "roles = [\"application\"]";

fn is_in(world: &World, host: &Host, login: &str, role: &str) -> Outcome {
    let mark = world.log().mark();
    host.ssh(login, "deployer", &["true"])?.expect_ok().doing(login.to_owned())?;
    world.log().wait_for(mark, "allow", &[("origin", login), ("role", role)]).map(drop)
}

fn is_out(world: &World, host: &Host, login: &str, reason: &str) -> Outcome {
    let mark = world.log().mark();
    host.ssh(login, "deployer", &["true"])?.expect_refused().doing(login.to_owned())?;
    world.log().wait_for(mark, "deny", &[("origin", login), ("reason", reason)]).map(drop)
}

fn bob_is_in_by_his_group_and_out_when_he_leaves_it(world: &mut World) -> Outcome {
    let mut plan = Plan::new(world)?;
    let keys = [("alice", plan.key("alice")?), ("bob", plan.key("bob")?), ("carol", plan.key("carol")?)];
    let samba = Samba::start(world, &example(&keys, ""))?;
    Samba::serve(world, &mut plan.site)?;
    let mut host = plan.start(world)?;
    let passwd = getent("passwd", "deployer")?.expect_ok()?;
    require_eq("deployer", passwd.text(), "deployer:*:7001:7000:deployer:/home/deployer:/bin/bash")?;
    require_eq("the group", getent("group", "application")?.text(), "application:*:7000:alice,bob")?;
    is_in(world, &host, "bob", "application")?;
    is_out(world, &host, "carol", "not_in_role")?;
    // The same over StartTLS, which is told apart from LDAPS by the port.
    host.site.configure(
        "uris = [\"ldaps://dc1.example.com\"]",
        "uris = [\"ldap://dc1.example.com\"]\ntls = \"starttls\"",
    )?;
    host.site.write(world)?;
    host.daemon.reload(world)?;
    let (group, bob) = (group_dn("application"), person_dn("bob"));
    samba.modify(&format!("dn: {group}\nchangetype: modify\ndelete: member\nmember: {bob}\n"))?;
    host.daemon.sync()?;
    is_out(world, &host, "bob", "not_in_role")?;
    is_in(world, &host, "alice", "application")
}

fn member_3200_of_a_group_is_in_and_getent_lists_them_all(world: &mut World) -> Outcome {
    const MEMBERS: usize = 3200;
    let logins: Vec<String> = (0..MEMBERS).map(|number| format!("m{number:04}")).collect();
    let crowd: String = logins.iter().map(|login| person(login, "description: x")).collect();
    let members: Vec<String> = logins.iter().map(|login| person_dn(login)).collect();
    let big = group("big", "gidNumber: 7050", &members);
    let mut plan = Plan::new(world)?;
    let key = plan.make_key(world, "late")?;
    let ldif = example(&[("alice", plan.key("alice")?), ("bob", plan.key("bob")?)], &format!("{crowd}{big}"));
    let samba = Samba::start(world, &ldif)?;
    Samba::serve(world, &mut plan.site)?;
    plan.site.configure(RULE, "roles = [\"application\", \"big\"]")?;
    let asked =
        samba.search(&["-b", &group_dn("big"), "-s", "base", "(objectClass=*)", "member;range=1500-*"])?;
    let late = members_from(&asked, 1500)?;
    require_eq("members beyond the first range", &late.len(), &(MEMBERS - 1500))?;
    let last = late.last().map(String::as_str).unwrap_or_default();
    samba.modify(&format!(
        "dn: {}\nchangetype: modify\nadd: altSecurityIdentities\n{}\n",
        person_dn(last),
        key_line(&key)
    ))?;
    let host = plan.start(world)?;
    let mark = world.log().mark();
    host.ssh("late", "deployer", &["true"])?.expect_ok()?;
    world.log().wait_for(mark, "allow", &[("origin", last), ("role", "big")])?;
    let listed = || -> Outcome<Vec<String>> {
        let line = getent("group", "big")?.expect_ok()?;
        let members = line.text().rsplit(':').next().unwrap_or_default();
        Ok(members.split(',').map(str::to_owned).collect())
    };
    require_eq("the number of members", &listed()?.len(), &MEMBERS)?;
    require_eq("the members", &listed()?, &logins)?;
    let dn = person_dn(last);
    samba.modify(&format!("dn: {}\nchangetype: modify\ndelete: member\nmember: {dn}\n", group_dn("big")))?;
    host.daemon.sync()?;
    require_eq("the number of members", &listed()?.len(), &(MEMBERS - 1))?;
    let mark = world.log().mark();
    host.ssh("late", "deployer", &["true"])?.expect_refused()?;
    world.log().wait_for(mark, "deny", &[("origin", last), ("reason", "not_in_role")]).map(drop)
}

fn a_computer_is_nobody(world: &mut World) -> Outcome {
    let computer = |plan: &Plan, class: &str, name: &str, control: u32| -> Outcome<String> {
        let dn = person_dn("host1");
        let key = key_line(plan.key("host1")?);
        Ok(format!(
            "dn: {dn}\nobjectClass: {class}\nsAMAccountName: {name}\nuserAccountControl: {control}\n{key}\n\n"
        ) + &group("team", "description: x", &[dn]))
    };
    let mut plan = Plan::new(world)?;
    plan.make_key(world, "host1")?;
    let ldif = example(
        &[("alice", plan.key("alice")?), ("bob", plan.key("bob")?)],
        &computer(&plan, "computer", "host1$", 4096)?,
    );
    let _samba = Samba::start(world, &ldif)?;
    Samba::serve(world, &mut plan.site)?;
    plan.site.configure(RULE, "roles = [\"application\", \"team\"]")?;
    let host = plan.start(world)?;
    is_in(world, &host, "bob", "application")?;
    let mark = world.log().mark();
    host.ssh("host1", "deployer", &["true"])?.expect_refused()?;
    world.log().wait_for(mark, "deny", &[("reason", "unknown_key")]).map(drop)
}
