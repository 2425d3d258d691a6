//! `svcauth doctor --prove` on a server with a real systemd, as an administrator would run it.

use std::time::Duration;

use svcauth_tests::failure::{Outcome, require_contains};
use svcauth_tests::machine::{Debian, Machine};
use svcauth_tests::machine_cases;
use svcauth_tests::program::Ended;

machine_cases!("prove":
    a_server_where_a_refusal_is_ignored_is_not_proven,
);

const PROVE: &[&str] = &["svcauth", "doctor", "--prove"];

/// Runs it; where nothing is refused, each step waits for what does not happen.
fn prove(machine: &Machine) -> Outcome<Ended> {
    machine.program(PROVE)?.patience(Duration::from_secs(600)).run()
}

fn a_server_where_a_refusal_is_ignored_is_not_proven(debian: &Debian) -> Outcome {
    let machine = debian.enabled()?;
    machine.explaining(|machine| {
        machine.tell(
            "sed -i -e '/pam_listfile.so\\|pam_localuser.so/d' -e 's/^\\(account\\|session\\).*pam_svcauth.so/\\1 [success=ok default=ignore] \
             pam_svcauth.so/' /etc/pam.d/common-account /etc/pam.d/common-session /etc/pam.d/common-session-noninteractive",
        )?;
        let said = prove(machine)?.expect_code(1)?;
        require_contains("what it says", &said.stdout, "FAILED  the refused person does not get a command by ssh (it worked)")?;
        require_contains("what it says", &said.stdout, "ok      the allowed person gets a command by ssh")?;
        require_contains("the last line", said.text().lines().last().unwrap_or_default(), "NOT PROVEN: ")
    })
}
