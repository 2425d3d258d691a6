//! The accounts that access rules limit here.

use std::collections::BTreeSet;

use svcauth_core::command::Limits;
use svcauth_core::config::{WrittenRoles, WrittenRule};
use svcauth_core::name::check_account;
use svcauth_core::policy::Pattern;

use super::Forwards;

/// An account that a rule limits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Limited {
    /// Its name.
    pub name: String,
    /// What sshd may forward for those who may use it, all together.
    pub forwards: Forwards,
}

/// Whether somebody is let in by this rule on a host with these names.
fn counts(rule: &WrittenRule, hosts: &[&str]) -> bool {
    let named = |host: &&str| rule.hosts.iter().any(|pattern| pattern.matches_host(host));
    let allows_nobody = matches!(&rule.roles, WrittenRoles::Named(roles) if roles.is_empty());
    !allows_nobody && (rule.hosts.is_empty() || hosts.iter().any(named))
}

/// The rules that count on a host with these names.
#[must_use]
pub fn on_this_host<'a>(rules: &'a [WrittenRule], hosts: &[&str]) -> Vec<&'a WrittenRule> {
    rules.iter().filter(|rule| counts(rule, hosts)).collect()
}

/// Whether the text means itself alone, and can be the name of a managed account.
fn is_name(pattern: &Pattern) -> bool {
    check_account(pattern.as_str().as_bytes()).is_ok()
}

fn names(rule: &WrittenRule, account: &str) -> bool {
    rule.accounts.iter().any(|pattern| pattern.matches(account))
}

fn allowed(rule: &WrittenRule) -> Option<&Limits> {
    rule.limits.as_ref()
}

/// Each account that one of the rules limits, in alphabetical order: of the `managed` ones those whom a pattern of a rule
/// covers, and each that a rule has by name, whether the directory knows it already or not. One that `is_others` says
/// is a local user whom svcauth does not manage is none of them.
///
/// Patterns are about managed accounts only. sshd knows no such difference, so it gets the names that a pattern covers now
/// and never the pattern: a local user, or one of another directory, is not caught.
#[must_use]
pub fn limited(rules: &[&WrittenRule], managed: &[String], is_others: impl Fn(&str) -> bool) -> Vec<Limited> {
    let limiting: Vec<_> = rules.iter().filter(|rule| rule.limits.is_some()).collect();
    let by_name = limiting.iter().flat_map(|rule| &rule.accounts).filter(|pattern| is_name(pattern));
    let mut found: BTreeSet<&str> = by_name.map(Pattern::as_str).filter(|name| !is_others(name)).collect();
    let is_limited = |name: &&String| limiting.iter().any(|rule| names(rule, name));
    found.extend(managed.iter().filter(is_limited).map(String::as_str));
    // What is in the snapshot has been checked; a line of sshd_config is no place to rely on that.
    found.retain(|name| check_account(name.as_bytes()).is_ok());
    let account = |name: &str| {
        let by_sshd = rules.iter().filter(|rule| rule.services.iter().any(|service| service == "sshd"));
        let granting = by_sshd.filter(|rule| names(rule, name));
        let forwards = granting.fold(Forwards::NOTHING, |sum, rule| sum.or(Forwards::of(allowed(rule))));
        Limited { name: name.to_owned(), forwards }
    };
    found.into_iter().map(account).collect()
}

#[cfg(test)]
mod tests {
    use super::{Forwards, limited, on_this_host};
    use svcauth_core::config::Config;

    const HEAD: &str =
        "[directory]\nkind = \"ldif\"\nfile = \"/etc/d.ldif\"\n[accounts]\nid_range = \"7000-7999\"\n";

    fn shown(rules: &str) -> Vec<String> {
        let config = Config::parse(&format!("{HEAD}{rules}")).unwrap();
        let managed = ["app-one", "deployer", "jenkins"].map(str::to_owned);
        let rules = on_this_host(&config.access, &["web1.example.com", "web1"]);
        let show = |Forwards { local, remote, rest }: Forwards| {
            let mark = |is: bool, mark| if is { mark } else { "" };
            format!("{}{}{}", mark(local, "L"), mark(remote, "R"), mark(rest, "A"))
        };
        limited(&rules, &managed, |name| name == "local")
            .into_iter()
            .map(|it| format!("{} {}", it.name, show(it.forwards)).trim_end().to_owned())
            .collect()
    }

    fn rule(accounts: &str, more: &str) -> String {
        format!("[[access]]\naccounts = [{accounts}]\nroles = [\"r\"]\n{more}\n")
    }

    #[test]
    fn patterns_cover_managed_accounts_and_names_themselves() {
        let none: [&str; 0] = [];
        assert_eq!(shown(&rule("\"*\"", "")), none);
        assert_eq!(shown(&rule("\"*\"", "shell = \"deny\"")), ["app-one", "deployer", "jenkins"]);
        assert_eq!(
            shown(&rule("\"app-*\", \"later\", \"local\", \"root\"", "sftp = \"no\"")),
            ["app-one", "later"]
        );
    }

    #[test]
    fn what_may_be_forwarded_is_what_the_least_limiting_rule_for_sshd_on_this_host_says() {
        let both = |first: &str, second: &str| {
            shown(&format!("{}{}", rule("\"deployer\"", first), rule("\"dep*\"", second)))
        };
        assert_eq!(both("forwarding = \"local\"", "forwarding = \"remote\""), ["deployer LR"]);
        assert_eq!(both("forwarding = \"local\"", ""), ["deployer LRA"]);
        assert_eq!(both("forwarding = \"local\"", "hosts = [\"db*\"]"), ["deployer L"]);
        assert_eq!(both("forwarding = \"local\"", "services = [\"su\"]"), ["deployer L"]);
        assert_eq!(both("shell = \"deny\"\nservices = [\"su\"]", ""), ["deployer LRA"]);
        let none: [&str; 0] = [];
        assert_eq!(both("", "shell = \"deny\"\nhosts = [\"db*\"]"), none);
        let nobody = "[[access]]\naccounts = [\"deployer\"]\nroles = []\n";
        assert_eq!(shown(&format!("{nobody}{}", rule("\"deployer\"", "sftp = \"no\""))), ["deployer"]);
    }
}
