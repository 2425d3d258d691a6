//! Servers that restart, forget, change or lie, and connections that break.

use std::time::{Duration, Instant};

use svcauth_tests::cases;
use svcauth_tests::directory::{BASE, person_dn};
use svcauth_tests::failure::{Context, Failure, Outcome, require, require_contains, require_eq};
use svcauth_tests::world::World;
use svcauthd::directory::{Depth, Extent, Kind, Mark, Source, SyncMark};

use crate::lab::{Lab, people};

cases!("plain::content_sync_trouble":
    a_restart_of_the_server_costs_the_changes_and_no_more,
    a_server_that_forgot_what_was_deleted_lists_what_is_left,
    a_new_worker_goes_on_from_the_mark,
    a_mark_of_another_server_or_other_searches_counts_for_nothing,
    a_cookie_that_is_garbage_or_of_the_future_is_answered_with_everything,
    a_server_without_the_overlay_is_asked_for_everything,
    a_connection_cut_at_any_byte_leaves_all_or_nothing,
    a_lost_connection_is_told_and_made_good,
    a_size_limit_is_an_error,
    a_mark_that_was_not_taken_over_is_asked_from_again,
    it_can_be_switched_off,
    a_server_with_few_threads_is_asked_for_changes_and_does_not_hang,
);

fn a_restart_of_the_server_costs_the_changes_and_no_more(world: &mut World) -> Outcome {
    let mut lab = Lab::live(world)?;
    lab.stop_server()?;
    require(lab.try_fetch(Depth::Changes).is_err(), || "a stopped server answered".to_owned())?;
    lab.start_server()?;
    let answer = lab.changes()?;
    require(answer.live && lab.view.taken() == 0, || format!("{answer:?}"))?;
    lab.agree()?;
    lab.three_changes("new")?;
    lab.stirs()?;
    lab.changes()?;
    lab.agree()
}

/// The session log is in memory: what was deleted before a restart, the server can only tell by listing all that is left.
fn a_server_that_forgot_what_was_deleted_lists_what_is_left(world: &mut World) -> Outcome {
    let mut lab = Lab::live(world)?;
    lab.source = Source::default();
    lab.three_changes("new")?;
    lab.modify(&format!("dn: {}\nchangetype: delete\n", person_dn("alice")))?;
    lab.stop_server()?;
    lab.start_server()?;
    let answer = lab.changes()?;
    let present = lab.view.staged.present.get(&Kind::People).map(std::collections::BTreeSet::len);
    require(present > Some(10), || format!("{present:?} people were listed"))?;
    require(answer.live && lab.view.taken() <= 4, || format!("{answer:?} {}", lab.view.taken()))?;
    lab.agree()?;
    // All that is left may be nothing.
    lab.source = Source::default();
    let all: Vec<String> =
        lab.view.tables.get(&Kind::People).into_iter().flatten().map(|(_, e)| e.dn.clone()).collect();
    let ldif: String = all.iter().map(|dn| format!("dn: {dn}\nchangetype: delete\n\n")).collect();
    lab.modify(&ldif)?;
    lab.stop_server()?;
    lab.start_server()?;
    lab.changes()?;
    lab.agree()?;
    require_eq(
        "people",
        &lab.view.tables.get(&Kind::People).map(|people| people.len()).unwrap_or_default(),
        &0,
    )
}

fn a_new_worker_goes_on_from_the_mark(world: &mut World) -> Outcome {
    let mut lab = Lab::live(world)?;
    for round in 0..3 {
        lab.source = Source::default();
        lab.three_changes(&format!("new{round}"))?;
        lab.modify(&format!("dn: {}\nchangetype: delete\n", person_dn(&format!("person{round:02}"))))?;
        let text = serde_json::to_string(&lab.mark).map_err(|error| Failure::new(error.to_string()))?;
        lab.mark = serde_json::from_str(&text).map_err(|error| Failure::new(error.to_string()))?;
        lab.changes()?;
        require_eq("the entries sent", &lab.view.taken(), &3)?;
        lab.agree()?;
    }
    Ok(())
}

