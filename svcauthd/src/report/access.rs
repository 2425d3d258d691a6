//! Who may use which account here, and by what: every pair is asked of [`decide`], which is what PAM asks.
//!
//! Nobody is asked about in vain: people are looked up by the roles that a rule wants, so the work follows the access
//! that there is, and not the number of accounts times the number of people.

use std::collections::{BTreeSet, HashMap};
use std::io;

use svcauth_core::policy::{
    AccessRule, Account, Age, Circumstances, Decision, Family, Need, Origin, Person, Policy, Reason, RoleRef,
    Roles, Source, decide, decide_target,
};

/// A PAM service about which the report asks, and where its requests come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The service as access rules write it.
    pub word: String,
    /// [`Source::NotYetKnown`] where an address counts: the report then shows the addresses of the rule.
    pub source: Source,
}

impl Service {
    /// A service that proves people; `None`: this one does not.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        let source = match Family::of(word) {
            Family::Sshd => Source::NotYetKnown,
            Family::Su | Family::Sudo => Source::Local,
            Family::Job | Family::Manager | Family::Other => return None,
        };
        Some(Self { word: word.to_owned(), source })
    }

    /// Every service that some rule names and that proves people.
    #[must_use]
    pub fn all_of(policy: &Policy) -> Vec<Self> {
        words(policy).filter_map(Self::of).collect()
    }

    /// The services of rules by which nobody gets in: they prove nobody, and start no jobs either.
    #[must_use]
    pub fn without_proof(policy: &Policy) -> Vec<String> {
        words(policy).filter(|word| Family::of(word) == Family::Other).map(str::to_owned).collect()
    }
}

/// The services of the rules, each once, by name.
fn words(policy: &Policy) -> impl Iterator<Item = &str> {
    let words: BTreeSet<&str> =
        policy.rules.iter().flat_map(|rule| &rule.services).map(String::as_str).collect();
    words.into_iter()
}

/// Where and when the report asks.
#[derive(Clone, Copy, Debug)]
pub struct Here<'a> {
    /// All names of this host.
    pub hosts: &'a [&'a str],
    /// Seconds since 1970-01-01 UTC.
    pub now: u64,
    /// How fresh the snapshot is.
    pub age: Age,
}

/// A role by which a person has access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByRole<'a> {
    /// The group's name.
    pub name: &'a str,
    /// The group's immutable id.
    pub id: Option<&'a str>,
    /// The groups from the one that the person is in up to the role itself.
    pub path: &'a [String],
}

/// One person may use one account by one access rule.
#[derive(Clone, Debug)]
pub struct Grant<'a> {
    /// The account.
    pub account: &'a Account,
    /// The person.
    pub person: &'a Person,
    /// The access rule.
    pub rule: &'a AccessRule,
    /// The roles that the rule asks for and the person holds.
    pub roles: Vec<ByRole<'a>>,
    /// The services through which it counts, in the words of the rules: `su` stands for `su-l`, `sudo` for `sudo-i`, too.
    pub services: &'a [&'a str],
    /// Why it does not count at this moment; `None`: it does.
    pub suspended: Option<Reason>,
}

/// Jobs of an account itself (cron, at) run by one access rule: nobody is proven, and no role is asked.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    /// The account.
    pub account: &'a Account,
    /// The access rule.
    pub rule: &'a AccessRule,
    /// The services that start them.
    pub services: Vec<&'a str>,
}

/// Which grants are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those that count now.
    Access,
    /// Those that do not count now, for a reason that time or one switch in the directory takes away.
    Suspended,
}

/// What the report is about: everything, or one account, one person.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish<'a> {
    /// This account alone.
    pub account: Option<&'a str>,
    /// This person alone.
    pub person: Option<&'a str>,
    /// Of jobs: those of this service alone. Grants are about the services that [`Inventory::new`] was given.
    pub service: Option<&'a str>,
}

/// What [`Inventory::visit`] calls.
pub type Each<'e> = dyn FnMut(&Grant<'_>) -> io::Result<()> + 'e;

/// A rule, and the policy that has it alone: what that one allows, the rule allows.
struct Alone<'a> {
    rule: &'a AccessRule,
    policy: Policy,
}

/// A rule that is about an account, and the services through which it is.
struct About<'r> {
    alone: &'r Alone<'r>,
    services: Vec<&'r str>,
    source: Source,
}

