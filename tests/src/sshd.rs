//! A real sshd in a world, and a real ssh client against it.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::failure::{Outcome, require};
use crate::keys::Key;
use crate::program::{Background, Ended, Program, wait_until};
use crate::world::World;

const CONFIG: &str = "/etc/ssh/sshd_config";
/// The name of this host, which is also that of its Kerberos service.
const HOST: &str = "web1.example.com";
const HOST_KEY: &str = "/etc/ssh/ssh_host_ed25519_key";

/// What follows the drop-in folder and the lines of a test. The first value of an option wins in sshd_config.
const BASE: &str = "\
ListenAddress 127.0.0.1
HostKey /etc/ssh/ssh_host_ed25519_key
UsePAM yes
PasswordAuthentication no
KbdInteractiveAuthentication no
AuthorizedKeysFile /etc/ssh/keys/%u
StrictModes yes
LogLevel VERBOSE
PrintMotd no
AcceptEnv LANG LC_*
MaxStartups 100:30:200
Subsystem sftp /usr/lib/openssh/sftp-server
";

/// A running sshd on port 22 of the world.
#[derive(Debug)]
pub struct Sshd {
    process: Background,
}

impl Sshd {
    /// Starts it. `extra` are lines of sshd_config that win over the harness's own; drop-ins in
    /// `/etc/ssh/sshd_config.d` win over both.
    pub fn start(world: &World, extra: &[&str]) -> Outcome<Self> {
        make_host_key()?;
        let mut config = String::from("Include /etc/ssh/sshd_config.d/*.conf\n");
        for line in extra {
            config.push_str(line);
            config.push('\n');
        }
        config.push_str(BASE);
        world.write(CONFIG, 0o600, &config)?;
        if knows(b"PerSourcePenalties no\n", world)? {
            config.push_str("PerSourcePenalties no\n");
            world.write(CONFIG, 0o600, &config)?;
        }
        Program::new("/usr/sbin/sshd").args(&["-t", "-f", CONFIG]).run()?.expect_ok()?;
        let daemon = Program::new("/usr/sbin/sshd").args(&["-D", "-f", CONFIG]);
        let process = daemon.start(world.log_file("sshd.out")?)?;
        let address = SocketAddr::from(([127, 0, 0, 1], 22));
        wait_until("sshd on port 22", Duration::from_secs(120), || TcpStream::connect(address).ok())?;
        Ok(Self { process })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Ends it; sessions go on.
    pub fn stop(self) -> Outcome {
        self.process.stop(Signal::SIGTERM).map(drop)
    }

    /// Puts the public keys into the file that sshd reads for `user`, as an administrator who trusts them all would.
    pub fn authorize(world: &World, user: &str, keys: &[&Key]) -> Outcome {
        let lines: String = keys.iter().map(|key| format!("{}\n", key.public())).collect();
        world.write(format!("/etc/ssh/keys/{user}"), 0o644, lines)
    }

    /// Runs `command` as `user` with `key`; options go before the destination.
    pub fn ssh_with(&self, options: &[&str], user: &str, key: &Key, command: &[&str]) -> Outcome<Ended> {
        client(options, user, key, command).run()
    }

    /// Runs `command` as `user` with `key`.
    pub fn ssh(&self, user: &str, key: &Key, command: &[&str]) -> Outcome<Ended> {
        self.ssh_with(&[], user, key, command)
    }
}

/// What every client of a test has in common.
pub const CLIENT: &[&str] = &[
    "-F/dev/null",
    "-oIdentitiesOnly=yes",
    "-oStrictHostKeyChecking=no",
    "-oUserKnownHostsFile=/dev/null",
    "-oLogLevel=ERROR",
    "-oConnectTimeout=120",
    // The default of these years, with sntrup761, takes a tenth of a second of processor for each login.
    "-oKexAlgorithms=curve25519-sha256",
];

/// The ssh client as a program, for a test that wants it in the background.
pub fn client(options: &[&str], user: &str, key: &Key, command: &[&str]) -> Program {
    let ssh = Program::new("ssh").args(CLIENT).arg("-oBatchMode=yes").arg("-i").arg(key.path()).args(options);
    ssh.arg(format!("{user}@127.0.0.1")).args(command)
}

/// The ssh client with any number of keys and nobody at the keyboard but somebody who answers "secret" to every question.
pub fn answering(
    world: &World,
    options: &[&str],
    user: &str,
    keys: &[&Path],
    command: &[&str],
) -> Outcome<Program> {
    const ANSWER: &str = "/run/world/answer";
    world.write(ANSWER, 0o755, "#!/bin/sh\necho secret\n")?;
    let mut ssh = Program::new("ssh").args(CLIENT).arg("-oNumberOfPasswordPrompts=1").args(options);
    for key in keys {
        ssh = ssh.arg("-i").arg(key);
    }
    let ssh = ssh.env("SSH_ASKPASS", ANSWER).env("SSH_ASKPASS_REQUIRE", "force").env("DISPLAY", ":0");
    Ok(ssh.arg(format!("{user}@{HOST}")).args(command))
}

fn make_host_key() -> Outcome {
    if !Path::new(HOST_KEY).exists() {
        fs::create_dir_all("/etc/ssh")?;
        Program::new("ssh-keygen")
            .args(&["-q", "-t", "ed25519", "-N", "", "-f", HOST_KEY])
            .run()?
            .expect_ok()?;
    }
    Ok(())
}

/// Whether this sshd knows the option. OpenSSH 9.8 and later ban an address after some refusals, which a test that is
/// refused on purpose must not run into.
fn knows(line: &[u8], world: &World) -> Outcome<bool> {
    const TRIAL: &str = "/run/world/sshd_trial";
    world.write(TRIAL, 0o600, [b"HostKey /etc/ssh/ssh_host_ed25519_key\n".as_slice(), line].concat())?;
    let tried = Program::new("/usr/sbin/sshd").args(&["-t", "-f", TRIAL]).run()?;
    let unknown = tried.stderr.contains("Bad configuration option");
    require(tried.ok() || unknown, || tried.report())?;
    Ok(!unknown)
}
