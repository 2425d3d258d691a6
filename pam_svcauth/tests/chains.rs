//! Sessions inside sessions, root as a caller, applications that do things out of order.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test stops where it fails")]

mod support;

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::unistd::{Uid, setresuid};
use support::ffi::{Item, Phase, SILENT, Talk};
use support::login::{Login, assert_others_untouched};
use support::site::{BOB, CAROL};
use support::world::{DENIED, IGNORE, SESSIONS, SNAPSHOT, SUCCESS, in_world, in_world_of_a_login, skipped};

/// The value of a word in a record.
fn value<'a>(record: &'a str, key: &str) -> Option<&'a str> {
    record.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

#[test]
fn a_later_su_in_the_same_session_inherits_the_origin_until_that_session_ends() {
    let test = "a_later_su_in_the_same_session_inherits_the_origin_until_that_session_ends";
    // Where the kernel has audit sessions and lets us set one, the entries are found by it, else by ancestry.
    in_world_of_a_login(test, |world| {
        let audited = fs::read_to_string("/proc/self/sessionid").is_ok_and(|id| id != u32::MAX.to_string());
        let ssh = Login::ssh("deployer", BOB);
        let outer = ssh.start(world);
        ssh.complete(&outer);
        assert_eq!(outer.run(Phase::Open, 0), SUCCESS);
        let allowed = world.records().remove(0);
        let session = value(&allowed, "session").unwrap().to_owned();

        let [first, second] = [("su", "jenkins"), ("sudo", "postgres")].map(|(service, account)| {
            let answers = Login::by(service, "deployer", account).run(world);
            assert_eq!((answers.open, answers.close), (SUCCESS, Some(SUCCESS)), "{answers:?}");
            answers.records[0].clone()
        });
        for record in [first, second] {
            assert_eq!(value(&record, "origin"), Some("bob"), "{record}");
            assert_eq!(value(&record, "evidence"), Some("inherited"), "{record}");
            assert_eq!(value(&record, "key"), value(&allowed, "key"), "{record}");
            assert_eq!(value(&record, "chain"), Some(session.as_str()), "{record}");
        }
        // Another account's name is no claim to bob's session.
        let stolen = Login::by("su", "jenkins", "deployer").run(world);
        assert_eq!(stolen.open, DENIED);
        assert!(stolen.records[0].contains("reason=no_origin"), "{stolen:?}");

        assert_eq!(world.sessions().len(), 1);
        assert_eq!(outer.run(Phase::Close, 0), SUCCESS);
        assert_eq!(world.sessions().len(), 0);
        let late = Login::by("su", "deployer", "jenkins").run(world);
        assert_eq!(late.open, DENIED, "audited={audited} {late:?}");
        assert!(late.records[0].contains("reason=no_origin"), "{late:?}");
    });
}

#[test]
fn the_person_behind_a_process_that_outlives_its_session_stays_known() {
    in_world_of_a_login("the_person_behind_a_process_that_outlives_its_session_stays_known", |world| {
        if fs::read_to_string("/proc/self/sessionid").is_ok_and(|id| id == u32::MAX.to_string()) {
            return skipped("the_person_behind_a_process", "no audit sessions here");
        }
        let login = |account| {
            let ssh = Login::ssh(account, BOB);
            let handle = ssh.start(world);
            ssh.complete(&handle);
            assert_eq!(handle.run(Phase::Open, 0), SUCCESS);
            handle
        };
        let entry = |name: &String| fs::read_to_string(format!("{SESSIONS}/{name}")).unwrap();
        let sleeper = |uid| Command::new("sleep").arg("60").uid(uid).spawn().unwrap();

        // postgres is in /etc/passwd: the snapshot does not know its uid.
        for (account, uid) in [("deployer", 7001), ("postgres", 112)] {
            let outer = login(account);
            let mut other = sleeper(1001);
            assert_eq!(outer.run(Phase::Close, 0), SUCCESS);
            assert_eq!(world.sessions(), Vec::<String>::new(), "that process is of another account");
            other.kill().unwrap();
            other.wait().unwrap();

            let outer = login(account);
            let mut left = sleeper(uid);
            world.records();
            assert_eq!(outer.run(Phase::Close, 0), SUCCESS);
            assert!(world.records()[0].starts_with(&format!("end account={account} ")));
            let names = world.sessions();
            assert_eq!(names.len(), 1, "{account}");
            assert!(entry(&names[0]).contains("\nended 1"), "{}", entry(&names[0]));

            let answers = Login::by("su", account, "jenkins").run(world);
            assert_eq!(answers.open, SUCCESS, "{answers:?}");
            assert_eq!(value(&answers.records[0], "origin"), Some("bob"), "{answers:?}");
            // What comes after removes nothing that is still needed.
            assert_eq!(world.sessions(), names);
            left.kill().unwrap();
            left.wait().unwrap();
            fs::remove_file(format!("{SESSIONS}/{}", names[0])).unwrap();
        }
    });
}

