//! `mode = "learn"`: nothing is refused, and the records say what would be.

use std::path::Path;

use svcauth_tests::cases;
use svcauth_tests::failure::{Outcome, require, require_contains, require_eq};
use svcauth_tests::sshd::client;
use svcauth_tests::trail;
use svcauth_tests::world::World;

use super::clients::Client;
use super::{asked_once, limited, own_folder};
use crate::host::sudo;

cases!("commands_learning":
    what_no_rule_has_runs_and_is_recorded_as_what_would_be_refused,
    what_is_refused_elsewhere_is_refused_while_a_rule_learns,
);

const RULE: &str = "mode = \"learn\"\ncommands = [[\"/usr/bin/id\", \"-un\"]]";

fn what_no_rule_has_runs_and_is_recorded_as_what_would_be_refused(world: &mut World) -> Outcome {
    let host = limited(world, RULE)?.start(world)?;
    own_folder("/srv/data")?;
    let mark = world.log().mark();
    host.ssh("bob", "deployer", &["id -un"])?.expect_ok()?;
    let record = asked_once(world, mark)?;
    require(record.get("mode").is_empty() && record.get("reason").is_empty(), || record.line.clone())?;
    let mark = world.log().mark();
    let line = "echo a | tee /srv/data/mark; exit 3";
    require_eq("the output", host.ssh("bob", "deployer", &[line])?.expect_code(3)?.text(), "a")?;
    require(Path::new("/srv/data/mark").exists(), || "it did not run".to_owned())?;
    let record = asked_once(world, mark)?;
    let pairs = [("reason", "command_not_allowed"), ("mode", "learn"), ("origin", "bob"), ("command", line)];
    require(record.says("command", &pairs), || record.line.clone())?;
    let mark = world.log().mark();
    client(&["-tt"], "deployer", host.key("bob")?, &[]).input("exit 4\n").run()?.expect_code(4)?;
    let record = asked_once(world, mark)?;
    require(record.says("command", &[("reason", "shell_not_allowed"), ("mode", "learn")]), || {
        record.line.clone()
    })?;
    let mark = world.log().mark();
    world.write("/tmp/client/here", 0o644, "here\n")?;
    let bob = Client::of("bob", &host)?;
    bob.sftp("deployer", "put /tmp/client/here /srv/data/put").run()?.expect_ok()?;
    require(asked_once(world, mark)?.says("command", &[("mode", "learn")]), || "sftp".to_owned())?;
    let learned = trail::wait_for(&["--event", "command"], 4)?;
    let modes = learned.iter().filter(|entry| entry.get("mode").is_some_and(|mode| mode == "learn")).count();
    require_eq("records with the mode", &modes, &3)
}

/// Learning is about limits: who may not use the account at all does not learn.
fn what_is_refused_elsewhere_is_refused_while_a_rule_learns(world: &mut World) -> Outcome {
    let host = limited(world, RULE)?.start(world)?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    host.ssh("carol", "deployer", &["touch /tmp/carol"])?.expect_refused()?;
    sudo(world, "carol", "deployer", &["-i", "touch", "/tmp/carol"])?.expect_refused()?;
    let outside = world
        .as_account("deployer", 7001, 7000, &["/usr/bin/svcauth-shell", "-c", "touch /tmp/carol"])
        .run()?;
    let outside = outside.expect_refused()?;
    require_contains("what it says", &outside.stderr, "svcauth: ")?;
    require(!Path::new("/tmp/carol").exists(), || "it ran".to_owned())
}
