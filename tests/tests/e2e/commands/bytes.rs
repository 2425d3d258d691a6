//! Nothing is added, changed or held back: bytes, exit statuses, signals and ends of streams are as without the shell.
//!
//! deployer may run a program by its words, jenkins whatever a shell makes of a line; a local user shows what it is without
//! svcauth.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use svcauth_tests::cases;
use svcauth_tests::failure::{Failure, Outcome, require, require_eq};
use svcauth_tests::program::{Ended, Program, as_pid, wait_until};
use svcauth_tests::sshd::client;
use svcauth_tests::world::World;

use super::clients::Client;
use super::{limited, own_folder, program, ran, rule};
use crate::host::Host;

cases!("commands_bytes":
    a_gigabyte_comes_through_sftp_and_rsync_unchanged,
    every_exit_status_and_death_comes_through,
    input_output_and_errors_are_as_without_the_shell,
    a_signal_to_the_shell_is_one_to_the_command,
);

const RULE: &str = r#"commands = [
    ["/usr/local/bin/probe", "<rest>"],
    ["/usr/local/bin/drive"],
    ["/usr/bin/cat"],
    { kind = "sftp", access = "write", paths = ["/srv/data"] },
    { kind = "rsync", access = "write", paths = ["/srv/data"] },
]"#;

/// Ends, and closes its streams, in the ways that programs do.
const PROBE: &str = r#"#!/bin/sh
case $1 in
    exit) exit "$2" ;;
    kill) kill -"$2" $$ ;;
    apart) echo out; echo err >&2; echo out again ;;
    early) exec >&-; cat >/dev/null; echo late >&2; exit 3 ;;
    unread) exec <&-; echo unread; exit 4 ;;
    behind) (sleep 0.4; echo behind) & echo first; exit 5 ;;
    endless) exec cat /dev/zero ;;
    trap) trap 'echo "got $1"; exit 9' TERM HUP USR1; echo "$$ $PPID" >/srv/probe/pids; while :; do sleep 0.05; done ;;
    wait) echo "$$ $PPID" >/srv/probe/pids; exec sleep 100 ;;
esac
"#;

const DRIVE: &str = "#!/bin/sh\nfor code in $(seq 0 255); do /usr/bin/svcauth-shell -c \"probe exit $code\"; echo \"$code $?\"; done\n";

fn start(world: &World) -> Outcome<Host> {
    let mut plan = limited(world, RULE)?;
    plan.site.directory.account("jenkins", 7002, 7000);
    plan.site.access(&format!(
        "{}{}",
        rule("deployer", RULE),
        rule("jenkins", "commands = [{ kind = \"any\" }]")
    ));
    let host = plan.start(world)?;
    program(world, "/usr/local/bin/probe", PROBE)?;
    program(world, "/usr/local/bin/drive", DRIVE)?;
    own_folder("/srv/data")?;
    own_folder("/srv/probe")?;
    Ok(host)
}

/// What a client gets, of all that it can see.
fn seen(ended: &Ended) -> (i32, &str, &str) {
    (ended.code, &ended.stdout, &ended.stderr)
}

/// Runs the line as the local user and as both accounts: the same comes out.
fn same_for_all(host: &Host, line: &str, input: &[u8]) -> Outcome<Ended> {
    let run = |user: &str| client(&[], user, host.key("bob")?, &[line]).input(input).run();
    let plain = run("local")?;
    for account in ["deployer", "jenkins"] {
        require_eq(&format!("{line} as {account}"), &seen(&run(account)?), &seen(&plain))?;
    }
    Ok(plain)
}

/// 1 GiB on the disk of a world, which is memory: little of it is more than a hole.
fn make_gigabyte(path: &str) -> Outcome {
    let script = format!(
        "dd if=/dev/urandom of={path} bs=1M count=48 status=none && truncate -s 1G {path} && \
         dd if=/dev/urandom of={path} bs=1M seek=1000 count=16 conv=notrunc status=none"
    );
    Program::new("sh").args(&["-c", &script]).run()?.expect_ok().map(drop)
}

/// Whether two files are the same, byte for byte.
fn same(one: &str, other: &str) -> Outcome {
    Program::new("cmp").args(&[one, other]).patience(Duration::from_secs(120)).run()?.expect_ok().map(drop)
}

fn a_gigabyte_comes_through_sftp_and_rsync_unchanged(world: &mut World) -> Outcome {
    let host = start(world)?;
    let bob = Client::of("bob", &host)?;
    fs::create_dir_all("/tmp/client")?;
    make_gigabyte("/srv/data/big")?;
    let mark = world.log().mark();
    let patience = Duration::from_secs(120);
    let quiet = |ended: Ended| require_eq("standard error", ended.expect_ok()?.stderr.as_str(), "");
    quiet(bob.sftp("deployer", "get /srv/data/big /tmp/client/by-sftp").patience(patience).run()?)?;
    // What came by sftp goes back by rsync, so that one look at it is one at both ways.
    let words = ["--whole-file", "--sparse", "/tmp/client/by-sftp", ":/srv/data/again"];
    quiet(bob.rsync("deployer", &words).patience(patience).run()?)?;
    same("/srv/data/big", "/srv/data/again")?;
    fs::remove_file("/tmp/client/by-sftp")?;
    let words = ["--whole-file", "--sparse", ":/srv/data/big", "/tmp/client/by-rsync"];
    quiet(bob.rsync("deployer", &words).patience(patience).run()?)?;
    same("/srv/data/big", "/tmp/client/by-rsync")?;
    ran(world, mark, "/usr/lib/openssh/sftp-server")?;
    ran(world, mark, "rsync --server -*")?;
    ran(world, mark, "rsync --server --sender*").map(drop)
}

