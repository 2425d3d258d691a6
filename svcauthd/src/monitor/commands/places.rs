//! How many connections may be open: of each uid, and of all but root, and how many of them may be asking.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Commands of one uid that run at a time.
pub(super) const RUNNING: usize = 512;
/// Connections of one uid at a time that have not been answered: what is silent is dropped soon.
const ASKING: usize = 128;
/// Connections of all other users but root at a time.
const IN_ALL: usize = 2048;

/// All that are open; every clone is the same.
#[derive(Clone, Default)]
pub(super) struct Places(Arc<Mutex<HashMap<u32, Open>>>);

#[derive(Clone, Copy, Default)]
struct Open {
    asking: usize,
    running: usize,
}

/// One of the connections that a uid may have; given back when dropped.
pub(super) struct Place {
    places: Places,
    uid: u32,
    is_running: bool,
}

impl Places {
    /// A place for somebody who asks.
    pub(super) fn take(&self, uid: u32) -> Option<Place> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let others: usize =
            open.iter().filter(|(uid, _)| **uid != 0).map(|(_, one)| one.asking + one.running).sum();
        let mine = open.get(&uid).copied().unwrap_or_default();
        if mine.asking >= ASKING || mine.running >= RUNNING || (uid != 0 && others >= IN_ALL) {
            return None;
        }
        open.insert(uid, Open { asking: mine.asking + 1, ..mine });
        Some(Place { places: self.clone(), uid, is_running: false })
    }

    fn change(&self, uid: u32, change: impl FnOnce(&mut Open)) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = open.entry(uid).or_default();
        change(mine);
        if mine.asking == 0 && mine.running == 0 {
            open.remove(&uid);
        }
    }
}

impl Place {
    /// It was answered, and something runs now.
    pub(super) fn runs(&mut self) {
        if !std::mem::replace(&mut self.is_running, true) {
            self.places.change(self.uid, |mine| {
                mine.asking = mine.asking.saturating_sub(1);
                mine.running += 1;
            });
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let is_running = self.is_running;
        self.places.change(self.uid, |mine| {
            let count = if is_running { &mut mine.running } else { &mut mine.asking };
            *count = count.saturating_sub(1);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{ASKING, IN_ALL, Places, RUNNING};

    #[test]
    fn silent_connections_take_fewer_places_than_commands_and_no_user_takes_those_of_root() {
        let places = Places::default();
        let silent: Vec<_> = (0..=ASKING).map(|_| places.take(7001)).collect();
        assert_eq!(silent.iter().flatten().count(), ASKING);
        drop(silent);
        let mut run = |uid: u32| {
            let mut place = places.take(uid)?;
            place.runs();
            place.runs();
            Some(place)
        };
        let mine: Vec<_> = (0..=RUNNING).map(|_| run(7001)).collect();
        assert_eq!(mine.iter().flatten().count(), RUNNING);
        let others: Vec<_> = (1..100).flat_map(|uid| [uid; 100]).map(&mut run).collect();
        assert_eq!(others.iter().flatten().count(), IN_ALL - RUNNING);
        assert!(run(0).is_some(), "root's are its own");
        drop((mine, others));
        assert!(places.0.lock().unwrap().is_empty());
        assert!(run(7001).is_some());
    }
}
