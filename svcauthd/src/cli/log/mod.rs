//! `svcauth log`: reading the audit trail.

mod filter;
#[expect(unsafe_code, reason = "the C library alone knows the time zone of the host")]
mod local_time_ffi;
mod read;
mod screen;
mod verify;
mod when;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use svcauth_core::audit::Event;

use super::Done;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct LogArgs {
    #[command(subcommand)]
    command: Option<LogCommand>,
    #[command(flatten)]
    read: ReadArgs,
}

#[derive(Debug, Subcommand)]
enum LogCommand {
    /// Prove that nobody has changed the audit trail
    ///
    /// Or names the first line where somebody has changed, removed, moved or added a record. Whoever is root could have written the whole trail anew; give --head with an anchor that left the host to prove that
    /// this did not happen. Needs root, but for a FILE that can be read. Exit status: 0 whole; 1 not, with the file and the
    /// line, or it cannot be read.
    Verify(verify::VerifyArgs),
}

/// What is shown. Of an option that is given several times one must fit; of different options all must.
#[derive(Debug, Default, Args)]
struct ReadArgs {
    /// Only what this person or service did
    #[arg(long, value_name = "PERSON")]
    person: Vec<String>,
    /// With --person: also what a robot did on behalf of the person
    #[arg(long, requires = "person")]
    on_behalf_of: bool,
    /// Only what concerns this account
    #[arg(long, value_name = "ACCOUNT")]
    account: Vec<String>,
    /// Only what happened on this host
    #[arg(long, value_name = "HOST")]
    host: Vec<String>,
    /// Only decisions that came out so
    #[arg(long, value_parser = ["allow", "deny"])]
    decision: Option<String>,
    /// Only this kind of event
    #[arg(long, value_name = "EVENT", value_parser = events())]
    event: Vec<String>,
    /// Only with this reason, such as not_in_role
    #[arg(long, value_name = "REASON")]
    reason: Vec<String>,
    /// Only this session
    #[arg(long, value_name = "SESSION")]
    session: Vec<String>,
    /// Only records of commands that contain this text
    #[arg(long, value_name = "TEXT")]
    command: Vec<String>,
    /// Only what happened then or later: 2026-01-31, "2026-01-31 15:04", 15:04 (today), RFC 3339, or 2h or 7d ago
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only what happened then or before
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only the last so many, or `all`; without it 100 on a terminal and all in a pipe
    #[arg(short = 'n', long, value_name = "NUMBER", value_parser = count)]
    lines: Option<Count>,
    /// Go on showing what comes
    #[arg(short, long)]
    follow: bool,
    /// Print the lines of the file as they are
    #[arg(long)]
    json: bool,
    /// Read these files, in this order, in place of the trail of this host
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// How many are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Count {
    All,
    Last(usize),
}

fn events() -> clap::builder::PossibleValuesParser {
    Event::ALL.iter().map(|event| event.as_str()).collect::<Vec<_>>().into()
}

fn count(text: &str) -> Result<Count, String> {
    match text {
        "all" => Ok(Count::All),
        _ => text.parse().map(Count::Last).map_err(|_| "a number or \"all\" is needed".to_owned()),
    }
}

pub(super) fn run(args: &LogArgs) -> Done {
    match &args.command {
        Some(LogCommand::Verify(args)) => verify::run(args),
        None => read::run(&args.read),
    }
}
