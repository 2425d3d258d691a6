//! A limited account on a server with a real systemd: packages, configuration, `svcauth enable`.

use svcauth_tests::failure::{Outcome, require, require_contains, require_eq};
use svcauth_tests::machine::{Debian, Machine};
use svcauth_tests::machine_cases;

machine_cases!("commands":
    a_limited_account_runs_what_its_rule_has_and_each_command_is_recorded,
);

const RULE: &str = r#"[[access]]
accounts = ["deployer"]
roles = ["application"]
services = ["sshd", "su", "sudo"]
shell = "deny"
commands = [
    ["/usr/bin/ls", "<any>"],
    ["/usr/bin/sleep", "<any>"],
    { kind = "sftp", access = "read", paths = ["/srv"] },
]
"#;

/// Configured with limits, and enabled.
fn limited(debian: &Debian) -> Outcome<Machine> {
    let machine = debian.installed()?;
    machine.explaining(|machine| {
        machine.configure()?;
        let config = machine.read("/etc/svcauth/svcauth.toml")?;
        let kept = config.split("[[access]]").next().unwrap_or_default();
        machine.write("/etc/svcauth/svcauth.toml", 0o644, format!("{kept}{RULE}"))?;
        machine.ask(&["systemctl", "reload", "svcauthd"])?;
        machine.ask(&["svcauth", "sync"])?;
        machine.enable()?;
        machine.accept_keys()
    })?;
    Ok(machine)
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
        files_and_a_restart(machine)
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
    let running = machine.ssh_program("bob", "deployer", &["sleep 3"])?;
    let running = std::thread::spawn(move || running.run());
    machine.wait_for_record(0, &[r#""event":"command""#, "executed sleep 3"])?;
    machine.ask(&["systemctl", "restart", "svcauthd"])?;
    let ended = running.join().map_err(|_| svcauth_tests::failure::Failure::new("the client"))??;
    ended.expect_ok()?;
    machine.ssh("bob", "deployer", &["ls /"])?.expect_ok().map(drop)
}
