//! Access rules about names that svcauth does not manage, or that PAM does not know: whoever wrote them believes in what is not.

use std::path::Path;

use svcauth_core::config::{Managed, WrittenRule, nearest};
use svcauth_host::host_names::host_names;
use svcauth_host::paths;

use super::{Finding, Host, Site, lint, pam};
use crate::limits;
use crate::local_names::LocalNames;
use crate::pam_stack::Reader;

pub(super) fn examine(host: &Host, site: &Site) -> Vec<Finding> {
    let (Some(loaded), Some(managed)) = (&site.loaded, &site.managed) else { return Vec::new() };
    let names = host_names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let rules = limits::on_this_host(&loaded.config.access, &names);
    let users = LocalNames::parse(&host.text("/etc/passwd").unwrap_or_default(), "");
    let accounts: Vec<&str> = site.accounts.iter().map(|account| account.name.as_str()).collect();
    // Without data nobody knows what the directory has.
    let accounts = site.access.as_ref().map(|_| accounts.as_slice());
    let services = Reader::new(host.root()).services();
    let mut found: Vec<Finding> =
        rules.iter().flat_map(|rule| of_rule(rule, managed, &users, accounts)).collect();
    found.extend(rules.iter().filter_map(|rule| unknown_services(rule, &services)));
    found
}

/// Services that have no file here, and that nobody installs under that name: `here` are those that have one.
fn unknown_services(rule: &WrittenRule, here: &[String]) -> Option<Finding> {
    let here: Vec<&str> = here.iter().map(String::as_str).collect();
    let known = pam::well_known();
    let unknown: Vec<&str> = rule
        .services
        .iter()
        .map(String::as_str)
        .filter(|name| !here.contains(name) && !known.contains(name))
        .collect();
    let first = unknown.first()?;
    let what = format!(
        "this rule is about the service {}, which has no file in /etc/pam.d: it lets nobody in through it",
        unknown.join(", ")
    );
    let fix = match nearest(first, &here).or_else(|| nearest(first, &known)) {
        Some(name) => {
            format!("did you mean {name} in the place of {first}? Write that, or leave it for later")
        }
        None => "correct the name (ls /etc/pam.d), or leave it for later".to_owned(),
    };
    let line = usize::try_from(rule.line).unwrap_or_default();
    Some(lint::RULE_UNKNOWN_SERVICE.at(Path::new(paths::CONFIG), line, what, fix))
}

/// `accounts`: those that are managed here, if that is known.
fn of_rule(
    rule: &WrittenRule,
    managed: &Managed,
    users: &LocalNames,
    accounts: Option<&[&str]>,
) -> Vec<Finding> {
    let line = usize::try_from(rule.line).unwrap_or_default();
    let at =
        |lint: &lint::Lint, what, fix: &str| lint.at(Path::new(paths::CONFIG), line, what, fix.to_owned());
    let is_name = |text: &&str| !text.contains(['*', '?']);
    let names = rule.accounts.iter().map(|pattern| pattern.as_str()).filter(is_name);
    let of = |name: &str| {
        if managed.local_accounts.iter().any(|local| local == name) {
            return None;
        }
        if users.has_user(name) {
            let what = format!(
                "this rule is about {name}, who is a user of /etc/passwd and not in local_accounts: it neither lets anybody in nor \
                 limits anything"
            );
            let fix = "add the name to local_accounts, or take it out of the rule";
            return Some(at(&lint::RULE_UNMANAGED, what, fix));
        }
        if accounts.is_none_or(|accounts| accounts.contains(&name)) {
            return None;
        }
        let what = format!("this rule is about {name}, and no managed account has that name");
        Some(at(
            &lint::RULE_UNKNOWN_ACCOUNT,
            what,
            "correct the name (svcauth accounts lists them), or leave it for later",
        ))
    };
    names.filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use svcauth_core::config::Config;

    use super::{LocalNames, of_rule, unknown_services};

    fn codes(accounts: &str, known: Option<&[&str]>) -> Vec<(&'static str, Option<usize>)> {
        let config = format!(
            "[directory]\nkind = \"ldif\"\nfile = \"/etc/d.ldif\"\n[accounts]\nid_range = \"7000-7999\"\n\
             local_accounts = [\"postgres\"]\n[[access]]\naccounts = [{accounts}]\nroles = [\"r\"]\n"
        );
        let config = Config::parse(&config).unwrap();
        let users = LocalNames::parse("postgres:x:112:113::/:/bin/sh\nbackup:x:34:34::/:/bin/sh\n", "");
        let found = of_rule(&config.access[0], &config.managed(), &users, known);
        found.iter().map(|found| (found.code, found.place.clone().unwrap().1)).collect()
    }

    #[test]
    fn a_rule_about_somebody_who_is_not_managed_is_named_with_its_line() {
        let known = Some(&["deployer"][..]);
        assert_eq!(codes("\"deployer\", \"postgres\", \"*\", \"back*\"", known), []);
        assert_eq!(codes("\"deployer\", \"backup\"", known), [("rule_unmanaged", Some(7))]);
        assert_eq!(codes("\"deploier\"", known), [("rule_unknown_account", Some(7))]);
        // Without data nobody knows who is missing.
        assert_eq!(codes("\"deploier\", \"backup\"", None), [("rule_unmanaged", Some(7))]);
    }

    #[test]
    fn a_service_without_a_file_is_named_with_the_one_that_was_meant() {
        let found = |services: &str| {
            let config = format!(
                "[directory]\nkind = \"ldif\"\nfile = \"/etc/d.ldif\"\n[accounts]\nid_range = \"7000-7999\"\n\
                 [[access]]\naccounts = [\"*\"]\nroles = [\"r\"]\n{services}"
            );
            let config = Config::parse(&config).unwrap();
            let here = ["common-auth", "mine", "sshd", "su"].map(str::to_owned);
            unknown_services(&config.access[0], &here)
        };
        // Those of a rule that names none, and those that this host does not have: sudo is not installed here.
        for fine in ["", "services = [\"sshd\", \"mine\", \"sudo\", \"vsftpd\"]\n"] {
            assert_eq!(found(fine), None, "{fine}");
        }
        let ssh = found("services = [\"sudo\", \"ssh\"]\n").unwrap();
        assert_eq!((ssh.code, ssh.place.unwrap().1), ("rule_unknown_service", Some(6)));
        assert!(
            ssh.what.contains("service ssh,") && ssh.fix.contains("did you mean sshd"),
            "{} {}",
            ssh.what,
            ssh.fix
        );
        let other = found("services = [\"payroll\", \"ssh\"]\n").unwrap();
        assert!(other.what.contains("payroll, ssh") && other.fix.contains("ls /etc/pam.d"), "{}", other.fix);
    }
}
