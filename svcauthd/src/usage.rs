//! Reading the command line, for both programs.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use svcauth_core::audit::escape::for_terminal;

/// The arguments, or the exit status after help was shown (0) or a usage error was told (2).
///
/// An argument may come from anywhere, and clap repeats it as it is: here no control byte of it reaches the terminal.
///
/// # Errors
/// The exit status.
pub fn arguments<T: Parser>() -> Result<T, ExitCode> {
    T::try_parse().map_err(|error| {
        // Nowhere to report that the output is closed.
        if !error.use_stderr() {
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        let text = error.render().to_string();
        for line in text.trim_end().split('\n') {
            let _ = writeln!(io::stderr(), "{}", for_terminal(line));
        }
        ExitCode::from(2)
    })
}
