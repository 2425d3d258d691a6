//! Roles: who is in a group, directly, through others, by number, and what an account needs.

use svcauth_tests::backend::{account, group, person};
use svcauth_tests::failure::{Outcome, require_contains, require_eq};
use svcauth_tests::site::svcauth;

use super::scene::Scene;
use crate::host::getent;

pub(super) fn a_member_who_is_taken_out_is_refused_and_one_who_comes_in_is_not(
    scene: &mut Scene<'_>,
) -> Outcome {
    scene.person("lena")?;
    scene.account("lent")?;
    let gid = scene.group("lenders", &[person("lena"), person("bob")])?;
    scene.allow("lent", "lenders");
    scene.publish()?;
    scene.is_in("lena", "lent", "lenders")?;
    scene.is_out("carol", "lent", "not_in_role")?;
    scene.directory.leave(&person("lena"), "lenders")?;
    scene.directory.join(&person("carol"), "lenders")?;
    scene.publish()?;
    scene.is_out("lena", "lent", "not_in_role")?;
    scene.is_in("carol", "lent", "lenders")?;
    scene.is_in("bob", "lent", "lenders")?;
    require_eq("lenders", getent("group", "lenders")?.text(), &format!("lenders:*:{gid}:bob,carol")[..])?;
    scene.directory.join(&person("lena"), "lenders")?;
    scene.publish()?;
    scene.is_in("lena", "lent", "lenders")
}

pub(super) fn a_member_five_groups_deep_is_in_where_groups_nest(scene: &mut Scene<'_>) -> Outcome {
    scene.person("nina")?;
    scene.account("nested")?;
    scene.group("deep5", &[person("nina")])?;
    for level in (1..5).rev() {
        scene.group(&format!("deep{level}"), &[group(&format!("deep{}", level + 1))])?;
    }
    scene.allow("nested", "deep1");
    scene.publish()?;
    if scene.kind().nests_groups() {
        scene.is_in("nina", "nested", "deep1")?;
        require_contains("deep1", getent("group", "deep1")?.expect_ok()?.text(), ":nina")?;
        scene.directory.leave(&group("deep4"), "deep3")?;
        scene.publish()?;
        scene.is_out("nina", "nested", "not_in_role")?;
        scene.directory.join(&group("deep4"), "deep3")?;
        scene.publish()?;
        return scene.is_in("nina", "nested", "deep1");
    }
    // RFC 2307 lists users: the name of a group among them is that of a user whom nobody knows.
    scene.is_out("nina", "nested", "not_in_role")?;
    scene.directory.join(&person("nina"), "deep1")?;
    scene.publish()?;
    scene.is_in("nina", "nested", "deep1")
}

pub(super) fn groups_in_a_circle_end_and_their_members_are_in(scene: &mut Scene<'_>) -> Outcome {
    scene.person("cyril")?;
    scene.account("circled")?;
    for name in ["round1", "round2", "round3"] {
        scene.group(name, &[])?;
    }
    scene.directory.join(&person("cyril"), "round1")?;
    scene.directory.join(&group("round1"), "round2")?;
    scene.directory.join(&group("round2"), "round3")?;
    scene.allow("circled", "round3");
    scene.publish()?;
    let nests = scene.kind().nests_groups();
    if nests {
        scene.is_in("cyril", "circled", "round3")?;
    }
    scene.directory.join(&group("round3"), "round1")?;
    scene.publish()?;
    if !nests {
        scene.is_out("cyril", "circled", "not_in_role")?;
        scene.directory.join(&person("cyril"), "round3")?;
        scene.publish()?;
    }
    scene.is_in("cyril", "circled", "round3")?;
    scene.is_out("carol", "circled", "not_in_role")?;
    scene.directory.leave(&person("cyril"), if nests { "round1" } else { "round3" })?;
    scene.publish()?;
    scene.is_out("cyril", "circled", "not_in_role")
}

pub(super) fn a_primary_group_counts_where_there_is_one(scene: &mut Scene<'_>) -> Outcome {
    scene.person("prima")?;
    scene.account("primed")?;
    let gid = scene.group("primary", &[person("prima")])?;
    scene.group("secondary", &[person("prima")])?;
    scene.allow("primed", "primary");
    scene.publish()?;
    scene.is_in("prima", "primed", "primary")?;
    let is_primary = scene.kind().has_primary_groups();
    scene.directory.make_primary("prima", "primary", gid)?;
    scene.publish()?;
    require_eq("listed", &scene.directory.lists("primary", &person("prima"))?, &false)?;
    if !is_primary {
        // A number in the person's entry is no membership: people have no ids here.
        return scene.is_out("prima", "primed", "not_in_role");
    }
    scene.is_in("prima", "primed", "primary")?;
    require_contains("primary", getent("group", "primary")?.expect_ok()?.text(), ":prima")?;
    scene.directory.make_primary("prima", "secondary", 0)?;
    // The controller makes an ordinary member of whoever was there by number.
    scene.directory.leave(&person("prima"), "primary")?;
    scene.publish()?;
    scene.is_out("prima", "primed", "not_in_role")
}

