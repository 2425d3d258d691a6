//! The ground that machines stand on: mounts, processes and a network of their own, so that nothing of a run is left
//! when it ends, however it ends. Three stages, as in [`crate::world`]:
//!
//! 1. `outer` leaves the machine's namespaces and waits; it dies with the process that started the run.
//! 2. `init` is process 1 of the new process namespace; the kernel ends everything below when it dies. It mounts `/proc`
//!    and an empty `/run`, starts the body and reaps orphans.
//! 3. `body` boots machines and runs the cases.
//!
//! What is not private: the files of this machine, which nobody here writes to; the clock; the tree of control groups,
//! see [`super::cgroup`].

use std::env;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::setsid;

use crate::failure::{Context, Failure, Outcome};
use crate::program::{Program, as_pid};
use crate::world::{NOT_BUILT, die_with_parent, reap_until};

/// How every stage but the first is told what it is.
const STAGE: &str = "--machine-stage=";
const MYSELF: &str = "/proc/self/exe";

/// A command that runs `words` as the arguments of a body on new ground. The caller's main must call [`enter`] first.
pub(super) fn launch(words: &[String]) -> Command {
    let mut command = Command::new(MYSELF);
    command.arg(format!("{STAGE}outer")).arg(std::process::id().to_string()).args(words).stdin(Stdio::null());
    command
}

/// When this process is a stage: does its part and gives its exit code. Else nothing.
pub(super) fn enter(body: impl FnOnce(&[String]) -> Outcome) -> Option<ExitCode> {
    let args: Vec<String> = env::args().collect();
    let (stage, rest) = args.get(1)?.strip_prefix(STAGE).zip(args.get(2..))?;
    let result = match stage {
        "outer" => outer(rest),
        "init" => init(rest),
        "body" => body(rest).map(|()| ExitCode::SUCCESS),
        other => Err(Failure::new(format!("no stage {other:?}"))),
    };
    Some(result.unwrap_or_else(|why| {
        let line = format!("machine: {stage}: {why}\n");
        let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
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
    let status = next_stage("init").args(rest).spawn().doing("start init")?.wait()?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(NOT_BUILT)))
}

fn init(args: &[String]) -> Outcome<ExitCode> {
    set_pdeathsig(Signal::SIGKILL)?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>).doing("make the mounts private")?;
    file_system("proc", Path::new("/proc"), "")?;
    file_system("tmpfs", Path::new("/run"), "mode=755")?;
    Program::new("ip").args(&["link", "set", "lo", "up"]).run()?.expect_ok()?;
    let body = next_stage("body").args(args).current_dir("/").spawn().doing("start the body")?;
    reap_until(as_pid(body.id()))
}

/// Mounts a file system that needs no device.
pub(super) fn file_system(kind: &str, at: &Path, options: &str) -> Outcome {
    let options = (!options.is_empty()).then_some(options);
    mount(Some(kind), at, Some(kind), MsFlags::empty(), options)
        .doing(format!("mount {kind} on {}", at.display()))
}

fn next_stage(name: &str) -> Command {
    let mut command = Command::new(MYSELF);
    command.arg(format!("{STAGE}{name}")).env_clear();
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", "/root").env("LANG", "C.UTF-8");
    command
}
