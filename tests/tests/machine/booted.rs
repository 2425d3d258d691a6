//! The machines themselves: what every other theme takes for granted.

use svcauth_tests::failure::{Outcome, require, require_contains, require_eq, require_lacks};
use svcauth_tests::machine::{Debian, Release};
use svcauth_tests::machine_cases;

machine_cases!("booted":
    a_plain_machine_is_up_and_lets_in_whom_it_knows,
    files_and_processes_are_the_machines_own,
    a_reboot_keeps_the_files_and_ends_the_processes,
    an_enabled_machine_lets_bob_in_and_carol_not,
);

fn a_plain_machine_is_up_and_lets_in_whom_it_knows(debian: &Debian) -> Outcome {
    let machine = debian.plain()?;
    machine.explaining(|machine| {
        require_eq("its state", machine.run(&["systemctl", "is-system-running"])?.text(), "running")?;
        let version = machine.ask(&["systemctl", "--version"])?;
        let expected = match debian.release() {
            Release::Debian12 => "systemd 252",
            Release::Debian13 => "systemd 257",
        };
        require_contains("the release", &version, expected)?;
        for user in ["root", "local"] {
            require_eq("a login", machine.ssh(user, user, &["id", "-un"])?.expect_ok()?.text(), user)?;
        }
        for person in ["bob", "mallory"] {
            machine.ssh(person, "deployer", &["true"])?.expect_refused()?;
            machine.ssh(person, "root", &["true"])?.expect_refused()?;
        }
        Ok(())
    })
}

fn files_and_processes_are_the_machines_own(debian: &Debian) -> Outcome {
    let (one, other) = (debian.plain()?, debian.plain()?);
    one.write("/etc/mine", 0o640, "one\n")?;
    require_eq("the text", one.ask(&["cat", "/etc/mine"])?.as_str(), "one")?;
    require_eq("mode and owner", one.ask(&["stat", "-c", "%a %u:%g", "/etc/mine"])?.as_str(), "640 0:0")?;
    require(!other.exists("/etc/mine"), || "the other machine has it, too".to_owned())?;
    one.tell("systemctl stop cron; ! pgrep -x cron")?;
    other.tell("systemctl is-active cron; pgrep -x cron").map(drop)
}

fn a_reboot_keeps_the_files_and_ends_the_processes(debian: &Debian) -> Outcome {
    let mut machine = debian.plain()?;
    machine.tell("echo kept >/etc/kept; touch /run/lost; sleep 1000 >/dev/null 2>&1 &")?;
    let boot = "cat /proc/sys/kernel/random/boot_id";
    let before = machine.tell(&format!("pgrep -x sleep >&2; {boot}"))?;
    machine.reboot()?;
    require_eq("the file", machine.read("/etc/kept")?.as_str(), "kept\n")?;
    let after = machine.tell(&format!("test ! -e /run/lost; ! pgrep -x sleep; {boot}"))?;
    require(before != after, || format!("boot id {before} before and after"))?;
    machine.cut_power()?;
    machine.power_on()?;
    machine.ssh("root", "root", &["true"])?.expect_ok().map(drop)
}

fn an_enabled_machine_lets_bob_in_and_carol_not(debian: &Debian) -> Outcome {
    let machine = debian.enabled()?;
    machine.explaining(|machine| {
        require_eq("bob", machine.ssh("bob", "deployer", &["id", "-un"])?.expect_ok()?.text(), "deployer")?;
        for user in ["root", "local"] {
            require_eq("a login", machine.ssh(user, user, &["id", "-un"])?.expect_ok()?.text(), user)?;
        }
        let carol = machine.ssh("carol", "deployer", &["id", "-un"])?.expect_refused()?;
        require_lacks("what carol sees", &carol.stdout, "deployer")?;
        let denied = [r#""decision":"deny""#, r#""reason":"not_in_role""#, r#""origin":"carol""#];
        machine.wait_for_record(0, &denied).map(drop)
    })
}
