//! A controller that counts, and ones that lose count: what is asked, and what the monitor is told.

use super::script::{
    CONTROLLER, Client, NOBODY, all_gone, changed, count, domain, entry, everything, found, glance, greeting,
    id, invocation, mark, moved, one, refused, searches, sid, since, step, usn, whole,
};
use crate::directory::scripted::Given::{Begin, Domain, Gone, Relisted, Took};
use crate::directory::scripted::Scripted;
use crate::directory::{Depth, Extent, Kind, Mark, Source, UsnMark};

#[test]
fn an_interval_without_changes_costs_one_request_on_the_connection_that_is_open() {
    let steps = [greeting(100), everything(), vec![glance(100), glance(100)]].concat();
    let server = Scripted::start(vec![steps]);
    let mut client = Client::of(&server);
    let (answer, given) = client.ask(None, Depth::Changes).unwrap();
    assert_eq!(given, whole());
    let first = answer.mark.clone().unwrap();
    for _ in 0..2 {
        let (answer, given) = client.changes(&first);
        assert_eq!(given, [Begin(Extent::Changes)]);
        assert_eq!((answer.mark.as_ref(), answer.note), (Some(&first), None));
    }
    drop(client);
    assert_eq!(server.complaints(), [""; 0]);
}

#[test]
fn a_connection_that_broke_while_it_was_idle_is_replaced_without_a_word() {
    let other = vec![[greeting(100), everything(), vec![count("100", "CN=DC2")]].concat(), greeting(100)];
    for connections in [vec![[greeting(100), everything()].concat(), greeting(100)], other] {
        let server = Scripted::start(connections);
        let mut client = Client::of(&server);
        let first = client.ask(None, Depth::Changes).unwrap().0.mark.unwrap();
        let (answer, given) = client.changes(&first);
        assert_eq!((usn(&answer), given.as_slice()), (Some(100), &[Begin(Extent::Changes)][..]));
        drop(client);
        assert_eq!(server.complaints(), [""; 0]);
    }
}

#[test]
fn what_changed_is_read_and_what_is_no_longer_found_is_gone() {
    let bob = "CN=bob,OU=p,DC=x";
    let entries = [
        changed(bob, 2, "user"),
        changed("CN=erin,OU=elsewhere,DC=x", 3, "user"),
        entry("CN=dora\\0ADEL:x,CN=Deleted Objects,DC=x", &[("objectSid", &sid(4)), ("isDeleted", b"TRUE")]),
        changed("CN=team,OU=g,DC=x", 5, "group"),
    ];
    let team = found("CN=team,OU=g,DC=x", 5);
    let relist = step(&["ou=g,dc=x", "member", "CN=team,OU=g,DC=x", bob], &[found("CN=parent,OU=g,DC=x", 6)]);
    let read = searches(&[], &[team], &[found(bob, 2)]);
    let steps = [greeting(105), vec![moved(&entries)], read, vec![relist]].concat();
    let (answer, given) = one(steps, &since(100), Depth::Changes);
    assert_eq!((usn(&answer), answer.note), (Some(105), None));
    let gone = |kind, ids: &[u8]| Gone(kind, ids.iter().map(|rid| id(*rid)).collect());
    assert_eq!(
        given,
        [
            Begin(Extent::Changes),
            Domain,
            Took(Kind::Groups, "CN=team,OU=g,DC=x".to_owned()),
            Took(Kind::People, bob.to_owned()),
            gone(Kind::Accounts, &[2, 3, 4, 5]),
            gone(Kind::Groups, &[2, 3, 4]),
            gone(Kind::People, &[3, 4, 5]),
            Took(Kind::Groups, "CN=parent,OU=g,DC=x".to_owned()),
            Relisted(vec!["CN=team,OU=g,DC=x".to_owned(), bob.to_owned()]),
        ]
    );
}

#[test]
fn numbers_that_move_for_nothing_of_interest_cost_one_more_search() {
    let idle = [changed("CN=node,CN=System,DC=x", 0, "dnsNode")].map(|(dn, mut attributes)| {
        attributes.remove(0);
        (dn, attributes)
    });
    for entries in [&NOBODY[..], &idle] {
        let steps = [greeting(105), vec![moved(entries)]].concat();
        let (answer, given) = one(steps, &since(100), Depth::Changes);
        assert_eq!((usn(&answer), given.as_slice()), (Some(105), &[Begin(Extent::Changes)][..]));
    }
}

