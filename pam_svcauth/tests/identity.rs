//! Names and proofs as nobody should write them, and applications and modules that change them on the way.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "a test stops where it fails, and a table is as long as it is"
)]

mod support;

use std::ffi::CString;

use support::ffi::{Item, Phase, SILENT};
use support::login::{Login, assert_others_untouched};
use support::site::{BOB, CAROL, JOKER, Site, by};
use support::world::{DENIED, IGNORE, SUCCESS, World, in_world};

fn value<'a>(record: &'a str, key: &str) -> Option<&'a str> {
    record.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

/// Names that a shell, a path, a format, a terminal or a filter would take for something else.
fn odd_names() -> Vec<Vec<u8>> {
    let texts = [
        "-bob",
        "%s%n",
        "$(id)",
        "`id`",
        "bob;id",
        "bob ",
        " bob",
        "bob\t",
        "bob\n",
        "bob\nallow account=root",
        "BOB",
        "Bob",
        "..",
        "../bob",
        "/bob",
        "bob/",
        "bob:x",
        "bob,alice",
        "bob@EXAMPLE.COM",
        "DOMAIN\\bob",
        "\u{202e}bob",
        "b\u{f6}b",
        "bo\u{431}",
        "bob\u{1b}[2J",
        "\"bob\"",
        "bob\\",
        "origin=bob",
        "*",
        "b*b",
        "(uid=bob)",
    ];
    let mut all: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    all.extend([vec![0xff], b"bob\xff".to_vec(), b"bob\xc3".to_vec(), vec![b'b'; 257], vec![b'b'; 100_000]]);
    all
}

#[test]
fn whoever_calls_by_an_odd_name_is_nobody_that_holds_a_role_and_leaves_one_line() {
    in_world("whoever_calls_by_an_odd_name_is_nobody_that_holds_a_role_and_leaves_one_line", |world| {
        assert_eq!(Login::by("su", "bob", "deployer").run(world).open, SUCCESS);
        for name in odd_names() {
            for service in ["su", "sudo"] {
                let handle = Login::through(service, "deployer").start(world);
                handle.set(Item::RUser, Some(&CString::new(name.clone()).unwrap()));
                world.records();
                assert_eq!(handle.run(Phase::Open, 0), DENIED, "{service} by {name:?}");
                let records = world.records();
                assert_eq!(records.len(), 1, "{records:?}");
                assert!(
                    records[0].starts_with("deny account=deployer ") && records[0].is_ascii(),
                    "{records:?}"
                );
                assert!(!records[0].contains(char::is_control), "{records:?}");
                assert!(
                    !["bob", "alice", "root"].map(Some).contains(&value(&records[0], "origin")),
                    "{records:?}"
                );
            }
        }
    });
}

#[test]
fn an_account_by_an_odd_name_is_no_account_and_an_odd_address_or_terminal_is_one_value() {
    in_world(
        "an_account_by_an_odd_name_is_no_account_and_an_odd_address_or_terminal_is_one_value",
        |world| {
            for name in odd_names() {
                let account = String::from_utf8_lossy(&name).replace("bob", "deployer");
                let name = name.iter().position(|byte| *byte == 0xff).map_or_else(
                    || CString::new(account.clone()).unwrap(),
                    |_| CString::new([b"deployer".as_slice(), &[0xff]].concat()).unwrap(),
                );
                let ssh = Login { user: Some(name.clone()), ..Login::ssh("x", BOB) };
                let answers = ssh.run(world);
                assert_eq!((answers.account, answers.open), (IGNORE, IGNORE), "{name:?}: {answers:?}");
                assert_eq!(answers.records, Vec::<String>::new(), "{name:?}");
                // The same text where an address and a terminal stand; more than a page of it libpam itself does not pass on.
                if name.as_bytes().len() > 4096 {
                    continue;
                }
                let ssh = Login::ssh("deployer", BOB);
                let handle = ssh.start(world);
                for item in [Item::RHost, Item::Tty] {
                    handle.set(item, Some(&name));
                }
                ssh.complete(&handle);
                world.records();
                assert_eq!(handle.run(Phase::Open, 0), SUCCESS, "{name:?}");
                assert_eq!(handle.run(Phase::Close, 0), SUCCESS, "{name:?}");
                let records = world.records();
                assert_eq!(records.len(), 3, "{records:?}");
                for record in records {
                    assert!(record.is_ascii() && !record.contains(char::is_control), "{record}");
                    assert_eq!(value(&record, "origin"), Some("bob"), "{record}");
                }
            }
            assert_others_untouched(world, "odd names");
        },
    );
}

