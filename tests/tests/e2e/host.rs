//! A host as most tests want it: svcauth and its daemon, a stock sshd, people with keys, local users.

use std::collections::BTreeMap;

use svcauth_tests::daemon::Daemon;
use svcauth_tests::failure::{Context, Failure, Outcome};
use svcauth_tests::keys::Key;
use svcauth_tests::program::{Ended, Program};
use svcauth_tests::site::Site;
use svcauth_tests::sshd::Sshd;
use svcauth_tests::world::World;

/// Local users of every host; alice, bob and carol have the login names of people of the directory.
pub(crate) const LOCAL_USERS: &[(&str, u32)] =
    &[("alice", 1001), ("bob", 1002), ("carol", 1003), ("local", 1010)];

/// What is decided before anything starts.
pub(crate) struct Plan {
    pub(crate) site: Site,
    pub(crate) sshd_lines: Vec<String>,
    keys: BTreeMap<String, Key>,
}

/// The running host.
pub(crate) struct Host {
    pub(crate) site: Site,
    pub(crate) daemon: Daemon,
    pub(crate) sshd: Sshd,
    keys: BTreeMap<String, Key>,
}

impl Plan {
    /// The example site with keys for alice, bob and carol.
    pub(crate) fn new(world: &World) -> Outcome<Self> {
        let mut plan = Self { site: Site::example(), sshd_lines: Vec::new(), keys: BTreeMap::new() };
        for login in ["alice", "bob", "carol"] {
            let key = plan.make_key(world, login)?;
            plan.site.directory.key(login, &key)?;
        }
        Ok(plan)
    }

    /// A key that sshd will accept for every account.
    pub(crate) fn make_key(&mut self, world: &World, name: &str) -> Outcome<Key> {
        let key = world.key(name)?;
        self.keys.insert(name.to_owned(), key.clone());
        Ok(key)
    }

    /// A key that was made.
    pub(crate) fn key(&self, name: &str) -> Outcome<&Key> {
        self.keys.get(name).ok_or_else(|| Failure::new(format!("no key was made for {name}")))
    }

    /// A person of the directory with a key.
    pub(crate) fn person(&mut self, world: &World, login: &str) -> Outcome {
        let key = self.make_key(world, login)?;
        self.site.directory.person(login, &key);
        Ok(())
    }

    /// Another line of sshd_config.
    pub(crate) fn sshd_line(&mut self, line: &str) {
        self.sshd_lines.push(line.to_owned());
    }

    /// Installs everything but starts nothing. Every key may become every account, as far as sshd is concerned.
    pub(crate) fn install(&self, world: &World) -> Outcome {
        self.site.install(world)?;
        self.people(world)
    }

    /// The same as the packages leave it: `svcauth enable` comes later.
    pub(crate) fn install_switched_off(&self, world: &World) -> Outcome {
        self.site.install_switched_off(world)?;
        self.people(world)
    }

    fn people(&self, world: &World) -> Outcome {
        for (name, id) in LOCAL_USERS {
            world.local_user(name, *id)?;
        }
        let keys: Vec<&Key> = self.keys.values().collect();
        for (account, uid, gid) in self.site.directory.accounts() {
            world.home(&account, uid, gid)?;
            Sshd::authorize(world, &account, &keys)?;
        }
        for user in ["root", "local"] {
            Sshd::authorize(world, user, &keys)?;
        }
        let everybody = "ALL ALL=(ALL:ALL) NOPASSWD: ALL\n";
        world.write("/etc/sudoers.d/everybody", 0o440, everybody)
    }

    /// Installs and starts.
    pub(crate) fn start(self, world: &World) -> Outcome<Host> {
        self.install(world)?;
        self.start_installed(world)
    }

    /// Starts what was installed, and perhaps changed since.
    pub(crate) fn start_installed(self, world: &World) -> Outcome<Host> {
        let daemon = Daemon::start(world)?;
        let lines: Vec<&str> = self.sshd_lines.iter().map(String::as_str).collect();
        let sshd = Sshd::start(world, &lines)?;
        Ok(Host { site: self.site, daemon, sshd, keys: self.keys })
    }
}

impl Host {
    /// The key of a person.
    pub(crate) fn key(&self, name: &str) -> Outcome<&Key> {
        self.keys.get(name).ok_or_else(|| Failure::new(format!("no key was made for {name}")))
    }

    /// `ssh account@host command` with the key of `person`.
    pub(crate) fn ssh(&self, person: &str, account: &str, command: &[&str]) -> Outcome<Ended> {
        self.sshd.ssh(account, self.key(person)?, command)
    }

    /// The same host with another sshd, made from the one it has.
    pub(crate) fn with_sshd(self, change: impl FnOnce(Sshd) -> Outcome<Sshd>) -> Outcome<Self> {
        Ok(Self { sshd: change(self.sshd)?, ..self })
    }

    /// The process id of the daemon's worker.
    pub(crate) fn worker(&self) -> Outcome<i32> {
        let daemon = self.daemon.pid();
        let children = std::fs::read_to_string(format!("/proc/{daemon}/task/{daemon}/children"))?;
        children.trim().parse().map_err(|_| Failure::new(format!("the children of the daemon: {children:?}")))
    }

    /// Writes the changed directory and waits until it is published.
    pub(crate) fn publish(&self, world: &World) -> Outcome {
        self.site.write(world)?;
        self.daemon.sync()
    }
}

/// `getent DATABASE KEY`.
pub(crate) fn getent(database: &str, key: &str) -> Outcome<Ended> {
    Program::new("getent").args(&[database, key]).run()
}

/// `sudo -n -u ACCOUNT COMMAND` as a local user.
pub(crate) fn sudo(world: &World, user: &str, account: &str, command: &[&str]) -> Outcome<Ended> {
    world.as_user(user, &[&["sudo", "-n", "-u", account], command].concat()).run()
}

/// `su ACCOUNT -c COMMAND` as a local user; the caller has seen to it that no password is asked.
pub(crate) fn su(world: &World, user: &str, account: &str, command: &str) -> Outcome<Ended> {
    world.as_user(user, &["su", account, "-c", command]).run()
}

/// Lets su and sudo pass without a password, so that nothing but svcauth can refuse.
pub(crate) fn no_passwords(world: &World) -> Outcome {
    world.write("/etc/pam.d/common-auth", 0o644, "auth required pam_permit.so\n")
}

/// Root and local users, whom nothing that happens to svcauth may keep out.
pub(crate) fn others_get_in(host: &Host) -> Outcome {
    host.ssh("carol", "root", &["true"])?.expect_ok().doing("root")?;
    host.ssh("carol", "local", &["true"])?.expect_ok().doing("a local user").map(drop)
}
