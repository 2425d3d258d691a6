//! Jobs of cron and at, which have nobody behind them; on whose behalf a robot acts; and what every record of a session says.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops where it fails"
)]

mod support;

use std::fs;

use support::ffi::Phase;
use support::login::{Login, assert_others_untouched};
use support::site::{BOB, CAROL, ROBOT_CERT, Site};
use support::world::{DENIED, SUCCESS, World, in_world};
use svcauth_core::policy::Person;

/// The value of a word in a record.
fn value<'a>(record: &'a str, key: &str) -> Option<&'a str> {
    record.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

/// A site whose `nightly` may run jobs of all three services, and become nobody else.
fn with_jobs() -> Site {
    let mut site = Site::usual();
    let rule = site.policy.rules.iter_mut().find(|rule| rule.services == ["cron"]).unwrap();
    rule.services = ["cron", "crond", "atd", "login"].map(str::to_owned).into();
    site
}

#[test]
fn a_job_runs_as_its_account_where_a_rule_names_the_service_and_names_nobody() {
    in_world("a_job_runs_as_its_account_where_a_rule_names_the_service_and_names_nobody", |world| {
        world.publish(&with_jobs());
        for service in ["cron", "crond", "atd"] {
            let job = Login::through(service, "nightly").run(world);
            let codes = (job.account, job.open, job.establish, job.close);
            assert_eq!(codes, (SUCCESS, SUCCESS, SUCCESS, Some(SUCCESS)), "{service}: {job:?}");
            let verbs: Vec<&str> = job.records.iter().filter_map(|record| record.split(' ').next()).collect();
            assert_eq!(verbs, ["allow", "start", "end"], "{service}: {job:?}");
            for record in &job.records {
                assert_eq!(value(record, "origin"), Some("nightly"), "{record}");
                assert_eq!(value(record, "origin_kind"), Some("local"), "{record}");
                assert_eq!(value(record, "service"), Some(service), "{record}");
                for key in ["evidence", "first_evidence", "key", "principal", "role", "on_behalf_of", "chain"]
                {
                    assert_eq!(value(record, key), None, "{key} in {record}");
                }
            }
            let other = Login::through(service, "deployer").run(world);
            assert_eq!((other.account, other.open), (DENIED, DENIED), "{service}: {other:?}");
            assert_eq!(value(&other.records[0], "reason"), Some("service_not_allowed"), "{service}");
        }
        // The console is no job, even where a rule names it.
        let console = Login::through("login", "nightly").run(world);
        assert_eq!((console.account, console.open), (SUCCESS, DENIED), "{console:?}");
        assert_eq!(value(&console.records[0], "reason"), Some("no_origin"), "{console:?}");
        assert_others_untouched(world, "jobs");
    });
}

#[test]
fn a_job_has_nobody_to_hand_on() {
    in_world("a_job_has_nobody_to_hand_on", |world| {
        let mut site = with_jobs();
        let nightly =
            |rule: &&mut svcauth_core::policy::AccessRule| rule.services.contains(&"atd".to_owned());
        let also = ["sshd", "su"].map(str::to_owned);
        site.policy.rules.iter_mut().find(nightly).unwrap().services.extend(also);
        world.publish(&site);
        // In a session of bob the same account is bob.
        let ssh = Login::ssh("nightly", BOB);
        let outer = ssh.start(world);
        ssh.complete(&outer);
        assert_eq!(outer.run(Phase::Open, 0), SUCCESS);
        assert_eq!(Login::by("su", "nightly", "jenkins").run(world).open, SUCCESS);
        assert_eq!(outer.run(Phase::Close, 0), SUCCESS);

        let job = Login::through("cron", "nightly").start(world);
        assert_eq!(job.run(Phase::Open, 0), SUCCESS);
        for service in ["su", "su-l", "sudo", "sudo-i"] {
            let inner = Login::by(service, "nightly", "jenkins").run(world);
            assert_eq!(inner.open, DENIED, "{service}: {inner:?}");
            let denial = &inner.records[0];
            assert_eq!(value(denial, "reason"), Some("no_origin"), "{denial}");
            assert!(
                denial.contains("detail=\"a job of nightly (cron) called, and nobody is behind a job\""),
                "{denial}"
            );
            assert!(value(denial, "chain").is_some() && value(denial, "origin").is_none(), "{denial}");
        }
        // Root's own job may.
        assert_eq!(Login::by("su", "root", "jenkins").run(world).open, SUCCESS);
        assert_eq!(job.run(Phase::Close, 0), SUCCESS);
    });
}

