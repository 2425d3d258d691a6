//! What the way through the shell and the daemon costs a command, told as a difference and a ratio of one run.

use std::time::Duration;

use svcauth_tests::cases;
use svcauth_tests::failure::{Failure, Outcome, require};
use svcauth_tests::sshd::client;
use svcauth_tests::terminal::say;
use svcauth_tests::world::World;

use super::{limited, program};

cases!("commands_latency":
    a_command_takes_less_than_five_milliseconds_more_than_by_sh,
);

const RULE: &str = r#"commands = [["/usr/bin/true"], ["/usr/local/bin/measure"]]"#;

/// Starts both in turn, inside of the session of who asks for this; prints the microseconds of each kind, sorted.
const MEASURE: &str = r#"#!/usr/bin/python3
import os, time
def once(shell):
    began = time.perf_counter_ns()
    pid = os.posix_spawn(shell, [shell, '-c', 'true'], os.environ)
    if os.waitpid(pid, 0)[1] != 0:
        raise SystemExit('it failed')
    return (time.perf_counter_ns() - began) // 1000
shells = ['/bin/sh', '/usr/bin/svcauth-shell']
times = {shell: [] for shell in shells}
for _ in range(200):
    for shell in shells:
        times[shell].append(once(shell))
for shell in shells:
    print(*sorted(times[shell]))
"#;

/// What the seldom-disturbed tenth takes at most: the rest is what else this machine does.
const TENTH: usize = 20;
const MEDIAN: usize = 100;

fn a_command_takes_less_than_five_milliseconds_more_than_by_sh(world: &mut World) -> Outcome {
    let host = limited(world, RULE)?.start(world)?;
    program(world, "/usr/local/bin/measure", MEASURE)?;
    let measured = client(&[], "deployer", host.key("bob")?, &["measure"]);
    let measured = measured.patience(Duration::from_secs(120)).run()?.expect_ok()?;
    let rows: Vec<Vec<f64>> = measured
        .stdout
        .lines()
        .map(|line| line.split(' ').filter_map(|number| number.parse().ok()).collect())
        .collect();
    let [sh, ours] = rows.as_slice() else {
        return Err(Failure::new(measured.report()));
    };
    let at = |row: &[f64], place: usize| {
        row.get(place).map(|micros| micros / 1000.0).ok_or_else(|| Failure::new(measured.report()))
    };
    let (sh_median, our_median) = (at(sh, MEDIAN)?, at(ours, MEDIAN)?);
    let added = at(ours, TENTH)? - at(sh, TENTH)?;
    say(&format!(
        "sh -c true: {sh_median:.2} ms; svcauth-shell -c true: {our_median:.2} ms, {:.1} times that (medians); added where \
         nothing disturbs: {added:.2} ms",
        our_median / sh_median
    ));
    require(added < 5.0, || format!("{added:.2} ms more than sh"))
}