#[test]
fn a_principal_is_a_person_in_full_and_in_its_exact_spelling_only() {
    in_world("a_principal_is_a_person_in_full_and_in_its_exact_spelling_only", |world| {
        let login = |method: &str, principal: &str| {
            Login::ssh_with("deployer", &format!("{method} {principal}\n")).run(world)
        };
        for method in ["gssapi-with-mic", "gssapi-keyex"] {
            let bob = login(method, "bob@EXAMPLE.COM");
            assert_eq!((bob.open, value(&bob.records[0], "origin")), (SUCCESS, Some("bob")), "{bob:?}");
            for principal in [
                "bob",
                "bob@",
                "@EXAMPLE.COM",
                "bob@OTHER.REALM",
                "bob@example.com",
                "bob@EXAMPLE.COM.",
                "BOB@EXAMPLE.COM",
                "bob/admin@EXAMPLE.COM",
                "bob/@EXAMPLE.COM",
                "root@EXAMPLE.COM",
                "host/bob@EXAMPLE.COM",
                "bob@EXAMPLE.COM@EXAMPLE.COM",
                "bob\\@EXAMPLE.COM@EXAMPLE.COM",
                "bob@EXAMPLE.COM ",
                " bob@EXAMPLE.COM",
                "bob @EXAMPLE.COM",
                "bob\t@EXAMPLE.COM",
                "bob@EXAMPLE.COM\0",
                "b\u{f6}b@EXAMPLE.COM",
                "bob@EXAMPLE\\.COM",
                "deployer@EXAMPLE.COM",
                "WELLKNOWN/ANONYMOUS@WELLKNOWN:ANONYMOUS",
                "bob@EXAMPLE.COM,alice@EXAMPLE.COM",
            ] {
                let principal = principal.replace('\0', "\\0");
                let answers = login(method, &principal);
                assert_eq!(answers.open, DENIED, "{method} {principal:?}: {answers:?}");
                let [record] = answers.records.as_slice() else { panic!("{answers:?}") };
                assert_eq!(value(record, "origin"), None, "{record}");
                let reason = value(record, "reason");
                assert!(matches!(reason, Some("unknown_principal" | "no_origin")), "{principal:?}: {record}");
            }
        }
    });
}

#[test]
fn the_text_of_sshd_is_read_exactly_and_certificates_by_their_bytes() {
    in_world("the_text_of_sshd_is_read_exactly_and_certificates_by_their_bytes", |world| {
        let run = |info: &str| Login::ssh_with("deployer", info).run(world);
        let [bob, joker] = [BOB, JOKER].map(|fixture| by(fixture).trim_end().to_owned());
        assert_eq!(run(&format!("{bob}\n")).open, SUCCESS);
        // A security key says how often it has signed; nobody else does.
        let counted = run(&format!("{joker} signature count = 7\n"));
        assert_eq!(
            (counted.open, value(&counted.records[0], "origin")),
            (DENIED, Some("joker")),
            "{counted:?}"
        );
        let hidden = by("newline-cert.pub");
        let bytes_behind = hidden.trim_end().trim_end_matches('=').to_owned() + "AAAA\n";
        for (info, reason) in [
            (format!("{bob} signature count = 7\n"), "no_origin"),
            (format!("{joker} signature count = -1\n"), "no_origin"),
            (format!("{joker} signature count = 7 \n"), "no_origin"),
            (format!("{bob}\n{bob}"), "no_origin"),
            (format!("{bob}\n\n"), "no_origin"),
            (format!("{bob}\npublickey ssh-unknown AAAA\n"), "unknown_key"),
            (format!("{bob}AAAA\n"), "unknown_key"),
            (bob.replace("ssh-ed25519", "ssh-rsa") + "\n", "unknown_key"),
            // The key id of this one holds a line that begins with "publickey".
            (hidden, "unknown_principal"),
            (bytes_behind, "untrusted_ca"),
        ] {
            let answers = run(&info);
            assert_eq!(answers.open, DENIED, "{info:?}: {answers:?}");
            let [record] = answers.records.as_slice() else { panic!("{answers:?}") };
            let found = (value(record, "reason"), value(record, "origin"));
            let either = matches!(found.0, Some("untrusted_ca" | "unknown_principal"));
            assert!(
                found == (Some(reason), None) || (either && info.contains("-cert-")),
                "{info:?}: {record}"
            );
        }
    });
}

