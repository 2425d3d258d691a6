//! Who may is asked for each command, not for each connection.

use std::path::Path;
use std::time::Duration;

use svcauth_tests::cases;
use svcauth_tests::failure::{Outcome, require, require_eq};
use svcauth_tests::program::{Program, wait_until};
use svcauth_tests::world::World;

use super::{REFUSED, asked_once, limited, line_of_ours, ran_by};

use crate::shared_use::OpenConnection;

cases!("commands_membership":
    who_leaves_the_group_is_refused_at_the_next_command_and_who_comes_back_is_not,
    a_rule_that_changes_counts_at_the_next_command,
);

/// Sessions live on when somebody leaves, so that it is the shell who refuses.
const LIVES: &str = "commands = [[\"/usr/bin/ls\", \"<any>\"], [\"/usr/bin/touch\", \"<any>\"]]\n[sessions]\non_revoke = \"log\"";

/// What nobody has to edit.
fn files_of_host() -> Outcome<String> {
    let sums = "find /etc /home -type f ! -name directory.ldif -exec sha256sum {} + | sort";
    Ok(Program::new("sh").args(&["-c", sums]).run()?.expect_ok()?.stdout)
}

/// T-B.8 to T-B.10, T-B.13
fn who_leaves_the_group_is_refused_at_the_next_command_and_who_comes_back_is_not(
    world: &mut World,
) -> Outcome {
    let mut plan = limited(world, LIVES)?;
    plan.site.directory.join("carol", "application")?;
    let mut host = plan.start(world)?;
    let carol = OpenConnection::of("carol", &host, world)?;
    let bob = OpenConnection::of("bob", &host, world)?;
    let (before, daemon, mark) = (files_of_host()?, host.daemon.pid(), world.log().mark());
    carol.command(&["ls /"])?.expect_ok()?;
    ran_by(world, mark, "carol", "ls /")?;
    host.site.directory.leave("carol", "application")?;
    host.publish(world)?;
    world.log().wait_for(mark, "alarm", &[("origin", "carol"), ("reason", "revoked_session_goes_on")])?;
    let mark = world.log().mark();
    let refused = carol.command(&["ls /"])?.expect_code(REFUSED)?;
    require_eq("standard output", refused.stdout.as_str(), "")?;
    line_of_ours(&refused.stderr)?;
    world
        .log()
        .wait_for_line(mark, &["carol is not in application and is not authorized to execute ls /"])?;
    let record = asked_once(world, mark)?;
    let pairs =
        [("origin", "carol"), ("reason", "not_in_role"), ("account", "deployer"), ("command", "ls /")];
    require(record.says("command_refused", &pairs), || record.line.clone())?;
    carol.command(&["touch /tmp/by-carol"])?.expect_code(REFUSED)?;
    require(!Path::new("/tmp/by-carol").exists(), || "carol's command ran".to_owned())?;
    bob.command(&["ls /"])?.expect_ok()?;
    host.site.directory.join("carol", "application")?;
    host.publish(world)?;
    carol.command(&["touch /tmp/by-carol"])?.expect_ok()?;
    require(Path::new("/tmp/by-carol").exists(), || "carol's command did not run".to_owned())?;
    ran_by(world, mark, "carol", "touch /tmp/by-carol")?;
    require_eq("the daemon", &host.daemon.pid(), &daemon)?;
    require(!host.daemon.has_ended(), || "the daemon has ended".to_owned())?;
    require_eq("files of the host", &files_of_host()?, &before)
}

fn a_rule_that_changes_counts_at_the_next_command(world: &mut World) -> Outcome {
    let mut host = limited(world, LIVES)?.start(world)?;
    let bob = OpenConnection::of("bob", &host, world)?;
    bob.command(&["ls /"])?.expect_ok()?;
    bob.command(&["id -un"])?.expect_code(REFUSED)?;
    host.site.configure("[\"/usr/bin/touch\", \"<any>\"]", "[\"/usr/bin/id\", \"-un\"]")?;
    host.site.write(world)?;
    host.daemon.reload(world)?;
    wait_until("the new rule", Duration::from_secs(60), || bob.command(&["id -un"]).ok()?.expect_ok().ok())?;
    bob.command(&["touch /tmp/by-bob"])?.expect_code(REFUSED)?;
    require(!Path::new("/tmp/by-bob").exists(), || "the old rule counts".to_owned())
}
