//! The monitor's copy of the directory: its entries, where the source stood, and when everything is to be read again.

use std::time::{Duration, Instant};

use super::jitter::later;
use crate::directory::{Depth, Extent, Mark};
use crate::failure::{Failure, FailureKind};
use crate::job::Done;
use crate::local_names::LocalNames;
use crate::table::{Staged, Table};

/// What is suspiciously small is read anew after this long, if nobody asks for it sooner. Far longer than a refresh, because a
/// directory that really lost most of its entries is read like this by every host until somebody accepts it.
const SECOND_LOOK: Duration = Duration::from_secs(300);

/// Entries and mark belong together: they change in one step or not at all.
pub(super) struct Mirror {
    table: Table,
    mark: Option<Mark>,
    /// Counts the states of the table.
    edition: u64,
    /// When changes are no longer enough.
    whole_due: Instant,
    /// Whether the entries are too few to be believed. Then they are not what changes can be added to: whoever a server left
    /// out by mistake has not changed, and would not come back.
    is_doubted: bool,
    /// The names of this host with which the worker read the entries: it leaves out what they take.
    local: Option<LocalNames>,
}

impl Mirror {
    pub(super) fn new() -> Self {
        Self {
            table: Table::default(),
            mark: None,
            edition: 0,
            whole_due: Instant::now(),
            is_doubted: false,
            local: None,
        }
    }

    pub(super) const fn table(&self) -> &Table {
        &self.table
    }

    pub(super) const fn edition(&self) -> u64 {
        self.edition
    }

    /// From where on to ask, and for how much.
    pub(super) fn ask(&self, wish: Depth, local: &LocalNames) -> (Option<Mark>, Depth) {
        let from_the_start = Instant::now() >= self.whole_due
            || self.local.as_ref() != Some(local)
            || (self.is_doubted && wish == Depth::Exact);
        match &self.mark {
            Some(mark) if wish != Depth::Whole && !from_the_start => (Some(mark.clone()), wish),
            _ => (None, Depth::Whole),
        }
    }

    /// Takes over a complete answer to a question of this depth; changes can be put into effect only where they were
    /// asked for.
    pub(super) fn take(
        &mut self,
        staged: Staged,
        done: &Done,
        asked: Depth,
        local: &LocalNames,
        every: Duration,
    ) -> Result<(), Failure> {
        match staged.extent() {
            Extent::Whole => {
                self.whole_due = Instant::now() + later(every);
                self.is_doubted = false;
                self.local = Some(local.clone());
            }
            Extent::Changes if asked == Depth::Whole => {
                let what = "the worker answered with changes when everything was asked for";
                return Err(Failure::new(FailureKind::Worker, what));
            }
            Extent::Changes => {}
        }
        self.edition += u64::from(self.table.apply(staged) || self.edition == 0);
        self.mark.clone_from(&done.mark);
        Ok(())
    }

    /// What was read is suspiciously small.
    pub(super) fn doubt(&mut self) {
        self.is_doubted = true;
        self.whole_due = self.whole_due.min(Instant::now() + later(SECOND_LOOK));
    }

    /// What was read was read for another configuration.
    pub(super) fn forget(&mut self) {
        self.mark = None;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Depth, LocalNames, Mark, Mirror, Staged};
    use crate::directory::{Extent, UsnMark};
    use crate::job::{Done, Part};

    const HOUR: Duration = Duration::from_secs(3600);

    fn answer(mirror: &mut Mirror, extent: Extent, asked: Depth, local: &LocalNames) {
        let (server, invocation) = ("dc1".to_owned(), "00".to_owned());
        let mark = UsnMark { server, invocation, usn: 7, lockout: None, reconcile_at: 0 };
        let done = Done { mark: Some(Mark::Usn(mark)), ..Done::default() };
        let mut staged = Staged::default();
        staged.add(Part::Begin(extent));
        mirror.take(staged, &done, asked, local, HOUR).unwrap();
    }

    #[test]
    fn entries_that_are_too_few_to_be_believed_are_read_anew_and_changes_are_not_added_to_them() {
        let local = LocalNames::read().unwrap();
        let mut mirror = Mirror::new();
        answer(&mut mirror, Extent::Whole, Depth::Whole, &local);
        for wish in [Depth::Changes, Depth::Exact] {
            assert_eq!(mirror.ask(wish, &local).1, wish);
        }
        let usual = mirror.whole_due;
        answer(&mut mirror, Extent::Changes, Depth::Exact, &local);
        mirror.doubt();
        // Whoever asks for the present state gets it. What comes by itself does not read everything each time.
        assert_eq!(mirror.ask(Depth::Exact, &local), (None, Depth::Whole));
        assert_eq!(mirror.ask(Depth::Changes, &local).1, Depth::Changes);
        assert!(mirror.whole_due < usual);
        answer(&mut mirror, Extent::Changes, Depth::Changes, &local);
        assert_eq!(mirror.ask(Depth::Exact, &local).1, Depth::Whole);
        answer(&mut mirror, Extent::Whole, Depth::Whole, &local);
        assert_eq!(mirror.ask(Depth::Exact, &local).1, Depth::Exact);
        // Each of the two came up to a tenth later than it had to.
        assert!(mirror.whole_due + HOUR / 10 >= usual);
    }
}
