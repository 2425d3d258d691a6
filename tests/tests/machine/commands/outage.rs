//! journald is stopped while commands run. The audit is required: what runs is in the audit file then.

use std::time::Duration;

use svcauth_tests::failure::{Outcome, require, require_contains};
use svcauth_tests::machine::Machine;

use super::Held;

/// Its sockets, too: they would start it again.
const UNITS: &str = "systemd-journald.socket systemd-journald-dev-log.socket systemd-journald.service";
const SAYS: &[&str] = &["journalctl", "-q", "-o", "cat", "-t", "svcauth"];

pub(super) fn of_journald_neither_stops_nor_hides_a_command(machine: &Machine) -> Outcome {
    let held = Held::start(machine, "outage")?;
    machine.tell(&format!("systemctl stop {UNITS}"))?;
    let out = while_it_is_away(machine);
    machine.tell(&format!("systemctl start {UNITS}"))?;
    out?;
    held.end(machine)?;
    let end = [r#""event":"command_end""#, r#""command":"held outage""#, r#""exit_status":7"#];
    machine.wait_for_record(0, &end)?;
    machine.ssh("bob", "deployer", &["ls /srv"])?.expect_ok()?;
    machine.wait_until("journald to have records again", Duration::from_secs(60), |machine| {
        machine.ask(SAYS).ok().filter(|said| said.contains("executed ls /srv\"")).map(drop)
    })?;
    let proof = machine.ask(&["svcauth", "log", "verify"])?;
    require_contains("the trail", &proof, "whole ")
}

fn while_it_is_away(machine: &Machine) -> Outcome {
    let is_away = "for unit in systemd-journald.service systemd-journald.socket; do ! systemctl is-active -q $unit || exit 1; done";
    machine.tell(is_away)?;
    let mark = machine.records().len();
    machine.ssh("bob", "deployer", &["ls /etc"])?.expect_ok()?;
    machine.ssh("bob", "deployer", &["ls / >/srv/held/mark"])?.expect_code(126)?;
    machine.ssh("carol", "deployer", &["ls /etc"])?.expect_refused()?;
    machine.tell("systemctl restart svcauthd")?;
    machine.ssh("bob", "deployer", &["ls /usr"])?.expect_ok()?;
    machine.tell(is_away)?;
    let bob = [r#""event":"command""#, r#""origin":"bob""#];
    for part in ["executed ls /etc", "to execute ls / >/srv/held/mark", "executed ls /usr"] {
        machine.wait_for_record(mark, &[&bob[..], &[part]].concat())?;
    }
    machine.wait_for_record(mark, &[r#""origin":"carol""#, r#""reason":"not_in_role""#])?;
    require(!machine.exists("/srv/held/mark"), || "what was refused has run".to_owned())
}
