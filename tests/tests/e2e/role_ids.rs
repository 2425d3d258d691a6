//! A role is a group, not a name: what happens when groups are renamed, deleted and made again.

use svcauth_tests::cases;
use svcauth_tests::daemon::Daemon;
use svcauth_tests::directory::{BASE, Schema, group_dn, person_dn};
use svcauth_tests::failure::{Outcome, require_contains, require_eq};
use svcauth_tests::samba::{self, Samba};
use svcauth_tests::site::{list_at, svcauth, svcauth_json, text_at};
use svcauth_tests::slapd::Slapd;
use svcauth_tests::world::World;

use crate::host::{Host, Plan};

cases!("role_ids":
    a_group_that_was_made_again_gives_nobody_access_until_it_is_approved,
    a_renamed_group_stays_the_role_and_a_namesake_gets_nothing,
    in_active_directory_a_role_is_held_by_sid,
    a_memory_of_roles_that_is_damaged_changes_nothing_and_is_told,
);

fn on_slapd(world: &World) -> Outcome<(Host, Slapd)> {
    let mut plan = Plan::new(world)?;
    let slapd = Slapd::start(world, &plan.site.directory, Schema::Rfc2307bis)?;
    Slapd::serve(world, &mut plan.site)?;
    Ok((plan.start(world)?, slapd))
}

fn is_in(world: &World, host: &Host, login: &str, role: &str) -> Outcome {
    let mark = world.log().mark();
    host.ssh(login, "deployer", &["true"])?.expect_ok()?;
    world.log().wait_for(mark, "allow", &[("origin", login), ("role", role)]).map(drop)
}

fn is_out(world: &World, host: &Host, login: &str) -> Outcome {
    let mark = world.log().mark();
    host.ssh(login, "deployer", &["true"])?.expect_refused()?;
    world.log().wait_for(mark, "deny", &[("origin", login), ("reason", "not_in_role")]).map(drop)
}

/// LDIF that adds a group of this name.
fn made(name: &str, members: &[&str]) -> String {
    let members: String = members.iter().map(|login| format!("member: {}\n", person_dn(login))).collect();
    format!("dn: {}\nchangetype: add\nobjectClass: groupOfNames\ncn: {name}\n{members}\n", group_dn(name))
}

fn deleted(dn: &str) -> String {
    format!("dn: {dn}\nchangetype: delete\n\n")
}

/// The one row of `svcauth roles`: state, id and new id.
fn row() -> Outcome<[String; 3]> {
    let (code, rows) = svcauth_json(&["roles"])?;
    require_eq("svcauth roles", &(code, list_at(&rows, "").len()), &(0, 1))?;
    require_eq("the word", text_at(&rows, "/0/role"), "application")?;
    Ok(["/0/state", "/0/id", "/0/new_id"].map(|pointer| text_at(&rows, pointer).to_owned()))
}

/// The group was replaced by another one of its name, with bob in it.
fn approve_what_was_made_again(world: &World, host: &Host, mark: usize, old: &str) -> Outcome {
    host.daemon.sync()?;
    is_out(world, host, "bob")?;
    let [state, id, new] = row()?;
    require_eq("the state", &(state.as_str(), id.as_str()), &("re-created", old))?;
    let alarm = world.log().wait_for(mark, "alarm", &[("reason", "refused_entry")])?;
    require_contains("the alarm", &alarm.line, old)?;
    require_contains("the alarm", &alarm.line, &new)?;
    let told = svcauth(&["explain", "bob", "deployer"])?.expect_code(1)?;
    let step = format!(
        "the group application was re-created (new id {new}): approve it with: svcauth roles approve application"
    );
    require_contains("the explanation", &told.stdout, &step)?;
    host.daemon.sync()?;
    let records = world.log().records_since(mark);
    require_eq("alarms", &records.iter().filter(|record| record.verb == "alarm").count(), &1)?;
    world.as_user("local", &["svcauth", "roles", "approve", "application"]).run()?.expect_code(1)?;
    is_out(world, host, "bob")?;
    svcauth(&["roles", "approve", "nonsense"])?.expect_code(1)?;
    svcauth(&["roles", "approve", "Application"])?.expect_ok()?;
    require_eq("approved", &row()?, &["ok".to_owned(), new, String::new()])?;
    svcauth(&["roles", "approve", "application"])?.expect_code(1)?;
    is_in(world, host, "bob", "application")
}