#[test]
fn two_people_as_one_account_in_one_audit_session_are_not_told_apart_by_guessing() {
    in_world("two_people_as_one_account_in_one_audit_session_are_not_told_apart_by_guessing", |world| {
        let [bob, alice] = ["bob", "alice"].map(|person| {
            let handle = Login::by("su", person, "deployer").start(world);
            assert_eq!(handle.run(Phase::Open, 0), SUCCESS);
            handle
        });
        let both = Login::by("su", "deployer", "jenkins").run(world);
        assert_eq!(both.open, DENIED);
        assert!(both.records.last().unwrap().contains("reason=ambiguous_origin"), "{both:?}");
        assert_eq!(alice.run(Phase::Close, 0), SUCCESS);
        let one = Login::by("su", "deployer", "jenkins").run(world);
        assert_eq!(one.open, SUCCESS, "{one:?}");
        assert_eq!(bob.run(Phase::Close, 0), SUCCESS);
    });
}

#[test]
fn an_inherited_origin_is_decided_anew_and_entries_of_another_boot_do_not_count() {
    in_world("an_inherited_origin_is_decided_anew_and_entries_of_another_boot_do_not_count", |world| {
        let outer = Login::by("su", "bob", "deployer").start(world);
        assert_eq!(outer.run(Phase::Open, 0), SUCCESS);
        assert_eq!(Login::by("su", "deployer", "jenkins").run(world).open, SUCCESS);

        let mut site = support::site::Site::usual();
        site.people.retain(|(person, ..)| person.login != "bob");
        world.publish(&site);
        let gone = Login::by("su", "deployer", "jenkins").run(world);
        assert_eq!(gone.open, DENIED);
        assert!(gone.records[0].contains("origin=bob reason=not_in_role"), "{gone:?}");

        world.publish(&support::site::Site::usual());
        let path = format!("{SESSIONS}/{}", world.sessions()[0]);
        let entry = fs::read_to_string(&path).unwrap();
        let boot = entry.lines().find(|line| line.starts_with("boot ")).unwrap();
        fs::write(&path, entry.replace(boot, "boot 00000000-0000-4000-8000-000000000000")).unwrap();
        let stale = Login::by("su", "deployer", "jenkins").run(world);
        assert!(stale.open == DENIED && stale.records[0].contains("reason=no_origin"), "{stale:?}");
    });
}

