//! `svcauth who`: the person behind each live process of a shared account.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use serde_json::Value;
use svcauth_tests::cases;
use svcauth_tests::failure::{Failure, Outcome, require, require_contains, require_eq};
use svcauth_tests::program::{Background, Program, wait_until};
use svcauth_tests::site::{list_at, svcauth, svcauth_json, text_at};
use svcauth_tests::sshd::client;
use svcauth_tests::world::World;

use crate::host::{Host, Plan, no_passwords};

cases!("who":
    two_people_in_one_account_are_told_apart_also_after_they_have_logged_out,
    each_process_of_a_chain_has_its_account_and_the_person_who_came_in,
    a_killed_monitor_ends_its_session_once_and_hides_nobody,
    without_audit_sessions_the_process_tree_tells_and_nobody_guesses,
    nothing_that_a_process_says_about_itself_counts,
    people_who_cannot_be_told_apart_are_both_named,
    it_answers_root_alone_and_only_about_managed_accounts,
);

/// To tell waiting from hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// What `svcauth who --json` says, by command.
fn who() -> Outcome<BTreeMap<String, Value>> {
    let (code, rows) = svcauth_json(&["who"])?;
    require_eq("its exit status", &code, &0)?;
    let rows = list_at(&rows, "");
    Ok(rows.iter().map(|row| (text_at(row, "/command").to_owned(), row.clone())).collect())
}

/// The row of a command that is running or about to.
fn row_of(command: &str) -> Outcome<Value> {
    wait_until(&format!("a row of {command}"), Duration::from_secs(60), || who().ok()?.remove(command))
}

/// The same when its login is over. The record of the end comes before the entry says so.
fn ended_row_of(command: &str) -> Outcome<Value> {
    wait_until(&format!("the end of the login of {command}"), PATIENCE, || {
        who().ok()?.remove(command).filter(|row| !text_at(row, "/ended").is_empty())
    })
}

/// A row says what it should.
fn says(row: &Value, expected: &[(&str, &str)]) -> Outcome {
    for (key, value) in expected {
        require_eq(&format!("{key} of {row}"), text_at(row, key), *value)?;
    }
    Ok(())
}

/// An ssh login that runs a command until it is dropped.
fn logged_in(host: &Host, world: &World, person: &str, command: &str) -> Outcome<Background> {
    client(&[], "deployer", host.key(person)?, &[command]).start(world.log_file("ssh.out")?)
}

/// In the background in every usual way: `sleep N1`, `sleep N2` and `sleep N3`.
fn backgrounds(number: u32) -> String {
    format!(
        "exec </dev/null >/dev/null 2>&1; setsid sleep {number}1 & nohup sleep {number}2 & \
         (sleep {number}3 & exec true) & sleep 0.2"
    )
}

fn pid_of(row: &Value) -> String {
    row.pointer("/pid").map(Value::to_string).unwrap_or_default()
}

fn end(row: &Value) -> Outcome {
    Program::new("kill").args(&["-9", &pid_of(row)]).run()?.expect_ok().map(drop)
}

