//! `svcauth enable` where systemd runs: the trial and its unit, reboots and power cuts.

use std::time::Duration;

use svcauth_tests::failure::{Outcome, require, require_contains, require_eq};
use svcauth_tests::machine::{Debian, Etc, Machine};
use svcauth_tests::machine_cases;

machine_cases!("activation":
    what_nobody_confirms_is_put_back_by_the_unit,
    a_confirmed_activation_outlives_a_reboot,
    a_power_cut_during_a_trial_is_put_back_before_anybody_logs_in,
    stacks_that_shut_everybody_out_are_put_back_by_the_unit,
);

const UNIT: &str = "svcauth-rollback.service";
/// There while nobody has confirmed.
const PENDING: &str = "/var/lib/svcauth/activation/pending";
const PATIENCE: Duration = Duration::from_secs(180);

fn state_of_unit(machine: &Machine) -> Outcome<String> {
    Ok(machine.run(&["systemctl", "is-active", UNIT])?.text().to_owned())
}

/// A machine with packages and a published directory, and nothing of it switched on.
fn configured(debian: &Debian) -> Outcome<Machine> {
    let machine = debian.installed()?;
    machine.configure()?;
    machine.accept_keys()?;
    Ok(machine)
}

fn try_out(machine: &Machine, time: &str) -> Outcome {
    machine.try_out(time)
}

fn is_in_force(machine: &Machine) -> Outcome {
    machine.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    machine.ssh("carol", "deployer", &["true"])?.expect_refused()?;
    others_get_in(machine)
}

fn is_as_before(machine: &Machine, before: &Etc) -> Outcome {
    Etc::of(machine)?.require_as(before, "after it was put back")?;
    machine.run(&["getent", "passwd", "deployer"])?.expect_code(2)?;
    machine.ssh("bob", "deployer", &["true"])?.expect_refused()?;
    others_get_in(machine)
}

fn others_get_in(machine: &Machine) -> Outcome {
    for user in ["root", "local"] {
        machine.ssh(user, user, &["true"])?.expect_ok()?;
    }
    Ok(())
}

fn wait_until_put_back(machine: &Machine) -> Outcome {
    machine.wait_until("the marker to go", PATIENCE, |machine| (!machine.exists(PENDING)).then_some(()))?;
    machine.wait_until("the unit to end", PATIENCE, |machine| {
        (state_of_unit(machine).ok()? == "inactive").then_some(())
    })
}

fn what_nobody_confirms_is_put_back_by_the_unit(debian: &Debian) -> Outcome {
    let machine = configured(debian)?;
    machine.explaining(|machine| {
        let before = Etc::of(machine)?;
        try_out(machine, "45s")?;
        is_in_force(machine)?;
        require_eq("the unit", &state_of_unit(machine)?, &"active".to_owned())?;
        machine.ask(&["systemctl", "restart", "ssh.service"])?;
        require(machine.exists(PENDING), || "sshd waited for the end of the trial".to_owned())?;
        is_in_force(machine)?;
        wait_until_put_back(machine)?;
        is_as_before(machine, &before)?;
        let failed = machine.ask(&["systemctl", "--failed", "--plain", "--no-legend"])?;
        require_eq("failed units", &failed, &String::new())
    })
}

fn a_confirmed_activation_outlives_a_reboot(debian: &Debian) -> Outcome {
    let mut machine = configured(debian)?;
    machine.explaining(|machine| {
        try_out(machine, "10m")?;
        // nsenter is no login.
        let refused = machine.run(&["svcauth", "confirm"])?.expect_code(1)?;
        require_contains("without a login", &refused.stderr, "no login")?;
        machine.ssh("root", "root", &["svcauth", "confirm"])?.expect_ok()?;
        wait_until_put_back(machine)?;
        is_in_force(machine)
    })?;
    machine.reboot()?;
    machine.explaining(is_in_force)
}

fn a_power_cut_during_a_trial_is_put_back_before_anybody_logs_in(debian: &Debian) -> Outcome {
    let mut machine = configured(debian)?;
    let before = Etc::of(&machine)?;
    machine.explaining(|machine| {
        try_out(machine, "10m")?;
        is_in_force(machine)
    })?;
    machine.cut_power()?;
    machine.power_on()?;
    machine.explaining(|machine| {
        require(!machine.exists(PENDING), || "the marker is still there".to_owned())?;
        is_as_before(machine, &before)?;
        let property = |unit: &str, name: &str| {
            let asked = machine.ask(&["systemctl", "show", "--value", "-p", name, unit])?;
            asked
                .parse::<u64>()
                .map_err(|_| svcauth_tests::failure::Failure::new(format!("{unit} {name}: {asked}")))
        };
        let ready = property(UNIT, "ActiveEnterTimestampMonotonic")?;
        let sshd = property("ssh.service", "InactiveExitTimestampMonotonic")?;
        require(0 < ready && ready <= sshd, || format!("put back at {ready}, sshd began at {sshd}"))
    })
}

fn stacks_that_shut_everybody_out_are_put_back_by_the_unit(debian: &Debian) -> Outcome {
    let machine = configured(debian)?;
    machine.explaining(|machine| {
        let before = Etc::of(machine)?;
        try_out(machine, "45s")?;
        others_get_in(machine)?;
        machine.write("/etc/pam.d/common-account", 0o644, "account required pam_deny.so\n")?;
        machine.write("/etc/ssh/sshd_config.d/10-svcauth.conf", 0o644, "DenyUsers *\n")?;
        machine.ask(&["systemctl", "reload", "ssh.service"])?;
        machine.ssh("root", "root", &["true"])?.expect_refused()?;
        wait_until_put_back(machine)?;
        is_as_before(machine, &before)
    })
}
