//! Servers that lie, break and hang: the generation never moves to what is not whole, logins never wait, and the next
//! right answer is enough to recover.
//!
//! While an attack goes on, the server's directory holds an account that the host does not know yet. Were anything of such
//! an answer believed, `getent` would show it; when the attack is over, it does.

mod cuts;
mod faults;
mod lies;
mod numbers;
mod odd;
mod provider;
mod slow;
mod stage;
mod tls;
mod windows;

use svcauth_tests::cases;

use cuts::{
    a_connection_cut_at_every_kilobyte_never_gives_half_a_directory,
    a_connection_that_stalls_or_is_bent_gives_nothing,
};
use faults::{
    a_controller_that_dies_freezes_or_vanishes_in_mid_fetch_slows_nothing,
    a_server_that_dies_freezes_or_vanishes_in_mid_fetch_slows_nothing,
};
use lies::{
    a_referral_is_never_followed, bytes_that_are_no_ldap_are_refused,
    lists_that_say_they_are_not_whole_are_not_believed,
};
use numbers::{
    a_controller_that_lost_its_count_is_read_anew, increments_that_are_not_whole_are_not_believed,
};
use odd::{an_empty_password_is_never_sent, harmless_oddities_are_read_right};
use provider::{
    a_provider_that_lost_continuity_is_read_anew, changes_that_a_provider_tells_by_halves_are_not_believed,
};
use slow::{servers_that_never_end_are_left, silence_and_slowness_end_at_the_timeout};
use tls::{
    a_certificate_that_is_not_in_order_is_refused, a_password_is_never_sent_in_clear,
    attacks_before_tls_reach_nothing,
};
use windows::{
    a_controller_that_cuts_lists_and_pages_is_read_to_the_end,
    controllers_that_lie_about_ranges_are_not_believed,
};

cases!("evil":
    bytes_that_are_no_ldap_are_refused,
    lists_that_say_they_are_not_whole_are_not_believed,
    a_referral_is_never_followed,
    silence_and_slowness_end_at_the_timeout,
    servers_that_never_end_are_left,
    harmless_oddities_are_read_right,
    an_empty_password_is_never_sent,
    attacks_before_tls_reach_nothing,
    a_password_is_never_sent_in_clear,
    a_certificate_that_is_not_in_order_is_refused,
    a_controller_that_cuts_lists_and_pages_is_read_to_the_end,
    controllers_that_lie_about_ranges_are_not_believed,
    increments_that_are_not_whole_are_not_believed,
    a_controller_that_lost_its_count_is_read_anew,
    changes_that_a_provider_tells_by_halves_are_not_believed,
    a_provider_that_lost_continuity_is_read_anew,
    a_connection_cut_at_every_kilobyte_never_gives_half_a_directory,
    a_connection_that_stalls_or_is_bent_gives_nothing,
    a_server_that_dies_freezes_or_vanishes_in_mid_fetch_slows_nothing,
    a_controller_that_dies_freezes_or_vanishes_in_mid_fetch_slows_nothing,
);
