//! What keeps the proof itself from being made.

use std::fmt::{self, Display};

/// What could not be done, and why, in a sentence.
#[derive(Debug)]
pub(super) struct Fault(String);

/// The answer of whatever may not be possible.
pub(super) type Done<T = ()> = Result<T, Fault>;

impl Fault {
    pub(super) fn new(what: impl Display) -> Self {
        Self(what.to_string())
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Adds to an error what was being done.
pub(super) trait Doing<T> {
    /// `what` is a verb and its object: "mount /run".
    fn doing(self, what: impl Display) -> Done<T>;
}

impl<T, E: Display> Doing<T> for Result<T, E> {
    fn doing(self, what: impl Display) -> Done<T> {
        self.map_err(|why| Fault(format!("cannot {what}: {why}")))
    }
}
