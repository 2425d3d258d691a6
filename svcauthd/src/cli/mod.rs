//! The `svcauth` command. Exit codes: 0 done, allowed or ok; 1 denied, degraded or failed to do it; 2 usage; 3 logins to
//! managed accounts are refused (`status`); 141 nobody reads the output any more, as a shell shows SIGPIPE.

mod accounts;
pub(crate) mod client;
mod commands;
mod completions;
mod doctor;
mod enable;
mod explain;
mod explain_command;
mod log;
pub(crate) mod output;
mod progress;
mod prove;
mod question;
mod replay;
mod report;
mod roles;
mod setup;
mod snapshot;
mod ssh_keys;
mod status;
mod sync;
mod who;

use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};

use self::output::Failure;
use crate::usage::arguments;

/// Shared accounts: who may use them, who does, and why somebody may not.
#[derive(Debug, Parser)]
#[command(
    name = "svcauth",
    version,
    after_help = "More about each: svcauth COMMAND --help, and man svcauth."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Find and test the directory, and write the configuration
    ///
    /// Shows what the directory holds and who may become what. Asks on a terminal; every answer is an option, too. Nothing changes about who can log in until `svcauth enable`. Needs
    /// root. Exit status: 0 done, or nothing had to be done; 1 not done, and nothing changed; 2 usage.
    Setup(Box<setup::SetupArgs>),
    /// Switch svcauth on, after showing what that changes
    ///
    /// Shows the changes of PAM, sshd and the name service, asks, and makes them. Refuses while something is not ready or `svcauth doctor` would have a fault. With --confirm everything is put back
    /// unless a new login has shown that one works. Needs root. Exit status: 0 done, or it was on already; 1 nothing was
    /// changed, with the reason; 2 usage, or nobody to ask.
    Enable(enable::EnableArgs),
    /// Keep what `svcauth enable --confirm` has changed
    ///
    /// Only from a login that was opened after it: an old one does not show that a new one works. Needs root. Exit status: 0 kept; 1 this login is older, or nothing is on trial.
    Confirm(Json),
    /// Switch svcauth off, and put back what was there
    ///
    /// From files that were edited since, only the lines of svcauth are taken out. Needs root. Exit status: 0 done, or it was off already; 1 nothing was changed, with the reason; 2 usage, or nobody to
    /// ask.
    Disable(enable::DisableArgs),
    /// Look for what lets somebody past svcauth, or can shut root out
    ///
    /// Says how to repair it, and changes nothing. Each finding has a stable code, the file and line, what it means and the fix;
    /// /usr/share/doc/svcauth/doctor.md lists them.
    /// Needs root. Exit status: 0 nothing worse than warnings and notes; 1 faults; 2 usage, or not root.
    Doctor(doctor::DoctorArgs),
    /// Say whether logins work, how fresh the data is, and what is wrong
    ///
    /// Exit status: 0 ok; 1 degraded (logins work; the directory does not answer, the configuration has a fault, or the audit
    /// file is not written); 3 failed (logins to managed accounts are refused).
    Status(Json),
    /// Say whether a person may use an account, and why or why not
    ///
    /// By which rule, role and groups, by what data, and what would change the answer. Needs root. Exit status: 0 allow; 1 deny; 2 the account is not managed, or the question cannot be asked.
    Explain(ExplainArgs),
    /// Show the person behind each live process of the accounts
    ///
    /// One line for each process, also for one that setsid or nohup has left behind after the logout. Where nobody can tell, it
    /// says why and does not guess. Of one process the way to it is shown too. Needs root. Exit status: 0 done; 1 it is no
    /// process of a managed account, or the sessions cannot be read.
    Who(who::WhoArgs),
    /// Read the audit trail: who did what, and who was refused why
    ///
    /// A table on a terminal, tabs in a pipe, the lines of the file with --json. Needs root, but for a FILE that can be read.
    /// Exit status: 0 done; 1 the trail cannot be read.
    Log(Box<log::LogArgs>),
    /// Limit an account to what is done with it
    #[command(subcommand)]
    Commands(commands::Commands),
    /// Play what an interactive shell has shown, or list what is recorded
    ///
    /// Recordings are made where an access rule has record = true. The keys of the player: space holds it, q ends it. Needs root.
    /// Exit status: 0 played, or listed; 1 a file is damaged or cannot be read; 2 usage, or nothing is recorded of it.
    Replay(replay::ReplayArgs),
    /// Say who may use what on this host, and what nobody uses
    #[command(subcommand)]
    Report(report::Report),
    /// List the managed accounts
    ///
    /// Needs root. Exit status: 0 done; 1 there is no usable snapshot.
    Accounts(AccountsArgs),
    /// List the roles of the access rules, or approve a group as one
    ///
    /// The first group that has the name of a role is the one that is meant, also when it is renamed. One that takes the
    /// name later, and the same one deleted and made again, is nobody's role until `svcauth roles approve ROLE`.
    /// Needs root. Exit status: 0 done; 1 not done, with the reason.
    Roles(RolesArgs),
    /// Ask the directory now, and return when what it says counts
    ///
    /// A login or getent(1) after it goes by that. Needs root. Exit status: 0 done; 1 not done, with the reason.
    Sync(SyncArgs),
    /// For sshd: print the offered key if its owner may use the account
    ///
    /// sshd_config(5): AuthorizedKeysCommand /usr/bin/svcauth ssh-keys %u %f %t %k
    SshKeys(SshKeysArgs),
    /// Wait for the end of a trial and put everything back (svcauth-rollback.service)
    #[command(hide = true)]
    Rollback(enable::RollbackArgs),
    /// Look at the planned state, in a mount namespace of its own (svcauth enable)
    #[command(hide = true)]
    PlannedState(enable::PlannedStateArgs),
    /// Print the script with which a shell completes the words of this command
    #[command(hide = true)]
    Completions(completions::CompletionsArgs),
    /// The process of a proof that is inside its private namespaces; started by the proof only
    #[command(hide = true)]
    ProveInside,
}

