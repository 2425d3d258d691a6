//! What the scripts of the packages do when a command fails or dpkg dies in their midst, and what the daemon does in the sandbox of
//! its unit.

use std::time::Duration;

use svcauth_tests::failure::{Context, Failure, Outcome, require, require_contains};
use svcauth_tests::machine::{Debian, Etc, Machine, NAMES, Version};
use svcauth_tests::machine_cases;
use svcauth_tests::sshd::CLIENT;

machine_cases!("packages":
    a_command_that_fails_while_svcauth_is_removed_locks_nobody_out_and_lets_nobody_in,
    a_command_that_fails_while_svcauth_is_installed_locks_nobody_out,
    a_dpkg_that_is_killed_in_a_script_goes_on_where_it_was,
    a_command_that_is_broken_does_not_keep_the_packages_here,
    a_line_of_somebody_else_keeps_the_module_that_it_names,
    the_daemon_does_all_of_its_work_in_the_sandbox_of_its_unit,
);

/// Where programs stand that fail, before those of the system.
const FAILING: &str = "/run/failing";

/// dpkg, with a program of this name that does what `script` says.
fn with_a(name: &str, script: &str, machine: &Machine, dpkg: &str) -> Outcome<i32> {
    machine.write(&format!("{FAILING}/{name}"), 0o755, format!("#!/bin/sh\n{script}\n"))?;
    let ended = machine.shell(&format!(
        "export PATH={FAILING}:/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive; {dpkg}"
    ))?;
    machine.tell(&format!("rm -r {FAILING}"))?;
    Ok(ended.code)
}

fn require_nobody_locked_out(machine: &Machine) -> Outcome {
    for user in ["root", "local"] {
        machine.ssh(user, user, &["id", "-un"])?.expect_ok()?;
    }
    machine.ssh("carol", "deployer", &["true"])?.expect_refused().map(drop)
}

/// bob is in: without that a carol who is out means nothing.
fn require_enforced(machine: &Machine) -> Outcome {
    machine.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    require_nobody_locked_out(machine)
}

fn a_command_that_fails_while_svcauth_is_removed_locks_nobody_out_and_lets_nobody_in(
    debian: &Debian,
) -> Outcome {
    let machine = debian.plain()?;
    let before = Etc::of(&machine)?;
    let files = format!("{}/*.deb", debian.packages().copy_to(&machine, Version::This)?);
    machine.explaining(|machine| {
        let programs = [
            "timeout",
            "sed",
            "pam-auth-update",
            "systemctl",
            "deb-systemd-invoke",
            "deb-systemd-helper",
            "sshd",
            "grep",
            "userdel",
            "getent",
            "sync",
        ];
        for name in programs {
            machine.tell(&format!("dpkg -i {files}"))?;
            machine.configure()?;
            machine.enable()?;
            machine.accept_keys()?;
            require_enforced(machine).doing(format!("before {name} fails"))?;
            for step in ["remove", "purge"] {
                with_a(name, "exit 1", machine, &format!("dpkg --{step} {}", NAMES.join(" ")))?;
                require_nobody_locked_out(machine).doing(format!("{name} failed in {step}"))?;
            }
            // What was half done is done now.
            machine.tell(&format!("dpkg --configure -a; dpkg --purge {}", NAMES.join(" ")))?;
            require_nobody_locked_out(machine)?;
            let left = Etc::of(machine)?.differences(&before);
            // These two do not fail, they lie: nothing was there.
            let is_misled = matches!(name, "grep" | "getent");
            require(left.is_empty() || is_misled, || format!("after {name} failed and a purge\n{left}"))?;
            if is_misled {
                machine.tell("getent passwd svcauth && userdel svcauth; rm -rf /var/lib/svcauth; true")?;
            }
        }
        Ok(())
    })
}

