//! Entries of one kind, found by their immutable id and read in its order.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::candidate::Named;

/// An entry that stands where its id belongs.
#[derive(Clone, Debug)]
struct ById<T>(Arc<T>);

impl<T: Named> PartialEq for ById<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0.id() == other.0.id()
    }
}

impl<T: Named> Eq for ById<T> {}

impl<T: Named> PartialOrd for ById<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Named> Ord for ById<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.id().cmp(other.0.id())
    }
}

impl<T: Named> Borrow<str> for ById<T> {
    fn borrow(&self) -> &str {
        self.0.id()
    }
}

/// Entries of one kind, one for each id.
#[derive(Clone, Debug)]
pub struct Shelf<T>(BTreeSet<ById<T>>);

impl<T: Named> Default for Shelf<T> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

impl<T: Named> Shelf<T> {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entry with this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Arc<T>> {
        self.0.get(id).map(|entry| &entry.0)
    }

    /// Puts an entry where the one with its id was, and gives that one.
    pub fn put(&mut self, entry: Arc<T>) -> Option<Arc<T>> {
        self.0.replace(ById(entry)).map(|entry| entry.0)
    }

    /// Takes the entry with this id away.
    pub fn take(&mut self, id: &str) -> Option<Arc<T>> {
        self.0.take(id).map(|entry| entry.0)
    }

    /// All entries, in the order of their ids; nothing stays.
    pub fn into_entries(self) -> impl Iterator<Item = Arc<T>> {
        self.0.into_iter().map(|entry| entry.0)
    }

    /// All entries, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<T>> {
        self.0.iter().map(|entry| &entry.0)
    }
}