#[derive(Debug, Args)]
struct Json {
    /// Print JSON for scripts
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Args)]
struct SyncArgs {
    #[command(flatten)]
    json: Json,
    /// Publish even if the directory suddenly holds less than half of what it held
    #[arg(long)]
    accept_shrink: bool,
    /// Read everything anew, and not only what has changed
    #[arg(long)]
    full: bool,
    /// Show on the terminal how many entries have come in
    #[arg(long)]
    progress: bool,
}

#[derive(Debug, Args)]
struct AccountsArgs {
    #[command(flatten)]
    json: Json,
    /// Only those that this person may use through sshd on this host
    #[arg(long, value_name = "PERSON")]
    usable_by: Option<String>,
}

#[derive(Debug, Args)]
struct ExplainArgs {
    /// Login name of the person
    person: String,
    /// Name of the account
    account: String,
    /// PAM service to ask about
    #[arg(long, default_value = "sshd")]
    service: String,
    /// Source address to ask about; without it every `from` of a rule is taken as met
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    from: Option<std::net::IpAddr>,
    /// Ask about this command line, in quotes: what admits it and what would run, or what is in the way
    #[arg(long, value_name = "LINE")]
    command: Option<String>,
    #[command(flatten)]
    json: Json,
}

#[derive(Debug, Args)]
struct RolesArgs {
    #[command(flatten)]
    json: Json,
    #[command(subcommand)]
    command: Option<RolesCommand>,
}

#[derive(Debug, Subcommand)]
enum RolesCommand {
    /// Take the group that has the name of a role now for the role
    ///
    /// Recorded as the deed of an administrator. Needs root. Exit status: 0 done; 1 not done, with the reason.
    Approve {
        /// The role as the access rule writes it
        role: String,
    },
}

#[derive(Debug, Args)]
struct SshKeysArgs {
    /// The account (%u)
    account: String,
    /// The key's fingerprint (%f); not believed, computed again
    fingerprint: String,
    /// The key's type (%t)
    key_type: String,
    /// The key in base64 (%k)
    key: String,
    #[command(flatten)]
    json: Json,
}

/// A number of days, as options take it.
fn days(text: &str) -> Result<u64, String> {
    let days = text.parse::<u64>().ok().filter(|days| (1..=36_500).contains(days));
    days.ok_or_else(|| "a number of days from 1 to 36500 is needed, without a unit".to_owned())
}

fn address(text: &str) -> Result<std::net::IpAddr, String> {
    text.parse()
        .map_err(|_| "one address is needed, such as 10.1.2.3; a name or a network is none".to_owned())
}

/// The commands and options, for completions and for the manual page.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command.
#[must_use]
pub fn run() -> ExitCode {
    if let Some(status) = crate::daemon::run_as_child() {
        return status;
    }
    let cli: Cli = match arguments() {
        Ok(cli) => cli,
        Err(status) => return status,
    };
    let done = match cli.command {
        Command::Status(json) => status::run(&json),
        Command::Sync(args) => sync::run(&args),
        Command::Accounts(args) => accounts::run(&args),
        Command::Explain(args) => match &args.command {
            Some(line) => explain_command::run(&args, line),
            None => explain::run(&args),
        },
        Command::Log(args) => log::run(&args),
        Command::Roles(args) => roles::run(&args),
        Command::Setup(args) => setup::run(*args),
        Command::Who(args) => who::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Commands(args) => commands::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Enable(args) => enable::enable(&args),
        Command::Confirm(json) => enable::confirm(&json),
        Command::Disable(args) => enable::disable(&args),
        Command::Rollback(args) => enable::rollback(&args),
        Command::PlannedState(args) => enable::planned_state(&args),
        Command::SshKeys(args) => ssh_keys::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::ProveInside => Ok(crate::doctor::prove::run_inside()),
    };
    done.unwrap_or_else(|failure| failure.report())
}

type Done = Result<ExitCode, Failure>;

#[cfg(test)]
mod tests {
    use super::{address, days};

    #[test]
    fn a_number_of_days_and_an_address_are_told_from_what_looks_like_one() {
        assert_eq!((days("1"), days("36500")), (Ok(1), Ok(36_500)));
        for odd in ["0", "36501", "2w", "7d", "", "-1", "1.5"] {
            assert!(days(odd).is_err_and(|why| why.contains("from 1 to 36500")), "{odd}");
        }
        assert!(address("10.1.2.3").is_ok() && address("2001:db8::1").is_ok());
        for odd in ["10.0.0.0/8", "web1", "", "fe80::1%eth0"] {
            assert!(address(odd).is_err_and(|why| why.contains("such as 10.1.2.3")), "{odd}");
        }
    }
}
