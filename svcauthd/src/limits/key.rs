//! The options of a key of somebody who is limited (sshd(8), AUTHORIZED_KEYS FILE FORMAT).

use svcauth_core::policy::AccessRule;

use super::{FORCED, Forwards};

/// What no forward asks for: a name that never resolves (RFC 6761, 6.4).
const NOWHERE: &str = "svcauth.invalid:1";

/// What goes before the key of somebody whom these rules let in; `None`: nothing limits what it does.
///
/// sshd asks for keys before anybody can say from where: a rule with `from` may count or not. What counts anyway is what the
/// key allows, and where nothing does, what each of the rules allows. (The daemon knows the address when it decides about
/// commands.)
///
/// Measured with OpenSSH 9.2 and 10.0: `permitopen` stops `-L`, `-D`, `-W` to ports and to sockets, and leaves `-R` alone;
/// `permitlisten` stops `-R` of ports, and `-R` of a Unix socket it does not (the drop-in does).
#[must_use]
pub fn options(granting: &[&AccessRule]) -> Option<String> {
    let anywhere: Vec<_> = granting.iter().filter(|rule| rule.from.is_empty()).collect();
    let of = |rule: &&AccessRule| Forwards::of(rule.limits.as_ref());
    let (is_limited, forwards) = if anywhere.is_empty() {
        let least = granting.iter().fold(Forwards::ANYTHING, |least, rule| least.and(of(rule)));
        (granting.iter().any(|rule| rule.limits.is_some()), least)
    } else {
        let all = anywhere.iter().fold(Forwards::NOTHING, |all, rule| all.or(of(rule)));
        (anywhere.iter().all(|rule| rule.limits.is_some()), all)
    };
    is_limited.then(|| said(forwards))
}

fn said(forwards: Forwards) -> String {
    let mut all = vec!["restrict".to_owned(), "pty".to_owned(), format!("command=\"{FORCED}\"")];
    if forwards.local || forwards.remote {
        all.push("port-forwarding".to_owned());
    }
    match (forwards.local, forwards.remote) {
        (true, false) => all.push(format!("permitlisten=\"{NOWHERE}\"")),
        (false, true) => all.push(format!("permitopen=\"{NOWHERE}\"")),
        (true, true) | (false, false) => {}
    }
    if forwards.rest {
        all.extend(["agent-forwarding".to_owned(), "X11-forwarding".to_owned()]);
    }
    all.join(",")
}

#[cfg(test)]
mod tests {
    use super::options;
    use svcauth_core::command::{Forwarding, Limits};
    use svcauth_core::policy::{AccessRule, Need, Roles};

    fn rule(forwarding: Option<Forwarding>) -> AccessRule {
        AccessRule {
            line: 1,
            accounts: Vec::new(),
            roles: Roles::MemberOf,
            need: Need::Any,
            services: Vec::new(),
            hosts: Vec::new(),
            from: Vec::new(),
            limits: forwarding.map(|forwarding| Limits { forwarding, ..Limits::default() }),
        }
    }

    #[test]
    fn a_key_has_what_all_rules_together_allow_and_none_where_one_limits_nothing() {
        const FORCED: &str = "restrict,pty,command=\"/usr/bin/svcauth-shell --forced\"";
        let of = |rules: &[Option<Forwarding>]| {
            let rules: Vec<AccessRule> = rules.iter().copied().map(rule).collect();
            options(&rules.iter().collect::<Vec<_>>())
        };
        use Forwarding::{Any, Local, No, Remote};
        for (rules, more) in [
            (&[No][..], ""),
            (&[Local], ",port-forwarding,permitlisten=\"svcauth.invalid:1\""),
            (&[No, Remote], ",port-forwarding,permitopen=\"svcauth.invalid:1\""),
            (&[Local, Remote], ",port-forwarding"),
            (&[Local, Any], ",port-forwarding,agent-forwarding,X11-forwarding"),
        ] {
            let rules: Vec<_> = rules.iter().copied().map(Some).collect();
            assert_eq!(of(&rules), Some(format!("{FORCED}{more}")), "{rules:?}");
        }
        assert_eq!(of(&[Some(No), None]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn a_rule_for_some_addresses_gives_nothing_that_another_address_would_not_have() {
        let near = |forwarding| AccessRule { from: vec!["10.0.0.0/8".parse().unwrap()], ..rule(forwarding) };
        let of = |rules: &[AccessRule]| options(&rules.iter().collect::<Vec<_>>());
        let (no, local, any) = (Some(Forwarding::No), Some(Forwarding::Local), Some(Forwarding::Any));
        assert_eq!(of(&[near(None), rule(no)]), of(&[rule(no)]));
        assert_eq!(of(&[near(no), rule(None)]), None);
        assert_eq!(of(&[near(None)]), None);
        assert_eq!(of(&[near(local), near(any)]), of(&[rule(local)]));
        assert_eq!(of(&[near(no), near(None)]), of(&[rule(no)]));
    }
}
