//! Packages that are being replaced: long-lived processes with the old module in memory (K-03), and a dpkg that is killed in the
//! middle, again and again (K-04).

use std::time::Duration;

use svcauth_tests::failure::{Context, Outcome, require, require_eq};
use svcauth_tests::machine::{Debian, Machine, NAMES, Version, note};
use svcauth_tests::machine_cases;
use svcauth_tests::program::{Background, wait_until};

use crate::ways::{require_deployer_is_guarded, require_locals_get_in, ssh};

machine_cases!("upgrade":
    fifty_processes_with_the_old_module_go_on_through_upgrade_and_downgrade,
    a_dpkg_that_is_killed_anywhere_leaves_root_and_locals_in_and_is_finished_later,
);

const PROCESSES: usize = 50;
/// Looks a managed account, a local user and nobody up, again and again; ends at the first answer that is not right.
const LOOKING: &str = r#"
$| = 1;
while (1) {
    my @uid = map { (getpwnam($_))[2] // "none" } "deployer", "local", "nobody-of-this-name";
    if ("@uid" ne "7001 1010 none") { print "wrong: @uid\n"; exit 1 }
    select(undef, undef, undef, 0.2);
}
"#;
/// How many of them have a module in memory, and how many of those one that is no longer in the folder.
const MAPPED: &str =
    "cat $(for p in $(pgrep -x perl); do echo /proc/$p/maps; done) | grep libnss_svcauth | grep -c 'r-xp.*";

fn fifty_processes_with_the_old_module_go_on_through_upgrade_and_downgrade(debian: &Debian) -> Outcome {
    let machine = debian.enabled()?;
    machine.explaining(|machine| {
        let mut all: Vec<Background> = Vec::new();
        for number in 0..PROCESSES {
            all.push(machine.spawn(&format!("looking-{number}"), &["perl", "-e", LOOKING])?);
        }
        let count = |end: &str| machine.tell(&format!("{MAPPED}{end}' || true"));
        wait_until("fifty modules in memory", Duration::from_secs(120), || {
            (count("so.2$").ok()? == PROCESSES.to_string()).then_some(())
        })?;
        machine.install(debian.packages(), Version::Next)?;
        require_eq("those with the old module", &count("deleted)$")?, &PROCESSES.to_string())?;
        std::thread::sleep(Duration::from_secs(1));
        machine.install(debian.packages(), Version::This)?;
        std::thread::sleep(Duration::from_secs(1));
        let ended = all.iter_mut().filter_map(Background::ended).count();
        let said = machine.tell("cat /root/looking-*.out")?;
        require(ended == 0 && said.is_empty(), || format!("{ended} of {PROCESSES} have ended: {said}"))
    })
}

/// Starts a script, kills all of it after a while, and lets dpkg finish; false when the script was faster.
fn kill_in_the_middle(machine: &Machine, script: &str, after: Duration) -> Outcome<bool> {
    // A group of its own, so that maintainer scripts die with their dpkg; the time begins when there is one.
    let runs = format!(
        "setsid sh -c {} >/root/killed.out 2>&1 & p=$!; \
         while kill -0 $p 2>/dev/null && ! kill -0 -$p 2>/dev/null; do sleep 0.01; done; sleep {}; kill -9 -$p 2>/dev/null && echo killed; wait",
        quoted(script),
        after.as_secs_f64()
    );
    let killed = machine.run(&["sh", "-c", &runs])?.stdout.contains("killed");
    // dpkg gives scripts a group of their own only where it asks; what is left holds its lock.
    machine.run(&["sh", "-c", "pkill -9 -x dpkg; pkill -9 -x apt-get; sleep 0.1"])?;
    Ok(killed)
}

fn quoted(script: &str) -> String {
    format!("'{}'", script.replace('\'', r"'\''"))
}

fn a_dpkg_that_is_killed_anywhere_leaves_root_and_locals_in_and_is_finished_later(
    debian: &Debian,
) -> Outcome {
    let machine = debian.enabled()?;
    machine.explaining(|machine| {
        require_eq("bob", &ssh(machine, "bob", "deployer")?.1, &true)?;
        let next = debian.packages().copy_to(machine, Version::Next)?;
        let this = debian.packages().copy_to(machine, Version::This)?;
        let mut killed = 0;
        for (turn, after) in [50, 150, 350, 800].into_iter().enumerate() {
            let folder = if turn % 2 == 0 { &next } else { &this };
            let upgrade = format!("dpkg --force-downgrade --install {folder}/*.deb");
            killed += usize::from(kill_in_the_middle(machine, &upgrade, Duration::from_millis(after))?);
            let when = format!("an upgrade killed after {after} ms");
            require_safe(machine).doing(&when)?;
            // What is not unpacked yet may keep others from being configured; installing once more is what finishes it.
            machine.run(&["dpkg", "--configure", "-a"])?;
            require_logins(machine).doing(format!("{when}, and dpkg --configure -a"))?;
            machine.tell(&upgrade).doing(&when)?;
            require_eq("bob", &ssh(machine, "bob", "deployer")?.1, &true).doing(&when)?;
        }
        note(&format!("{killed} upgrades were killed in the middle"));
        require(killed >= 2, || "dpkg was faster nearly every time".to_owned())?;
        removals(machine, &this)
    })
}

fn removals(machine: &Machine, packages: &str) -> Outcome {
    let remove = format!("dpkg --remove {}", NAMES.join(" "));
    let mut killed = 0;
    for after in [50, 250, 600] {
        killed += usize::from(kill_in_the_middle(machine, &remove, Duration::from_millis(after))?);
        let when = format!("a removal killed after {after} ms");
        require_safe(machine).doing(&when)?;
        machine.run(&["dpkg", "--configure", "-a"])?;
        require_logins(machine).doing(format!("{when}, and dpkg --configure -a"))?;
        machine.tell(&format!("dpkg --install {packages}/*.deb")).doing(&when)?;
        machine.run(&["svcauth", "enable", "--yes"])?;
    }
    note(&format!("{killed} removals were killed in the middle"));
    require(killed >= 2, || "dpkg was faster nearly every time".to_owned())?;
    machine.tell(&remove)?;
    require_locals_get_in(machine)?;
    machine.run(&["getent", "passwd", "deployer"])?.expect_code(2).map(drop)
}

/// Root and the local user by every way, nobody else as deployer.
fn require_safe(machine: &Machine) -> Outcome {
    require_locals_get_in(machine)?;
    require_deployer_is_guarded(machine)
}

/// The same by ssh alone.
fn require_logins(machine: &Machine) -> Outcome {
    for (person, user, expected) in
        [("root", "root", true), ("local", "local", true), ("carol", "deployer", false)]
    {
        require_eq(person, &ssh(machine, person, user)?.1, &expected)?;
    }
    Ok(())
}