/// Everybody and everything of a snapshot, ready to be asked.
pub struct Inventory<'a> {
    policy: &'a Policy,
    accounts: Vec<&'a Account>,
    people: Vec<&'a Person>,
    rules: Vec<Alone<'a>>,
    holders: HashMap<RoleRef, Vec<u32>>,
    services: &'a [Service],
    here: Here<'a>,
}

impl<'a> Inventory<'a> {
    /// Sorts accounts and people by name and indexes people by role.
    #[must_use]
    pub fn new(
        policy: &'a Policy,
        accounts: &'a [Account],
        people: impl Iterator<Item = &'a Person>,
        services: &'a [Service],
        here: Here<'a>,
    ) -> Self {
        let mut accounts: Vec<&Account> = accounts.iter().collect();
        accounts.sort_by(|a, b| a.name.cmp(&b.name));
        let mut people: Vec<&Person> = people.collect();
        people.sort_by(|a, b| a.login.cmp(&b.login));
        let mut holders: HashMap<RoleRef, Vec<u32>> = HashMap::new();
        for (place, person) in (0..).zip(&people) {
            for held in &person.held {
                holders.entry(held.role).or_default().push(place);
            }
        }
        let rules = policy.rules.iter().map(|rule| Alone { rule, policy: alone(policy, rule) }).collect();
        Self { policy, accounts, people, rules, holders, services, here }
    }

    /// The accounts, by name.
    #[must_use]
    pub fn accounts(&self) -> &[&'a Account] {
        &self.accounts
    }

    /// The people, by login name.
    #[must_use]
    pub fn people(&self) -> &[&'a Person] {
        &self.people
    }

    /// Calls `each` for every grant: by account, then by person, then in the order of the rules.
    ///
    /// # Errors
    /// The first that `each` returns.
    pub fn visit(&self, which: Which, wish: Wish<'_>, each: &mut Each<'_>) -> io::Result<()> {
        let wanted = |account: &&&Account| wish.account.is_none_or(|name| account.name == name);
        for account in self.accounts.iter().filter(wanted) {
            self.visit_account(which, account, wish.person, each)?;
        }
        Ok(())
    }

