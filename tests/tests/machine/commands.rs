//! A limited account on a server with a real systemd: packages, configuration, `svcauth enable`.

mod jobs;
mod local_accounts;
mod outage;
mod recorded;

use std::thread::JoinHandle;
use std::time::Duration;

use svcauth_tests::failure::{Context, Failure, Outcome, require, require_contains, require_eq};
use svcauth_tests::machine::{Debian, Machine};
use svcauth_tests::machine_cases;
use svcauth_tests::program::Ended;

machine_cases!("commands":
    a_limited_account_runs_what_its_rule_has_and_each_command_is_recorded,
);

const RULES: &str = r#"[[access]]
accounts = ["deployer"]
roles = ["application"]
services = ["sshd", "su", "sudo"]
shell = "deny"
commands = [
    ["/usr/bin/ls", "<any>"],
    ["/usr/local/bin/held", "<re:[a-z]+>"],
    { kind = "sftp", access = "read", paths = ["/srv"] },
]

[[access]]
accounts = ["deployer"]
roles = ["application"]
services = ["cron"]
commands = [["/usr/bin/touch", "/srv/held/by-cron"]]

[[access]]
accounts = ["robot"]
roles = ["application"]
services = ["sshd"]
commands = [["/usr/bin/id", "-un"]]
"#;

/// Goes on until it is let go.
const HELD: &str =
    "#!/bin/sh\n>/srv/held/began-$1\nuntil [ -e /srv/held/go-$1 ]; do sleep 0.1; done\nexit 7\n";

/// Configured with limits, and enabled.
fn limited(debian: &Debian) -> Outcome<Machine> {
    let machine = debian.installed()?;
    machine.explaining(|machine| {
        machine.write("/usr/local/bin/held", 0o755, HELD)?;
        machine.tell("install -d -o 7001 -g 7000 /srv/held")?;
        local_accounts::make(machine)?;
        machine.configure()?;
        set_rules(machine, RULES)?;
        machine.enable()?;
        machine.accept_keys()
    })?;
    Ok(machine)
}

/// Puts other access rules in the place of those that are there.
fn set_rules(machine: &Machine, rules: &str) -> Outcome {
    let config = machine.read("/etc/svcauth/svcauth.toml")?;
    let kept = config.split("[[access]]").next().unwrap_or_default();
    let kept = kept.replace("# local_accounts = []", "local_accounts = [\"robot\"]");
    machine.write("/etc/svcauth/svcauth.toml", 0o644, format!("{kept}{rules}"))?;
    machine.ask(&["systemctl", "reload", "svcauthd"])?;
    machine.ask(&["svcauth", "sync"]).map(drop)
}

/// The reload fails, the old rules go on, and whoever watches `svcauth status` sees it before the next boot does.
fn a_fault_of_the_configuration_is_told(machine: &Machine) -> Outcome {
    let path = "/etc/svcauth/svcauth.toml";
    let right = machine.read(path)?;
    machine.write(path, 0o644, format!("{right}comands = []\n"))?;
    machine.run(&["systemctl", "reload", "svcauthd"])?.expect_code(1)?;
    machine.wait_for_state("degraded")?;
    let said = machine.run(&["svcauth", "status"])?.expect_code(1)?;
    let line = right.lines().count() + 1;
    let fault = format!("{path}: line {line}, column 1: unknown key \"comands\"; did you mean \"commands\"?");
    require_contains("the status", &said.stdout, &fault)?;
    machine.ssh("bob", "deployer", &["ls /"])?.expect_ok()?;
    machine.write(path, 0o644, right)?;
    machine.ask(&["systemctl", "reload", "svcauthd"])?;
    machine.wait_for_state("ok")
}

/// A command of bob's that is running.
struct Held {
    word: &'static str,
    client: JoinHandle<Outcome<Ended>>,
}

impl Held {
    fn start(machine: &Machine, word: &'static str) -> Outcome<Self> {
        let program = machine.ssh_program("bob", "deployer", &["held", word])?;
        let client = std::thread::spawn(move || program.run());
        machine.wait_until("a command to begin", Duration::from_secs(60), |machine| {
            machine.exists(&format!("/srv/held/began-{word}")).then_some(())
        })?;
        Ok(Self { word, client })
    }

