//! An activation on trial, and what ends one in the middle: everything comes back by itself.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use svcauth_tests::cases;
use svcauth_tests::failure::{Context, Outcome, require, require_contains, require_eq};
use svcauth_tests::program::{Ended, Program, wait_until};
use svcauth_tests::site::{svcauth, svcauth_json, text_at};
use svcauth_tests::sshd::client;
use svcauth_tests::world::World;

use crate::activation::{
    differing, enable, files, is_in_force, is_out_of_force, label, labels, switched_off,
};
use crate::host::{Host, getent, others_get_in};

cases!("activation_trial":
    what_nobody_confirms_is_put_back_by_itself,
    a_new_login_confirms_and_an_old_one_does_not,
    stacks_that_shut_everybody_out_are_put_back_by_themselves,
    disable_ends_a_trial,
    enable_that_is_killed_at_any_step_lets_nobody_in_and_is_undone,
    disable_that_is_killed_at_any_step_lets_nobody_in_and_is_undone,
    ctrl_c_at_the_question_changes_nothing,
);

const PATIENCE: Duration = Duration::from_secs(120);

fn wait_until_as(before: &crate::activation::Files) -> Outcome {
    wait_until("everything put back", PATIENCE, || {
        differing(before, &files().ok()?).is_empty().then_some(())
    })?;
    // sshd is told a moment later, and the journal goes last.
    wait_until("the journal forgotten", PATIENCE, || (!pending()).then_some(()))
}

fn pending() -> bool {
    Path::new("/var/lib/svcauth/activation/pending").exists()
}

fn what_nobody_confirms_is_put_back_by_itself(world: &mut World) -> Outcome {
    const LABELLED: &[&str] = &["/etc/nsswitch.conf", "/etc/pam.d/common-account"];
    let host = switched_off(world)?;
    label(LABELLED)?;
    let (before, had) = (files()?, labels(LABELLED)?);
    let told = enable(&["--yes", "--confirm", "20s"])?.expect_ok()?;
    require_contains("what enable says", &told.stdout, "svcauth confirm")?;
    is_in_force(&host)?;
    let (_, status) = svcauth_json(&["status"])?;
    require_eq("the state", &text_at(&status, "/activation/state"), &"on_trial")?;
    require_contains("status", &svcauth(&["status"])?.stdout, "activation  on trial")?;
    let again = enable(&["--yes"])?.expect_ok()?;
    require_contains("enable again", &again.stdout, "on trial")?;
    wait_until_as(&before)?;
    is_out_of_force(&host)?;
    require_eq("access lists and attributes", &labels(LABELLED)?, &had)?;
    world.log().wait_for(0, "admin", &[("command", "svcauth enable")])?;
    world.log().wait_for(0, "admin", &[("command", "svcauth rollback")])?;
    let late = svcauth(&["confirm"])?.expect_code(1)?;
    require_contains("too late", &late.stderr, "no activation is on trial")
}

/// Runs a command in a root login that is open already, when told to.
const WAITING: &str = "while [ ! -e /run/world/go ]; do sleep 0.1; done; svcauth confirm >/run/world/said 2>&1; \
                       echo $? >/run/world/code.new; mv /run/world/code.new /run/world/code";

fn a_new_login_confirms_and_an_old_one_does_not(world: &mut World) -> Outcome {
    let host = switched_off(world)?;
    let old = client(&[], "root", host.key("carol")?, &[WAITING]).start(world.log_file("old-login.out")?)?;
    host.ssh("carol", "root", &["true"])?.expect_ok()?;
    wait_until("the old login", PATIENCE, || {
        let found = Program::new("pgrep").args(&["-f", "world/go"]).run().ok()?;
        found.ok().then_some(())
    })?;
    enable(&["--yes", "--confirm", "5m"])?.expect_ok()?;
    let here = svcauth(&["confirm"])?.expect_code(1)?;
    require_contains("from no login", &here.stderr, "no login")?;
    world.write("/run/world/go", 0o644, "")?;
    let code = wait_until("the old login's answer", PATIENCE, || fs::read_to_string("/run/world/code").ok())?;
    require_eq("the old login's status", &code.trim(), &"1")?;
    require_contains("what it says", &fs::read_to_string("/run/world/said")?, "older than the activation")?;
    require(pending(), || "it was kept".to_owned())?;
    drop(old);
    let kept = host.ssh("carol", "root", &["svcauth", "confirm"])?.expect_ok()?;
    require_contains("the new login", &kept.stdout, "Confirmed")?;
    require(!pending(), || "it still waits".to_owned())?;
    is_in_force(&host)?;
    let again = host.ssh("carol", "root", &["svcauth", "confirm"])?.expect_code(1)?;
    require_contains("once more", &again.stderr, "no activation is on trial")
}

