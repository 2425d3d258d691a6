//! Ending processes: asked first, then killed, until a look finds none.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getpgid, getpgrp, kill_process_group};
use svcauth_host::sessions::Process;

use super::scope::Found;
use super::signal::send;

/// What there is of each session that ends, by id.
pub(super) type Sight = BTreeMap<String, Found>;

/// How long it may take until a look finds nothing of what was killed.
const ROUNDS: Duration = Duration::from_secs(5);
/// How long the program that opened a session may take to close it, once nothing of it is left.
const CLOSING: Duration = Duration::from_secs(2);
/// So many looks that find nothing new are trusted, where processes come and go between two of them.
const QUIET: usize = 4;
/// Between two looks: time for the kernel to take away what was killed.
const PAUSE: Duration = Duration::from_millis(10);

/// Who was asked to end, so that nobody is asked again at each look.
#[derive(Default)]
pub(super) struct Asked(HashSet<Process>);

impl Asked {
    /// Asks everything of a session to end that was not asked before.
    ///
    /// As a service manager ends a login: SIGTERM; to what has a terminal SIGHUP, because shells ignore the other; and
    /// SIGCONT, because what is stopped hears nothing. The program that opened the session gets no SIGHUP: it closes what it
    /// opened at a SIGTERM.
    pub(super) fn ask(&mut self, found: &Found) {
        for seen in found.own.iter().filter(|seen| self.0.insert(seen.process)) {
            match seen.terminal {
                Some(_) => send(seen.process, &[Signal::TERM, Signal::HUP, Signal::CONT]),
                None => send(seen.process, &[Signal::TERM, Signal::CONT]),
            }
        }
        for seen in found.opener.iter().filter(|seen| self.0.insert(seen.process)) {
            send(seen.process, &[Signal::TERM, Signal::CONT]);
        }
    }

    /// Forgets who has gone.
    pub(super) fn keep(&mut self, sight: &Sight) {
        let there: HashSet<Process> = sight.values().flat_map(Found::all).map(|seen| seen.process).collect();
        self.0.retain(|process| there.contains(process));
    }
}

/// Who looks at what is there.
pub(super) trait Eyes {
    /// What there is of each session now.
    fn look(&self) -> Sight;

    /// Hands over each process that is certainly of one of these sessions, youngest first, at the moment it is seen: one
    /// that starts the next and ends is gone when a whole look is over.
    fn chase(&self, overdue: &BTreeSet<String>, catch: &mut dyn FnMut(Process));
}

/// Kills these sessions, and gives what is left of them.
///
/// The processes of the account come first: then the program that opened the session ends by itself, and records the end.
pub(super) fn kill(overdue: &BTreeSet<String>, eyes: &impl Eyes) -> Sight {
    let rest = kill_own(overdue, eyes);
    let openers: Vec<Process> =
        rest.values().filter_map(|found| Some(found.opener.as_ref()?.process)).collect();
    openers.iter().for_each(|opener| send(*opener, &[Signal::CONT]));
    if !openers.is_empty() && !wait_for(&openers, CLOSING) {
        openers.iter().for_each(|opener| send(*opener, &[Signal::KILL]));
        wait_for(&openers, CLOSING);
    }
    only(overdue, eyes.look())
}

/// Kills what there is of a session, and waits for nothing.
pub(super) fn shoot(found: &Found) {
    found.all().for_each(|seen| send(seen.process, &[Signal::KILL]));
}

/// Kills what runs as the account until a look finds nothing, or for [`ROUNDS`].
fn kill_own(overdue: &BTreeSet<String>, eyes: &impl Eyes) -> Sight {
    let end = Instant::now() + ROUNDS;
    let mut killed: HashSet<Process> = HashSet::new();
    let mut halted = Halted::default();
    loop {
        // What is still there then may have children faster than they are killed: nothing has any while it is stopped.
        let sight = if killed.is_empty() {
            only(overdue, eyes.look())
        } else {
            halted.stop(overdue, eyes, &killed, end)
        };
        if own(&sight).next().is_none() || Instant::now() >= end {
            halted.release();
            return sight;
        }
        for process in own(&sight).filter(|process| killed.insert(*process)) {
            send(process, &[Signal::KILL]);
        }
        std::thread::sleep(PAUSE);
    }
}

