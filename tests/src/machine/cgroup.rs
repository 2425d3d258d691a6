//! Control groups: each machine gets one of its own in every tree that systemd keeps, because two systemds in one group
//! would end each other's services. The groups outlive the namespaces of a run, so they are the one thing to tidy up.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{Context, Outcome, require};

/// Where the trees are mounted: the one of systemd's names, the unified one beside it, or the unified one alone.
const MOUNTS: &[(&str, &str)] =
    &[("name=systemd", "/sys/fs/cgroup/systemd"), ("", "/sys/fs/cgroup/unified"), ("", "/sys/fs/cgroup")];
/// How the groups of every run begin; the process id of the run and the name of the machine follow.
const PREFIX: &str = "svcauth-machine-";

/// The groups of one machine; removed when dropped, and what still runs in them is no longer there by then.
#[derive(Debug)]
pub(super) struct Groups(Vec<PathBuf>);

impl Groups {
    /// Makes them below the groups that this process is in.
    pub(super) fn make(run: &str, machine: &str) -> Outcome<Self> {
        let groups: Vec<PathBuf> =
            parents()?.iter().map(|parent| parent.join(format!("{PREFIX}{run}-{machine}"))).collect();
        require(!groups.is_empty(), || {
            "no control groups below /sys/fs/cgroup that systemd could use".to_owned()
        })?;
        for group in &groups {
            fs::create_dir(group).doing(format!("make the control group {}", group.display()))?;
        }
        Ok(Self(groups))
    }

    /// The files that a process writes its id to.
    pub(super) fn entries(&self) -> impl Iterator<Item = PathBuf> + '_ {
        self.0.iter().map(|group| group.join("cgroup.procs"))
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        self.0.iter().for_each(|group| remove(group));
    }
}

/// Removes what runs left that did not come to their end.
pub(super) fn remove_left_over() -> Outcome {
    for parent in parents()? {
        for entry in fs::read_dir(parent)?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let run = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
            if run.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
                remove(&entry.path());
            }
        }
    }
    Ok(())
}

/// The folders of the groups that this process is in, one a tree.
fn parents() -> Outcome<Vec<PathBuf>> {
    let mine = fs::read_to_string("/proc/self/cgroup").doing("read /proc/self/cgroup")?;
    Ok(MOUNTS.iter().filter_map(|(tree, at)| folder(&mine, tree, Path::new(at))).collect())
}

/// Of `7:name=systemd:/a/b` and the place of that tree: the folder a/b in it. A hybrid host has its unified tree in a
/// folder, and `/sys/fs/cgroup` itself is none then.
fn folder(mine: &str, tree: &str, at: &Path) -> Option<PathBuf> {
    let path = mine.lines().find_map(|line| match line.splitn(3, ':').collect::<Vec<_>>().as_slice() {
        [_, name, path] if *name == tree => Some(path.trim_start_matches('/').to_owned()),
        _ => None,
    })?;
    let folder = at.join(path);
    folder.join("cgroup.procs").exists().then_some(folder)
}

/// From the leaves up: a group with groups in it cannot be removed. What fails has processes, and is tried again by the
/// next run.
fn remove(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    let _ = fs::remove_dir(group);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_in_its_tree_and_only_where_that_is_mounted() {
        let at = std::env::temp_dir().join(format!("svcauth-cgroup-{}", std::process::id()));
        fs::create_dir_all(at.join("a")).unwrap();
        fs::write(at.join("a/cgroup.procs"), "").unwrap();
        let mine = "9:name=systemd:/a\n1:cpu:/b\n0::/c\n";
        assert_eq!(folder(mine, "name=systemd", &at), Some(at.join("a")));
        assert_eq!(folder(mine, "", &at), None);
        fs::remove_dir_all(at).unwrap();
    }
}
