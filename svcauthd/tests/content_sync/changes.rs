//! Changes of every sort, told by the server or asked for.

use std::time::Duration;

use svcauth_tests::cases;
use svcauth_tests::directory::{BASE, account_dn, group_dn, person_dn};
use svcauth_tests::failure::{Context, Outcome, require, require_eq};
use svcauth_tests::world::World;
use svcauthd::directory::{Depth, Extent, Kind, Mark, Source};

use crate::lab::{Lab, people};

cases!("plain::content_sync":
    a_change_of_every_sort_is_told_and_taken_over_exactly,
    an_answer_to_sync_has_the_change_that_was_made_a_moment_before,
    an_idle_source_asks_one_thing_per_refresh_on_one_connection,
    changes_that_no_search_finds_wake_nobody_and_move_the_mark,
    member_lists_that_the_server_changes_silently_are_read_again,
    polled_changes_are_exact_and_leave_no_connection,
    very_many_changes_are_answered_with_everything,
    ids_come_from_the_control_where_entries_hide_them,
);

fn a_change_of_every_sort_is_told_and_taken_over_exactly(world: &mut World) -> Outcome {
    let filter = (
        "base = \"ou=people,dc=example,dc=com\"",
        "base = \"ou=people,dc=example,dc=com\"\nfilter = \"(&(uid=*)(!(employeeType=gone)))\"",
    );
    let mut lab = Lab::new(world, &people(), |text| text, &[filter])?;
    lab.fetch(Depth::Changes)?;
    lab.agree()?;
    for (what, ldif) in &one_of_every_sort() {
        lab.modify(ldif).doing(what)?;
        let after = lab.stirs().doing(what)?;
        let answer = lab.changes().doing(what)?;
        require(answer.live, || format!("{what}: {answer:?}"))?;
        require(lab.view.taken() <= 3, || format!("{what}: {} entries", lab.view.taken()))?;
        lab.agree().doing(what)?;
        println!("{what}: told after {after:?}");
    }
    require_eq("the connections for all of it", &lab.proxy.accepted(), &1)
}

fn an_answer_to_sync_has_the_change_that_was_made_a_moment_before(world: &mut World) -> Outcome {
    let mut lab = Lab::live(world)?;
    for round in 0..20 {
        lab.three_changes(&format!("new{round}"))?;
        if round % 2 == 0 {
            lab.modify(&format!("dn: {}\nchangetype: delete\n", person_dn(&format!("person{round:02}"))))?;
        }
        let answer = lab.fetch(Depth::Exact)?;
        require_eq("the extent", &lab.view.staged.extent, &Extent::Changes)?;
        require(answer.live, || format!("{answer:?}"))?;
        lab.agree().doing(format!("round {round}"))?;
    }
    // What was pushed on the old connection, and what comes twice, does no harm.
    lab.changes()?;
    lab.agree()
}

fn an_idle_source_asks_one_thing_per_refresh_on_one_connection(world: &mut World) -> Outcome {
    let mut lab = Lab::live(world)?;
    lab.changes()?;
    lab.agree()?;
    let (requests, bytes) = (lab.proxy.requests(), lab.proxy.bytes());
    for _ in 0..10 {
        let answer = lab.changes()?;
        require(answer.live && lab.view.taken() == 0, || format!("{answer:?}"))?;
        lab.agree()?;
    }
    println!("idle: {} bytes of answers per refresh", (lab.proxy.bytes() - bytes) / 10);
    require_eq("the requests of ten refreshes", &(lab.proxy.requests() - requests), &10)?;
    require_eq("the connections", &lab.proxy.accepted(), &1)?;
    // The sign of life is a real one: a server that is silent is not taken for one that has nothing to say.
    lab.server()?.freeze()?;
    let failed = lab.try_fetch(Depth::Changes);
    lab.server()?.thaw()?;
    require(failed.is_err(), || format!("{failed:?}"))?;
    lab.changes()?;
    lab.agree()
}

