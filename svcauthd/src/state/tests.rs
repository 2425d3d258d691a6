//! Joining, checking once more, and remembering what is gone.

use std::sync::Arc;

use svcauth_core::config::Config;
use svcauth_core::origin::Fingerprint;
use svcauth_core::policy::{Account, Circumstances, Decision, Origin, Reason, Source, decide};
use svcauth_core::policy::{Age, Roles};

use super::{MEMBERSHIPS_MAX, RoleMemory, State, is_tombstone, is_too_large, recheck, with_tombstones};
use crate::candidate::{AccountEntry, Candidate, GroupEntry, Member, PersonEntry};
use crate::local_names::LocalNames;

/// Joined as on a host that has never seen the directory.
fn join(candidate: &Candidate, config: &Config, trusted_ca: Vec<Fingerprint>) -> State {
    super::join(candidate, config, trusted_ca, &mut RoleMemory::default())
}

const HEAD: &str =
    "[directory]\nkind = \"ldif\"\nfile = \"/x.ldif\"\n[accounts]\nlocal_accounts = [\"postgres\"]\n";

fn config(rules: &str) -> Config {
    Config::parse(&format!("{HEAD}{rules}")).unwrap()
}

fn account(name: &str, uid: u32, member_of: &[&str]) -> Arc<AccountEntry> {
    Arc::new(AccountEntry {
        id: format!("id-{name}"),
        dn: format!("uid={name},ou=accounts"),
        name: name.to_owned(),
        uid,
        gid: 7000,
        home: format!("/home/{name}"),
        shell: "/bin/bash".to_owned(),
        member_of: member_of.iter().map(ToString::to_string).collect(),
        gecos: String::new(),
        disabled: false,
        ..AccountEntry::default()
    })
}

fn group(name: &str, gid: Option<u32>, members: Vec<Member>) -> Arc<GroupEntry> {
    Arc::new(GroupEntry {
        id: format!("id-{name}"),
        dn: format!("cn={name},ou=groups"),
        name: name.to_owned(),
        gid,
        members,
    })
}

fn person(login: &str) -> Arc<PersonEntry> {
    Arc::new(PersonEntry {
        id: format!("id-{login}"),
        dn: format!("uid={login},ou=people"),
        login: login.to_owned(),
        keys: Vec::new(),
        principals: Vec::new(),
        disabled: false,
        expires: None,
        locked_until: None,
        primary: None,
    })
}

fn dn(kind: &str, name: &str) -> Member {
    Member::Dn(match kind {
        "group" => format!("cn={name},ou=groups"),
        kind => format!("uid={name},ou={kind}"),
    })
}

/// application > ops > alice; application > bob (by login); a cycle between ops and night.
fn nested() -> Candidate {
    Candidate {
        accounts: vec![account("deployer", 7001, &[]), account("jenkins", 7002, &[])],
        groups: vec![
            group(
                "application",
                Some(7100),
                vec![dn("group", "ops"), Member::Login("bob".to_owned()), dn("accounts", "jenkins")],
            ),
            group("ops", None, vec![dn("people", "alice"), dn("group", "night")]),
            group("night", None, vec![dn("group", "ops"), dn("people", "nobody-there")]),
        ],
        people: vec![person("alice"), person("bob"), person("carol")],
        ..Candidate::default()
    }
}

fn verdict(state: &State, account: &str, login: &str) -> Decision {
    let account = state.accounts.iter().find(|known| known.name == account).unwrap();
    let person = state.people.iter().find(|known| known.person.login == login).unwrap();
    let at = Circumstances {
        service: Some("sshd"),
        hosts: &["web1"],
        source: Source::Local,
        now: 1000,
        age: Age(Some(0)),
    };
    decide(&state.policy, account, Origin::Person(&person.person), &at).decision
}

#[test]
fn a_role_is_held_through_nested_groups_and_the_way_is_told_and_cycles_end() {
    let config = config("[[access]]\naccounts = [\"deployer\"]\nroles = [\" Application \"]\n");
    let state = join(&nested(), &config, Vec::new());
    assert_eq!(verdict(&state, "deployer", "alice"), Decision::Allow);
    assert_eq!(verdict(&state, "deployer", "bob"), Decision::Allow);
    assert_eq!(verdict(&state, "deployer", "carol"), Decision::Deny(Reason::NotInRole));
    let alice = state.people.iter().find(|known| known.person.login == "alice").unwrap();
    assert_eq!(alice.person.held[0].path, ["ops", "application"]);
}

