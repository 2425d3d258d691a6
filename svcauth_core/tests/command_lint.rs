//! Rules that allow more than they say are named, and others are left alone.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests: a failure is a panic")]

use svcauth_core::command::{Access, CommandRule, Files, Limits, lint};

fn limits(commands: Vec<CommandRule>) -> Limits {
    Limits { commands, ..Limits::default() }
}

fn words(patterns: &[String]) -> CommandRule {
    CommandRule::Words(patterns.iter().map(|pattern| pattern.parse().unwrap()).collect())
}

fn files(access: Access, path: &str) -> Files {
    Files { access, paths: vec![path.to_owned()] }
}

#[test]
fn a_rule_that_lets_the_client_say_what_a_program_runs_is_named_and_a_narrow_one_is_not() {
    let mut wrong = Vec::new();
    for row in include_str!("commands/programs.txt").lines().filter(|row| !row.starts_with('#')) {
        let (expected, rule) = row.split_once('\t').unwrap();
        let patterns: Vec<String> = serde_json::from_str(rule).unwrap();
        let found = lint(&limits(vec![words(&patterns)]));
        let told = found.iter().all(|text| text.starts_with(rule) && !text.contains(char::is_control));
        if found.is_empty() == (expected == "open") || !told {
            wrong.push((rule, found));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_transfer_that_may_replace_what_a_rule_runs_is_named() {
    let deploy = || words(&["/srv/app/bin/deploy".to_owned()]);
    let with = |kind: fn(Files) -> CommandRule, access, path| {
        lint(&limits(vec![deploy(), kind(files(access, path))]))
    };
    for kind in [CommandRule::Rsync, CommandRule::Scp, CommandRule::Sftp] {
        let found = with(kind, Access::Write, "/srv/app");
        assert!(matches!(found.as_slice(), [one] if one.contains("may write /srv/app,")), "{found:?}");
        assert!(with(kind, Access::Read, "/srv/app").is_empty());
        assert!(with(kind, Access::Write, "/srv/ap").is_empty());
        assert!(with(kind, Access::Write, "/").iter().any(|text| text.contains("to every path")));
        assert!(with(kind, Access::Read, "/").is_empty());
    }
}

#[test]
fn a_transfer_that_may_write_a_whole_home_is_named() {
    for kind in [CommandRule::Rsync, CommandRule::Scp, CommandRule::Sftp] {
        let with = |access, path| lint(&limits(vec![kind(files(access, path))]));
        for home in ["/home", "/home/deployer", "/root"] {
            let found = with(Access::Write, home);
            let expected = format!("write\" to {home}: what the account itself runs later");
            assert!(matches!(found.as_slice(), [one] if one.contains(&expected)), "{found:?}");
            assert!(with(Access::Read, home).is_empty());
        }
        for below in ["/home/deployer/incoming", "/root/x", "/srv/home", "/srv"] {
            assert!(with(Access::Write, below).is_empty(), "{below}");
        }
    }
}

#[test]
fn a_transfer_that_may_write_the_hooks_of_a_push_is_named() {
    let both = |git, paths: [&str; 2], access| {
        let [repositories, transferred] = paths;
        lint(&limits(vec![
            CommandRule::Git(files(git, repositories)),
            CommandRule::Rsync(files(access, transferred)),
        ]))
    };
    for paths in [["/srv/git", "/srv/git"], ["/srv/git", "/srv"], ["/srv", "/srv/git/x"]] {
        let found = both(Access::Write, paths, Access::Write);
        assert!(matches!(found.as_slice(), [one] if one.contains("runs the hooks")), "{found:?}");
        assert!(both(Access::Read, paths, Access::Write).is_empty());
        assert!(both(Access::Write, paths, Access::Read).is_empty());
    }
    assert!(both(Access::Write, ["/srv/git", "/srv/gi"], Access::Write).is_empty());
}

#[test]
fn a_rule_of_sftp_that_another_one_hides_is_named() {
    let reads = CommandRule::Sftp(files(Access::Read, "/srv/r"));
    let writes = CommandRule::Sftp(files(Access::Write, "/srv/w"));
    let found = lint(&limits(vec![reads.clone(), writes]));
    assert!(matches!(found.as_slice(), [one] if one.contains("/srv/r is never used")), "{found:?}");
    assert!(lint(&limits(vec![reads])).is_empty());
}

#[test]
fn a_rule_that_allows_everything_hides_nothing() {
    let open = words(&["/bin/sh".to_owned()]);
    assert_eq!(lint(&limits(vec![open.clone()])).len(), 1);
    assert!(lint(&limits(vec![open.clone(), CommandRule::Any])).is_empty());
    assert!(lint(&Limits { shell: true, ..limits(vec![open]) }).is_empty());
}
