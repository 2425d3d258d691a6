//! What the audit trail says about use: which keys, and who as what.

use std::collections::HashMap;

use crate::trail::Entry;

/// The use of keys and accounts in the records that were seen. Times are seconds since 1970.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    since: Option<u64>,
    until: Option<u64>,
    records: u64,
    missing: u64,
    next: Option<u64>,
    keys: HashMap<String, u64>,
    accounts: HashMap<String, HashMap<String, u64>>,
}

impl Usage {
    /// A trail that has nothing but its first record, for tests.
    #[cfg(test)]
    pub(super) fn of_first_record(seconds: u64) -> Self {
        Self { since: Some(seconds), until: Some(seconds), records: 1, ..Self::default() }
    }

    /// Takes a record in, oldest first. Use is a login that was allowed, or a session that began.
    pub fn add(&mut self, entry: &Entry) {
        self.records += 1;
        if let Some(seq) = entry.seq {
            let missing = self.next.map_or(0, |next| seq.saturating_sub(next));
            self.missing = self.missing.saturating_add(missing);
            self.next = seq.checked_add(1);
        }
        let Some(time) = entry.time.map(|time| time / 1_000_000) else { return };
        self.since.get_or_insert(time);
        self.until = Some(time);
        let is_use = match entry.event.as_str() {
            "decision" => entry.decision.as_deref() == Some("allow"),
            "session_start" => true,
            _ => false,
        };
        if !is_use {
            return;
        }
        if let Some(key) = &entry.key_fingerprint {
            latest(&mut self.keys, key, time);
        }
        if let (Some(account), Some(origin)) = (&entry.account, &entry.origin) {
            if !self.accounts.contains_key(account) {
                self.accounts.insert(account.clone(), HashMap::new());
            }
            if let Some(people) = self.accounts.get_mut(account) {
                latest(people, origin, time);
            }
        }
    }

    /// When the first record was made; `None`: there is none, and nothing can be said.
    #[must_use]
    pub const fn since(&self) -> Option<u64> {
        self.since
    }

    /// When the last one was made.
    #[must_use]
    pub const fn until(&self) -> Option<u64> {
        self.until
    }

    /// How many records there are.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.records
    }

    /// How many records are missing between them, by their numbers.
    #[must_use]
    pub const fn missing(&self) -> u64 {
        self.missing
    }

    /// When a key was used last.
    #[must_use]
    pub fn key(&self, fingerprint: &str) -> Option<u64> {
        self.keys.get(fingerprint).copied()
    }

    /// When a person used an account last.
    #[must_use]
    pub fn pair(&self, account: &str, person: &str) -> Option<u64> {
        self.accounts.get(account)?.get(person).copied()
    }
}

fn latest(times: &mut HashMap<String, u64>, name: &str, time: u64) {
    match times.get_mut(name) {
        Some(known) => *known = (*known).max(time),
        None => drop(times.insert(name.to_owned(), time)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, Usage};

    fn entry(seq: u64, seconds: u64, event: &str, decision: &str) -> Entry {
        let text = |text: &str| Some(text.to_owned());
        Entry {
            seq: Some(seq),
            time: Some(seconds * 1_000_000),
            event: event.to_owned(),
            decision: text(decision).filter(|word| !word.is_empty()),
            account: text("deployer"),
            origin: text("bob"),
            key_fingerprint: text("SHA256:k"),
            ..Entry::default()
        }
    }

    #[test]
    fn only_what_was_allowed_is_use_and_the_last_time_counts() {
        let mut usage = Usage::default();
        usage.add(&entry(1, 100, "file_begin", ""));
        for (seq, event, decision) in
            [(2, "decision", "deny"), (3, "key_refused", ""), (4, "suppressed", ""), (5, "session_end", "")]
        {
            usage.add(&entry(seq, 110, event, decision));
        }
        assert_eq!((usage.key("SHA256:k"), usage.pair("deployer", "bob")), (None, None));
        usage.add(&entry(6, 120, "decision", "allow"));
        usage.add(&entry(7, 130, "session_start", ""));
        // A clock that was set back.
        usage.add(&entry(8, 90, "decision", "allow"));
        assert_eq!((usage.key("SHA256:k"), usage.pair("deployer", "bob")), (Some(130), Some(130)));
        assert_eq!((usage.pair("deployer", "carol"), usage.pair("jenkins", "bob")), (None, None));
        assert_eq!(
            (usage.since(), usage.until(), usage.records(), usage.missing()),
            (Some(100), Some(90), 8, 0)
        );
    }

    #[test]
    fn records_that_are_missing_are_counted_by_their_numbers() {
        let mut usage = Usage::default();
        for seq in [7, 8, 11, 12, 20] {
            usage.add(&entry(seq, 100, "sync", ""));
        }
        assert_eq!(usage.missing(), 9);
        // Numbers that no daemon has written.
        for seq in [u64::MAX, 1, u64::MAX] {
            usage.add(&entry(seq, 100, "sync", ""));
        }
        assert_eq!(usage.missing(), u64::MAX);
        assert_eq!(Usage::default().since(), None);
    }
}