fn changes_that_no_search_finds_wake_nobody_and_move_the_mark(world: &mut World) -> Outcome {
    let mut lab = Lab::live(world)?;
    let before = lab.mark.clone();
    let elsewhere = format!(
        "dn: cn=svcauth,ou=system,{BASE}\nchangetype: modify\nreplace: description\ndescription: x\n"
    );
    lab.modify(&elsewhere)?;
    lab.is_quiet_for(Duration::from_secs(1))?;
    lab.changes()?;
    require(lab.view.taken() == 0 && lab.mark != before, || format!("{before:?} {:?}", lab.mark))?;
    lab.agree()?;
    lab.three_changes("next")?;
    lab.stirs()?;
    lab.changes()?;
    lab.agree()
}

fn member_lists_that_the_server_changes_silently_are_read_again(world: &mut World) -> Outcome {
    let server = |text: String| {
        text.replace("overlay syncprov", "overlay refint\nrefint_attributes member\noverlay syncprov")
    };
    let mut lab = Lab::new(world, &people(), server, &[])?;
    lab.fetch(Depth::Changes)?;
    lab.agree()?;
    for (what, old, ldif) in [
        (
            "rename",
            "bob",
            format!("dn: {}\nchangetype: modrdn\nnewrdn: uid=robert\ndeleteoldrdn: 1\n", person_dn("bob")),
        ),
        (
            "odd name",
            "robert",
            format!(
                "dn: {}\nchangetype: modrdn\nnewrdn: uid=r\\,*(\u{e9})\\\\\ndeleteoldrdn: 1\n",
                person_dn("robert")
            ),
        ),
        ("deletion", "alice", format!("dn: {}\nchangetype: delete\n", person_dn("alice"))),
    ] {
        let before = lab.mark.clone();
        lab.modify(&ldif).doing(what)?;
        lab.stirs().doing(what)?;
        // The overlay changes the groups after the answer to the modification.
        lab.wait_until_nothing_names(&person_dn(old)).doing(what)?;
        lab.changes()?;
        lab.agree().doing(what)?;
        require(lab.mark != before, || format!("{what}: the mark did not move"))?;
    }
    let group = lab.view.tables.get(&Kind::Groups).and_then(|groups| groups.values().next());
    let members = group.map(|group| group.values("member").len());
    require_eq("the members that are left", &members, &Some(1))
}

fn polled_changes_are_exact_and_leave_no_connection(world: &mut World) -> Outcome {
    let mut lab =
        Lab::new(world, &people(), |text| text, &[("tls = \"off\"", "tls = \"off\"\nchanges = \"poll\"")])?;
    let answer = lab.fetch(Depth::Changes)?;
    require(!answer.live && answer.mark.is_some(), || format!("{answer:?}"))?;
    lab.agree()?;
    for round in 0..3 {
        lab.three_changes(&format!("new{round}"))?;
        let answer = lab.changes()?;
        require(!answer.live && lab.view.taken() == 3, || format!("{answer:?} {}", lab.view.taken()))?;
        lab.agree()?;
        svcauth_tests::program::wait_until("no connection", Duration::from_secs(60), || {
            (lab.proxy.open() == 0).then_some(())
        })?;
    }
    Ok(())
}

fn very_many_changes_are_answered_with_everything(world: &mut World) -> Outcome {
    let mut directory = people();
    for index in 0..1200 {
        directory.account(&format!("svc{index:04}"), 20_000 + index, 20_000);
    }
    let mut lab = Lab::new(world, &directory, |text| text, &[])?;
    lab.fetch(Depth::Changes)?;
    lab.agree()?;
    let all_get = |shell: &str| {
        let one = |index| {
            let dn = account_dn(&format!("svc{index:04}"));
            format!("dn: {dn}\nchangetype: modify\nreplace: loginShell\nloginShell: {shell}\n\n")
        };
        (0..1200).map(one).collect::<String>()
    };
    lab.source = Source::default();
    lab.modify(&all_get("/bin/sh"))?;
    let answer = lab.fetch(Depth::Changes)?;
    require_eq("the extent", &lab.view.staged.extent, &Extent::Whole)?;
    require(answer.note.is_none(), || format!("{answer:?}"))?;
    lab.agree()?;
    // Told one by one they may come in several answers.
    lab.changes()?;
    lab.modify(&all_get("/bin/dash"))?;
    while lab.stirs().is_ok() {
        lab.fetch(Depth::Changes)?;
        lab.view.apply();
    }
    lab.changes()?;
    lab.agree()
}

