//! How far a long first load is: a line that is drawn over itself, on standard error and only on a terminal.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use svcauth_host::snapshot_file::open_access;

use crate::control::Counts;

/// Characters between the ends of the bar.
const WIDTH: u32 = 30;
/// Between two drawings.
const PACE: Duration = Duration::from_millis(100);

/// A bar, if one was asked for.
pub(super) struct Progress {
    is_shown: bool,
    /// How many entries the published generation has: the best guess of how many there will be.
    expected: Option<u32>,
    drawn: Option<Instant>,
}

impl Progress {
    pub(super) fn new(asked: bool) -> Self {
        let is_shown = asked && io::stderr().is_terminal();
        let header = is_shown.then(|| open_access().ok().map(|snapshot| *snapshot.header())).flatten();
        let expected = header.map(|header| header.accounts + header.groups + header.people);
        Self { is_shown, expected: expected.filter(|expected| *expected > 0), drawn: None }
    }

    /// Draws the state, unless that was done a moment ago.
    pub(super) fn show(&mut self, counts: Counts) {
        let now = Instant::now();
        if !self.is_shown || self.drawn.is_some_and(|drawn| now - drawn < PACE) {
            return;
        }
        self.drawn = Some(now);
        // Nobody looks at a closed standard error.
        let _ = write!(io::stderr(), "\r\x1b[K{}", picture(counts, self.expected));
        let _ = io::stderr().flush();
    }

    /// Takes the line away.
    pub(super) fn end(&self) {
        if self.drawn.is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// The line: a bar where it is known how much there will be, and the counts.
fn picture(counts: Counts, expected: Option<u32>) -> String {
    let Counts { accounts, groups, people } = counts;
    let found = format!("accounts: {accounts}, groups: {groups}, people: {people}");
    let Some(expected) = expected else {
        return found;
    };
    let read = u64::from(accounts) + u64::from(groups) + u64::from(people);
    let full = (read * u64::from(WIDTH) / u64::from(expected.max(1))).min(u64::from(WIDTH));
    let full = usize::try_from(full).unwrap_or_default();
    let bar = "#".repeat(full) + &".".repeat(WIDTH as usize - full);
    format!("[{bar}] {found}")
}

#[cfg(test)]
mod tests {
    use super::{Counts, picture};

    #[test]
    fn the_bar_is_as_full_as_the_last_generation_was_and_never_fuller() {
        let counts = |accounts| Counts { accounts, groups: 5, people: 10 };
        assert_eq!(picture(counts(0), None), "accounts: 0, groups: 5, people: 10");
        let bar = |accounts| picture(counts(accounts), Some(60)).split(']').next().unwrap().to_owned();
        assert_eq!(bar(0), format!("[{}{}", "#".repeat(7), ".".repeat(23)));
        assert_eq!(bar(45), format!("[{}", "#".repeat(30)));
        assert_eq!(bar(4500), format!("[{}", "#".repeat(30)));
    }
}