#[test]
fn a_user_manager_is_let_in_beside_an_open_session_of_its_account_or_by_a_rule() {
    in_world("a_user_manager_is_let_in_beside_an_open_session_of_its_account_or_by_a_rule", |world| {
        world.publish(&Site::usual());
        let manager = |world: &World| Login::through("systemd-user", "deployer").run(world);
        let alone = manager(world);
        assert_eq!((alone.account, alone.open), (SUCCESS, DENIED), "{alone:?}");
        assert_eq!(value(&alone.records[0], "reason"), Some("service_not_allowed"), "{alone:?}");

        let ssh = Login::ssh("deployer", BOB);
        let person = ssh.start(world);
        ssh.complete(&person);
        assert_eq!(person.run(Phase::Open, 0), SUCCESS);
        let beside = manager(world);
        assert_eq!((beside.account, beside.open, beside.close), (SUCCESS, SUCCESS, Some(SUCCESS)));
        assert_eq!(value(&beside.records[0], "origin"), Some("deployer"), "{beside:?}");
        assert_eq!(value(&beside.records[0], "origin_kind"), Some("local"), "{beside:?}");
        // Bob's session is none of another account, and a manager is no session beside which another may stand.
        let other = Login::through("systemd-user", "nightly").run(world);
        assert_eq!((other.account, other.open), (SUCCESS, DENIED), "{other:?}");
        let first = Login::through("systemd-user", "deployer").start(world);
        assert_eq!(first.run(Phase::Open, 0), SUCCESS);
        assert_eq!(person.run(Phase::Close, 0), SUCCESS);
        assert_eq!(manager(world).open, DENIED);
        assert_eq!(first.run(Phase::Close, 0), SUCCESS);

        let mut site = Site::usual();
        site.policy.rules.iter_mut().for_each(|rule| rule.services.push("systemd-user".to_owned()));
        world.publish(&site);
        assert_eq!(manager(world).open, SUCCESS);
        assert_others_untouched(world, "user managers");
    });
}

#[test]
fn a_job_and_a_person_around_one_call_are_not_told_apart_by_guessing() {
    in_world("a_job_and_a_person_around_one_call_are_not_told_apart_by_guessing", |world| {
        let mut site = with_jobs();
        site.policy.rules.iter_mut().for_each(|rule| rule.services.extend(["sshd", "su"].map(str::to_owned)));
        world.publish(&site);
        let ssh = Login::ssh("nightly", BOB);
        let person = ssh.start(world);
        ssh.complete(&person);
        assert_eq!(person.run(Phase::Open, 0), SUCCESS);
        assert_eq!(Login::by("su", "nightly", "jenkins").run(world).open, SUCCESS);
        let job = Login::through("atd", "nightly").start(world);
        assert_eq!(job.run(Phase::Open, 0), SUCCESS);
        let both = Login::by("su", "nightly", "jenkins").run(world);
        assert!(both.open == DENIED && both.records[0].contains("reason=ambiguous_origin"), "{both:?}");
        assert_eq!((job.run(Phase::Close, 0), person.run(Phase::Close, 0)), (SUCCESS, SUCCESS));
    });
}

/// The robot of the fixture's certificate, whose extension says that bob triggered it.
fn with_robot() -> Site {
    let mut site = Site::usual();
    let held = site.people[1].0.held.clone();
    site.people.push((Person { held, ..Person::without_roles("robot") }, Vec::new(), Vec::new()));
    site
}

