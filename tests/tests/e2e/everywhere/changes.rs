//! How changes are learnt: that the other scenarios are about increments where the server can tell them.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use svcauth_tests::backend::person;
use svcauth_tests::failure::{Context, Outcome, require, require_eq};
use svcauth_tests::program::wait_until;
use svcauth_tests::site::svcauth;

use super::scene::Scene;

const METRICS: &str = "/var/lib/svcauth/metrics.prom";
/// Longer than the daemon may take to write the file, or to look again.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often everything was read since the daemon started, and how often only what had changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fetches {
    whole: u64,
    changes: u64,
}

impl Fetches {
    fn total(self) -> u64 {
        self.whole + self.changes
    }

    /// What the file says now.
    fn shown() -> Option<Self> {
        let text = std::fs::read_to_string(METRICS).ok()?;
        let count = |kind| {
            let name = format!("svcauth_refresh_duration_seconds_count{{kind=\"{kind}\"}} ");
            text.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok())
        };
        Some(Self { whole: count("whole")?, changes: count("changes")? })
    }

    /// What the file says when it has caught up: it is written some time after the fetch, and fetches go on all the time.
    fn now(scene: &Scene<'_>) -> Outcome<Self> {
        let newer = || {
            let before = Self::shown().map_or(0, Self::total);
            scene.host.daemon.sync()?;
            wait_until("newer metrics", PATIENCE, || Self::shown().filter(|now| now.total() > before))
        };
        // The second writing has everything that was before the first one.
        newer()?;
        newer()
    }
}

/// Two changes and what they do.
fn two_changes(scene: &mut Scene<'_>, login: &str, account: &str, role: &str) -> Outcome {
    scene.directory.leave(&person(login), role)?;
    scene.publish()?;
    scene.is_out(login, account, "not_in_role")?;
    scene.directory.join(&person(login), role)?;
    scene.publish()?;
    scene.is_in(login, account, role)
}

/// Holds what was fetched since `before` against what the kind of directory can do.
fn require_increments(scene: &Scene<'_>, before: Fetches, at_least: u64) -> Outcome {
    let after = Fetches::now(scene)?;
    let said = || format!("{before:?}, then {after:?}");
    if !scene.kind().tells_changes() {
        require_eq("increments", &after.changes, &0)?;
        return require(after.whole >= before.whole + at_least, said);
    }
    require_eq("fetches of everything", &after.whole, &before.whole).doing(said())?;
    require(after.changes >= before.changes + at_least, said)
}

pub(super) fn a_change_counts_soon_though_nobody_asks_for_it(scene: &mut Scene<'_>) -> Outcome {
    scene.person("sonja")?;
    scene.account("soon")?;
    scene.group("sooners", &[person("sonja"), person("bob")])?;
    scene.allow("soon", "sooners");
    scene.publish()?;
    scene.is_in("sonja", "soon", "sooners")?;
    let turns = |code: i32| {
        let asked = || svcauth(&["explain", "sonja", "soon"]).ok().filter(|told| told.code == code);
        wait_until("the other decision", PATIENCE, || asked().map(drop))
    };
    scene.directory.leave(&person("sonja"), "sooners")?;
    turns(1)?;
    scene.is_out("sonja", "soon", "not_in_role")?;
    scene.directory.join(&person("sonja"), "sooners")?;
    turns(0)?;
    scene.is_in("sonja", "soon", "sooners")
}

pub(super) fn a_change_is_learnt_without_reading_everything_where_the_server_can_tell(
    scene: &mut Scene<'_>,
) -> Outcome {
    scene.person("inka")?;
    scene.account("inkling")?;
    scene.group("inklings", &[person("inka"), person("bob")])?;
    scene.allow("inkling", "inklings");
    scene.publish()?;
    scene.is_in("inka", "inkling", "inklings")?;
    let before = Fetches::now(scene)?;
    two_changes(scene, "inka", "inkling", "inklings")?;
    require_increments(scene, before, 2)
}

pub(super) fn a_worker_that_dies_costs_no_change_and_no_reading_of_everything(
    scene: &mut Scene<'_>,
) -> Outcome {
    scene.person("wanda")?;
    scene.account("worked")?;
    scene.group("workers", &[person("wanda"), person("bob")])?;
    scene.allow("worked", "workers");
    scene.publish()?;
    scene.is_in("wanda", "worked", "workers")?;
    let before = Fetches::now(scene)?;
    for _ in 0..2 {
        kill(Pid::from_raw(scene.host.worker()?), Signal::SIGKILL)?;
        two_changes(scene, "wanda", "worked", "workers")?;
    }
    require_increments(scene, before, 4)
}
