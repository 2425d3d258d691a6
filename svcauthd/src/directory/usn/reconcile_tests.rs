//! Deletions that are seen, and those that are not.

use super::script::{
    Client, NOBODY, entry, found, greeting, id, mark, moved, one, refused, searches, since, step,
};
use crate::directory::scripted::Given::{Begin, Present};
use crate::directory::scripted::{Found, Scripted, Step};
use crate::directory::{Depth, Extent, Kind, Mark, UsnMark};

#[test]
fn hidden_deletions_are_found_by_comparing_all_ids_where_that_is_asked_for_or_due() {
    let look = ["CN=Deleted Objects,DC=x", "isDeleted"];
    let ids = |base: &'static str, found: &[Found]| step(&[base, "objectSid"], found);
    let compared = || {
        vec![ids("ou=a,dc=x", &[]), ids("ou=g,dc=x", &[found("x", 5)]), ids("ou=p,dc=x", &[found("y", 1)])]
    };
    let due = Mark::Usn(UsnMark { reconcile_at: 1, ..mark(100) });
    let never = Mark::Usn(UsnMark { reconcile_at: u64::MAX, ..mark(100) });
    let present = [
        Begin(Extent::Changes),
        Present(Kind::Accounts, vec![]),
        Present(Kind::Groups, vec![id(5)]),
        Present(Kind::People, vec![id(1)]),
    ];
    for (since, depth) in [(&due, Depth::Changes), (&never, Depth::Changes), (&since(100), Depth::Exact)] {
        for hidden in [refused(&look, 32), refused(&look, 50), step(&look, &NOBODY)] {
            let (answer, given) = one([greeting(100), vec![hidden], compared()].concat(), since, depth);
            assert_eq!(given, present);
            let Some(Mark::Usn(next)) = answer.mark else { panic!("no mark") };
            let wait = next.reconcile_at - (mark(0).reconcile_at - 600);
            assert!((1600..2000).contains(&wait), "{wait} s, for a full_refresh of six hours");
        }
        let seen = Step { code: 4, ..step(&look, &[found("CN=z\\0ADEL:x,CN=Deleted Objects,DC=x", 8)]) };
        let (_, given) = one([greeting(100), vec![seen]].concat(), since, depth);
        assert_eq!(given, [Begin(Extent::Changes)]);
    }
    // A deletion that is seen without its SID is one that has to be looked for.
    let bare =
        entry("CN=z\\0ADEL:x,CN=Deleted Objects,DC=x", &[("objectClass", b"user"), ("isDeleted", b"TRUE")]);
    let steps = [greeting(105), vec![moved(&[bare])], searches(&[], &[], &[]), compared()].concat();
    let (_, given) = one(steps, &since(100), Depth::Changes);
    assert_eq!(given[2..], present[1..]);
}

#[test]
fn a_list_of_ids_that_is_cut_or_has_no_base_fails_the_fetch() {
    let look = refused(&["CN=Deleted Objects"], 32);
    for (code, error) in [(4, "LDAP result 4"), (32, "there is no entry \"ou=a,dc=x\"")] {
        let steps = [greeting(100), vec![look.clone(), refused(&["ou=a,dc=x"], code)]].concat();
        let server = Scripted::start(vec![steps]);
        let error_found = Client::of(&server).ask(Some(&since(100)), Depth::Exact).unwrap_err().to_string();
        assert!(error_found.contains(error), "{error_found}");
        assert_eq!(server.complaints(), [""; 0]);
    }
}
