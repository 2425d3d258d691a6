//! Files over ssh, as everybody moves them, under a rule that names folders: what works without the shell works with it.

use std::fs;

use svcauth_tests::cases;
use svcauth_tests::failure::{Outcome, require, require_eq};
use svcauth_tests::world::World;

use super::clients::Client;
use super::{asked_once, limited, own_folder, plain, ran};
use crate::host::{Host, Plan};

cases!("commands_transfers":
    sftp_reads_and_writes_below_its_folder,
    scp_copies_both_ways_in_both_protocols,
    rsync_copies_trees_both_ways,
    git_fetches_and_pushes,
    a_command_runs_and_the_log_says_who_executed_it,
    who_may_read_may_not_write,
);

const WRITE: &str = r#"
commands = [
    ["/bin/ls", "<any>"],
    ["/usr/bin/sh", "-c", "exit 7"],
    { kind = "sftp", access = "write", paths = ["/srv/data"] },
    { kind = "scp", access = "write", paths = ["/srv/data"] },
    { kind = "rsync", access = "write", paths = ["/srv/data"] },
    { kind = "git", access = "write", paths = ["/srv/git"] },
]
"#;

/// A host with this rule, a folder of deployer's with a file, and a folder of the client's with one.
fn start(world: &World, rule: &str) -> Outcome<Host> {
    let plan: Plan = limited(world, rule)?;
    let host = plan.start(world)?;
    own_folder("/srv/data")?;
    world.write("/srv/data/there", 0o644, b"\x00\xff there \r\n")?;
    world.write("/tmp/client/here", 0o644, b"\x00\xff here \r\n")?;
    Ok(host)
}

fn same(one: &str, other: &str) -> Outcome {
    require(fs::read(one)? == fs::read(other)?, || format!("{one} and {other} differ"))
}

fn sftp_reads_and_writes_below_its_folder(world: &mut World) -> Outcome {
    let host = start(world, WRITE)?;
    let mark = world.log().mark();
    let batch = "put /tmp/client/here /srv/data/put\nget /srv/data/there /tmp/client/got\nrename /srv/data/put /srv/data/new\n\
                 ls -l /srv/data\nmkdir /srv/data/folder\n";
    let ended = Client::of("bob", &host)?.sftp("deployer", batch).run()?.expect_ok()?;
    require_eq("standard error", ended.stderr.as_str(), "")?;
    same("/tmp/client/here", "/srv/data/new")?;
    same("/tmp/client/got", "/srv/data/there")?;
    let end = ran(world, mark, "/usr/lib/openssh/sftp-server")?;
    require_eq("the exit status", end.get("exit_status"), "0")
}

fn scp_copies_both_ways_in_both_protocols(world: &mut World) -> Outcome {
    let host = start(world, WRITE)?;
    let bob = Client::of("bob", &host)?;
    for (protocol, lines) in [
        ("-s", ["/usr/lib/openssh/sftp-server", "/usr/lib/openssh/sftp-server"]),
        ("-O", ["scp -t /srv/data/put-O", "scp -p -f /srv/data/there"]),
    ] {
        let there = format!(":/srv/data/put{protocol}");
        let mark = world.log().mark();
        bob.scp("deployer", &[protocol, "/tmp/client/here", &there]).run()?.expect_ok()?;
        same("/tmp/client/here", &there.replace(':', ""))?;
        ran(world, mark, lines[0])?;
        let (mark, here) = (world.log().mark(), format!("/tmp/client/got{protocol}"));
        bob.scp("deployer", &["-p", protocol, ":/srv/data/there", &here]).run()?.expect_ok()?;
        same(&here, "/srv/data/there")?;
        ran(world, mark, lines[1])?;
    }
    world.write("/tmp/client/tree/a/b", 0o644, "b\n")?;
    for protocol in ["-s", "-O"] {
        bob.scp("deployer", &["-r", protocol, "/tmp/client/tree", &format!(":/srv/data/tree{protocol}")])
            .run()?
            .expect_ok()?;
        same("/tmp/client/tree/a/b", &format!("/srv/data/tree{protocol}/a/b"))?;
    }
    Ok(())
}

