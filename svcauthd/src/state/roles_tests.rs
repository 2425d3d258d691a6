//! Which group a role is, now and after groups were renamed, deleted and made again.

use std::sync::Arc;

use svcauth_core::config::Config;
use svcauth_core::policy::Role;

use super::{RoleMemory, State, join, namesakes};
use crate::candidate::{Candidate, GroupEntry, Member, PersonEntry};

const OLD: &str = "5b2b1a9a-3c4d-103e-8f00-000000000001";
const NEW: &str = "S-1-5-21-1-2-3-1104";

/// Groups by id, name and the one member.
fn directory(groups: &[(&str, &str, &str)]) -> Candidate {
    let group = |(id, name, member): &(&str, &str, &str)| {
        let members = vec![Member::Login((*member).to_owned())];
        let (id, name) = ((*id).to_owned(), (*name).to_owned());
        Arc::new(GroupEntry {
            id,
            dn: format!("cn={},ou=groups", name.to_lowercase()),
            name,
            gid: None,
            members,
        })
    };
    let person = |login: &str| {
        let (id, dn) = (format!("id-{login}"), format!("uid={login}"));
        Arc::new(PersonEntry { id, dn, login: login.to_owned(), ..PersonEntry::default() })
    };
    Candidate {
        groups: groups.iter().map(group).collect(),
        people: ["alice", "bob"].map(person).to_vec(),
        ..Candidate::default()
    }
}

fn joined(groups: &[(&str, &str, &str)], word: &str, memory: &mut RoleMemory) -> (Candidate, State) {
    let rule = format!("[[access]]\naccounts = [\"*\"]\nroles = [\"{word}\"]\n");
    let config = Config::parse(&format!("[directory]\nkind = \"ldif\"\n{rule}")).unwrap();
    let candidate = directory(groups);
    let state = join(&candidate, &config, Vec::new(), memory);
    (candidate, state)
}

/// Who holds the role that a rule calls so.
fn holders(groups: &[(&str, &str, &str)], word: &str, memory: &mut RoleMemory) -> Vec<String> {
    let (_, state) = joined(groups, word, memory);
    let holds = state.people.iter().filter(|known| !known.person.held.is_empty());
    holds.map(|known| known.person.login.clone()).collect()
}

#[test]
fn a_renamed_group_stays_the_role_and_a_namesake_gets_nothing() {
    for word in ["application", " Application", "cn=Application, ou=groups"] {
        let mut memory = RoleMemory::default();
        assert_eq!(holders(&[(OLD, "Application", "alice")], word, &mut memory), ["alice"], "{word}");
        assert_eq!(holders(&[(OLD, "apps", "alice")], word, &mut memory), ["alice"], "{word}");
        let both = [(NEW, "application", "bob"), (OLD, "apps", "alice")];
        assert_eq!(holders(&both, word, &mut memory), ["alice"], "{word}");
        let (candidate, state) = joined(&both, word, &mut memory);
        assert_eq!(namesakes(&candidate, &state), []);
        assert_eq!(state.policy.roles[0].name, "apps");
        assert_eq!(state.policy.roles[0].words, [word.trim()]);
    }
}

#[test]
fn a_group_that_was_made_again_is_nobodys_role_until_it_is_approved() {
    let mut memory = RoleMemory::default();
    assert_eq!(holders(&[(OLD, "application", "bob")], "application", &mut memory), ["bob"]);
    let again = [(NEW, "Application", "bob")];
    for _ in 0..2 {
        assert_eq!(holders(&again, "application", &mut memory), [] as [&str; 0]);
        let (candidate, state) = joined(&again, "application", &mut memory);
        let expected = Role {
            name: "application".to_owned(),
            id: None,
            words: vec!["application".to_owned()],
            remembered: Some(OLD.to_owned()),
            namesake: Some(NEW.to_owned()),
        };
        assert_eq!(state.policy.roles, [expected]);
        let told = namesakes(&candidate, &state);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].dn, "cn=application,ou=groups");
        assert!(told[0].why.contains(OLD) && told[0].why.contains(NEW), "{}", told[0].why);
    }
    // The memory outlasts the daemon.
    let mut memory = RoleMemory::parse(&memory.to_text()).unwrap();
    assert_eq!(holders(&again, "application", &mut memory), [] as [&str; 0]);
    memory.keep("application", NEW);
    assert_eq!(holders(&again, "application", &mut memory), ["bob"]);
    // The first group comes back, and is a stranger now.
    assert_eq!(holders(&[(OLD, "application", "bob")], "application", &mut memory), [] as [&str; 0]);
}

#[test]
fn a_group_that_is_away_for_a_while_is_the_same_when_it_is_back() {
    let mut memory = RoleMemory::default();
    let group = [(OLD, "application", "bob")];
    assert_eq!(holders(&[], "application", &mut memory), [] as [&str; 0]);
    assert_eq!(holders(&group, "application", &mut memory), ["bob"]);
    let (_, state) = joined(&[], "application", &mut memory);
    assert_eq!(state.policy.roles[0].remembered.as_deref(), Some(OLD));
    assert_eq!(state.policy.roles[0].namesake, None);
    assert_eq!(holders(&group, "application", &mut memory), ["bob"]);
}

#[test]
fn an_id_in_a_rule_needs_no_memory_and_is_never_taken_for_a_name() {
    for id in [OLD, NEW] {
        let mut memory = RoleMemory::default();
        assert_eq!(holders(&[(id, "application", "bob")], &id.to_uppercase(), &mut memory), ["bob"]);
        assert_eq!(memory, RoleMemory::default());
        let other = if id == OLD { NEW } else { OLD };
        assert_eq!(holders(&[(other, id, "bob")], id, &mut memory), [] as [&str; 0], "{id}");
        assert_eq!(holders(&[(other, id, "alice"), (id, "application", "bob")], id, &mut memory), ["bob"]);
    }
}

#[test]
fn where_the_directory_has_no_ids_a_name_is_a_name() {
    let mut memory = RoleMemory::default();
    assert_eq!(
        holders(&[("cn=application,ou=groups", "application", "bob")], "application", &mut memory),
        ["bob"]
    );
    assert_eq!(
        holders(&[("cn=application,ou=other", "application", "bob")], "application", &mut memory),
        ["bob"]
    );
    assert_eq!(memory, RoleMemory::default());
    // But a directory that had ids and hides them now shows no group that was ever meant.
    let mut memory = RoleMemory::default();
    holders(&[(OLD, "application", "bob")], "application", &mut memory);
    let hidden = [("cn=application,ou=groups", "application", "bob")];
    assert_eq!(holders(&hidden, "application", &mut memory), [] as [&str; 0]);
    memory.keep("application", "cn=application,ou=groups");
    assert_eq!(holders(&hidden, "application", &mut memory), ["bob"]);
}
