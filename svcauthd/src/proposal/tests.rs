//! The law of a proposal: it refuses nothing that it has learned, and it does not allow everything.

use std::collections::BTreeSet;

use proptest::prelude::*;
use svcauth_core::command::{CommandRule, Limits, Ruling, Wish, admit, split};
use svcauth_core::config::Config;

use super::corpus::{Asked, Corpus, Seen};
use super::rule::{Host, Proposal, propose};
use super::write::{Heading, write};

const HEAD: &str = "[directory]\nkind = \"ldif\"\n";

fn host() -> Host<'static> {
    let program: &'static dyn Fn(&str) -> Option<String> = &|name| match name {
        "nosuch" => None,
        "deploy" => Some("/usr/local/bin/deploy".to_owned()),
        name => Some(format!("/usr/bin/{name}")),
    };
    let is_folder: &'static dyn Fn(&str) -> bool = &|path| path.starts_with("/srv/www");
    Host { program, is_folder, is_there: is_folder, home: Some("/home/deployer".to_owned()) }
}

fn corpus<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Corpus {
    let mut corpus = Corpus::default();
    for line in lines {
        let seen = corpus.asked.entry(Asked::Line(line.to_vec())).or_default();
        seen.add(&Seen { count: 1, people: ["bob\u{202e}".to_owned()].into(), last: Some(1) });
    }
    corpus
}

/// The limits that an administrator has who pastes the proposal and enforces it.
fn pasted(proposal: &Proposal) -> Limits {
    let plain =
        Config::parse(&format!("{HEAD}[[access]]\naccounts = [\"deployer\"]\nroles = [\"application\"]\n"));
    let rule = plain.unwrap().access.remove(0);
    let text = write(Heading { account: "deployer", rule: &rule }, proposal);
    assert!(!text.chars().any(|c| c != '\n' && svcauth_core::audit::escape::is_deceptive(c)), "{text:?}");
    let enforced = text.replacen("mode = \"learn\"", "mode = \"enforce\"", 1);
    let parsed =
        Config::parse(&format!("{HEAD}{enforced}")).unwrap_or_else(|error| panic!("{error}\n{text}"));
    parsed.access[0].limits.clone().unwrap()
}

fn is_admitted(limits: &Limits, line: &[u8]) -> bool {
    matches!(admit(&[limits], Wish::Line(line)), Ruling::Run(_))
}

/// Every line is admitted by what is pasted, or named as left out; which ones are.
fn keeps_the_law(corpus: &Corpus) -> (Limits, BTreeSet<Vec<u8>>) {
    let proposal = propose(corpus, &host());
    let limits = pasted(&proposal);
    assert_eq!(limits, Limits { forwarding: limits.forwarding, ..in_order(&proposal) });
    assert!(!limits.commands.contains(&CommandRule::Any));
    let left: BTreeSet<Vec<u8>> = proposal.left_out.iter().map(|one| one.line.clone()).collect();
    for asked in corpus.asked.keys() {
        let Asked::Line(line) = asked else { continue };
        assert_ne!(is_admitted(&limits, line), left.contains(line), "{}", line.escape_ascii());
    }
    (limits, left)
}

/// `sftp = ...` comes behind the commands when it is read.
fn in_order(proposal: &Proposal) -> Limits {
    let mut limits = proposal.limits();
    let every = |rule: &CommandRule| matches!(rule, CommandRule::Sftp(files) if files.paths == ["/"]);
    limits.commands.sort_by_key(every);
    limits
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,6}",
        "[0-9]{1,4}",
        "v?[0-9]{1,2}\\.[0-9]{1,2}",
        "/[a-z]{1,3}(/[a-z.0-9]{1,4}){0,3}/?",
        "--?[a-z]{1,4}(=[a-z0-9]{0,3})?",
        "[0-9a-f]{8}",
        "<[a-z:]{0,6}>?",
        "[.^$*+?()\\[\\]{}|\\\\#&~-]{1,4}",
        "\\PC{0,4}",
        any::<String>().prop_map(|text| text.replace('\0', "")),
    ]
}

