//! `svcauth doctor --prove` on a server with a real systemd, as an administrator would run it.

use svcauth_tests::failure::{Outcome, require_contains, require_eq, require_lacks};
use svcauth_tests::machine::{Debian, Etc, Machine};
use svcauth_tests::machine_cases;

machine_cases!("prove":
    an_enabled_server_is_proven_and_notices_nothing_of_it,
    a_server_where_a_refusal_is_ignored_is_not_proven,
);

const PROVE: &[&str] = &["svcauth", "doctor", "--prove"];

/// What must not be different afterwards: the listeners, the trail, and the number of logins.
fn traces(machine: &Machine) -> Outcome<String> {
    machine.tell("ss -Hlnx | sort | awk '{print $5}'; ss -Hlnt | awk '{print $4}' | sort; wc -l </var/log/svcauth/audit.jsonl; \
                  last -w | wc -l; ls -la /var/lib/svcauth /home /root /tmp; ls /run/svcauth/sessions/*")
}

fn an_enabled_server_is_proven_and_notices_nothing_of_it(debian: &Debian) -> Outcome {
    let machine = debian.enabled()?;
    machine.explaining(|machine| {
        let (files, before) = (Etc::of(machine)?, traces(machine)?);
        let said = machine.run(PROVE)?.expect_ok()?;
        require_contains("the last line", said.text().lines().last().unwrap_or_default(), "proven: ")?;
        require_lacks("what it says", &said.stdout, "FAILED")?;
        for step in [
            "a command by ssh",
            "a file by sftp",
            "by sudo -i",
            "by su -",
            "job of cron",
            "pam_svcauth.so is gone: root",
        ] {
            require_contains("what it says", &said.stdout, step)?;
        }
        require_eq("what was left", &traces(machine)?, &before)?;
        Etc::of(machine)?.require_as(&files, "after the proof")?;
        let journal = machine.tell("journalctl -b -q -o cat | grep -c svcauth-probe; true")?;
        require_eq("lines about the probe in the journal", journal.as_str(), "0")?;
        require_eq("bob", machine.ssh("bob", "deployer", &["id", "-un"])?.expect_ok()?.text(), "deployer")
    })
}

fn a_server_where_a_refusal_is_ignored_is_not_proven(debian: &Debian) -> Outcome {
    let machine = debian.enabled()?;
    machine.explaining(|machine| {
        machine.tell(
            "sed -i -e '/pam_listfile.so\\|pam_localuser.so/d' -e 's/^\\(account\\|session\\).*pam_svcauth.so/\\1 [success=ok default=ignore] \
             pam_svcauth.so/' /etc/pam.d/common-account /etc/pam.d/common-session /etc/pam.d/common-session-noninteractive",
        )?;
        let said = machine.run(PROVE)?.expect_code(1)?;
        require_contains("what it says", &said.stdout, "FAILED  the refused person does not get a command by ssh (it worked)")?;
        require_contains("what it says", &said.stdout, "ok      the allowed person gets a command by ssh")?;
        require_contains("the last line", said.text().lines().last().unwrap_or_default(), "NOT PROVEN: ")
    })
}