#[test]
fn a_count_that_went_back_and_another_database_are_told_and_everything_is_read() {
    let other = UsnMark { server: "CN=NTDS Settings,CN=DC2".to_owned(), ..mark(500) };
    let restored = UsnMark { invocation: "08".repeat(16), ..mark(100) };
    for (since, note) in [
        (mark(5012), "highestCommittedUSN went back from 5012 to 4711 (restored from a snapshot?)"),
        (restored, "instead of 08080808080808080808080808080808: restored from a backup?)"),
        (other, ""),
    ] {
        for depth in [Depth::Changes, Depth::Exact, Depth::Whole] {
            let steps = [greeting(4711), everything()].concat();
            let (answer, given) = one(steps, &Mark::Usn(since.clone()), depth);
            assert_eq!((usn(&answer), given), (Some(4711), whole()));
            let said = answer.note.unwrap_or_default();
            assert!(said.contains(note) && said.is_empty() == note.is_empty(), "{said:?}");
        }
    }
}

#[test]
fn a_database_that_is_replaced_under_an_open_connection_is_noticed_when_the_count_moves() {
    let steps = [greeting(100), everything(), vec![glance(101), invocation(9)], everything()].concat();
    let server = Scripted::start(vec![steps]);
    let mut client = Client::of(&server);
    let first = client.ask(None, Depth::Changes).unwrap().0.mark.unwrap();
    let (answer, given) = client.changes(&first);
    assert_eq!(given, whole());
    assert!(answer.note.unwrap().contains("another database"));
    drop(client);
    assert_eq!(server.complaints(), [""; 0]);
}

#[test]
fn a_renamed_container_brings_all_that_is_below_it() {
    let unit = entry("OU=sub,OU=p,DC=x", &[("objectClass", b"organizationalUnit")]);
    let alice = "CN=alice,OU=sub,OU=p,DC=x";
    let below =
        step(&["OU=sub,OU=p,DC=x", "objectSid"], &[found(alice, 1), found("CN=y,OU=sub,OU=p,DC=x", 9)]);
    let people = step(&["OU=sub,OU=p,DC=x", "sAMAccountName"], &[found(alice, 1)]);
    let read =
        [greeting(105), vec![moved(&[unit]), domain(), below, people], searches(&[], &[], &[])[1..].to_vec()];
    let steps = [read.concat(), vec![step(&["member", alice], &NOBODY)]].concat();
    let (_, given) = one(steps, &since(100), Depth::Changes);
    let took = Took(Kind::People, alice.to_owned());
    assert!(given.contains(&took) && given.contains(&Gone(Kind::People, vec![id(9)])), "{given:?}");
    assert_eq!(given.last(), Some(&Relisted(vec![alice.to_owned()])));
}

#[test]
fn a_container_that_was_moved_away_takes_all_that_is_below_it_along() {
    let unit = entry("OU=sub,OU=attic,DC=x", &[("objectClass", b"organizationalUnit")]);
    let below = step(&["OU=sub,OU=attic,DC=x", "objectSid"], &[found("CN=alice,OU=sub,OU=attic,DC=x", 1)]);
    let steps = [greeting(105), vec![moved(&[unit]), domain(), below], searches(&[], &[], &[])[1..].to_vec()];
    let (_, given) = one(steps.concat(), &since(100), Depth::Changes);
    assert_eq!(given, [vec![Begin(Extent::Changes), Domain], all_gone(&[id(1)])].concat());
}

#[test]
fn everything_is_read_after_a_change_of_what_everything_hangs_on() {
    let base = entry("OU=p,DC=x", &[("objectClass", b"organizationalUnit")]);
    let no_name = entry("#nonsense", &[("objectClass", b"organizationalUnit")]);
    for unit in [base, no_name] {
        let steps = [greeting(105), vec![moved(&[unit]), domain()], everything()].concat();
        assert_eq!(one(steps, &since(100), Depth::Changes).1, whole());
    }
    // The policy of the domain: every lockout ends at another time.
    let longer = Mark::Usn(UsnMark { lockout: Some("-36000000000".to_owned()), ..mark(100) });
    let head = changed("DC=x", 0, "domainDNS");
    let steps = [greeting(105), vec![moved(std::slice::from_ref(&head)), domain()], everything()].concat();
    assert_eq!(one(steps, &longer, Depth::Changes).1, whole());
    // The entry of the domain itself changes now and then, and is never renamed.
    let steps = [greeting(105), vec![moved(&[head])], searches(&[], &[], &[])].concat();
    let (_, given) = one(steps, &since(100), Depth::Changes);
    assert_eq!(given.first(), Some(&Begin(Extent::Changes)));
    let steps = [greeting(2_000_000), everything()].concat();
    assert_eq!(one(steps, &since(100), Depth::Changes).1, whole());
}

