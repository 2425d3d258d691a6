//! Confining a program to the files of its rule, by the kernel (landlock(7)).
//!
//! Paths are not compared here: the kernel looks at the files that are opened in the end, whatever names, symbolic links or
//! working directories led to them. What it does not look at: who may connect to a socket in the file system, and the modes,
//! owners and times of files, which may be changed wherever the account may (decision 32).

use std::os::fd::AsFd;

use landlock::{
    ABI, Access as _, AccessFs, BitFlags, CompatLevel, Compatible as _, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
    make_bitflags,
};
use nix::errno::Errno;
use nix::sys::stat::{SFlag, fstat};
use svcauth_core::command::{Access, Files, Program};

use crate::failure::Failure;
use crate::{modes_sys, real_path};

/// All of this is denied, or the command does not run.
const REQUIRED: ABI = ABI::V1;
/// And all of this as far as the kernel can: renaming between folders, truncating, commands to devices, signals and
/// abstract sockets of other processes.
const WANTED: ABI = ABI::V6;

/// Programs, what they load, and what they read to begin with.
const PROGRAMS: &[&str] = &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];
/// What every program begins with, and the names of users for listings. A transfer reads nothing else of the host's settings:
/// what anybody may read there is still no business of who may fetch one folder.
const BEGINNINGS: &[&str] = &[
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/group",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/openssl.cnf",
    "/etc/crypto-policies",
    "/var/lib/svcauth",
    "/var/lib/sss/mc",
];
/// Settings of the host, for the programs that hooks of a repository run.
const SETTINGS: &[&str] = &["/etc", "/var/lib/svcauth", "/var/lib/sss/mc"];
/// Devices that hold nothing.
const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

type Rights = BitFlags<AccessFs>;

/// What a program is allowed, ready to be put on.
#[derive(Debug)]
pub(crate) struct Confinement {
    rules: RulesetCreated,
    /// Whether it gives files the modes that a client asks for.
    sets_modes: bool,
}

/// Whether this kernel can confine.
pub(crate) fn is_possible() -> bool {
    ruleset().is_ok()
}

/// Prepares what a program with these files may do.
///
/// # Errors
/// The kernel cannot confine, or a path of the rule is not there or not to be trusted. For the person.
pub(crate) fn prepare(program: &Program, files: &Files) -> Result<Confinement, Failure> {
    let cannot = |_| {
        Failure::refused(
            "this command may only run confined to some files, which this kernel cannot do (landlock)",
        )
    };
    let mut rules = ruleset().map_err(cannot)?;
    let settings = if is_git(program) { SETTINGS } else { BEGINNINGS };
    for (paths, rights) in [
        (PROGRAMS, make_bitflags!(AccessFs::{Execute | ReadFile | ReadDir})),
        (settings, make_bitflags!(AccessFs::{ReadFile | ReadDir})),
        (DEVICES, make_bitflags!(AccessFs::{ReadFile | WriteFile | Truncate})),
        (&[program.path.as_str()], make_bitflags!(AccessFs::{Execute | ReadFile})),
    ] {
        for path in paths {
            // Not every host has all of them.
            if let Ok(opened) = PathFd::new(path) {
                let rights = rights & fitting(&opened);
                rules = rules.add_rule(PathBeneath::new(opened, rights)).map_err(cannot)?;
            }
        }
    }
    for path in &files.paths {
        let opened = real_path::open(path).map_err(|why| {
            Failure::refused(format!("{path}, which the rule of this command names, {why}"))
        })?;
        let rights = rights(program, files.access) & fitting(&opened);
        rules = rules.add_rule(PathBeneath::new(opened, rights)).map_err(cannot)?;
    }
    // git knows two modes, and its hooks are the host's own.
    Ok(Confinement { rules, sets_modes: files.access == Access::Write && !is_git(program) })
}

fn ruleset() -> Result<RulesetCreated, RulesetError> {
    let required = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(REQUIRED))?;
    let wanted =
        required.set_compatibility(CompatLevel::BestEffort).handle_access(AccessFs::from_all(WANTED))?;
    wanted.scope(Scope::from_all(WANTED))?.create()
}

/// On the paths of the rule.
fn rights(program: &Program, access: Access) -> Rights {
    let read = make_bitflags!(AccessFs::{ReadFile | ReadDir});
    match access {
        Access::Read => read,
        Access::Write => {
            let devices = make_bitflags!(AccessFs::{MakeChar | MakeBlock | IoctlDev});
            let write = AccessFs::from_write(WANTED) & !devices;
            // What is pushed to is a repository with hooks. Nothing that a transfer has put there runs.
            let hooks = if is_git(program) { AccessFs::Execute.into() } else { BitFlags::EMPTY };
            read | write | hooks
        }
    }
}

pub(crate) fn is_git(program: &Program) -> bool {
    program.path.rsplit('/').next().is_some_and(|name| name == "git" || name.starts_with("git-"))
}

/// A path may name one file.
fn fitting(opened: &impl AsFd) -> Rights {
    let is_folder = fstat(opened)
        .is_ok_and(|stat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR);
    if is_folder { AccessFs::from_all(WANTED) } else { AccessFs::from_file(WANTED) }
}

impl Confinement {
    /// Confines this process and all that come from it, for ever. They gain no rights by execve(2) any more.
    ///
    /// # Errors
    /// It is not confined as it must be.
    pub(crate) fn put_on(self) -> nix::Result<()> {
        let status = self.rules.restrict_self().map_err(|_| Errno::EOPNOTSUPP)?;
        let confined = status.ruleset != RulesetStatus::NotEnforced && status.no_new_privs;
        match (confined, self.sets_modes) {
            (true, true) => modes_sys::forbid_set_uid(),
            (true, false) => Ok(()),
            (false, _) => Err(Errno::EOPNOTSUPP),
        }
    }
}
