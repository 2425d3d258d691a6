//! su and sudo into a managed account: the invoker decides, in the session phase.

use std::path::Path;
use std::time::Duration;

use svcauth_tests::cases;
use svcauth_tests::failure::{Outcome, require, require_contains, require_eq};
use svcauth_tests::program::Program;
use svcauth_tests::world::World;

use crate::host::{Host, Plan, no_passwords, su, sudo};

cases!("su_sudo":
    bob_may_and_carol_may_not_by_sudo,
    bob_may_and_carol_may_not_by_su,
    login_shells_and_sudoedit_are_no_way_round,
    another_modules_session_error_does_not_let_carol_in,
    root_may_become_the_account_and_is_recorded,
    root_and_local_targets_are_left_alone,
    the_person_behind_an_account_stays_known_in_the_next_step,
    a_service_that_no_rule_names_is_refused,
    a_console_login_has_nobody_behind_it_and_is_refused,
);

fn start(world: &World) -> Outcome<Host> {
    let host = Plan::new(world)?.start(world)?;
    no_passwords(world)?;
    Ok(host)
}

fn bob_may_and_carol_may_not_by_sudo(world: &mut World) -> Outcome {
    let _host = start(world)?;
    require_eq(
        "bob by sudo",
        sudo(world, "bob", "deployer", &["id", "-un"])?.expect_ok()?.text(),
        "deployer",
    )?;
    let pairs = [("account", "deployer"), ("origin", "bob"), ("evidence", "invoker"), ("service", "sudo")];
    world.log().wait_for(0, "allow", &pairs)?;
    let refused = sudo(world, "carol", "deployer", &["touch", "/tmp/carol"])?.expect_refused()?;
    // What sudo says when the session phase returns PAM_PERM_DENIED; the account phase has another sentence.
    require_contains("what sudo says", &refused.stderr, "policy plugin failed session initialization")?;
    require(!Path::new("/tmp/carol").exists(), || "carol's command ran".to_owned())?;
    let pairs = [("origin", "carol"), ("reason", "not_in_role"), ("service", "sudo")];
    world.log().wait_for(0, "deny", &pairs).map(drop)
}

fn bob_may_and_carol_may_not_by_su(world: &mut World) -> Outcome {
    let _host = start(world)?;
    require_eq("bob by su", su(world, "bob", "deployer", "id -un")?.expect_ok()?.text(), "deployer")?;
    world.log().wait_for(0, "allow", &[("origin", "bob"), ("evidence", "invoker"), ("service", "su")])?;
    let refused = su(world, "carol", "deployer", "touch /tmp/carol")?.expect_refused()?;
    require_contains("what su says", &refused.stderr, "cannot open session: Permission denied")?;
    require(!Path::new("/tmp/carol").exists(), || "carol's command ran".to_owned())?;
    let pairs = [("origin", "carol"), ("reason", "not_in_role"), ("service", "su")];
    world.log().wait_for(0, "deny", &pairs).map(drop)
}

fn login_shells_and_sudoedit_are_no_way_round(world: &mut World) -> Outcome {
    let _host = start(world)?;
    world.write("/srv/file", 0o666, "untouched\n")?;
    let ways: &[&[&str]] = &[
        &["sudo", "-n", "-i", "-u", "deployer", "touch", "/tmp/MARK"],
        &["sudo", "-n", "-b", "-u", "deployer", "touch", "/tmp/MARK"],
        &["su", "-", "deployer", "-c", "touch /tmp/MARK"],
        &["su", "-l", "deployer", "-c", "touch /tmp/MARK"],
    ];
    for way in ways {
        for (person, expected) in [("bob", true), ("carol", false)] {
            let mark = format!("/tmp/{person}");
            let words: Vec<String> = way.iter().map(|word| word.replace("/tmp/MARK", &mark)).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let ended = world.as_user(person, &words).run()?;
            let waited = wait_for_file(&mark, expected);
            require(waited == expected, || format!("{person}: ran is {waited}\n{}", ended.report()))?;
            let _ = std::fs::remove_file(mark);
        }
    }
    let edit = |person| world.as_user(person, &["sudo", "-n", "-u", "deployer", "sudoedit", "/srv/file"]);
    let edit = |person| edit(person).env("SUDO_EDITOR", "/usr/bin/tee").input("edited\n").run();
    edit("carol")?.expect_refused()?;
    require_eq("the file", &std::fs::read_to_string("/srv/file")?.as_str(), &"untouched\n")
}