fn a_command_that_fails_while_svcauth_is_installed_locks_nobody_out(debian: &Debian) -> Outcome {
    let machine = debian.plain()?;
    let files = format!("{}/*.deb", debian.packages().copy_to(&machine, Version::This)?);
    let next = format!("{}/*.deb", debian.packages().copy_to(&machine, Version::Next)?);
    machine.explaining(|machine| {
        let programs = [
            "systemd-sysusers",
            "useradd",
            "systemd-tmpfiles",
            "install",
            "systemctl",
            "deb-systemd-helper",
            "deb-systemd-invoke",
            "getent",
            "pam-auth-update",
        ];
        for name in programs {
            with_a(name, "exit 1", machine, &format!("dpkg -i {files}"))?;
            require_nobody_locked_out(machine).doing(format!("{name} failed in an installation"))?;
            machine.tell("dpkg --configure -a")?;
            machine.configure()?;
            machine.enable()?;
            machine.accept_keys()?;
            require_enforced(machine).doing(format!("installed after {name} had failed"))?;
            with_a(name, "exit 1", machine, &format!("dpkg -i {next}"))?;
            require_enforced(machine).doing(format!("{name} failed in an upgrade"))?;
            machine.tell("dpkg --configure -a")?;
            require_enforced(machine).doing(format!("upgraded after {name} had failed"))?;
            machine.tell(&format!("dpkg --purge {}", NAMES.join(" ")))?;
        }
        Ok(())
    })
}

fn a_dpkg_that_is_killed_in_a_script_goes_on_where_it_was(debian: &Debian) -> Outcome {
    let machine = debian.plain()?;
    let before = Etc::of(&machine)?;
    let files = format!("{}/*.deb", debian.packages().copy_to(&machine, Version::This)?);
    let next = format!("{}/*.deb", debian.packages().copy_to(&machine, Version::Next)?);
    let kill = "pkill -KILL -x dpkg; sleep 1; exit 1";
    machine.explaining(|machine| {
        for name in ["systemd-tmpfiles", "deb-systemd-helper", "deb-systemd-invoke"] {
            with_a(name, kill, machine, &format!("dpkg -i {files}"))?;
            require_nobody_locked_out(machine).doing(format!("killed at {name} of an installation"))?;
            machine.tell(&format!("dpkg --configure -a; dpkg -i {files}"))?;
        }
        machine.configure()?;
        machine.enable()?;
        machine.accept_keys()?;
        require_enforced(machine)?;
        let code = with_a("deb-systemd-invoke", kill, machine, &format!("dpkg -i {next}"))?;
        require(code != 0, || "dpkg was not killed".to_owned())?;
        require_enforced(machine).doing("killed in an upgrade")?;
        machine.tell("dpkg --configure -a")?;
        require_enforced(machine).doing("gone on after an upgrade")?;
        for name in ["timeout", "sed", "pam-auth-update", "deb-systemd-invoke"] {
            with_a(name, kill, machine, &format!("dpkg --remove {}", NAMES.join(" ")))?;
            require_nobody_locked_out(machine).doing(format!("killed at {name} of a removal"))?;
        }
        machine.tell(&format!("dpkg --configure -a; dpkg --purge {}", NAMES.join(" ")))?;
        Etc::of(machine)?.require_as(&before, "after a purge")
    })
}

fn a_command_that_is_broken_does_not_keep_the_packages_here(debian: &Debian) -> Outcome {
    let machine = debian.plain()?;
    machine.explaining(|machine| {
        let before = Etc::of(machine)?;
        machine.install(debian.packages(), Version::This)?;
        machine.configure()?;
        machine.enable()?;
        machine.accept_keys()?;
        require_enforced(machine)?;
        machine.tell("printf garbage >/usr/bin/svcauth.new; chmod 755 /usr/bin/svcauth.new; mv /usr/bin/svcauth.new /usr/bin/svcauth")?;
        machine.apt(&format!("purge {}", NAMES.join(" ")))?;
        require_nobody_locked_out(machine)?;
        machine.run(&["getent", "passwd", "deployer"])?.expect_code(2)?;
        Etc::of(machine)?.require_as(&before, "after a purge without a command")
    })
}

