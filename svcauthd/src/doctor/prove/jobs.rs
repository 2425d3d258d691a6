//! Jobs of cron and at: of an account whose rule names the service, of one whose rule does not, of root and of a local user.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;
use std::time::Duration;

use super::Step;
use super::cast::Player;
use super::denied::Expected;
use super::fault::{Doing as _, Done, Fault};
use super::program::{Program, Running, find, wait_for};
use super::scene::{Mark, Scene};

/// How long a job may take to begin: cron starts those of `@reboot` at once, at asks the clock.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whose jobs there are, and the mark that each leaves.
struct Jobs<'a> {
    jobs: Vec<(&'a Player, Mark)>,
}

impl<'a> Jobs<'a> {
    fn new(scene: &'a Scene, root: &'a Player) -> Self {
        let cast = &scene.cast;
        let owners = [root, &cast.local, &cast.account, &cast.second];
        Self { jobs: owners.into_iter().map(|owner| (owner, Mark::new())).collect() }
    }

    /// Waits for all that may run, then for the record of the one that may not. The last one is refused.
    fn steps(&self, scene: &Scene, word: &str, service: &str, mark: usize) -> Vec<Step> {
        let Some(((second, not), may)) = self.jobs.split_last() else {
            return Vec::new();
        };
        let done = || may.iter().all(|(owner, mark)| mark.is_of(owner.uid));
        wait_for(PATIENCE, done);
        let mut steps = Vec::new();
        for ((owner, mark_of), whose) in may.iter().zip(["root's", "a local user's", "the account's"]) {
            let step = format!("{word}_{}", owner.name.trim_start_matches("svcauth-"));
            let what = format!("{whose} job of {word} runs");
            steps.push(if mark_of.is_of(owner.uid) {
                Step::ok(step, what, "")
            } else {
                Step::failed(step, what, format!("it does not; the log: {}", scene.log.last(mark, &[word])))
            });
        }
        let recorded = Expected::denial(second.name, service, "service_not_allowed").of(second.name);
        let recorded = recorded
            .wait(0)
            .or_else(|_| Expected::denial(second.name, service, "service_not_allowed").wait(0));
        let (step, what) = (
            format!("{word}_refused"),
            format!("a job of {word} does not run in an account whose rule does not name it"),
        );
        steps.push(match recorded {
            _ if not.is_there() => Step::failed(step, what, "it ran"),
            Ok(record) => Step::ok(step, what, record),
            Err(missing) => Step::failed(step, what, format!("it did not run, but {missing}")),
        });
        steps
    }
}

/// The steps of cron, or why there are none.
pub(super) fn cron(scene: &Scene) -> Vec<Step> {
    let what = "jobs of cron";
    let (word, options, service) = match (find("cron"), find("crond")) {
        (Some(_), _) => ("cron", "-f", "cron"),
        (None, Some(_)) => ("crond", "-n", "crond"),
        (None, None) => return vec![Step::skipped("cron", what, "cron is not installed")],
    };
    let (root, mark) = (root(), scene.log.mark());
    let jobs = Jobs::new(scene, &root);
    match start_cron(word, options, &jobs) {
        Ok(running) => {
            let steps = jobs.steps(scene, word, service, mark);
            drop(running);
            steps
        }
        Err(fault) => vec![Step::failed("cron", what, fault.to_string())],
    }
}

fn start_cron(word: &str, option: &str, jobs: &Jobs<'_>) -> Done<Running> {
    let folders = ["/var/spool/cron/crontabs", "/var/spool/cron"].map(PathBuf::from);
    let folder = folders.into_iter().find(|folder| folder.is_dir());
    let folder = folder.ok_or_else(|| Fault::new("there is no /var/spool/cron"))?;
    for (owner, mark) in &jobs.jobs {
        let table = folder.join(owner.name);
        fs::write(&table, format!("MAILTO=\"\"\n@reboot {}\n", mark.command()))
            .and_then(|()| chown(&table, Some(owner.uid), None))
            .and_then(|()| fs::set_permissions(&table, fs::Permissions::from_mode(0o600)))
            .doing(format!("write the crontab of {}", owner.name))?;
    }
    Program::new(&[word, option]).start()
}

/// The steps of at, or why there are none.
pub(super) fn at(scene: &Scene) -> Vec<Step> {
    let what = "jobs of at";
    if find("at").is_none() || find("atd").is_none() {
        return vec![Step::skipped("at", what, "at is not installed")];
    }
    let (root, mark) = (root(), scene.log.mark());
    let jobs = Jobs::new(scene, &root);
    match submit(&jobs) {
        Ok(running) => {
            let steps = jobs.steps(scene, "at", "atd", mark);
            drop(running);
            steps
        }
        Err(fault) => vec![Step::failed("at", what, fault.to_string())],
    }
}

fn submit(jobs: &Jobs<'_>) -> Done<Running> {
    for (owner, mark) in &jobs.jobs {
        let line = format!("echo '{}' | at -M now", mark.command());
        let submit = Program::new(&["sh", "-c", &line]).by(owner.name, owner.uid, owner.gid).run()?;
        if submit.code != Some(0) {
            return Err(Fault::new(format!("at takes no job of {}: {}", owner.name, submit.said)));
        }
    }
    Program::new(&["atd", "-f"]).start()
}

fn root() -> Player {
    Player { name: "root", uid: 0, gid: 0 }
}