/// `sudo -b` returns before its command has run.
fn wait_for_file(path: &str, expected: bool) -> bool {
    for _ in 0..if expected { 3000 } else { 10 } {
        if Path::new(path).exists() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

/// sudo takes the first failure of the stack and runs the command on PAM_SESSION_ERR: our line has to be the first.
fn another_modules_session_error_does_not_let_carol_in(world: &mut World) -> Outcome {
    let _host = start(world)?;
    let stack = std::fs::read_to_string("/etc/pam.d/sudo")?;
    // pam_exec turns a failed command into PAM_SYSTEM_ERR, pam_limits with a bad file into PAM_SESSION_ERR or the like;
    // pam_debug returns exactly what it is told.
    let broken = format!("{stack}session required pam_debug.so open_session=session_err\n");
    world.write("/etc/pam.d/sudo", 0o644, &broken)?;
    sudo(world, "bob", "deployer", &["touch", "/tmp/bob"])?;
    require(Path::new("/tmp/bob").exists(), || {
        "the trap does not work: sudo did not run bob's command".to_owned()
    })?;
    sudo(world, "carol", "deployer", &["touch", "/tmp/carol"])?.expect_refused()?;
    require(!Path::new("/tmp/carol").exists(), || "carol's command ran".to_owned())
}

fn root_may_become_the_account_and_is_recorded(world: &mut World) -> Outcome {
    let _host = start(world)?;
    let ended = Program::new("su").args(&["deployer", "-c", "id -un"]).run()?.expect_ok()?;
    require_eq("root by su", ended.text(), "deployer")?;
    world.log().wait_for(0, "allow", &[("account", "deployer"), ("service", "su")])?;
    sudo(world, "carol", "deployer", &["true"])?.expect_refused().map(drop)
}

fn root_and_local_targets_are_left_alone(world: &mut World) -> Outcome {
    let _host = start(world)?;
    sudo(world, "bob", "deployer", &["true"])?.expect_ok()?;
    world.log().wait_for(0, "end", &[("origin", "bob")])?;
    let mark = world.log().mark();
    for target in ["root", "local", "bob"] {
        require_eq("sudo", sudo(world, "carol", target, &["id", "-un"])?.expect_ok()?.text(), target)?;
        require_eq("su", su(world, "carol", target, "id -un")?.expect_ok()?.text(), target)?;
    }
    world.log().wait_for_line(mark, &["session closed for user bob"])?;
    require_eq("records about them", &world.log().records_since(mark), &Vec::new())
}

fn the_person_behind_an_account_stays_known_in_the_next_step(world: &mut World) -> Outcome {
    let mut plan = Plan::new(world)?;
    plan.site.directory.account("jenkins", 7002, 7000);
    plan.site.configure(
        "accounts = [\"deployer\"]                 #",
        "accounts = [\"deployer\", \"jenkins\"] #",
    )?;
    let mut host = plan.start(world)?;
    no_passwords(world)?;
    let next = "sudo -n -u jenkins id -un";
    require_eq("bob, two steps", host.ssh("bob", "deployer", &[next])?.expect_ok()?.text(), "jenkins")?;
    let pairs = [("account", "jenkins"), ("origin", "bob"), ("evidence", "inherited"), ("service", "sudo")];
    world.log().wait_for(0, "allow", &pairs)?;
    // Outside of any session the account is nobody, whatever its rights.
    let lost =
        world.as_account("deployer", 7001, 7000, &["sudo", "-n", "-u", "jenkins", "id", "-un"]).run()?;
    lost.expect_refused()?;
    world.log().wait_for(0, "deny", &[("account", "jenkins"), ("reason", "no_origin")])?;
    host.site.directory.leave("bob", "application")?;
    host.publish(world)?;
    host.ssh("bob", "deployer", &[next])?.expect_refused().map(drop)
}

fn a_service_that_no_rule_names_is_refused(world: &mut World) -> Outcome {
    let mut plan = Plan::new(world)?;
    plan.site
        .configure("services = [\"sshd\", \"su\", \"sudo\", \"login\"]", "services = [\"sshd\", \"su\"]")?;
    let host = plan.start(world)?;
    no_passwords(world)?;
    host.ssh("bob", "deployer", &["true"])?.expect_ok()?;
    su(world, "bob", "deployer", "true")?.expect_ok()?;
    sudo(world, "bob", "deployer", &["true"])?.expect_refused()?;
    world.log().wait_for(0, "deny", &[("reason", "service_not_allowed"), ("service", "sudo")]).map(drop)
}

/// `login` knows no invoker and no key. A local user and root get in as ever.
fn a_console_login_has_nobody_behind_it_and_is_refused(world: &mut World) -> Outcome {
    let _host = start(world)?;
    for (user, expected) in [("local", true), ("root", true), ("deployer", false)] {
        let mark = format!("/tmp/{user}");
        let line = format!("login -f {user}");
        let console = Program::new("script").args(&["-q", "-e", "-c", &line, "/dev/null"]);
        let ended = console.input(format!("touch {mark}; exit\n")).patience(Duration::from_secs(60)).run()?;
        let ran = wait_for_file(&mark, expected);
        require(ran == expected, || format!("{user}: ran is {ran}\n{}", ended.report()))?;
    }
    let pairs = [("account", "deployer"), ("reason", "no_origin"), ("service", "login")];
    world.log().wait_for(0, "deny", &pairs).map(drop)
}
