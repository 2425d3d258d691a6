//! File transfers: what clients send is read, and what leads elsewhere is not.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a corpus that cannot be read must stop the test")]

use svcauth_core::command::{
    Access, CommandRule, Files, Limits, Plan, Program, Ruling, SFTP_SERVERS, Wish, admit,
};

const KINDS: [fn(Files) -> CommandRule; 4] =
    [CommandRule::Rsync, CommandRule::Scp, CommandRule::Sftp, CommandRule::Git];

fn files(access: Access, paths: &[&str]) -> Files {
    Files { access, paths: paths.iter().map(ToString::to_string).collect() }
}

/// Every kind with these files.
fn every_kind(files: &Files) -> Limits {
    Limits { commands: KINDS.iter().map(|kind| kind(files.clone())).collect(), ..Limits::default() }
}

fn asked(limits: &[&Limits], line: &str) -> Result<Program, String> {
    match admit(limits, Wish::Line(line.as_bytes())) {
        Ruling::Run(Plan::Program(program)) => Ok(program),
        Ruling::Refuse(refusal) => Err(refusal.detail),
        other => panic!("{line}: {other:?}"),
    }
}

fn rows(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.starts_with('#'))
}

/// What a line does, by the corpus or, for rsync, by its words; and the line.
fn corpus() -> Vec<(&'static str, &'static str)> {
    let rsync = rows(include_str!("commands/rsync.txt")).map(|line| {
        let reads = line.contains(" --sender ") && !line.contains("--remove-source-files");
        (if reads { "read" } else { "write" }, line)
    });
    let others = rows(include_str!("commands/transfers.txt")).map(|row| row.split_once('\t').unwrap());
    rsync.chain(others).collect()
}

#[test]
fn whatever_common_clients_send_runs_by_a_path_of_ours_and_with_their_words() {
    let everywhere = every_kind(&files(Access::Write, &["/"]));
    assert!(corpus().len() > 150);
    for (_, line) in corpus() {
        let program = asked(&[&everywhere], line).unwrap();
        assert_eq!(program.files, None, "{line}");
        let plain = line.replace(['\'', '"', '\\'], "");
        for word in &program.arguments {
            let word = String::from_utf8_lossy(word).replace(['\'', '"', '\\'], "");
            let sent = plain.contains(&word) || plain.contains(&word.replacen("./", "~/", 1)) || word == "--";
            assert!(sent, "{line}: {word}");
        }
        let known = ["/usr/bin/rsync", "/usr/bin/scp", "/usr/bin/git", SFTP_SERVERS[0]];
        assert!(known.contains(&program.path.as_str()), "{line}: {}", program.path);
    }
}

#[test]
fn who_may_only_read_gets_what_reads_and_is_confined_to_reading() {
    let reading = every_kind(&files(Access::Read, &["/srv", "/backup"]));
    for (does, line) in corpus() {
        let outcome = asked(&[&reading], line);
        match does {
            "write" => assert!(outcome.unwrap_err().ends_with("no rule has access = \"write\""), "{line}"),
            _ => {
                assert_eq!(outcome.unwrap().files, Some(files(Access::Read, &["/srv", "/backup"])), "{line}")
            }
        }
    }
    let sftp = asked(&[&reading], "internal-sftp -l INFO").unwrap();
    assert_eq!(sftp.arguments, [&b"-R"[..], b"-l", b"INFO"]);
    assert_eq!(asked(&[&reading], "sftp-server -R").unwrap().arguments, [b"-R", b"-R"]);
}

/// With every path there is no confinement, and this option is all that keeps sftp-server from writing.
#[test]
fn an_sftp_that_may_only_read_is_told_so_in_front_of_whatever_else_it_is_told() {
    let reading =
        Limits { commands: vec![CommandRule::Sftp(files(Access::Read, &["/"]))], ..Limits::default() };
    for line in [
        "sftp-server",
        "internal-sftp -l INFO",
        "sftp-server -R",
        "sftp-server -p open,read",
        "sftp-server -d R",
    ] {
        assert_eq!(asked(&[&reading], line).unwrap().arguments[0], b"-R", "{line}");
    }
    // The value of another option is no option.
    for line in [
        "sftp-server -P -R",
        "sftp-server -p -R",
        "sftp-server -d -R",
        "sftp-server -l -R",
        "sftp-server -f -R",
    ] {
        assert!(asked(&[&reading], line).unwrap_err().contains("has no fitting value"), "{line}");
    }
}

#[test]
fn nothing_that_leads_elsewhere_runs_and_what_is_in_the_way_is_named() {
    let writing = every_kind(&files(Access::Write, &["/srv/a"]));
    let (mut count, mut wrong) = (0, Vec::new());
    for row in rows(include_str!("commands/escapes.txt")) {
        let (why, line) = row.split_once('\t').unwrap();
        count += 1;
        match asked(&[&writing], line) {
            Err(detail)
                if detail.contains(why) && detail.len() < 300 && !detail.contains(char::is_control) => {}
            other => wrong.push((line, why, other)),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(count > 130, "{count}");
}

#[test]
fn several_rules_of_a_kind_are_their_union_and_access_is_never_more_than_was_asked_for() {
    let a =
        Limits { commands: vec![CommandRule::Rsync(files(Access::Read, &["/srv/a"]))], ..Limits::default() };
    let b = Limits {
        commands: vec![CommandRule::Rsync(files(Access::Write, &["/srv/b", "/srv/a"]))],
        ..Limits::default()
    };
    let of = |line: &str| asked(&[&a, &b], line).map(|program| program.files);
    assert_eq!(
        of("rsync --server --sender -r . /srv/a /srv/b/x"),
        Ok(Some(files(Access::Read, &["/srv/a", "/srv/b"])))
    );
    assert_eq!(of("rsync --server -r . /srv/b"), Ok(Some(files(Access::Write, &["/srv/b", "/srv/a"]))));
    assert!(asked(&[&a], "rsync --server -r . /srv/a").is_err());
    assert!(asked(&[&a], "rsync --server --sender -r . /srv/b").is_err());
    assert_eq!(asked(&[&a], "scp -f /srv/a"), Err("no rule has kind = \"scp\"".into()));
}

#[test]
fn a_path_beside_the_target_is_held_against_the_rules_where_it_leads() {
    let limits = every_kind(&files(Access::Write, &["/backup"]));
    for line in [
        "rsync --server -r --link-dest ../yesterday . /backup/today",
        "rsync --server -r --link-dest=../../backup/yesterday . /backup/today/",
        "rsync --server -r --backup-dir old . /backup/today",
        "rsync --server -r --partial-dir .p . today",
        "rsync --server -r . /backup//./today",
        "rsync --server -r . ~/today",
    ] {
        assert!(asked(&[&limits], line).is_ok(), "{line}");
    }
}

#[test]
fn programs_of_transfers_read_no_file_of_the_account_that_could_name_another_program() {
    let limits = every_kind(&files(Access::Write, &["/"]));
    let environment = |line: &str| asked(&[&limits], line).unwrap().environment;
    let pair = |name: &str, value: &str| (name.to_string(), value.to_string());
    assert_eq!(environment("rsync --server -r . /x"), [pair("HOME", "/dev/null")]);
    assert!(environment("git-upload-pack /x").contains(&pair("GIT_CONFIG_GLOBAL", "/dev/null")));
}
