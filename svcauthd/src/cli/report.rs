//! `svcauth report`: asks the host for what a report is made of, and puts it where it was asked for.

mod access;
mod keys;
mod output;

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use svcauth_core::audit::escape::for_terminal;
use svcauth_core::policy::{Age, Policy};
use svcauth_core::snapshot::access::AccessSnapshot;
use svcauth_host::clock::Clock;
use svcauth_host::confirmed;
use svcauth_host::host_names::host_names;
use svcauth_host::sessions::{Registry, SessionOrigin};
use svcauth_host::snapshot_file::SnapshotFile;

use super::Done;
use crate::report::about::{About, timestamp};

#[derive(Debug, Subcommand)]
pub(super) enum Report {
    /// List who may use which account on this host, and through what
    ///
    /// By which role, groups and access rule. What is listed is what PAM would allow. People and accounts that are disabled, expired or locked are not:
    /// --all lists them, too, and JSON and HTML have them apart. Needs root.
    /// Exit status: 0 the report is made; 1 it is not, with the reason.
    Access(AccessArgs),
    /// List keys that belong to nobody, and keys and access nobody uses
    ///
    /// Local files are those that sshd reads for the managed accounts. What is said about use rests on the audit trail of
    /// this host, and on nothing before its first record. Needs root.
    /// Exit status: 0 the report is made; 1 it is not, with the reason.
    Keys(KeysArgs),
}

#[derive(Debug, Args)]
pub(super) struct AccessArgs {
    /// This account alone
    #[arg(long)]
    account: Option<String>,
    /// This person alone
    #[arg(long)]
    person: Option<String>,
    /// This PAM service alone
    #[arg(long)]
    service: Option<String>,
    /// In a table or CSV, list also who would have access, but not at this moment, and which accounts may run jobs of
    /// their own (cron, at); the last column says so
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    to: To,
}

#[derive(Debug, Args)]
pub(super) struct KeysArgs {
    /// Days after which a key of the directory counts as unused
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = super::days)]
    unused: u64,
    #[command(flatten)]
    to: To,
}

#[derive(Debug, Args)]
struct To {
    /// How the report is written
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Write into this file and not to standard output: mode 0600, the whole report or nothing, never through a link
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Columns on a terminal, tabs in a pipe or file
    Table,
    /// One object, each row on a line
    Json,
    /// RFC 4180; no cell is a formula to a spreadsheet
    Csv,
    /// One page that needs nothing else
    Html,
}

pub(super) fn run(report: &Report) -> Done {
    match report {
        Report::Access(args) => access::run(args),
        Report::Keys(args) => keys::run(args),
    }
}

/// A sentence that belongs to no row, on standard error. That nobody takes it is no reason to give no report.
fn note(text: &str) {
    let _ = writeln!(io::stderr(), "svcauth: {}", for_terminal(text));
}

/// When, where and of what data a report is made.
struct Moment {
    hosts: Vec<String>,
    now: u64,
    age: Age,
    generation: u64,
    clock: Clock,
}

impl Moment {
    fn of(snapshot: &AccessSnapshot<SnapshotFile>) -> Self {
        let clock = Clock::now();
        let header = snapshot.header();
        Self {
            hosts: host_names(),
            now: header.not_before(clock.wall),
            age: confirmed::age(header, &clock),
            generation: header.generation,
            clock,
        }
    }

    fn about(&self, report: &'static str, policy: &Policy) -> About {
        About {
            report,
            host: self.hosts.first().cloned().unwrap_or_else(|| "-".to_owned()),
            generation: self.generation,
            age_seconds: self.age.0,
            stale: self.age.0.is_none_or(|age| age >= policy.max_stale),
            made: timestamp(self.clock.wall),
            made_by: made_by(&self.clock),
            ..About::default()
        }
    }
}

/// The user; the person behind the session, where svcauth knows them; else the user whom the kernel remembers from the login.
fn made_by(clock: &Clock) -> String {
    let user = name_of(nix::unistd::getuid().as_raw());
    if let Some(person) = person_behind(clock) {
        return format!("{user}, in a session of {person}");
    }
    let login = std::fs::read_to_string("/proc/self/loginuid").ok().and_then(|text| text.trim().parse().ok());
    match login.filter(|uid| *uid != u32::MAX).map(name_of) {
        Some(login) if login != user => format!("{user}, logged in as {login}"),
        _ => user,
    }
}

/// The one person who is behind all sessions of managed accounts that we are part of.
fn person_behind(clock: &Clock) -> Option<String> {
    let sessions = Registry::open().ok()?.around_caller(clock.boot_id.as_deref()?).ok()?;
    let people: BTreeSet<String> = sessions
        .into_iter()
        .filter_map(|session| match session.origin {
            SessionOrigin::Person(login) => Some(login),
            _ => None,
        })
        .collect();
    let mut people = people.into_iter();
    people.next().filter(|_| people.next().is_none())
}

fn name_of(uid: u32) -> String {
    let known = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)).ok().flatten();
    known.map_or_else(|| format!("uid {uid}"), |user| user.name)
}