    /// Lets it go, and sees that its client is told how it ended.
    fn end(self, machine: &Machine) -> Outcome {
        machine.write(&format!("/srv/held/go-{}", self.word), 0o644, "")?;
        let ended = self.client.join().map_err(|_| Failure::new("the thread of the client"))?;
        ended?.expect_code(7).map(drop)
    }
}

fn a_limited_account_runs_what_its_rule_has_and_each_command_is_recorded(debian: &Debian) -> Outcome {
    let machine = limited(debian)?;
    machine.explaining(|machine| {
        let entry = machine.ask(&["getent", "passwd", "deployer"])?;
        require(entry.ends_with(":/usr/bin/svcauth-shell"), || entry.clone())?;
        let listed = machine.ssh("bob", "deployer", &["ls /"])?.expect_ok()?;
        require_contains("the listing", &listed.stdout, "etc\n")?;
        let sentence = "bob is in application and executed ls /";
        machine.wait_for_record(0, &[r#""event":"command""#, r#""origin":"bob""#, sentence])?;
        machine
            .wait_for_record(0, &[r#""event":"command_end""#, r#""origin":"bob""#, r#""exit_status":0"#])?;
        require_contains(
            "the journal",
            &machine.ask(&["journalctl", "-o", "cat", "-t", "svcauth"])?,
            sentence,
        )?;
        for words in [&[][..], &["bash"], &["ls / >/srv/mark"], &["touch /srv/mark"]] {
            let ended = machine.ssh("bob", "deployer", words)?.expect_code(126)?;
            let ours: Vec<&str> = ended.stderr.lines().filter(|line| line.starts_with("svcauth: ")).collect();
            require_eq("lines of svcauth", &ours.len(), &1)?;
        }
        machine.wait_for_record(0, &[r#""reason":"shell_not_allowed""#, r#""origin":"bob""#])?;
        require(!machine.exists("/srv/mark"), || "what was refused has run".to_owned())?;
        machine.ssh("carol", "deployer", &["ls /"])?.expect_refused()?;
        for user in ["root", "local"] {
            require_eq("a login", machine.ssh(user, user, &["id", "-un"])?.expect_ok()?.text(), user)?;
        }
        files_and_a_restart(machine).doing("files, and a restart of the daemon")?;
        a_fault_of_the_configuration_is_told(machine).doing("a fault of the configuration")?;
        jobs::cron_with_this_shell_is_limited(machine).doing("jobs of cron")?;
        local_accounts::are_limited_and_have_their_fallback(machine).doing("an account of /etc/passwd")?;
        outage::of_journald_neither_stops_nor_hides_a_command(machine).doing("without journald")?;
        recorded::a_shell_is_recorded_in_the_sandbox_of_the_unit(machine).doing("a recorded shell")
    })
}

/// sftp is confined by the kernel, also in the namespaces of a service manager; a command outlives the daemon.
fn files_and_a_restart(machine: &Machine) -> Outcome {
    machine.tell("echo there >/srv/there; echo secret >/root-only; chmod 644 /root-only")?;
    let copy = "scp -q -F/dev/null -oStrictHostKeyChecking=no -oUserKnownHostsFile=/dev/null -oIdentitiesOnly=yes -i /root/keys/bob";
    machine.tell(&format!("{copy} deployer@127.0.0.1:/srv/there /root/copied && grep there /root/copied"))?;
    let refused =
        machine.shell(&format!("{copy} deployer@127.0.0.1:/root-only /root/refused"))?.expect_refused()?;
    require(!machine.exists("/root/refused"), || refused.report())?;
    let held = Held::start(machine, "restart")?;
    machine.wait_for_record(0, &[r#""event":"command""#, "executed held restart"])?;
    machine.ask(&["systemctl", "restart", "svcauthd"])?;
    held.end(machine)?;
    machine.wait_for_record(0, &[r#""event":"command_end""#, r#""command":"held restart""#])?;
    machine.ssh("bob", "deployer", &["ls /"])?.expect_ok().map(drop)
}
