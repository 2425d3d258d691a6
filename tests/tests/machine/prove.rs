//! `svcauth doctor --prove` on a server with a real systemd, as an administrator would run it.

use std::time::Duration;

use svcauth_tests::failure::{Context as _, Outcome, require, require_contains, require_eq, require_lacks};
use svcauth_tests::machine::{Debian, Etc, Machine};
use svcauth_tests::machine_cases;
use svcauth_tests::program::Ended;

machine_cases!("prove":
    an_enabled_server_is_proven_and_notices_nothing_of_it,
    a_server_where_a_refusal_is_ignored_is_not_proven,
);

const PROVE: &[&str] = &["svcauth", "doctor", "--prove"];

/// Runs it; where nothing is refused, each step waits for what does not happen.
fn prove(machine: &Machine) -> Outcome<Ended> {
    machine.program(PROVE)?.patience(Duration::from_secs(600)).run()
}

/// What must not be different afterwards: listeners, mounts, processes of the proof, the trail, the books of logins, sessions,
/// and files with their times. Two files of the daemon are left out: it writes them anew at every `refresh`.
const TRACES: &str = r#"
ss -Hlnx | awk '{print "listens", $5}' | sort
ss -Hlnt | awk '{print "listens", $4}' | sort
ps -eo args | grep '[p]rove' || true
cat /proc/self/mounts /var/log/svcauth/audit.jsonl
seen() { find "$@" -printf '%p %m %U %G %s %T@\n' | sort; }
for book in /run/utmp /var/log/wtmp /var/log/btmp /var/log/lastlog /var/lib/wtmpdb /var/lib/lastlog; do
    ! test -e "$book" || seen "$book"
done
seen /home /root /tmp /run/svcauth/sessions
seen /var/lib/svcauth -type f ! -name '*confirmed*' ! -name '*metrics.prom*'
"#;

fn traces(machine: &Machine) -> Outcome<String> {
    machine.tell(TRACES)
}

/// One line for each trace that came, went or changed.
fn differences(now: &str, before: &str) -> Vec<String> {
    let only = |sign: char, one: &str, other: &str| {
        let new = one.lines().filter(|line| !other.lines().any(|known| known == *line));
        new.map(|line| format!("{sign} {line}")).collect::<Vec<_>>()
    };
    [only('-', before, now), only('+', now, before)].concat()
}

/// Lines of the journal about somebody.
fn in_journal(machine: &Machine, pattern: &str) -> Outcome<String> {
    machine.tell(&format!("journalctl --sync; journalctl -b -q -o cat | grep -c '{pattern}' || true"))
}

/// Waits until the daemon has published for the first time since the boot and has put that on record: a machine is up before.
fn wait_for_the_daemon(machine: &Machine) -> Outcome {
    machine.tell("svcauth sync")?;
    let status = machine.ask(&["svcauth", "status", "--json"])?;
    let status: serde_json::Value = serde_json::from_str(&status).doing("read the status")?;
    let generation = status.pointer("/generation").and_then(serde_json::Value::as_u64).unwrap_or_default();
    let generation = format!("\"generation\":{generation},");
    machine.wait_for_record(0, &["\"event\":\"sync\"", &generation]).map(drop)
}

fn an_enabled_server_is_proven_and_notices_nothing_of_it(debian: &Debian) -> Outcome {
    let machine = debian.enabled()?;
    machine.explaining(|machine| {
        wait_for_the_daemon(machine)?;
        let (files, before) = (Etc::of(machine)?, traces(machine)?);
        let said = prove(machine)?.expect_ok()?;
        require_contains("the last line", said.text().lines().last().unwrap_or_default(), "proven: ")?;
        require_lacks("what it says", &said.stdout, "FAILED")?;
        for step in [
            "a command by ssh",
            "a file by sftp",
            "by sudo -i",
            "by su -",
            "job of cron",
            "ok      root logs in by login",
            "pam_svcauth.so is gone: root",
        ] {
            require_contains("what it says", &said.stdout, step)?;
        }
        require_eq("what was left", &differences(&traces(machine)?, &before), &Vec::<String>::new())?;
        Etc::of(machine)?.require_as(&files, "after the proof")?;
        let probes = r"svcauth-\(probe\|allowed\|refused\|local\)";
        require_eq("lines about the probe in the journal", in_journal(machine, probes)?.as_str(), "0")?;
        a_real_login_is_noticed(machine, &before)
    })
}

/// What shows nothing of the proof would show it.
fn a_real_login_is_noticed(machine: &Machine, before: &str) -> Outcome {
    require_eq("bob", machine.ssh("bob", "deployer", &["id", "-un"])?.expect_ok()?.text(), "deployer")?;
    machine.wait_for_record(0, &["\"event\":\"decision\"", "\"origin\":\"bob\""])?;
    let noticed = differences(&traces(machine)?, before);
    require(noticed.iter().any(|line| line.contains("\"origin\":\"bob\"")), || format!("{noticed:?}"))?;
    let lines = in_journal(machine, "origin=bob")?;
    require(lines != "0", || "the journal has no line about bob".to_owned())
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
