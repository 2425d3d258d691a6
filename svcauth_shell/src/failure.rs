//! Why nothing runs: one line for the person, and an exit status.

use std::io::Write as _;

use crate::{FAILED, NOT_STARTED, REFUSED};

/// The end before a command has run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) status: u8,
    pub(crate) message: String,
}

impl Failure {
    /// It may not run.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self { status: REFUSED, message: message.into() }
    }

    /// It may run, and could not be started.
    pub(crate) fn not_started(message: impl Into<String>) -> Self {
        Self { status: NOT_STARTED, message: message.into() }
    }

    /// Nobody knows whether it may run.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { status: FAILED, message: message.into() }
    }

    /// Says it, and gives the status.
    pub(crate) fn tell(&self) -> u8 {
        say(&self.message);
        self.status
    }
}

/// One line on standard error. What it quotes cannot make it two, or speak to the terminal.
pub(crate) fn say(message: &str) {
    let line = format!("svcauth: {}\n", plain(message));
    // Nobody is left to tell when standard error is closed.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

fn plain(message: &str) -> String {
    let plain = |letter: char| {
        if letter.is_control() { format!("\\x{:02x}", u32::from(letter)) } else { letter.to_string() }
    };
    message.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn what_is_said_is_one_line_without_a_word_to_the_terminal() {
        assert_eq!(plain("ls / is not allowed"), "ls / is not allowed");
        assert_eq!(plain("a\nb\x1b[2J\u{9b}é"), "a\\x0ab\\x1b[2J\\x9bé");
    }
}
