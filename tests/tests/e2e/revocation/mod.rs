//! Sessions end with all that they have left running when their person may no longer use the account, and no others do.

pub(crate) mod exact;
pub(crate) mod grace;

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::time::{Duration, Instant};

use svcauth_tests::failure::{Outcome, require};
use svcauth_tests::log::{AuthLog, Record};
use svcauth_tests::program::{Background, Program, wait_until};
use svcauth_tests::sshd::client;
use svcauth_tests::world::World;

use crate::host::{Host, Plan};

/// What leaves a session behind in the usual ways, and prints the pids.
pub(crate) const LEAVE: &str = "exec </dev/null 2>/dev/null; setsid sleep 3001 >/dev/null & echo $!; nohup sleep 3002 \
                                >/dev/null & echo $!; (setsid sleep 3003 >/dev/null & echo $!)";
/// Longer than a refresh, a grace and a busy machine together.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A host that looks every second and gives two seconds.
pub(crate) fn plan(world: &World, sessions: &str) -> Outcome<Plan> {
    let mut plan = Plan::new(world)?;
    plan.site.configure("# refresh = \"15s\"", "refresh = \"1s\"")?;
    plan.site.configure("# [sessions]\n", &format!("[sessions]\n{sessions}\n"))?;
    Ok(plan)
}

/// Whether the process is there, and no zombie.
pub(crate) fn lives(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// The pids that a program has printed, all of which live.
pub(crate) fn pids(text: &str) -> Outcome<Vec<u32>> {
    let pids: Vec<u32> = text.lines().filter_map(|line| line.trim().parse().ok()).collect();
    require(!pids.is_empty(), || format!("no pids in {text:?}"))?;
    all_live("what has just begun", &pids)?;
    Ok(pids)
}

pub(crate) fn all_live(what: &str, pids: &[u32]) -> Outcome {
    let gone: Vec<u32> = pids.iter().copied().filter(|pid| !lives(*pid)).collect();
    require(gone.is_empty(), || format!("{what}: {gone:?} of {pids:?} do not live"))
}

pub(crate) fn all_end(what: &str, pids: &[u32]) -> Outcome<Duration> {
    let began = Instant::now();
    wait_until(&format!("the end of {what} {pids:?}"), PATIENCE, || {
        pids.iter().all(|pid| !lives(*pid)).then_some(())
    })?;
    Ok(began.elapsed())
}

/// They live on for longer than anything that may still be under way.
pub(crate) fn all_stay(what: &str, pids: &[u32]) -> Outcome {
    for _ in 0..8 {
        all_live(what, pids)?;
        std::thread::sleep(Duration::from_millis(500));
    }
    all_live(what, pids)
}

/// What a person leaves behind in an account after a login that is over.
pub(crate) fn leave(host: &Host, person: &str, account: &str) -> Outcome<Vec<u32>> {
    let log = AuthLog::at("/var/log/auth.log");
    let mark = log.mark();
    let left = pids(&host.ssh(person, account, &[LEAVE])?.expect_ok()?.stdout)?;
    is_left(&left)?;
    // sshd records it behind the back of its client.
    log.wait_for(mark, "end", &[("origin", person), ("account", account)])?;
    Ok(left)
}

/// Waits until what [`LEAVE`] has begun is out of its session: what setsid and nohup start is there when they have done it.
pub(crate) fn is_left(pids: &[u32]) -> Outcome {
    wait_until(&format!("what is left behind {pids:?}"), PATIENCE, || {
        let name = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        pids.iter().all(|pid| name(pid) == "sleep\n").then_some(())
    })
}

/// A script of a person in an account, written where it can be run, and the pid of its first process.
pub(crate) fn run(world: &World, host: &Host, person: &str, script: &str) -> Outcome<Vec<u32>> {
    let path = format!("/tmp/{person}.script");
    world.write(&path, 0o755, script)?;
    let start = format!("setsid sh {path} </dev/null >/dev/null 2>&1 & echo $!");
    pids(&host.ssh(person, "deployer", &[&start])?.expect_ok()?.stdout)
}

/// A login with a terminal, somebody typing, and what they see.
pub(crate) struct Typing {
    person: String,
    keyboard: File,
    _client: Background,
}

impl Typing {
    /// `command` is what runs on the terminal.
    pub(crate) fn start(world: &World, host: &Host, person: &str, command: &[&str]) -> Outcome<Self> {
        let fifo = format!("/tmp/{person}.keys");
        Program::new("mkfifo").arg(&fifo).run()?.expect_ok()?;
        let keyboard = OpenOptions::new().read(true).write(true).open(&fifo)?;
        let client = client(&["-tt"], "deployer", host.key(person)?, command);
        let screen = world.log_file(&format!("{person}.screen"))?;
        let client = client.start_reading(keyboard.try_clone()?, screen)?;
        Ok(Self { person: person.to_owned(), keyboard, _client: client })
    }

    pub(crate) fn press(&mut self, keys: &str) -> Outcome {
        Ok(self.keyboard.write_all(keys.as_bytes())?)
    }

    pub(crate) fn screen(&self) -> String {
        fs::read_to_string(format!("/var/log/{}.screen", self.person)).unwrap_or_default()
    }

    pub(crate) fn wait_for(&self, text: &str) -> Outcome {
        wait_until(&format!("{text:?} on the screen of {}", self.person), PATIENCE, || {
            self.screen().contains(text).then_some(())
        })
        .map_err(|why| svcauth_tests::failure::Failure::new(format!("{why}: {:?}", self.screen())))
    }
}

/// The records with this verb about a person since the mark.
pub(crate) fn said(world: &World, mark: usize, verb: &str, person: &str) -> Vec<Record> {
    let mut records = world.log().records_since(mark);
    records.retain(|record| record.says(verb, &[("origin", person)]));
    records
}