#[test]
fn groups_that_are_nested_without_end_cost_little_and_their_far_end_is_held_by_nobody() {
    let name = |index: usize| format!("g{index}");
    let around = |index: usize| match index {
        0 => dn("people", "alice"),
        index => dn("group", &name(index - 1)),
    };
    let nested =
        (0..2000).map(|index| group(&name(index), None, vec![around(index), dn("accounts", "deployer")]));
    let candidate = Candidate {
        accounts: vec![account("deployer", 7001, &[])],
        groups: nested.collect(),
        people: vec![person("alice")],
        ..Candidate::default()
    };
    let config = config("[[access]]\naccounts = [\"*\"]\nroles_from = \"memberOf\"\nneed = \"every\"\n");
    let state = join(&candidate, &config, Vec::new());
    let held = &state.people[0].person.held;
    assert_eq!(held[2].path, ["g0", "g1", "g2"]);
    let last = held.last().unwrap();
    assert_eq!((held.len(), last.path[0].as_str(), last.path.last().unwrap().as_str()), (64, "...", "g63"));
    assert!(held.iter().all(|held| held.path.len() <= 9));
    assert_eq!(state.accounts[0].roles.len(), 2000, "each role of the account is still asked for");
    assert_eq!(verdict(&state, "deployer", "alice"), Decision::Deny(Reason::MissingRole));
}

#[test]
fn a_few_entries_that_stand_for_billions_of_memberships_are_found_before_they_are_joined() {
    let everybody: Vec<Member> = (0..5001).map(|index| dn("people", &format!("p{index}"))).collect();
    let outer = |index| group(&format!("g{index}"), None, vec![dn("group", "all")]);
    let candidate = |groups: usize| Candidate {
        groups: std::iter::once(group("all", None, everybody.clone()))
            .chain((1..groups).map(outer))
            .collect(),
        people: (0..5001).map(|index| person(&format!("p{index}"))).collect(),
        ..Candidate::default()
    };
    assert!(!is_too_large(&nested()));
    assert!(999 * 5001 <= MEMBERSHIPS_MAX && !is_too_large(&candidate(999)));
    assert!(1000 * 5001 > MEMBERSHIPS_MAX && is_too_large(&candidate(1000)));
}

#[test]
fn getent_shows_people_and_accounts_of_a_group_flattened_and_groups_without_a_gid_are_not_shown() {
    let state =
        join(&nested(), &config("[[access]]\naccounts = [\"*\"]\nroles = [\"application\"]\n"), Vec::new());
    assert_eq!(state.groups.len(), 1);
    assert_eq!(state.groups[0].members, ["alice", "bob", "jenkins"]);
    let gids = |name: &str| state.passwd.iter().find(|entry| entry.name == name).unwrap().gids.clone();
    assert_eq!(gids("jenkins").len(), 1);
    assert!(gids("deployer").is_empty());
}

#[test]
fn a_group_that_is_called_like_the_id_of_another_one_does_not_take_its_place() {
    let config = config("[[access]]\naccounts = [\"deployer\"]\nroles = [\"S-1-5-21-7-1104\"]\n");
    let mut real = group("application", None, vec![dn("people", "alice")]);
    Arc::make_mut(&mut real).id = "S-1-5-21-7-1104".to_owned();
    let namesake = group("s-1-5-21-7-1104", None, vec![dn("people", "carol")]);
    for groups in [vec![real.clone(), namesake.clone()], vec![namesake, real]] {
        let state = join(&Candidate { groups, ..nested() }, &config, Vec::new());
        assert_eq!(verdict(&state, "deployer", "alice"), Decision::Allow);
        assert_eq!(verdict(&state, "deployer", "carol"), Decision::Deny(Reason::NotInRole));
    }
}

#[test]
fn a_rule_that_names_an_unknown_group_allows_nobody() {
    let state =
        join(&nested(), &config("[[access]]\naccounts = [\"*\"]\nroles = [\"aplication\"]\n"), Vec::new());
    assert_eq!(state.policy.roles[0].id, None);
    assert_eq!(verdict(&state, "deployer", "bob"), Decision::Deny(Reason::NotInRole));
}

#[test]
fn roles_by_name_dn_and_id_are_one_role() {
    let rules = "[[access]]\naccounts = [\"*\"]\nroles = [\"APPLICATION\", \"CN=application, OU=groups\", \"id-application\"]\n";
    let state = join(&nested(), &config(rules), Vec::new());
    assert_eq!(state.policy.roles.len(), 1);
    assert_eq!(verdict(&state, "deployer", "bob"), Decision::Allow);
}

#[test]
fn an_accounts_own_roles_are_its_groups_and_its_member_of_and_an_unknown_one_locks_it() {
    let mut candidate = nested();
    candidate.accounts.push(account("alfred", 7003, &["cn=ops,ou=groups", "nowhere"]));
    let state = join(
        &candidate,
        &config("[[access]]\naccounts = [\"*\"]\nroles_from = \"memberOf\"\nneed = \"every\"\n"),
        Vec::new(),
    );
    assert_eq!(state.policy.rules[0].roles, Roles::MemberOf);
    assert_eq!(verdict(&state, "jenkins", "alice"), Decision::Allow);
    assert_eq!(verdict(&state, "deployer", "alice"), Decision::Deny(Reason::NoRoles));
    assert_eq!(verdict(&state, "alfred", "alice"), Decision::Deny(Reason::MissingRole));
}

