//! Every reason to be refused, in every phase, through a real libpam.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "a test stops where it fails, and a table is as long as it is"
)]

mod support;

use std::collections::BTreeSet;
use std::fs;

use support::login::{Login, assert_others_untouched};
use support::site::{
    ALICE_CERT, BOB, CAROL, DAVE, ERIN, FOREIGN_CERT, FRANK, JOKER, ROBOT_CERT, STRANGER, Site, by, now,
};
use support::world::{CONFIG_FILE, DENIED, SESSIONS, SNAPSHOT, SUCCESS, World, in_world};
use svcauth_core::policy::Reason;

/// When the refusal comes: at once, or when it is known who is behind the login.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum From {
    Account,
    Session,
}

/// One row: in this state this login is refused for this reason, from this phase on, with these words in the record.
struct Row {
    reason: Reason,
    state: fn(&mut World),
    login: Login,
    from: From,
    words: &'static [&'static str],
}

fn as_usual(_: &mut World) {}

fn row(reason: Reason, from: From, login: Login, words: &'static [&'static str]) -> Row {
    Row { reason, state: as_usual, login, from, words }
}

fn rows() -> Vec<Row> {
    let [early, late] = [From::Account, From::Session];
    let two = |one, two| format!("{}{}", by(one), by(two));
    let gss = |principal: &str| Login::ssh_with("deployer", &format!("gssapi-with-mic {principal}\n"));
    let ssh = Login::ssh;
    let ssh_with = Login::ssh_with;
    vec![
        row(
            Reason::NotInRole,
            late,
            ssh("deployer", CAROL),
            &["origin=carol", "evidence=publickey", "key=SHA256:"],
        ),
        row(Reason::NotInRole, late, gss("carol@EXAMPLE.COM"), &["origin=carol", "evidence=gssapi"]),
        row(
            Reason::NotInRole,
            late,
            Login::by("su", "carol", "deployer"),
            &["origin=carol", "evidence=invoker"],
        ),
        // Nobody of the directory: a local user proves a name, and the name holds no role.
        row(
            Reason::NotInRole,
            late,
            Login::by("sudo", "mallory", "deployer"),
            &["origin=mallory", "service=sudo"],
        ),
        row(Reason::MissingRole, late, ssh("alfred", JOKER), &["origin=joker", "role=bar"]),
        row(Reason::NoRule, early, ssh("orphan", BOB), &[]),
        row(Reason::NoRoles, early, ssh("roleless", BOB), &[]),
        row(Reason::NoOrigin, late, ssh_with("deployer", "password\n"), &[]),
        row(Reason::NoOrigin, late, ssh_with("deployer", "keyboard-interactive/pam\n"), &[]),
        row(Reason::NoOrigin, late, ssh_with("deployer", ""), &[]),
        row(Reason::NoOrigin, late, ssh_with("deployer", by(BOB).trim_end()), &["the last line has no end"]),
        row(Reason::NoOrigin, late, Login::through("login", "deployer"), &["service=login"]),
        row(Reason::NoOrigin, late, Login::through("su", "deployer"), &["PAM_RUSER"]),
        row(Reason::NoOrigin, late, Login::by("su", "jenkins", "deployer"), &["jenkins is an account"]),
        row(Reason::AmbiguousOrigin, late, ssh_with("deployer", &two(BOB, CAROL)), &["bob and carol"]),
        row(Reason::UnknownKey, late, ssh("deployer", STRANGER), &["key=SHA256:"]),
        row(Reason::UnknownKey, late, ssh_with("deployer", &two(BOB, STRANGER)), &[]),
        row(Reason::UnknownKey, late, ssh_with("deployer", &two(STRANGER, BOB)), &[]),
        row(Reason::UnknownKey, late, ssh_with("deployer", "publickey ssh-new AAAA\n"), &["line 1"]),
        // Another authority's certificate for the very same key id.
        row(
            Reason::UntrustedCa,
            late,
            ssh("deployer", FOREIGN_CERT),
            &["evidence=certificate", "cert_ca=SHA256:"],
        ),
        row(Reason::UnknownPrincipal, late, ssh("deployer", ROBOT_CERT), &["cert_key_id=robot@example.com"]),
        row(Reason::UnknownPrincipal, late, gss("bob@OTHER.REALM"), &["principal=bob@OTHER.REALM"]),
        row(
            Reason::UnknownPrincipal,
            late,
            gss("bob/admin@EXAMPLE.COM"),
            &["principal=bob/admin@EXAMPLE.COM"],
        ),
        row(Reason::UnknownPrincipal, late, gss("BOB@EXAMPLE.COM"), &[]),
        row(Reason::UnknownPrincipal, late, gss("bob@EXAMPLE.COM@X"), &["line 1"]),
        row(Reason::PersonDisabled, late, ssh("deployer", DAVE), &["origin=dave"]),
        row(Reason::PersonDisabled, late, Login::by("sudo-i", "dave", "deployer"), &["origin=dave"]),
        row(Reason::PersonExpired, late, ssh("deployer", ERIN), &["origin=erin"]),
        row(Reason::PersonLocked, late, ssh("deployer", FRANK), &["origin=frank"]),
        row(Reason::AccountDisabled, early, ssh("off", BOB), &["account=off", "uid=7005"]),
        row(Reason::AccountExpired, early, ssh("old", BOB), &[]),
        row(Reason::HostNotAllowed, early, ssh("elsewhere", BOB), &[]),
        row(Reason::ServiceNotAllowed, early, ssh("nightly", BOB), &[]),
        row(Reason::ServiceNotAllowed, early, Login::through("cron", "deployer"), &["service=cron"]),
        row(Reason::ServiceNotAllowed, late, Login::through("systemd-user", "deployer"), &[]),
        row(Reason::ServiceNotAllowed, early, Login::through("other", "deployer"), &[]),
        row(Reason::SourceNotAllowed, late, far(ssh("near", BOB), "192.0.2.1"), &["from=192.0.2.1"]),
        row(Reason::SourceNotAllowed, late, far(ssh("near", BOB), "host.example.com"), &[]),
        row(Reason::SourceNotAllowed, late, Login::by("su", "bob", "near"), &[]),
        Row { state: stale, ..row(Reason::Stale, early, ssh("deployer", BOB), &["age="]) },
        Row {
            state: no_snapshot,
            ..row(Reason::SnapshotMissing, early, ssh("deployer", BOB), &["uid=7001"])
        },
        Row {
            state: no_snapshot,
            ..row(Reason::SnapshotMissing, early, Login::by("su", "bob", "postgres"), &["uid=112"])
        },
        Row { state: no_snapshot, ..row(Reason::SnapshotMissing, early, ssh("nobody-knows", BOB), &[]) },
        Row {
            state: cut_snapshot,
            ..row(Reason::SnapshotInvalid, early, ssh("deployer", BOB), &["uid=7001"])
        },
        Row { state: no_config_either, ..row(Reason::ConfigInvalid, early, ssh("deployer", BOB), &[]) },
        Row { state: broken_config_too, ..row(Reason::ConfigInvalid, early, ssh("deployer", BOB), &[]) },
        Row {
            state: foreign_registry,
            ..row(Reason::InternalError, late, ssh("deployer", BOB), &["others than root"])
        },
        Row { state: as_usual, ..row(Reason::InternalError, early, nameless(), &["PAM_USER"]) },
    ]
}

