//! What the machines of a run have in common: people, an installed svcauth, an enabled one.

use std::time::Duration;

use super::boot::Machine;
use super::release::Release;
use crate::directory::{Directory, Schema};
use crate::failure::Outcome;

/// Who has a key pair.
const PEOPLE: &[&str] = &["root", "local", "alice", "bob", "carol", "mallory"];
/// The entries of the directory that get one.
const IN_DIRECTORY: &[&str] = &["alice", "bob", "carol"];

const CONFIG: &str = include_str!("../../../conf/svcauth.toml");

/// A local user with a password, and keys for those who log in without svcauth.
const LOCAL: &str = r#"
useradd --uid 1010 --create-home --shell /bin/bash local
echo local:secret | chpasswd
echo 'local ALL=(ALL:ALL) NOPASSWD: ALL' >/etc/sudoers.d/tests
chmod 440 /etc/sudoers.d/tests
install -d -m 700 /root/.ssh
cp /root/keys/root.pub /root/.ssh/authorized_keys
install -d -m 700 -o local -g local /home/local/.ssh
install -m 600 -o local -g local /root/keys/local.pub /home/local/.ssh/authorized_keys
"#;

/// Many people log in at the same time on a slow machine; without it sshd refuses some of more than ten.
const MANY: &str = "MaxStartups 100:30:200\n";
/// OpenSSH 9.8 and later ban an address after some refusals, and all people of a test come from one.
const NO_BANS: &str = "PerSourcePenaltyExemptList 127.0.0.0/8\n";

/// sshd listens no more for a moment after a reload, which returns at once. A line for each time that it began.
const LISTENING: &str = "journalctl -q -u ssh -o cat | grep -c '^Server listening on 0.0.0.0' || true";

/// Adds root's and the local user's keys, the local user, and keys of those who come from elsewhere.
pub(super) fn people(machine: &Machine) -> Outcome {
    for name in PEOPLE {
        machine.key(name)?;
    }
    machine.tell(LOCAL)?;
    let bans = if machine.release() == Release::Debian12 { "" } else { NO_BANS };
    machine.write("/etc/ssh/sshd_config.d/00-tests.conf", 0o644, format!("{MANY}{bans}"))?;
    machine.tell("systemctl restart ssh").map(drop)
}

/// A configured machine on which svcauth decides, and sshd accepts the keys of everybody who is in the directory.
pub(super) fn enable(machine: &Machine) -> Outcome {
    machine.configure()?;
    machine.enable()?;
    machine.accept_keys()
}

impl Machine {
    /// Writes the configuration and the directory of `conf/` with the keys of this machine's people, starts the daemon, and
    /// waits until it has published them.
    pub fn configure(&self) -> Outcome {
        self.write("/etc/svcauth/svcauth.toml", 0o644, CONFIG)?;
        let directory = self.directory()?;
        self.write("/etc/svcauth/directory.ldif", 0o644, directory.text(Schema::Rfc2307bis))?;
        self.tell("systemctl start svcauthd")?;
        self.wait_for_state("ok")
    }

    /// The directory of `conf/` with the keys of this machine's people.
    pub fn directory(&self) -> Outcome<Directory> {
        let mut directory = Directory::example();
        for name in IN_DIRECTORY {
            directory.public_key(name, &self.public_key(name)?)?;
        }
        Ok(directory)
    }

    /// Waits until `svcauth status --json` names this state.
    pub fn wait_for_state(&self, state: &str) -> Outcome {
        let word = format!("\"state\":\"{state}\"");
        self.wait_until(&format!("svcauth status to say {state}"), Duration::from_secs(120), |machine| {
            let answer = machine.run(&["svcauth", "status", "--json"]).ok()?;
            answer.stdout.replace(' ', "").contains(&word).then_some(())
        })
    }

    /// Turns svcauth on for PAM, sshd and the name service.
    pub fn enable(&self) -> Outcome {
        self.and_sshd_listens(&["svcauth", "enable", "--yes"])
    }

    /// The same on trial: put back after this time unless somebody confirms it.
    pub fn try_out(&self, time: &str) -> Outcome {
        self.and_sshd_listens(&["svcauth", "enable", "--yes", "--confirm", time])
    }

    /// Turns it off again.
    pub fn disable(&self) -> Outcome {
        self.and_sshd_listens(&["svcauth", "disable", "--yes"])
    }

    /// Runs a program that reloads sshd, and waits until sshd listens again.
    fn and_sshd_listens(&self, words: &[&str]) -> Outcome {
        let before = self.tell(LISTENING)?;
        self.ask(words)?;
        self.wait_until("sshd to listen again", Duration::from_secs(120), |machine| {
            (machine.tell(LISTENING).ok()? != before).then_some(())
        })
    }

    /// Lets sshd accept the keys of alice, bob and carol for deployer, as a file does that somebody forgot: it is left to
    /// svcauth then to refuse carol.
    pub fn accept_keys(&self) -> Outcome {
        let keys: Vec<String> =
            IN_DIRECTORY.iter().map(|name| self.public_key(name)).collect::<Outcome<_>>()?;
        self.write("/home/deployer/.ssh/authorized_keys", 0o600, keys.join("\n") + "\n")?;
        // By number: the name is known only where svcauth is.
        self.tell("chown -R 7001:7000 /home/deployer; chmod 700 /home/deployer/.ssh").map(drop)
    }
}
