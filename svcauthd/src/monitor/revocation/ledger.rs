//! What has been said about which session, kept where a restart of the daemon finds it: one record for each session and
//! reason, and a grace that goes on where it was.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::str::FromStr as _;

use svcauth_core::policy::Reason;
use svcauth_host::paths;
use svcauth_host::snapshot_file::read_trusted;

use crate::state_dir::{Readers, StateDir};

/// The file, beside the registry: both are of this boot.
const FILE: &str = "revoked";
/// The first line of the file.
const HEAD: &str = "svcauth_revoked 1";
/// Far more than all sessions of a host: 4 MiB.
const LEDGER_MAX: u64 = 4 << 20;

/// What becomes of a session that would not be opened again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is ended.
    Ends,
    /// It goes on, because the configuration says so.
    GoesOn,
    /// It has nothing but processes that may belong to another one.
    Unclear,
}

/// What was said about a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) fate: Fate,
    pub(super) reason: Reason,
    /// When its end began, in milliseconds since boot.
    pub(super) since: u64,
}

/// What was said about each session, by id.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ledger(BTreeMap<String, Entry>);

impl Fate {
    const ALL: [Self; 3] = [Self::Ends, Self::GoesOn, Self::Unclear];

    const fn word(self) -> &'static str {
        match self {
            Self::Ends => "ends",
            Self::GoesOn => "goes_on",
            Self::Unclear => "unclear",
        }
    }
}

impl Ledger {
    /// What the daemon before this one has said. What cannot be read costs a second record.
    pub(super) fn read() -> Self {
        let text = read_trusted(Path::new(paths::REVOKED), LEDGER_MAX);
        text.ok().and_then(|text| Self::parse(&text)).unwrap_or_default()
    }

    pub(super) fn write(&self, dir: &StateDir) -> io::Result<()> {
        dir.publish(FILE, self.to_text().as_bytes(), Readers::Root)
    }

    pub(super) fn get(&self, id: &str) -> Option<&Entry> {
        self.0.get(id)
    }

    /// Keeps what is said about a session; an end that has begun goes on from where it was.
    pub(super) fn put(&mut self, id: &str, mut entry: Entry) {
        if let Some(known) = self.0.get(id).filter(|known| known.fate == entry.fate) {
            entry.since = known.since;
        }
        self.0.insert(id.to_owned(), entry);
    }

    /// Forgets every other session; whether there was one.
    pub(super) fn keep(&mut self, wanted: impl Fn(&str) -> bool) -> bool {
        let before = self.0.len();
        self.0.retain(|id, _| wanted(id));
        self.0.len() < before
    }

    fn to_text(&self) -> String {
        let mut text = format!("{HEAD}\n");
        for (id, Entry { fate, reason, since }) in &self.0 {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{id} {} {since} {reason}", fate.word());
        }
        text + "end\n"
    }

    fn parse(text: &str) -> Option<Self> {
        let body = text.strip_prefix(HEAD)?.strip_prefix('\n')?.strip_suffix("end\n")?;
        body.lines().map(line).collect::<Option<_>>().map(Self)
    }
}

fn line(line: &str) -> Option<(String, Entry)> {
    let mut words = line.split(' ');
    let (id, word) = (words.next()?, words.next()?);
    let fate = Fate::ALL.into_iter().find(|fate| fate.word() == word)?;
    let since = words.next()?.parse().ok()?;
    let reason = Reason::from_str(words.next()?).ok()?;
    (!id.is_empty() && words.next().is_none()).then(|| (id.to_owned(), Entry { fate, reason, since }))
}

#[cfg(test)]
mod tests {
    use super::{Entry, Fate, Ledger, Reason};

    const ENDS: Entry = Entry { fate: Fate::Ends, reason: Reason::NotInRole, since: 5000 };

    #[test]
    fn what_was_said_is_known_after_a_restart() {
        let mut ledger = Ledger::default();
        assert_eq!(Ledger::parse(&ledger.to_text()).as_ref(), Some(&ledger));
        ledger.put("b-1", ENDS);
        ledger.put("b-2", Entry { fate: Fate::GoesOn, reason: Reason::PersonExpired, since: 0 });
        ledger.put("b-3", Entry { fate: Fate::Unclear, reason: Reason::AccountDisabled, since: u64::MAX });
        let text = ledger.to_text();
        assert_eq!(Ledger::parse(&text).as_ref(), Some(&ledger));
        for cut in 0..text.len() {
            assert_eq!(Ledger::parse(&text[..cut]), None, "{cut}");
        }
        for (from, to) in [("ends", "end"), ("not_in_role", "no"), ("b-1 ", " "), ("5000", "5000 5000")] {
            assert_eq!(Ledger::parse(&text.replacen(from, to, 1)), None, "{from}");
        }
        assert!(ledger.keep(|id| id != "b-2") && !ledger.keep(|id| id != "b-2"));
        assert_eq!((ledger.get("b-2"), ledger.get("b-1")), (None, Some(&ENDS)));
    }

    #[test]
    fn another_reason_begins_no_new_grace_and_another_fate_does() {
        let mut ledger = Ledger::default();
        ledger.put("b-1", ENDS);
        ledger.put("b-1", Entry { reason: Reason::PersonDisabled, since: 9000, ..ENDS });
        assert_eq!(
            ledger.get("b-1").map(|entry| (entry.reason, entry.since)),
            Some((Reason::PersonDisabled, 5000))
        );
        ledger.put("b-1", Entry { fate: Fate::GoesOn, since: 9500, ..ENDS });
        assert_eq!(ledger.get("b-1").map(|entry| entry.since), Some(9500));
    }
}
