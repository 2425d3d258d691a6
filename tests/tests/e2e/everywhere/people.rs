//! People who may not, no longer or not yet; who get another name or place, or go and come back.

use std::time::Duration;

use svcauth_tests::backend::{State, account, person};
use svcauth_tests::clock::{DAY, now};
use svcauth_tests::failure::{Outcome, require_eq};
use svcauth_tests::site::svcauth;

use super::scene::{LOCKOUT, Scene};

/// Days since 1970.
fn today() -> u64 {
    now() / DAY
}

pub(super) fn the_disabled_the_expired_and_the_locked_are_refused_each_for_their_own_reason(
    scene: &mut Scene<'_>,
) -> Outcome {
    let people = ["dina", "edda", "fritz"];
    for login in people {
        scene.person(login)?;
    }
    scene.account("stately")?;
    scene.group("states", &people.map(person))?;
    scene.allow("stately", "states");
    scene.directory.give_password("fritz")?;
    scene.publish()?;
    for login in people {
        scene.is_in(login, "stately", "states")?;
    }
    scene.directory.set_state(&person("dina"), State::Disabled)?;
    scene.directory.set_state(&person("edda"), State::ExpiresOn(today()))?;
    scene.directory.lock_out("fritz")?;
    scene.publish()?;
    scene.is_out("dina", "stately", "person_disabled")?;
    scene.is_out("edda", "stately", "person_expired")?;
    scene.is_out("fritz", "stately", "person_locked")?;
    scene.directory.set_state(&person("dina"), State::Usable)?;
    scene.directory.set_state(&person("edda"), State::ExpiresOn(today() + 2))?;
    scene.directory.set_state(&person("fritz"), State::Usable)?;
    scene.publish()?;
    for login in people {
        scene.is_in(login, "stately", "states")?;
    }
    Ok(())
}

pub(super) fn an_account_that_is_disabled_or_expired_is_nobodys(scene: &mut Scene<'_>) -> Outcome {
    scene.account("closing")?;
    scene.allow("closing", "application");
    scene.publish()?;
    for (state, reason) in [
        (State::Disabled, "account_disabled"),
        (State::ExpiresOn(today()), "account_expired"),
        // Nobody unlocks a shared account by logging in: locked is disabled.
        (State::LockedSince(now()), "account_disabled"),
    ] {
        scene.is_in("bob", "closing", "application")?;
        scene.directory.set_state(&account("closing"), state)?;
        scene.publish()?;
        scene.is_out("bob", "closing", reason)?;
        scene.directory.set_state(&account("closing"), State::Usable)?;
        scene.publish()?;
    }
    scene.is_in("bob", "closing", "application")
}

pub(super) fn time_alone_ends_and_begins_what_has_a_time(scene: &mut Scene<'_>) -> Outcome {
    // Long enough for a publication and two logins on a slow machine.
    const SOON: u64 = 20;
    scene.person("tomke")?;
    scene.person("lotte")?;
    scene.account("timely")?;
    scene.account("timed")?;
    scene.group("timers", &[person("tomke"), person("lotte")])?;
    scene.allow("timely", "timers");
    scene.allow("timed", "timers");
    scene.publish()?;
    scene.is_in("tomke", "timely", "timers")?;
    let soon = now() + SOON;
    scene.directory.set_state(&person("tomke"), State::ExpiresAt(soon))?;
    scene.directory.set_state(&account("timed"), State::ExpiresAt(soon))?;
    scene.directory.set_state(&person("lotte"), State::LockedSince(soon - LOCKOUT))?;
    scene.publish()?;
    scene.is_in("tomke", "timed", "timers")?;
    scene.is_out("lotte", "timely", "person_locked")?;
    std::thread::sleep(Duration::from_secs((soon + 1).saturating_sub(now())));
    scene.is_out("tomke", "timely", "person_expired")?;
    scene.is_out("tomke", "timed", "account_expired")?;
    scene.is_in("lotte", "timely", "timers")
}