fn a_group_that_was_made_again_gives_nobody_access_until_it_is_approved(world: &mut World) -> Outcome {
    let (mut host, slapd) = on_slapd(world)?;
    is_in(world, &host, "bob", "application")?;
    let [state, old, _] = row()?;
    require_eq("the state", state.as_str(), "ok")?;
    let mark = world.log().mark();
    slapd.modify(&deleted(&group_dn("application")))?;
    host.daemon.sync()?;
    is_out(world, &host, "bob")?;
    require_eq("away", &row()?, &["missing".to_owned(), old.clone(), String::new()])?;
    slapd.modify(&made("application", &["alice", "bob"]))?;
    // The memory outlasts the daemon.
    host.daemon.stop()?;
    host.daemon = Daemon::start(world)?;
    approve_what_was_made_again(world, &host, mark, &old)?;
    is_in(world, &host, "alice", "application")?;
    is_out(world, &host, "carol")
}

fn a_renamed_group_stays_the_role_and_a_namesake_gets_nothing(world: &mut World) -> Outcome {
    let (host, slapd) = on_slapd(world)?;
    is_in(world, &host, "bob", "application")?;
    let [_, id, _] = row()?;
    slapd.modify(&format!(
        "dn: {}\nchangetype: modrdn\nnewrdn: cn=apps\ndeleteoldrdn: 1\n",
        group_dn("application")
    ))?;
    host.daemon.sync()?;
    is_in(world, &host, "bob", "apps")?;
    slapd.modify(&made("application", &["carol"]))?;
    host.daemon.sync()?;
    is_out(world, &host, "carol")?;
    is_in(world, &host, "bob", "apps")?;
    require_eq("the role", &row()?, &["ok".to_owned(), id, String::new()])?;
    // Moved away from where groups are looked for, it is gone, and the namesake is still nobody's role.
    slapd.modify(&format!(
        "dn: {}\nchangetype: modrdn\nnewrdn: cn=apps\ndeleteoldrdn: 1\nnewsuperior: ou=system,{BASE}\n",
        group_dn("apps")
    ))?;
    host.daemon.sync()?;
    is_out(world, &host, "bob")?;
    is_out(world, &host, "carol")
}

fn in_active_directory_a_role_is_held_by_sid(world: &mut World) -> Outcome {
    let mut plan = Plan::new(world)?;
    let keys = [("alice", plan.key("alice")?), ("bob", plan.key("bob")?), ("carol", plan.key("carol")?)];
    let samba = Samba::start(world, &samba::example(&keys, ""))?;
    Samba::serve(world, &mut plan.site)?;
    let host = plan.start(world)?;
    is_in(world, &host, "bob", "application")?;
    let [_, old, _] = row()?;
    require_contains("the id", &old, "S-1-5-21-")?;
    let dn = samba::group_dn("application");
    samba.modify(&format!(
        "dn: {dn}\nchangetype: modrdn\nnewrdn: CN=apps\ndeleteoldrdn: 1\n\n\
         dn: {}\nchangetype: modify\nreplace: sAMAccountName\nsAMAccountName: apps\n\n",
        samba::group_dn("apps")
    ))?;
    host.daemon.sync()?;
    is_in(world, &host, "bob", "apps")?;
    let mark = world.log().mark();
    let again = samba::group("application", "gidNumber: 7000", &[samba::person_dn("bob")]);
    let again = again.replacen("objectClass", "changetype: add\nobjectClass", 1);
    samba.modify(&(deleted(&samba::group_dn("apps")) + &again))?;
    approve_what_was_made_again(world, &host, mark, &old)?;
    is_out(world, &host, "alice")
}

fn a_memory_of_roles_that_is_damaged_changes_nothing_and_is_told(world: &mut World) -> Outcome {
    const MEMORY: &str = "/var/lib/svcauth/roles";
    let (host, slapd) = on_slapd(world)?;
    is_in(world, &host, "bob", "application")?;
    let good = std::fs::read(MEMORY)?;
    slapd.modify(&(deleted(&group_dn("application")) + &made("application", &["bob", "carol"])))?;
    for (mode, text) in [(0o640, &b"nonsense\n"[..]), (0o666, &good)] {
        world.write(MEMORY, mode, text)?;
        let failed = svcauth(&["sync"])?.expect_code(1)?;
        require_contains("the reason", &failed.stderr, MEMORY)?;
        is_in(world, &host, "bob", "application")?;
        is_out(world, &host, "carol")?;
    }
    world.write(MEMORY, 0o640, &good)?;
    host.daemon.sync()?;
    is_out(world, &host, "bob")?;
    std::fs::remove_file(MEMORY)?;
    host.daemon.sync()?;
    is_in(world, &host, "carol", "application")
}
