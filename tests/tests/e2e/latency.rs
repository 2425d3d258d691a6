//! What the way through the shell and the daemon costs a command, measured. A case of the end-to-end tests holds it against its
//! bound (`commands/latency.rs`), and a bench tells it at length (`benches/command_latency.rs`).

use std::fs;
use std::time::Duration;

use svcauth_tests::failure::{Failure, Outcome, require};
use svcauth_tests::sshd::client;
use svcauth_tests::world::World;

use crate::host::Plan;

/// What is started: a shell, and the line that it gets.
pub(crate) type Start = (&'static str, &'static str);

/// What the others are held against: a process, and a word that every shell does itself.
pub(crate) const SH: Start = ("/bin/sh", "true");
/// The same word, which is a program here.
pub(crate) const OURS: Start = ("/usr/bin/svcauth-shell", "true");

const RULE: &str = r#"[[access]]
accounts = ["deployer"]
roles = ["application"]
commands = [
    ["/usr/bin/true"],
    ["/usr/local/bin/measure", "<rest>"],
    { kind = "sftp", access = "read", paths = ["/srv"] },
]
"#;

/// Starts all in turn, inside of the session of who asks for this; prints the microseconds of each, sorted.
const MEASURE: &str = r#"#!/usr/bin/python3
import os, sys, time
nothing = [(os.POSIX_SPAWN_OPEN, 0, '/dev/null', os.O_RDONLY, 0)]
def once(shell, line):
    began = time.perf_counter_ns()
    pid = os.posix_spawn(shell, [shell, '-c', line], os.environ, file_actions=nothing)
    if os.waitpid(pid, 0)[1] != 0:
        raise SystemExit(f'{shell} -c {line} failed')
    return (time.perf_counter_ns() - began) // 1000
rounds, words = int(sys.argv[1]), sys.argv[2:]
starts = list(zip(words[::2], words[1::2]))
times = [[] for start in starts]
for _ in range(rounds):
    for place, start in enumerate(starts):
        times[place].append(once(*start))
for one in times:
    print(*sorted(one))
"#;

/// How long something took, each time that it was done: milliseconds, the shortest first.
pub(crate) struct Times(Vec<f64>);

impl Times {
    pub(crate) fn median(&self) -> f64 {
        self.at(0.5)
    }

    /// Where little disturbs: the seldom-disturbed tenth takes at most this, and the rest is what else the machine does.
    pub(crate) fn undisturbed(&self) -> f64 {
        self.at(0.1)
    }

    /// What this part of all takes at most.
    pub(crate) fn at(&self, part: f64) -> f64 {
        let place = (self.0.len() as f64 * part) as usize;
        self.0.get(place).copied().unwrap_or(f64::NAN)
    }
}

/// Starts all of these so often in turn, as bob in the account deployer, on a host of the world's own.
pub(crate) fn measured<const N: usize>(
    world: &World,
    starts: &[Start; N],
    rounds: usize,
) -> Outcome<[Times; N]> {
    let mut plan = Plan::new(world)?;
    plan.site.access(RULE);
    fs::create_dir_all("/srv")?;
    world.write("/usr/local/bin/measure", 0o755, MEASURE)?;
    let host = plan.start(world)?;
    let rounds_text = rounds.to_string();
    let words = starts.iter().flat_map(|(shell, line)| [*shell, *line]);
    let words: Vec<&str> = ["measure", &rounds_text].into_iter().chain(words).collect();
    let program = client(&[], "deployer", host.key("bob")?, &words);
    let ended = program.patience(Duration::from_secs(120)).run()?.expect_ok()?;
    let row = |line: &str| {
        let micros = line.split(' ').filter_map(|number| number.parse::<f64>().ok());
        Times(micros.map(|micros| micros / 1000.0).collect())
    };
    let rows: Vec<Times> = ended.stdout.lines().map(row).collect();
    require(rows.iter().all(|row| row.0.len() == rounds), || ended.report())?;
    rows.try_into().map_err(|_| Failure::new(ended.report()))
}
