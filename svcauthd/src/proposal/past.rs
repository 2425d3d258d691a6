//! Who was let in by which rule, asked later: of another configuration, or of a record.
//!
//! Roles are those that are held now and those that the record names, so that somebody who has left is judged by what let
//! them in then. What has happened to the person or the account since (disabled, expired, locked) is not asked: the question
//! is what the rules say.

use svcauth_core::config::{Config, WrittenRoles};
use svcauth_core::policy::{
    AccessRule, Account, Age, Circumstances, Decision, Held, Origin, Person, Policy, Reason, Role, RoleRef,
    Roles, Source, decide, granting,
};

use crate::trail::Entry;

/// What a policy says about those who are in the records.
#[derive(Clone, Copy, Debug)]
pub struct Past<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// All names of this host.
    pub hosts: &'a [&'a str],
}

/// How somebody stands under a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing<'a> {
    /// No rule lets them in, and what is missing.
    NotLetIn(Reason),
    /// These rules let them in.
    LetIn(Vec<&'a AccessRule>),
}

impl<'a> Past<'a> {
    /// How whoever is behind a record stands. `account` and `person` are what is known of them now.
    #[must_use]
    pub fn standing(
        &self,
        entry: &Entry,
        account: Option<&Account>,
        person: Option<&Person>,
    ) -> Standing<'a> {
        let account = self.account(entry, account);
        let person = self.person(entry, person);
        let service = entry.service.as_deref().unwrap_or("sshd");
        let at = Circumstances {
            service: Some(service),
            hosts: self.hosts,
            source: Source::of(service, entry.from.as_deref()),
            now: 0,
            age: Age(Some(0)),
        };
        let is_job = entry.origin_kind.as_deref() == Some("local");
        let origin = if is_job { Origin::Local } else { Origin::Person(&person) };
        match decide(self.policy, &account, origin, &at).decision {
            Decision::Allow => Standing::LetIn(granting(self.policy, &account, origin, &at)),
            Decision::Deny(reason) => Standing::NotLetIn(reason),
        }
    }

    fn account(&self, entry: &Entry, known: Option<&Account>) -> Account {
        let name = entry.account.clone().unwrap_or_default();
        let known = known.cloned().unwrap_or_else(|| Account { name, ..Account::default() });
        Account { disabled: false, expires: None, locked_until: None, ..known }
    }

    fn person(&self, entry: &Entry, known: Option<&Person>) -> Person {
        let login = entry.origin.as_deref().unwrap_or_default();
        let known = known.cloned().unwrap_or_else(|| Person::without_roles(login));
        let mut person = Person { disabled: false, expires: None, locked_until: None, ..known };
        let recorded = entry.role.as_deref().unwrap_or_default();
        for (index, role) in self.policy.roles.iter().enumerate() {
            let is_recorded = recorded == role.name || recorded.split(',').any(|name| name == role.name);
            let role = RoleRef(u32::try_from(index).unwrap_or(u32::MAX));
            if is_recorded && !person.holds(role) {
                person.held.push(Held { role, path: Vec::new() });
            }
        }
        person
    }
}

/// The published policy with the rules of another configuration in place of its own, and the roles of these rules that are
/// not published: nobody is known to hold them.
#[must_use]
pub fn with_rules(present: &Policy, config: &Config) -> (Policy, Vec<String>) {
    let mut policy = Policy { rules: Vec::new(), ..present.clone() };
    let mut unknown = Vec::new();
    for rule in &config.access {
        let roles = match &rule.roles {
            WrittenRoles::MemberOf => Roles::MemberOf,
            WrittenRoles::Named(words) => Roles::Named(
                words.iter().map(|word| by_word(&mut policy.roles, word, &mut unknown)).collect(),
            ),
        };
        policy.rules.push(AccessRule {
            line: rule.line,
            accounts: rule.accounts.clone(),
            roles,
            need: rule.need,
            services: rule.services.clone(),
            hosts: rule.hosts.clone(),
            from: rule.from.clone(),
            limits: rule.limits.clone(),
        });
    }
    (policy, unknown)
}

