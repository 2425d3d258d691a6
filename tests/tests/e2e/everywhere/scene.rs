//! What a scenario works with: a host, a directory, and words for what is expected of them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use svcauth_tests::backend::{Backend, Kind, Who};
use svcauth_tests::failure::{Context, Failure, Outcome, require, require_eq};
use svcauth_tests::keys::Key;
use svcauth_tests::log::Record;
use svcauth_tests::program::{Ended, Program};
use svcauth_tests::site::{CONFIG, svcauth};
use svcauth_tests::sshd::Sshd;
use svcauth_tests::world::World;

use crate::host::{Host, Plan, no_passwords};

/// The file with the keys that sshd takes for every account, as far as it is concerned.
const KEYS: &str = "everybody";
/// The first id that scenarios are given.
const FIRST_ID: u32 = 7100;
/// How long a lockout lasts, in seconds: what a domain says, if nobody changed it.
pub(crate) const LOCKOUT: u64 = 30 * 60;
/// The gid of `application`, the primary group of every account here.
pub(crate) const GID: &str = "7000";

/// What the scenarios of a world share.
pub(crate) struct Stage {
    host: Host,
    directory: Backend,
    keys: BTreeMap<String, Key>,
    next_id: u32,
}

/// One scenario on it.
pub(crate) struct Scene<'w> {
    pub(crate) world: &'w World,
    pub(crate) host: Host,
    pub(crate) directory: Backend,
    keys: BTreeMap<String, Key>,
    next_id: u32,
    rules: String,
    rules_are_new: bool,
    people: BTreeSet<String>,
    accounts: BTreeSet<String>,
}

impl Stage {
    /// A host with the example's people, on a directory of this kind.
    pub(crate) fn start(world: &World, kind: Kind) -> Outcome<Self> {
        let mut plan = Plan::new(world)?;
        let mut keys = BTreeMap::new();
        for login in ["alice", "bob", "carol"] {
            keys.insert(login.to_owned(), plan.key(login)?.clone());
        }
        let people: Vec<(&str, &Key)> = keys.iter().map(|(login, key)| (login.as_str(), key)).collect();
        let directory = Backend::start(world, kind, &people, &mut plan.site).doing(kind.word())?;
        if kind != Kind::Ad {
            let section = "[accounts]\n";
            plan.site.configure(section, &format!("lockout_duration = \"{LOCKOUT}s\"\n\n{section}"))?;
        }
        plan.sshd_line(&format!("AuthorizedKeysFile /etc/ssh/keys/{KEYS}"));
        let host = plan.start(world)?;
        no_passwords(world)?;
        let stage = Self { host, directory, keys, next_id: FIRST_ID };
        Sshd::authorize(world, KEYS, &stage.keys.values().collect::<Vec<_>>())?;
        Ok(stage)
    }
}

impl<'w> Scene<'w> {
    pub(crate) fn begin(world: &'w World, stage: Stage) -> Self {
        let Stage { host, directory, keys, next_id } = stage;
        let people = ["alice", "bob", "carol"].map(str::to_owned).into();
        let accounts = ["deployer".to_owned()].into();
        let (rules, rules_are_new) = (String::new(), false);
        Self { world, host, directory, keys, next_id, rules, rules_are_new, people, accounts }
    }

    /// The scenario has ended well: increments have led to the same as a fetch of everything.
    pub(crate) fn end(self) -> Outcome<Stage> {
        let by_increments = self.published()?;
        svcauth(&["sync", "--full"])?.expect_ok()?;
        let by_fetch = self.published()?;
        require_same("what increments have led to", &by_increments, &by_fetch)?;
        let Self { host, directory, keys, next_id, .. } = self;
        Ok(Stage { host, directory, keys, next_id })
    }

    pub(crate) fn kind(&self) -> Kind {
        self.directory.kind()
    }

    /// An id that nothing has.
    pub(crate) fn next_id(&mut self) -> u32 {
        self.next_id += 1;
        self.next_id
    }

