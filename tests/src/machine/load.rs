//! Logins all the time, while something else happens to the machine.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::Scope;
use std::time::{Duration, Instant};

use super::boot::Machine;
use crate::failure::{Failure, Outcome, require};

/// Who logs in as whom, in turn.
const TURNS: &[(&str, &str)] =
    &[("root", "root"), ("bob", "deployer"), ("local", "local"), ("carol", "deployer")];
/// So many logins begin in a second.
const RATE: u32 = 20;
/// No more at the same time: a slow machine would only ever have more of them.
const AT_ONCE: usize = 40;

/// One login and how it ended.
#[derive(Debug, Clone)]
pub struct Login {
    /// Whose key it was.
    pub person: &'static str,
    /// Whether a command ran as the account.
    pub entered: bool,
    /// The exit status of ssh and what it printed, for a message.
    pub said: String,
    /// When it began, since the first one.
    pub began: Duration,
}

/// What became of all logins during a step.
#[derive(Debug, Default)]
pub struct Load {
    /// Every login, in the order of their ends.
    pub logins: Vec<Login>,
    /// From the first beginning to the last end.
    pub took: Duration,
}

impl Load {
    /// Runs `step` while root, the local user, bob and carol log in, twenty logins a second altogether; half a second of
    /// them before the step and after it.
    pub fn during(machine: &Machine, step: impl FnOnce(&Machine) -> Outcome) -> Outcome<Self> {
        let traffic = Traffic::of(machine);
        std::thread::scope(|scope| {
            scope.spawn(|| traffic.flow(scope));
            std::thread::sleep(Duration::from_millis(500));
            let result = step(machine);
            std::thread::sleep(Duration::from_millis(500));
            traffic.stop.store(true, Ordering::Relaxed);
            result
        })?;
        let took = traffic.started.elapsed();
        Ok(Self { logins: traffic.ended.into_inner().unwrap_or_else(PoisonError::into_inner), took })
    }

    /// Fails unless each of these people entered at every single login, of which there were at least a few.
    pub fn require_always(&self, people: &[&str]) -> Outcome {
        self.require_each(people, true)
    }

    /// Fails unless each of these people was refused at every single login, of which there were at least a few.
    pub fn require_never(&self, people: &[&str]) -> Outcome {
        self.require_each(people, false)
    }

    fn require_each(&self, people: &[&str], entered: bool) -> Outcome {
        for person in people {
            let mine: Vec<&Login> = self.logins.iter().filter(|login| login.person == *person).collect();
            require(mine.len() >= 5, || format!("{person} logged in {} times only", mine.len()))?;
            let wrong: Vec<&&Login> = mine.iter().filter(|login| login.entered != entered).collect();
            let expected = if entered { "was to be let in always" } else { "was to be refused always" };
            require(wrong.is_empty(), || {
                let (count, all) = (wrong.len(), mine.len());
                let some: Vec<_> =
                    wrong.iter().take(5).map(|login| format!("{:?} {}", login.began, login.said)).collect();
                format!("{person} {expected}; otherwise {count} of {all} times:\n{}", some.join("\n"))
            })?;
        }
        Ok(())
    }

    /// How many logins there were, and how many in a second.
    pub fn summary(&self) -> String {
        format!(
            "{} logins in {:.1} s, {:.1} a second",
            self.logins.len(),
            self.took.as_secs_f64(),
            self.rate()
        )
    }

    /// How many logins there were in a second.
    pub fn rate(&self) -> f64 {
        f64::from(u32::try_from(self.logins.len()).unwrap_or(u32::MAX)) / self.took.as_secs_f64()
    }
}

/// Logins that begin by the clock, however long each takes.
struct Traffic<'a> {
    machine: &'a Machine,
    started: Instant,
    stop: AtomicBool,
    busy: AtomicUsize,
    ended: Mutex<Vec<Login>>,
}

impl<'a> Traffic<'a> {
    fn of(machine: &'a Machine) -> Self {
        let (stop, busy, ended) = (AtomicBool::new(false), AtomicUsize::new(0), Mutex::new(Vec::new()));
        Self { machine, started: Instant::now(), stop, busy, ended }
    }

    fn flow<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) {
        for (turn, (person, user)) in (1..).zip(TURNS.iter().cycle()) {
            let due = Duration::from_secs(1) * turn / RATE;
            std::thread::sleep(due.saturating_sub(self.started.elapsed()));
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            if self.busy.load(Ordering::Relaxed) < AT_ONCE {
                self.busy.fetch_add(1, Ordering::Relaxed);
                scope.spawn(|| {
                    let login = log_in(self.machine, person, user, self.started.elapsed());
                    self.ended.lock().unwrap_or_else(PoisonError::into_inner).push(login);
                    self.busy.fetch_sub(1, Ordering::Relaxed);
                });
            }
        }
    }
}

/// A login that says who it is: only that proves that a command ran as the account.
fn log_in(machine: &Machine, person: &'static str, user: &str, began: Duration) -> Login {
    let ended = machine.ssh(person, user, &["id", "-un"]).map_err(|why: Failure| why.to_string());
    let entered = ended.as_ref().is_ok_and(|ended| ended.text() == user);
    let said = ended.map_or_else(|why| why, |ended| ended.report());
    Login { person, entered, said, began }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_refusal_among_many_is_seen_and_named() {
        let login = |entered| Login { person: "root", entered, said: "why".into(), began: Duration::ZERO };
        let mut load = Load { logins: (0..10).map(|_| login(true)).collect(), took: Duration::from_secs(2) };
        assert!(load.require_always(&["root"]).is_ok() && load.require_never(&["root"]).is_err());
        assert!((load.rate() - 5.0).abs() < 0.01);
        load.logins.push(login(false));
        let text = load.require_always(&["root"]).unwrap_err().to_string();
        assert!(text.contains("1 of 11") && text.contains("why"), "{text}");
        assert!(load.require_always(&["bob"]).is_err());
    }
}