/// The role that a rule calls so: as a published rule does, or by name or id.
fn by_word(roles: &mut Vec<Role>, word: &str, unknown: &mut Vec<String>) -> RoleRef {
    let word = word.trim();
    let same = |text: &str| text.to_lowercase() == word.to_lowercase();
    let is_word = |role: &Role| role.words.iter().any(|known| known.trim() == word);
    let is_named =
        |role: &Role| role.id.is_some() && (same(&role.name) || role.id.as_deref().is_some_and(same));
    let found = roles.iter().position(is_word).or_else(|| roles.iter().position(is_named));
    let index = found.unwrap_or_else(|| {
        if !unknown.iter().any(|known| known == word) {
            unknown.push(word.to_owned());
        }
        roles.push(Role { name: word.to_owned(), words: vec![word.to_owned()], ..Role::default() });
        roles.len() - 1
    });
    RoleRef(u32::try_from(index).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::{Config, Entry, Held, Past, Person, Policy, Reason, Role, RoleRef, Standing, with_rules};
    use svcauth_core::policy::AuditMode;

    fn present() -> Policy {
        let role = |name: &str, word: &str| Role {
            name: name.to_owned(),
            id: Some(format!("id-{name}")),
            words: vec![word.to_owned()],
            ..Role::default()
        };
        Policy {
            roles: vec![role("application", "application"), role("ops", "cn=ops,dc=x")],
            rules: Vec::new(),
            max_stale: 60,
            audit: AuditMode::Required,
            trusted_ca: Vec::new(),
            key_id: None,
            id_range: Config::parse(&config("")).unwrap().accounts.id_range,
            local_accounts: Vec::new(),
        }
    }

    fn config(rules: &str) -> String {
        let none = "[[access]]\naccounts = [\"nobody\"]\nroles = []\n";
        format!("[directory]\nkind = \"ldif\"\n{none}{rules}")
    }

    fn entry(rest: &str) -> Entry {
        let text =
            format!(r#"{{"event":"command","account":"deployer","service":"sshd","origin":"bob"{rest}}}"#);
        serde_json::from_str(&text).unwrap()
    }

    fn lines(policy: &Policy, entry: &Entry, person: Option<&Person>) -> Result<Vec<u32>, Reason> {
        match (Past { policy, hosts: &["web1"] }).standing(entry, None, person) {
            Standing::LetIn(rules) => Ok(rules.iter().map(|rule| rule.line).collect()),
            Standing::NotLetIn(reason) => Err(reason),
        }
    }

    const RULES: &str = "[[access]]\naccounts = [\"deployer\"]\nroles = [\"application\"]\n\
        [[access]]\naccounts = [\"deployer\"]\nroles = [\"CN=ops,DC=x\", \"id-ops\", \"fresh\"]\nhosts = [\"web*\"]\n";

    #[test]
    fn somebody_stands_as_the_roles_of_now_and_of_the_record_say() {
        let (policy, unknown) = with_rules(&present(), &Config::parse(&config(RULES)).unwrap());
        assert_eq!(unknown, ["CN=ops,DC=x", "fresh"]);
        let held = |role| Held { role: RoleRef(role), path: Vec::new() };
        let bob = Person { held: vec![held(0)], ..Person::without_roles("bob") };
        assert_eq!(lines(&policy, &entry(""), Some(&bob)), Ok(vec![6]));
        assert_eq!(lines(&policy, &entry(r#","role":"ops""#), Some(&bob)), Ok(vec![6, 9]));
        let gone = Person { disabled: true, expires: Some(1), ..bob };
        assert_eq!(lines(&policy, &entry(""), Some(&gone)), Ok(vec![6]));
        assert_eq!(lines(&policy, &entry(r#","role":"ops""#), None), Ok(vec![9]));
        assert_eq!(lines(&policy, &entry(""), None), Err(Reason::NotInRole));
        assert_eq!(lines(&policy, &entry(r#","role":"fresh""#), None), Ok(vec![9]));
    }

    #[test]
    fn service_source_and_jobs_count_as_they_were_recorded() {
        let rules = "[[access]]\naccounts = [\"deployer\"]\nroles = [\"ops\"]\nservices = [\"su\"]\n\
            [[access]]\naccounts = [\"deployer\"]\nroles = [\"ops\"]\nfrom = [\"10.0.0.0/8\"]\n\
            [[access]]\naccounts = [\"deployer\"]\nroles = []\nservices = [\"cron\"]\n\
            [[access]]\naccounts = [\"deployer\"]\nroles = [\"ops\"]\nservices = [\"cron\"]\n";
        let (policy, _) = with_rules(&present(), &Config::parse(&config(rules)).unwrap());
        let of = |rest: &str| lines(&policy, &entry(&format!(r#","role":"ops"{rest}"#)), None);
        assert_eq!(of(r#","from":"10.1.2.3""#), Ok(vec![10]));
        assert_eq!(of(r#","from":"192.0.2.1""#), Err(Reason::SourceNotAllowed));
        let text = r#"{"event":"command","account":"deployer","service":"su","origin":"bob","role":"ops"}"#;
        assert_eq!(lines(&policy, &serde_json::from_str(text).unwrap(), None), Ok(vec![6]));
        let job = r#"{"event":"command","account":"deployer","service":"cron","origin":"deployer","origin_kind":"local"}"#;
        assert_eq!(lines(&policy, &serde_json::from_str(job).unwrap(), None), Ok(vec![18]));
    }
}