#[test]
fn root_as_a_caller_gets_in_and_is_recorded_whatever_the_state() {
    in_world("root_as_a_caller_gets_in_and_is_recorded_whatever_the_state", |world| {
        let callers = ["su", "su-l", "runuser", "runuser-l", "sudo", "sudo-i"];
        for state in ["usual", "no snapshot", "no registry"] {
            match state {
                "no snapshot" => fs::remove_file(SNAPSHOT).unwrap(),
                "no registry" => {
                    world.restore();
                    fs::write("/run/svcauth", "in the way").unwrap();
                }
                _ => {}
            }
            let person = Login::by("su", "bob", "deployer").run(world);
            assert_eq!(person.open == SUCCESS, state == "usual", "{state}: {person:?}");
            for account in ["deployer", "orphan", "off"] {
                for service in callers {
                    let answers = Login::by(service, "root", account).run(world);
                    // Without a snapshot and unknown to the user database too: managed is what cannot be ruled out.
                    assert_eq!(
                        (answers.account, answers.open),
                        (SUCCESS, SUCCESS),
                        "{state} {service} {account}"
                    );
                    let allow = &answers.records[0];
                    assert!(allow.starts_with("allow "), "{state}: {answers:?}");
                    assert_eq!(value(allow, "origin"), Some("root"), "{allow}");
                    assert_eq!(value(allow, "origin_kind"), Some("root"), "{allow}");
                }
            }
            assert_others_untouched(world, state);
        }
        // The same word from sshd or login proves nothing.
        world.restore();
        for service in ["sshd", "login", "cron", "vsftpd"] {
            assert_eq!(Login::by(service, "root", "deployer").run(world).open, DENIED, "{service}");
        }
        world.remove_log();
        assert_eq!(Login::by("su", "root", "deployer").run(world).open, SUCCESS);
        assert_eq!(Login::by("su", "bob", "deployer").run(world).open, DENIED);
    });
}

#[test]
fn nobody_is_root_by_name_alone() {
    in_world("nobody_is_root_by_name_alone", |world| {
        let su = Login::by("su", "root", "deployer");
        assert_eq!(su.run(world).open, SUCCESS);
        let [alice, root] = [1001, 0].map(Uid::from_raw);
        if setresuid(alice, root, root).is_err() {
            return skipped("nobody_is_root_by_name_alone", "this user namespace has one user");
        }
        let answers = su.run(world);
        assert_eq!(answers.open, DENIED, "{answers:?}");
        assert!(answers.records[0].contains("reason=not_in_role"), "{answers:?}");
    });
}

#[test]
fn what_root_started_does_not_hand_root_on() {
    in_world("what_root_started_does_not_hand_root_on", |world| {
        let outer = Login::by("su", "root", "deployer").start(world);
        assert_eq!(outer.run(Phase::Open, 0), SUCCESS);
        let inner = Login::by("sudo", "deployer", "jenkins").run(world);
        assert_eq!(inner.open, DENIED);
        assert!(inner.records.last().unwrap().contains("reason=no_origin"), "{inner:?}");
        // But the way back is told: ssh deployer (bob), sudo su - jenkins.
        let again = Login::by("su-l", "root", "jenkins").run(world);
        assert!(value(&again.records[0], "chain").is_some(), "{again:?}");
        assert_eq!(outer.run(Phase::Close, 0), SUCCESS);
    });
}

#[test]
fn sudo_asks_about_its_caller_first_and_about_the_target_in_the_session() {
    in_world("sudo_asks_about_its_caller_first_and_about_the_target_in_the_session", |world| {
        for (invoker, open) in [("bob", SUCCESS), ("carol", DENIED)] {
            let sudo = Login::by("sudo", invoker, invoker).start(world);
            assert_eq!(sudo.run(Phase::Account, 0), IGNORE, "{invoker} is no account");
            sudo.set(Item::User, Some(c"deployer"));
            assert_eq!(sudo.run(Phase::Open, 0), open, "{invoker}");
        }
        // An account that is meant for cron only may still be the one who calls sudo.
        let nightly = Login::by("sudo", "nightly", "nightly").start(world);
        assert_eq!(nightly.run(Phase::Account, 0), SUCCESS);
        let off = Login::by("sudo", "off", "off").start(world);
        assert_eq!(off.run(Phase::Account, 0), DENIED);
    });
}