/// What was stopped, to be killed or to go on.
#[derive(Default)]
struct Halted {
    processes: HashSet<Process>,
    groups: HashSet<Pid>,
}

impl Halted {
    /// Stops what runs as the account and is not killed yet, until nothing moves any more; gives what a look finds then.
    fn stop(
        &mut self,
        overdue: &BTreeSet<String>,
        eyes: &impl Eyes,
        killed: &HashSet<Process>,
        end: Instant,
    ) -> Sight {
        let lives = |process: &Process| !killed.contains(process);
        let mut quiet = 0;
        while quiet < QUIET && Instant::now() < end {
            let before = self.processes.len();
            eyes.chase(overdue, &mut |process| {
                if lives(&process) {
                    self.halt(process);
                }
            });
            quiet = if self.processes.len() > before { 0 } else { quiet + 1 };
            std::thread::sleep(PAUSE / 2);
        }
        loop {
            let sight = only(overdue, eyes.look());
            let before = self.processes.len();
            own(&sight).filter(lives).for_each(|process| self.halt(process));
            if self.processes.len() == before || Instant::now() >= end {
                return sight;
            }
        }
    }

    /// Stops a process and its process group: the kernel lets no child of a group escape a signal to it, so those that
    /// start the next and end are caught all at once. Whoever else is in the group goes on at [`Self::release`].
    fn halt(&mut self, process: Process) {
        if !self.processes.insert(process) {
            return;
        }
        let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw);
        let group = pid.and_then(|pid| getpgid(Some(pid)).ok()).filter(|_| process.is_alive());
        send(process, &[Signal::STOP]);
        if let Some(group) = group.filter(|group| *group != getpgrp() && *group != Pid::INIT) {
            if self.groups.insert(group) {
                let _ = kill_process_group(group, Signal::STOP);
            }
        }
    }

    /// Lets everything go on that was stopped and is not killed.
    fn release(&self) {
        for group in &self.groups {
            let _ = kill_process_group(*group, Signal::CONT);
        }
        self.processes.iter().for_each(|process| send(*process, &[Signal::CONT]));
    }
}

fn own(sight: &Sight) -> impl Iterator<Item = Process> {
    sight.values().flat_map(|found| &found.own).map(|seen| seen.process)
}

fn only(overdue: &BTreeSet<String>, mut sight: Sight) -> Sight {
    sight.retain(|id, found| overdue.contains(id) && !found.is_over());
    sight
}

