//! One look at the processes of this host, as far as they can belong to a session.
//!
//! Everything here is the kernel's word: parents, uids and audit sessions cannot be set by the processes themselves. Their
//! names and environments can, and are not read.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, fstat};
use nix::time::{ClockId, clock_gettime};

use super::process::{Process, bytes_below, parse_audit_session, parse_stat, read_below};

const PROC: &str = "/proc";
/// Processes looked at between two looks at the clock.
const CHUNK: usize = 32;
/// How many times as long as on an idle host a look may take on a busy one.
const BUSY: u32 = 10;
/// Processes looked at on the way up to process 1.
const ANCESTORS_MAX: usize = 64;

/// A process as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which one.
    pub process: Process,
    /// The pid of its parent.
    pub parent: u32,
    /// Its real, effective, saved and file system uid.
    pub uids: [u32; 4],
    /// The kernel's audit session; `None` where there is none.
    pub audit_session: Option<u32>,
    /// The device number of its controlling terminal; `None` without one.
    pub terminal: Option<u32>,
}

impl Seen {
    /// Whether it runs as this uid, or can be again what it was: a program that lent itself other rights is still of the
    /// account.
    #[must_use]
    pub fn has_uid(&self, uid: u32) -> bool {
        self.uids.contains(&uid)
    }
}

/// The processes that were seen, by pid.
#[derive(Clone, Debug, Default)]
pub struct Processes(HashMap<u32, Seen>);

impl Processes {
    /// Looks at all processes whose audit session is wanted. Those that end meanwhile are left out, and so are zombies.
    #[must_use]
    pub fn look(wanted: impl Fn(Option<u32>) -> bool) -> Self {
        Self::look_at(&pids(), wanted)
    }

    /// The same for these processes alone: for whoever shares the work among threads.
    #[must_use]
    pub fn look_at(pids: &[u32], wanted: impl Fn(Option<u32>) -> bool) -> Self {
        let Ok(proc) = File::open(PROC) else { return Self::default() };
        // A kernel without audit sessions has no such file. Most processes are none that is wanted, so this is asked first.
        let is_wanted = |pid: &&u32| {
            let text = read_below(&proc, &format!("{pid}/sessionid"));
            wanted(text.and_then(|text| parse_audit_session(&text)))
        };
        pids.iter().filter(is_wanted).filter_map(|pid| Place::of(&proc, *pid)?.see(*pid, None)).collect()
    }

    /// The process with this pid and those it descends from, and no other: a look that costs the same however many processes
    /// the host has.
    #[must_use]
    pub fn above(pid: u32) -> Self {
        let Ok(proc) = File::open(PROC) else { return Self::default() };
        let mut found = Self::default();
        let mut next = pid;
        while next != 0 && found.0.len() < ANCESTORS_MAX && !found.0.contains_key(&next) {
            let Some(seen) = Place::of(&proc, next).and_then(|place| place.see(next, None)) else { break };
            next = seen.parent;
            found.0.insert(seen.process.pid, seen);
        }
        found
    }

    /// Looks at these processes, and calls `visit` while each of them is at hand.
    pub fn visit<T>(pids: &[u32], mut visit: impl FnMut(Seen, &Place) -> T) -> Vec<T> {
        let Ok(proc) = File::open(PROC) else { return Vec::new() };
        let places = pids.iter().filter_map(|pid| Some((*pid, Place::of(&proc, *pid)?)));
        places.filter_map(|(pid, place)| Some(visit(place.see(pid, None)?, &place))).collect()
    }