/// Reasons without a row here, and where they are tested.
const ELSEWHERE: [(Reason, &str); 3] = [
    (Reason::AuditUnavailable, "hostile.rs: there is no log to look into"),
    (Reason::CommandNotAllowed, "the command shell's"),
    (Reason::ShellNotAllowed, "the command shell's"),
];

fn far(login: Login, rhost: &'static str) -> Login {
    Login { rhost: Some(rhost), ..login }
}

fn nameless() -> Login {
    Login { user: Some(c"".to_owned()), ..Login::ssh("x", BOB) }
}

fn stale(world: &mut World) {
    let mut site = Site::usual();
    site.created = now() - site.policy.max_stale - 2;
    world.publish(&site);
}

fn no_snapshot(_: &mut World) {
    fs::remove_file(SNAPSHOT).unwrap();
}

fn cut_snapshot(world: &mut World) {
    let bytes = fs::read(SNAPSHOT).unwrap();
    world.write(SNAPSHOT, 0o640, bytes.split_at(bytes.len() - 1).0);
}

fn no_config_either(world: &mut World) {
    no_snapshot(world);
    fs::remove_file(CONFIG_FILE).unwrap();
}

fn broken_config_too(world: &mut World) {
    cut_snapshot(world);
    world.write(CONFIG_FILE, 0o644, "[directory\n");
}

fn foreign_registry(world: &mut World) {
    fs::create_dir_all(SESSIONS).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs::set_permissions(SESSIONS, mode).unwrap();
    let _ = world;
}

#[test]
fn every_reason_refuses_from_its_phase_on_and_is_recorded_once_per_phase() {
    in_world("every_reason_refuses_from_its_phase_on_and_is_recorded_once_per_phase", |world| {
        for row in rows() {
            world.restore();
            let welcome = Login::ssh("deployer", BOB).run(world);
            assert_eq!((welcome.account, welcome.open), (SUCCESS, SUCCESS), "{welcome:?}");
            (row.state)(world);
            assert_refused(world, &row);
            assert_others_untouched(world, row.reason.code());
        }
    });
}