fn bent(lab: &Lab<'_>, bend: impl FnOnce(&mut SyncMark)) -> Outcome<Option<Mark>> {
    let Some(Mark::ContentSync(mut mark)) = lab.mark.clone() else { return Err(Failure::new("no mark")) };
    bend(&mut mark);
    Ok(Some(Mark::ContentSync(mark)))
}

fn is_whole(lab: &mut Lab<'_>, note: Option<&str>) -> Outcome {
    let answer = lab.fetch(Depth::Changes)?;
    require_eq("the extent", &lab.view.staged.extent, &Extent::Whole)?;
    match note {
        Some(part) => require_contains("the note", answer.note.as_deref().unwrap_or_default(), part)?,
        None => require_eq("the note", &answer.note, &None)?,
    }
    lab.agree()
}

fn a_mark_of_another_server_or_other_searches_counts_for_nothing(world: &mut World) -> Outcome {
    let mut lab = Lab::live(world)?;
    lab.three_changes("new")?;
    lab.mark = bent(&lab, |mark| mark.server = "ldap://other.example.com".into())?;
    is_whole(&mut lab, Some("because the last answer came from ldap://other.example.com"))?;
    lab.mark = bent(&lab, |mark| mark.asked.push('x'))?;
    is_whole(&mut lab, None)?;
    lab.changes()?;
    lab.agree()
}

fn a_cookie_that_is_garbage_or_of_the_future_is_answered_with_everything(world: &mut World) -> Outcome {
    let mut lab = Lab::live(world)?;
    for garbage in ["", "garbage", "rid=000", "rid=000,csn=x"] {
        lab.modify(&format!(
            "dn: {}\nchangetype: modify\nreplace: sn\nsn: {garbage}x\n",
            person_dn("carol")
        ))?;
        lab.mark = bent(&lab, |mark| mark.cookies[2] = garbage.into())?;
        is_whole(&mut lab, None).doing(garbage)?;
    }
    let future = "rid=000,csn=20990101000000.000000Z#000000#000#000000";
    lab.mark = bent(&lab, |mark| mark.cookies[1] = future.into())?;
    is_whole(&mut lab, Some("consumer state is newer than provider"))?;
    // Once is enough: the next answer goes on from there.
    lab.three_changes("new")?;
    let answer = lab.changes()?;
    require(answer.live, || format!("{answer:?}"))?;
    lab.agree()?;
    // One that is older than all that the server knows: it lists everything as present or new.
    let past = "rid=000,csn=20000101000000.000000Z#000000#000#000000";
    lab.modify(&format!("dn: {}\nchangetype: delete\n", person_dn("alice")))?;
    lab.mark = bent(&lab, |mark| mark.cookies = [(); 3].map(|()| past.into()))?;
    lab.changes()?;
    lab.agree()
}

fn a_server_without_the_overlay_is_asked_for_everything(world: &mut World) -> Outcome {
    let server = |text: String| {
        text.replace("moduleload syncprov\n", "").replace("overlay syncprov\nsyncprov-sessionlog 1000\n", "")
    };
    let mut lab = Lab::new(world, &people(), server, &[])?;
    for round in 0..3 {
        lab.three_changes(&format!("new{round}"))?;
        let answer = lab.fetch(Depth::Changes)?;
        require(answer.mark.is_none() && !answer.live && answer.note.is_none(), || format!("{answer:?}"))?;
        require_eq("the extent", &lab.view.staged.extent, &Extent::Whole)?;
        lab.agree()?;
    }
    require_eq("the connections", &lab.proxy.accepted(), &3)
}