#[test]
fn what_the_worker_must_not_send_is_dropped_by_root_with_one_refusal_each() {
    let mut candidate = nested();
    let local = LocalNames::parse(
        "root:x:0:0:::\npostgres:x:112:112:::\nmallory:x:7050:7050:::\n",
        "root:x:0:\nsudo:x:27:\n",
    );
    candidate.accounts.extend([
        account("zero", 0, &[]),
        account("minus", u32::MAX, &[]),
        account("root", 7010, &[]),
        account("a:b", 7011, &[]),
        account("../x", 7012, &[]),
        account("new\nline", 7013, &[]),
        account("mallory", 7014, &[]),
        account("taken", 7050, &[]),
        account("twin", 7020, &[]),
        account("other", 7020, &[]),
        account("far", 9000, &[]),
    ]);
    candidate.groups.extend([group("sudo", Some(7101), Vec::new()), group("wheel0", Some(0), Vec::new())]);
    recheck(&mut candidate, &config("[[access]]\naccounts = [\"*\"]\nroles = []\n"), &local);
    let names: Vec<&str> = candidate.accounts.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["deployer", "jenkins"]);
    assert_eq!(candidate.groups.len(), 3);
    assert_eq!(candidate.refused.len(), 13, "{:?}", candidate.refused);
}

#[test]
fn a_local_account_is_managed_whether_or_not_the_directory_knows_it_and_is_never_shown() {
    let config = config("[[access]]\naccounts = [\"postgres\"]\nroles = [\"application\"]\n");
    let local = LocalNames::parse("postgres:x:112:112:::\n", "");
    let mut known = nested();
    known.accounts.push(account("postgres", 112, &[]));
    recheck(&mut known, &config, &local);
    for candidate in [nested(), known] {
        let state = join(&candidate, &config, Vec::new());
        assert_eq!(verdict(&state, "postgres", "bob"), Decision::Allow);
        assert!(!state.passwd.iter().any(|entry| entry.name == "postgres"));
        assert_eq!(state.accounts.iter().find(|known| known.name == "postgres").unwrap().uid, None);
    }
}

#[test]
fn a_removed_account_stays_disabled_for_a_day_unless_it_became_a_local_one() {
    let config = config("[[access]]\naccounts = [\"*\"]\nroles = [\"application\"]\n");
    let mut candidate = nested();
    let before = join(&candidate, &config, Vec::new()).accounts;
    candidate.accounts.retain(|entry| entry.name != "jenkins");
    let state = join(&candidate, &config, Vec::new());
    let remembered = |last: &[Account], now| with_tombstones(state.accounts.clone(), last, now, |_| false);
    let first = remembered(&before, 1_000_000);
    let jenkins = first.iter().find(|known| known.name == "jenkins").unwrap();
    assert!(jenkins.disabled && is_tombstone(jenkins) && jenkins.expires == Some(1_000_000));
    assert_eq!(remembered(&first, 1_000_000 + 86_399), first);
    assert!(!remembered(&first, 1_000_000 + 86_400).iter().any(|known| known.name == "jenkins"));
    assert!(
        !with_tombstones(state.accounts.clone(), &before, 1_000_000, |_| true)
            .iter()
            .any(|known| known.name == "jenkins")
    );
}

#[test]
fn a_key_or_principal_of_two_people_names_neither_and_does_not_stop_the_publication() {
    let config = config("[[access]]\naccounts = [\"*\"]\nroles = [\"application\"]\n");
    let key = |text: &[u8]| svcauth_core::origin::Fingerprint::of(text).to_string();
    let mut candidate = nested();
    Arc::make_mut(&mut candidate.people[0]).keys = vec![key(b"own"), key(b"shared"), key(b"own")];
    Arc::make_mut(&mut candidate.people[1]).keys = vec![key(b"shared")];
    Arc::make_mut(&mut candidate.people[0]).principals = vec!["x@REALM".to_owned()];
    Arc::make_mut(&mut candidate.people[1]).principals = vec!["x@REALM".to_owned()];
    recheck(&mut candidate, &config, &LocalNames::default());
    assert_eq!(candidate.people[0].keys, [key(b"own")]);
    assert!(candidate.people[1].keys.is_empty() && candidate.people[0].principals.is_empty());
    assert_eq!(candidate.refused.len(), 4, "{:?}", candidate.refused);
    let state = join(&candidate, &config, Vec::new());
    let stamp = svcauth_core::snapshot::Stamp {
        generation: 1,
        created: 1,
        seed: [1, 2],
        id_range: config.accounts.id_range,
        counts: [0; 3],
    };
    assert!(super::to_files(state, stamp).is_ok());
}