    /// The same for one account.
    ///
    /// # Errors
    /// As [`Self::visit`].
    pub fn visit_account(
        &self,
        which: Which,
        account: &Account,
        person: Option<&str>,
        each: &mut Each<'_>,
    ) -> io::Result<()> {
        let usable = usable_account(account);
        let about: Vec<About<'_>> =
            self.rules.iter().filter_map(|alone| self.about(alone, &usable)).collect();
        let counts = |about: &About<'_>| {
            let at = about.services.first().map(|word| self.at(word, about.source));
            at.is_some_and(|at| decide_target(&about.alone.policy, account, &at).is_allow())
        };
        // What the account alone decides, it decides for everybody.
        let all_suspended = !about.iter().all(counts);
        if all_suspended && which == Which::Access {
            return Ok(());
        }
        let mut candidates: Vec<u32> =
            about.iter().flat_map(|about| self.candidates(about.alone.rule, account)).collect();
        candidates.sort_unstable();
        candidates.dedup();
        for candidate in candidates.into_iter().filter_map(|place| self.people.get(place as usize)) {
            let is_wanted = person.is_none_or(|login| candidate.login == login);
            let can_be = which == Which::Access || all_suspended || has_state(candidate);
            for about in about.iter().filter(|_| is_wanted && can_be) {
                if let Some(grant) = self.grant(which, account, &usable, candidate, about) {
                    each(&grant)?;
                }
            }
        }
        Ok(())
    }

    /// The rule with the services through which it is about the account; `None`: through none, or not here.
    fn about<'s>(&'s self, alone: &'s Alone<'s>, usable: &Account) -> Option<About<'s>> {
        let is_about = |service: &&Service| {
            let at = Circumstances { age: FRESH, ..self.at(&service.word, service.source) };
            decide_target(&alone.policy, usable, &at).is_allow()
        };
        let mut services = self.services.iter().filter(is_about).peekable();
        // A rule that covers several sources looks at none of them.
        let source = services.peek()?.source;
        Some(About { alone, services: services.map(|service| service.word.as_str()).collect(), source })
    }

    /// People who hold what the rule asks for, or a part of it; whoever is not among them is refused by it.
    fn candidates(&self, rule: &AccessRule, account: &Account) -> Vec<u32> {
        let roles = match &rule.roles {
            Roles::Named(roles) => roles,
            Roles::MemberOf => &account.roles,
        };
        let holders = |role: &RoleRef| self.holders.get(role).map_or(&[] as &[u32], Vec::as_slice);
        match rule.need {
            Need::Any => roles.iter().flat_map(|role| holders(role).iter().copied()).collect(),
            Need::Every => {
                roles.iter().map(holders).min_by_key(|held| held.len()).unwrap_or_default().to_vec()
            }
        }
    }

    /// Calls `each` for every rule by which jobs of an account run.
    ///
    /// # Errors
    /// The first that `each` returns.
    pub fn visit_jobs(
        &self,
        wish: Wish<'_>,
        each: &mut dyn FnMut(&Job<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let starts_jobs = |word: &&str| {
            Family::of(word).has_nobody_behind() && wish.service.is_none_or(|service| service == *word)
        };
        let services: Vec<&str> = words(self.policy).filter(starts_jobs).collect();
        let wanted = |account: &&&Account| wish.account.is_none_or(|name| account.name == name);
        if services.is_empty() || wish.person.is_some() {
            return Ok(());
        }
        for account in self.accounts.iter().filter(wanted) {
            for alone in &self.rules {
                let runs = |word: &&str| {
                    let at = self.at(word, Source::Local);
                    decide(&alone.policy, account, Origin::Local, &at).is_allow()
                };
                let services: Vec<&str> = services.iter().copied().filter(runs).collect();
                if !services.is_empty() {
                    each(&Job { account, rule: alone.rule, services })?;
                }
            }
        }
        Ok(())
    }

    fn grant<'g>(
        &'g self,
        which: Which,
        account: &'g Account,
        usable: &Account,
        person: &'g Person,
        about: &'g About<'_>,
    ) -> Option<Grant<'g>> {
        let at = self.at(about.services.first()?, about.source);
        let policy = &about.alone.policy;
        let verdict = decide(policy, account, Origin::Person(person), &at);
        let (roles, suspended) = match (verdict.decision, which) {
            (Decision::Allow, Which::Access) => (verdict.roles, None),
            (Decision::Deny(reason), Which::Suspended) => {
                let person = usable_person(person);
                let at = Circumstances { age: FRESH, ..at };
                let verdict = decide(policy, usable, Origin::Person(&person), &at);
                verdict.is_allow().then_some((verdict.roles, Some(reason)))?
            }
            (Decision::Allow, Which::Suspended) | (Decision::Deny(_), Which::Access) => return None,
        };
        let roles = roles.into_iter().filter_map(|role| self.by_role(person, role)).collect();
        let (rule, services) = (about.alone.rule, about.services.as_slice());
        Some(Grant { account, person, rule, roles, services, suspended })
    }

    fn by_role<'g>(&'g self, person: &'g Person, role: RoleRef) -> Option<ByRole<'g>> {
        let held = person.held.iter().find(|held| held.role == role)?;
        let role = self.policy.roles.get(role.0 as usize)?;
        Some(ByRole { name: &role.name, id: role.id.as_deref(), path: &held.path })
    }

    const fn at<'s>(&self, service: &'s str, source: Source) -> Circumstances<'s>
    where
        'a: 's,
    {
        let Here { hosts, now, age } = self.here;
        Circumstances { service: Some(service), hosts, source, now, age }
    }
}

/// An age at which every snapshot decides.
const FRESH: Age = Age(Some(0));

/// The policy with one rule. Rules only ever give, and none looks at another: what any of them allows is allowed.
fn alone(policy: &Policy, rule: &AccessRule) -> Policy {
    Policy {
        roles: Vec::new(),
        rules: vec![rule.clone()],
        trusted_ca: Vec::new(),
        key_id: None,
        local_accounts: Vec::new(),
        ..*policy
    }
}

/// The account without what time or a switch in the directory has taken from it.
fn usable_account(account: &Account) -> Account {
    Account { disabled: false, expires: None, locked_until: None, ..account.clone() }
}

fn has_state(person: &Person) -> bool {
    person.disabled || person.expires.is_some() || person.locked_until.is_some()
}

/// The person without what time or a switch in the directory has taken from them.
fn usable_person(person: &Person) -> Person {
    Person { disabled: false, expires: None, locked_until: None, ..person.clone() }
}
