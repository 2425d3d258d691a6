//! What getent and id say of accounts and groups, and what they never say.

use std::path::Path;

use svcauth_tests::backend::{Field, account, group, person};
use svcauth_tests::failure::{Outcome, require, require_contains, require_eq, require_lacks};
use svcauth_tests::program::Program;

use super::scene::{GID, Scene, passwd_lines, require_same};
use crate::host::getent;

fn id(words: &[&str]) -> Outcome<String> {
    Ok(Program::new("id").args(words).run()?.expect_ok()?.text().to_owned())
}

pub(super) fn names_and_numbers_resolve_and_members_are_listed(scene: &mut Scene<'_>) -> Outcome {
    let passwd = getent("passwd", "deployer")?.expect_ok()?;
    require_contains("deployer", passwd.text(), "deployer:*:7001:7000:")?;
    require_contains("deployer", passwd.text(), ":/home/deployer:/bin/bash")?;
    require_eq("by uid", &getent("passwd", "7001")?.stdout, &passwd.stdout)?;
    let application = getent("group", "application")?.expect_ok()?;
    require_eq("application", application.text(), "application:*:7000:alice,bob")?;
    require_eq("by gid", &getent("group", "7000")?.stdout, &application.stdout)?;
    let deployer = "uid=7001(deployer) gid=7000(application) groups=7000(application)";
    require_eq("id", &id(&["deployer"])?, deployer)?;
    let uid = scene.account("listed")?;
    let gid = scene.group("listing", &[person("carol"), account("listed")])?;
    scene.publish()?;
    require_eq("listing", getent("group", "listing")?.text(), &format!("listing:*:{gid}:carol,listed")[..])?;
    require_eq("groups", &id(&["-G", "listed"])?, &format!("7000 {gid}"))?;
    require_eq("the uid", &id(&["-u", "listed"])?, &uid.to_string())?;
    scene.directory.leave(&account("listed"), "listing")?;
    scene.publish()?;
    require_eq("listing", getent("group", "listing")?.text(), &format!("listing:*:{gid}:carol")[..])?;
    require_eq("groups", &id(&["-G", "listed"])?, "7000")
}

pub(super) fn an_account_comes_and_goes_and_nothing_is_restarted(scene: &mut Scene<'_>) -> Outcome {
    let pids = [scene.host.daemon.pid(), scene.host.sshd.pid()];
    scene.allow("novel", "application");
    scene.publish()?;
    getent("passwd", "novel")?.expect_code(2)?;
    let uid = scene.account("novel")?;
    scene.publish()?;
    require_contains("novel", getent("passwd", "novel")?.expect_ok()?.text(), &format!("novel:*:{uid}:"))?;
    scene.is_in("bob", "novel", "application")?;
    scene.directory.remove(&account("novel"))?;
    scene.publish()?;
    getent("passwd", "novel")?.expect_code(2)?;
    getent("passwd", &uid.to_string())?.expect_code(2)?;
    scene.ssh("bob", "novel", &["true"])?.expect_refused()?;
    // It comes back as another entry of the same name.
    scene.account("novel")?;
    scene.publish()?;
    scene.is_in("bob", "novel", "application")?;
    let alive = |pid: u32| Path::new(&format!("/proc/{pid}/exe")).exists();
    require(pids.into_iter().all(alive), || "svcauthd or sshd is another process now".to_owned())
}

pub(super) fn an_account_that_was_renamed_has_its_new_name_alone(scene: &mut Scene<'_>) -> Outcome {
    let uid = scene.account("before")?;
    scene.knows_account("after");
    scene.rule("*", "roles = [\"application\"]");
    scene.publish()?;
    scene.is_in("bob", "before", "application")?;
    scene.directory.rename(&account("before"), "after")?;
    scene.publish()?;
    require_contains("after", getent("passwd", "after")?.expect_ok()?.text(), &format!("after:*:{uid}:"))?;
    require_contains("by uid", getent("passwd", &uid.to_string())?.expect_ok()?.text(), "after:*:")?;
    getent("passwd", "before")?.expect_code(2)?;
    scene.is_in("bob", "after", "application")?;
    scene.ssh("bob", "before", &["true"])?.expect_refused().map(drop)
}

pub(super) fn an_account_with_another_uid_has_that_one_alone(scene: &mut Scene<'_>) -> Outcome {
    let old = scene.account("mover")?;
    scene.allow("mover", "application");
    scene.publish()?;
    scene.is_in("bob", "mover", "application")?;
    let new = scene.next_id();
    scene.directory.set(&account("mover"), Field::Uid, &new.to_string())?;
    scene.publish()?;
    require_contains("mover", getent("passwd", "mover")?.text(), &format!("mover:*:{new}:"))?;
    require_contains("by uid", getent("passwd", &new.to_string())?.expect_ok()?.text(), "mover:*:")?;
    getent("passwd", &old.to_string())?.expect_code(2)?;
    let ended = scene.ssh("bob", "mover", &["id", "-u"])?.expect_ok()?;
    require_eq("the uid of a session", ended.text(), &new.to_string()[..])
}

