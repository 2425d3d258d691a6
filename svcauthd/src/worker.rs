//! The worker: the only code that meets the network. No capabilities, no privileges to gain, bounded memory; it dies with
//! its monitor, and a new one is started when it dies.
//!
//! It speaks frames on its standard input, which is one end of a socketpair (see [`crate::job`]). It keeps no entries: what
//! it has read, it has sent.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid, getgroups};
use svcauth_core::config::Config;

use crate::directory::look::{Ask, Told, answer};
use crate::directory::{Answer, Request, Source, Traffic, Wake, readable};
use crate::failure::{Failure, FailureKind};
use crate::frame;
use crate::job::{Done, Job, Part};
use crate::local_names::LocalNames;

/// Address space of a worker: 100,000 accounts and 20,000 people need about a tenth of it.
const ADDRESS_SPACE: u64 = 2 << 30;
/// Runs the worker until its monitor closes the socket.
///
/// # Errors
/// When the restrictions cannot be put on, or the monitor's end of the socket fails.
pub fn run() -> io::Result<()> {
    restrict()?;
    let mut monitor = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut source = Source::default();
    let mut told = Traffic::default();
    let mut is_told = false;
    loop {
        // Told once is enough: what comes after it is in the answer to the job that follows.
        let wake = if is_told { readable(monitor.as_fd())? } else { source.wait(monitor.as_fd())? };
        if wake == Wake::Stirred {
            frame::write(&mut monitor, &Part::Stirred, frame::WORKER_MAX)?;
            is_told = true;
            continue;
        }
        let Some(job) = frame::read::<Job>(&mut monitor, frame::WORKER_MAX)? else {
            return Ok(());
        };
        is_told = false;
        let fetched = fetch(&mut source, &job, &mut monitor);
        let traffic = source.traffic().since(told);
        told = source.traffic();
        let last = match fetched {
            Ok(done) => Part::Done(Done { traffic, ..done }),
            Err(failure) => Part::Failed { failure, traffic },
        };
        frame::write(&mut monitor, &last, frame::WORKER_MAX)?;
    }
}

/// Answers one question of `svcauth setup`, with the same restrictions.
///
/// # Errors
/// As [`run`].
pub fn look() -> io::Result<()> {
    restrict()?;
    let mut asker = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let Some(ask) = frame::read::<Ask>(&mut asker, frame::WORKER_MAX)? else {
        return Ok(());
    };
    answer(ask, &mut |told: Told| frame::write(&mut asker, &told, frame::WORKER_MAX))
}

/// Gives up what the monitor has left to give up, and makes sure that it is gone.
pub(crate) fn restrict() -> io::Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    // It was started as /proc/self/exe, and ps(1) would call it "exe".
    prctl::set_name(c"svcauthd")?;
    prctl::set_no_new_privs()?;
    prctl::set_dumpable(false)?;
    setrlimit(Resource::RLIMIT_AS, ADDRESS_SPACE, ADDRESS_SPACE)?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    setrlimit(Resource::RLIMIT_NOFILE, 64, 64)?;
    setrlimit(Resource::RLIMIT_FSIZE, 0, 0)?;
    let ids = [
        Uid::current().as_raw(),
        Uid::effective().as_raw(),
        Gid::current().as_raw(),
        Gid::effective().as_raw(),
    ];
    if ids.contains(&0) || getgroups()?.iter().any(|gid| gid.as_raw() == 0) {
        return Err(io::Error::other("the worker still has an id of root; the privileges were not dropped"));
    }
    Ok(())
}

/// Answers a job but for the last part. A monitor that no longer listens is found by whoever writes that one.
fn fetch(source: &mut Source, job: &Job, monitor: &mut UnixStream) -> Result<Done, Failure> {
    let config = Config::parse(&job.config).map_err(|error| Failure::new(FailureKind::Config, error))?;
    let local = LocalNames::read().map_err(|error| Failure::new(FailureKind::Publish, error))?;
    let request = Request {
        config: &config,
        secret: job.secret.as_deref(),
        deadline: Instant::now() + Duration::from_secs(job.deadline_seconds),
        since: job.since.as_ref(),
        depth: job.depth,
    };
    let mut send = |part: Part| frame::write(monitor, &part, frame::WORKER_MAX);
    let mut mapper = crate::mapping::Mapper::new(&config, &local, &mut send);
    let answer = source.fetch(&request, &mut mapper)?;
    let lost = |error| format!("the answer cannot be handed over: {error}");
    mapper.finish().map_err(|error| Failure::new(FailureKind::Worker, lost(error)))?;
    let Answer { server, mark, live, note } = answer;
    Ok(Done { server, mark, live, note, traffic: Traffic::default() })
}