fn stacks_that_shut_everybody_out_are_put_back_by_themselves(world: &mut World) -> Outcome {
    let host = switched_off(world)?;
    let before = files()?;
    let module = world.pam_folder()?.join("pam_svcauth.so");
    let breakages: [fn(&World, &Path) -> Outcome; 3] = [
        |world, _| world.write("/etc/pam.d/common-account", 0o644, "account required pam_deny.so\n"),
        |world, _| {
            world.write("/etc/ssh/sshd_config.d/10-svcauth.conf", 0o644, "DenyUsers *\n")?;
            Program::new("pkill").args(&["-HUP", "-o", "-x", "sshd"]).run()?.expect_ok().map(drop)
        },
        |world, module| {
            for stack in ["account", "session"] {
                let path = format!("/etc/pam.d/common-{stack}");
                let text = fs::read_to_string(&path)?.replace("module_unknown=ignore", "module_unknown=die");
                world.write(&path, 0o644, text)?;
            }
            world.write("/run/world/garbage", 0o644, "no module")?;
            fs::rename("/run/world/garbage", module).or_else(|_| fs::write(module, "no module"))?;
            Ok(())
        },
    ];
    for (at, breakage) in breakages.iter().enumerate() {
        enable(&["--yes", "--confirm", "15s"])?.expect_ok()?;
        others_get_in(&host)?;
        breakage(world, &module)?;
        wait_until("everybody is shut out", PATIENCE, || shut_out(&host)).doing(format!("breakage {at}"))?;
        wait_until_as(&before)?;
        wait_until("root gets in", PATIENCE, || others_get_in(&host).ok())?;
    }
    require(fs::read_dir("/var/lib/svcauth/activation/edited")?.count() >= 2, || {
        "no copies were kept".to_owned()
    })
}

fn shut_out(host: &Host) -> Option<()> {
    host.ssh("carol", "root", &["true"]).ok()?.expect_refused().ok().map(drop)
}

fn disable_ends_a_trial(world: &mut World) -> Outcome {
    let host = switched_off(world)?;
    let before = files()?;
    enable(&["--yes", "--confirm", "5m"])?.expect_ok()?;
    is_in_force(&host)?;
    let shown = svcauth(&["disable", "--dry-run"])?.expect_ok()?;
    require_contains("what disable would do", &shown.stdout, "-passwd: files svcauth")?;
    svcauth(&["disable", "--yes"])?.expect_ok()?;
    require_eq("what is left", &differing(&before, &files()?), &Vec::<String>::new())?;
    is_out_of_force(&host)?;
    wait_until("the one who waited is gone", PATIENCE, || {
        let found = Program::new("pgrep").args(&["-f", "svcauth rollback"]).run().ok()?;
        (!found.ok()).then_some(())
    })
}

/// `svcauth WORDS` that is killed as it begins its N-th rename(2).
fn killed_at(number: usize, words: &[&str]) -> Outcome<Ended> {
    const CALLS: &str = "rename,renameat,renameat2";
    let strace = Program::new("strace").args(&["-o", "/dev/null", "-e", &format!("trace={CALLS}")]);
    let kill = format!("inject={CALLS}:signal=KILL:when={number}");
    strace.args(&["-e", &kill, "/usr/bin/svcauth"]).args(words).run()
}

/// Whatever the state is: carol never gets in, root and local users always do.
fn is_safe(host: &Host) -> Outcome {
    host.ssh("carol", "deployer", &["true"])?.expect_refused()?;
    others_get_in(host)
}

