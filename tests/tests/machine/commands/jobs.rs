//! `SHELL=/usr/bin/svcauth-shell` in a crontab: what cron starts is asked about, too.

use std::time::Duration;

use svcauth_tests::failure::{Outcome, require, require_eq};
use svcauth_tests::machine::Machine;

const SHELL: &str = "SHELL=/usr/bin/svcauth-shell\n";
/// cron takes its start for a boot when it has no memory of one.
const RUN: &str = "rm -f /run/crond.reboot; systemctl reset-failed cron; systemctl restart cron";

/// A rule that names cron and has limits: with this shell they count, and nobody is behind a job.
pub(super) fn cron_with_this_shell_is_limited(machine: &Machine) -> Outcome {
    // The same line works where a shell reads it.
    let trap = "echo trapped >/srv/held/trap";
    let job = format!("@reboot root {trap}\n");
    machine.write("/etc/cron.d/plain", 0o644, job)?;
    let jobs = format!("{SHELL}@reboot deployer touch /srv/held/by-cron\n@reboot deployer {trap}-2\n");
    machine.write("/etc/cron.d/limited", 0o644, jobs)?;
    let mark = machine.records().len();
    machine.tell(RUN)?;
    machine.wait_until("what the jobs make", Duration::from_secs(60), |machine| {
        (machine.exists("/srv/held/trap") && machine.exists("/srv/held/by-cron")).then_some(())
    })?;
    let job = [r#""account":"deployer""#, r#""origin_kind":"local""#, r#""service":"cron""#];
    let record = |parts: &[&str]| machine.wait_for_record(mark, &[&job[..], parts].concat());
    record(&[r#""event":"command""#, r#""decision":"allow""#, "deployer executed touch /srv/held/by-cron"])?;
    record(&[r#""event":"command_end""#, r#""exit_status":0"#])?;
    record(&[r#""event":"command""#, r#""reason":"command_not_allowed""#, "/srv/held/trap-2"])?;
    let made = machine.ask(&["stat", "-c", "%u", "/srv/held/by-cron"])?;
    require_eq("whose it is", made.as_str(), "7001")?;
    require(!machine.exists("/srv/held/trap-2"), || "what was refused has run".to_owned())?;
    machine.tell("rm /etc/cron.d/plain /etc/cron.d/limited").map(drop)
}
