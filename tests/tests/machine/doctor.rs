//! `svcauth doctor` on machines that were enabled as a site enables them.

use svcauth_tests::failure::{Outcome, require_eq};
use svcauth_tests::machine::Debian;
use svcauth_tests::machine_cases;
use svcauth_tests::seeded::{Seeder, of_machines};

machine_cases!("doctor":
    every_seeded_fault_is_named_with_its_file,
    a_machine_that_only_has_the_packages_has_no_fault,
);

/// A daemon that is stopped before it has confirmed what it published leaves files that do not fit together.
const FUNCTIONS: &str = "
stop_daemon() { systemctl stop svcauthd; }
start_daemon() { systemctl start svcauthd; svcauth sync; }
";

fn every_seeded_fault_is_named_with_its_file(debian: &Debian) -> Outcome {
    let machine = debian.enabled()?;
    machine.explaining(|machine| {
        let shell = |script: &str| machine.shell(script);
        let seeder = Seeder { shell: &shell, functions: FUNCTIONS };
        seeder.every_fault_is_named(&of_machines(machine.release()))?;
        // What the kernel says about the clock is so for all machines: it is not seeded, and must be named where it is so.
        let clock = machine.shell("timedatectl show --property=NTPSynchronized --value")?.expect_ok()?;
        let report = machine.shell("svcauth doctor --json")?.expect_ok()?;
        let is_named = report.stdout.contains("\"clock_unsynchronised\"");
        require_eq("whether the clock is named", &is_named, &(clock.text() == "no"))?;
        // All that was put back is as it was: who could log in still can, and nobody else.
        require_eq("bob", machine.ssh("bob", "deployer", &["id", "-un"])?.expect_ok()?.text(), "deployer")?;
        machine.ssh("carol", "deployer", &["true"])?.expect_refused().map(drop)
    })
}

fn a_machine_that_only_has_the_packages_has_no_fault(debian: &Debian) -> Outcome {
    let machine = debian.installed()?;
    machine.explaining(|machine| {
        let said = machine.run(&["svcauth", "doctor"])?.expect_ok()?;
        require_eq("how many", said.stdout.lines().last().unwrap_or_default(), "0 faults, 0 warnings, 1 note")
    })
}
