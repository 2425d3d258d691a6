//! What the machines of a run have in common: people, an installed svcauth, an enabled one.

use std::time::Duration;

use super::boot::Machine;
use super::release::Release;
use crate::artifacts::Artifacts;
use crate::directory::{Directory, Schema};
use crate::failure::Outcome;

/// Who has a key pair.
const PEOPLE: &[&str] = &["root", "local", "alice", "bob", "carol", "mallory"];
/// The entries of the directory that get one.
const IN_DIRECTORY: &[&str] = &["alice", "bob", "carol"];

const CONFIG: &str = include_str!("../../../conf/svcauth.toml");
const SSHD_DROP_IN: &str = include_str!("../../../conf/sshd/svcauth.conf");
const PROFILE: &str = include_str!("../../../conf/pam-configs/svcauth");

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

/// OpenSSH 9.8 and later ban an address after some refusals, and all people of a test come from one.
const NO_BANS: &str = "PerSourcePenaltyExemptList 127.0.0.0/8\n";

/// Until there are packages: what their scripts and `svcauth enable` do.
const UNPACKED: &str = "
rm -f /etc/svcauth/svcauth.toml /etc/svcauth/directory.ldif
systemd-sysusers svcauth.conf
systemd-tmpfiles --create svcauth.conf
systemctl -q enable svcauthd.service
";
const ACTIVATE: &str = "
pam-auth-update --enable svcauth
sed -i -E 's/^((passwd|group):.*)$/\\1 svcauth/' /etc/nsswitch.conf
systemctl reload ssh
";

/// Adds root's and the local user's keys, the local user, and keys of those who come from elsewhere.
pub(super) fn people(machine: &Machine) -> Outcome {
    for name in PEOPLE {
        machine.key(name)?;
    }
    machine.tell(LOCAL)?;
    if machine.release() != Release::Debian12 {
        machine.write("/etc/ssh/sshd_config.d/00-tests.conf", 0o644, NO_BANS)?;
        machine.tell("systemctl restart ssh")?;
    }
    Ok(())
}

/// Puts what was built in its places, and changes nothing about who can log in.
pub(super) fn install(machine: &Machine, built: &Artifacts) -> Outcome {
    let lib = machine.tell("dirname $(ls -d /usr/lib/*/libc.so.6)")?;
    for (from, to, mode) in [
        (built.nss_module(), format!("{lib}/libnss_svcauth.so.2"), 0o644),
        (built.pam_module(), format!("{lib}/security/pam_svcauth.so"), 0o644),
        (built.daemon(), "/usr/sbin/svcauthd".to_owned(), 0o755),
        (built.command(), "/usr/bin/svcauth".to_owned(), 0o755),
    ] {
        machine.copy_in(&from, &to, mode)?;
    }
    for (text, to) in [
        (include_str!("../../../conf/svcauthd.service"), "/usr/lib/systemd/system/svcauthd.service"),
        (include_str!("../../../conf/sysusers.conf"), "/usr/lib/sysusers.d/svcauth.conf"),
        (include_str!("../../../conf/tmpfiles.conf"), "/usr/lib/tmpfiles.d/svcauth.conf"),
        (PROFILE, "/usr/share/pam-configs/svcauth"),
    ] {
        machine.write(to, 0o644, text)?;
    }
    machine.tell(UNPACKED).map(drop)
}

/// The example of `conf/` with the keys of this machine's people, and activation.
pub(super) fn enable(machine: &Machine) -> Outcome {
    configure(machine)?;
    machine.write("/etc/ssh/sshd_config.d/10-svcauth.conf", 0o644, SSHD_DROP_IN)?;
    machine.tell(ACTIVATE)?;
    let keys: Vec<String> =
        IN_DIRECTORY.iter().map(|name| machine.public_key(name)).collect::<Outcome<_>>()?;
    machine.write("/home/deployer/.ssh/authorized_keys", 0o600, keys.join("\n") + "\n")?;
    machine.tell("chown -R deployer:application /home/deployer; chmod 700 /home/deployer/.ssh").map(drop)
}

/// Writes the configuration and the directory, and waits until the daemon has published them.
fn configure(machine: &Machine) -> Outcome {
    machine.write("/etc/svcauth/svcauth.toml", 0o644, CONFIG)?;
    let mut directory = Directory::example();
    for name in IN_DIRECTORY {
        directory.public_key(name, &machine.public_key(name)?)?;
    }
    machine.write("/etc/svcauth/directory.ldif", 0o644, directory.text(Schema::Rfc2307bis))?;
    machine.tell("systemctl start svcauthd")?;
    machine.wait_until("svcauth status to be ok", Duration::from_secs(30), |machine| {
        machine.run(&["svcauth", "status"]).is_ok_and(|answer| answer.ok()).then_some(())
    })
}
