//! `svcauth doctor --prove`: shows on this very host that the refused are refused and that nobody else is shut out.
//!
//! The host's own sshd, su, sudo, login, cron and at, with its own configuration and the installed modules, are started in
//! private namespaces (mounts, network, processes, host name, IPC) with identities made for the occasion, and people of
//! both kinds try to get in. Nothing of the host is changed: what exists is read-only or covered in there, and all of it
//! ends with the namespaces, also when this is killed.
//!
//! Belongs here: what is tried, and how it is seen whether it worked. Never here: judging a configuration by reading it
//! (`doctor`). A denial counts only when the same step has worked for somebody who may, and has left its record.
//!
//! | process | what it does |
//! |---|---|
//! | the command | leaves the host's namespaces, starts the next one, and shows what it says |
//! | inside | process 1 of the new namespaces: covers, starts, tries, says; ends with the command |

#[expect(unsafe_code, reason = "a filter for system calls")]
mod audit_ffi;
mod cast;
mod denied;
mod etc;
mod fault;
mod forwards;
mod inside;
mod jobs;
mod limits;
mod local_ways;
mod log;
mod logins;
mod loopback;
mod outages;
mod private;
mod program;
mod scene;
mod ssh_ways;
mod sshd;
mod state;

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, ExitCode, Stdio};

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::Uid;
use serde::{Deserialize, Serialize};

/// What is said while it goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Said {
    /// It is process 1 of the namespaces and waits for the word to go on.
    Ready,
    /// What is different in there from the host.
    Difference(String),
    /// Something was tried.
    Step(Step),
    /// All that there is to try was tried.
    End,
}

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// A stable name for scripts, as in `sshd_command_refused`.
    pub step: String,
    /// How it ended.
    pub result: Verdict,
    /// What was to be shown, as a sentence.
    pub what: String,
    /// Why it failed or was left out; of a denial, the record that it left.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is as it must be.
    Ok,
    /// It is not, or could not be shown.
    Failed,
    /// This host does not have it, or forbids it to everybody: nothing is shown by trying.
    Skipped,
}

/// How many steps ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// As they must.
    pub ok: usize,
    /// Not so.
    pub failed: usize,
    /// Not tried.
    pub skipped: usize,
    /// Whether everything was tried that there is to try.
    pub complete: bool,
}

impl Tally {
    /// Whether everything that could be tried is proven, and something was.
    #[must_use]
    pub const fn is_proven(self) -> bool {
        self.complete && self.failed == 0 && self.ok > 0
    }

    fn count(&mut self, said: &Said) {
        match said {
            Said::Step(step) => match step.result {
                Verdict::Ok => self.ok += 1,
                Verdict::Failed => self.failed += 1,
                Verdict::Skipped => self.skipped += 1,
            },
            Said::End => self.complete = true,
            Said::Ready | Said::Difference(_) => {}
        }
    }
}

/// The hidden word that makes this program the process inside.
pub const INSIDE: &str = "prove-inside";

/// This very file, also where the new mounts hide it.
const MYSELF: &str = "/proc/self/exe";

/// Tries everything, and tells what is said as it goes on. `tell` may fail when nobody reads any more: that ends it.
///
/// # Errors
/// Nothing could be tried at all: why, and what to do, in a sentence. Or what `tell` said.
pub fn run<E: From<String>>(mut tell: impl FnMut(&Said) -> Result<(), E>) -> Result<Tally, E> {
    if !Uid::effective().is_root() {
        return Err("the proof starts the host's servers and needs root; run: sudo svcauth doctor --prove"
            .to_owned()
            .into());
    }
    leave_the_host()?;
    let mut inside = start_inside()?;
    let told = listen(&mut inside, &mut tell);
    // The whole namespace ends with its process 1.
    let _ = inside.kill();
    let _ = inside.wait();
    told
}

/// The part of the process that [`run`] starts: tries, and says so on standard output.
#[must_use]
pub fn run_inside() -> ExitCode {
    inside::run()
}

fn leave_the_host() -> Result<(), String> {
    let private = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC;
    unshare(private).map_err(|why| {
        let hint = match why {
            Errno::EPERM | Errno::ENOSYS | Errno::EINVAL => {
                "; a container without CAP_SYS_ADMIN does not give them: run it on the host itself, or in a container that may"
            }
            _ => "",
        };
        format!("nothing is proven: private namespaces are not to be had here ({}){hint}", why.desc())
    })
}

fn start_inside() -> Result<Child, String> {
    let mut command = Command::new(MYSELF);
    command.arg(INSIDE).env_clear().current_dir("/");
    command.env("PATH", program::PATH).env("HOME", "/root").env("LANG", "C.UTF-8");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().map_err(|why| format!("nothing is proven: cannot start in the private namespaces: {why}"))
}

fn listen<E: From<String>>(
    inside: &mut Child,
    tell: &mut impl FnMut(&Said) -> Result<(), E>,
) -> Result<Tally, E> {
    let mut tally = Tally::default();
    let Some(said) = inside.stdout.take() else {
        return Err("the process inside has no output".to_owned().into());
    };
    for line in BufReader::new(said).lines() {
        let heard = line.ok().and_then(|line| serde_json::from_str::<Said>(&line).ok());
        let Some(said) = heard else {
            break;
        };
        if said == Said::Ready {
            // It went on to live after this process was there to end it.
            let _ = inside.stdin.as_mut().map(|words| words.write_all(b"go"));
            continue;
        }
        tally.count(&said);
        tell(&said)?;
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::{Said, Step, Tally, Verdict};

    fn tally(results: &[Verdict], complete: bool) -> Tally {
        let mut tally = Tally::default();
        for result in results {
            let (step, what, detail) = ("s".into(), "w".into(), String::new());
            tally.count(&Said::Step(Step { step, result: *result, what, detail }));
        }
        if complete {
            tally.count(&Said::End);
        }
        tally
    }

    #[test]
    fn only_a_complete_run_without_failures_that_has_shown_something_is_a_proof() {
        assert!(tally(&[Verdict::Ok, Verdict::Skipped], true).is_proven());
        assert!(!tally(&[Verdict::Ok], false).is_proven(), "it was cut short");
        assert!(!tally(&[Verdict::Skipped], true).is_proven(), "nothing was tried");
        assert!(!tally(&[], true).is_proven(), "nothing was tried");
        assert!(!tally(&[Verdict::Ok, Verdict::Failed], true).is_proven());
    }
}
