//! The worker: the only code that meets the network. No capabilities, no privileges to gain, bounded memory; it dies with
//! its monitor, and a new one is started when it dies.
//!
//! It speaks frames on its standard input, which is one end of a socketpair: one [`Job`] in, many [`Part`]s out.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid, getgroups};
use serde::{Deserialize, Serialize};
use svcauth_core::config::Config;

use crate::candidate::{AccountEntry, Candidate, GroupEntry, PersonEntry, Refusal};
use crate::directory::{Depth, Request, Source};
use crate::frame;
use crate::local_names::LocalNames;

/// Address space of a worker: 100,000 accounts and 20,000 people need about a tenth of it.
const ADDRESS_SPACE: u64 = 2 << 30;
/// Entries in one frame.
const BATCH: usize = 500;

/// One fetch. Not `Debug`: it holds the bind password, which must not reach a log by way of a `{:?}`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Job {
    /// The text of the configuration, which the monitor has read and checked.
    pub config: String,
    /// The bind password, which only the monitor may read.
    pub secret: Option<String>,
    /// Seconds that the whole fetch may take.
    pub deadline_seconds: u64,
}

/// A part of the answer; the last one is `Done` or `Failed`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Part {
    /// Accounts.
    Accounts(Vec<AccountEntry>),
    /// Groups.
    Groups(Vec<GroupEntry>),
    /// People.
    People(Vec<PersonEntry>),
    /// Entries that were refused.
    Refused(Vec<Refusal>),
    /// Everything has been sent.
    Done {
        /// The server or file that answered.
        server: String,
    },
    /// The fetch failed; what was sent before counts for nothing.
    Failed {
        /// Why.
        reason: String,
    },
}

/// Runs the worker until its monitor closes the socket.
///
/// # Errors
/// When the restrictions cannot be put on, or the monitor's end of the socket fails.
pub fn run() -> io::Result<()> {
    restrict()?;
    let mut monitor = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut source = Source::default();
    while let Some(job) = frame::read::<Job>(&mut monitor, frame::WORKER_MAX)? {
        match fetch(&mut source, &job) {
            Ok(candidate) => send(&mut monitor, candidate)?,
            Err(reason) => frame::write(&mut monitor, &Part::Failed { reason }, frame::WORKER_MAX)?,
        }
    }
    Ok(())
}

/// Gives up what the monitor has left to give up, and makes sure that it is gone.
fn restrict() -> io::Result<()> {
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

fn fetch(source: &mut Source, job: &Job) -> Result<Candidate, String> {
    let config = Config::parse(&job.config).map_err(|error| error.to_string())?;
    let local = LocalNames::read().map_err(|error| error.to_string())?;
    let deadline = Instant::now() + Duration::from_secs(job.deadline_seconds);
    let mut mapper = crate::mapping::Mapper::new(&config, &local);
    let secret = job.secret.as_deref();
    let request = Request { config: &config, secret, deadline, since: None, depth: Depth::Whole };
    let answer = source.fetch(&request, &mut mapper).map_err(|error| error.to_string())?;
    Ok(mapper.finish(answer.server))
}

fn send(monitor: &mut UnixStream, candidate: Candidate) -> io::Result<()> {
    let mut part = |part: &Part| frame::write(monitor, part, frame::WORKER_MAX);
    for batch in candidate.accounts.chunks(BATCH) {
        part(&Part::Accounts(batch.to_vec()))?;
    }
    for batch in candidate.groups.chunks(1) {
        part(&Part::Groups(batch.to_vec()))?;
    }
    for batch in candidate.people.chunks(BATCH) {
        part(&Part::People(batch.to_vec()))?;
    }
    for batch in candidate.refused.chunks(BATCH) {
        part(&Part::Refused(batch.to_vec()))?;
    }
    part(&Part::Done { server: candidate.server })
}
