//! Processes with the uid of the account that ask for somebody else, or for nobody.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use svcauth_tests::failure::{Failure, Outcome, require, require_eq};
use svcauth_tests::log::Record;
use svcauth_tests::program::{Background, Ended, Program, wait_until};
use svcauth_tests::sshd::client;
use svcauth_tests::world::World;

use super::super::{DEPLOYER, asked, asked_once};
use super::{Range, clear, happened};

const ASKER: &str = include_str!("../asker.py");
const RULE: &str =
    r#"commands = [["/usr/bin/ls", "<any>"], ["/srv/ask.py", "<rest>"], ["/usr/bin/sleep", "<re:[0-9.]+>"]]"#;

pub(super) fn no_process_of_the_same_uid_speaks_for_somebody_else(world: &mut World) -> Outcome {
    world.write("/srv/ask.py", 0o755, ASKER)?;
    world.write("/usr/bin/ask.py", 0o755, ASKER)?;
    let range = Range::open(world, RULE)?;
    who_asks_is_told_by_the_kernel(&range)?;
    a_line_with_a_zero_byte_is_refused(&range)?;
    nobody_goes_on_with_a_command_of_another(&range)?;
    nonsense_and_silence_keep_nobody_waiting(&range)?;
    a_number_that_has_become_somebody_elses_proves_nothing(&range)
}

/// As deployer, but in nobody's session.
fn outside(range: &Range<'_>, words: &[&str]) -> Program {
    range.world.as_account("deployer", DEPLOYER.0, DEPLOYER.1, words)
}

fn answers(ended: Ended, expected: &str) -> Outcome {
    let report = ended.report();
    require(ended.expect_ok()?.text() == expected, || format!("not {expected}\n{report}"))
}

fn who_asks_is_told_by_the_kernel(range: &Range<'_>) -> Outcome {
    let mark = range.world.log().mark();
    answers(range.host.ssh("bob", "deployer", &["/srv/ask.py 'ls /'"])?, "program")?;
    range.world.log().wait_for(mark, "command", &[("origin", "bob"), ("command", "ls /")])?;
    // bob's session does not speak for what it is not allowed, either.
    answers(range.host.ssh("bob", "deployer", &["/srv/ask.py 'touch /tmp/marks/mark'"])?, "refused")?;
    let mark = range.world.log().mark();
    answers(outside(range, &["/srv/ask.py", "ls /"]).run()?, "refused")?;
    let record = asked_once(range.world, mark)?;
    let pairs = [("reason", "no_origin"), ("account", "deployer"), ("origin", "")];
    require(record.says("command_refused", &pairs), || record.line.clone())?;
    // The shell itself, run by a process of nobody's; with everything that could make it believe in bob.
    clear()?;
    let mark = range.world.log().mark();
    let words = ["/usr/bin/svcauth-shell", "-c", "ls /"];
    let lies = outside(range, &words)
        .env("SVCAUTH_ORIGIN", "bob")
        .env("SVCAUTH_SESSION", "1")
        .env("SSH_CONNECTION", "127.0.0.1 1 127.0.0.1 22");
    lies.run()?.expect_code(super::REFUSED)?;
    require(asked_once(range.world, mark)?.says("command_refused", &pairs), || "no record".to_owned())?;
    // Whoever is not managed is not limited: nothing is recorded.
    let mark = range.world.log().mark();
    answers(range.world.as_user("local", &["/srv/ask.py", "ls /"]).run()?, "not-managed")?;
    require_eq("records of a local user", &asked(range.world, mark).len(), &0)
}

/// No argument can hold one, but a message can.
fn a_line_with_a_zero_byte_is_refused(range: &Range<'_>) -> Outcome {
    let mark = range.world.log().mark();
    for line in ["'ls %00'", "'ls /%00;touch /tmp/marks/mark'", "'%00'"] {
        answers(range.host.ssh("bob", "deployer", &[&format!("/srv/ask.py {line}")])?, "refused")?;
    }
    let refused = asked(range.world, mark).into_iter().filter(|record| record.verb == "command_refused");
    require_eq("refusals", &refused.count(), &3)?;
    require(!happened(), || "something ran".to_owned())
}