#[test]
fn the_user_of_the_moment_decides_and_a_phase_left_out_changes_nothing() {
    in_world("the_user_of_the_moment_decides_and_a_phase_left_out_changes_nothing", |world| {
        let ssh = Login::ssh("deployer", BOB);
        // Never asked about the account.
        let handle = ssh.start(world);
        ssh.complete(&handle);
        assert_eq!(handle.run(Phase::Open, 0), SUCCESS);
        // Renamed after it was let in: no environment of another session, and the end is still recorded.
        handle.set(Item::User, Some(c"alice"));
        assert_eq!(handle.run(Phase::Establish, 0), IGNORE);
        world.records();
        assert_eq!(handle.run(Phase::Close, 0), SUCCESS);
        assert!(world.records()[0].starts_with("end account=deployer origin=bob"));
        // Even renamed to root: what began ends.
        let handle = ssh.start(world);
        ssh.complete(&handle);
        assert_eq!(handle.run(Phase::Open, 0), SUCCESS);
        handle.set(Item::User, Some(c"root"));
        assert_eq!(handle.run(Phase::Close, 0), SUCCESS);
        assert_eq!(world.sessions(), Vec::<String>::new());
        // Renamed between the phases: the last name counts.
        for (first, last, account, open) in [
            (c"alice", c"orphan", IGNORE, DENIED),
            (c"deployer", c"off", SUCCESS, DENIED),
            (c"off", c"deployer", DENIED, SUCCESS),
            (c"deployer", c"alice", SUCCESS, IGNORE),
            (c"deployer", c"root", SUCCESS, IGNORE),
        ] {
            let handle = ssh.start(world);
            handle.set(Item::User, Some(first));
            assert_eq!(handle.run(Phase::Account, 0), account, "{first:?}");
            handle.set(Item::User, Some(last));
            ssh.complete(&handle);
            assert_eq!(handle.run(Phase::Open, 0), open, "{first:?} then {last:?}");
            let _ = handle.run(Phase::Close, 0);
        }
        assert_eq!(world.sessions(), Vec::<String>::new());
    });
}

#[test]
fn a_session_opened_twice_is_recorded_twice_and_ends_once_each() {
    in_world("a_session_opened_twice_is_recorded_twice_and_ends_once_each", |world| {
        let ssh = Login::ssh("deployer", BOB);
        let handle = ssh.start(world);
        ssh.complete(&handle);
        assert_eq!(handle.run(Phase::Open, 0), SUCCESS);
        assert_eq!(handle.run(Phase::Open, 0), SUCCESS);
        assert_eq!(world.sessions().len(), 1);
        assert_eq!(handle.run(Phase::Close, 0), SUCCESS);
        assert_ne!(handle.run(Phase::Close, 0), SUCCESS, "there is nothing left to end");
        let records = world.records();
        let verbs: Vec<&str> = records.iter().filter_map(|record| record.split(' ').next()).collect();
        assert_eq!(verbs, ["allow", "start", "end", "allow", "start", "end"]);
        let ids: Vec<&str> = records.iter().filter_map(|record| value(record, "session")).collect();
        let (first, second) = ids.split_at(3);
        let is_one = |ids: &[&str]| ids.iter().all(|id| *id == ids[0]);
        assert!(is_one(first) && is_one(second) && first[0] != second[0], "{ids:?}");
        assert_eq!(world.sessions().len(), 0);
        // A second session that is refused leaves none.
        let again = ssh.start(world);
        ssh.complete(&again);
        assert_eq!(again.run(Phase::Open, 0), SUCCESS);
        Login::ssh("deployer", CAROL).complete(&again);
        assert_eq!(again.run(Phase::Open, 0), DENIED);
        assert_eq!((world.sessions().len(), world.records().len()), (0, 4));
    });
}

