//! A real Active Directory (Samba): the main job, and what is different there.

use svcauth_tests::cases;
use svcauth_tests::failure::{Context, Outcome, require, require_contains, require_eq};
use svcauth_tests::samba::{
    DOMAIN, Samba, account_dn, example, group, group_dn, key_line, members_from, person, person_dn,
};
use svcauth_tests::world::World;

use crate::host::{Host, Plan, getent};

cases!("ad":
    bob_is_in_by_his_group_and_out_when_he_leaves_it,
    the_disabled_the_expired_and_the_locked_are_refused_each_for_their_own_reason,
    a_member_beyond_the_first_range_is_in_and_getent_lists_them_all,
    nested_and_primary_groups_count_and_a_cycle_ends,
    a_computer_is_nobody,
);

const RULE: &str = "roles = [\"application\"]";

/// A host whose directory is a domain with these people, besides the example's; `more` is LDIF that may name them.
fn start(
    world: &World,
    people: &[&str],
    roles: &[&str],
    more: impl Fn(&Plan) -> Outcome<String>,
) -> Outcome<(Host, Samba)> {
    let mut plan = Plan::new(world)?;
    for login in people {
        plan.make_key(world, login)?;
    }
    let everybody: Vec<&str> = ["alice", "bob", "carol"].iter().chain(people).copied().collect();
    let keys = everybody.iter().map(|login| Ok((*login, plan.key(login)?)));
    let ldif = example(&keys.collect::<Outcome<Vec<_>>>()?, &more(&plan)?);
    let samba = Samba::start(world, &ldif)?;
    Samba::serve(world, &mut plan.site)?;
    let quoted: String = roles.iter().map(|role| format!(", \"{role}\"")).collect();
    plan.site.configure(RULE, &format!("roles = [\"application\"{quoted}]"))?;
    Ok((plan.start(world)?, samba))
}

fn change(dn: &str, attribute: &str, value: &str) -> String {
    format!("dn: {dn}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {value}\n\n")
}

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
    let (mut host, samba) = start(world, &[], &[], |_| Ok(String::new()))?;
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

fn the_disabled_the_expired_and_the_locked_are_refused_each_for_their_own_reason(
    world: &mut World,
) -> Outcome {
    let people = ["dora", "erin", "frank"];
    let members = people.map(person_dn);
    let (host, samba) = start(world, &people, &["team"], |_| Ok(group("team", "description: x", &members)))?;
    for login in people {
        is_in(world, &host, login, "team")?;
    }
    samba.modify(&change(&person_dn("dora"), "userAccountControl", "546"))?;
    // A day of 2012.
    samba.modify(&change(&person_dn("erin"), "accountExpires", "130000000000000000"))?;
    samba.lock_out("frank")?;
    host.daemon.sync()?;
    is_out(world, &host, "dora", "person_disabled")?;
    is_out(world, &host, "erin", "person_expired")?;
    is_out(world, &host, "frank", "person_locked")?;
    is_in(world, &host, "bob", "application")?;
    // A lockout of half an hour that began in 2012 is over, although the directory still shows it.
    samba.modify(&change(&person_dn("frank"), "lockoutTime", "130000000000000000"))?;
    samba.modify(&change(&person_dn("dora"), "userAccountControl", "544"))?;
    samba.modify(&change(&person_dn("erin"), "accountExpires", "9223372036854775807"))?;
    host.daemon.sync()?;
    for login in people {
        is_in(world, &host, login, "team")?;
    }
    samba.modify(&change(&account_dn("deployer"), "userAccountControl", "546"))?;
    host.daemon.sync()?;
    let mark = world.log().mark();
    host.ssh("bob", "deployer", &["true"])?.expect_refused()?;
    let refused = [("account", "deployer"), ("reason", "account_disabled")];
    world.log().wait_for(mark, "deny", &refused).map(drop)
}

fn a_member_beyond_the_first_range_is_in_and_getent_lists_them_all(world: &mut World) -> Outcome {
    const MEMBERS: usize = 1600;
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
    let listed = getent("group", "big")?.expect_ok()?;
    let members: Vec<&str> = listed.text().rsplit(':').next().unwrap_or_default().split(',').collect();
    require(members == logins, || format!("{} members: {}", members.len(), listed.text()))
}

fn nested_and_primary_groups_count_and_a_cycle_ends(world: &mut World) -> Outcome {
    let mut groups = group("nest5", "description: x", &[person_dn("dora")]);
    for level in (1..5).rev() {
        let below = group_dn(&format!("nest{}", level + 1));
        groups += &group(&format!("nest{level}"), "description: x", &[below]);
    }
    groups += &group("cycle3", "description: x", &[person_dn("erin")]);
    groups += &group("cycle2", "description: x", &[group_dn("cycle3")]);
    groups += &group("cycle1", "description: x", &[group_dn("cycle2")]);
    let roles = ["nest1", "cycle1", "Domain Guests"];
    let (host, samba) = start(world, &["dora", "erin", "frank"], &roles, |_| Ok(groups.clone()))?;
    is_in(world, &host, "dora", "nest1")?;
    is_in(world, &host, "erin", "cycle1")?;
    is_out(world, &host, "frank", "not_in_role")?;
    let (cycle1, cycle3) = (group_dn("cycle1"), group_dn("cycle3"));
    samba.modify(&format!("dn: {cycle3}\nchangetype: modify\nadd: member\nmember: {cycle1}\n"))?;
    let (guests, frank) = (group_dn("Domain Guests"), person_dn("frank"));
    samba.modify(&format!(
        "dn: CN=Domain Guests,CN=Users,{DOMAIN}\nchangetype: modrdn\nnewrdn: CN=Domain Guests\n\
         deleteoldrdn: 1\nnewsuperior: OU=groups,{DOMAIN}\n\n\
         dn: {guests}\nchangetype: modify\nadd: member\nmember: {frank}\n\n"
    ))?;
    samba.modify(&change(&frank, "primaryGroupID", "514"))?;
    let shown = samba.search(&["-b", &guests, "-s", "base", "(objectClass=*)", "cn", "member"])?;
    require_contains("the primary group", &shown.stdout, "cn: Domain Guests")?;
    require(!shown.stdout.contains("frank"), || format!("frank is listed: {}", shown.stdout))?;
    host.daemon.sync()?;
    is_in(world, &host, "erin", "cycle1")?;
    is_in(world, &host, "dora", "nest1")?;
    is_in(world, &host, "frank", "Domain Guests")?;
    is_out(world, &host, "carol", "not_in_role")
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