fn enable_that_is_killed_at_any_step_lets_nobody_in_and_is_undone(world: &mut World) -> Outcome {
    let host = switched_off(world)?;
    let before = files()?;
    let mut seen = Vec::new();
    for number in 1.. {
        let ended = killed_at(number, &["enable", "--yes"])?;
        let changed = differing(&before, &files()?);
        is_safe(&host).doing(format!("killed at call {number}"))?;
        if ended.ok() {
            break;
        }
        require_eq("the status", &ended.code, &137).doing(ended.report())?;
        seen.push(changed.iter().filter(|name| !name.ends_with(".svcauth-new")).count());
        // In turn: what the next boot does, and what the next run does.
        if number % 2 == 0 {
            svcauth(&["rollback"])?.expect_ok()?;
        } else {
            svcauth(&["disable", "--yes"])?.expect_ok()?;
        }
        require_eq("what is left", &differing(&before, &files()?), &Vec::<String>::new())
            .doing(format!("killed at call {number}"))?;
    }
    require((0..=9).all(|count| seen.contains(&count)), || format!("killed with {seen:?} changed"))?;
    is_in_force(&host)
}

fn disable_that_is_killed_at_any_step_lets_nobody_in_and_is_undone(world: &mut World) -> Outcome {
    let host = switched_off(world)?;
    let before = files()?;
    enable(&["--yes"])?.expect_ok()?;
    let on = files()?;
    let mut kills = 0;
    for number in 1.. {
        let ended = killed_at(number, &["disable", "--yes"])?;
        is_safe(&host).doing(format!("killed at call {number}"))?;
        if ended.ok() {
            break;
        }
        kills += 1;
        svcauth(&["rollback"])?.expect_ok()?;
        let now = files()?;
        let (from_on, from_off) = (differing(&on, &now), differing(&before, &now));
        // Near its end it is done, and stays so.
        require(from_on.is_empty() || from_off.is_empty(), || format!("{number}: {from_on:?} {from_off:?}"))?;
        if from_off.is_empty() {
            getent("passwd", "deployer")?.expect_code(2)?;
            enable(&["--yes"])?.expect_ok()?;
        } else {
            is_in_force(&host)?;
        }
    }
    require(kills > 9, || format!("it was killed {kills} times"))?;
    require_eq("what is left", &differing(&before, &files()?), &Vec::<String>::new())
}

fn ctrl_c_at_the_question_changes_nothing(world: &mut World) -> Outcome {
    let host = switched_off(world)?;
    let before = files()?;
    world.write("/run/world/ask", 0o755, ASK)?;
    fs::set_permissions("/run/world/ask", fs::Permissions::from_mode(0o755))?;
    for (answer, code) in [("\\x03", -2), ("n\\n", 1), ("\\n", 1), ("\\x04", 1)] {
        let ended = Program::new("python3").args(&["/run/world/ask", answer]).run()?.expect_ok()?;
        require_contains("the question", &ended.stdout, "Change these files? [y/N]")?;
        require_contains("the status", &ended.stdout, &format!("status {code}\n"))?;
        require_eq("what has changed", &differing(&before, &files()?), &Vec::<String>::new())?;
    }
    let yes = Program::new("python3").args(&["/run/world/ask", "y\\n"]).run()?.expect_ok()?;
    require_contains("the status", &yes.stdout, "status 0\n")?;
    is_in_force(&host)
}

/// Runs `svcauth enable` on a terminal of its own and answers its question.
const ASK: &str = r#"
import os, pty, sys
answer = sys.argv[1].encode().decode("unicode_escape").encode()
pid, terminal = pty.fork()
if pid == 0:
    os.execv("/usr/bin/svcauth", ["svcauth", "enable"])
said = b""
answered = False
while True:
    try:
        data = os.read(terminal, 4096)
    except OSError:
        break
    if not data:
        break
    said += data
    if not answered and b"[y/N]" in said:
        os.write(terminal, answer)
        answered = True
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(said.decode(errors="replace"))
print("status", status)
"#;