#[test]
fn a_forged_environment_after_the_session_began_changes_nothing() {
    in_world("a_forged_environment_after_the_session_began_changes_nothing", |world| {
        let ssh = Login::ssh("deployer", BOB);
        let handle = ssh.start(world);
        ssh.complete(&handle);
        handle.put_env(c"SVCAUTH_ORIGIN=mallory");
        assert_eq!(handle.run(Phase::Open, 0), SUCCESS);
        assert_eq!(handle.env(c"SVCAUTH_ORIGIN").as_deref(), Some("bob"));
        // As pam_env(8) does it with ~/.pam_environment.
        Login::ssh("deployer", CAROL).complete(&handle);
        handle.put_env(c"SVCAUTH_ORIGIN=mallory");
        handle.put_env(c"SVCAUTH_SESSION=x");
        assert_eq!(handle.run(Phase::Establish, 0), SUCCESS);
        assert_eq!(handle.env(c"SVCAUTH_ORIGIN").as_deref(), Some("bob"));
        assert_eq!(handle.run(Phase::Close, 0), SUCCESS);
        let records = world.records();
        assert!(records.len() == 3 && records[2].starts_with("end "), "{records:?}");
        for later in &records[1..] {
            assert_eq!(value(later, "origin"), Some("bob"));
            assert_eq!(value(later, "key"), value(&records[0], "key"));
        }
    });
}

#[test]
fn whether_the_user_can_be_told_changes_no_answer() {
    in_world("whether_the_user_can_be_told_changes_no_answer", |world| {
        for talk in [Talk::Listens, Talk::Missing, Talk::Fails, Talk::AnswersNothing] {
            for flags in [0, SILENT] {
                let with = |fixture| Login { talk, flags, ..Login::ssh("deployer", fixture) };
                assert_eq!(with(BOB).run(world).open, SUCCESS, "{talk:?} {flags}");
                let denied = with(CAROL).run(world);
                assert_eq!(denied.open, DENIED, "{talk:?} {flags}");
                let told = talk == Talk::Listens && flags == 0;
                assert_eq!(denied.heard.len(), usize::from(told), "{talk:?} {flags}");
            }
        }
    });
}

#[test]
fn phases_that_are_not_ours_are_ignored_for_everybody() {
    in_world("phases_that_are_not_ours_are_ignored_for_everybody", |world| {
        for account in ["deployer", "off", "alice", "root"] {
            let handle = Login::ssh(account, BOB).start(world);
            for phase in [Phase::Authenticate, Phase::Password, Phase::Delete, Phase::Close] {
                assert_eq!(handle.run(phase, 0), IGNORE, "{account} {phase:?}");
            }
        }
        assert_eq!(world.records(), Vec::<String>::new());
    });
}

#[test]
fn a_required_line_decides_alike_before_after_and_without_another_module() {
    in_world("a_required_line_decides_alike_before_after_and_without_another_module", |world| {
        let other = "session required SCRIPTED 0\naccount required SCRIPTED 0\n";
        let ours = "session requisite SVCAUTH\naccount required SVCAUTH\n";
        world.service("su", &format!("{ours}{other}"));
        world.service("sudo", &format!("{other}{ours}"));
        world.service("runuser", ours);
        for service in ["su", "sudo", "runuser"] {
            let bob = Login::by(service, "bob", "deployer").run(world);
            assert_eq!((bob.account, bob.open), (SUCCESS, SUCCESS), "{service}");
            let carol = Login::by(service, "carol", "deployer").run(world);
            assert_eq!((carol.account, carol.open), (SUCCESS, DENIED), "{service}");
            let off = Login::by(service, "off", "off").run(world);
            assert_eq!((off.account, off.open), (DENIED, DENIED), "{service}");
        }
        for service in ["su", "sudo"] {
            let alice = Login::by(service, "bob", "alice").run(world);
            assert_eq!((alice.account, alice.open), (SUCCESS, SUCCESS), "{service}");
        }
    });
}
