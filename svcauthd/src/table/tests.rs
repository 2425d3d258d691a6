//! Changes leave the table as a whole answer of the same directory would.

use std::sync::Arc;

use super::{Staged, Table};
use crate::candidate::{AccountEntry, Candidate, GroupEntry, Member, PersonEntry, Refusal};
use crate::directory::{Extent, Kind};
use crate::job::{Part, Refused};

fn person(id: &str, name: &str) -> PersonEntry {
    PersonEntry { id: id.into(), dn: format!("uid={name}"), login: name.into(), ..PersonEntry::default() }
}

fn account(name: &str, member_of: &[&str]) -> AccountEntry {
    let member_of = member_of.iter().map(|group| format!("cn={group}")).collect();
    let (id, dn) = (format!("id-{name}"), format!("uid={name}"));
    AccountEntry { id, dn, name: name.into(), member_of, ..AccountEntry::default() }
}

fn group(id: &str, name: &str, members: &[&str]) -> GroupEntry {
    let members = members.iter().map(|dn| Member::Dn((*dn).to_owned())).collect();
    GroupEntry { id: id.into(), dn: format!("cn={name}"), name: name.into(), gid: None, members }
}

fn refused(kind: Kind, id: &str, is_dropped: bool) -> Part {
    let refusals = vec![Refusal { dn: id.into(), what: "uid".into(), why: "is odd".into() }];
    Part::Refused(vec![Refused { kind, id: id.into(), is_dropped, refusals }])
}

fn gone(kind: Kind, ids: &[&str]) -> Part {
    Part::Gone { kind, ids: ids.iter().map(ToString::to_string).collect() }
}

fn present(kind: Kind, ids: &[&str]) -> Part {
    Part::Present { kind, ids: ids.iter().map(ToString::to_string).collect() }
}

fn relisted(names: &[&str]) -> Part {
    Part::Relisted(names.iter().map(ToString::to_string).collect())
}

fn staged(extent: Extent, parts: Vec<Part>) -> Staged {
    let mut staged = Staged::default();
    staged.add(Part::Begin(extent));
    parts.into_iter().for_each(|part| staged.add(part));
    staged
}

fn whole(parts: Vec<Part>) -> Table {
    let mut table = Table::default();
    table.apply(staged(Extent::Whole, parts));
    table
}

/// deployer, in application by both sides' word; alice and bob in application.
fn example() -> Table {
    whole(vec![
        Part::Accounts(vec![account("deployer", &["application"])]),
        Part::Groups(vec![group("g1", "application", &["uid=alice", "uid=bob", "uid=deployer"])]),
        Part::People(vec![person("p1", "alice"), person("p2", "bob")]),
    ])
}

fn changed(table: &mut Table, parts: Vec<Part>) -> (bool, Candidate) {
    let changed = table.apply(staged(Extent::Changes, parts));
    (changed, table.candidate())
}

fn members(candidate: &Candidate, id: &str) -> Vec<String> {
    let group = candidate.groups.iter().find(|group| group.id == id).unwrap();
    let name = |member: &Member| match member {
        Member::Dn(dn) => dn.trim_start_matches("uid=").to_owned(),
        Member::Login(login) => format!("login {login}"),
    };
    group.members.iter().map(name).collect()
}

#[test]
fn entries_come_change_and_go_by_their_ids_and_the_rest_stays() {
    let mut table = example();
    let mut bob = person("p2", "bob");
    bob.disabled = true;
    let parts = vec![
        Part::People(vec![bob, person("p3", "carol")]),
        gone(Kind::Accounts, &["id-deployer", "never-heard-of"]),
    ];
    let (is_changed, now) = changed(&mut table, parts.clone());
    assert!(is_changed);
    assert!(now.accounts.is_empty());
    let people: Vec<_> = now.people.iter().map(|person| (person.login.as_str(), person.disabled)).collect();
    assert_eq!(people, [("alice", false), ("bob", true), ("carol", false)]);
    assert!(!changed(&mut table, parts).0, "the same changes once more change nothing");
    assert!(!changed(&mut table, Vec::new()).0);
}

#[test]
fn who_is_deleted_is_in_no_group_any_more_and_whoever_gets_the_name_is_not_either() {
    let mut table = example();
    let (_, now) = changed(&mut table, vec![gone(Kind::People, &["p2"])]);
    assert_eq!(members(&now, "g1"), ["alice", "deployer"]);
    let (_, now) = changed(&mut table, vec![Part::People(vec![person("p9", "bob")]), relisted(&["uid=bob"])]);
    assert_eq!(now.people.len(), 2);
    assert_eq!(members(&now, "g1"), ["alice", "deployer"]);
}

#[test]
fn a_namesake_in_the_same_answer_inherits_nothing() {
    let mut table = example();
    let parts =
        vec![gone(Kind::People, &["p2"]), Part::People(vec![person("p9", "bob")]), relisted(&["uid=bob"])];
    let (_, now) = changed(&mut table, parts);
    assert_eq!(members(&now, "g1"), ["alice", "deployer"]);
    // A whole answer had mixed two moments: the table believes that the group means the new bob.
    let mut table = example();
    let (_, now) = changed(&mut table, vec![Part::People(vec![person("p2", "bob")]), relisted(&["uid=bob"])]);
    assert_eq!(members(&now, "g1"), ["alice", "deployer"], "no group that lists him was sent");
}

#[test]
fn who_is_renamed_keeps_the_groups_that_list_the_new_name_and_the_old_name_is_free() {
    let mut table = example();
    let new = group("g1", "application", &["uid=alice", "uid=robert", "uid=deployer"]);
    let parts = vec![
        Part::People(vec![person("p2", "robert"), person("p9", "bob")]),
        Part::Groups(vec![new]),
        relisted(&["uid=robert", "uid=bob"]),
    ];
    let (_, now) = changed(&mut table, parts);
    assert_eq!(members(&now, "g1"), ["alice", "robert", "deployer"]);
    assert_eq!(now.people.len(), 3);
}

