//! Ending sessions that the published state no longer allows: whoever has left the group is out, of the connection that is
//! still open, and of what they have put into the background.
//!
//! A room of its own: one thread judges, writes, signals and waits, and the monitor's own thread waits for none of it. What
//! ends, and what does not, says `scope`; root's sessions are never judged.

mod ending;
mod judge;
mod ledger;
mod scope;
mod signal;
mod statement;
mod terminal;

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use svcauth_core::config::{Config, OnRevoke, Sessions};
use svcauth_host::clock::Clock;
use svcauth_host::local_users::uid_of;
use svcauth_host::sessions::{Process, Processes, Registry, Session, pids};
use svcauth_host::snapshot_file::open_access;

use self::ending::{Asked, Eyes, Sight};
use self::judge::Judge;
use self::ledger::{Entry, Fate, Ledger};
use self::scope::{Certain, Found};
use self::statement::{Refused, Writer};
use super::metrics::Metrics;
use crate::state_dir::StateDir;

/// The passing of time ends access too, however seldom the directory is asked.
const AT_LEAST_EVERY: Duration = Duration::from_secs(60);
/// Between two looks at what is being ended.
const TICK: Duration = Duration::from_millis(250);
/// Between the line on a terminal and the signal: whoever shows the terminal to its user ends by the same signal.
const READING: Duration = Duration::from_millis(300);

/// The room's door.
pub(super) struct Revocation(Sender<News>);

enum News {
    Published,
    Configured(Settings),
}

#[derive(Clone, Copy)]
struct Settings {
    sessions: Sessions,
    every: Duration,
}

impl Settings {
    fn of(config: &Config) -> Self {
        Self { sessions: config.sessions, every: config.directory.refresh.min(AT_LEAST_EVERY) }
    }
}

impl Revocation {
    /// Starts the thread. What an earlier daemon began, it goes on with; `dir` is where it keeps what was said.
    pub(super) fn start(config: &Config, dir: StateDir, metrics: Metrics) -> Self {
        let (news, inbox) = channel();
        let mut room = Room {
            settings: Settings::of(config),
            dir,
            metrics,
            ledger: Ledger::read(),
            refused: Vec::new(),
            asked: Asked::default(),
            survivors: BTreeSet::new(),
            is_busy: false,
        };
        std::thread::spawn(move || room.serve(&inbox));
        Self(news)
    }

    /// A generation was published or confirmed: every session is held against it.
    pub(super) fn published(&self) {
        let _ = self.0.send(News::Published);
    }

    /// The configuration was read again.
    pub(super) fn configured(&self, config: &Config) {
        let _ = self.0.send(News::Configured(Settings::of(config)));
    }
}

struct Room {
    settings: Settings,
    dir: StateDir,
    metrics: Metrics,
    ledger: Ledger,
    /// What the last review refused.
    refused: Vec<Refused>,
    asked: Asked,
    /// Sessions that outlived SIGKILL.
    survivors: BTreeSet<String>,
    /// Something is being ended.
    is_busy: bool,
}

