//! How much access there is, counted while the rows go by.

use std::collections::HashMap;

use serde::Serialize;

use super::access::{Grant, Inventory, Wish};

/// What was counted.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    accounts: HashMap<String, u64>,
    people: HashMap<String, u64>,
    last: (String, String),
    pairs: u64,
    suspended: u64,
}

/// The counts of a report. A pair is one person and one account, by however many rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Managed accounts that the report is about.
    pub accounts: usize,
    /// Those that somebody may use here.
    pub accounts_usable: usize,
    /// People that the report is about.
    pub people: usize,
    /// Those who may use some account here.
    pub people_with_access: usize,
    /// Pairs of a person and an account that the person may use.
    pub pairs: u64,
    /// Pairs that do not count at this moment.
    pub pairs_suspended: u64,
}

impl Summary {
    /// Counts a row. Rows of one pair follow each other.
    pub fn add(&mut self, grant: &Grant<'_>) {
        let (account, person) = (&grant.account.name, &grant.person.login);
        if self.last.0 == *account && self.last.1 == *person {
            return;
        }
        self.last = (account.clone(), person.clone());
        if grant.suspended.is_some() {
            self.suspended += 1;
            return;
        }
        self.pairs += 1;
        count(&mut self.accounts, account);
        count(&mut self.people, person);
    }

    /// The counts.
    #[must_use]
    pub fn counts(&self, inventory: &Inventory<'_>, wish: Wish<'_>) -> Counts {
        Counts {
            accounts: wish.account.map_or(inventory.accounts().len(), |_| 1),
            accounts_usable: self.accounts.len(),
            people: wish.person.map_or(inventory.people().len(), |_| 1),
            people_with_access: self.people.len(),
            pairs: self.pairs,
            pairs_suspended: self.suspended,
        }
    }

    /// Whether somebody may use the account.
    #[must_use]
    pub fn is_usable(&self, account: &str) -> bool {
        self.accounts.contains_key(account)
    }

    /// The accounts that most people may use, at most `most` of them.
    #[must_use]
    pub fn largest_accounts(&self, most: usize) -> Vec<&str> {
        largest(&self.accounts, most)
    }

    /// The people who may use most accounts, at most `most` of them.
    #[must_use]
    pub fn largest_people(&self, most: usize) -> Vec<&str> {
        largest(&self.people, most)
    }
}

fn count(counts: &mut HashMap<String, u64>, name: &str) {
    match counts.get_mut(name) {
        Some(count) => *count += 1,
        None => drop(counts.insert(name.to_owned(), 1)),
    }
}

/// The names with the largest counts; of equals the first by name.
fn largest(counts: &HashMap<String, u64>, most: usize) -> Vec<&str> {
    let mut names: Vec<(&String, &u64)> = counts.iter().collect();
    names.sort_unstable_by(|(a, few), (b, many)| many.cmp(few).then_with(|| a.cmp(b)));
    names.into_iter().take(most).map(|(name, _)| name.as_str()).collect()
}
