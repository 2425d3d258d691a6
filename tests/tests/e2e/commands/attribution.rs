//! Two people in one account at the same time: each command is recorded as that of who asked for it, or refused.

use std::collections::BTreeMap;
use std::time::Duration;

use svcauth_tests::cases;
use svcauth_tests::failure::{Failure, Outcome, require, require_eq};
use svcauth_tests::program::wait_until;
use svcauth_tests::world::World;

use super::{REFUSED, asked, asked_once, limited};
use crate::host::{no_passwords, su};
use crate::shared_use::OpenConnection;

cases!("commands_attribution":
    commands_of_two_people_at_once_are_told_apart,
    a_process_that_leaves_its_session_is_still_its_own_or_nobodys,
    su_and_a_further_step_name_the_person,
);

const ANY: &str = "commands = [{ kind = \"any\" }]";
const TIMES: usize = 15;

fn commands_of_two_people_at_once_are_told_apart(world: &mut World) -> Outcome {
    let host = limited(world, ANY)?.start(world)?;
    let mark = world.log().mark();
    let people = ["alice", "bob"];
    let open = people.map(|person| OpenConnection::of(person, &host, world).map(|open| (person, open)));
    let open: Vec<_> = open.into_iter().collect::<Outcome<_>>()?;
    let threads: Vec<_> = open
        .into_iter()
        .map(|(person, open)| {
            std::thread::spawn(move || {
                (0..TIMES).try_for_each(|number| {
                    let line = format!("echo {person}-{number} $SVCAUTH_ORIGIN");
                    let ended = open.command(&[&line])?.expect_ok()?;
                    require_eq("the output", ended.text(), format!("{person}-{number} {person}").as_str())
                })
            })
        })
        .collect();
    for thread in threads {
        thread.join().map_err(|_| Failure::new("a person"))??;
    }
    let records = wait_until("all records", Duration::from_secs(60), || {
        let records = asked(world, mark);
        (records.len() >= 2 * TIMES).then_some(records)
    })?;
    require_eq("how many", &records.len(), &(2 * TIMES))?;
    let mut sessions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for record in &records {
        let origin = record.get("origin");
        require(record.get("command").starts_with(&format!("echo {origin}-")), || record.line.clone())?;
        sessions.entry(origin).or_default().push(record.get("session"));
    }
    let of_one = |all: &Vec<&str>| all.first().is_some_and(|first| all.iter().all(|one| one == first));
    require(sessions.len() == 2 && sessions.values().all(of_one), || format!("{sessions:?}"))
}

/// In the background, in a session of its own for the kernel, adopted by process 1; while bob is logged in, too, and after
/// alice has gone.
fn a_process_that_leaves_its_session_is_still_its_own_or_nobodys(world: &mut World) -> Outcome {
    let host = limited(world, ANY)?.start(world)?;
    let bob = OpenConnection::of("bob", &host, world)?;
    bob.command(&["true"])?.expect_ok()?;
    let leave = |seconds: &str, word: &str| {
        let line = format!(
            "setsid -f sh -c 'sleep {seconds}; /usr/bin/svcauth-shell -c \"echo {word} >/tmp/{word}\"' >/dev/null 2>&1 </dev/null"
        );
        host.ssh("alice", "deployer", &[&line])?.expect_ok().map(drop)
    };
    let mark = world.log().mark();
    let alice = OpenConnection::of("alice", &host, world)?;
    let line = "setsid -f sh -c 'sleep 0.3; /usr/bin/svcauth-shell -c \"echo during >/tmp/during\"' >/dev/null 2>&1 </dev/null";
    alice.command(&[line])?.expect_ok()?;
    let of = |word: &str| {
        wait_until("its record", Duration::from_secs(60), || {
            let ours = format!("echo {word} ");
            asked(world, mark).into_iter().find(|record| record.get("command").starts_with(&ours))
        })
    };
    require(of("during")?.says("command", &[("origin", "alice")]), || format!("{:?}", of("during")))?;
    leave("2", "after")?;
    drop(alice);
    let after = of("after")?;
    require(after.get("origin") != "bob", || after.line.clone())?;
    require(after.verb == "command_refused" || after.get("origin") == "alice", || after.line.clone())?;
    bob.command(&["true"])?.expect_ok().map(drop)
}

fn su_and_a_further_step_name_the_person(world: &mut World) -> Outcome {
    let host = limited(world, "commands = [[\"/usr/bin/id\", \"-un\"]]")?.start(world)?;
    no_passwords(world)?;
    let mark = world.log().mark();
    require_eq("bob by su", su(world, "bob", "deployer", "id -un")?.expect_ok()?.text(), "deployer")?;
    let pairs = [("origin", "bob"), ("service", "su"), ("command", "id -un")];
    require(asked_once(world, mark)?.says("command", &pairs), || "no record of su".to_owned())?;
    // From a session of a local user over ssh: the person is known there by nothing but the invoker.
    let mark = world.log().mark();
    let ended = host.ssh("alice", "local", &["su deployer -c 'id -un'"])?;
    ended.expect_refused()?;
    require_eq("records", &asked(world, mark).len(), &0)?;
    let mark = world.log().mark();
    su(world, "alice", "deployer", "touch /tmp/alice")?.expect_code(REFUSED)?;
    let pairs = [("origin", "alice"), ("service", "su"), ("reason", "command_not_allowed")];
    require(asked_once(world, mark)?.says("command_refused", &pairs), || "no record of alice".to_owned())
}
