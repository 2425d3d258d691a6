//! An account of /etc/passwd that is managed: limited through sshd, and refused when what decides about it is lost.

use svcauth_tests::failure::{Context, Outcome, require, require_contains, require_eq, require_lacks};
use svcauth_tests::machine::Machine;

use crate::broken::module;

const MAKE: &str = "
useradd --uid 1500 --create-home --shell /bin/bash robot
install -d -m 700 -o robot -g robot /home/robot/.ssh
cat /root/keys/bob.pub /root/keys/carol.pub >/home/robot/.ssh/authorized_keys
chown robot: /home/robot/.ssh/authorized_keys
";

/// The account robot, which bob's and carol's keys open.
pub(super) fn make(machine: &Machine) -> Outcome {
    machine.tell(MAKE).map(drop)
}

pub(super) fn are_limited_and_have_their_fallback(machine: &Machine) -> Outcome {
    let mark = machine.records().len();
    require_eq("bob", machine.ssh("bob", "robot", &["id -un"])?.expect_ok()?.text(), "robot")?;
    machine.ssh("bob", "robot", &["id -un; id"])?.expect_code(126)?;
    for decision in [r#""decision":"allow""#, r#""decision":"deny""#] {
        let parts = [r#""event":"command""#, r#""account":"robot""#, r#""origin":"bob""#, decision];
        machine.wait_for_record(mark, &parts)?;
    }
    machine.ssh("carol", "robot", &["id -un"])?.expect_refused()?;
    let parts = [r#""account":"robot""#, r#""origin":"carol""#, r#""reason":"not_in_role""#];
    machine.wait_for_record(mark, &parts)?;
    let path = module(machine, "security/pam_svcauth.so")?;
    machine.tell(&format!("mv {path} /root/kept-module"))?;
    let lost = without_the_module(machine).doing("without the module");
    machine.tell(&format!("cp -a /root/kept-module {path}.new; mv {path}.new {path}"))?;
    lost?;
    require_eq("bob again", machine.ssh("bob", "robot", &["id -un"])?.expect_ok()?.text(), "robot")
}

/// What `pam_listfile` says of the names of `local_accounts`; and without these, what the daemon says to svcauth-shell.
fn without_the_module(machine: &Machine) -> Outcome {
    machine.ssh("bob", "robot", &["id -un"])?.expect_code(255)?;
    for user in ["root", "local"] {
        require_eq("a login", machine.ssh(user, user, &["id", "-un"])?.expect_ok()?.text(), user)?;
    }
    let list = "/var/lib/svcauth/local_accounts";
    require_eq("the list", machine.read(list)?.as_str(), "robot\n")?;
    machine.tell(&format!("mv {list} /root/kept-list"))?;
    let mark = machine.records().len();
    let ended = machine.ssh("bob", "robot", &["id -un"]);
    machine.tell(&format!("cp -a /root/kept-list {list}"))?;
    let ended = ended?.expect_code(126)?;
    require_lacks("what ran", &ended.stdout, "robot")?;
    require_contains("what is said", &ended.stderr, "svcauth: id -un is not allowed for robot")?;
    let parts = [r#""event":"command""#, r#""account":"robot""#, r#""reason":"no_origin""#];
    machine.wait_for_record(mark, &parts)?;
    require(machine.ssh("local", "local", &["true"])?.ok(), || "the local user is out".to_owned())
}
