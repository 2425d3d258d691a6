//! systemd's user managers of managed accounts, which logind starts beside a login and at boot where somebody lingers.

use std::fs::File;
use std::time::Duration;

use svcauth_tests::failure::{Outcome, require, require_eq};
use svcauth_tests::machine::{Debian, Machine};
use svcauth_tests::machine_cases;

machine_cases!("user_managers":
    a_login_brings_its_user_manager_and_leaves_no_failed_unit_behind,
    whoever_loses_access_does_not_live_on_in_the_user_manager,
    nobody_lingers_unless_a_rule_says_so,
);

const UNIT: &str = "user@7001.service";
/// A manager is there when it has reached its basic target; it may still start what comes after.
const IS_RUNNING: &[&str] = &["systemctl", "--user", "is-system-running", "--wait"];
/// A process that no other session of the account has a part in.
const SERVICE: &str = "systemd-run --user --quiet sleep 4711; sleep 1000";

fn a_login_brings_its_user_manager_and_leaves_no_failed_unit_behind(debian: &Debian) -> Outcome {
    let machine = debian.enabled()?;
    machine.explaining(|machine| {
        let state = machine.ssh("bob", "deployer", IS_RUNNING)?;
        require_eq("the user manager", state.expect_ok()?.text(), "running")?;
        let parts = [r#""service":"systemd-user""#, r#""decision":"allow""#, r#""origin_kind":"local""#];
        machine.wait_for_record(0, &parts)?;
        require_eq("failed units", machine.ask(&["systemctl", "--failed", "--no-legend"])?.as_str(), "")?;
        for user in ["root", "local"] {
            let state = machine.ssh(user, user, IS_RUNNING)?;
            require_eq(user, state.expect_ok()?.text(), "running")?;
        }
        Ok(())
    })
}

fn whoever_loses_access_does_not_live_on_in_the_user_manager(debian: &Debian) -> Outcome {
    let machine = debian.enabled()?;
    machine.explaining(|machine| {
        let output = File::create(machine.path("/root/session.out"))?;
        let session = machine.ssh_program("bob", "deployer", &[SERVICE])?.start(output)?;
        machine.wait_until("the service of bob", Duration::from_secs(120), service)?;
        let directory = machine.read("/etc/svcauth/directory.ldif")?;
        let without_bob: String = directory
            .lines()
            .filter(|line| !line.starts_with("member: uid=bob,"))
            .map(|line| format!("{line}\n"))
            .collect();
        require(without_bob != directory, || "bob is in no group of the directory".to_owned())?;
        machine.write("/etc/svcauth/directory.ldif", 0o644, without_bob)?;
        machine.tell("svcauth sync")?;
        machine.wait_until("the end of it", Duration::from_secs(120), |machine| {
            service(machine).is_none().then_some(())
        })?;
        drop(session);
        require_eq("root", machine.ssh("root", "root", &["id", "-un"])?.expect_ok()?.text(), "root")
    })
}

/// The process of the service, while there is one.
fn service(machine: &Machine) -> Option<()> {
    machine.run(&["pgrep", "-f", "^/usr/bin/sleep 4711$"]).is_ok_and(|found| found.ok()).then_some(())
}

fn nobody_lingers_unless_a_rule_says_so(debian: &Debian) -> Outcome {
    let mut machine = debian.enabled()?;
    machine.tell("mkdir -p /var/lib/systemd/linger; touch /var/lib/systemd/linger/deployer")?;
    machine.tell("touch /var/lib/systemd/linger/local")?;
    let active = |machine: &Machine, unit: &str| {
        machine.run(&["systemctl", "is-active", unit]).is_ok_and(|ended| ended.ok()).then_some(())
    };
    machine.reboot_in_part()?;
    let patience = Duration::from_secs(120);
    machine.wait_until("the local user's", patience, |machine| active(machine, "user@1010.service"))?;
    let refused = [r#""service":"systemd-user""#, r#""reason":"service_not_allowed""#];
    machine.wait_for_record(0, &refused)?;
    require(active(&machine, UNIT).is_none(), || format!("{UNIT} runs, and nobody is there"))?;
    let config = machine.read("/etc/svcauth/svcauth.toml")?;
    let services = r#""sudo", "login""#;
    let lingers = config.replace(services, &format!("{services}, \"systemd-user\""));
    require(lingers != config, || format!("there is no {services} in the configuration"))?;
    machine.write("/etc/svcauth/svcauth.toml", 0o644, lingers)?;
    machine.wait_for_unit("svcauthd.service")?;
    machine.tell("systemctl reload svcauthd; svcauth sync")?;
    machine.reboot_in_part()?;
    machine.wait_until("the account's", patience, |machine| active(machine, UNIT))
}