#[test]
fn a_directory_that_keeps_no_references_leaves_the_renamed_one_without_the_group() {
    let mut table = example();
    let parts = vec![Part::People(vec![person("p2", "robert")]), relisted(&["uid=robert"])];
    let (_, now) = changed(&mut table, parts);
    assert_eq!(members(&now, "g1"), ["alice", "deployer"]);
}

#[test]
fn what_an_account_says_of_its_groups_follows_the_groups() {
    let member_of = |candidate: &Candidate| candidate.accounts[0].member_of.clone();
    let mut table = example();
    let left = vec![Part::Groups(vec![group("g1", "application", &["uid=alice"])])];
    assert!(member_of(&changed(&mut table, left).1).is_empty(), "the group lists it no more");
    let mut table = example();
    assert!(member_of(&changed(&mut table, vec![gone(Kind::Groups, &["g1"])]).1).is_empty());
    let mut table = example();
    let renamed = group("g1", "app", &["uid=alice", "uid=deployer"]);
    assert_eq!(member_of(&changed(&mut table, vec![Part::Groups(vec![renamed])]).1), ["cn=app"]);
    let mut table = example();
    let same = vec![Part::Groups(vec![group("g1", "application", &["uid=deployer"])])];
    assert_eq!(member_of(&changed(&mut table, same).1), ["cn=application"]);
    let mut table = example();
    let fresh = vec![
        Part::Accounts(vec![account("deployer", &["application", "ops"])]),
        Part::Groups(vec![group("g1", "application", &[])]),
    ];
    let now = changed(&mut table, fresh).1;
    assert_eq!(member_of(&now), ["cn=application", "cn=ops"], "its own word in the same answer stands");
}

#[test]
fn a_list_of_what_is_still_there_removes_everything_else() {
    let mut table = example();
    let parts = vec![
        Part::People(vec![person("p3", "carol")]),
        present(Kind::People, &["p1"]),
        present(Kind::People, &["p7"]),
    ];
    let (_, now) = changed(&mut table, parts);
    let people: Vec<_> = now.people.iter().map(|person| person.login.as_str()).collect();
    assert_eq!(people, ["alice", "carol"]);
    assert_eq!(members(&now, "g1"), ["alice", "deployer"]);
    assert_eq!(now.accounts.len(), 1, "other kinds were not listed");
    let (_, now) = changed(&mut table, vec![Part::Present { kind: Kind::People, ids: Vec::new() }]);
    assert!(now.people.is_empty());
}

#[test]
fn an_entry_that_is_refused_now_is_not_used_and_a_repaired_one_is() {
    let mut table = example();
    let (is_changed, now) = changed(&mut table, vec![refused(Kind::Accounts, "id-deployer", true)]);
    assert!(is_changed && now.accounts.is_empty());
    assert_eq!(now.refused.len(), 1);
    let again = vec![refused(Kind::Accounts, "id-deployer", true)];
    assert!(!changed(&mut table, again).0, "refused as before");
    let (is_changed, now) =
        changed(&mut table, vec![Part::Accounts(vec![account("deployer", &["application"])])]);
    assert!(is_changed && now.refused.is_empty());
    assert_eq!(now.accounts.len(), 1);
    let odd = vec![Part::People(vec![person("p1", "alice")]), refused(Kind::People, "p1", false)];
    let (is_changed, now) = changed(&mut table, odd);
    assert!(is_changed && now.people.len() == 2, "one odd value takes nobody away");
    assert_eq!(now.refused.len(), 1);
    assert!(changed(&mut table, vec![gone(Kind::People, &["p1"])]).1.refused.is_empty());
}

#[test]
fn the_last_word_about_an_entry_in_one_answer_counts() {
    let mut table = example();
    let (_, now) = changed(
        &mut table,
        vec![
            Part::People(vec![person("p3", "carol")]),
            gone(Kind::People, &["p3", "p1"]),
            Part::People(vec![person("p1", "alice")]),
            refused(Kind::People, "p2", true),
            Part::People(vec![person("p2", "bob")]),
        ],
    );
    let people: Vec<_> = now.people.iter().map(|person| person.login.as_str()).collect();
    assert_eq!(people, ["alice", "bob"]);
    assert!(now.refused.is_empty());
}

#[test]
fn in_a_whole_answer_one_id_with_two_entries_is_neither() {
    let table = whole(vec![
        Part::People(vec![person("p1", "alice"), person("p1", "alice"), person("p2", "bob")]),
        Part::People(vec![person("p2", "mallory"), person("p2", "third")]),
    ]);
    let now = table.candidate();
    assert_eq!(now.people.len(), 1);
    assert_eq!(now.refused.len(), 3, "{:?}", now.refused);
    assert!(now.refused.iter().all(|refusal| refusal.why.contains("neither entry is used")));
}

#[test]
fn an_answer_that_begins_anew_forgets_what_came_before_and_what_is_shared_is_not_copied() {
    let mut answer = staged(Extent::Changes, vec![Part::People(vec![person("p3", "carol")])]);
    answer.add(Part::Begin(Extent::Whole));
    answer.add(Part::People(vec![person("p4", "dave")]));
    assert_eq!(
        (answer.counts(), answer.things()),
        ([0, 0, 1], 2),
        "what was sent still counts against the limit"
    );
    let mut table = example();
    assert!(table.apply(answer));
    let (one, other) = (table.candidate(), table.candidate());
    assert_eq!(one.people.len(), 1);
    assert!(Arc::ptr_eq(&one.people[0], &other.people[0]));
}
