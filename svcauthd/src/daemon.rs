//! `svcauthd`: the monitor, or one of its processes when it is called `svcauthd worker` or `svcauthd keeper`.

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use svcauth_core::audit::escape::for_terminal;
use svcauth_host::clock::Clock;
use svcauth_host::snapshot_file::SnapshotError;

use crate::config_file::{ConfigFileError, Loaded};
use crate::usage::arguments;
use crate::{keeper, monitor, worker};

/// Keeps a snapshot of the directory, from which NSS and PAM answer.
#[derive(Debug, Parser)]
#[command(name = "svcauthd", version)]
struct Cli {
    /// Read the configuration, say what is wrong with it, and stop
    #[arg(long)]
    check: bool,
    /// What this boot is called: the unit's %b. Only a sandbox in a container hides that
    #[arg(long, hide = true, value_name = "ID")]
    boot_id: Option<String>,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Fetch for a monitor on standard input; started by the monitor only
    #[command(hide = true)]
    Worker,
    /// Look at a directory for `svcauth setup`; started by that only
    #[command(hide = true)]
    Looker,
    /// Prove this host's identity for a worker; started by the monitor only
    #[command(hide = true)]
    Keeper {
        /// The user to become
        user: u32,
        /// The group to become
        group: u32,
        /// Whose key to use
        principal: Option<String>,
    },
}

impl Role {
    fn run(self) -> std::io::Result<()> {
        match self {
            Self::Worker => worker::run(),
            Self::Looker => worker::look(),
            Self::Keeper { user, group, principal } => {
                keeper::run(user.into(), group.into(), principal.as_deref())
            }
        }
    }
}

/// A process of the daemon's kind that only serves whoever started it, and never the daemon itself: `svcauth setup` has
/// such processes too, and its own program is what it starts for them.
#[derive(Debug, Parser)]
#[command(name = "svcauthd")]
struct Child {
    #[command(subcommand)]
    role: Role,
}

/// Runs that process if this program was started as one; none if it was not.
#[must_use]
pub fn run_as_child() -> Option<ExitCode> {
    if std::env::args_os().next()? != "svcauthd" {
        return None;
    }
    let done = arguments().map(|child: Child| child.role.run().map_err(|error| error.to_string()));
    Some(done.map_or_else(|status| status, finished))
}

/// What a refresh would need: the configuration and every file that it names.
fn check() -> Result<(), ConfigFileError> {
    let loaded = Loaded::read()?;
    loaded.secret()?;
    if let Some(keytab) = loaded.keytab()? {
        let fault = |why| ConfigFileError::File(keytab.path.clone(), SnapshotError::Refused(why));
        keeper::principal(&keytab.bytes, keytab.principal.as_deref()).map_err(fault)?;
    }
    loaded.sources_are_there()
}

/// The options, for the manual page.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the daemon. Exit status: 0 after a signal, 1 when it cannot start, 2 usage.
#[must_use]
pub fn run() -> ExitCode {
    let cli: Cli = match arguments() {
        Ok(cli) => cli,
        Err(status) => return status,
    };
    if let Some(id) = cli.boot_id.filter(|id| !Clock::call_boot(id)) {
        let _ = writeln!(std::io::stderr(), "svcauthd: --boot-id: {} is no id of a boot", for_terminal(&id));
        return ExitCode::from(2);
    }
    let ended = match cli.role {
        Some(role) => role.run().map_err(|error| error.to_string()),
        None if cli.check => check().map_err(|error| error.to_string()),
        None => monitor::run().map_err(|error| error.to_string()),
    };
    finished(ended)
}

fn finished(ended: Result<(), String>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            // Nowhere to report that standard error is closed.
            let _ = writeln!(std::io::stderr(), "svcauthd: {}", for_terminal(&why));
            ExitCode::FAILURE
        }
    }
}