pub(super) fn a_person_who_is_deleted_is_out_and_a_namesake_has_what_the_directory_says(
    scene: &mut Scene<'_>,
) -> Outcome {
    scene.person("romy")?;
    scene.account("reborn")?;
    scene.group("reborners", &[person("romy"), person("bob")])?;
    scene.allow("reborn", "reborners");
    scene.publish()?;
    scene.is_in("romy", "reborn", "reborners")?;
    let key = scene.key("romy")?.clone();
    // Once with the gap seen, and once with both changes in one look.
    for seen in [true, false] {
        scene.directory.remove(&person("romy"))?;
        if seen {
            scene.publish()?;
            scene.is_out("romy", "reborn", "unknown_key")?;
        }
        scene.directory.person("romy", &[&key])?;
        scene.publish()?;
        let listed = scene.directory.lists("reborners", &person("romy"))?;
        require_eq("listed", &listed, &!scene.kind().keeps_groups_in_order())?;
        if listed {
            // The group names whoever has the name; only the directory's administrator can say who was meant.
            scene.is_in("romy", "reborn", "reborners")?;
        } else {
            scene.is_out("romy", "reborn", "not_in_role")?;
            scene.directory.join(&person("romy"), "reborners")?;
            scene.publish()?;
            scene.is_in("romy", "reborn", "reborners")?;
        }
    }
    scene.is_in("bob", "reborn", "reborners")
}

pub(super) fn a_person_who_is_renamed_keeps_the_access(scene: &mut Scene<'_>) -> Outcome {
    scene.person("gina")?;
    scene.knows_person("gerda");
    scene.account("gifted")?;
    scene.group("givers", &[person("gina")])?;
    scene.allow("gifted", "givers");
    scene.publish()?;
    scene.is_in("gina", "gifted", "givers")?;
    scene.directory.rename(&person("gina"), "gerda")?;
    scene.publish()?;
    scene.is_in_as("gina", "gerda", "gifted", "givers")
}

pub(super) fn a_person_who_is_moved_is_in_as_long_as_they_are_below_the_base(
    scene: &mut Scene<'_>,
) -> Outcome {
    scene.person("moritz")?;
    scene.account("moved")?;
    scene.group("movers", &[person("moritz"), person("bob")])?;
    scene.allow("moved", "movers");
    scene.publish()?;
    scene.is_in("moritz", "moved", "movers")?;
    for (unit, is_below) in [("ou=staff,ou=people", true), ("ou=leavers", false), ("ou=people", true)] {
        scene.directory.move_to(&person("moritz"), unit)?;
        scene.publish()?;
        if is_below {
            scene.is_in("moritz", "moved", "movers")?;
        } else {
            scene.is_out("moritz", "moved", "unknown_key")?;
        }
    }
    scene.is_in("bob", "moved", "movers")
}

pub(super) fn people_whose_whole_unit_is_moved_away_are_out(scene: &mut Scene<'_>) -> Outcome {
    scene.person("uwe")?;
    scene.account("united")?;
    scene.group("unity", &[person("uwe"), person("bob")])?;
    scene.allow("united", "unity");
    scene.publish()?;
    scene.directory.move_to(&person("uwe"), "ou=staff,ou=people")?;
    scene.publish()?;
    scene.is_in("uwe", "united", "unity")?;
    scene.directory.move_unit("ou=staff,ou=people", "ou=leavers")?;
    scene.publish()?;
    scene.is_out("uwe", "united", "unknown_key")?;
    scene.directory.move_unit("ou=staff,ou=leavers", "ou=people")?;
    // slapd tells of the unit alone, and to be refused a little longer does no harm.
    svcauth(&["sync", "--full"])?.expect_ok()?;
    scene.is_in("uwe", "united", "unity")?;
    scene.directory.move_to(&person("uwe"), "ou=people")
}

pub(super) fn names_that_are_hard_to_write_are_members_like_others(scene: &mut Scene<'_>) -> Outcome {
    let names = [
        "Doe, John",
        " blank in front",
        "blank behind ",
        "#hash",
        "a+b=c",
        "quo\"te",
        "back\\slash",
        "semi;colon <and> more",
        "(paren*s)",
        "J\u{fc}rgen \u{1f600}",
    ];
    scene.account("harder")?;
    scene.group("hardly", &[])?;
    scene.allow("harder", "hardly");
    for (number, name) in names.iter().enumerate() {
        let login = format!("hard{number}");
        let key = scene.new_key(&login)?;
        scene.knows_person(&login);
        scene.directory.person_called(&login, name, &[&key])?;
        scene.directory.join(&person(&login), "hardly")?;
    }
    scene.publish()?;
    for number in 0..names.len() {
        scene.is_in(&format!("hard{number}"), "harder", "hardly")?;
    }
    scene.directory.leave(&person("hard0"), "hardly")?;
    scene.publish()?;
    scene.is_out("hard0", "harder", "not_in_role")?;
    scene.is_in("hard1", "harder", "hardly")
}