fn a_line_of_somebody_else_keeps_the_module_that_it_names(debian: &Debian) -> Outcome {
    let machine = debian.enabled()?;
    machine.explaining(|machine| {
        machine.tell("sed -i '1i account required pam_svcauth.so' /etc/pam.d/sshd")?;
        let remove = format!("dpkg --remove {}", NAMES.join(" "));
        let ended = machine.shell(&remove)?.expect_refused()?;
        require_contains(
            "what dpkg says",
            &format!("{}{}", ended.stdout, ended.stderr),
            "/etc/pam.d/sshd:1:",
        )?;
        require_nobody_locked_out(machine)?;
        machine.tell("sed -i '/^account required pam_svcauth.so$/d' /etc/pam.d/sshd")?;
        machine.tell(&remove)?;
        require_nobody_locked_out(machine)
    })
}

fn the_daemon_does_all_of_its_work_in_the_sandbox_of_its_unit(debian: &Debian) -> Outcome {
    let machine = debian.enabled()?;
    machine.explaining(|machine| {
        require_sandboxed(machine)?;
        // Small enough that some logins fill it, and a new file is begun.
        let limits = "\\n[audit]\\nrotate_size = \"64K\"\\n\\n[sessions]\\ngrace = \"1s\"\\n";
        machine.tell(&format!("printf '{limits}' >>/etc/svcauth/svcauth.toml; systemctl reload svcauthd"))?;
        let words = [&["ssh"], CLIENT, &["-oBatchMode=yes", "-i/root/keys/bob", "-tt"]].concat();
        let words = [&words[..], &["deployer@127.0.0.1", "sleep 300"]].concat();
        let mut bob = machine.spawn("bob", &words)?;
        machine.wait_until("bob's session", Duration::from_secs(120), |machine| {
            machine.ask(&["svcauth", "who"]).ok().filter(|said| said.contains("sleep 300")).map(drop)
        })?;
        machine.tell("sed -i '/^member: uid=bob/d' /etc/svcauth/directory.ldif; svcauth sync")?;
        machine.wait_until("the end of bob's session", Duration::from_secs(120), |_| bob.ended())?;
        let said = machine.read("/root/bob.out")?;
        require_contains("bob's terminal", &said, "the access of bob to deployer has ended")?;
        machine.run(&["pgrep", "-u", "7001", "-x", "sleep"])?.expect_code(1)?;
        require_contains("the audit trail", &machine.ask(&["svcauth", "log"])?, "revoked")?;
        machine.tell("for turn in $(seq 120); do su deployer -c true; done")?;
        machine.wait_until("a second file of the trail", Duration::from_secs(120), |machine| {
            let proof = machine.run(&["svcauth", "log", "verify"]).ok().filter(|ended| ended.ok())?;
            proof.stdout.contains("in 2 files").then_some(())
        })
    })
}

/// That the sandbox is on: otherwise everything works, and means nothing.
fn require_sandboxed(machine: &Machine) -> Outcome {
    let facts = "for pid in $(pgrep -x svcauthd); do grep -E '^(Uid|CapPrm|NoNewPrivs|Seccomp):' /proc/$pid/status | tr -s '\\t' ' ' | tr '\\n' ' '; echo; done";
    let user = machine.ask(&["id", "-u", "svcauth"])?;
    let monitor = "Uid: 0 0 0 0 CapPrm: 00000000000000e0 NoNewPrivs: 1 Seccomp: 2 ";
    let worker =
        format!("Uid: {user} {user} {user} {user} CapPrm: 0000000000000000 NoNewPrivs: 1 Seccomp: 2 ");
    // The worker is root until it has begun.
    let mut last = String::new();
    let both = machine.wait_until(
        "the monitor and its worker in the sandbox",
        Duration::from_secs(120),
        |machine| {
            last = machine.tell(facts).ok()?;
            (last.contains(monitor) && last.contains(&worker) && last.lines().count() == 2).then_some(())
        },
    );
    both.map_err(|why| Failure::new(format!("{why}:\n{last}")))
}
