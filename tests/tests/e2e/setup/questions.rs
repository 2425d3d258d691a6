//! The questions on a terminal: few, each with a default, and an end at any of them leaves nothing behind.

use std::fs;

use svcauth_tests::cases;
use svcauth_tests::controllers;
use svcauth_tests::directory::Schema;
use svcauth_tests::failure::{Outcome, require, require_contains, require_eq, require_lacks};
use svcauth_tests::program::{Conversation, Program};
use svcauth_tests::samba::{Samba, example};
use svcauth_tests::site::CONFIG;
use svcauth_tests::slapd::Slapd;
use svcauth_tests::world::World;

use super::{READER, SECRET, fresh, mode, nothing_is_there, people};

cases!("setup_questions":
    a_file_to_try_takes_bobs_key_and_the_defaults,
    a_server_is_asked_for_and_what_fails_is_asked_again,
    a_domain_that_dns_names_is_the_default,
    ctrl_c_at_any_question_leaves_nothing_behind,
    a_terminal_is_not_driven_by_what_a_directory_says,
);

fn conversation(args: &[&str]) -> Outcome<Conversation> {
    Program::new("/usr/bin/svcauth").arg("setup").args(args).converse()
}

fn a_file_to_try_takes_bobs_key_and_the_defaults(world: &mut World) -> Outcome {
    fresh(world)?;
    let _keys = (world.key("bob")?, world.key("carol")?);
    let mut talk = conversation(&[])?;
    talk.answer("ad, ldap or ldif? [ldif]", "")?;
    // What makes no sense is asked for again.
    talk.answer("bob's public key", "/run/world/keys/nobody.pub")?;
    talk.answer("carol's public key", "")?;
    talk.expect("neither a file with a public key nor a public key")?;
    talk.answer("bob's public key", "/run/world/keys/bob.pub")?;
    talk.answer("carol's public key", "/run/world/keys/carol.pub")?;
    talk.answer("Which account may be used (several with spaces; found: deployer)? [deployer]", "")?;
    talk.answer("(found: application (2 people))? [application]", "applikation")?;
    talk.expect("the directory has no group applikation")?;
    talk.answer("Which account may be used", "")?;
    talk.answer("Members of which group", "")?;
    talk.expect("bob -> deployer")?;
    nothing_is_there()?;
    talk.answer("start svcauthd? [yes]", "")?;
    let (code, shown) = talk.end()?;
    require_eq("the exit status", &code, &0)?;
    require_contains("the end", &shown, "svcauth enable --confirm 10m")?;
    require_contains("the configuration", &fs::read_to_string(CONFIG)?, "accounts = [\"deployer\"]")?;
    let (code, shown) = conversation(&[])?.end()?;
    require_eq("a second time", &code, &1)?;
    require_contains("a second time", &shown, "is there already")
}

fn a_server_is_asked_for_and_what_fails_is_asked_again(world: &mut World) -> Outcome {
    fresh(world)?;
    let (directory, _) = people(world)?;
    let _slapd = Slapd::start(world, &directory, Schema::Rfc2307bis)?;
    let mut talk = conversation(&[])?;
    talk.answer("ad, ldap or ldif?", "ldap")?;
    talk.answer("URI of the server", "ldap7.example.com")?;
    talk.answer("As whom to read", "")?;
    talk.answer("Name (DN) to bind with?", READER)?;
    talk.answer("(it is not shown)?", "a wrong one")?;
    talk.expect("FAILED  name")?;
    talk.answer("URI of another server", "ldaps://ldap1.example.com")?;
    talk.expect("FAILED  tls")?;
    talk.answer("PEM file", "/run/world/slapd/ca.pem")?;
    talk.expect("FAILED  bind")?;
    talk.answer("Name (DN) to bind with?", "")?;
    talk.expect("(it is not shown)?")?;
    // Backspace and Ctrl-U are met as on any terminal.
    talk.keys("oops\u{15}reader of the directoryy\u{7f}\n")?;
    for question in
        ["Where are the accounts", "Where are the groups", "Where are the people", "Ids of managed"]
    {
        talk.answer(question, "")?;
    }
    talk.answer("Which account", "")?;
    talk.answer("Members of which group", "")?;
    talk.answer("start svcauthd?", "y")?;
    let (code, shown) = talk.end()?;
    require_eq("the exit status", &code, &0)?;
    require_lacks("what was shown", &shown, "reader of the")?;
    require_lacks("what was shown", &shown, "a wrong one")?;
    require_eq("the password", fs::read_to_string(SECRET)?.as_str(), "reader of the directory\n")?;
    require_eq("the password's file", mode(SECRET)?.as_str(), "600 root")
}