/// As a client quotes: as it is, or between quotes.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    let program = prop_oneof![
        Just("deploy"),
        Just("/usr/local/bin/app"),
        Just("nosuch"),
        Just("./x"),
        Just("tar"),
        Just("sh"),
        Just("ls"),
        Just(".."),
        Just("<any>"),
    ];
    let words = proptest::collection::vec((word(), any::<bool>()), 0..4);
    let plain = (program, words).prop_map(|(program, words)| {
        let mut line = program.to_owned();
        for (word, is_quoted) in words {
            line.push(' ');
            line.push_str(&if is_quoted { quoted(&word) } else { word });
        }
        line.into_bytes()
    });
    prop_oneof![
        9 => plain,
        1 => proptest::collection::vec(any::<u8>(), 0..12),
        1 => Just(b"/usr/lib/openssh/sftp-server".to_vec()),
        1 => "git-(upload|receive)-pack '/srv/[a-z]{1,3}\\.git'".prop_map(String::into_bytes),
        1 => "rsync --server (--sender )?-logDtpr . /[a-z]{1,3}/[a-z]{1,3}/?".prop_map(String::into_bytes),
        1 => "scp -[tf] /?[a-z]{1,3}/[a-z]{1,3}".prop_map(String::into_bytes),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn nothing_that_was_learned_is_refused_but_what_is_named(lines in proptest::collection::vec(line(), 0..40)) {
        let corpus = corpus(lines.iter().map(Vec::as_slice));
        let (_, left) = keeps_the_law(&corpus);
        for line in left {
            let words = split(&line);
            let is_plain = words.is_ok_and(|words| {
                let program = words.first().map(|word| word.bytes.clone()).unwrap_or_default();
                let knows = [&b"deploy"[..], b"/usr/local/bin/app", b"nosuch", b"ls"].contains(&program.as_slice());
                knows && !words.iter().any(|word| word.home)
            });
            prop_assert!(!is_plain, "{} could have been admitted", line.escape_ascii());
        }
    }
}

#[test]
fn a_letter_that_hides_is_an_escape_in_every_line_of_the_file() {
    let (limits, left) = keeps_the_law(&corpus(["sh a".as_bytes(), "sh \u{fe00}".as_bytes()]));
    assert!(left.is_empty() && is_admitted(&limits, b"sh a"), "{left:?}");
}

const HARMLESS: [&str; 16] = [
    "/usr/local/bin/deploy web-1 v1.2.3",
    "/usr/local/bin/deploy web-2 v1.2.4",
    "deploy web-1 v1.3.0",
    "uptime",
    "ls -la /srv/www",
    "ls -la /srv/www/app",
    "tail -n 100 /var/log/app/web.log",
    "tail -n 50 /var/log/app/db.log",
    "systemctl status app",
    "systemctl restart app",
    "cat /etc/hostname",
    "pm2 reload shop",
    "tar -xzf /srv/releases/app-1.2.3.tar.gz -C /srv/www",
    "tar -xzf /srv/releases/app-1.2.4.tar.gz -C /srv/www",
    "find /srv/www -name index.html",
    "git -C /srv/www/app status",
];

const ESCAPES: [&str; 30] = [
    "sh",
    "bash -c id",
    "/usr/local/bin/deploy web-1 v1.2.3; id",
    "/usr/local/bin/deploy web-1 $(id)",
    "/usr/local/bin/deploy web-1 v1.2.3 --hook=id",
    "/usr/local/bin/deploy --hook=id v1.2.3",
    "/tmp/deploy web-1 v1.2.3",
    "uptime -h",
    "ls -la /etc/shadow",
    "ls -la /srv/www/../../etc",
    "tail -n 1 /etc/shadow",
    "tail -n 1 /var/log/app/../../../etc/shadow",
    "tail -F /var/log/app/web.log",
    "systemctl edit app",
    "systemctl restart sshd",
    "systemctl --root=/x restart app",
    "cat /etc/shadow",
    "pm2 start /tmp/x.js",
    "tar -xzf /srv/releases/app-1.2.3.tar.gz -C /srv/www --checkpoint-action=exec=id",
    "tar -xzf /tmp/app-1.2.3.tar.gz -C /srv/www",
    "tar -xzf --use-compress-program=id -C /srv/www",
    "find /srv/www -exec id",
    "find /srv/www -name index.html -delete",
    "git -C /tmp/x status",
    "git -c core.pager=id status",
    "git -C /srv/www/app push",
    "env id",
    "rsync --server -e id . /srv",
    "sftp-server",
    "ls -la /srv/www\nid",
];

