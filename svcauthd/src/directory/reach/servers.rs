//! Which server is asked next: in order of preference, and one that failed not before its time has come.
//!
//! Pure: moments and chance are arguments. Outlives a fetch, so that a dead server costs its time-out once and not at every
//! refresh.

use std::time::{Duration, Instant};
use svcauth_core::config::DirectoryUri;

/// For how long a server is put back after its first failure; doubled with every further one.
const FIRST: Duration = Duration::from_secs(5);
/// The longest time.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// The servers of one directory and what is known of them.
#[derive(Clone, Debug, Default)]
pub struct Servers {
    list: Vec<Known>,
}

#[derive(Clone, Debug)]
struct Known {
    uri: DirectoryUri,
    trouble: Option<Trouble>,
}

#[derive(Clone, Copy, Debug)]
struct Trouble {
    failures: u32,
    due: Instant,
}

/// What has been tried for one fetch.
#[derive(Clone, Debug, Default)]
pub struct Round {
    tried: Vec<DirectoryUri>,
    early: bool,
}

impl Servers {
    /// Replaces the list, in order of preference. What is known of a server that stays is kept.
    pub fn set(&mut self, uris: Vec<DirectoryUri>) {
        let old = std::mem::take(&mut self.list);
        let trouble = |uri: &DirectoryUri| old.iter().find(|known| known.uri == *uri)?.trouble;
        self.list = uris.into_iter().map(|uri| Known { trouble: trouble(&uri), uri }).collect();
    }

    /// The server to try now: the first one in order of preference that was not tried in this round and is not put back.
    ///
    /// When there is none, the one that is put back for the shortest time, once a round: there is always an attempt, and
    /// when all servers are dead a round does not wait for each of them.
    pub fn next(&self, round: &mut Round, now: Instant) -> Option<DirectoryUri> {
        let mut left = self.list.iter().filter(|known| !round.tried.contains(&known.uri));
        let is_due = |known: &&Known| known.trouble.is_none_or(|trouble| trouble.due <= now);
        let found = match left.clone().find(is_due) {
            Some(known) => known,
            None if round.early => return None,
            None => {
                round.early = true;
                let soonest = left.next()?;
                left.fold(soonest, |best, known| if due(known) < due(best) { known } else { best })
            }
        };
        round.tried.push(found.uri.clone());
        Some(found.uri.clone())
    }

    /// The server failed: it is put back for 5 seconds, doubled with each failure in a row up to 15 minutes, more or less a
    /// quarter. `chance` is a random number from 0 to 1, so that a fleet does not come back at one moment.
    pub fn failed(&mut self, uri: &DirectoryUri, now: Instant, chance: f64) {
        if let Some(known) = self.list.iter_mut().find(|known| known.uri == *uri) {
            let failures = known.trouble.map_or(0, |trouble| trouble.failures).saturating_add(1);
            let doubled = FIRST.saturating_mul(1 << (failures - 1).min(16)).min(LONGEST);
            let due = now + doubled.mul_f64(0.75 + 0.5 * chance.clamp(0.0, 1.0));
            known.trouble = Some(Trouble { failures, due });
        }
    }

    /// The server gave all that was asked of it.
    pub fn worked(&mut self, uri: &DirectoryUri) {
        if let Some(known) = self.list.iter_mut().find(|known| known.uri == *uri) {
            known.trouble = None;
        }
    }

    /// When a server that is preferred to `current` may be tried again; none when `current` is the best there is.
    #[must_use]
    pub fn better_at(&self, current: &DirectoryUri, now: Instant) -> Option<Instant> {
        let better = self.list.iter().take_while(|known| known.uri != *current);
        better.map(|known| due(known).unwrap_or(now)).min()
    }

    /// The servers in order of preference.
    pub fn uris(&self) -> impl Iterator<Item = &DirectoryUri> {
        self.list.iter().map(|known| &known.uri)
    }

    /// How many servers `next` may still give in this round.
    #[must_use]
    pub fn left(&self, round: &Round) -> usize {
        self.list.len().saturating_sub(round.tried.len())
    }
}

impl Round {
    /// Lets a server be given again that was not to blame.
    pub fn untry(&mut self, uri: &DirectoryUri) {
        self.tried.retain(|tried| tried != uri);
    }
}

fn due(known: &Known) -> Option<Instant> {
    known.trouble.map(|trouble| trouble.due)
}

#[cfg(test)]
mod tests {
    use super::{Round, Servers};
    use std::time::{Duration, Instant};
    use svcauth_core::config::DirectoryUri;

    fn uri(host: &str) -> DirectoryUri {
        DirectoryUri::Host { host: host.to_owned(), port: 636, ldaps: true }
    }

    fn servers(hosts: &[&str]) -> Servers {
        let mut servers = Servers::default();
        servers.set(hosts.iter().map(|host| uri(host)).collect());
        servers
    }