fn a_connection_cut_at_any_byte_leaves_all_or_nothing(world: &mut World) -> Outcome {
    let mut lab = Lab::live(world)?;
    let old = lab.mark.clone();
    lab.three_changes("new")?;
    lab.modify(&format!("dn: {}\nchangetype: delete\n", person_dn("alice")))?;
    for (since, what) in [(None, "everything"), (old.clone(), "changes")] {
        let known = lab.view.tables.clone();
        let (mut failed, mut worked) = (0, 0);
        for bytes in (1..20_000).step_by(if since.is_some() { 13 } else { 101 }) {
            lab.source = Source::default();
            lab.mark.clone_from(&since);
            lab.view.tables = known.clone();
            lab.proxy.cut_after(bytes);
            match lab.try_fetch(Depth::Changes) {
                Err(_) => failed += 1,
                Ok(_) => {
                    worked += 1;
                    lab.agree().doing(format!("{what} cut after {bytes} bytes"))?;
                }
            }
            if worked > 5 {
                break;
            }
        }
        lab.proxy.cut_after(0);
        println!("{what}: {failed} cuts were noticed");
        require(failed > 5 && worked > 0, || format!("{what}: {failed} failed and {worked} worked"))?;
        lab.view.tables = known;
    }
    lab.source = Source::default();
    lab.mark = old;
    lab.changes()?;
    lab.agree()
}

fn a_lost_connection_is_told_and_made_good(world: &mut World) -> Outcome {
    let mut lab = Lab::live(world)?;
    // One that is lost at once is left for the next refresh: a server that always hangs up is not asked all day.
    lab.proxy.cut();
    lab.is_quiet_for(Duration::from_secs(1))?;
    lab.three_changes("unseen")?;
    let answer = lab.changes()?;
    require(answer.live, || format!("{answer:?}"))?;
    lab.agree()?;
    lab.is_quiet_for(Duration::from_millis(10_500))?;
    lab.three_changes("seen")?;
    lab.stirs()?;
    lab.changes()?;
    lab.agree()?;
    lab.proxy.cut();
    lab.stirs()?;
    lab.three_changes("meanwhile")?;
    lab.changes()?;
    lab.agree()
}

fn a_size_limit_is_an_error(world: &mut World) -> Outcome {
    let server = |text: String| text.replace("size=unlimited", "size=5");
    let mut lab = Lab::new(world, &people(), server, &[])?;
    let error = lab.try_fetch(Depth::Changes).err().map(|error| error.to_string()).unwrap_or_default();
    require_contains(
        "the error",
        &error,
        "the search of [people] failed with LDAP result 4 (size limit exceeded",
    )
}

/// A monitor may throw an answer away: it does not believe that most of the directory is gone.
fn a_mark_that_was_not_taken_over_is_asked_from_again(world: &mut World) -> Outcome {
    let mut lab = Lab::live(world)?;
    let old = lab.mark.clone();
    lab.three_changes("new")?;
    lab.stirs()?;
    lab.changes()?;
    lab.mark = old;
    lab.modify(&format!("dn: ou=more,{BASE}\nchangetype: add\nobjectClass: organizationalUnit\nou: more\n"))?;
    lab.changes()?;
    require_eq("the entries sent again", &lab.view.taken(), &3)?;
    lab.agree()
}

fn it_can_be_switched_off(world: &mut World) -> Outcome {
    let off = ("tls = \"off\"", "tls = \"off\"\nchanges = \"off\"");
    let mut lab = Lab::new(world, &people(), |text| text, &[off])?;
    let answer = lab.fetch(Depth::Changes)?;
    require(answer.mark.is_none() && !answer.live, || format!("{answer:?}"))?;
    lab.agree()
}

/// OpenLDAP lets one connection have half as many operations as it has threads: the next one waits without a word.
fn a_server_with_few_threads_is_asked_for_changes_and_does_not_hang(world: &mut World) -> Outcome {
    let mut lab = Lab::new(world, &people(), |text| text.replace("threads 8", "threads 6"), &[])?;
    let answer = lab.fetch(Depth::Changes)?;
    require(!answer.live && answer.mark.is_some(), || format!("{answer:?}"))?;
    lab.agree()?;
    for round in 0..3 {
        lab.three_changes(&format!("new{round}"))?;
        let began = Instant::now();
        let answer = lab.changes()?;
        let took = began.elapsed();
        require(!answer.live && took < Duration::from_secs(30), || format!("{answer:?} after {took:?}"))?;
        require_eq("the entries sent", &lab.view.taken(), &3)?;
        lab.agree()?;
    }
    Ok(())
}