fn two_people_in_one_account_are_told_apart_also_after_they_have_logged_out(world: &mut World) -> Outcome {
    let host = Plan::new(world)?.start(world)?;
    for (person, number) in [("alice", 5001), ("bob", 5002)] {
        host.ssh(person, "deployer", &[&backgrounds(number)])?.expect_ok()?;
    }
    for (person, number) in [("alice", 5001), ("bob", 5002)] {
        world.log().wait_for(0, "end", &[("account", "deployer"), ("origin", person)])?;
        for way in 1..4 {
            let row = row_of(&format!("sleep {number}{way}"))?;
            let expected = [("/account", "deployer"), ("/origin", person), ("/evidence", "publickey")];
            says(&row, &expected)?;
            says(&row, &[("/from", "127.0.0.1"), ("/origin_kind", "person")])?;
            require_eq("its uid", &row.pointer("/uid").and_then(Value::as_u64), &Some(7001))?;
            let row = ended_row_of(&format!("sleep {number}{way}"))?;
            require(text_at(&row, "/ended") >= text_at(&row, "/since"), || row.to_string())?;
        }
    }
    // The process that sshd has for a login is of the account, too, and ends behind the record.
    wait_until("six rows", PATIENCE, || (who().ok()?.len() == 6).then_some(()))?;
    // An account, a uid and a process; and the table, which has the same lines in a pipe as on a terminal.
    let table = svcauth(&["who", "deployer"])?.expect_ok()?;
    require_eq("by uid", svcauth(&["who", "7001"])?.expect_ok()?.text(), table.text())?;
    require_eq(
        "by --account",
        svcauth(&["who", "--account", "deployer"])?.expect_ok()?.text(),
        table.text(),
    )?;
    let people: Vec<&str> = table.text().lines().filter_map(|line| line.split('\t').nth(2)).collect();
    require_eq("sorted by session", &people, &["alice", "alice", "alice", "bob", "bob", "bob"].to_vec())?;
    let row = row_of("sleep 50021")?;
    let (code, one) = svcauth_json(&["who", &pid_of(&row)])?;
    require_eq("by pid", &(code, list_at(&one, "").len(), text_at(&one, "/0/origin")), &(0, 1, "bob"))?;
    require_eq("the way to it", text_at(&one, "/0/chain/0/session"), text_at(&row, "/session"))?;
    // What is left of bob goes, and his session with it; alice's stays.
    for way in 1..4 {
        end(&row_of(&format!("sleep 5002{way}"))?)?;
    }
    swept(&host, text_at(&row, "/session"))?;
    says(&row_of("sleep 50012")?, &[("/origin", "alice")])
}

/// The registry has no entry of this session any more, some rounds later.
fn swept(host: &Host, session: &str) -> Outcome {
    wait_until(&format!("the end of {session}"), Duration::from_secs(60), || {
        host.daemon.sync().ok()?;
        std::thread::sleep(Duration::from_millis(200));
        entries().ok()?.lines().all(|path| !path.ends_with(session)).then_some(())
    })
}

fn entries() -> Outcome<String> {
    Ok(Program::new("find").args(&["/run/svcauth/sessions", "-type", "f"]).run()?.expect_ok()?.stdout)
}

fn each_process_of_a_chain_has_its_account_and_the_person_who_came_in(world: &mut World) -> Outcome {
    let mut plan = Plan::new(world)?;
    plan.site.directory.account("jenkins", 7002, 7000);
    plan.site.configure("# local_accounts = []", "local_accounts = [\"postgres\"]")?;
    plan.site.configure(
        "accounts = [\"deployer\"]                 #",
        "accounts = [\"deployer\", \"jenkins\", \"postgres\"] #",
    )?;
    world.local_service("postgres", 812)?;
    let host = plan.start(world)?;
    no_passwords(world)?;
    let third = "su -s /bin/sh jenkins -c \"sleep 6003 & sleep 6004\"";
    let second = format!("sudo -n -u postgres sh -c 'sleep 6002 & {third}'");
    let login = logged_in(&host, world, "alice", &format!("sleep 6001 & {second}"))?;
    let steps = [
        ("sleep 6001", "deployer", "publickey", 1),
        ("sleep 6002", "postgres", "inherited", 2),
        ("sleep 6004", "jenkins", "inherited", 3),
    ];
    for (command, account, evidence, length) in steps {
        let row = row_of(command)?;
        says(&row, &[("/account", account), ("/origin", "alice"), ("/evidence", evidence)])?;
        tells_the_way(&pid_of(&row), length)?;
    }
    // What is left after the whole chain has gone is still whose it was.
    drop(login);
    let killed = Program::new("kill").args(&["-9", &pid_of(&row_of("sleep 6004")?)]).run()?;
    killed.expect_ok()?;
    wait_until("the end of the sessions", Duration::from_secs(60), || {
        let ends = world.log().records_since(0).iter().filter(|record| record.verb == "end").count();
        (ends >= 3).then_some(())
    })?;
    for (command, account) in
        [("sleep 6001", "deployer"), ("sleep 6002", "postgres"), ("sleep 6003", "jenkins")]
    {
        says(&row_of(command)?, &[("/account", account), ("/origin", "alice")])?;
    }
    Ok(())
}