#[test]
fn what_was_learned_from_harmless_commands_admits_no_escape() {
    let lines = corpus(HARMLESS.iter().map(|line| line.as_bytes()));
    let (limits, left) = keeps_the_law(&lines);
    assert!(left.is_empty(), "{left:?}");
    for escape in ESCAPES {
        assert!(!is_admitted(&limits, escape.as_bytes()), "{escape}");
    }
    assert!(!matches!(admit(&[&limits], Wish::Shell), Ruling::Run(_)));
    // What is like the learned ones may run: that is what patterns are for.
    for other in ["deploy web-7 v1.9.0", "tail -n 7 /var/log/app/db.log"] {
        assert!(is_admitted(&limits, other.as_bytes()), "{other}");
    }
}

#[test]
fn many_different_words_are_generalised_and_still_no_option_or_way_out_fits() {
    let lines: Vec<String> = "ant bee cow dog elk fox gnu hen ibis jay"
        .split(' ')
        .map(|name| format!("show --json /srv/data/{name}/report.txt {name}"))
        .collect();
    let (limits, left) = keeps_the_law(&corpus(lines.iter().map(String::as_bytes)));
    assert!(left.is_empty() && limits.commands.len() == 1, "{limits:?}");
    assert!(is_admitted(&limits, b"show --json /srv/data/kiwi/report.txt kiwi"));
    for escape in [
        "show --json /srv/data/../report.txt kiwi",
        "show --json /srv/data/kiwi/report.txt --exec=id",
        "show --json /etc/kiwi/report.txt kiwi",
        "show --yaml /srv/data/kiwi/report.txt kiwi",
        "show --json /srv/data/kiwi/report.txt kiwi x",
    ] {
        assert!(!is_admitted(&limits, escape.as_bytes()), "{escape}");
    }
}

#[test]
fn what_only_a_shell_can_read_is_named_with_the_choice_and_never_chosen() {
    let lines = [
        "/bin/sh -c 'echo ~ && sleep 0'",
        "/bin/sh -c '/usr/bin/python3 /home/deployer/.ansible/tmp/ansible-tmp-1/AnsiballZ_ping.py && sleep 0'",
        "cd /srv/www && pm2 reload shop",
        "python3 -c 'import os'",
        "ls ~/x",
        "uptime",
    ];
    let corpus = corpus(lines.iter().map(|line| line.as_bytes()));
    let (limits, left) = keeps_the_law(&corpus);
    assert_eq!(left.len(), 5);
    assert_eq!(limits.commands.len(), 1);
    let proposal = propose(&corpus, &host());
    let rule = Config::parse(&format!("{HEAD}[[access]]\naccounts = [\"d\"]\nroles = [\"r\"]\n")).unwrap();
    let text = write(Heading { account: "deployer", rule: &rule.access[0] }, &proposal);
    assert!(text.contains("\n  # { kind = \"any\" },\n") && text.contains("AnsiballZ_ping.py"), "{text}");
    let chosen = text.replacen("  # { kind = \"any\" }", "  { kind = \"any\" }", 1);
    let limits = Config::parse(&format!("{HEAD}{chosen}")).unwrap().access[0].limits.clone().unwrap();
    for line in lines {
        assert!(is_admitted(&limits, line.as_bytes()), "{line}");
    }
}

#[test]
fn the_rule_that_lets_people_in_keeps_all_its_other_keys() {
    let text = "[[access]]\naccounts = [\"dep*\"]\nroles = [\"a\", \"b\"]\nneed = \"every\"\nservices = [\"sshd\"]\n\
        hosts = [\"web*\"]\nfrom = [\"10.0.0.0/8\"]\nshell = \"allow\"\nrecord = true\nforwarding = \"local\"\n";
    let old = Config::parse(&format!("{HEAD}{text}")).unwrap().access.remove(0);
    let mut asked = corpus([&b"uptime"[..]]);
    asked.asked.insert(Asked::Shell, Seen::default());
    let written = write(Heading { account: "deployer", rule: &old }, &propose(&asked, &host()));
    let new = Config::parse(&format!("{HEAD}{written}")).unwrap().access.remove(0);
    assert_eq!((&new.roles, new.need, &new.services), (&old.roles, old.need, &old.services));
    assert_eq!((&new.hosts, &new.from, new.accounts[0].as_str()), (&old.hosts, &old.from, "deployer"));
    let (new, old) = (new.limits.unwrap(), old.limits.unwrap());
    assert_eq!((new.forwarding, new.record, new.shell), (old.forwarding, old.record, old.shell));
}
