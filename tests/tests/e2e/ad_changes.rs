//! Changes of a real Active Directory (Samba), read one by one: what is published is what reading everything would give.

use std::time::Duration;

use svcauth_tests::cases;
use svcauth_tests::failure::{Context, Failure, Outcome, require, require_eq};
use svcauth_tests::program::wait_until;
use svcauth_tests::samba::{
    DOMAIN, Samba, account_dn, example, group, group_dn, key_line, person, person_dn,
};
use svcauth_tests::site::{svcauth_json, text_at};
use svcauth_tests::world::World;

use crate::host::{Host, Plan, getent};

cases!("ad_changes":
    what_changes_about_people_is_published_as_if_everything_had_been_read_again,
    so_is_what_changes_about_accounts_and_groups,
    who_moves_or_is_renamed_keeps_what_is_theirs_and_a_namesake_gets_none_of_it,
    a_deletion_is_seen_at_once_with_the_right_to_and_by_sync_without_it,
);

/// A host whose directory is a domain with these people, besides the example's, and with the entries of `more`. These groups
/// may use deployer, besides application.
fn start(world: &World, people: &[&str], roles: &[&str], more: &str) -> Outcome<(Host, Samba)> {
    let mut plan = Plan::new(world)?;
    for login in people {
        plan.make_key(world, login)?;
    }
    let everybody: Vec<&str> = ["alice", "bob", "carol"].iter().chain(people).copied().collect();
    let keys = everybody.iter().map(|login| Ok((*login, plan.key(login)?)));
    let samba = Samba::start(world, &example(&keys.collect::<Outcome<Vec<_>>>()?, more))?;
    Samba::serve(world, &mut plan.site)?;
    let quoted: String = roles.iter().map(|role| format!(", \"{role}\"")).collect();
    plan.site.configure("roles = [\"application\"]", &format!("roles = [\"application\"{quoted}]"))?;
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

/// The number of the generation that `svcauth ARGS` ends with.
fn generation(args: &[&str]) -> Outcome<u64> {
    let (code, value) = svcauth_json(args)?;
    let number = value.get("generation").and_then(serde_json::Value::as_u64);
    number.filter(|_| code == 0).ok_or_else(|| Failure::new(format!("{args:?}: {code}, {value}")))
}

/// Changes are asked for and not told, and a complete fetch finds nothing that they left out.
fn is_complete(what: &str) -> Outcome {
    let (_, status) = svcauth_json(&["status"])?;
    require_eq("changes", &text_at(&status, "/directory/changes"), &"polled")?;
    let (followed, whole) = (generation(&["sync"])?, generation(&["sync", "--full"])?);
    require_eq(&format!("{what}: the generation after a complete fetch"), &whole, &followed)
}

/// Makes a change and waits until the daemon has found it by itself.
fn found(samba: &Samba, what: &str, ldif: &str) -> Outcome {
    let before = generation(&["status"])?;
    samba.modify(ldif).doing(what.to_owned())?;
    appears(what, before)
}

fn appears(what: &str, before: u64) -> Outcome {
    wait_until(&format!("a generation after: {what}"), Duration::from_secs(60), || {
        generation(&["status"]).ok().filter(|now| *now != before)
    })?;
    is_complete(what)
}

/// Whether a person may use deployer; if not, why.
fn verdict(login: &str) -> Outcome<String> {
    let (code, why) = svcauth_json(&["explain", login, "deployer"])?;
    Ok(if code == 0 { "allow".to_owned() } else { text_at(&why, "/reason").to_owned() })
}

fn is(login: &str, expected: &str) -> Outcome {
    require_eq(login, &verdict(login)?.as_str(), &expected)
}

fn member(verb: &str, group: &str, login: &str) -> String {
    let (group, login) = (group_dn(group), person_dn(login));
    format!("dn: {group}\nchangetype: modify\n{verb}: member\nmember: {login}\n\n")
}

fn moved(dn: &str, rdn: &str, parent: &str) -> String {
    format!("dn: {dn}\nchangetype: modrdn\nnewrdn: {rdn}\ndeleteoldrdn: 1\nnewsuperior: {parent}\n\n")
}

fn deleted(dn: &str) -> String {
    format!("dn: {dn}\nchangetype: delete\n\n")
}

fn what_changes_about_people_is_published_as_if_everything_had_been_read_again(world: &mut World) -> Outcome {
    let (_host, samba) = start(world, &[], &[], "")?;
    is("carol", "not_in_role")?;
    found(&samba, "a member added", &member("add", "application", "carol"))?;
    is("carol", "allow")?;
    found(&samba, "a member removed", &member("delete", "application", "carol"))?;
    is("carol", "not_in_role")?;
    found(&samba, "a person disabled", &change(&person_dn("bob"), "userAccountControl", "546"))?;
    is("bob", "person_disabled")?;
    found(&samba, "a person enabled", &change(&person_dn("bob"), "userAccountControl", "544"))?;
    is("bob", "allow")?;
    found(&samba, "a person expired", &change(&person_dn("bob"), "accountExpires", "130000000000000000"))?;
    is("bob", "person_expired")?;
    found(&samba, "no longer", &change(&person_dn("bob"), "accountExpires", "0"))?;
    let before = generation(&["status"])?;
    samba.give_password("bob")?;
    samba.enter_wrong_passwords("bob")?;
    appears("a person locked out", before)?;
    is("bob", "person_locked")
}

fn so_is_what_changes_about_accounts_and_groups(world: &mut World) -> Outcome {
    let guests = format!("CN=Domain Guests,CN=Users,{DOMAIN}");
    let (host, samba) = start(world, &["frank"], &["Domain Guests", "team"], "")?;
    let builder = format!(
        "dn: {}\nchangetype: add\nobjectClass: user\nsAMAccountName: builder\nuserAccountControl: 544\nuidNumber: 7002\n\
         gidNumber: 7000\nunixHomeDirectory: /home/builder\nloginShell: /bin/sh\n\n",
        account_dn("builder")
    );
    found(&samba, "an account added", &builder)?;
    let passwd = getent("passwd", "builder")?.expect_ok()?;
    require_eq("builder", passwd.text(), "builder:*:7002:7000:builder:/home/builder:/bin/sh")?;
    found(&samba, "an account changed", &change(&account_dn("builder"), "loginShell", "/bin/bash"))?;
    found(
        &samba,
        "an account out of scope",
        &moved(&account_dn("builder"), "CN=builder", &format!("OU=system,{DOMAIN}")),
    )?;
    getent("passwd", "builder")?.expect_code(2)?;
    found(&samba, "a group moved here", &moved(&guests, "CN=Domain Guests", &format!("OU=groups,{DOMAIN}")))?;
    is("frank", "not_in_role")?;
    samba.modify(&member("add", "Domain Guests", "frank"))?;
    found(&samba, "a primary group", &change(&person_dn("frank"), "primaryGroupID", "514"))?;
    is_in(world, &host, "frank", "Domain Guests")?;
    let team = group("team", "changetype: add\ngidNumber: 7060", &[person_dn("carol")]);
    found(&samba, "a group added", &team)?;
    is("carol", "allow")
}

fn who_moves_or_is_renamed_keeps_what_is_theirs_and_a_namesake_gets_none_of_it(world: &mut World) -> Outcome {
    let unit = format!("OU=sub,OU=people,{DOMAIN}");
    let (host, samba) = start(world, &["zoe", "bob2"], &[], "")?;
    is("bob", "allow")?;
    // Out of what svcauth reads, and back: the group lists him all the time, each time under another name.
    let system = format!("OU=system,{DOMAIN}");
    found(&samba, "a person out of scope", &moved(&person_dn("bob"), "CN=bob", &system))?;
    require(verdict("bob")? != "allow", || "bob is out of scope and in".to_owned())?;
    found(&samba, "and back", &moved(&format!("CN=bob,{system}"), "CN=bob", &format!("OU=people,{DOMAIN}")))?;
    is_in(world, &host, "bob", "application")?;
    samba.modify(&moved(&person_dn("bob"), "CN=Bob Smith", &format!("OU=people,{DOMAIN}")))?;
    is_complete("a person renamed")?;
    is("bob", "allow")?;
    let key = key_line(host.key("bob2")?);
    let namesake = person("bob", &format!("changetype: add\n{key}"));
    let namesake = namesake.replace("sAMAccountName: bob", "sAMAccountName: bob3");
    samba.modify(&namesake)?;
    is_complete("a namesake at the old name")?;
    is("bob3", "not_in_role")?;
    is("bob", "allow")?;
    // A unit with somebody in it: whoever is below a renamed one has another name and no other number.
    samba.modify(&format!("dn: {unit}\nchangetype: add\nobjectClass: organizationalUnit\n\n"))?;
    samba.modify(&moved(&person_dn("zoe"), "CN=zoe", &unit))?;
    let zoe = format!("CN=zoe,{unit}");
    found(
        &samba,
        "a member in a unit",
        &member("add", "application", "zoe").replace(&person_dn("zoe"), &zoe),
    )?;
    is("zoe", "allow")?;
    samba.modify(&moved(&unit, "OU=subs", &format!("OU=people,{DOMAIN}")))?;
    is_complete("a unit renamed")?;
    is("zoe", "allow")?;
    found(&samba, "a unit moved away", &moved(&format!("OU=subs,OU=people,{DOMAIN}"), "OU=subs", DOMAIN))?;
    require(verdict("zoe")? != "allow", || "zoe is out of scope and in".to_owned())?;
    found(
        &samba,
        "a unit moved back",
        &moved(&format!("OU=subs,{DOMAIN}"), "OU=subs", &format!("OU=people,{DOMAIN}")),
    )?;
    is("zoe", "allow")
}

fn a_deletion_is_seen_at_once_with_the_right_to_and_by_sync_without_it(world: &mut World) -> Outcome {
    let team = group("team", "gidNumber: 7060", &[person_dn("dora")]);
    let (host, samba) = start(world, &["dora"], &["team"], &team)?;
    is("bob", "allow")?;
    samba.modify(&deleted(&person_dn("bob")))?;
    // A later change is found and this one is not: nothing that can be seen says so, not even his group.
    let before = generation(&["status"])?;
    samba.modify(&member("add", "team", "carol"))?;
    wait_until("carol", Duration::from_secs(60), || {
        generation(&["status"]).ok().filter(|now| *now != before)
    })?;
    is("carol", "allow")?;
    is("bob", "allow")?;
    is_complete("a hidden deletion")?;
    require(verdict("bob")? != "allow", || "bob was deleted and is in".to_owned())?;
    samba.show_deletions()?;
    found(&samba, "a deletion", &deleted(&person_dn("alice")))?;
    require(verdict("alice")? != "allow", || "alice was deleted and is in".to_owned())?;
    found(&samba, "a group deleted", &deleted(&group_dn("team")))?;
    getent("group", "team")?.expect_code(2)?;
    is("dora", "not_in_role")?;
    let again = person("alice", &format!("changetype: add\n{}", key_line(host.key("alice")?)));
    samba.modify(&again)?;
    is_complete("somebody else with the same name")?;
    is("alice", "not_in_role")
}
