//! Groups, people, and entries that claim the same thing.

use super::{ACCOUNT, KEY, entries, mapped, refusals};
use crate::candidate::Member;
use crate::directory::Fetched;
use crate::local_names::LocalNames;
use crate::mapping::map;
use nix::time::{ClockId, clock_gettime};
use std::fmt::Write as _;
use std::time::Duration;
use svcauth_core::config::Config;

#[test]
fn groups_of_this_host_are_refused_and_foreign_gids_leave_a_role() {
    let text = "dn: cn=app,dc=x\ncn: app\ngidNumber: 7100\nmember: UID=Bob, DC=x\nmember: uid=bob,dc=x\nmemberUid: carol\n\n\
        dn: cn=role,dc=x\ncn: role\n\ndn: cn=far,dc=x\ncn: Far Away\ngidNumber: 20001\n\ndn: cn=sudo,dc=x\ncn: Sudo\ngidNumber: 7101\n\n\
        dn: cn=wheel,dc=x\ncn: wheel\ngidNumber: 0\n\ndn: cn=staff2,dc=x\ncn: staff2\ngidNumber: 7600\n\ndn: cn=odd,dc=x\ncn: odd\nmemberUid: a b\nmemberUid: c d\nmemberUid: dave\n";
    let candidate = mapped("", text, "");
    let found: Vec<_> = candidate.groups.iter().map(|g| (g.name.as_str(), g.gid, g.members.len())).collect();
    assert_eq!(found, [("app", Some(7100), 2), ("Far Away", None, 0), ("odd", None, 1), ("role", None, 0)]);
    let members = candidate.groups.first().map(|group| group.members.clone());
    assert_eq!(members, Some(vec![Member::Dn("uid=bob,dc=x".into()), Member::Login("carol".into())]));
    assert_eq!(
        refusals(&candidate),
        [
            "cn=far,dc=x | gidNumber | \"20001\": is outside id_range 7000-7999; the group can be a role, but is no group of this host",
            "cn=odd,dc=x | memberUid | \"a b\": is no member that could be found; it is left out",
            "cn=staff2,dc=x | gidNumber | \"7600\": is the gid of a group of this host",
            "cn=sudo,dc=x | cn | \"Sudo\": is a group of this host; rename one of the two",
            "cn=wheel,dc=x | gidNumber | \"0\": is reserved for the system",
        ]
    );
}

#[test]
fn a_bad_key_does_not_hide_the_good_ones() {
    let text = format!(
        "dn: uid=bob\nuid: bob\nsshPublicKey:: /////w==\nsshPublicKey: {KEY} bob@laptop\nsshPublicKey: ssh-ed25519 AAAA\n\
         altSecurityIdentities: X509:<I>whatever\naltSecurityIdentities: sshkey:{KEY}\n\
         krbPrincipalName: bob@EXAMPLE.COM\nkrbPrincipalName: bob\nuserPrincipalName: bob@example.com\n"
    );
    let candidate = mapped("", "", &text);
    let [bob] = candidate.people.as_slice() else { panic!("one person") };
    assert_eq!(bob.fingerprints().len(), 1);
    assert!(bob.keys.iter().all(|key| key.starts_with("SHA256:")));
    assert_eq!(bob.principals, ["bob@EXAMPLE.COM", "bob@example.com"]);
    assert_eq!(refusals(&candidate).len(), 3, "{:?}", refusals(&candidate));
}

