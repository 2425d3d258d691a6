//! `/etc/pam.d` of both distributions as `svcauth enable` leaves it, asked service by service (P-07): with the module in its place,
//! missing, and of another architecture.

use std::fs;

use svcauth_tests::failure::{Context, Outcome, require};
use svcauth_tests::machine::{Answer, Debian, Machine, note};
use svcauth_tests::machine_cases;

use crate::broken::{GARBAGE, module, put_garbage};

machine_cases!("stacks":
    every_service_of_the_distribution_guards_accounts_and_lets_locals_in,
);

/// Who is asked for. That nobody is behind deployer here is a reason to refuse; with evidence it is let in, by other cases.
const USERS: &[&str] = &["root", "local", "deployer"];

/// The services whose files are there, without those that others include.
fn services(machine: &Machine) -> Outcome<Vec<String>> {
    let mut names = Vec::new();
    for folder in ["/etc/pam.d", "/usr/lib/pam.d"] {
        let entries = fs::read_dir(machine.path(folder)).into_iter().flatten().flatten();
        names.extend(entries.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    }
    names.retain(|name| !name.starts_with("common-"));
    names.sort();
    names.dedup();
    Ok(names)
}

fn ask(machine: &Machine, services: &[String]) -> Outcome<Vec<Answer>> {
    machine.probe(services, USERS)
}

/// Every one whom a plain stack lets in is refused if managed; whoever is local gets the very same answer.
fn require_guarded(when: &str, plain: &[Answer], now: &[Answer]) -> Outcome {
    require(plain.len() == now.len(), || format!("{when}: {} answers and not {}", now.len(), plain.len()))?;
    for (was, is) in plain.iter().zip(now) {
        let right = if is.user == "deployer" { !is.entered() } else { was == is };
        require(right, || format!("{when}: without svcauth {was:?}, with it {is:?}"))?;
    }
    Ok(())
}

fn every_service_of_the_distribution_guards_accounts_and_lets_locals_in(debian: &Debian) -> Outcome {
    let machine = debian.enabled()?;
    machine.explaining(|machine| {
        machine.bring_probe()?;
        let all = services(machine)?;
        machine.tell("pam-auth-update --remove svcauth")?;
        let plain = ask(machine, &all)?;
        let open: Vec<&str> =
            plain.iter().filter(|answer| answer.entered()).map(|a| a.service.as_str()).collect();
        note(&format!("services: {}", all.join(" ")));
        for service in ["sshd", "su", "su-l", "sudo", "sudo-i", "login", "cron", "systemd-user", "other"] {
            let users = open.iter().filter(|name| **name == service).count();
            require(users == USERS.len(), || {
                format!("{service} lets {users} in without svcauth\n{plain:?}")
            })?;
        }
        machine.tell("pam-auth-update --enable svcauth")?;
        require_guarded("the module decides", &plain, &ask(machine, &all)?)?;
        let path = module(machine, "security/pam_svcauth.so")?;
        machine.tell(&format!("cp -a {path} /root/kept"))?;
        for kind in GARBAGE {
            put_garbage(machine, &path, kind)?;
            require_guarded(kind, &plain, &ask(machine, &all)?)?;
            machine.tell(&format!("cp -a /root/kept {path}.new; mv {path}.new {path}"))?;
        }
        require_guarded("the module is back", &plain, &ask(machine, &all)?).doing("restored")
    })
}