fn assert_refused(world: &World, row: &Row) {
    let shown = format!("{} for {:?}", row.reason, row.login);
    let answers = row.login.run(world);
    assert_eq!((answers.open, answers.close), (DENIED, None), "{shown}: {answers:?}");
    let early = match row.from {
        From::Account => (DENIED, 1),
        From::Session => (SUCCESS, 0),
    };
    assert_eq!((answers.account, answers.early.len()), early, "{shown}: {answers:?}");
    assert_eq!(answers.records.len(), 1, "{shown}: {answers:?}");
    for record in answers.early.iter().chain(&answers.records) {
        assert!(record.starts_with("deny "), "{shown}: {record}");
        assert!(record.contains(&format!(" reason={} ", row.reason)), "{shown}: {record}");
    }
    for word in row.words {
        assert!(answers.records[0].contains(word), "{shown}: no {word:?} in {}", answers.records[0]);
    }
    // The user learns nothing but that.
    let told = vec!["3 Permission denied".to_owned(); answers.early.len() + 1];
    assert_eq!(answers.heard, told, "{shown}");
    assert_eq!(world.sessions(), Vec::<String>::new(), "{shown}");
}

#[test]
fn no_reason_is_without_a_test() {
    let rows: BTreeSet<Reason> = rows().iter().map(|row| row.reason).collect();
    let elsewhere: BTreeSet<Reason> = ELSEWHERE.iter().map(|(reason, _)| *reason).collect();
    let all: BTreeSet<Reason> = Reason::ALL.iter().copied().collect();
    assert!(rows.is_disjoint(&elsewhere));
    assert_eq!(&rows | &elsewhere, all);
}

#[test]
fn who_may_come_in_comes_in_and_is_named() {
    in_world("who_may_come_in_comes_in_and_is_named", |world| {
        let both = format!("{}{}keyboard-interactive/pam\n", by(BOB), "gssapi-with-mic bob@EXAMPLE.COM\n");
        for (login, words) in [
            (
                Login::ssh("deployer", BOB),
                vec!["origin=bob", "evidence=publickey", "role=application", "from=10.1.2.3"],
            ),
            (
                Login::ssh("deployer", ALICE_CERT),
                vec![
                    "origin=alice",
                    "evidence=certificate",
                    "cert_key_id=alice@example.com",
                    "cert_serial=4711",
                ],
            ),
            (
                Login::ssh_with("deployer", "gssapi-keyex bob@EXAMPLE.COM\n"),
                vec!["origin=bob", "evidence=gssapi", "principal=bob@EXAMPLE.COM"],
            ),
            (
                Login::ssh_with("deployer", &both),
                vec!["origin=bob", "evidence=publickey", "principal=bob@EXAMPLE.COM"],
            ),
            (Login::ssh("near", BOB), vec!["origin=bob"]),
            (
                Login::ssh_with("alfred", "gssapi-with-mic batman@EXAMPLE.COM\n"),
                vec!["origin=batman", "role=\"foo,bar\""],
            ),
            (Login::by("su", "bob", "deployer"), vec!["origin=bob", "evidence=invoker", "service=su"]),
            (Login::by("su-l", "bob", "deployer"), vec!["origin=bob", "service=su-l"]),
            (Login::by("sudo", "alice", "postgres"), vec!["origin=alice", "account=postgres"]),
            (Login::by("sudo-i", "bob", "jenkins"), vec!["origin=bob", "service=sudo-i", "uid=7010"]),
        ] {
            let answers = login.run(world);
            let codes = (answers.account, answers.open, answers.establish, answers.close);
            assert_eq!(codes, (SUCCESS, SUCCESS, SUCCESS, Some(SUCCESS)), "{login:?}: {answers:?}");
            assert_eq!((answers.early.len(), answers.heard.len()), (0, 0), "{login:?}: {answers:?}");
            let [allow, start, end] = answers.records.as_slice() else { panic!("{login:?}: {answers:?}") };
            let verbs = allow.starts_with("allow ") && start.starts_with("start ") && end.starts_with("end ");
            assert!(verbs, "{answers:?}");
            for word in words.iter().chain(&["session=", "generation=42"]) {
                assert!(allow.contains(word), "{login:?}: no {word:?} in {allow}");
                // The roles are the decision's; all that says who it is stands in every record of the session.
                let is_kept = start.contains(word) && end.contains(word);
                assert!(word.starts_with("role=") || is_kept, "{login:?}: no {word:?} in {start} or {end}");
            }
            assert!(end.contains(" duration=0"), "{end}");
            let session =
                |line: &str| line.split(' ').find(|word| word.starts_with("session=")).map(str::to_owned);
            assert!(session(allow).is_some() && session(allow) == session(end), "{answers:?}");
        }
        assert_eq!(world.sessions(), Vec::<String>::new());
    });
}