    /// The same for those that run as a wanted uid, and for root's, which the others descend from: whose a process is tells
    /// its folder, much cheaper than the files in it. The kernel gives root the folder of one that has become another uid
    /// and not run a program since; of any other the uid of the folder is the effective one, and the only one told.
    pub fn visit_of<T>(
        pids: &[u32],
        wanted: impl Fn(u32) -> bool,
        mut visit: impl FnMut(Seen, &Place) -> T,
    ) -> Vec<T> {
        let Ok(proc) = File::open(PROC) else { return Vec::new() };
        let mut see = |pid: u32| {
            let place = Place::of(&proc, pid)?;
            let owner = place.owner().filter(|owner| *owner != 0);
            let is_other = owner.is_some_and(|owner| !wanted(owner));
            let seen = if is_other { None } else { place.see(pid, owner) };
            Some(visit(seen?, &place))
        };
        pids.iter().filter_map(|pid| see(*pid)).collect()
    }

    /// The same as [`Self::look`], unless that takes more than `time` of this thread on a processor, or ten times as long
    /// altogether: half of the processes is not all.
    #[must_use]
    pub fn look_within(wanted: impl Fn(Option<u32>) -> bool, time: Duration) -> Option<Self> {
        let (start, spent) = (Instant::now(), processor_time()?);
        let mut found = Self::default();
        for some in pids().chunks(CHUNK) {
            if start.elapsed() >= time * BUSY || processor_time()?.saturating_sub(spent) >= time {
                return None;
            }
            found.0.extend(Self::look_at(some, &wanted).0);
        }
        Some(found)
    }

    /// The process with this pid.
    #[must_use]
    pub fn get(&self, pid: u32) -> Option<&Seen> {
        self.0.get(&pid)
    }

    /// Every process, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Seen> {
        self.0.values()
    }

    /// The process and those it descends from, nearest first, as far as they were seen.
    pub fn ancestry<'a>(&'a self, seen: &'a Seen) -> impl Iterator<Item = &'a Seen> {
        // A parent that began later than its child is another process with a pid used again.
        let parent = |child: &&'a Seen| {
            self.get(child.parent).filter(|parent| parent.process.start <= child.process.start)
        };
        std::iter::successors(Some(seen), parent).take(ANCESTORS_MAX)
    }
}

/// What this thread has used of a processor.
fn processor_time() -> Option<Duration> {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).ok().map(Duration::from)
}

impl FromIterator<Seen> for Processes {
    fn from_iter<I: IntoIterator<Item = Seen>>(all: I) -> Self {
        Self(all.into_iter().map(|seen| (seen.process.pid, seen)).collect())
    }
}

/// The pids of the processes of this host, in the order in which /proc lists them.
#[must_use]
pub fn pids() -> Vec<u32> {
    let entries = fs::read_dir(PROC).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The folder of a process in /proc. It stays the folder of this very process: when the kernel gives the pid to another,
/// nothing can be read in it.
#[derive(Debug)]
pub struct Place(OwnedFd);

impl Place {
    fn of(proc: &File, pid: u32) -> Option<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        openat(proc, pid.to_string().as_str(), flags, Mode::empty()).ok().map(Self)
    }

    /// The owner of the folder (proc(5)): the effective uid, or root.
    fn owner(&self) -> Option<u32> {
        fstat(&self.0).ok().map(|meta| meta.st_uid)
    }

    /// Looks at the process. What all its uids are is asked unless that is known.
    fn see(&self, pid: u32, owner: Option<u32>) -> Option<Seen> {
        let stat = parse_stat(&read_below(&self.0, "stat")?).filter(|stat| !stat.is_dead)?;
        let audit_session = read_below(&self.0, "sessionid").and_then(|text| parse_audit_session(&text));
        let uids = match owner {
            Some(owner) => [owner; 4],
            None => uids(&read_below(&self.0, "status")?)?,
        };
        let process = Process { pid, start: stat.start };
        Some(Seen { process, parent: stat.parent, uids, audit_session, terminal: stat.terminal })
    }

    /// The words that the process was started with, each ended by a zero byte, at most `max` bytes of them. The process may
    /// have put others there: they prove nothing. `None` when it has ended; empty for a part of the kernel, or after a lie.
    #[must_use]
    pub fn command_line(&self, max: usize) -> Option<Vec<u8>> {
        bytes_below(&self.0, "cmdline", max)
    }

    /// The name that the process has, or has given itself, without a line end.
    #[must_use]
    pub fn name(&self) -> Option<Vec<u8>> {
        let name = bytes_below(&self.0, "comm", 64)?;
        Some(name.strip_suffix(b"\n").unwrap_or(&name).to_vec())
    }
}

