//! The host's sshd with the host's configuration, on the loopback of the private world.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cast::{Cast, Player};
use super::etc::write;
use super::fault::{Done, Fault};
use super::private::HERE;
use super::program::{Program, Running, find, wait_for};

/// What is said about it.
pub(super) const DIFFERENCE: &str = "sshd listens at 127.0.0.1 alone and has a host key of its own; everything else is in its own configuration files";

/// What sshd does for one user: `sshd -T -C user=...`, keys in lower case (sshd_config(5)).
#[derive(Clone, Debug, Default)]
pub(super) struct Effective(BTreeMap<String, Vec<String>>);

/// The running server.
pub(super) struct Sshd {
    /// Its port, the host's own.
    pub(super) port: u16,
    /// For the accounts of the probe.
    pub(super) account: Effective,
    /// For root.
    pub(super) root: Effective,
    /// For the local user of the probe.
    pub(super) local: Effective,
    /// Ends with this.
    _running: Running,
}

impl Effective {
    fn of(binary: &str, key: &str, user: &str) -> Done<Self> {
        let whom = format!("user={user},host=localhost,addr=127.0.0.1,laddr=127.0.0.1,lport=22");
        let ended =
            Program::new(&[binary, "-T", "-C", &whom, "-o", &format!("HostKey={key}")]).run_for_output()?;
        if ended.code != Some(0) {
            return Err(Fault::new(format!("sshd does not take its configuration: {}", ended.said)));
        }
        let mut map: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (key, value) in ended.said.lines().filter_map(|line| line.trim().split_once(' ')) {
            map.entry(key.to_lowercase()).or_default().push(value.trim().to_owned());
        }
        Ok(Self(map))
    }

    /// The first value of a key; empty when there is none.
    pub(super) fn get(&self, key: &str) -> &str {
        self.0.get(key).and_then(|values| values.first()).map_or("", String::as_str)
    }

    /// `Key value` for a message, when the value is none of these.
    pub(super) fn other_than(&self, key: &str, usual: &[&str]) -> Option<String> {
        let value = self.get(key);
        (!value.is_empty() && !usual.contains(&value)).then(|| format!("{key} {value}"))
    }

    /// Whether it names a subsystem.
    pub(super) fn has_subsystem(&self, name: &str) -> bool {
        let subsystems = self.0.get("subsystem").map(Vec::as_slice).unwrap_or_default();
        subsystems.iter().any(|value| value.split_whitespace().next() == Some(name))
    }

    /// The first file of `AuthorizedKeysFile` for a user, when there is one.
    pub(super) fn keys_file(&self, name: &str, uid: u32, home: &str) -> Option<PathBuf> {
        let pattern = self.get("authorizedkeysfile").split_whitespace().next()?;
        if pattern == "none" {
            return None;
        }
        let path = pattern
            .replace("%h", home)
            .replace("%u", name)
            .replace("%U", &uid.to_string())
            .replace("%%", "%");
        Some(Path::new(home).join(path))
    }
}

impl Sshd {
    /// Starts it, after the keys of the probe are where it will look for them. Nothing when the host has no sshd.
    pub(super) fn start(cast: &Cast, account_keys: &str, local_keys: &str) -> Done<Option<Self>> {
        let Some(binary) = find("sshd") else {
            return Ok(None);
        };
        let (binary, host_key) = (binary.to_string_lossy().into_owned(), format!("{HERE}/host_key"));
        make_key(Path::new(&host_key))?;
        let of = |user: &str| Effective::of(&binary, &host_key, user);
        let (account, root, local) = (of(cast.account.name)?, of("root")?, of(cast.local.name)?);
        put_keys(&account, &cast.account, account_keys)?;
        put_keys(&local, &cast.local, local_keys)?;
        if let Some(file) = root.keys_file("root", 0, &cast.root_home) {
            write(&file, local_keys, None, 0o644)?;
        }
        let port: u16 = root.get("port").parse().unwrap_or(22);
        let running = listen(&binary, &host_key, port)?;
        Ok(Some(Self { port, account, root, local, _running: running }))
    }
}

fn listen(binary: &str, host_key: &str, port: u16) -> Done<Running> {
    let address = "ListenAddress=127.0.0.1";
    let (key, port_word) = (format!("HostKey={host_key}"), port.to_string());
    let words = [binary, "-D", "-p", &port_word, "-o", address, "-o", "PidFile=none", "-o", &key];
    let mut running = Program::new(&words).start()?;
    let at = SocketAddr::from(([127, 0, 0, 1], port));
    let up =
        wait_for(Duration::from_secs(10), || running.ended().is_some() || TcpStream::connect(at).is_ok());
    if !up || running.ended().is_some() {
        return Err(Fault::new(format!("sshd does not start: {}", running.said())));
    }
    Ok(running)
}

/// The file belongs to root: sshd takes it from root or from the user.
fn put_keys(effective: &Effective, player: &Player, keys: &str) -> Done {
    let home = format!("/home/{}", player.name);
    match effective.keys_file(player.name, player.uid, &home) {
        Some(file) => write(&file, keys, None, 0o644),
        None => Ok(()),
    }
}

/// Makes a key pair.
pub(super) fn make_key(path: &Path) -> Done {
    let path = path.to_string_lossy();
    let ended =
        Program::new(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "svcauth-prove", "-f", &path])
            .run()?;
    if ended.code == Some(0) {
        Ok(())
    } else {
        Err(Fault::new(format!("ssh-keygen makes no key: {}", ended.said)))
    }
}