/// Of one process the sessions are told that led to it, the first one first.
fn tells_the_way(pid: &str, length: usize) -> Outcome {
    let (_, one) = svcauth_json(&["who", "--pid", pid])?;
    let chain: Vec<&str> = list_at(&one, "/0/chain").iter().map(|step| text_at(step, "/account")).collect();
    let expected = ["deployer", "postgres", "jenkins"];
    require_eq("the way to it", &chain.as_slice(), &expected.get(..length).unwrap_or_default())?;
    let told = svcauth(&["who", pid])?.expect_ok()?;
    require_eq("lines", &told.text().lines().count(), &(1 + length))?;
    require_contains("the first step", &told.stdout, "alice as deployer by sshd from 127.0.0.1, publickey")
}

fn a_killed_monitor_ends_its_session_once_and_hides_nobody(world: &mut World) -> Outcome {
    let host = Plan::new(world)?.start(world)?;
    let _login = logged_in(&host, world, "alice", "nohup sleep 7001 >/dev/null 2>&1 & sleep 7002")?;
    let row = row_of("sleep 7002")?;
    row_of("sleep 7001")?;
    let session = text_at(&row, "/session").to_owned();
    let began = world.log().wait_for(0, "allow", &[("session", &session)])?;
    let monitor = began.get("pid");
    require_contains(
        "the monitor",
        &fs::read_to_string(format!("/proc/{monitor}/cmdline"))?,
        "sshd: deployer",
    )?;
    Program::new("kill").args(&["-9", monitor]).run()?.expect_ok()?;
    let mut ends = Vec::new();
    wait_until("the record of the end", Duration::from_secs(60), || {
        host.daemon.sync().ok()?;
        std::thread::sleep(Duration::from_millis(500));
        ends = world.log().records_since(0);
        ends.retain(|record| record.says("end", &[("session", &session)]));
        (!ends.is_empty()).then_some(())
    })?;
    let record = ends.first().ok_or_else(|| Failure::new("no record"))?;
    require_contains("why", &record.line, "detail=\"the process that opened the session was killed\"")?;
    let left: Vec<Value> =
        ["sleep 7001", "sleep 7002"].iter().map(|one| ended_row_of(one)).collect::<Outcome<_>>()?;
    for row in &left {
        says(row, &[("/origin", "alice"), ("/session", &session)])?;
        require(!text_at(row, "/ended").is_empty(), || row.to_string())?;
    }
    require(entries()?.contains(&session), || "the entry went before its processes".to_owned())?;
    // The child of the monitor, which is of the account too, ends with the command.
    left.iter().try_for_each(end)?;
    swept(&host, &session)?;
    let ends = world.log().records_since(0).into_iter();
    let ends = ends.filter(|record| record.says("end", &[("session", &session)]));
    require_eq("records of its end", &ends.count(), &1)
}