fn a_domain_that_dns_names_is_the_default(world: &mut World) -> Outcome {
    fresh(world)?;
    let keys =
        [("alice", &world.key("alice")?), ("bob", &world.key("bob")?), ("carol", &world.key("carol")?)];
    let _samba = Samba::start(world, &example(&keys, ""))?;
    controllers::resolve(world)?;
    let resolv = fs::read_to_string("/etc/resolv.conf")?;
    world.write("/etc/resolv.conf", 0o644, format!("search example.com\n{resolv}"))?;
    let mut talk = conversation(&["--ca-file", "/run/world/samba/ca.pem"])?;
    talk.expect("example.com has controllers of Active Directory")?;
    talk.answer("ad, ldap or ldif? [ad]", "")?;
    talk.answer("Which domain? [example.com]", "")?;
    talk.answer("As whom to read", "simple")?;
    talk.answer("Name (DN) to bind with? [svcauth@example.com]", "")?;
    talk.answer("(it is not shown)?", "Reader of 1 directory")?;
    talk.answer("Where are the accounts (DN)? [OU=accounts,DC=example,DC=com]", "")?;
    talk.answer("Where are the groups (DN)? [OU=groups,DC=example,DC=com]", "")?;
    talk.answer("Where are the people (DN)? [OU=people,DC=example,DC=com]", "")?;
    talk.answer("(sid)? [posix]", "")?;
    talk.answer("Ids of managed accounts and groups? [7000-7999]", "")?;
    talk.answer("Which account", "")?;
    talk.answer("Members of which group may use it (found: application (2 people))? [application]", "")?;
    talk.answer("start svcauthd?", "no")?;
    let (code, shown) = talk.end()?;
    require_eq("the exit status of whoever says no", &code, &130)?;
    require_contains("the end", &shown, "nothing was changed")?;
    nothing_is_there()
}

fn ctrl_c_at_any_question_leaves_nothing_behind(world: &mut World) -> Outcome {
    fresh(world)?;
    let _key = world.key("bob")?;
    let steps = [
        ("ad, ldap or ldif?", "ldif"),
        ("bob's public key", "/run/world/keys/bob.pub"),
        ("carol's public key", ""),
        ("Which account", ""),
        ("Members of which group", ""),
        ("start svcauthd?", "yes"),
    ];
    for last in 0..steps.len() {
        let mut talk = conversation(&[])?;
        for (question, answer) in steps.iter().take(last) {
            talk.answer(question, answer)?;
        }
        let (question, _) = steps.get(last).copied().unwrap_or_default();
        talk.expect(question)?;
        talk.keys("\u{3}")?;
        let (code, shown) = talk.end()?;
        require(code != 0, || format!("status 0 after Ctrl-C at {question}\n{shown}"))?;
        nothing_is_there()?;
    }
    let mut talk = conversation(&["--kind", "ldap", "--uri", "ldaps://x.example.com", "--bind-dn", "cn=x"])?;
    talk.expect("(it is not shown)?")?;
    talk.keys("secr\u{3}")?;
    let (code, shown) = talk.end()?;
    require_eq("the exit status at the password", &code, &130)?;
    require_lacks("what was shown", &shown, "secr")?;
    nothing_is_there()
}

fn a_terminal_is_not_driven_by_what_a_directory_says(world: &mut World) -> Outcome {
    fresh(world)?;
    let ldif = "dn: dc=x\nobjectClass: domain\n\ndn: uid=deployer,dc=x\nobjectClass: posixAccount\nuid: deployer\n\
                uidNumber: 7001\ngidNumber: 7000\n\ndn:: dWlkPRtbMkpiYWQsZGM9eA==\nobjectClass: posixAccount\n\
                uid:: G1sySmJhZA==\nuidNumber: 7002\ngidNumber: 7000\n\ndn: cn=application,dc=x\n\
                objectClass: posixGroup\ncn: application\ngidNumber: 7000\nmemberUid: nobody\n";
    world.write("/etc/svcauth/directory.ldif", 0o644, ldif)?;
    let rule = ["--account", "deployer", "--role", "application"];
    let mut talk = conversation(&[&["--kind", "ldif", "--id-range", "7000-7999"], &rule[..]].concat())?;
    talk.answer("Where are the accounts", "dc=x")?;
    talk.answer("Where are the groups", "dc=x")?;
    talk.answer("Where are the people", "dc=x")?;
    talk.expect("\\x1b[2Jbad")?;
    talk.expect("start svcauthd?")?;
    require(!talk.shown().contains('\u{1b}'), || {
        format!("an escape reached the terminal: {:?}", talk.shown())
    })
}
