//! Entries on their way to the monitor: many in one part, and in an order in which the last word about an entry stays it.

use std::io;

use crate::candidate::{AccountEntry, GroupEntry, Named, PersonEntry};
use crate::directory::{Extent, Kind};
use crate::job::{Part, Refused};

/// Entries, and members of groups, in one part: enough to be fast, and far below the length of a frame.
const BATCH: usize = 2000;

/// Parts that are being filled.
pub(super) struct Outbox<'a> {
    send: &'a mut dyn FnMut(Part) -> io::Result<()>,
    accounts: Vec<AccountEntry>,
    groups: Vec<GroupEntry>,
    people: Vec<PersonEntry>,
    /// Sent after the entries.
    refused: Vec<Refused>,
    filled: usize,
    failure: Option<io::Error>,
}

impl<'a> Outbox<'a> {
    pub(super) fn new(send: &'a mut dyn FnMut(Part) -> io::Result<()>) -> Self {
        let (accounts, groups, people, refused) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { send, accounts, groups, people, refused, filled: 0, failure: None }
    }

    pub(super) fn begin(&mut self, extent: Extent) {
        self.send_alone(Part::Begin(extent));
    }

    pub(super) fn account(&mut self, entry: AccountEntry) {
        self.make_room(Kind::Accounts, entry.id(), 1);
        self.accounts.push(entry);
    }

    pub(super) fn group(&mut self, entry: GroupEntry) {
        self.make_room(Kind::Groups, entry.id(), 1 + entry.members.len());
        self.groups.push(entry);
    }

    pub(super) fn person(&mut self, entry: PersonEntry) {
        self.make_room(Kind::People, entry.id(), 1);
        self.people.push(entry);
    }

    pub(super) fn refused(&mut self, refused: Refused) {
        if self.filled >= BATCH {
            self.flush();
        }
        self.filled += 1;
        self.refused.push(refused);
    }

    /// Sends a part after everything that came before it.
    pub(super) fn send_alone(&mut self, part: Part) {
        self.flush();
        self.send(part);
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.flush();
        self.failure.map_or(Ok(()), Err)
    }

    /// A refusal that still waits must not come after an entry that took its place.
    fn make_room(&mut self, kind: Kind, id: &str, size: usize) {
        let is_late = self.refused.iter().any(|refused| refused.kind == kind && refused.id == id);
        if is_late || self.filled + size > BATCH {
            self.flush();
        }
        self.filled += size;
    }

    fn flush(&mut self) {
        self.filled = 0;
        let entries = [
            Some(std::mem::take(&mut self.accounts)).filter(|all| !all.is_empty()).map(Part::Accounts),
            Some(std::mem::take(&mut self.groups)).filter(|all| !all.is_empty()).map(Part::Groups),
            Some(std::mem::take(&mut self.people)).filter(|all| !all.is_empty()).map(Part::People),
            Some(std::mem::take(&mut self.refused)).filter(|all| !all.is_empty()).map(Part::Refused),
        ];
        entries.into_iter().flatten().for_each(|part| self.send(part));
    }

    /// After a failure nothing counts any more.
    fn send(&mut self, part: Part) {
        if self.failure.is_none() {
            self.failure = (self.send)(part).err();
        }
    }
}
