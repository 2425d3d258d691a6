//! What the way through the shell and the daemon costs a command, told as a difference and a ratio of one run.

use svcauth_tests::cases;
use svcauth_tests::failure::{Outcome, require};
use svcauth_tests::terminal::say;
use svcauth_tests::world::World;

use crate::latency::{OURS, SH, measured};

cases!("commands_latency":
    a_command_takes_less_than_five_milliseconds_more_than_by_sh,
);

fn a_command_takes_less_than_five_milliseconds_more_than_by_sh(world: &mut World) -> Outcome {
    let [sh, ours] = measured(world, &[SH, OURS], 200)?;
    let added = ours.undisturbed() - sh.undisturbed();
    say(&format!(
        "sh -c true: {:.2} ms; svcauth-shell -c true: {:.2} ms, {:.1} times that (medians); added where nothing disturbs: \
         {added:.2} ms",
        sh.median(),
        ours.median(),
        ours.median() / sh.median()
    ));
    // A machine that takes many times as long for sh itself is not one to measure milliseconds on.
    let most = f64::max(5.0, 5.0 * sh.undisturbed());
    require(added < most, || format!("{added:.2} ms more than sh"))
}
