//! Who gets in, by which way, with which key.

use std::path::Path;

use svcauth_tests::backend::person;
use svcauth_tests::failure::{Context, Outcome, require, require_eq};

use super::scene::Scene;
use crate::host::{su, sudo};

pub(super) fn bob_is_in_under_the_right_uid_and_carol_is_out(scene: &mut Scene<'_>) -> Outcome {
    let mark = scene.world.log().mark();
    require_eq("the uid", scene.ssh("bob", "deployer", &["id", "-u"])?.expect_ok()?.text(), "7001")?;
    let key = scene.key("bob")?.fingerprint();
    let pairs = [("account", "deployer"), ("origin", "bob"), ("key", key), ("role", "application")];
    scene.world.log().wait_for(mark, "allow", &pairs)?;
    scene.ssh("carol", "deployer", &["touch", "/home/deployer/carol"])?.expect_refused()?;
    require(!Path::new("/home/deployer/carol").exists(), || "carol's command ran".to_owned())?;
    scene.is_out("carol", "deployer", "not_in_role")
}

pub(super) fn bob_may_by_su_and_by_sudo_and_carol_may_not(scene: &mut Scene<'_>) -> Outcome {
    let world = scene.world;
    for service in ["su", "sudo"] {
        let run = |who, file| match service {
            "su" => su(world, who, "deployer", &format!("touch {file}")),
            _ => sudo(world, who, "deployer", &["touch", file]),
        };
        let mark = world.log().mark();
        run("bob", "/tmp/bob")?.expect_ok().doing(service)?;
        require(Path::new("/tmp/bob").exists(), || "bob's command did not run".to_owned())?;
        world.log().wait_for(mark, "allow", &[("origin", "bob"), ("service", service)])?;
        run("carol", "/tmp/carol")?.expect_refused().doing(service)?;
        require(!Path::new("/tmp/carol").exists(), || "carol's command ran".to_owned())?;
        let pairs = [("origin", "carol"), ("service", service), ("reason", "not_in_role")];
        world.log().wait_for(mark, "deny", &pairs)?;
        std::fs::remove_file("/tmp/bob")?;
    }
    Ok(())
}

pub(super) fn a_new_key_counts_and_the_old_one_no_longer(scene: &mut Scene<'_>) -> Outcome {
    scene.person("keira")?;
    scene.account("keyed")?;
    scene.group("keepers", &[person("keira")])?;
    scene.allow("keyed", "keepers");
    scene.publish()?;
    scene.is_in("keira", "keyed", "keepers")?;
    let (old, new) = (scene.key("keira")?.clone(), scene.new_key("keira2")?);
    scene.directory.set_keys("keira", &[&new])?;
    scene.publish()?;
    scene.is_in_as("keira2", "keira", "keyed", "keepers")?;
    scene.is_out("keira", "keyed", "unknown_key")?;
    scene.directory.set_keys("keira", &[&old, &new])?;
    scene.publish()?;
    scene.is_in("keira", "keyed", "keepers")?;
    scene.is_in_as("keira2", "keira", "keyed", "keepers")
}

pub(super) fn a_key_of_two_people_is_nobodys_until_one_gives_it_up(scene: &mut Scene<'_>) -> Outcome {
    scene.person("tara")?;
    scene.person("tilo")?;
    scene.account("shared")?;
    scene.group("sharers", &[person("tara"), person("tilo")])?;
    scene.allow("shared", "sharers");
    scene.publish()?;
    scene.is_in("tara", "shared", "sharers")?;
    scene.is_in("tilo", "shared", "sharers")?;
    let (tara, tilo) = (scene.key("tara")?.clone(), scene.key("tilo")?.clone());
    let mark = scene.world.log().mark();
    scene.directory.set_keys("tilo", &[&tara, &tilo])?;
    scene.publish()?;
    scene.is_out("tara", "shared", "unknown_key")?;
    scene.is_in("tilo", "shared", "sharers")?;
    scene.is_told_once(mark, "tara")?;
    scene.directory.set_keys("tilo", &[&tilo])?;
    scene.publish()?;
    scene.is_in("tara", "shared", "sharers")
}