/// A connection that was cut is taken up again by its own session only, and by a name that was given out.
fn nobody_goes_on_with_a_command_of_another(range: &Range<'_>) -> Outcome {
    let mark = range.world.log().mark();
    // The last is the recording of the session that asks, which has none.
    for name in ["resume=", "resume=x", "resume=../../x", "resume=1", "resume=1-1", "resume=OWN-1"] {
        let ended = range.host.ssh("bob", "deployer", &[&format!("/srv/ask.py 'ls /' {name}")])?;
        // Asked anew, at most: bob may.
        require(ended.text() != "resumed", || ended.report())?;
        let ended = outside(range, &["/srv/ask.py", "ls /", name]).run()?;
        require(!matches!(ended.text(), "resumed" | "program" | "shell"), || ended.report())?;
    }
    // Nor does a name that means nothing tell the administrator that recordings cannot be written.
    let alarms = range.world.log().records_since(mark).into_iter().filter(|record| record.verb == "alarm");
    require_eq("alarms", &alarms.count(), &0)
}

fn nonsense_and_silence_keep_nobody_waiting(range: &Range<'_>) -> Outcome {
    let mut silent = Vec::new();
    for _ in 0..30 {
        silent.push(
            outside(range, &["/srv/ask.py", "x", "silent"]).start(range.world.log_file("silent.out")?)?,
        );
    }
    let ended = outside(range, &["/srv/ask.py", "x", "garbage"]).run()?;
    require(ended.text() == "closed" || !ended.ok(), || ended.report())?;
    let listed = range.host.ssh("bob", "deployer", &["ls /"])?.expect_ok()?;
    require(listed.took < Duration::from_secs(60), || format!("bob waited for {:?}", listed.took))
}

/// The process that connects ends at once, and its number is given to one of bob's before the question is read.
fn a_number_that_has_become_somebody_elses_proves_nothing(range: &Range<'_>) -> Outcome {
    Program::new("install").args(&["-d", "-m", "1777", "/tmp/number"]).run()?.expect_ok()?;
    for round in 0..60 {
        if let Some(answer) = asks_by_a_number_of_bobs(range, &format!("/tmp/number/{round}"))? {
            return require(answer == "refused" || answer == "closed", || {
                format!("{answer} for nobody's process")
            });
        }
    }
    Err(Failure::new("no process of bob's got the number in time"))
}

/// What the daemon answers when it finds one of bob's processes under the number; `None`: it would not have waited so long.
fn asks_by_a_number_of_bobs(range: &Range<'_>, file: &str) -> Outcome<Option<String>> {
    const DAEMON_WAITS: Duration = Duration::from_millis(1500);
    let mark = range.world.log().mark();
    // A child of process 1, who buries it at once.
    outside(range, &["setsid", "-f", "/srv/ask.py", "ls /", file]).run()?.expect_ok()?;
    let read = |name: &str| fs::read_to_string(format!("{file}.{name}")).ok().filter(|text| !text.is_empty());
    let text = wait_until("the number", Duration::from_secs(60), || read("pid"))?;
    let began = Instant::now();
    let number: u32 = text.trim().parse().map_err(|_| Failure::new(format!("no number: {text:?}")))?;
    wait_until("its end", Duration::from_secs(60), || {
        (!Path::new(&format!("/proc/{number}")).exists()).then_some(())
    })?;
    let taken =
        [3, 2, 4, 1, 5].iter().find_map(|ahead| takes(range, number, *ahead).transpose()).transpose()?;
    fs::write(file, "")?;
    let in_time = taken.is_some() && began.elapsed() < DAEMON_WAITS;
    let answer = wait_until("the answer", Duration::from_secs(60), || read("answer"))?;
    drop(taken);
    let named = |record: &Record| record.get("command") == "ls /" && record.get("origin") == "bob";
    let named = asked(range.world, mark).into_iter().find(named);
    require(named.is_none(), || format!("{named:?}"))?;
    Ok(in_time.then_some(answer))
}

/// Has bob run something, so that the process that comes to be `ahead` others later gets this number.
fn takes(range: &Range<'_>, number: u32, ahead: u32) -> Outcome<Option<Background>> {
    fs::write("/proc/sys/kernel/ns_last_pid", (number - 1 - ahead).to_string())?;
    let over = ["-oControlPath=/tmp/mux-deployer", "-oControlMaster=no"];
    let ssh = client(&over, "deployer", range.host.key("bob")?, &["sleep 5"]);
    let running = ssh.start(range.world.log_file("taker.out")?)?;
    let of_bob = || {
        let status = fs::read_to_string(format!("/proc/{number}/status")).ok()?;
        status.lines().any(|line| line.starts_with("Uid:\t7001")).then_some(())
    };
    Ok(wait_until("the number to be taken", Duration::from_millis(200), of_bob).ok().map(|()| running))
}
