//! The monitor's copy of the directory: its entries, where the source stood, and when everything is to be read again.

use std::time::{Duration, Instant};

use super::jitter::later;
use crate::directory::{Depth, Extent, Mark};
use crate::failure::{Failure, FailureKind};
use crate::job::Done;
use crate::local_names::LocalNames;
use crate::table::{Staged, Table};

/// Entries and mark belong together: they change in one step or not at all.
pub(super) struct Mirror {
    table: Table,
    mark: Option<Mark>,
    /// Counts the states of the table.
    edition: u64,
    /// When changes are no longer enough.
    whole_due: Instant,
    /// The names of this host with which the worker read the entries: it leaves out what they take.
    local: Option<LocalNames>,
}

impl Mirror {
    pub(super) fn new() -> Self {
        Self { table: Table::default(), mark: None, edition: 0, whole_due: Instant::now(), local: None }
    }

    pub(super) const fn table(&self) -> &Table {
        &self.table
    }

    pub(super) const fn edition(&self) -> u64 {
        self.edition
    }

    /// From where on to ask, and for how much.
    pub(super) fn ask(&self, wish: Depth, local: &LocalNames) -> (Option<Mark>, Depth) {
        let from_the_start = Instant::now() >= self.whole_due || self.local.as_ref() != Some(local);
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

    /// What was read was read for another configuration.
    pub(super) fn forget(&mut self) {
        self.mark = None;
    }
}