/// The line `Uid:` of /proc/PID/status (proc(5)): real, effective, saved, file system. The name, which comes first, cannot
/// hold a line end: the kernel escapes it there.
fn uids(status: &str) -> Option<[u32; 4]> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    let mut fields = line.split_ascii_whitespace().map(str::parse);
    let mut next = || fields.next()?.ok();
    Some([next()?, next()?, next()?, next()?])
}

#[cfg(test)]
mod tests {
    use super::{Process, Processes, Seen, uids};
    use crate::sessions::current_audit_session;

    #[test]
    fn this_very_process_is_seen_with_its_parent_its_uids_and_its_audit_session() {
        let own = Process::current().unwrap();
        let audit_session = current_audit_session();
        let processes = Processes::look(|session| session == audit_session);
        let seen = processes.get(own.pid).unwrap();
        assert_eq!((seen.process, seen.audit_session), (own, audit_session));
        assert_eq!(seen.parent, std::os::unix::process::parent_id());
        assert!(seen.has_uid(nix::unistd::geteuid().as_raw()));
        assert_eq!(processes.ancestry(seen).nth(1).map(|parent| parent.process.pid), Some(seen.parent));
        assert!(Processes::look(|_| false).iter().next().is_none());
    }

    #[test]
    fn a_process_is_seen_with_those_it_descends_from_and_with_no_other() {
        let (own, parent) = (std::process::id(), std::os::unix::process::parent_id());
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let seen = Processes::above(own);
        let ancestry: Vec<u32> =
            seen.ancestry(seen.get(own).unwrap()).map(|one| one.process.pid).take(2).collect();
        assert_eq!(ancestry, [own, parent]);
        assert!(seen.get(child.id()).is_none(), "a child is none it descends from");
        let below = Processes::above(child.id());
        assert_eq!(below.get(child.id()).map(|one| one.parent), Some(own));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(Processes::above(child.id()).iter().next().is_none(), "it is gone");
    }

    #[test]
    fn a_dead_child_is_not_seen() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        let is_zombie = || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
            super::parse_stat(&stat).unwrap().is_dead
        };
        while !is_zombie() {
            std::thread::yield_now();
        }
        assert!(Processes::look(|_| true).get(pid).is_none());
        child.wait().unwrap();
    }

    #[test]
    fn a_parent_that_began_later_than_its_child_is_none() {
        let seen = |pid, parent, start| Seen {
            process: Process { pid, start },
            parent,
            uids: [0; 4],
            audit_session: None,
            terminal: None,
        };
        let all: Processes = [seen(3, 2, 30), seen(2, 9, 20), seen(9, 1, 40)].into_iter().collect();
        let pids = |pid| all.ancestry(all.get(pid).unwrap()).map(|seen| seen.process.pid).collect::<Vec<_>>();
        assert_eq!(pids(3), [3, 2]);
        let circle: Processes = [seen(2, 3, 1), seen(3, 2, 1)].into_iter().collect();
        assert_eq!(circle.ancestry(circle.get(2).unwrap()).count(), super::ANCESTORS_MAX);
    }

    #[test]
    fn the_four_uids_are_read_in_the_order_of_the_kernel() {
        assert_eq!(uids("Name:\tUid:\\nx\nUid:\t7001\t0\t3\t4\nGid:\t1\t1\t1\t1\n"), Some([7001, 0, 3, 4]));
        for bad in ["", "Uid:\t1\t2\t3\n", "Uid:\t1\t2\t3\tx\n"] {
            assert_eq!(uids(bad), None, "{bad:?}");
        }
    }
}
