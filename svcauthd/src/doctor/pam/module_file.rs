//! The file of the module: there, an ELF library of this machine, and only root's.

use std::path::{Path, PathBuf};

use super::answers::is_ours;
use super::lint;
use crate::doctor::elf::{self, Verdict};
use crate::doctor::{Finding, Host, trust};
use crate::pam_stack::{Kind, Stack};

/// A module that every distribution has, beside which ours belongs.
const NEIGHBOUR: &str = "pam_permit.so";
const REINSTALL: &str =
    "run: apt-get install --reinstall libpam-svcauth (RHEL: dnf reinstall svcauth-client)";

pub(super) fn examine(host: &Host, stacks: &[Stack]) -> Vec<Finding> {
    let mut paths: Vec<PathBuf> = stacks
        .iter()
        .flat_map(|stack| &stack.lines)
        .filter(|line| is_ours(line))
        .filter_map(|line| match &line.kind {
            Kind::Module(name, _) => Some(resolve(host, name)),
            Kind::Substack(_) | Kind::Broken(_) => None,
        })
        .collect();
    paths.sort();
    paths.dedup();
    paths.iter().filter_map(|path| look(host, path)).collect()
}

/// Where libpam takes a module from: its own folder, unless the name is a path.
fn resolve(host: &Host, name: &str) -> PathBuf {
    if name.starts_with('/') {
        return PathBuf::from(name);
    }
    folder(host).join(name)
}

/// The folder of the modules: multiarch on Debian, lib64 elsewhere.
fn folder(host: &Host) -> PathBuf {
    let multiarch = ["/usr/lib", "/lib"].into_iter().flat_map(|lib| {
        let names = host.names(lib).into_iter().filter(|name| name.contains("-linux-"));
        names.map(move |name| Path::new(lib).join(name).join("security")).collect::<Vec<_>>()
    });
    let plain = ["/usr/lib64/security", "/lib64/security", "/usr/lib/security", "/lib/security"];
    let mut candidates = multiarch.chain(plain.into_iter().map(PathBuf::from));
    candidates
        .find(|folder| host.has(folder.join(NEIGHBOUR)))
        .unwrap_or_else(|| PathBuf::from("/usr/lib/security"))
}

fn look(host: &Host, path: &Path) -> Option<Finding> {
    let lost = "managed accounts are decided by the lines for a lost module, or nobody gets in at all where there are none";
    let own = elf::look(host, Path::new("/proc/self/exe"), path);
    let (lint, what) = match own {
        Verdict::Missing => (lint::PAM_MODULE_MISSING, format!("the module is not there: {lost}")),
        Verdict::Broken(why) => (lint::PAM_MODULE_BROKEN, format!("{why}: {lost}")),
        Verdict::Fine => {
            let why = trust::not_only_roots(host, path)?;
            let what = format!("{why}: whoever can change it runs as root at the next login");
            return Some(lint::PAM_MODULE_WRITABLE.of(path, what, trust::repair(path, 0o644)));
        }
    };
    Some(lint.of(path, what, REINSTALL.to_owned()))
}