#[test]
fn two_entries_that_claim_one_thing_get_neither() {
    let accounts = "dn: uid=a\nuid: dup\nuidNumber: 7001\ngidNumber: 7001\n\ndn: uid=b\nuid: DUP\nuidNumber: 7002\ngidNumber: 7001\n\n\
        dn: uid=c\nuid: c\nuidNumber: 7003\ngidNumber: 7001\n\ndn: uid=d\nuid: d\nuidNumber: 7003\ngidNumber: 7001\n\ndn: uid=e\nuid: e\nuidNumber: 7005\ngidNumber: 7001\n";
    let groups = "dn: cn=g,ou=1\ncn: g\n\ndn: cn=g,ou=2\ncn: g\ngidNumber: 7100\n\ndn: cn=h\ncn: h\ngidNumber: 7101\n\ndn: cn=i\ncn: i\ngidNumber: 7101\n";
    let people = format!(
        "dn: uid=x,ou=1\nuid: x\nsshPublicKey: {KEY}\n\ndn: uid=y,ou=1\nuid: y\nsshPublicKey: {KEY} copy\nkrbPrincipalName: y@R\n\ndn: uid=z,ou=1\nuid: z\n\ndn: uid=z,ou=2\nuid: Z\n"
    );
    let candidate = mapped(accounts, groups, &people);
    assert_eq!(candidate.accounts.iter().map(|a| a.name.as_str()).collect::<Vec<_>>(), ["e"]);
    assert_eq!(candidate.groups.len(), 0);
    let people: Vec<_> =
        candidate.people.iter().map(|p| (p.login.as_str(), p.keys.len(), p.principals.len())).collect();
    assert_eq!(people, [("x", 0, 0), ("y", 0, 1)]);
    assert_eq!(candidate.refused.len(), 4 + 4 + 2 + 2);
    let all = refusals(&candidate);
    assert!(
        all.contains(&"uid=a | uid | \"dup\": is also that of \"uid=b\"; neither entry is used".to_owned()),
        "{all:?}"
    );
}

#[test]
fn a_shared_account_never_becomes_the_person_behind_a_session() {
    let account = format!("dn: uid=deployer\n{ACCOUNT}sshPublicKey: {KEY}\n");
    let human = "dn: uid=bob\nuid: bob\nuidNumber: 20001\ngidNumber: 20001\n";
    let both = format!("{account}\n{human}");
    let candidate = mapped(&both, "", &both);
    assert_eq!(candidate.accounts.len(), 1);
    assert_eq!(candidate.people.iter().map(|p| p.login.as_str()).collect::<Vec<_>>(), ["bob"]);
}

#[test]
fn an_attribute_may_have_several_names_of_which_the_dn_picks_one() {
    let candidate =
        mapped("", "", "dn: uid=Bob,dc=x\nuid: robert\nuid: bob\n\ndn: cn=c,dc=x\nuid: c1\nuid: c2\n");
    assert_eq!(candidate.people.iter().map(|p| p.login.as_str()).collect::<Vec<_>>(), ["bob"]);
    assert_eq!(refusals(&candidate), ["cn=c,dc=x | uid | has 2 values; one is expected"]);
}

#[test]
fn a_hundred_thousand_accounts_are_mapped_in_moments() {
    // Of the processor: what else runs does not count.
    let [some, all] = [10_000, 100_000].map(time_to_map);
    // Ten times as much, and a little more; quadratic time would be a hundred times as much.
    assert!(all < some * 50, "{some:?} {all:?}");
}

/// What mapping so many accounts takes of this thread's processor.
fn time_to_map(count: usize) -> Duration {
    let mut text = String::new();
    for n in 0..count {
        let _ = write!(
            text,
            "dn: uid=svc{n},ou=accounts,dc=example,dc=com\nuid: svc{n}\nuidNumber: {}\ngidNumber: 100000\nhomeDirectory: /srv/svc{n}\n\n",
            100_000 + n
        );
    }
    let accounts = entries(&text);
    let config = Config::parse("[directory]\nkind = \"ldif\"\n[accounts]\nid_range = \"100000-299999\"\n[[access]]\naccounts = [\"*\"]\nroles = []\n").unwrap();
    let spent = || Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap());
    let start = spent();
    let candidate = map(Fetched { accounts, ..Fetched::default() }, &config, &LocalNames::default());
    assert_eq!((candidate.accounts.len(), candidate.refused.len()), (count, 0));
    spent() - start
}

#[test]
fn a_locked_person_is_locked_until_the_directory_takes_it_back() {
    let people = mapped(
        "",
        "",
        "dn: uid=a\nuid: a\npwdAccountLockedTime: 20250131120000Z\n\ndn: uid=b\nuid: b\npwdAccountLockedTime: 000001010000Z\n",
    );
    let found: Vec<_> = people.people.iter().map(|p| (p.disabled, p.locked_until)).collect();
    assert_eq!(found, [(false, Some(u64::MAX)), (true, Some(u64::MAX))]);
}