fn every_exit_status_and_death_comes_through(world: &mut World) -> Outcome {
    let host = start(world)?;
    let all = host.ssh("bob", "deployer", &["drive"])?.expect_ok()?;
    let expected: String = (0..256).map(|code| format!("{code} {code}\n")).collect();
    require_eq("the statuses", all.stdout.as_str(), expected.as_str())?;
    for line in ["probe exit 0", "probe exit 1", "probe exit 126", "probe exit 127", "probe exit 255"] {
        same_for_all(&host, line, b"")?;
    }
    let mark = world.log().mark();
    for signal in ["HUP", "INT", "TERM", "KILL", "USR1", "PIPE", "SEGV", "ABRT"] {
        same_for_all(&host, &format!("probe kill {signal}"), b"")?;
    }
    let end = ran(world, mark, "probe kill KILL")?;
    require_eq("the status of who was killed", end.get("exit_status"), "137")?;
    let core = fs::read_dir("/home/deployer")?
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().starts_with("core"));
    require(!core, || "a core was written".to_owned())
}

fn input_output_and_errors_are_as_without_the_shell(world: &mut World) -> Outcome {
    let host = start(world)?;
    let every: Vec<u8> = (0..=255_u8).cycle().take(300_000).collect();
    for (line, input) in [
        ("probe apart", &b""[..]),
        ("cat", b"\0\r\n\xff\x1b no newline at the end"),
        ("probe early", b"x"),
        ("probe unread", &every),
        ("probe behind", b""),
    ] {
        same_for_all(&host, line, input)?;
    }
    // Every byte there and back, told by a sum: a text would lose some of them.
    let key = host.key("bob")?.path().display().to_string();
    fs::write("/tmp/every", &every)?;
    for user in ["deployer", "jenkins"] {
        let ssh = format!("ssh {} -i {key} {user}@127.0.0.1", svcauth_tests::sshd::CLIENT.join(" "));
        let same =
            Program::new("sh").args(&["-c", &format!("{ssh} cat </tmp/every | cmp - /tmp/every")]).run()?;
        same.expect_ok()?;
        // The reader goes away: so does the command.
        let few = Program::new("sh")
            .args(&["-c", &format!("{ssh} probe endless | head -c 1000 | wc -c")])
            .run()?
            .expect_ok()?;
        require_eq("bytes read", few.text(), "1000")?;
    }
    wait_until("the end of what nobody reads", Duration::from_secs(60), || {
        Program::new("pgrep").args(&["-f", "^cat /dev/zero"]).run().ok().filter(|found| !found.ok()).map(drop)
    })
}

/// The process ids of the command and of its parent, the shell.
fn pids() -> Outcome<(u32, u32)> {
    wait_until("the process ids", Duration::from_secs(60), || {
        let text = fs::read_to_string("/srv/probe/pids").ok()?;
        let (command, shell) = text.trim().split_once(' ')?;
        let found = (command.parse().ok()?, shell.parse().ok()?);
        fs::remove_file("/srv/probe/pids").ok()?;
        Some(found)
    })
}

fn a_signal_to_the_shell_is_one_to_the_command(world: &mut World) -> Outcome {
    let host = start(world)?;
    let run = |line: &str| {
        let program = client(&[], "deployer", host.key("bob")?, &[line]);
        Ok::<_, Failure>(std::thread::spawn(move || program.run()))
    };
    let join = |thread: std::thread::JoinHandle<Outcome<Ended>>| {
        thread.join().map_err(|_| Failure::new("the client"))?
    };
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGUSR1] {
        let running = run("probe trap")?;
        let (command, shell) = pids()?;
        let name = fs::read_to_string(format!("/proc/{shell}/comm"))?;
        require_eq("the parent", name.trim(), "svcauth-shell")?;
        nix::sys::signal::kill(as_pid(shell), signal)?;
        let ended = join(running)?.expect_code(9)?;
        require_eq("what it says", ended.text(), "got trap")?;
        require(!Path::new(&format!("/proc/{command}")).exists(), || "it goes on".to_owned())?;
    }
    // Killed, the shell takes the command with it, and the record says how it ended.
    let mark = world.log().mark();
    let running = run("probe wait")?;
    let (command, shell) = pids()?;
    nix::sys::signal::kill(as_pid(shell), Signal::SIGKILL)?;
    join(running)?.expect_refused()?;
    wait_until("the end of the command", Duration::from_secs(60), || {
        (!Path::new(&format!("/proc/{command}")).exists()).then_some(())
    })?;
    world.log().wait_for(mark, "command_end", &[("command", "probe wait"), ("origin", "bob")]).map(drop)
}
