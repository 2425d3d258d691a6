//! A file on this host: one to try that setup makes, and one that is there.

use std::fs;

use svcauth_tests::cases;
use svcauth_tests::daemon::Daemon;
use svcauth_tests::directory::Schema;
use svcauth_tests::failure::{Outcome, require, require_contains, require_eq, require_lacks};
use svcauth_tests::site::{CONFIG, LDIF, Site, svcauth, text_at};
use svcauth_tests::sshd::Sshd;
use svcauth_tests::world::World;

use super::{RULE, access, fresh, is_changed, mode, people, refused, report, setup};

cases!("setup_files":
    from_nothing_to_bob_in_and_carol_out_with_two_keys,
    a_second_run_changes_nothing_and_another_answer_needs_replace,
    a_file_that_is_there_is_used_and_never_written,
    a_check_writes_nothing,
    answers_come_from_a_file,
);

fn from_nothing_to_bob_in_and_carol_out_with_two_keys(world: &mut World) -> Outcome {
    fresh(world)?;
    let (bob, carol) = (world.key("bob")?, world.key("carol")?);
    let keys = ["--bob-key", "/run/world/keys/bob.pub", "--carol-key", "/run/world/keys/carol.pub"];
    let ended = setup(&[&["--kind", "ldif"], &keys[..], &RULE].concat())?.expect_ok()?;
    for part in [
        "bob -> deployer",
        "deployer (uid 7001)",
        "alice -> deployer  (member of application, through sshd, su, sudo; no key)",
        "Found at /etc/svcauth/directory.ldif",
        "Nobody else: 1 of 3",
        "svcauth enable --confirm 10m",
    ] {
        require_contains("what setup shows", &ended.stdout, part)?;
    }
    require_eq("the configuration", mode(CONFIG)?.as_str(), "644 root")?;
    let text = fs::read_to_string(CONFIG)?;
    require_contains("the configuration", &text, "# With the directory unreachable, logins go on")?;
    require_contains("the configuration", &text, "file = \"/etc/svcauth/directory.ldif\"")?;
    world.home("deployer", 7001, 7000)?;
    Site::keys_from_directory(world)?;
    let daemon = Daemon::start(world)?;
    let sshd = Sshd::start(world, &[])?;
    sshd.ssh("deployer", &bob, &["true"])?.expect_ok()?;
    sshd.ssh("deployer", &carol, &["true"])?.expect_refused()?;
    daemon.stop().map(drop)
}

fn a_second_run_changes_nothing_and_another_answer_needs_replace(world: &mut World) -> Outcome {
    fresh(world)?;
    let _keys = (world.key("bob")?, world.key("carol")?);
    let first = [&["--kind", "ldif", "--bob-key", "/run/world/keys/bob.pub"], &RULE[..]].concat();
    let (code, done) = report(&first)?;
    require_eq("the first run", &(code, is_changed(&done)), &(0, Some(true)))?;
    let daemon = Daemon::start(world)?;
    let before = (fs::read(CONFIG)?, fs::metadata(CONFIG)?.modified()?);
    let (code, done) = report(&first)?;
    require_eq("the second run", &(code, is_changed(&done)), &(0, Some(false)))?;
    let now = (fs::read(CONFIG)?, fs::metadata(CONFIG)?.modified()?);
    require(before == now, || "the configuration was written again".to_owned())?;
    let other = [&first[..], &["--id-range", "7000-7500"]].concat();
    refused(&other, &["is there already", "--replace"])?;
    let (code, done) = report(&[&other[..], &["--replace"]].concat())?;
    require_eq("the run that replaces", &(code, is_changed(&done)), &(0, Some(true)))?;
    require(done.pointer("/generation").is_some_and(serde_json::Value::is_u64), || {
        format!("no generation in {done}")
    })?;
    let kept = text_at(&done, "/kept/0").to_owned();
    require_contains("where the old one is", &kept, "/etc/svcauth/svcauth.toml.bak-")?;
    require_eq("the old one", &fs::read(&kept)?, &before.0)?;
    require_contains("the new one", &fs::read_to_string(CONFIG)?, "7000-7500")?;
    daemon.stop().map(drop)
}

fn a_file_that_is_there_is_used_and_never_written(world: &mut World) -> Outcome {
    fresh(world)?;
    let (directory, _) = people(world)?;
    world.write(LDIF, 0o644, directory.text(Schema::Rfc2307bis))?;
    let before = fs::read(LDIF)?;
    let (code, done) = report(&[&["--kind", "ldif"], &RULE[..]].concat())?;
    require_eq("the exit status", &code, &0)?;
    require_eq(
        "who may",
        &access(&done),
        &vec!["alice -> deployer".to_owned(), "bob -> deployer".to_owned()],
    )?;
    require_eq("the file", &fs::read(LDIF)?, &before)?;
    fs::remove_file(CONFIG)?;
    let again = [&["--kind", "ldif", "--bob-key", "/run/world/keys/bob.pub"], &RULE[..]].concat();
    let ended = setup(&again)?.expect_code(1)?;
    require_contains("about a file that is there", &ended.stderr, "was left alone")?;
    require_eq("the file", &fs::read(LDIF)?, &before)?;
    world.write(LDIF, 0o666, &before)?;
    let ended = setup(&[&["--kind", "ldif"], &RULE[..]].concat())?.expect_code(1)?;
    require_contains("about a file that all may write", &ended.stderr, "chmod go-w")
}

fn a_check_writes_nothing(world: &mut World) -> Outcome {
    fresh(world)?;
    let _key = world.key("bob")?;
    let trial = ["setup", "--check", "--kind", "ldif", "--bob-key", "/run/world/keys/bob.pub"];
    let ended = svcauth(&trial)?.expect_ok()?;
    require_contains("what a check shows", &ended.stdout, "people        3  1 with a public key")?;
    require_lacks("what a check of no rule shows", &ended.stdout, "->")?;
    super::nothing_is_there()?;
    setup(&[&["--bob-key", "/run/world/keys/bob.pub"], &RULE[..]].concat())?.expect_ok()?;
    let ended = svcauth(&["setup", "--check"])?.expect_ok()?;
    require_contains("what a check of the present one shows", &ended.stdout, "bob -> deployer")?;
    let text =
        fs::read_to_string(CONFIG)?.replace("roles = [\"application\"]", "roles = [\"nobody-has-it\"]");
    world.write(CONFIG, 0o644, text)?;
    let ended = svcauth(&["setup", "--check"])?.expect_code(1)?;
    require_contains("what a check says of a role", &ended.stderr, "group nobody-has-it")
}

fn answers_come_from_a_file(world: &mut World) -> Outcome {
    fresh(world)?;
    let _key = world.key("bob")?;
    let answers = "kind = \"ldif\"\nbob_key = \"/run/world/keys/bob.pub\"\naccount = [\"deployer\"]\nrole = [\"nobody\"]\n";
    world.write("/run/world/answers.toml", 0o600, answers)?;
    refused(&["--answers", "/run/world/answers.toml"], &["group nobody"])?;
    setup(&["--answers", "/run/world/answers.toml", "--role", "application"])?.expect_ok()?;
    require_contains("the rule", &fs::read_to_string(CONFIG)?, "roles = [\"application\"]")?;
    world.write("/run/world/answers.toml", 0o600, "kidn = \"ldif\"\n")?;
    let ended = setup(&["--answers", "/run/world/answers.toml"])?.expect_code(2)?;
    require_contains("about a key that is not known", &ended.stderr, "kidn")
}
