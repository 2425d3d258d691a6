//! The ways into an account, each tried for real: ssh, su, sudo, login, cron, runuser.

use std::thread;
use std::time::Duration;

use svcauth_tests::failure::{Failure, Outcome, require};
use svcauth_tests::machine::Machine;
use svcauth_tests::program::wait_until;

/// One way: what it is called, and whether it led into the account.
pub(crate) type Tried = (&'static str, bool);

/// How long cron may take to run a job that is due at once.
const CRON: Duration = Duration::from_secs(60);

/// A program as root that must print who it is.
struct Way {
    name: &'static str,
    script: &'static str,
    user: &'static str,
}

/// What the local user runs, without a session of its own around it.
macro_rules! as_local {
    ($command:literal) => {
        concat!("setpriv --reuid=local --regid=local --init-groups ", $command)
    };
}
/// What agetty does when somebody has logged in on a terminal. The login shell answers by [`ON_CONSOLE`]: what is typed before
/// it reads is lost.
macro_rules! console {
    ($user:literal) => {
        concat!(
            "install -m 666 /dev/null /run/console.",
            $user,
            "; timeout 60 script -qec 'exec login -f ",
            $user,
            "' /dev/null </dev/null >/dev/null; cat /run/console.",
            $user,
            "; rm /run/console.",
            $user
        )
    };
}
const ON_CONSOLE: &str =
    "[ ! -t 0 ] || [ ! -w /run/console.$LOGNAME ] || { id -un >/run/console.$LOGNAME; exit; }\n";

/// Ways of root and of the local user, who is in no directory.
const LOCAL: &[Way] = &[
    Way { name: "root: su - local", script: "su - local -c 'id -un'", user: "local" },
    Way { name: "root: su root", script: "su root -c 'id -un'", user: "root" },
    Way {
        name: "local: su local, by password",
        script: "echo secret | setpriv --reuid=local --regid=local --init-groups su local -c 'id -un'",
        user: "local",
    },
    Way { name: "local: sudo", script: as_local!("sudo -n id -un"), user: "root" },
    Way { name: "local: sudo -u local", script: as_local!("sudo -n -u local id -un"), user: "local" },
    Way { name: "local: sudo -i", script: as_local!("sudo -n -i id -un"), user: "root" },
    Way { name: "root: sudo -u local", script: "sudo -n -u local id -un", user: "local" },
    Way { name: "root: runuser local", script: "runuser -u local -- id -un", user: "local" },
    Way { name: "root on the console", script: console!("root"), user: "root" },
    Way { name: "local on the console", script: console!("local"), user: "local" },
];

/// Ways into deployer for those whom no rule lets be deployer. Root is not among them: it is let in and recorded (decision 5).
const MANAGED: &[Way] = &[
    Way {
        name: "local: sudo -u deployer",
        script: as_local!("sudo -n -u deployer id -un"),
        user: "deployer",
    },
    Way {
        name: "local: sudo -i -u deployer",
        script: as_local!("sudo -n -i -u deployer id -un"),
        user: "deployer",
    },
    Way { name: "deployer on the console", script: console!("deployer"), user: "deployer" },
];

impl Way {
    /// Whether a line of what it printed is the name: a login shell says more than that.
    fn tried(&self, machine: &Machine) -> Outcome<Tried> {
        let ended = machine.run(&["sh", "-c", self.script])?;
        Ok((self.name, ended.stdout.lines().any(|line| line == self.user)))
    }
}

/// Every one of `ways`, of logins by ssh and of cron's jobs, at the same time: most of them wait.
fn try_all(
    machine: &Machine,
    logins: &[(&'static str, &str)],
    ways: &'static [Way],
    jobs: &[&'static str],
    expected: &[&str],
) -> Outcome<Vec<Tried>> {
    machine.write("/etc/profile.d/ways.sh", 0o644, ON_CONSOLE)?;
    let mut tried = Vec::new();
    let ran = thread::scope(|scope| {
        let logins: Vec<_> =
            logins.iter().map(|(who, user)| scope.spawn(|| ssh(machine, who, user))).collect();
        let ways: Vec<_> = ways.iter().map(|way| scope.spawn(|| way.tried(machine))).collect();
        let ran = cron(machine, expected);
        for thread in logins.into_iter().chain(ways) {
            let panicked = |_| Err(Failure::new("the thread of a login has panicked"));
            tried.push(thread.join().unwrap_or_else(panicked)?);
        }
        ran
    })?;
    tried.extend(
        jobs.iter().map(|user| (*user, ran.lines().any(|line| format!("cron job of {line}") == *user))),
    );
    Ok(tried)
}

/// Fails unless root and the local user get in by every way.
pub(crate) fn require_locals_get_in(machine: &Machine) -> Outcome {
    let logins = [("root", "root"), ("local", "local")];
    let jobs = ["cron job of root", "cron job of local"];
    let tried = try_all(machine, &logins, LOCAL, &jobs, &["root", "local"])?;
    let out: Vec<&str> = tried.iter().filter(|(_, entered)| !entered).map(|(name, _)| *name).collect();
    require(out.is_empty(), || format!("locked out: {}", out.join("; ")))
}

/// The ways by which somebody became deployer, none of whom any rule allows that.
pub(crate) fn ways_into_deployer(machine: &Machine, cron_waits_for: &[&str]) -> Outcome<Vec<&'static str>> {
    let logins = [("carol", "deployer"), ("mallory", "deployer")];
    let waits = [&["root"], cron_waits_for].concat();
    let tried = try_all(machine, &logins, MANAGED, &["cron job of deployer"], &waits)?;
    Ok(tried.into_iter().filter(|(_, entered)| *entered).map(|(name, _)| name).collect())
}

/// Fails if anybody but those who may becomes deployer.
pub(crate) fn require_deployer_is_guarded(machine: &Machine) -> Outcome {
    let open = ways_into_deployer(machine, &[])?;
    require(open.is_empty(), || format!("open to anybody: {}", open.join("; ")))
}

/// Whether a login by ssh led into the account.
pub(crate) fn ssh(machine: &Machine, person: &'static str, user: &str) -> Outcome<Tried> {
    let ended = machine.ssh(person, user, &["id", "-un"])?;
    Ok((person, ended.text() == user))
}

/// cron takes every start for a boot when it has no memory of one; systemd refuses more than a few in a row.
const RUN_JOBS: &str = "
rm -rf /run/ways
install -d -m 1777 /run/ways
rm -f /run/crond.reboot
systemctl reset-failed cron
systemctl restart cron
";

/// Lets cron run a job of root, local and deployer at once, and waits for those that are expected to run; who ran.
fn cron(machine: &Machine, expected: &[&str]) -> Outcome<String> {
    // A file each: cron runs nothing of one that names a user whom it cannot find.
    for user in ["root", "local", "deployer"] {
        let job = format!("@reboot {user} id -un >/run/ways/{user}\n");
        machine.write(&format!("/etc/cron.d/ways-{user}"), 0o644, job)?;
    }
    machine.tell(RUN_JOBS)?;
    let ran = || machine.tell("cat /run/ways/* 2>/dev/null || true");
    // Who is missing is said with the other ways.
    let _ = wait_until("cron", CRON, || {
        let names = ran().ok()?;
        expected.iter().all(|user| names.lines().any(|line| line == *user)).then_some(())
    });
    // cron starts them all at the same moment; half a second more for one that nobody expects.
    std::thread::sleep(Duration::from_millis(500));
    let names = ran()?;
    machine.tell("rm /etc/cron.d/ways-*")?;
    Ok(names)
}
