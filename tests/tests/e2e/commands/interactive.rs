//! `shell = "deny"`: nobody gets an interactive shell, whichever way it is asked for.

use std::path::Path;

use svcauth_tests::cases;
use svcauth_tests::failure::{Outcome, require, require_contains, require_eq};
use svcauth_tests::program::Program;
use svcauth_tests::world::World;

use super::{REFUSED, SHELL, asked_once, limited, line_of_ours};
use crate::host::{Host, getent, no_passwords, su};

cases!("commands_interactive":
    an_interactive_login_is_closed_with_one_line,
    a_command_that_is_a_shell_is_refused_with_and_without_a_terminal,
    su_by_a_person_opens_no_shell_whatever_its_options,
    who_may_have_a_shell_gets_the_accounts_own_as_a_login_shell,
    root_may_open_a_shell_of_the_account_and_is_recorded,
);

const NO_SHELL: &str = "shell = \"deny\"\ncommands = [[\"/usr/bin/id\", \"-un\"]]";
/// Typed into whatever opens.
const TYPED: &str = "touch /tmp/marks/shell\nexit\n";

fn start(world: &World, keys: &str) -> Outcome<Host> {
    let host = limited(world, keys)?.start(world)?;
    no_passwords(world)?;
    std::fs::create_dir_all("/tmp/marks")?;
    Program::new("chmod").args(&["1777", "/tmp/marks"]).run()?.expect_ok()?;
    Ok(host)
}

/// What is shown but for what was typed, which a terminal shows, too.
fn without_echo(shown: &str) -> String {
    // The terminal may show it in the middle of what somebody else writes.
    TYPED.lines().fold(shown.replace('\r', ""), |shown, typed| shown.replacen(typed, "", 1))
}

/// Whether somebody has run what was typed.
fn opened() -> bool {
    let mark = Path::new("/tmp/marks/shell");
    std::fs::remove_file(mark).is_ok()
}

/// T-B.6
fn an_interactive_login_is_closed_with_one_line(world: &mut World) -> Outcome {
    let host = start(world, NO_SHELL)?;
    let shell = getent("passwd", "deployer")?.expect_ok()?;
    require_eq("the login shell", shell.text().rsplit(':').next().unwrap_or_default(), SHELL)?;
    require_eq("a command", host.ssh("bob", "deployer", &["id -un"])?.expect_ok()?.text(), "deployer")?;
    for terminal in ["-tt", "-T"] {
        let login = |user: &str| {
            let key = host.key("bob")?;
            svcauth_tests::sshd::client(&[terminal], user, key, &[]).input(TYPED).run()
        };
        login("local")?.expect_ok()?;
        require(opened(), || format!("{terminal}: a local user's shell ran nothing"))?;
        let mark = world.log().mark();
        let ended = login("deployer")?.expect_code(REFUSED)?;
        require(!opened(), || format!("{terminal}: a shell was opened\n{}", ended.report()))?;
        line_of_ours(&without_echo(&(ended.stdout + &ended.stderr)))?;
        let record = asked_once(world, mark)?;
        let pairs = [("reason", "shell_not_allowed"), ("origin", "bob"), ("account", "deployer")];
        require(record.says("command_refused", &pairs) && record.get("command").is_empty(), || {
            record.line.clone()
        })?;
    }
    Ok(())
}

/// T-B.6
fn a_command_that_is_a_shell_is_refused_with_and_without_a_terminal(world: &mut World) -> Outcome {
    let host = start(world, NO_SHELL)?;
    let lines = [
        "bash",
        "bash -i",
        "/bin/sh",
        "exec bash -l",
        "sh -c bash",
        "script -q /dev/null",
        "env bash",
        SHELL,
    ];
    for line in lines {
        for terminal in ["-tt", "-T"] {
            let ssh = |user: &str| {
                let key = host.key("bob")?;
                svcauth_tests::sshd::client(&[terminal], user, key, &[line]).input(TYPED).run()
            };
            if line != SHELL {
                ssh("local")?;
                require(opened(), || format!("{line}: nothing ran as a local user"))?;
            }
            let mark = world.log().mark();
            let ended = ssh("deployer")?.expect_code(REFUSED)?;
            require(!opened(), || format!("{line}: a shell was opened"))?;
            line_of_ours(&without_echo(&(ended.stdout + &ended.stderr)))?;
            let record = asked_once(world, mark)?;
            require(record.verb == "command_refused" && record.get("command") == line, || {
                record.line.clone()
            })?;
        }
    }
    Ok(())
}