#[test]
fn a_controller_that_cannot_count_is_read_whole_each_time() {
    for odd in ["", "-1", "+5", "9223372036854775808", "0x10", "5 ", "99999999999999999999999"] {
        let mut root = greeting(1).remove(0);
        root.found[0].1[0].1 = vec![odd.as_bytes().to_vec()];
        let (answer, given) = one([vec![root], everything()].concat(), &since(100), Depth::Changes);
        assert_eq!((answer.mark, given), (None, whole()), "{odd}");
    }
    let hidden = refused(&[CONTROLLER, "invocationId"], 32);
    let short = step(&[CONTROLLER], &[entry(CONTROLLER, &[("invocationId", &[7; 15])])]);
    for controller in [hidden, short] {
        let steps = [vec![greeting(105).remove(0), controller], everything()].concat();
        assert_eq!(one(steps, &since(100), Depth::Changes).0.mark, None);
    }
}

#[test]
fn a_filter_on_what_other_entries_say_is_never_followed_by_numbers() {
    let server = Scripted::start(vec![[vec![greeting(105).remove(0)], everything()].concat()]);
    let mut client = Client::of(&server);
    client.config.people.search.filter =
        svcauth_core::config::Filter::parse("(|(!(memberOf=cn=g))(cn=x))").unwrap();
    let (answer, given) = client.changes(&since(100));
    assert_eq!((answer.mark, given), (None, whole()));
    drop(client);
    assert_eq!(server.complaints(), [""; 0]);
}

#[test]
fn an_account_hears_of_its_new_group_although_that_is_none_of_ours() {
    let group = changed("CN=far,OU=elsewhere,DC=x", 6, "group");
    let deployer = found("CN=deployer,OU=a,DC=x", 7);
    let own = step(&["ou=a,dc=x", "memberOf", "CN=far,OU=elsewhere,DC=x"], &[deployer]);
    let relist = step(&["ou=g,dc=x", "CN=deployer,OU=a,DC=x"], &NOBODY);
    let read = searches(&[], &[], &[]);
    let server =
        Scripted::start(vec![[greeting(105), vec![moved(&[group])], read, vec![own, relist]].concat()]);
    let config =
        server.config("[[access]]\naccounts = [\"*\"]\nroles_from = \"memberOf\"\nneed = \"every\"\n");
    let mut client = Client { source: Source::default(), config };
    let (_, given) = client.changes(&since(100));
    assert!(given.contains(&Took(Kind::Accounts, "CN=deployer,OU=a,DC=x".to_owned())), "{given:?}");
    drop(client);
    assert_eq!(server.complaints(), [""; 0]);
}

#[test]
fn a_control_that_the_controller_does_not_know_is_never_sent() {
    let mut root = greeting(105);
    root[0].found[0].1.retain(|(name, _)| name != "supportedControl");
    let mut bare = moved(&[]);
    bare.asked.retain(|part| !part.starts_with("1.2.840"));
    bare.never = vec!["1.2.840.113556.1.4.417".to_owned(), "1.2.840.113556.1.4.1339".to_owned()];
    let (_, given) = one([root, vec![bare]].concat(), &since(100), Depth::Changes);
    assert_eq!(given, [Begin(Extent::Changes)]);
}

#[test]
fn a_connection_that_breaks_among_changes_is_replaced_and_nothing_counts_that_came_over_it() {
    let bob = [changed("CN=bob,OU=p,DC=x", 2, "user")];
    let first =
        [greeting(100), everything(), vec![glance(105), invocation(7), moved(&bob), domain()]].concat();
    let second = [greeting(106), vec![moved(&[])]].concat();
    let server = Scripted::start(vec![first, second]);
    let mut client = Client::of(&server);
    let first = client.ask(None, Depth::Changes).unwrap().0.mark.unwrap();
    let (answer, given) = client.changes(&first);
    assert_eq!((usn(&answer), given.as_slice()), (Some(106), &[Begin(Extent::Changes)][..]));
    drop(client);
    assert_eq!(server.complaints(), [""; 0]);
}