pub(super) fn every_role_is_needed_where_the_rule_says_so(scene: &mut Scene<'_>) -> Outcome {
    scene.person("elsa")?;
    scene.person("enzo")?;
    scene.account("evry")?;
    scene.group("night", &[person("elsa"), person("enzo")])?;
    scene.group("watch", &[person("elsa")])?;
    scene.rule("evry", "roles = [\"night\", \"watch\"]\nneed = \"every\"");
    scene.publish()?;
    scene.is_in("elsa", "evry", "night,watch")?;
    scene.is_out("enzo", "evry", "missing_role")?;
    scene.directory.join(&person("enzo"), "watch")?;
    scene.directory.leave(&person("elsa"), "night")?;
    scene.publish()?;
    scene.is_in("enzo", "evry", "night,watch")?;
    scene.is_out("elsa", "evry", "missing_role")
}

pub(super) fn the_groups_of_an_account_are_its_roles_where_the_rule_says_so(
    scene: &mut Scene<'_>,
) -> Outcome {
    scene.person("batman")?;
    scene.person("joker")?;
    scene.account("alfred")?;
    scene.group("cave", &[person("batman"), person("joker"), account("alfred")])?;
    scene.group("manor", &[person("batman"), account("alfred")])?;
    scene.rule("alfred", "roles_from = \"memberOf\"\nneed = \"every\"");
    scene.publish()?;
    scene.is_in("batman", "alfred", "cave,manor")?;
    scene.is_out("joker", "alfred", "missing_role")?;
    scene.directory.leave(&account("alfred"), "manor")?;
    scene.publish()?;
    scene.is_in("joker", "alfred", "cave")?;
    scene.directory.leave(&account("alfred"), "cave")?;
    scene.publish()?;
    scene.ssh("batman", "alfred", &["true"])?.expect_refused()?;
    scene.directory.join(&account("alfred"), "manor")?;
    scene.publish()?;
    scene.is_in("batman", "alfred", "manor")?;
    scene.is_out("joker", "alfred", "missing_role")
}

pub(super) fn a_deleted_group_lets_nobody_in(scene: &mut Scene<'_>) -> Outcome {
    scene.person("dolf")?;
    scene.account("doomed")?;
    scene.group("inner", &[person("dolf")])?;
    scene.group("outer", &[group("inner"), person("bob")])?;
    scene.allow("doomed", "outer");
    scene.publish()?;
    scene.is_in("bob", "doomed", "outer")?;
    if scene.kind().nests_groups() {
        scene.is_in("dolf", "doomed", "outer")?;
    }
    scene.directory.remove(&group("inner"))?;
    scene.publish()?;
    scene.is_out("dolf", "doomed", "not_in_role")?;
    scene.is_in("bob", "doomed", "outer")?;
    scene.directory.remove(&group("outer"))?;
    scene.publish()?;
    getent("group", "outer")?.expect_code(2)?;
    scene.is_out("bob", "doomed", "not_in_role")
}

pub(super) fn a_group_that_is_renamed_stays_the_role_and_a_namesake_is_none(
    scene: &mut Scene<'_>,
) -> Outcome {
    scene.person("rosa")?;
    scene.account("named")?;
    scene.group("oldname", &[person("rosa")])?;
    scene.allow("named", "oldname");
    scene.publish()?;
    scene.is_in("rosa", "named", "oldname")?;
    scene.directory.rename(&group("oldname"), "newname")?;
    scene.publish()?;
    scene.is_in("rosa", "named", "newname")?;
    require_contains("newname", getent("group", "newname")?.expect_ok()?.text(), ":rosa")?;
    getent("group", "oldname")?.expect_code(2)?;
    scene.group("oldname", &[person("carol")])?;
    scene.publish()?;
    scene.is_out("carol", "named", "not_in_role")?;
    scene.is_in("rosa", "named", "newname")
}

pub(super) fn a_group_that_is_made_again_is_no_role_until_root_approves_it(scene: &mut Scene<'_>) -> Outcome {
    scene.person("rita")?;
    scene.account("remade")?;
    scene.group("makers", &[person("rita")])?;
    scene.allow("remade", "makers");
    scene.publish()?;
    // Once with the gap seen, and once with both changes in one look.
    for seen in [true, false] {
        scene.is_in("rita", "remade", "makers")?;
        scene.directory.remove(&group("makers"))?;
        if seen {
            scene.publish()?;
            scene.is_out("rita", "remade", "not_in_role")?;
        }
        scene.group("makers", &[person("rita")])?;
        scene.publish()?;
        scene.is_out("rita", "remade", "not_in_role")?;
        let told = svcauth(&["explain", "rita", "remade"])?.expect_code(1)?;
        require_contains("the next step", &told.stdout, "svcauth roles approve makers")?;
        svcauth(&["roles", "approve", "makers"])?.expect_ok()?;
    }
    scene.is_in("rita", "remade", "makers")
}