fn su_by_a_person_opens_no_shell_whatever_its_options(world: &mut World) -> Outcome {
    let _host = start(world, NO_SHELL)?;
    let allowed = su(world, "bob", "deployer", "id -un")?.expect_ok()?;
    require_eq("a command by su", allowed.text(), "deployer")?;
    let ways: &[&[&str]] = &[
        &["su", "TO"],
        &["su", "-", "TO"],
        &["su", "-s", "/bin/sh", "TO"],
        &["su", "-s", "/bin/bash", "-", "TO"],
        &["su", "-m", "-s", "/bin/sh", "TO"],
        &["su", "-P", "TO"],
        &["su", "-s", "/bin/sh", "TO", "-c", "touch /tmp/marks/shell"],
        &["su", "TO", "-c", "touch /tmp/marks/shell"],
        &["su", "TO", "-c", "id -un; touch /tmp/marks/shell"],
        &["su", "TO", "--", "-c", "touch /tmp/marks/shell"],
        &["sudo", "-n", "-i", "-u", "TO"],
        &["sudo", "-n", "-i", "-u", "TO", "touch", "/tmp/marks/shell"],
    ];
    for way in ways {
        let become_user = |user: &str| {
            let words: Vec<&str> = way.iter().map(|word| if *word == "TO" { user } else { word }).collect();
            world.as_user("bob", &words).input(TYPED).run()
        };
        let worked = become_user("local")?;
        require(opened(), || format!("a local target:\n{}", worked.report()))?;
        let mark = world.log().mark();
        let ended = become_user("deployer")?.expect_refused()?;
        require(!opened(), || format!("it ran:\n{}", ended.report()))?;
        require_contains("what is said", &(ended.stdout + &ended.stderr), "svcauth: ")?;
        let record = asked_once(world, mark)?;
        require(record.says("command_refused", &[("origin", "bob")]), || record.line.clone())?;
    }
    Ok(())
}

fn who_may_have_a_shell_gets_the_accounts_own_as_a_login_shell(world: &mut World) -> Outcome {
    let host = start(world, "shell = \"allow\"\ncommands = []")?;
    world.write("/home/deployer/.bash_profile", 0o644, "PROFILE=read\n")?;
    let key = host.key("bob")?;
    let typed = "echo $0 $PROFILE $HOME $SHELL $(tty) $SVCAUTH_ORIGIN; exit 5\n";
    let mark = world.log().mark();
    let ended =
        svcauth_tests::sshd::client(&["-tt"], "deployer", key, &[]).input(typed).run()?.expect_code(5)?;
    let said = ended
        .stdout
        .lines()
        .rev()
        .find(|line| line.starts_with("-bash "))
        .map(str::trim_end)
        .unwrap_or_default();
    require_contains("what the shell is", said, "-bash read /home/deployer ")?;
    require(said.ends_with(" bob") && said.contains("/dev/pts/"), || said.to_owned())?;
    require(!ended.stderr.contains("svcauth") && !ended.stdout.contains("svcauth: "), || ended.report())?;
    world.log().wait_for_line(mark, &["bob is in application and opened a shell"])?;
    let end = world.log().wait_for(mark, "command_end", &[("origin", "bob"), ("exit_status", "5")])?;
    require(end.get("command").is_empty(), || end.line.clone())?;
    // No command, though: only the shell.
    let mark = world.log().mark();
    host.ssh("bob", "deployer", &["id -un"])?.expect_code(REFUSED)?;
    require_eq("the record", asked_once(world, mark)?.verb.as_str(), "command_refused")
}

fn root_may_open_a_shell_of_the_account_and_is_recorded(world: &mut World) -> Outcome {
    let _host = start(world, NO_SHELL)?;
    for words in [&["su", "deployer"][..], &["su", "-", "deployer"], &["su", "-s", "/bin/sh", "deployer"]] {
        Program::new("su").args(words.get(1..).unwrap_or_default()).input(TYPED).run()?.expect_ok()?;
        require(opened(), || format!("{words:?} ran nothing"))?;
    }
    let mark = world.log().mark();
    let ended = Program::new("su").args(&["deployer", "-c", "id -un; exit 4"]).run()?.expect_code(4)?;
    require_eq("root's command", ended.text(), "deployer")?;
    let record = asked_once(world, mark)?;
    require(record.says("command", &[("origin", "root"), ("command", "id -un; exit 4")]), || {
        record.line.clone()
    })
}
