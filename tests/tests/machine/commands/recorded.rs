//! `record = true` under the unit of the packages: in its sandbox the daemon writes what the terminal shows.

use std::time::Duration;

use svcauth_tests::failure::{Failure, Outcome, require_contains, require_eq};
use svcauth_tests::machine::Machine;
use svcauth_tests::program::Conversation;
use svcauth_tests::sshd::CLIENT;

use super::set_rules;

const RULE: &str =
    "[[access]]\naccounts = [\"deployer\"]\nroles = [\"application\"]\nshell = \"allow\"\nrecord = true\n";

fn login(machine: &Machine) -> Outcome<Conversation> {
    let ssh = machine.program(&["ssh"])?.args(CLIENT);
    let ssh = ssh.args(&["-oBatchMode=yes", "-tt", "-i", "/root/keys/bob", "deployer@127.0.0.1"]);
    let mut shell = ssh.converse()?;
    shell.expect("$ ")?;
    shell.line("PS1='prompt''> '")?;
    shell.expect("prompt> ")?;
    Ok(shell)
}

pub(super) fn a_shell_is_recorded_in_the_sandbox_of_the_unit(machine: &Machine) -> Outcome {
    set_rules(machine, RULE)?;
    let mark = machine.records().len();
    let mut shell = login(machine)?;
    shell.line("echo be''fore; ls /var/log/svcauth/recordings")?;
    shell.expect("before\n")?;
    shell.expect("ermission denied")?;
    // What the daemon has not read when it ends is lost.
    machine.wait_until("the recording of it", Duration::from_secs(60), |machine| {
        let found = machine.run(&["grep", "-rq", "before", "/var/log/svcauth/recordings"]);
        found.is_ok_and(|answer| answer.ok()).then_some(())
    })?;
    machine.ask(&["systemctl", "restart", "svcauthd"])?;
    shell.line("echo be''hind; exit 5")?;
    shell.expect("behind\n")?;
    require_eq("the exit status", &shell.end()?.0, &5)?;
    let end = [r#""event":"command_end""#, r#""origin":"bob""#, r#""exit_status":5"#];
    let record = machine.wait_for_record(mark, &end)?;
    let record: serde_json::Value = serde_json::from_str(&record)?;
    let session = record.pointer("/session").and_then(serde_json::Value::as_str);
    let session = session.ok_or_else(|| Failure::new(format!("no session in {record}")))?;
    let modes = "cd /var/log/svcauth/recordings; stat -c '%a %u' . *";
    require_eq("modes and owners", machine.tell(modes)?.as_str(), "700 0\n600 0")?;
    let listed = machine.ask(&["svcauth", "replay"])?;
    require_contains("the list", &listed, "\tdeployer\tbob\t")?;
    // As root plays it, on a terminal.
    let mut player = machine.program(&["svcauth", "replay", session, "--speed", "1000"])?.converse()?;
    player.expect("before\n")?;
    player.expect("behind\n")?;
    require_eq("the exit status of the player", &player.end()?.0, &0)
}
