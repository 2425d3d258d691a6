//! Whoever is asked and told.

use std::fmt;
use std::io;

/// Why setup ends before its end. Nothing has been changed then, unless it says so.
#[derive(Debug, PartialEq, Eq)]
pub enum Stop {
    /// Something is not as it must be: exit status 1.
    Failed(String),
    /// An answer is missing or makes no sense: exit status 2.
    Usage(String),
    /// Nobody wants to go on: exit status 130, as after SIGINT.
    Interrupted,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(why) | Self::Usage(why) => f.write_str(why),
            Self::Interrupted => f.write_str("stopped; nothing was changed"),
        }
    }
}

impl std::error::Error for Stop {}

impl Stop {
    /// What could not be done, and why.
    pub fn failed(what: impl fmt::Display) -> Self {
        Self::Failed(what.to_string())
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::Interrupted | io::ErrorKind::UnexpectedEof => Self::Interrupted,
            _ => Self::Failed(error.to_string()),
        }
    }
}

/// The administrator, or a script in their place.
pub trait Talk {
    /// Tells one line; foreign text in it is escaped by whoever shows it.
    ///
    /// # Errors
    /// When nobody can be told any more.
    fn say(&mut self, line: &str) -> io::Result<()>;

    /// Whether there is somebody to ask.
    fn can_ask(&self) -> bool;

    /// Asks for one line; an empty answer is the default, if there is one, and is asked for again otherwise.
    ///
    /// # Errors
    /// `UnexpectedEof` or `Interrupted` when nobody wants to answer.
    fn ask(&mut self, question: &str, default: Option<&str>) -> io::Result<String>;

    /// Asks for one line that is not shown.
    ///
    /// # Errors
    /// As [`Talk::ask`].
    fn ask_secret(&mut self, question: &str) -> io::Result<String>;
}
