//! Accounts that are bundles of roles: a person needs every one of them (Spinnaker's service accounts).

use svcauth_tests::cases;
use svcauth_tests::directory::{account_dn, person_dn};
use svcauth_tests::failure::{Outcome, require_contains, require_eq};
use svcauth_tests::site::{list_at, svcauth, svcauth_json, text_at};
use svcauth_tests::world::World;

use crate::host::{Host, Plan};

cases!("roles":
    batman_may_use_alfred_and_joker_may_not_and_the_missing_role_is_named,
    equality_and_superset_are_enough_and_anything_less_is_not,
    an_account_without_roles_is_usable_by_nobody,
    names_of_roles_are_trimmed_and_compared_without_case,
    an_account_is_no_person_and_has_no_key_of_its_own,
    a_role_is_held_through_nested_groups,
    a_list_of_roles_that_is_empty_allows_nobody,
);

const MEMBER_OF: &str =
    "[[access]]\naccounts = [\"*\"]\nroles_from = \"memberOf\"\nneed = \"every\"\nservices = [\"sshd\"]\n";

/// alfred is in foo and bar; each person is in the groups named.
fn gotham(world: &World, people: &[(&str, &[&str])]) -> Outcome<Host> {
    let mut plan = Plan::new(world)?;
    plan.site.access(MEMBER_OF);
    plan.site.directory.account("alfred", 7010, 7010);
    for (gid, group) in (7020..).zip(["foo", "bar", "baz", "x"]) {
        let mut members: Vec<String> = people
            .iter()
            .filter(|(_, groups)| groups.contains(&group))
            .map(|(person, _)| person_dn(person))
            .collect();
        if matches!(group, "foo" | "bar") {
            members.push(account_dn("alfred"));
        }
        plan.site.directory.group(group, gid, &members);
    }
    for (person, _) in people {
        plan.person(world, person)?;
    }
    plan.start(world)
}

fn batman_may_use_alfred_and_joker_may_not_and_the_missing_role_is_named(world: &mut World) -> Outcome {
    let host = gotham(world, &[("batman", &["foo", "bar", "baz"]), ("joker", &["foo"])])?;
    require_eq("batman", host.ssh("batman", "alfred", &["id", "-un"])?.expect_ok()?.text(), "alfred")?;
    world.log().wait_for(0, "allow", &[("account", "alfred"), ("origin", "batman")])?;
    host.ssh("joker", "alfred", &["true"])?.expect_refused()?;
    let denied = world.log().wait_for(0, "deny", &[("origin", "joker"), ("reason", "missing_role")])?;
    require_contains("the record", &denied.line, "bar")?;
    let told = svcauth(&["explain", "joker", "alfred"])?.expect_code(1)?;
    require_contains("the explanation", &told.stdout, "bar")?;
    let (code, why) = svcauth_json(&["explain", "joker", "alfred", "--service", "sshd"])?;
    require_eq("the exit code", &code, &1)?;
    require_eq("the reason", text_at(&why, "/reason"), "missing_role")?;
    let role = |name: &str| list_at(&why, "/roles").iter().find(|role| text_at(role, "/name") == name);
    let held = |name: &str| role(name)?.pointer("/held")?.as_bool();
    require_eq("foo and bar", &(held("foo"), held("bar")), &(Some(true), Some(false)))?;
    svcauth(&["explain", "batman", "alfred", "--service", "sshd"])?.expect_ok().map(drop)
}

fn equality_and_superset_are_enough_and_anything_less_is_not(world: &mut World) -> Outcome {
    let people: &[(&str, &[&str])] = &[
        ("equal", &["foo", "bar"]),
        ("superset", &["foo", "bar", "baz", "x"]),
        ("none", &[]),
        ("other", &["bar"]),
        ("unrelated", &["baz", "x"]),
    ];
    let host = gotham(world, people)?;
    for (person, may) in
        [("equal", true), ("superset", true), ("none", false), ("other", false), ("unrelated", false)]
    {
        let ended = host.ssh(person, "alfred", &["true"])?;
        require_eq(person, &ended.ok(), &may)?;
        let (code, _) = svcauth_json(&["explain", person, "alfred", "--service", "sshd"])?;
        require_eq(&format!("explain {person}"), &(code == 0), &may)?;
    }
    Ok(())
}

fn an_account_without_roles_is_usable_by_nobody(world: &mut World) -> Outcome {
    let mut host = gotham(world, &[("batman", &["foo", "bar", "baz", "x"])])?;
    host.ssh("batman", "alfred", &["true"])?.expect_ok()?;
    for group in ["foo", "bar"] {
        let dn = svcauth_tests::directory::group_dn(group);
        host.site.directory.remove_value(&dn, "member", &account_dn("alfred"))?;
    }
    host.publish(world)?;
    host.ssh("batman", "alfred", &["true"])?.expect_refused()?;
    world.log().wait_for(0, "deny", &[("account", "alfred"), ("reason", "no_roles")]).map(drop)
}

fn names_of_roles_are_trimmed_and_compared_without_case(world: &mut World) -> Outcome {
    let mut plan = Plan::new(world)?;
    plan.site.configure("roles = [\"application\"]", "roles = [\" Application \"]")?;
    let host = plan.start(world)?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    host.ssh("carol", "deployer", &["true"])?.expect_refused().map(drop)
}

fn an_account_is_no_person_and_has_no_key_of_its_own(world: &mut World) -> Outcome {
    let mut plan = Plan::new(world)?;
    let own = plan.make_key(world, "own")?;
    // Even a key in the account's entry, and even with the account in the role, does not make it a person.
    let (account, group) = (account_dn("deployer"), svcauth_tests::directory::group_dn("application"));
    plan.site.directory.add_value(&account, "objectClass", "ldapPublicKey")?;
    plan.site.directory.add_value(&account, "sshPublicKey", own.public())?;
    plan.site.directory.add_value(&group, "member", &account)?;
    let host = plan.start(world)?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    host.ssh("own", "deployer", &["true"])?.expect_refused()?;
    world.log().wait_for(0, "deny", &[("account", "deployer"), ("key", own.fingerprint())]).map(drop)
}

fn a_role_is_held_through_nested_groups(world: &mut World) -> Outcome {
    let mut plan = Plan::new(world)?;
    let groups = |name: &str| svcauth_tests::directory::group_dn(name);
    plan.site.directory.group("inner", 7031, &[person_dn("carol"), groups("outer")]);
    plan.site.directory.group("outer", 7032, &[groups("inner")]);
    plan.site.directory.add_value(&groups("application"), "member", &groups("outer"))?;
    let mut host = plan.start(world)?;
    host.ssh("carol", "deployer", &["true"])?.expect_ok()?;
    let (_, why) = svcauth_json(&["explain", "carol", "deployer", "--service", "sshd"])?;
    let path = list_at(&why, "/roles/0/path");
    require_eq("the chain", &path, &["inner", "outer", "application"].map(serde_json::Value::from).to_vec())?;
    host.site.directory.remove_value(&groups("inner"), "member", &person_dn("carol"))?;
    host.publish(world)?;
    host.ssh("carol", "deployer", &["true"])?.expect_refused().map(drop)
}

fn a_list_of_roles_that_is_empty_allows_nobody(world: &mut World) -> Outcome {
    let mut host = Plan::new(world)?.start(world)?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    host.site.configure("roles = [\"application\"]", "roles = []")?;
    host.site.write(world)?;
    host.daemon.reload(world)?;
    host.ssh("bob", "deployer", &["true"])?.expect_refused()?;
    world.log().wait_for(0, "deny", &[("account", "deployer"), ("reason", "no_roles")]).map(drop)
}