fn rsync_copies_trees_both_ways(world: &mut World) -> Outcome {
    let host = start(world, WRITE)?;
    let bob = Client::of("bob", &host)?;
    for number in 0..20 {
        world.write(format!("/tmp/client/tree/{}/{number}", number % 3), 0o644, format!("{number}\n"))?;
    }
    world.write("/tmp/client/tree/a name with spaces", 0o644, "spaces\n")?;
    let mark = world.log().mark();
    bob.rsync("deployer", &["-az", "--delete", "/tmp/client/tree/", ":/srv/data/tree"]).run()?.expect_ok()?;
    let end = ran(world, mark, "rsync --server -*")?;
    require_eq("the exit status", end.get("exit_status"), "0")?;
    fs::remove_file("/tmp/client/tree/0/3")?;
    bob.rsync("deployer", &["-avz", "--delete", "/tmp/client/tree/", ":/srv/data/tree"])
        .run()?
        .expect_ok()?;
    let mark = world.log().mark();
    bob.rsync("deployer", &["-a", ":/srv/data/tree/", "/tmp/client/back"]).run()?.expect_ok()?;
    ran(world, mark, "rsync --server --sender -*")?;
    let difference =
        svcauth_tests::program::Program::new("diff").args(&["-r", "/tmp/client/tree", "/tmp/client/back"]);
    require_eq("the difference", difference.run()?.expect_ok()?.text(), "")?;
    require(!std::path::Path::new("/tmp/client/back/0/3").exists(), || "--delete did not delete".to_owned())
}

fn git_fetches_and_pushes(world: &mut World) -> Outcome {
    let host = start(world, WRITE)?;
    let bob = Client::of("bob", &host)?;
    repository("/srv/git/app.git")?;
    let (mark, url) = (world.log().mark(), "deployer@127.0.0.1:/srv/git/app.git");
    bob.git("/tmp/client", &["clone", "-q", url, "one"]).run()?.expect_ok()?;
    ran(world, mark, "git-upload-pack '/srv/git/app.git'")?;
    world.write("/tmp/client/one/file", 0o644, "first\n")?;
    bob.git("/tmp/client/one", &["add", "file"]).run()?.expect_ok()?;
    bob.git("/tmp/client/one", &["commit", "-q", "-m", "first"]).run()?.expect_ok()?;
    let mark = world.log().mark();
    bob.git("/tmp/client/one", &["push", "-q", "origin", "HEAD:main"]).run()?.expect_ok()?;
    ran(world, mark, "git-receive-pack '/srv/git/app.git'")?;
    bob.git("/tmp/client", &["clone", "-q", "-b", "main", url, "two"]).run()?.expect_ok()?;
    same("/tmp/client/one/file", "/tmp/client/two/file")?;
    let mark = world.log().mark();
    bob.git("/tmp/client/two", &["fetch", "-q"]).run()?.expect_ok()?;
    ran(world, mark, "git-upload-pack '/srv/git/app.git'").map(drop)
}

/// An empty repository of deployer's. Of several gits it is the distribution's that counts.
pub(super) fn repository(path: &str) -> Outcome {
    for entry in fs::read_dir("/usr/local/bin")?.flatten() {
        if entry.file_name().to_string_lossy().starts_with("git") {
            fs::remove_file(entry.path())?;
        }
    }
    let git = svcauth_tests::program::Program::new("/usr/bin/git");
    git.args(&["init", "-q", "--bare", "-b", "main", path]).run()?.expect_ok()?;
    svcauth_tests::program::Program::new("chown")
        .args(&["-R", "7001:7000", path])
        .run()?
        .expect_ok()
        .map(drop)
}

