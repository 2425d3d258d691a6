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
        for line in without_lines_of_arguments(&error.render().to_string()).trim_end().split('\n') {
            let line = for_terminal(line).replace(LINE_END, "\\x0a");
            let _ = writeln!(io::stderr(), "{line}");
        }
        ExitCode::from(2)
    })
}

/// Stands for a line end of an argument until the lines of the text are apart. For private use, says Unicode.
const LINE_END: char = '\u{f0a00}';

/// An argument with line ends would give the error lines of its own making.
fn without_lines_of_arguments(text: &str) -> String {
    let arguments = std::env::args_os().filter_map(|argument| argument.into_string().ok());
    let with_lines = arguments.filter(|argument| argument.contains('\n'));
    with_lines.fold(text.to_owned(), |text, argument| {
        text.replace(&argument, &argument.replace('\n', &LINE_END.to_string()))
    })
}
