//! `svcauth commands`: from what was done to what may be done, and back.

mod past;
mod propose;
mod replay;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Done;

#[derive(Debug, Subcommand)]
pub(super) enum Commands {
    /// Write the rule that allows what was done with an account
    ///
    /// Reads the audit trail and prints [[access]] rules for svcauth.toml that refuse nothing of it; what only a shell can
    /// read is named, and left out. Changes nothing. Needs root. Exit status: 0 done; 1 the trail cannot be read or has no
    /// command of the account; 2 usage.
    Propose(ProposeArgs),
    /// List what a new configuration would have refused, and to whom
    ///
    /// Holds the commands and shells of the audit trail against the rules of FILE, as if each enforced. Changes nothing. Needs root.
    /// Exit status: 0 nothing would be refused; 1 something would, or cannot be judged, or the trail cannot be read; 2 usage, or a fault of FILE.
    Replay(ReplayArgs),
}

#[derive(Debug, Args)]
pub(super) struct ProposeArgs {
    /// Name of the account
    account: String,
    /// Only what was done in the last so many days
    #[arg(long, value_name = "DAYS", value_parser = super::days)]
    days: Option<u64>,
    /// Only for the rule at this line of svcauth.toml
    #[arg(long, value_name = "LINE")]
    rule: Option<u32>,
    /// Allow also what was asked for and refused
    #[arg(long)]
    refused: bool,
    /// Print JSON for scripts
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// The whole configuration as it would be installed
    file: PathBuf,
    /// Only what was done in the last so many days
    #[arg(long, value_name = "DAYS", value_parser = super::days)]
    days: Option<u64>,
    /// Only with this account
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// Print JSON for scripts
    #[arg(long)]
    json: bool,
}

pub(super) fn run(commands: &Commands) -> Done {
    match commands {
        Commands::Propose(args) => propose::run(args),
        Commands::Replay(args) => replay::run(args),
    }
}