/// T-B.5, T-B.7: the seed's own sentence, the output and the exit status.
fn a_command_runs_and_the_log_says_who_executed_it(world: &mut World) -> Outcome {
    let host = start(world, WRITE)?;
    let mark = world.log().mark();
    let plain_sshd = host.ssh("bob", "local", &["ls /"])?.expect_ok()?;
    let ended = host.ssh("bob", "deployer", &["ls /"])?.expect_ok()?;
    require_eq("the output", &(ended.stdout, ended.stderr), &(plain_sshd.stdout, plain_sshd.stderr))?;
    world.log().wait_for_line(mark, &["bob is in application and executed ls /"])?;
    let end = ran(world, mark, "ls /")?;
    require_eq("the exit status", end.get("exit_status"), "0")?;
    let missing = host.ssh("bob", "deployer", &["ls /missing"])?.expect_code(2)?;
    require_eq("the output", missing.stdout.as_str(), "")?;
    require_eq("its exit status", ran(world, mark, "ls /missing")?.get("exit_status"), "2")?;
    let mark = world.log().mark();
    let line = "/usr/bin/sh -c 'exit 7'";
    host.ssh("bob", "deployer", &[line])?.expect_code(7)?;
    require_eq("its exit status", ran(world, mark, line)?.get("exit_status"), "7")
}

fn who_may_read_may_not_write(world: &mut World) -> Outcome {
    let host = start(world, &WRITE.replace("\"write\"", "\"read\""))?;
    let bob = Client::of("bob", &host)?;
    repository("/srv/git/app.git")?;
    // Reading works.
    bob.sftp("deployer", "get /srv/data/there /tmp/client/sftp\n").run()?.expect_ok()?;
    bob.scp("deployer", &["-O", ":/srv/data/there", "/tmp/client/scp"]).run()?.expect_ok()?;
    bob.rsync("deployer", &["-a", ":/srv/data/there", "/tmp/client/rsync"]).run()?.expect_ok()?;
    bob.git("/tmp/client", &["clone", "-q", "deployer@127.0.0.1:/srv/git/app.git", "one"])
        .run()?
        .expect_ok()?;
    for copy in ["sftp", "scp", "rsync"] {
        same(&format!("/tmp/client/{copy}"), "/srv/data/there")?;
    }
    // Writing does not. An sftp session itself is allowed, what it asks for is not.
    let denied = bob.sftp("deployer", "put /tmp/client/here /srv/data/put\n").run()?.expect_refused()?;
    require(denied.stderr.contains("ermission denied"), || denied.report())?;
    bob.sftp("deployer", "rm /srv/data/there\n").run()?.expect_refused()?;
    let mark = world.log().mark();
    bob.scp("deployer", &["-O", "/tmp/client/here", ":/srv/data/put"]).run()?.expect_refused()?;
    let record = asked_once(world, mark)?;
    require(record.says("command_refused", &[("reason", "command_not_allowed"), ("origin", "bob")]), || {
        record.line.clone()
    })?;
    require_eq("the line", plain(record.get("command")).as_str(), "scp -t /srv/data/put")?;
    bob.rsync("deployer", &["-a", "/tmp/client/here", ":/srv/data/put"]).run()?.expect_refused()?;
    world.write("/tmp/client/one/file", 0o644, "first\n")?;
    bob.git("/tmp/client/one", &["add", "file"]).run()?.expect_ok()?;
    bob.git("/tmp/client/one", &["commit", "-q", "-m", "first"]).run()?.expect_ok()?;
    bob.git("/tmp/client/one", &["push", "-q", "origin", "HEAD:main"]).run()?.expect_refused()?;
    let left: Vec<_> = fs::read_dir("/srv/data")?.flatten().map(|entry| entry.file_name()).collect();
    require_eq("what is there", &left, &vec![std::ffi::OsString::from("there")])
}
