//! A private world: own mounts, processes, host name, network and IPC. A test body runs inside one as root and may
//! change whatever it likes; nothing of the machine is touched and nothing is left when it ends.
//!
//! Three stages, each a new process of the same executable:
//!
//! 1. `outer` leaves the machine's namespaces and waits. It dies when the process that launched it dies.
//! 2. `init` is process 1 of the new process namespace: it builds the mounts, starts the body and reaps orphans. It
//!    dies with `outer`, and the kernel then ends every process of the world.
//! 3. `body` runs what the caller wants.
//!
//! What is not private: the clock, the kernel's settings and its audit session counter.

mod inside;
mod local;
mod mounts;

use std::env;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getppid, setsid};

use crate::artifacts::Artifacts;
use crate::failure::{Context, Failure, Outcome, require};
use crate::program::as_pid;

pub use inside::World;

/// How every stage but the first is told what it is.
const STAGE: &str = "--world-stage=";
/// This very file wherever it lies, even where the new mounts hide it.
const MYSELF: &str = "/proc/self/exe";
/// The exit status of a world that could not be built.
pub const NOT_BUILT: u8 = 125;
/// Where the built artifacts are seen from inside.
const ARTIFACTS: &str = "/run/world/artifacts";

/// A command that runs `words` as the arguments of a body in a new world. The caller's main must call [`enter`] first.
pub fn launch(artifacts: Option<&Artifacts>, words: &[&str]) -> Outcome<Command> {
    let own = std::process::id().to_string();
    // A signal that somebody above ignores (nohup) would be ignored by every program inside.
    let mut command = Command::new("env");
    command.arg("--default-signal").arg(format!("/proc/{own}/exe"));
    command.arg(format!("{STAGE}outer")).arg(&own);
    command.arg(artifacts.map_or_else(PathBuf::new, |built| built.folder().to_owned())).args(words);
    command.stdin(Stdio::null());
    Ok(command)
}

/// When this process is a stage of a world: does its part and gives its exit code. Else nothing.
/// `body` gets the arguments of [`launch`].
pub fn enter(body: impl FnOnce(World, &[String]) -> ExitCode) -> Option<ExitCode> {
    let args: Vec<String> = env::args().collect();
    let (stage, rest) = args.get(1)?.strip_prefix(STAGE).zip(args.get(2..))?;
    let result = match stage {
        "outer" => outer(rest),
        "init" => init(rest),
        "body" => World::open(Artifacts::in_folder(ARTIFACTS)).map(|world| body(world, rest)),
        other => Err(Failure::new(format!("no stage {other:?}"))),
    };
    Some(result.unwrap_or_else(|why| {
        // The only place of the library that prints: a stage has nobody else to tell.
        let _ =
            std::io::Write::write_all(&mut std::io::stderr(), format!("world: {stage}: {why}\n").as_bytes());
        ExitCode::from(NOT_BUILT)
    }))
}

fn outer(args: &[String]) -> Outcome<ExitCode> {
    let (parent, rest) = args.split_first().ok_or_else(|| Failure::new("no parent named"))?;
    die_with_parent(parent)?;
    setsid().doing("start a session")?;
    let private = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWNET;
    unshare(private).doing("leave the machine's namespaces (root with CAP_SYS_ADMIN is needed)")?;
    let mut child = next_stage("init").args(rest).spawn().doing("start init")?;
    let status = child.wait()?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(NOT_BUILT)))
}

fn init(args: &[String]) -> Outcome<ExitCode> {
    set_pdeathsig(Signal::SIGKILL)?;
    let (target, rest) = args.split_first().ok_or_else(|| Failure::new("no target folder named"))?;
    let artifacts = (!target.is_empty()).then(|| Artifacts::in_folder(target));
    mounts::build(artifacts.as_ref())?;
    let body = next_stage("body").args(rest).current_dir("/").spawn().doing("start the body")?;
    reap_until(as_pid(body.id()))
}

/// Waits for every child, as process 1 has to, until `body` has ended.
pub(crate) fn reap_until(body: Pid) -> Outcome<ExitCode> {
    loop {
        match waitpid(None, None::<WaitPidFlag>)? {
            WaitStatus::Exited(pid, code) if pid == body => {
                return Ok(ExitCode::from(u8::try_from(code).unwrap_or(NOT_BUILT)));
            }
            WaitStatus::Signaled(pid, signal, _) if pid == body => {
                return Err(Failure::new(format!("the body was ended by {signal}")));
            }
            _ => {}
        }
    }
}

fn next_stage(name: &str) -> Command {
    let mut command = Command::new(MYSELF);
    command.arg(format!("{STAGE}{name}")).env_clear();
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", "/root").env("LANG", "C.UTF-8");
    command
}

/// Ends this process when the one that launched it ends.
pub(crate) fn die_with_parent(parent: &str) -> Outcome {
    set_pdeathsig(Signal::SIGKILL)?;
    let now = getppid().to_string();
    require(parent == now, || format!("the process {parent} that launched this has ended"))
}
