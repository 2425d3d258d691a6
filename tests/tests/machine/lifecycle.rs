//! From a plain server to one without svcauth again: install, configure, enable, reboot, upgrade, downgrade, disable, remove,
//! purge, and who can log in all the way.

use svcauth_tests::failure::{Context, Outcome, require, require_contains, require_eq, require_lacks};
use svcauth_tests::machine::{Debian, Etc, Load, Machine, NAMES, Server, Version, note};
use svcauth_tests::machine_cases;

machine_cases!("lifecycle":
    from_installation_to_purge_root_and_local_users_log_in_and_carol_never,
    installing_changes_nothing_about_who_can_log_in,
    removing_without_disabling_leaves_no_account_and_a_purge_leaves_nothing,
);

/// Everybody as it is on a plain server: deployer is nobody.
fn require_nobody_managed(machine: &Machine) -> Outcome {
    require_locals(machine)?;
    for person in ["bob", "carol"] {
        machine.ssh(person, "deployer", &["true"])?.expect_refused()?;
    }
    machine.run(&["getent", "passwd", "deployer"])?.expect_code(2).map(drop)
}

fn require_locals(machine: &Machine) -> Outcome {
    for user in ["root", "local"] {
        require_eq("who it is", machine.ssh(user, user, &["id", "-un"])?.expect_ok()?.text(), user)?;
    }
    Ok(())
}

/// bob in, carol out.
fn require_decided(machine: &Machine) -> Outcome {
    require_locals(machine)?;
    let bob = machine.ssh("bob", "deployer", &["id", "-un"])?.expect_ok()?;
    require_eq("who it is", bob.text(), "deployer")?;
    let carol = machine.ssh("carol", "deployer", &["id", "-un"])?.expect_refused()?;
    require_lacks("what ran for carol", &carol.stdout, "deployer")
}

/// The same, and on record.
fn require_enforced(machine: &Machine) -> Outcome {
    let mark = machine.records().len();
    require_decided(machine)?;
    let denied = [r#""decision":"deny""#, r#""reason":"not_in_role""#, r#""origin":"carol""#];
    machine.wait_for_record(mark, &denied).map(drop)
}

/// Four kinds of logins during a step: root, the local user and bob let in at every single one, carol at none.
fn under_load(machine: &Machine, name: &str, step: impl FnOnce(&Machine) -> Outcome) -> Outcome {
    let load = Load::during(machine, step).doing(name)?;
    note(&format!("{name}: {}", load.summary()));
    load.require_always(&["root", "local", "bob"]).doing(name)?;
    load.require_never(&["carol"]).doing(name)
}

fn installing_changes_nothing_about_who_can_log_in(debian: &Debian) -> Outcome {
    let machine = debian.plain()?;
    machine.explaining(|machine| {
        require_nobody_managed(machine)?;
        let before = Etc::of(machine)?;
        machine.install(debian.packages(), Version::This)?;
        require_nobody_managed(machine)?;
        let said = Etc::of(machine)?.differences(&before);
        // An empty folder for the configuration, the user of the daemon, and the links of its two units.
        let expected = [
            "svcauth is new",
            "passwd: was",
            "group: was",
            "shadow: was",
            "gshadow: was",
            "svcauthd.service is new",
        ];
        for part in expected {
            require_contains("what is different", &said, part)?;
        }
        for name in ["pam.d", "nsswitch.conf", "ssh/"] {
            require_lacks(name, &said, name)?;
        }
        require_eq(
            "the daemon without a configuration",
            machine.run(&["systemctl", "is-active", "svcauthd"])?.text(),
            "inactive",
        )
    })
}

fn from_installation_to_purge_root_and_local_users_log_in_and_carol_never(debian: &Debian) -> Outcome {
    let mut machine = debian.plain()?;
    let server = Server::start(&machine, &machine.directory()?)?;
    server.plug_in(&machine)?;
    let before = Etc::of(&machine)?;
    machine.explaining(|machine| {
        machine.install(debian.packages(), Version::This)?;
        require_nobody_managed(machine)?;
        server.set_up(machine)?;
        require_nobody_managed(machine)?;
        machine.enable()?;
        machine.accept_keys()?;
        require_enforced(machine).doing("after enable")
    })?;
    machine.reboot_in_part()?;
    before_the_network_is_up(&machine)?;
    server.plug_in(&machine)?;
    machine.wait_for_boot()?;
    machine.explaining(|machine| {
        machine.wait_for_state("ok")?;
        require_enforced(machine).doing("after a reboot")?;
        under_load(machine, "upgrade", |machine| machine.install(debian.packages(), Version::Next))?;
        require_enforced(machine).doing("after an upgrade")?;
        under_load(machine, "downgrade", |machine| machine.install(debian.packages(), Version::This))?;
        require_enforced(machine).doing("after a downgrade")?;
        machine.disable()?;
        require_nobody_managed(machine).doing("disabled")?;
        machine.apt(&format!("remove {}", NAMES.join(" ")))?;
        require_nobody_managed(machine).doing("after a removal")?;
        machine.apt(&format!("purge {}", NAMES.join(" ")))?;
        require_nobody_managed(machine).doing("after a purge")?;
        Etc::of(machine)?.require_as(&before, "after a purge")
    })
}

/// sshd runs, nothing but loopback is there, and the daemon waits for the network: the snapshot of the last boot decides.
fn before_the_network_is_up(machine: &Machine) -> Outcome {
    for unit in ["ssh.service", "systemd-user-sessions.service"] {
        machine.wait_for_unit(unit)?;
    }
    machine.explaining(|machine| {
        for unit in ["network-online.target", "svcauthd.service"] {
            let state = machine.run(&["systemctl", "is-active", unit])?;
            require(state.text() != "active", || format!("{unit} is active already"))?;
        }
        require_eq("the way out", machine.ask(&["ip", "route"])?.as_str(), "")?;
        require_decided(machine).doing("before the network is up")?;
        let refused = machine.journal(200);
        require_contains("the journal", &refused, "deny account=deployer origin=carol reason=not_in_role")
    })
}

fn removing_without_disabling_leaves_no_account_and_a_purge_leaves_nothing(debian: &Debian) -> Outcome {
    let machine = debian.plain()?;
    machine.explaining(|machine| {
        let before = Etc::of(machine)?;
        machine.install(debian.packages(), Version::This)?;
        machine.configure()?;
        machine.enable()?;
        machine.accept_keys()?;
        require_enforced(machine)?;
        machine.apt(&format!("remove {}", NAMES.join(" ")))?;
        require_nobody_managed(machine).doing("after a removal")?;
        machine.install(debian.packages(), Version::This)?;
        require_nobody_managed(machine).doing("after a new installation")?;
        machine.enable()?;
        require_enforced(machine).doing("enabled again")?;
        machine.apt(&format!("purge {}", NAMES.join(" ")))?;
        require_nobody_managed(machine).doing("after a purge")?;
        Etc::of(machine)?.require_as(&before, "after a purge")
    })
}
