//! `svcauth completions`: the script with which a shell completes the words of this command. For whoever builds a package.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Args, Command, ValueEnum};
use clap_complete::{generate, shells};

use super::Done;

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shell {
    /// For /usr/share/bash-completion/completions/svcauth
    Bash,
    /// For a folder of `$fpath`, as `_svcauth`
    Zsh,
    /// For /usr/share/fish/vendor_completions.d/svcauth.fish
    Fish,
}

pub(super) fn run(args: &CompletionsArgs) -> Done {
    let mut command = shown(&super::command());
    // Not to standard output at once: the generator panics when nobody reads it.
    let mut script = Vec::new();
    match args.shell {
        Shell::Bash => generate(shells::Bash, &mut command, "svcauth", &mut script),
        Shell::Zsh => generate(shells::Zsh, &mut command, "svcauth", &mut script),
        Shell::Fish => generate(shells::Fish, &mut command, "svcauth", &mut script),
    }
    io::stdout().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// The command without what its help does not show: the generators would offer that, too.
fn shown(command: &Command) -> Command {
    // A name lives as long as the program, which ends with the script.
    let bare = Command::new(&*command.get_name().to_owned().leak()).version(env!("CARGO_PKG_VERSION"));
    let bare = command.get_about().cloned().into_iter().fold(bare, Command::about);
    let inner = command.get_subcommands().filter(|inner| !inner.is_hide_set());
    bare.args(command.get_arguments()).subcommands(inner.map(shown).collect::<Vec<_>>())
}