    /// A key that sshd takes for every account.
    pub(crate) fn new_key(&mut self, name: &str) -> Outcome<Key> {
        let key = self.world.key(name)?;
        self.keys.insert(name.to_owned(), key.clone());
        Sshd::authorize(self.world, KEYS, &self.keys.values().collect::<Vec<_>>())?;
        Ok(key)
    }

    pub(crate) fn key(&self, login: &str) -> Outcome<&Key> {
        self.keys.get(login).ok_or_else(|| Failure::new(format!("no key was made for {login}")))
    }

    /// A person with a key.
    pub(crate) fn person(&mut self, login: &str) -> Outcome {
        let key = self.new_key(login)?;
        self.knows_person(login);
        self.directory.person(login, &[&key])
    }

    /// An account with a uid of its own and a home.
    pub(crate) fn account(&mut self, name: &str) -> Outcome<u32> {
        let uid = self.next_id();
        self.knows_account(name);
        self.world.home(name, uid, 7000)?;
        self.directory.account(name, &uid.to_string(), GID)?;
        Ok(uid)
    }

    /// A group with a gid of its own.
    pub(crate) fn group(&mut self, name: &str, members: &[Who]) -> Outcome<u32> {
        let gid = self.next_id();
        self.directory.group(name, gid, members)?;
        Ok(gid)
    }

    /// A person about whom the end of the scenario asks.
    pub(crate) fn knows_person(&mut self, login: &str) {
        self.people.insert(login.to_owned());
    }

    /// An account about which the end of the scenario asks.
    pub(crate) fn knows_account(&mut self, name: &str) {
        self.accounts.insert(name.to_owned());
    }

    /// One more access rule; it holds until the scenario ends.
    pub(crate) fn rule(&mut self, account: &str, roles: &str) {
        self.rules += &format!(
            "\n[[access]]\naccounts = [\"{account}\"]\n{roles}\nservices = [\"sshd\", \"su\", \"sudo\"]\n"
        );
        self.rules_are_new = true;
    }

    /// Members of this group may use the account.
    pub(crate) fn allow(&mut self, account: &str, role: &str) {
        self.rule(account, &format!("roles = [\"{role}\"]"));
    }

    /// Waits until what the directory says now counts.
    pub(crate) fn publish(&mut self) -> Outcome {
        if std::mem::take(&mut self.rules_are_new) {
            self.world.write(CONFIG, 0o644, format!("{}{}", self.host.site.config, self.rules))?;
            return self.host.daemon.reload(self.world);
        }
        self.host.daemon.sync()
    }

    /// `ssh account@host command` with the key of a person.
    pub(crate) fn ssh(&self, login: &str, account: &str, command: &[&str]) -> Outcome<Ended> {
        self.host.sshd.ssh(account, self.key(login)?, command)
    }

    /// The person gets in, and the log says so and why.
    pub(crate) fn is_in(&self, login: &str, account: &str, role: &str) -> Outcome {
        self.is_in_as(login, login, account, role)
    }

    /// The same for the key of one name and the person of another.
    pub(crate) fn is_in_as(&self, key: &str, login: &str, account: &str, role: &str) -> Outcome {
        let mark = self.world.log().mark();
        let said = || format!("{login} should be in");
        let ended = self.ssh(key, account, &["id", "-un"])?.expect_ok().doing(said())?;
        require_eq("the account of the session", ended.text(), account)?;
        let pairs = [("account", account), ("origin", login)];
        let record = self.world.log().wait_for(mark, "allow", &pairs).doing(said())?;
        // sshd records the end behind the back of its client: it is none of what comes next.
        self.world.log().wait_for(mark, "end", &[("session", record.get("session"))]).doing(said())?;
        let mut roles: Vec<&str> = record.get("role").split(',').collect();
        roles.sort_unstable();
        require_eq("the roles in the record", &roles.join(","), role)
    }