#[test]
fn on_whose_behalf_a_robot_acts_is_in_every_record_and_decides_nothing() {
    in_world("on_whose_behalf_a_robot_acts_is_in_every_record_and_decides_nothing", |world| {
        let robot = Login::ssh("deployer", ROBOT_CERT);
        let mut site = with_robot();
        // That bob is disabled changes nothing: the robot has the role.
        site.people[1].0.disabled = true;
        world.publish(&site);
        let handle = robot.start(world);
        robot.complete(&handle);
        assert_eq!(handle.run(Phase::Open, 0), SUCCESS);
        assert_eq!(handle.env(c"SVCAUTH_ORIGIN").as_deref(), Some("robot"));
        let inner = Login::by("su", "deployer", "jenkins").run(world);
        assert_eq!(inner.open, SUCCESS, "{inner:?}");
        assert_eq!(handle.run(Phase::Close, 0), SUCCESS);
        let records = [inner.records, world.records()].concat();
        assert_eq!(records.len(), 4, "{records:?}");
        for record in records {
            assert_eq!(value(&record, "origin"), Some("robot"), "{record}");
            assert_eq!(value(&record, "on_behalf_of"), Some("bob"), "{record}");
            assert_eq!(value(&record, "cert_key_id"), Some("robot@example.com"), "{record}");
        }
        // That bob has the role gives the robot nothing.
        let mut site = with_robot();
        site.people.last_mut().unwrap().0.held.clear();
        world.publish(&site);
        let refused = robot.run(world);
        assert!(refused.open == DENIED && refused.records[0].contains("reason=not_in_role"), "{refused:?}");
        assert_eq!(value(&refused.records[0], "on_behalf_of"), Some("bob"));
    });
}

#[test]
fn what_an_untrusted_authority_says_about_a_behalf_is_not_recorded() {
    in_world("what_an_untrusted_authority_says_about_a_behalf_is_not_recorded", |world| {
        let robot = Login::ssh("deployer", ROBOT_CERT);
        let mut site = with_robot();
        world.publish(&site);
        let allowed = robot.run(world);
        assert_eq!((allowed.open, value(&allowed.records[0], "on_behalf_of")), (SUCCESS, Some("bob")));
        site.policy.trusted_ca.clear();
        world.publish(&site);
        let refused = robot.run(world);
        let denial = &refused.records[0];
        assert!(refused.open == DENIED && denial.contains("reason=untrusted_ca"), "{denial}");
        assert!(!denial.contains("on_behalf_of") && value(denial, "cert_ca").is_some(), "{denial}");
    });
}

/// The first session of a chain, and what later records must show of it.
fn chain_from(world: &World, first: &Login, shown: &[(&str, &str)]) {
    let outer = first.start(world);
    first.complete(&outer);
    world.records();
    assert_eq!(outer.run(Phase::Open, 0), SUCCESS, "{first:?}");
    let begin = world.records().remove(0);
    let second = Login::by("sudo", "deployer", "postgres").start(world);
    assert_eq!(second.run(Phase::Open, 0), SUCCESS, "{first:?}");
    let middle = world.records().remove(0);
    let third = Login::by("su", "postgres", "jenkins").run(world);
    assert_eq!(third.open, SUCCESS, "{third:?}");
    assert_eq!((second.run(Phase::Close, 0), outer.run(Phase::Close, 0)), (SUCCESS, SUCCESS));
    let [one, two] = [&begin, &middle].map(|record| value(record, "session").unwrap().to_owned());
    let both = format!("{one}/{two}");
    let of_middle = [middle].into_iter().map(|record| (record, one.clone()));
    for (record, chain) in of_middle.chain(third.records.into_iter().map(|record| (record, both.clone()))) {
        assert_eq!(value(&record, "evidence"), Some("inherited"), "{record}");
        assert_eq!(value(&record, "chain"), Some(chain.as_str()), "{record}");
        for (key, wanted) in shown {
            assert_eq!(value(&record, key), Some(*wanted), "{record}");
        }
        for key in ["key", "cert_key_id", "cert_serial", "cert_ca", "principal"] {
            assert_eq!(value(&record, key), value(&begin, key), "{key} in {record}");
        }
    }
}