pub(super) fn accounts_that_are_not_ours_are_never_shown_and_each_is_told_once(
    scene: &mut Scene<'_>,
) -> Outcome {
    let own = scene.account("first")?.to_string();
    scene.publish()?;
    let before = passwd_lines()?;
    require_contains("all accounts", &before.join("\n"), "\nfirst:*:")?;
    let spare = scene.next_id().to_string();
    for (called, name, uid) in [
        ("outside", "outside", "8000"),
        ("zero", "zero", "0"),
        ("all ones", "ones", "-1"),
        ("namesake", "local", spare.as_str()),
        ("the root", "root", spare.as_str()),
        ("a uid of this host", "impostor", "1010"),
    ] {
        let mark = scene.world.log().mark();
        scene.directory.account_called(called, name, uid, GID)?;
        scene.publish()?;
        require_same(called, &passwd_lines()?, &before)?;
        scene.is_told_once(mark, called)?;
        scene.directory.remove(&account(called))?;
        scene.publish()?;
    }
    let mut twins = vec![("uid twin", "second", own.as_str())];
    if !scene.kind().keeps_names_apart() {
        twins.push(("name twin", "first", spare.as_str()));
    }
    for (called, name, uid) in twins {
        let mark = scene.world.log().mark();
        scene.directory.account_called(called, name, uid, GID)?;
        scene.publish()?;
        for key in ["first", "second", &own, &spare] {
            getent("passwd", key)?.expect_code(2)?;
        }
        scene.is_told_once(mark, called)?;
        scene.directory.remove(&account(called))?;
        scene.publish()?;
        require_same(called, &passwd_lines()?, &before)?;
    }
    Ok(())
}

pub(super) fn values_that_would_forge_a_line_of_passwd_are_refused(scene: &mut Scene<'_>) -> Outcome {
    scene.account("forged")?;
    scene.allow("forged", "application");
    scene.publish()?;
    for (field, value, good) in [
        (Field::Shell, "/bin/sh\nroot2:x:0:0::/:/bin/sh", "/bin/bash"),
        (Field::Home, "/home/a:/bin/sh", "/home/forged"),
        (Field::Home, "/home/../root", "/home/forged"),
        (Field::Gecos, "a\u{1b}[2Jb", "Forged"),
        (Field::Gid, "27", GID),
    ] {
        scene.is_in("bob", "forged", "application")?;
        let mark = scene.world.log().mark();
        scene.directory.set(&account("forged"), field, value)?;
        scene.publish()?;
        getent("passwd", "forged")?.expect_code(2)?;
        require_lacks("all accounts", &Program::new("getent").arg("passwd").run()?.stdout, "root2")?;
        scene.ssh("bob", "forged", &["true"])?.expect_refused()?;
        scene.is_told_once(mark, "forged")?;
        scene.directory.set(&account("forged"), field, good)?;
        scene.publish()?;
    }
    require_lacks("the log", &scene.world.log().text(), "\u{1b}")?;
    scene.is_in("bob", "forged", "application")
}

pub(super) fn a_group_of_this_host_gains_no_member(scene: &mut Scene<'_>) -> Outcome {
    scene.account("climber")?;
    let good = scene.group("climbers", &[account("climber")])?;
    scene.publish()?;
    let groups = format!("7000 {good}");
    require_eq("groups", &id(&["-G", "climber"])?, &groups)?;
    let spare = scene.next_id();
    for (name, gid) in [("sudo", spare), ("wheelish", 27), ("zeroes", 0)] {
        let mark = scene.world.log().mark();
        scene.directory.group(name, gid, &[account("climber"), person("bob")])?;
        scene.publish()?;
        require_eq(name, &id(&["-G", "climber"])?, &groups)?;
        require_eq("groups of the local user bob", &id(&["-G", "bob"])?, "1002")?;
        require_lacks(name, &getent("group", "sudo")?.expect_ok()?.stdout, "climber")?;
        require_lacks(name, &getent("group", "27")?.expect_ok()?.stdout, "wheelish")?;
        scene.is_told_once(mark, name)?;
        scene.directory.remove(&group(name))?;
        scene.publish()?;
    }
    Ok(())
}

pub(super) fn a_local_user_who_comes_later_has_the_name_and_the_account_is_no_more(
    scene: &mut Scene<'_>,
) -> Outcome {
    scene.account("latecomer")?;
    scene.allow("latecomer", "application");
    scene.publish()?;
    scene.is_in("bob", "latecomer", "application")?;
    let files = ["/etc/passwd", "/etc/group", "/etc/shadow"];
    let before: Vec<String> = files.iter().map(std::fs::read_to_string).collect::<Result<_, _>>()?;
    let mark = scene.world.log().mark();
    scene.world.local_user("latecomer", 1020)?;
    scene.publish()?;
    scene.is_told_once(mark, "latecomer")?;
    let all = passwd_lines()?.join("\n");
    require_eq("lines of the name", &all.matches("\nlatecomer:").count(), &1)?;
    require_contains("the local user", &all, "\nlatecomer:x:1020:1020:")?;
    // sshd lets in whoever has a key of a local user; that is not svcauth's business.
    let mark = scene.world.log().mark();
    require_eq("the uid", scene.ssh("carol", "latecomer", &["id", "-u"])?.expect_ok()?.text(), "1020")?;
    require_eq("records about a local user", &scene.world.log().records_since(mark), &Vec::new())?;
    for (file, text) in files.iter().zip(&before) {
        std::fs::write(file, text)?;
    }
    scene.publish()?;
    scene.is_in("bob", "latecomer", "application")?;
    scene.is_out("carol", "latecomer", "not_in_role")
}