impl Room {
    fn serve(&mut self, inbox: &Receiver<News>) {
        let mut due = Instant::now();
        loop {
            if Instant::now() >= due {
                self.review();
                due = Instant::now() + self.settings.every;
            }
            self.pursue();
            let left = due.saturating_duration_since(Instant::now());
            match inbox.recv_timeout(if self.is_busy { left.min(TICK) } else { left }) {
                Ok(news) => {
                    std::iter::once(news).chain(inbox.try_iter()).for_each(|news| self.take(news));
                    due = Instant::now();
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn take(&mut self, news: News) {
        if let News::Configured(settings) = news {
            self.settings = settings;
        }
    }

    /// Holds every session against what is published. A snapshot or registry that cannot be read ends nobody, and lets
    /// nobody back in: what was decided before goes on.
    fn review(&mut self) {
        let Some(refused) = self.judged() else { return };
        let ids: BTreeSet<&str> = refused.iter().map(|refused| refused.session.id.as_str()).collect();
        let has_gone = self.ledger.keep(|id| ids.contains(id));
        self.survivors.retain(|id| ids.contains(id.as_str()));
        self.refused = refused;
        if has_gone {
            self.save();
        }
        self.kill_survivors();
    }

    fn judged(&self) -> Option<Vec<Refused>> {
        let clock = Clock::now();
        let snapshot = open_access().ok()?;
        let judge = Judge::new(&snapshot, &clock).ok()?;
        let sessions = sessions(&clock)?;
        let refusals = sessions.iter().filter_map(|session| match judge.refusal(session) {
            Ok(reason) => {
                Some(Refused { reason: reason?, generation: judge.generation(), session: session.clone() })
            }
            Err(_) => self.refused.iter().find(|known| known.session.id == session.id).cloned(),
        });
        let mut refused: Vec<Refused> = refusals.collect();
        let managers: Vec<Refused> = judge::shared_managers(&sessions, &refused)
            .map(|(manager, cause)| Refused { session: manager.clone(), ..cause.clone() })
            .collect();
        refused.extend(managers);
        Some(refused)
    }

    /// One look at what there is of the refused sessions, and what is due.
    fn pursue(&mut self) {
        self.is_busy = false;
        if self.refused.is_empty() {
            self.asked = Asked::default();
            return;
        }
        let sight = Watch(&self.refused).look();
        self.asked.keep(&sight);
        self.speak(&sight);
        let ends: Vec<(&str, &Found)> = self
            .refused
            .iter()
            .filter_map(|refused| {
                let id = refused.session.id.as_str();
                let found = sight.get(id).filter(|found| !found.is_over())?;
                (self.ledger.get(id)?.fate == Fate::Ends && !self.survivors.contains(id))
                    .then_some((id, found))
            })
            .collect();
        ends.iter().for_each(|(_, found)| self.asked.ask(found));
        let now = since_boot();
        let grace = millis(self.settings.sessions.grace);
        let is_overdue =
            |id: &str| self.ledger.get(id).is_some_and(|entry| entry.since.saturating_add(grace) <= now);
        let overdue: BTreeSet<String> =
            ends.iter().filter(|(id, _)| is_overdue(id)).map(|(id, _)| (*id).to_owned()).collect();
        self.is_busy = ends.len() > overdue.len();
        if !overdue.is_empty() {
            self.kill(&overdue);
        }
    }

    /// Says of each session what becomes of it, once: to the log first, then on its terminals.
    fn speak(&mut self, sight: &Sight) {
        let Sessions { on_revoke, grace } = self.settings.sessions;
        let writer = Writer::new();
        let mut terminals: BTreeMap<u32, (Vec<u32>, String)> = BTreeMap::new();
        let mut has_spoken = false;
        for refused in &self.refused {
            let id = refused.session.id.as_str();
            let known = self.ledger.get(id).copied();
            let Some(found) = sight.get(id) else { continue };
            let Some(fate) = fate(on_revoke, found, known.map(|known| known.fate)) else { continue };
            if known.is_some_and(|known| (known.fate, known.reason) == (fate, refused.reason)) {
                continue;
            }
            match fate {
                Fate::Ends => {
                    writer.ends(refused, found, grace);
                    self.metrics.revoked(refused.reason);
                    if known.is_none_or(|known| known.fate != fate) {
                        let told = (found.owners(&refused.session), statement::line(refused, grace));
                        terminals.extend(found.terminals().map(|device| (device, told.clone())));
                    }
                }
                Fate::GoesOn => writer.goes_on(refused, found),
                Fate::Unclear => writer.unclear(refused, found),
            }
            self.ledger.put(id, Entry { fate, reason: refused.reason, since: since_boot() });
            has_spoken = true;
        }
        if has_spoken {
            self.save();
        }
        let told = terminals.iter().filter(|(device, (owners, line))| terminal::tell(**device, owners, line));
        if told.count() > 0 {
            std::thread::sleep(READING);
        }
    }

    fn kill(&mut self, overdue: &BTreeSet<String>) {
        let left = ending::kill(overdue, &Watch(&self.refused));
        let writer = Writer::new();
        for refused in &self.refused {
            if let Some(found) = left.get(&refused.session.id) {
                writer.survives(refused, found);
                self.survivors.insert(refused.session.id.clone());
            }
        }
    }

    /// Nobody waits for them again: what hangs in the kernel may do so for days.
    fn kill_survivors(&self) {
        if !self.survivors.is_empty() {
            let sight = Watch(&self.refused).look();
            sight
                .iter()
                .filter(|(id, _)| self.survivors.contains(*id))
                .for_each(|(_, found)| ending::shoot(found));
        }
    }

    fn save(&self) {
        // Without it, a restart costs a second record and a second grace; the disk that is full is told of elsewhere.
        let _ = self.ledger.write(&self.dir);
    }
}

/// What becomes of a session of which this much is there; `None`: nothing is, and nothing is said.
fn fate(on_revoke: OnRevoke, found: &Found, known: Option<Fate>) -> Option<Fate> {
    match (on_revoke, found.is_over(), found.shared.is_empty()) {
        (_, true, true) => None,
        (OnRevoke::Log, ..) => Some(Fate::GoesOn),
        (OnRevoke::End, false, _) => Some(Fate::Ends),
        // Its record has named what may be another's.
        (OnRevoke::End, true, false) if known == Some(Fate::Ends) => Some(Fate::Ends),
        (OnRevoke::End, true, false) => Some(Fate::Unclear),
    }
}

/// Looks after the sessions that are refused.
struct Watch<'a>(&'a [Refused]);

impl Eyes for Watch<'_> {
    /// The processes are looked at first: each that was seen then belongs to a session that was registered before, or to none.
    fn look(&self) -> Sight {
        let wanted: BTreeSet<Option<u32>> =
            self.0.iter().map(|refused| refused.session.audit_session).collect();
        let processes = Processes::look(|audit_session| wanted.contains(&audit_session));
        let Some(sessions) = sessions(&Clock::now()) else { return Sight::new() };
        let ending: BTreeSet<&str> = self.0.iter().map(|refused| refused.session.id.as_str()).collect();
        scope::find(&ending, &sessions, &processes, asked_once())
    }

    fn chase(&self, overdue: &BTreeSet<String>, catch: &mut dyn FnMut(Process)) {
        let Some(sessions) = sessions(&Clock::now()) else { return };
        let certain = Certain::new(overdue, &sessions, asked_once());
        let mut pids = pids();
        pids.sort_unstable_by_key(|pid| Reverse(*pid));
        for pid in pids {
            let processes = Processes::look_at(&[pid], |audit_session| certain.has(audit_session));
            processes.iter().filter(|seen| certain.includes(seen)).for_each(|seen| catch(seen.process));
        }
    }
}

/// The uid of a local account; /etc/passwd is read once for each.
fn asked_once() -> impl Fn(&str) -> Option<u32> {
    let known: RefCell<BTreeMap<String, Option<u32>>> = RefCell::default();
    move |account| *known.borrow_mut().entry(account.to_owned()).or_insert_with(|| uid_of(account))
}

/// Every session of this boot; `None` when the registry cannot be read.
fn sessions(clock: &Clock) -> Option<Vec<Session>> {
    let boot_id = clock.boot_id.as_deref()?;
    Registry::open().and_then(|registry| registry.sessions(boot_id)).ok()
}

/// Milliseconds since boot, suspended time included, so that a restart of the daemon begins no new grace.
fn since_boot() -> u64 {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(0, |time| millis(time.into()))
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
