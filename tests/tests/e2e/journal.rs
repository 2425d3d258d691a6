//! A real systemd-journald takes the records with their fields, so that journalctl finds them.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;
use svcauth_tests::cases;
use svcauth_tests::failure::{Failure, Outcome, require, require_contains, require_eq};
use svcauth_tests::keys::Statement;
use svcauth_tests::program::{Background, Program, wait_until};
use svcauth_tests::site::text_at;
use svcauth_tests::trail;
use svcauth_tests::world::World;

use crate::host::Plan;

cases!("journal":
    journalctl_finds_the_records_of_a_person_with_every_field,
    text_of_others_is_the_value_of_one_field_and_can_be_had_back,
    a_journald_that_stands_still_holds_no_login_up_and_gets_the_record_later,
    without_its_journald_the_records_go_to_syslog,
);

const SOCKET: &str = "/run/systemd/journal/socket";

/// A journald of the world's own; its files are below /run.
fn journald(world: &World) -> Outcome<Background> {
    world.write("/etc/machine-id", 0o444, "0123456789abcdef0123456789abcdef\n")?;
    world.write(
        "/etc/systemd/journald.conf",
        0o644,
        "[Journal]\nStorage=volatile\nForwardToSyslog=no\nReadKMsg=no\n",
    )?;
    let journald = Program::new("/lib/systemd/systemd-journald").start(world.log_file("journald.out")?)?;
    wait_until("the socket of journald", Duration::from_secs(60), || {
        Path::new(SOCKET).exists().then_some(())
    })?;
    Ok(journald)
}

/// Waits until journalctl finds so many entries.
fn find(matches: &[&str], count: usize) -> Outcome<Vec<Value>> {
    let mut last = Vec::new();
    let found = wait_until(&format!("{count} entries with {matches:?}"), Duration::from_secs(60), || {
        let ended =
            Program::new("journalctl").args(&["--no-pager", "-o", "json"]).args(matches).run().ok()?;
        last = ended.stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        (last.len() >= count).then(|| last.clone())
    });
    found.map_err(|why| Failure::new(format!("{why}; there are {last:#?}")))
}

fn journalctl_finds_the_records_of_a_person_with_every_field(world: &mut World) -> Outcome {
    let _journald = journald(world)?;
    let host = Plan::new(world)?.start(world)?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    host.ssh("carol", "deployer", &["true"])?.expect_refused()?;
    let bob = find(&["SVCAUTH_ORIGIN=bob"], 3)?;
    let events: Vec<&str> = bob.iter().map(|entry| text_at(entry, "/SVCAUTH_EVENT")).collect();
    require_eq("bob's events", &events, &vec!["decision", "session_start", "session_end"])?;
    let allowed = find(&["SVCAUTH_ORIGIN=bob", "SVCAUTH_DECISION=allow"], 1)?.remove(0);
    let message = text_at(&allowed, "/MESSAGE");
    require(message.starts_with("allow account=deployer origin=bob evidence=publickey "), || {
        message.to_owned()
    })?;
    require_eq("the severity", text_at(&allowed, "/PRIORITY"), "6")?;
    require_eq("the name", text_at(&allowed, "/SYSLOG_IDENTIFIER"), "svcauth")?;
    // Every key of the record is a field, and no other SVCAUTH field is there.
    let mut records = trail::wait_for(&["--person", "bob", "--decision", "allow"], 1)?;
    let mut record = records.remove(0);
    let fields = record.as_object_mut().ok_or_else(|| Failure::new("a record is no object"))?;
    for key in ["seq", "hash"] {
        fields.remove(key);
    }
    let ours =
        allowed.as_object().into_iter().flatten().filter(|(key, _)| key.starts_with("SVCAUTH_")).count();
    require_eq("the fields", &ours, &fields.len())?;
    for (key, value) in fields {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        require_eq(key, text_at(&allowed, &format!("/SVCAUTH_{}", key.to_uppercase())), text.as_str())?;
    }
    let decisions = find(&["MESSAGE_ID=3b5fe0ae760045c58ed6b09639e044ef"], 2)?;
    let carol = decisions.last().unwrap_or(&Value::Null);
    require_eq("who was denied", text_at(carol, "/SVCAUTH_ORIGIN"), "carol")?;
    require_eq("the severity of a denial", text_at(carol, "/PRIORITY"), "5")
}

