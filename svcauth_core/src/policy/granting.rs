//! Which rules grant a request: their limits are those of whoever is let in.

use std::vec::Vec;

use super::judge::judge;
use super::{AccessRule, Account, Circumstances, Origin, Outcome, Policy, decide};

/// The rules that grant this request, in the order of the configuration: each limits it in its own way. None grant root's,
/// whom nothing keeps out, nor anybody's whom [`decide`] denies.
#[must_use]
pub fn granting<'p>(
    policy: &'p Policy,
    account: &Account,
    origin: Origin<'_>,
    at: &Circumstances<'_>,
) -> Vec<&'p AccessRule> {
    let person = match origin {
        Origin::Person(person) => Some(person),
        Origin::Local => None,
        Origin::Root | Origin::BesideSessions | Origin::Unproven(_) => return Vec::new(),
    };
    if !decide(policy, account, origin, at).is_allow() {
        return Vec::new();
    }
    let grants = |rule: &&AccessRule| matches!(judge(rule, account, person, at), Outcome::Granted(_));
    policy.rules.iter().filter(grants).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{HERE, account, person, policy, refs, rule};
    use super::super::{Need, Origin, Reason, Roles};
    use super::granting;
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn every_rule_that_would_have_granted_it_alone_is_named_and_no_other() {
        let of = |names: &[&str]| rule("deployer", Roles::Named(refs(names)), Need::Any);
        let nightly = super::AccessRule { services: vec!["cron".into()], ..of(&["foo"]) };
        let policy = policy(vec![of(&["foo"]), of(&["bar"]), of(&["foo", "baz"]), nightly]);
        let deployer = account("deployer", &[]);
        let places = |origin: Origin<'_>| {
            let place = |rule: &super::AccessRule| policy.rules.iter().position(|one| one == rule).unwrap();
            granting(&policy, &deployer, origin, &HERE).into_iter().map(place).collect::<Vec<_>>()
        };
        let (bob, ann) = (person("bob", &["foo"]), person("ann", &["bar", "baz"]));
        assert_eq!(places(Origin::Person(&bob)), [0, 2]);
        assert_eq!(places(Origin::Person(&ann)), [1, 2]);
        let off = super::super::Person { disabled: true, ..bob.clone() };
        for nobody in [Origin::Person(&off), Origin::Root, Origin::Local, Origin::Unproven(Reason::NoOrigin)]
        {
            assert!(places(nobody).is_empty(), "{nobody:?}");
        }
        let job = super::Circumstances { service: Some("cron"), ..HERE };
        assert_eq!(granting(&policy, &deployer, Origin::Local, &job).len(), 1);
    }
}