#[test]
fn who_has_no_name_or_loses_it_between_the_phases_is_refused() {
    in_world("who_has_no_name_or_loses_it_between_the_phases_is_refused", |world| {
        for service in ["sshd", "su", "sudo", "cron"] {
            let nobody = Login { user: None, ..Login::through(service, "x") };
            let answers = nobody.run(world);
            assert_eq!((answers.account, answers.open), (DENIED, DENIED), "{service}: {answers:?}");
        }
        type Change = (fn(&mut Site), &'static str);
        let changes: [Change; 3] = [
            (|site| site.accounts[0].disabled = true, "account_disabled"),
            (|site| site.people.retain(|(person, ..)| person.login != "bob"), "unknown_key"),
            (|site| site.people[1].0.held.clear(), "not_in_role"),
        ];
        for (change, reason) in changes {
            world.publish(&Site::usual());
            let ssh = Login::ssh("deployer", BOB);
            let handle = ssh.start(world);
            assert_eq!(handle.run(Phase::Account, 0), SUCCESS, "{reason}");
            let mut site = Site::usual();
            change(&mut site);
            world.publish(&site);
            ssh.complete(&handle);
            world.records();
            assert_eq!(handle.run(Phase::Open, 0), DENIED, "{reason}");
            assert_eq!(value(&world.records()[0], "reason"), Some(reason));
        }
    });
}

/// One line before ours in the session stack, which sets an item in the middle of the phase.
fn stack_with(world: &World, service: &str, before: &str) {
    let ours = "session requisite SVCAUTH\naccount required SVCAUTH\n";
    world.service(
        service,
        &format!("session optional SCRIPTED 0 {before}\n{ours}session required SCRIPTED 0\n"),
    );
}

#[test]
fn what_another_module_changed_in_the_middle_of_a_phase_is_what_is_decided() {
    in_world("what_another_module_changed_in_the_middle_of_a_phase_is_what_is_decided", |world| {
        for (before, open, word) in [
            ("", SUCCESS, "account=deployer origin=bob"),
            ("user jenkins", SUCCESS, "account=jenkins origin=bob"),
            ("user off", DENIED, "account=off"),
            ("ruser carol", DENIED, "account=deployer origin=carol"),
            ("ruser jenkins", DENIED, "reason=no_origin"),
            ("service cron", DENIED, "reason=service_not_allowed"),
            ("service login", DENIED, "reason=no_origin"),
            ("user DEPLOYER", SUCCESS, ""),
        ] {
            stack_with(world, "su", before);
            let answers = Login::by("su", "bob", "deployer").run(world);
            assert_eq!(answers.open, open, "{before}: {answers:?}");
            assert!(
                answers.records.first().map_or("", String::as_str).contains(word),
                "{before}: {answers:?}"
            );
            assert_eq!(answers.records.is_empty(), word.is_empty(), "{before}: {answers:?}");
        }
        // An address decides where the session is opened, not where it was announced.
        stack_with(world, "sshd", "rhost 192.0.2.1");
        let far = Login::ssh("near", BOB).run(world);
        assert!(far.open == DENIED && far.records[0].contains("reason=source_not_allowed"), "{far:?}");
        stack_with(world, "sshd", "rhost 10.1.1.1");
        let near = Login { rhost: Some("192.0.2.1"), ..Login::ssh("near", BOB) };
        assert_eq!(near.run(world).open, SUCCESS);
    });
}

#[test]
fn what_the_application_changes_between_the_phases_is_decided_anew() {
    in_world("what_the_application_changes_between_the_phases_is_decided_anew", |world| {
        for (item, changed, open, reason) in [
            (Item::RUser, Some(c"bob"), SUCCESS, ""),
            (Item::RUser, Some(c"carol"), DENIED, "not_in_role"),
            (Item::RUser, None, DENIED, "no_origin"),
            (Item::Service, Some(c"sudo"), SUCCESS, ""),
            (Item::Service, Some(c"login"), DENIED, "no_origin"),
            (Item::Service, Some(c"vsftpd"), DENIED, "service_not_allowed"),
        ] {
            let handle = Login::by("su", "bob", "deployer").start(world);
            assert_eq!(handle.run(Phase::Account, 0), SUCCESS);
            handle.set(item, changed);
            world.records();
            assert_eq!(handle.run(Phase::Open, 0), open, "{item:?} {changed:?}");
            let record = world.records().remove(0);
            assert_eq!(value(&record, "reason").unwrap_or_default(), reason, "{record}");
        }
    });
}

#[test]
fn phases_in_any_order_on_any_handle_and_thread_confuse_nothing() {
    in_world("phases_in_any_order_on_any_handle_and_thread_confuse_nothing", |world| {
        let ssh = Login::ssh("deployer", BOB);
        let [one, two] = [ssh.start(world), ssh.start(world)];
        ssh.complete(&one);
        assert_eq!(one.run(Phase::Open, SILENT), SUCCESS);
        // The account phase behind the session, and again.
        assert_eq!((one.run(Phase::Account, 0), one.run(Phase::Account, 0)), (SUCCESS, SUCCESS));
        // Another handle has nothing to end, and does not end this one.
        assert_eq!((two.run(Phase::Establish, 0), two.run(Phase::Close, 0)), (IGNORE, IGNORE));
        assert_eq!(world.sessions().len(), 1);
        // What is proven on one handle says nothing on the other.
        assert_eq!(two.run(Phase::Open, 0), DENIED);
        Login::ssh("deployer", CAROL).complete(&two);
        assert_eq!(two.run(Phase::Open, 0), DENIED);
        assert_eq!(one.run(Phase::Close, 0), SUCCESS);
        assert_eq!(world.sessions(), Vec::<String>::new());
        // An application that never calls pam_end(3) leaves its entry, and the process goes on.
        let lost = ssh.start(world);
        ssh.complete(&lost);
        assert_eq!(lost.run(Phase::Open, 0), SUCCESS);
        std::mem::forget(lost);
        assert_eq!(world.sessions().len(), 1);
        let world: &World = world;
        for (fixture, open) in [(BOB, SUCCESS), (CAROL, DENIED)] {
            let ssh = Login::ssh("deployer", fixture);
            std::thread::scope(|scope| {
                scope.spawn(|| assert_eq!(ssh.run(world).open, open)).join().unwrap();
            });
        }
        assert_eq!(world.sessions().len(), 1);
    });
}