fn without_audit_sessions_the_process_tree_tells_and_nobody_guesses(world: &mut World) -> Outcome {
    // Whoever runs the tests may have logged in.
    let _ = fs::write("/proc/self/loginuid", u32::MAX.to_string());
    if fs::read_to_string("/proc/self/sessionid")? != u32::MAX.to_string() {
        return Err(Failure::new("start the tests where no login leads to, as cron or a service would"));
    }
    let plan = Plan::new(world)?;
    plan.install(world)?;
    let stack = fs::read_to_string("/etc/pam.d/sshd")?;
    let bare: String = stack
        .lines()
        .filter(|line| !line.contains("pam_loginuid"))
        .fold(String::new(), |all, line| all + line + "\n");
    require(bare != stack, || "pam_loginuid is not in the stack".to_owned())?;
    world.write("/etc/pam.d/sshd", 0o644, bare)?;
    let host = plan.start_installed(world)?;
    let alice = logged_in(&host, world, "alice", "setsid sleep 8001 & sleep 8002; wait")?;
    let _bob = logged_in(&host, world, "bob", "setsid sleep 8003 & sleep 8004; wait")?;
    for (number, person) in [(8001, "alice"), (8002, "alice"), (8003, "bob"), (8004, "bob")] {
        let row = row_of(&format!("sleep {number}"))?;
        says(&row, &[("/origin", person), ("/evidence", "publickey")])?;
        let audit = fs::read_to_string(format!("/proc/{}/sessionid", pid_of(&row)))?;
        require_eq("its audit session", &audit, &u32::MAX.to_string())?;
    }
    // Out of the tree: the account's, and nobody's.
    drop(alice);
    wait_until("alice's logout", Duration::from_secs(60), || {
        world
            .log()
            .records_since(0)
            .iter()
            .find(|record| record.says("end", &[("origin", "alice")]))
            .map(drop)
    })?;
    end(&row_of("sleep 8002")?)?;
    let row = wait_until("sleep 8001 to be alone", Duration::from_secs(60), || {
        let row = row_of("sleep 8001").ok()?;
        text_at(&row, "/origin").is_empty().then_some(row)
    })?;
    says(&row, &[("/account", "deployer"), ("/why", "no session")])?;
    let line = svcauth(&["who", &pid_of(&row)])?.expect_ok()?;
    require_contains("its line", &line.stdout, "\tunknown (no session)\t")?;
    says(&row_of("sleep 8003")?, &[("/origin", "bob")])
}

fn nothing_that_a_process_says_about_itself_counts(world: &mut World) -> Outcome {
    let host = Plan::new(world)?.start(world)?;
    let _alice = logged_in(&host, world, "alice", "sleep 9000")?;
    let alice = row_of("sleep 9000")?;
    says(&alice, &[("/origin", "alice")])?;
    let session = text_at(&alice, "/session");
    let audit = fs::read_to_string(format!("/proc/{}/sessionid", pid_of(&alice)))?;
    let lies = format!(
        "exec 2>/dev/null; export SVCAUTH_ORIGIN=alice SVCAUTH_SESSION={session} SUDO_USER=alice LOGNAME=alice\n\
         printf alice > /proc/self/comm; echo 1001 > /proc/self/loginuid; echo {audit} > /proc/self/sessionid\n\
         (exec -a 'sshd: alice [priv]' sleep 9001) & (exec -a '' sleep 9002) &\n\
         (exec -a \"$(printf 'x\\n1\\talice\\033[2J\\xe2\\x80\\xae%0100000d' 7)\" sleep 9003) & sleep 9004"
    );
    let _bob = logged_in(&host, world, "bob", &lies)?;
    let is_bobs = |row: &&Value| text_at(row, "/origin") == "bob";
    let is_hostile = |row: &Value| text_at(row, "/command").contains('\u{202e}');
    // Each begins as a copy of the shell that started it.
    let rows = wait_until("all of bob's", PATIENCE, || {
        let rows = who().ok()?;
        let named = ["sshd: alice [priv] 9001", " 9002", "sleep 9004"];
        let all = named.iter().all(|command| rows.contains_key(*command)) && rows.values().any(is_hostile);
        all.then_some(rows)
    })?;
    for command in ["sshd: alice [priv] 9001", " 9002", "sleep 9004"] {
        require(rows.get(command).filter(is_bobs).is_some(), || format!("{command}: {:?}", rows.keys()))?;
    }
    let hostile = rows.values().filter(is_bobs).filter(|row| is_hostile(row));
    require_eq("hostile rows", &hostile.count(), &1)?;
    let alices = rows.iter().filter(|(_, row)| text_at(row, "/session") == session);
    let alices: Vec<&String> = alices.map(|(command, _)| command).filter(|it| it.contains("900")).collect();
    require_eq("alice's", &alices, &vec![&"sleep 9000".to_owned()])?;
    is_one_line_each()?;
    whoever_never_logged_in_is_nobody(world)
}