    /// The servers that one fetch tries while all of them fail at once.
    fn round(servers: &mut Servers, now: Instant) -> Vec<String> {
        let (mut round, mut tried) = (Round::default(), Vec::new());
        while let Some(uri) = servers.next(&mut round, now) {
            servers.failed(&uri, now, 0.5);
            let DirectoryUri::Host { host, .. } = uri else { panic!() };
            tried.push(host);
        }
        tried
    }

    fn first(servers: &Servers, now: Instant) -> DirectoryUri {
        servers.next(&mut Round::default(), now).unwrap()
    }

    #[test]
    fn servers_are_tried_in_order_of_preference_each_once() {
        assert_eq!(round(&mut servers(&["a", "b", "c"]), Instant::now()), ["a", "b", "c"]);
        assert!(round(&mut servers(&[]), Instant::now()).is_empty());
    }

    #[test]
    fn a_server_that_failed_waits_and_is_preferred_again_when_its_time_has_come() {
        let (mut servers, now) = (servers(&["a", "b"]), Instant::now());
        servers.failed(&uri("a"), now, 0.5);
        assert_eq!(first(&servers, now + Duration::from_millis(4_999)), uri("b"));
        assert_eq!(servers.better_at(&uri("b"), now), Some(now + Duration::from_secs(5)));
        assert_eq!(first(&servers, now + Duration::from_secs(5)), uri("a"));
        servers.worked(&uri("a"));
        assert_eq!(servers.better_at(&uri("b"), now), Some(now));
        assert_eq!(servers.better_at(&uri("a"), now), None);
        assert_eq!(first(&servers, now), uri("a"));
    }

    #[test]
    fn the_time_doubles_to_a_quarter_of_an_hour_and_varies_by_a_quarter() {
        let (mut servers, now) = (servers(&["a", "b"]), Instant::now());
        let mut waits = Vec::new();
        for _ in 0..40 {
            servers.failed(&uri("a"), now, 0.5);
            waits.push((servers.better_at(&uri("b"), now).unwrap() - now).as_secs());
        }
        assert_eq!(waits[..9], [5, 10, 20, 40, 80, 160, 320, 640, 900]);
        assert_eq!(waits[39], 900);
        for (chance, seconds) in [(0.0, 675), (1.0, 1125), (7.0, 1125)] {
            servers.failed(&uri("a"), now, chance);
            assert_eq!((servers.better_at(&uri("b"), now).unwrap() - now).as_secs(), seconds);
        }
        servers.worked(&uri("a"));
        servers.failed(&uri("a"), now, 0.5);
        assert_eq!(servers.better_at(&uri("b"), now), Some(now + Duration::from_secs(5)));
    }

    #[test]
    fn when_all_are_put_back_the_one_that_is_due_soonest_is_tried_and_no_other() {
        let (mut servers, start) = (servers(&["a", "b", "c"]), Instant::now());
        servers.failed(&uri("a"), start, 1.0);
        servers.failed(&uri("b"), start, 0.0);
        servers.failed(&uri("c"), start, 0.5);
        assert_eq!(round(&mut servers, start), ["b"]);
        assert_eq!(round(&mut servers, start), ["c"]);
        // One that is due and fails, and then the best of the others.
        assert_eq!(round(&mut servers, start + Duration::from_secs(7)), ["a", "b"]);
    }

    #[test]
    fn one_server_alone_is_tried_at_every_refresh() {
        let (mut servers, now) = (servers(&["a"]), Instant::now());
        for _ in 0..5 {
            assert_eq!(round(&mut servers, now), ["a"]);
        }
    }

    #[test]
    fn a_new_list_keeps_what_is_known_of_the_servers_that_stay() {
        let (mut servers, now) = (servers(&["a", "b"]), Instant::now());
        servers.failed(&uri("a"), now, 0.5);
        servers.set(vec![uri("c"), uri("a")]);
        assert_eq!(first(&servers, now), uri("c"));
        servers.set(vec![uri("a"), uri("b")]);
        assert_eq!(first(&servers, now), uri("b"));
        assert_eq!(servers.uris().collect::<Vec<_>>(), [&uri("a"), &uri("b")]);
        servers.failed(&uri("unknown"), now, 0.5);
    }

    #[test]
    fn a_server_that_is_not_to_blame_may_be_had_again_in_the_same_round() {
        let (servers, now) = (servers(&["a", "b"]), Instant::now());
        let mut round = Round::default();
        assert_eq!(servers.next(&mut round, now), Some(uri("a")));
        round.untry(&uri("a"));
        assert_eq!(servers.left(&round), 2);
        assert_eq!(servers.next(&mut round, now), Some(uri("a")));
        assert_eq!(servers.left(&round), 1);
    }
}
