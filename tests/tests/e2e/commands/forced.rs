//! An enabled host: sshd forces `svcauth-shell` upon limited accounts, so that what sshd does by itself is closed, too.
//! sshd allows everybody else everything, and takes keys from a file without any options.

use std::fs;
use std::path::Path;

use svcauth_tests::cases;
use svcauth_tests::failure::{Outcome, require, require_eq};
use svcauth_tests::sshd::{Sshd, client};
use svcauth_tests::world::World;

use super::clients::Client;
use super::{REFUSED, asked, asked_once, limited, line_of_ours, own, own_folder, ran};
use crate::activation::enable;
use crate::host::Host;
use crate::sshd_limits::{Target, works};

cases!("commands_forced":
    nothing_is_open_beside_the_shell,
    what_sshd_would_do_by_itself_is_asked_about,
);

const RULE: &str = r#"commands = [
    ["/usr/bin/ls", "<any>"],
    { kind = "sftp", access = "write", paths = ["/srv/data"] },
]"#;
const LENIENT: &[&str] = &[
    "AcceptEnv *",
    "AllowTcpForwarding yes",
    "AllowStreamLocalForwarding yes",
    "AllowAgentForwarding yes",
    "GatewayPorts yes",
    "PermitTunnel yes",
    "PermitUserRC yes",
    "Subsystem inside internal-sftp",
];

/// Enabled by the command, as a site does it; sshd begins anew with its drop-in.
fn start(world: &World, rule: &str) -> Outcome<Host> {
    let mut plan = limited(world, rule)?;
    LENIENT.iter().for_each(|line| plan.sshd_line(line));
    let lines = plan.sshd_lines.clone();
    plan.install_switched_off(world)?;
    let host = plan.start_installed(world)?;
    enable(&["--yes"])?.expect_ok()?;
    own_folder("/srv/data")?;
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    host.with_sshd(|sshd| {
        sshd.stop()?;
        Sshd::start(world, &lines)
    })
}

fn nothing_is_open_beside_the_shell(world: &mut World) -> Outcome {
    let host = start(world, RULE)?;
    let (target, mut port) = (Target::open()?, 24_000);
    // Ports and sockets from both sides, a proxy, standard input and output.
    for way in "LlDWRr".chars() {
        for (user, expected) in [("local", true), ("deployer", false)] {
            port += 1;
            let mark = world.log().mark();
            let reached = works(user, host.key("bob")?, way, &target, port)?;
            require(reached == expected, || format!("{way} of {user}: {reached}"))?;
            if user == "deployer" {
                // Nothing was asked of the shell: the login is the record.
                world.log().wait_for(mark, "allow", &[("origin", "bob"), ("account", "deployer")])?;
                require_eq("records of commands", &asked(world, mark).len(), &0)?;
            }
        }
    }
    // The same connection is none for forwarding, either: a second channel of it is refused.
    let ended = host.ssh("bob", "deployer", &["ls /"])?.expect_ok()?;
    require(ended.stdout.contains("etc\n"), || ended.report())
}

fn what_sshd_would_do_by_itself_is_asked_about(world: &mut World) -> Outcome {
    let host = start(world, RULE)?;
    let mark = world.log().mark();
    host.ssh("bob", "deployer", &["ls /"])?.expect_ok()?;
    require_eq("the exit status", ran(world, mark, "ls /")?.get("exit_status"), "0")?;
    // The server inside sshd, which needs no shell.
    world.write("/srv/secret", 0o644, "the secret\n")?;
    world.write("/srv/data/there", 0o644, "there\n")?;
    fs::create_dir_all("/tmp/client")?;
    let bob = Client::of("bob", &host)?;
    let inside = |user: &str, batch: &str| bob.sftp_by(user, "inside").input(format!("{batch}\n")).run();
    inside("local", "get /srv/secret /tmp/client/local")?.expect_ok()?;
    let mark = world.log().mark();
    inside("deployer", "get /srv/data/there /tmp/client/there")?.expect_ok()?;
    ran(world, mark, "internal-sftp")?;
    inside("deployer", "get /srv/secret /tmp/client/secret")?.expect_refused()?;
    require(!Path::new("/tmp/client/secret").exists(), || "sftp inside of sshd is not confined".to_owned())?;
    // A file that sshd runs before a command.
    for home in ["/home/local", "/home/deployer"] {
        world.write(format!("{home}/.ssh/rc"), 0o644, "touch /tmp/rc-ran\n")?;
    }
    own("/home/deployer/.ssh")?;
    own("/home/deployer/.ssh/rc")?;
    host.ssh("bob", "local", &["true"])?.expect_ok()?;
    require(fs::remove_file("/tmp/rc-ran").is_ok(), || "~/.ssh/rc: the trap does not work".to_owned())?;
    let mark = world.log().mark();
    host.ssh("bob", "deployer", &["ls /"])?.expect_ok()?;
    require(!Path::new("/tmp/rc-ran").exists(), || "~/.ssh/rc ran".to_owned())?;
    asked_once(world, mark)?;
    no_shell_whatever_the_client_sends(world, &host)
}

/// No command asked for is an interactive shell, also when the client sends the variable that would hold one.
fn no_shell_whatever_the_client_sends(world: &World, host: &Host) -> Outcome {
    for option in ["-oSetEnv=A=b", "-oSetEnv=\"SSH_ORIGINAL_COMMAND=touch /tmp/by-bob\""] {
        let mark = world.log().mark();
        let login = client(&["-T", option], "deployer", host.key("bob")?, &[]);
        let ended = login.input("touch /tmp/by-bob\n").run()?.expect_code(REFUSED)?;
        line_of_ours(&ended.stderr)?;
        require_eq("the verb", asked_once(world, mark)?.verb.as_str(), "command_refused")?;
        require(!Path::new("/tmp/by-bob").exists(), || format!("{option}: it ran"))?;
    }
    Ok(())
}
