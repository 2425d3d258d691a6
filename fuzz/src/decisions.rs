//! What has to hold for every decision, whatever the policy, the account and the person are.

use svcauth_core::policy::{
    Account, Age, Circumstances, Decision, Origin, Person, Policy, Reason, Source, decide, decide_target,
    explain, flip,
};
use svcauth_core::snapshot::access::KnownPerson;

const NOW: u64 = 1_700_000_000;

/// Decides for a few of each; many more would only be slow.
pub fn check(policy: &Policy, accounts: &[Account], people: &[KnownPerson]) {
    for account in accounts.iter().take(4) {
        for known in people.iter().take(4) {
            for service in ["sshd", "sudo-i", "cron"] {
                for source in [Source::Address([10, 1, 2, 3].into()), Source::Local] {
                    let at = Circumstances {
                        service: Some(service),
                        hosts: &["web1", "web1.example.com"],
                        source,
                        now: NOW,
                        age: Age(Some(60)),
                    };
                    one(policy, account, &known.person, &at);
                }
            }
        }
    }
}

fn one(policy: &Policy, account: &Account, person: &Person, at: &Circumstances<'_>) {
    let verdict = decide(policy, account, Origin::Person(person), at);
    let target = decide_target(policy, account, at);
    if verdict.is_allow() {
        assert!(target.is_allow(), "a person makes an unusable account usable");
        assert!(!person.disabled && !account.disabled && at.age.0.unwrap() <= policy.max_stale);
        assert!(person.expires.is_none_or(|end| end > NOW) && account.expires.is_none_or(|end| end > NOW));
        assert!(account.locked_until.is_none_or(|end| end <= NOW));
        let here = |host: &String| host == "*" || host.eq_ignore_ascii_case("web1") || host.contains('.');
        assert!(account.hosts.as_ref().is_none_or(|hosts| hosts.iter().any(here)));
        assert!(!verdict.roles.is_empty(), "allowed by no role");
        assert!(verdict.roles.iter().all(|role| person.holds(*role)));
        let mut stranger = person.clone();
        stranger.held.clear();
        assert!(!decide(policy, account, Origin::Person(&stranger), at).is_allow());
    }
    let unproven = decide(policy, account, Origin::Unproven(Reason::NoOrigin), at);
    assert!(!unproven.is_allow());
    let unknown = Circumstances { age: Age(None), ..*at };
    let stale = decide(policy, account, Origin::Person(person), &unknown);
    assert_eq!(stale.decision, Decision::Deny(Reason::Stale));
    for trace in explain(policy, account, person, at) {
        assert!(trace.rule < policy.rules.len());
    }
    let _ = flip(policy, account, person, at);
}
