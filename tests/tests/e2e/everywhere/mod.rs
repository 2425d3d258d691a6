//! The same scenarios on every kind of directory: an LDIF file, slapd in both schemas and with and without content
//! synchronisation, and a Samba domain controller. What is true on one kind alone is asked of `Kind`, and the scenario
//! says what holds on the others.
//!
//! The scenarios of one kind share a world, because a domain takes long to make. Each one has names of its own and leaves
//! alice, bob, carol, deployer and application as they are.

mod changes;
mod groups;
mod logins;
mod names;
mod people;
mod reports;
mod scene;

use svcauth_tests::backend::Kind;
use svcauth_tests::failure::Outcome;
use svcauth_tests::runner::Case;
use svcauth_tests::world::World;

use scene::Scene;

/// One case for each kind and scenario. Those in the first braces share one world of each kind, the others a second one,
/// so that a machine with several processors has something to do for all of them.
macro_rules! everywhere {
    ({ $($first:tt)+ } { $($second:tt)+ }) => {
        /// The scenarios on every kind of directory, the slowest kind first.
        pub(crate) const CASES: &[&[Case]] = &[
            everywhere!("everywhere::ad", "1", Kind::Ad; $($first)+),
            everywhere!("everywhere::ad", "2", Kind::Ad; $($second)+),
            everywhere!("everywhere::rfc2307bis", "1", Kind::Rfc2307bis; $($first)+),
            everywhere!("everywhere::rfc2307bis", "2", Kind::Rfc2307bis; $($second)+),
            everywhere!("everywhere::rfc2307", "1", Kind::Rfc2307; $($first)+),
            everywhere!("everywhere::rfc2307", "2", Kind::Rfc2307; $($second)+),
            everywhere!("everywhere::plain_ldap", "1", Kind::Plain; $($first)+),
            everywhere!("everywhere::plain_ldap", "2", Kind::Plain; $($second)+),
            everywhere!("everywhere::ldif", "1", Kind::Ldif; $($first)+),
            everywhere!("everywhere::ldif", "2", Kind::Ldif; $($second)+),
        ];
    };
    ($word:literal, $world:literal, $kind:expr; $($theme:ident::$scenario:ident),+ $(,)?) => {
        &[$(Case {
            name: concat!($word, "::", stringify!($scenario)),
            run: |world| on($kind, world, $theme::$scenario),
            shares: Some(concat!($word, $world)),
        }),+]
    };
}

everywhere!(
    {
        logins::bob_is_in_under_the_right_uid_and_carol_is_out,
        logins::bob_may_by_su_and_by_sudo_and_carol_may_not,
        logins::a_new_key_counts_and_the_old_one_no_longer,
        logins::a_key_of_two_people_is_nobodys_until_one_gives_it_up,
        names::names_and_numbers_resolve_and_members_are_listed,
        names::an_account_comes_and_goes_and_nothing_is_restarted,
        names::an_account_that_was_renamed_has_its_new_name_alone,
        names::an_account_with_another_uid_has_that_one_alone,
        names::accounts_that_are_not_ours_are_never_shown_and_each_is_told_once,
        names::values_that_would_forge_a_line_of_passwd_are_refused,
        names::a_local_user_who_comes_later_has_the_name_and_the_account_is_no_more,
        names::a_group_of_this_host_gains_no_member,
    }
    {
        groups::a_member_who_is_taken_out_is_refused_and_one_who_comes_in_is_not,
        groups::a_member_five_groups_deep_is_in_where_groups_nest,
        groups::groups_in_a_circle_end_and_their_members_are_in,
        groups::a_primary_group_counts_where_there_is_one,
        groups::every_role_is_needed_where_the_rule_says_so,
        groups::the_groups_of_an_account_are_its_roles_where_the_rule_says_so,
        groups::a_deleted_group_lets_nobody_in,
        groups::a_group_that_is_renamed_stays_the_role_and_a_namesake_is_none,
        groups::a_group_that_is_made_again_is_no_role_until_root_approves_it,
        people::the_disabled_the_expired_and_the_locked_are_refused_each_for_their_own_reason,
        people::an_account_that_is_disabled_or_expired_is_nobodys,
        people::time_alone_ends_and_begins_what_has_a_time,
        people::a_person_who_is_deleted_is_out_and_a_namesake_has_what_the_directory_says,
        people::a_person_who_is_renamed_keeps_the_access,
        people::a_person_who_is_moved_is_in_as_long_as_they_are_below_the_base,
        people::people_whose_whole_unit_is_moved_away_are_out,
        people::names_that_are_hard_to_write_are_members_like_others,
        reports::the_access_report_lists_exactly_those_whom_explain_allows,
        reports::keys_in_local_files_are_told_by_whose_they_are_and_access_by_who_used_it,
        changes::a_change_counts_soon_though_nobody_asks_for_it,
        changes::a_change_is_learnt_without_reading_everything_where_the_server_can_tell,
        changes::a_worker_that_dies_costs_no_change_and_no_reading_of_everything,
    }
);

/// Runs a scenario in the world of its kind, which the first one builds, and compares what increments have made of the
/// directory with what a fetch of all of it makes.
fn on(kind: Kind, world: &mut World, scenario: fn(&mut Scene<'_>) -> Outcome) -> Outcome {
    let stage = match world.take_kept() {
        Some(stage) => stage,
        None => scene::Stage::start(world, kind)?,
    };
    let mut scene = Scene::begin(world, stage);
    scenario(&mut scene)?;
    let stage = scene.end()?;
    world.keep(stage);
    Ok(())
}