/// However it is shown, each process is one line, and no byte of it is obeyed.
fn is_one_line_each() -> Outcome {
    let (_, rows) = svcauth_json(&["who"])?;
    let count = list_at(&rows, "").len();
    let table = svcauth(&["who"])?.expect_ok()?;
    require_eq("lines", &table.text().lines().count(), &count)?;
    require(table.text().lines().all(|line| line.split('\t').count() == 8), || table.stdout.clone())?;
    let raw = svcauth(&["who", "--json"])?.expect_ok()?;
    for shown in [&table.stdout, &raw.stdout] {
        require(!shown.contains(['\u{1b}', '\u{202e}']), || "an escape came through".to_owned())?;
    }
    require_eq("lines of JSON", &raw.text().lines().count(), &1)
}

/// A process outside of any login may write whom it wants to be into its loginuid, once.
fn whoever_never_logged_in_is_nobody(world: &World) -> Outcome {
    let words = ["sh", "-c", "echo 1001 > /proc/self/loginuid; exec sleep 9005"];
    let _forger = world.as_account("deployer", 7001, 7000, &words).start(world.log_file("forger.out")?)?;
    let row = row_of("sleep 9005")?;
    let login = fs::read_to_string(format!("/proc/{}/loginuid", pid_of(&row)))?;
    require_eq("its loginuid", login.as_str(), "1001")?;
    require_eq("its origin", &row.pointer("/origin"), &Some(&Value::Null))?;
    says(&row, &[("/account", "deployer"), ("/why", "no session")])
}

/// As over a terminal that two people share: one audit session, two of them became the account.
fn people_who_cannot_be_told_apart_are_both_named(world: &mut World) -> Outcome {
    let _host = Plan::new(world)?.start(world)?;
    no_passwords(world)?;
    let by = |person: &str, seconds: u32| {
        format!(
            "setpriv --reuid={person} --regid={person} --init-groups sudo -n -u deployer sh -c 'setsid sleep {seconds} >/dev/null 2>&1 &'; sleep 0.1"
        )
    };
    let script =
        format!("echo 1001 > /proc/self/loginuid || exit 9; {}; {}", by("alice", 4001), by("bob", 4002));
    Program::new("sh").args(&["-c", &script]).run()?.expect_ok()?;
    // Began before bob was there.
    says(&row_of("sleep 4001")?, &[("/origin", "alice"), ("/evidence", "invoker")])?;
    let row = row_of("sleep 4002")?;
    require_eq("its origin", &row.pointer("/origin"), &Some(&Value::Null))?;
    says(&row, &[("/why", "ambiguous: alice|bob"), ("/account", "deployer")])
}

fn it_answers_root_alone_and_only_about_managed_accounts(world: &mut World) -> Outcome {
    let host = Plan::new(world)?.start(world)?;
    let _bob = logged_in(&host, world, "bob", "sleep 3001")?;
    let row = row_of("sleep 3001")?;
    svcauth(&["who", &pid_of(&row)])?.expect_ok()?;
    for (args, code, words) in [
        (vec!["who", "1"], 1, "the process 1 is of no managed account"),
        (vec!["who", "--pid", "4194304"], 1, "there is no process 4194304"),
        (vec!["who", "--uid", "1002"], 1, "1002 is neither a process nor the uid of a managed account"),
        (vec!["who", "carol"], 1, "carol is no managed account"),
        (vec!["who", "root"], 1, "root is no managed account"),
        (vec!["who", "--pid", "x"], 2, "x"),
        (vec!["who", "deployer", "--uid", "7001"], 2, "cannot be used"),
    ] {
        let ended = svcauth(&args)?.expect_code(code)?;
        require_contains(&args.join(" "), &ended.stderr, words)?;
        require_eq(&args.join(" "), ended.text(), "")?;
    }
    let refused = world.as_user("bob", &["/usr/bin/svcauth", "who"]).run()?.expect_code(1)?;
    require_eq("lines", &refused.stderr.lines().count(), &1)?;
    require_contains("bob", &refused.stderr, "only root may see who is behind a process")
}
