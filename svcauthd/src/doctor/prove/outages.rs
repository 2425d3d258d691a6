//! What breaks, one thing after the other: who gets in then.

use std::path::{Path, PathBuf};

use super::etc::{change, copy_over};
use super::fault::{Doing as _, Done, Fault};
use super::logins::{Moment, of_account, of_others};
use super::scene::{Scene, side_by_side, tell};
use super::state::State;
use super::{Said, Step};

/// The module, in one of the folders of libpam.
const MODULE: &str = "pam_svcauth.so";

/// All of it. The daemon is stopped afterwards.
pub(super) fn run(scene: &Scene, state: &mut State) {
    let mut during = |word, when, reason, spoil: &mut dyn FnMut(&mut State) -> Done| {
        let moment = Moment { word, when };
        match spoil(state) {
            Ok(()) => {
                let mut parts = of_others(scene, moment);
                parts.extend(of_account(scene, moment, reason));
                side_by_side(parts);
            }
            Err(fault) => tell(&Said::Step(Step::failed(format!("outage_{word}"), when, fault.to_string()))),
        }
    };
    let (access, accounts) = (svcauth_host::paths::ACCESS_SNAPSHOT, svcauth_host::paths::ACCOUNTS_SNAPSHOT);
    during("no_access", "daemon stopped, access.snap gone", Some("snapshot_missing"), &mut |state| {
        state.stop_daemon();
        state.remove(access)
    });
    during(
        "no_config",
        "daemon stopped, access.snap gone, svcauth.toml garbage",
        Some("config_invalid"),
        &mut |state| state.break_config(),
    );
    during("no_snapshots", "daemon stopped, both snapshots gone", None, &mut |state| {
        state.restore()?;
        state.remove(access).and_then(|()| state.remove(accounts))
    });
    during("garbage_module", "pam_svcauth.so is garbage", None, &mut |state| {
        state.restore()?;
        each_module(&|module| change(module, |_| b"this is no shared object\n".to_vec()))
    });
    during("no_module", "pam_svcauth.so is gone", None, &mut |_| {
        each_module(&|module| {
            let folder = module.parent().unwrap_or(Path::new("/"));
            copy_over(folder)?;
            std::fs::remove_file(module).doing(format!("remove {}", module.display()))
        })
    });
}

fn each_module(spoil: &dyn Fn(&Path) -> Done) -> Done {
    let modules = modules();
    if modules.is_empty() {
        return Err(Fault::new(format!("there is no {MODULE} in the folders of libpam")));
    }
    modules.iter().try_for_each(|module| spoil(module))
}

/// Where libpam of some architecture may find the module.
pub(super) fn modules() -> Vec<PathBuf> {
    let below = |folder: &str| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path().join("security")).collect::<Vec<_>>()
    };
    let fixed =
        ["/lib/security", "/lib64/security", "/usr/lib/security", "/usr/lib64/security"].map(PathBuf::from);
    let folders = below("/usr/lib").into_iter().chain(below("/lib")).chain(fixed);
    let files = folders.map(|folder| folder.join(MODULE)).filter_map(|file| std::fs::canonicalize(file).ok());
    let mut found: Vec<PathBuf> = files.collect();
    found.sort();
    found.dedup();
    found
}