#[test]
fn every_step_of_a_chain_names_the_person_and_the_evidence_of_its_beginning() {
    in_world("every_step_of_a_chain_names_the_person_and_the_evidence_of_its_beginning", |world| {
        let gss = Login::ssh_with("deployer", "gssapi-with-mic bob@EXAMPLE.COM\n");
        for (first, origin, word) in [
            (Login::ssh("deployer", BOB), "bob", "publickey"),
            (Login::ssh("deployer", support::site::ALICE_CERT), "alice", "certificate"),
            (gss, "bob", "gssapi"),
            (Login::by("su", "bob", "deployer"), "bob", "invoker"),
        ] {
            chain_from(world, &first, &[("origin", origin), ("first_evidence", word)]);
        }
        assert_eq!(Login::ssh("deployer", CAROL).run(world).open, DENIED);
    });
}

#[test]
fn root_inside_a_session_is_root_and_the_record_says_whose_session_it_is() {
    in_world("root_inside_a_session_is_root_and_the_record_says_whose_session_it_is", |world| {
        let ssh = Login::ssh("deployer", BOB);
        let outer = ssh.start(world);
        ssh.complete(&outer);
        assert_eq!(outer.run(Phase::Open, 0), SUCCESS);
        let session = value(&world.records()[0], "session").unwrap().to_owned();
        // As `sudo su - jenkins` ends.
        let root = Login::by("su-l", "root", "jenkins").run(world);
        assert_eq!(root.open, SUCCESS, "{root:?}");
        let allow = &root.records[0];
        assert_eq!((value(allow, "origin"), value(allow, "origin_kind")), (Some("root"), Some("root")));
        assert_eq!(value(allow, "chain"), Some(session.as_str()), "{allow}");
        assert!(allow.contains("detail=\"root was called inside a session of bob\""), "{allow}");
        let verbs: Vec<&str> = root.records.iter().filter_map(|record| record.split(' ').next()).collect();
        assert_eq!(verbs, ["allow", "start", "end"]);
        assert_eq!(outer.run(Phase::Close, 0), SUCCESS);
        let alone = Login::by("su-l", "root", "jenkins").run(world);
        assert!(!alone.records[0].contains("detail="), "{alone:?}");
    });
}

#[test]
fn the_start_of_a_session_is_recorded_when_it_is_kept_and_refuses_nobody() {
    in_world("the_start_of_a_session_is_recorded_when_it_is_kept_and_refuses_nobody", |world| {
        let ssh = Login::ssh("deployer", BOB);
        let records = ssh.run(world).records;
        assert!(records[0].starts_with("allow ") && records[1].starts_with("start "), "{records:?}");
        let shared =
            |record: &str| ["session", "generation", "pid"].map(|key| value(record, key).map(str::to_owned));
        assert_eq!(shared(&records[0]), shared(&records[1]));
        assert!(records[1].contains("origin=bob evidence=publickey key=SHA256:"), "{records:?}");
        // Refused before there is a session: no start, and no entry.
        fs::remove_dir_all("/run/svcauth").unwrap();
        fs::write("/run/svcauth", "in the way").unwrap();
        let refused = ssh.run(world);
        assert_eq!(refused.open, DENIED);
        assert!(refused.records.len() == 1 && refused.records[0].starts_with("deny "), "{refused:?}");
        let root = Login::by("su", "root", "deployer").run(world);
        assert_eq!(root.open, SUCCESS, "no registry keeps root out");
        fs::remove_file("/run/svcauth").unwrap();
        assert_eq!(ssh.run(world).open, SUCCESS);
        assert_eq!(world.sessions(), Vec::<String>::new());
    });
}