fn text_of_others_is_the_value_of_one_field_and_can_be_had_back(world: &mut World) -> Outcome {
    let _journald = journald(world)?;
    let mut plan = Plan::new(world)?;
    let authority = world.key("authority")?;
    world.write("/etc/svcauth/user_ca.pub", 0o644, format!("{}\n", authority.public()))?;
    let config =
        "# [certificates]\n# trusted_ca = [\"/etc/svcauth/user_ca.pub\"]\n# key_id = \"{login}@example.com\"";
    plan.site.configure(config, &config.replace("# ", ""))?;
    plan.sshd_line("TrustedUserCAKeys /etc/svcauth/user_ca.pub");
    let host = plan.start(world)?;
    let laptop = world.key("laptop")?;
    let login = |id: &str| {
        let says = Statement { id, principals: &["deployer"], serial: 1, options: &[] };
        let signed = laptop.signed_by(&authority, "signed", says)?;
        host.sshd.ssh("deployer", &signed, &["true"])
    };
    login("alice@example.com")?.expect_ok()?;
    find(&["SVCAUTH_CERT_KEY_ID=alice@example.com", "SVCAUTH_DECISION=allow"], 1)?;
    let id = "alice@example.com\nSVCAUTH_ORIGIN=alice\nMESSAGE=allow \u{1b}[2J";
    login(id)?.expect_refused()?;
    let denied = find(&["SVCAUTH_REASON=unknown_principal"], 1)?.remove(0);
    // What is not printable comes as a list of bytes.
    let bytes = serde_json::json!(id.as_bytes());
    require_eq("the key id", &denied.get("SVCAUTH_CERT_KEY_ID"), &Some(&bytes))?;
    require_eq("an origin", &denied.get("SVCAUTH_ORIGIN"), &None)?;
    require_contains(
        "the message",
        text_at(&denied, "/MESSAGE"),
        "\\x0aSVCAUTH_ORIGIN=alice\\x0aMESSAGE=allow \\x1b[2J\"",
    )?;
    require_eq("decisions", &find(&["SVCAUTH_EVENT=decision"], 2)?.len(), &2)
}

fn a_journald_that_stands_still_holds_no_login_up_and_gets_the_record_later(world: &mut World) -> Outcome {
    let journald = journald(world)?;
    let host = Plan::new(world)?.start(world)?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    find(&["SVCAUTH_ORIGIN=bob"], 3)?;
    journald.freeze()?;
    let started = Instant::now();
    host.ssh("alice", "deployer", &["true"])?.expect_ok()?;
    require(started.elapsed() < Duration::from_secs(60), || format!("{:?}", started.elapsed()))?;
    trail::wait_for(&["--person", "alice"], 3)?;
    journald.signal(Signal::SIGCONT)?;
    find(&["SVCAUTH_ORIGIN=alice"], 3).map(drop)
}

fn without_its_journald_the_records_go_to_syslog(world: &mut World) -> Outcome {
    let journald = journald(world)?;
    let host = Plan::new(world)?.start(world)?;
    let mark = world.log().mark();
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    find(&["SVCAUTH_ORIGIN=bob"], 3)?;
    require_eq(
        "the records in syslog",
        &world.log().records_since(mark).iter().filter(|it| it.verb == "allow").count(),
        &0,
    )?;
    journald.stop(Signal::SIGKILL)?;
    host.ssh("alice", "deployer", &["true"])?.expect_ok()?;
    world.log().wait_for(mark, "allow", &[("origin", "alice")])?;
    world.log().wait_for(mark, "end", &[("origin", "alice")]).map(drop)
}