    /// The person is refused, and the log says so and why.
    pub(crate) fn is_out(&self, login: &str, account: &str, reason: &str) -> Outcome {
        let mark = self.world.log().mark();
        let said = || format!("{login} should be out: {reason}");
        self.ssh(login, account, &["true"])?.expect_refused().doing(said())?;
        let denied = [("account", account), ("reason", reason), ("key", self.key(login)?.fingerprint())];
        // The account phase, which decides about the account alone, knows no key.
        let pairs = if reason.starts_with("account_") { &denied[..2] } else { &denied[..] };
        let record = self.world.log().wait_for(mark, "deny", pairs).doing(said())?;
        let expected = if reason.starts_with("person_") || reason.ends_with("_role") { login } else { "" };
        require_eq("the origin in the record", record.get("origin"), expected)
    }

    /// After a second look there is exactly one alarm about the entry whose DN begins with this name.
    pub(crate) fn is_told_once(&mut self, mark: usize, name: &str) -> Outcome {
        self.world.log().wait_for_line(mark, &["alarm", name])?;
        self.publish()?;
        let is_about = |record: &Record| {
            let first = record.get("detail").split(',').next().unwrap_or_default();
            record.verb == "alarm" && first.split_once('=').is_some_and(|(_, value)| value == name)
        };
        let alarms = self.world.log().records_since(mark).into_iter().filter(is_about).collect::<Vec<_>>();
        require(alarms.len() == 1, || format!("{} alarms about {name}: {alarms:?}", alarms.len()))
    }

    /// Everything that is published about the people and accounts of the scenario, apart from number, age and order.
    fn published(&self) -> Outcome<Vec<String>> {
        let mut all = passwd_lines()?;
        all.extend(sorted_lines(&Program::new("getent").arg("group").run()?.expect_ok()?.stdout));
        all.extend(rows(&svcauth(&["accounts", "--json"])?.expect_ok()?.stdout)?);
        for (person, account) in self.people.iter().flat_map(|p| self.accounts.iter().map(move |a| (p, a))) {
            let asked = svcauth(&["explain", person, account, "--json"])?;
            all.push(format!("{person} {account}: {} {}{}", asked.code, told(&asked.stdout), asked.stderr));
        }
        let keys = self.people.iter().filter_map(|login| self.keys.get(login));
        for (account, key) in self.accounts.iter().flat_map(|a| keys.clone().map(move |k| (a, k))) {
            let words: Vec<&str> = key.public().split(' ').collect();
            if let [kind, blob, ..] = words.as_slice() {
                let asked = svcauth(&["ssh-keys", account, key.fingerprint(), kind, blob])?;
                all.push(format!("{account} {}: {}", key.fingerprint(), asked.stdout));
            }
        }
        Ok(all)
    }
}

/// All that `getent passwd` lists.
pub(crate) fn passwd_lines() -> Outcome<Vec<String>> {
    Ok(sorted_lines(&Program::new("getent").arg("passwd").run()?.expect_ok()?.stdout))
}

fn sorted_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

/// The rows of a list in JSON.
fn rows(text: &str) -> Outcome<Vec<String>> {
    let rows: Vec<Value> = serde_json::from_str(text)?;
    let mut rows: Vec<String> = rows.iter().map(Value::to_string).collect();
    rows.sort_unstable();
    Ok(rows)
}

/// An explanation without what every fetch changes.
fn told(text: &str) -> Value {
    let mut answer: Value = serde_json::from_str(text).unwrap_or_default();
    if let Some(answer) = answer.as_object_mut() {
        answer.retain(|name, _| !matches!(name.as_str(), "generation" | "age_seconds"));
    }
    answer
}

/// Fails with what only one of the two sides holds.
pub(crate) fn require_same(what: &str, got: &[String], expected: &[String]) -> Outcome {
    let only = |here: &[String], there: &[String]| {
        here.iter().filter(|line| !there.contains(line)).cloned().collect::<Vec<_>>().join("\n  ")
    };
    require(got == expected, || {
        format!("{what}\n  missing: {}\n  unexpected: {}", only(expected, got), only(got, expected))
    })
}
