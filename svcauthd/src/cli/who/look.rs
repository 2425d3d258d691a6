//! One look at the processes and the sessions of this host, with as many threads as pay.

use std::collections::{HashMap, HashSet};

use svcauth_host::sessions::{Folder, Place, Processes, Registry, RegistryError, Seen, Session, pids};

use super::command::command;
use super::managed::Managed;
use super::row::Subject;

/// Threads that look.
const THREADS: usize = 4;
/// Below so many things to look at, a thread costs more than it saves.
const ALONE: usize = 256;

/// The processes of managed accounts with their commands, and those that they descend from.
pub(super) fn look_at_all(managed: &Managed) -> (Vec<Subject>, Processes) {
    let visit = |seen: Seen, place: &Place| {
        let is_managed = seen.uids.iter().any(|uid| managed.is_managed(*uid));
        let command = if is_managed { command(place) } else { None };
        Subject { seen, command }
    };
    let some = |pids: &[u32]| Processes::visit_of(pids, |uid| managed.is_managed(uid), visit);
    let subjects: Vec<Subject> = in_threads(&pids(), ALONE, some).into_iter().flatten().collect();
    let mut seen: HashMap<u32, Seen> =
        subjects.iter().map(|subject| (subject.seen.process.pid, subject.seen.clone())).collect();
    add_parents(&mut seen);
    (subjects, seen.into_values().collect())
}

/// Adds what the processes descend from and is neither of a managed account nor root's: the shell of somebody who used sudo.
fn add_parents(seen: &mut HashMap<u32, Seen>) {
    loop {
        let mut missing: Vec<u32> = seen.values().map(|one| one.parent).collect();
        missing.retain(|pid| *pid != 0 && !seen.contains_key(pid));
        missing.sort_unstable();
        missing.dedup();
        let found = Processes::visit(&missing, |one, _| one);
        if found.is_empty() {
            return;
        }
        seen.extend(found.into_iter().map(|one| (one.process.pid, one)));
    }
}

/// A process, and those that it descends from.
pub(super) fn look_at_one(pid: u32) -> Option<(Subject, Processes)> {
    /// As many as attribution looks at.
    const ANCESTORS_MAX: usize = 64;
    let mut subjects = Vec::new();
    let mut next = pid;
    while next != 0 && subjects.len() < ANCESTORS_MAX {
        let visit = |seen: Seen, place: &Place| Subject { seen, command: command(place) };
        let Some(subject) = Processes::visit(&[next], visit).pop() else { break };
        next = subject.seen.parent;
        subjects.push(subject);
    }
    let processes = subjects.iter().map(|subject| subject.seen.clone()).collect();
    subjects.into_iter().next().map(|subject| (subject, processes))
}

/// The sessions of this boot that these processes can be part of.
pub(super) fn read_sessions(
    registry: &Registry,
    subjects: &[Subject],
    boot_id: &str,
) -> Result<Vec<Session>, RegistryError> {
    let wanted: HashSet<Option<u32>> = subjects.iter().map(|subject| subject.seen.audit_session).collect();
    let read = |folders: &[Folder]| {
        let read = folders.iter().map(|folder| folder.sessions_in(&wanted, boot_id));
        read.collect::<Result<Vec<_>, _>>()
    };
    let folders = registry.folders()?;
    // A host with few sessions has few folders.
    let parts: Result<Vec<_>, _> = in_threads(&folders, THREADS * 8, read).into_iter().collect();
    Ok(parts?.into_iter().flatten().flatten().collect())
}

/// The results for parts of the work, in order.
fn in_threads<T: Sync, R: Send>(work: &[T], alone: usize, run: impl Fn(&[T]) -> R + Sync) -> Vec<R> {
    if work.len() <= alone {
        return vec![run(work)];
    }
    let run = &run;
    std::thread::scope(|scope| {
        let parts = work.chunks(work.len().div_ceil(THREADS));
        let threads: Vec<_> = parts.map(|part| scope.spawn(move || run(part))).collect();
        // A thread of ours does not panic; if one does, so does the command.
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|why| std::panic::resume_unwind(why)))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::in_threads;

    #[test]
    fn the_work_is_done_once_and_in_order_however_many_do_it() {
        for len in [0, 1, 3, 4, 5, 1000] {
            let work: Vec<usize> = (0..len).collect();
            for alone in [0, 10_000] {
                let done: Vec<usize> =
                    in_threads(&work, alone, <[usize]>::to_vec).into_iter().flatten().collect();
                assert_eq!(done, work);
            }
        }
    }
}