fn ids_come_from_the_control_where_entries_hide_them(world: &mut World) -> Outcome {
    let server =
        |text: String| text.replace("access to *", "access to attrs=entryUUID by * none\naccess to *");
    let mut lab = Lab::new(world, &people(), server, &[])?;
    lab.fetch(Depth::Changes)?;
    let people =
        lab.view.staged.taken.get(&Kind::People).map(|people| people.keys().all(|id| id.len() == 36));
    require_eq("whether all people have ids", &people, &Some(true))?;
    lab.view.apply();
    lab.modify(&format!("dn: {}\nchangetype: delete\n", person_dn("bob")))?;
    lab.stirs()?;
    lab.changes()?;
    let gone = lab.view.staged.gone.get(&Kind::People).map(std::collections::BTreeSet::len);
    require_eq("who is gone", &gone, &Some(1))?;
    lab.view.apply();
    let bob =
        lab.view.tables.values().flat_map(|table| table.values()).find(|entry| entry.dn == person_dn("bob"));
    require(bob.is_none(), || format!("{bob:?}"))?;
    require(matches!(lab.mark, Some(Mark::ContentSync(_))), || "no mark".to_owned())
}

#[rustfmt::skip]
#[allow(clippy::too_many_lines, reason = "it is a list")]
fn one_of_every_sort() -> Vec<(&'static str, String)> {
    let (bob, dave, role) = (person_dn("bob"), person_dn("dave"), group_dn("application"));
    vec![
        ("member removed", format!("dn: {role}\nchangetype: modify\ndelete: member\nmember: {bob}\n")),
        ("member added", format!("dn: {role}\nchangetype: modify\nadd: member\nmember: {bob}\n")),
        (
            "person added",
            format!("dn: {dave}\nchangetype: add\nobjectClass: inetOrgPerson\nuid: dave\ncn: D\nsn: D\n"),
        ),
        ("person changed", format!("dn: {dave}\nchangetype: modify\nreplace: cn\ncn: Dave\n")),
        ("person renamed", format!("dn: {dave}\nchangetype: modrdn\nnewrdn: uid=david\ndeleteoldrdn: 1\n")),
        (
            "person leaves the filter",
            format!("dn: {bob}\nchangetype: modify\nadd: employeeType\nemployeeType: gone\n"),
        ),
        ("person enters the filter", format!("dn: {bob}\nchangetype: modify\ndelete: employeeType\n")),
        (
            "person moved away",
            format!(
                "dn: {bob}\nchangetype: modrdn\nnewrdn: uid=bob\ndeleteoldrdn: 1\nnewsuperior: ou=system,{BASE}\n"
            ),
        ),
        (
            "person moved back",
            format!(
                "dn: uid=bob,ou=system,{BASE}\nchangetype: modrdn\nnewrdn: uid=bob\ndeleteoldrdn: 1\nnewsuperior: ou=people,{BASE}\n"
            ),
        ),
        ("person deleted", format!("dn: {}\nchangetype: delete\n", person_dn("david"))),
        (
            "account changed",
            format!(
                "dn: {}\nchangetype: modify\nreplace: loginShell\nloginShell: /bin/sh\n",
                account_dn("deployer")
            ),
        ),
        (
            "account renamed",
            format!(
                "dn: {}\nchangetype: modrdn\nnewrdn: uid=deployed\ndeleteoldrdn: 1\n",
                account_dn("deployer")
            ),
        ),
        ("group renamed", format!("dn: {role}\nchangetype: modrdn\nnewrdn: cn=app\ndeleteoldrdn: 1\n")),
        ("group deleted", format!("dn: {}\nchangetype: delete\n", group_dn("app"))),
    ]
}