/// Whether they have all ended in this time.
fn wait_for(processes: &[Process], patience: Duration) -> bool {
    let end = Instant::now() + patience;
    while processes.iter().any(|process| process.is_alive()) {
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(PAUSE);
    }
    true
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
    use std::process::{Child, Command, Stdio};

    use svcauth_host::sessions::{Process, Processes, pids};

    use super::{Asked, Eyes, Found, Pid, Sight, Signal, kill, kill_process_group};

    /// All processes of a process group: what a session is to the tests.
    struct Group(u32);

    impl Group {
        fn has(&self, pid: u32) -> bool {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let group = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(2)?.parse().ok());
            group == Some(self.0)
        }
    }

    impl Eyes for Group {
        fn look(&self) -> Sight {
            group(self.0)
        }
        fn chase(&self, overdue: &BTreeSet<String>, catch: &mut dyn FnMut(Process)) {
            let mut pids = pids();
            pids.sort_unstable_by_key(|pid| std::cmp::Reverse(*pid));
            let its = pids.into_iter().filter(|pid| overdue.contains("s") && self.has(*pid));
            its.filter_map(Process::by_pid).for_each(catch);
        }
    }

    fn group(leader: u32) -> Sight {
        let is_member = |pid| Group(leader).has(pid);
        let all = Processes::look(|_| true);
        let own = all.iter().filter(|seen| is_member(seen.process.pid)).cloned().collect();
        Sight::from([("s".to_owned(), Found { own, ..Found::default() })])
    }

    /// The leader of a group, which ends with the test whatever becomes of it.
    struct Leader(Child);

    impl Leader {
        /// `$NEXT` is what a process does that starts the next one and ends; 400 times, should the test be killed.
        fn start(script: &str) -> Self {
            let next = "trap '' TERM; sleep 0.02; N=$((N - 1)); [ $N -gt 0 ] && sh -c \"$NEXT\" &";
            let mut command = Command::new("sh");
            command.args(["-c", script]).env("NEXT", next).env("N", "400").process_group(0);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let leader = Self(command.spawn().unwrap());
            assert!(leader.soon(|own| own.len() >= 2), "{script} has no children");
            leader
        }

        /// What lives of the group.
        fn own(&self) -> BTreeSet<u32> {
            std::thread::sleep(super::PAUSE);
            let mut own = BTreeSet::new();
            Group(self.0.id()).chase(&overdue(), &mut |process| {
                own.insert(process.pid);
            });
            own
        }

        fn soon(&self, is_so: impl Fn(&BTreeSet<u32>) -> bool) -> bool {
            (0..5000).any(|_| is_so(&self.own()))
        }

        fn signal(mut self) -> Option<i32> {
            self.0.wait().unwrap().signal()
        }
    }

    impl Drop for Leader {
        fn drop(&mut self) {
            let group = Pid::from_raw(self.0.id().try_into().unwrap()).unwrap();
            let _ = kill_process_group(group, Signal::KILL);
            let _ = self.0.wait();
        }
    }

    fn overdue() -> BTreeSet<String> {
        BTreeSet::from(["s".to_owned()])
    }

    /// Kills a group. Each time has an end; on a busy machine it may come too early, and the monitor kills once more.
    fn kills_all(leader: u32) -> bool {
        (0..20).any(|_| kill(&overdue(), &Group(leader)) == Sight::new())
    }

    #[test]
    fn what_ignores_sigterm_lives_until_it_is_killed() {
        let leader = Leader::start("trap '' TERM; while :; do sleep 0.05; done");
        let process = Process::by_pid(leader.0.id()).unwrap();
        let mut asked = Asked::default();
        group(process.pid).values().for_each(|found| asked.ask(found));
        std::thread::sleep(std::time::Duration::from_millis(200));
        assert!(process.is_alive(), "it does not ignore SIGTERM");
        assert!(kills_all(process.pid));
        assert_eq!(leader.signal(), Some(9));
        asked.keep(&Sight::new());
        assert!(asked.0.is_empty());
    }

    #[test]
    fn what_has_children_as_fast_as_it_can_is_stopped_and_then_killed() {
        // Each of them starts the next one and ends.
        let leader = Leader::start("for i in 1 2 3; do sh -c \"$NEXT\" & done; sleep 60");
        let id = leader.0.id();
        let before: BTreeSet<u32> =
            group(id).values().flat_map(|found| found.own.iter().map(|seen| seen.process.pid)).collect();
        assert!(leader.soon(|own| own.iter().any(|pid| !before.contains(pid))), "nothing new begins");
        assert!(kills_all(id));
        (0..20).for_each(|_| assert_eq!(leader.own(), BTreeSet::new(), "something was left"));
    }

    #[test]
    fn sessions_that_are_not_overdue_are_left_alone() {
        // It goes on when its child is killed a moment before it.
        let mut leader = Leader::start("sleep 60 & wait; sleep 60");
        let id = leader.0.id();
        kill(&BTreeSet::from(["another".to_owned()]), &Group(id));
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(leader.0.try_wait().unwrap().is_none());
        assert!(kills_all(id));
        assert_eq!(leader.signal(), Some(9));
    }
}
