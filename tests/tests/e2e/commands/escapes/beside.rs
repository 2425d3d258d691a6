//! What sshd and shells run of an account's own before or beside a command, and what needs no command at all.

use svcauth_tests::failure::{Outcome, require, require_contains, require_eq};
use svcauth_tests::keys::Key;
use svcauth_tests::sshd::{Sshd, client};
use svcauth_tests::world::World;

use super::super::{asked, own, own_folder};
use super::{HOMES, Range, clear, happened, harmless};

const RULE: &str = "shell = \"deny\"\ncommands = [[\"/usr/bin/ls\", \"<any>\"]]";
/// A connection of its own, not the open one.
const ANEW: &[&str] = &["-oControlPath=none"];

/// Files that shells read, and whether only a login shell does.
const SHELL_FILES: &[(&str, bool)] = &[
    (".bashrc", false),
    (".bash_profile", true),
    (".bash_login", true),
    (".profile", true),
    (".bash_logout", true),
];

pub(super) fn no_file_of_the_home_is_run(world: &mut World) -> Outcome {
    let range = Range::open(world, RULE)?;
    for (name, of_login) in SHELL_FILES {
        in_homes(&range, name, "touch /tmp/marks/mark\n")?;
        if *of_login {
            a_login_reads_nothing(&range, name)?
        } else {
            range.try_one(&harmless("ls /", ANEW))?
        }
        out_of_homes(name)?;
    }
    the_rc_file_of_sshd_is_a_command_as_any_other(&range)?;
    a_forced_command_of_a_key_is_a_command_as_any_other(&range)
}

fn in_homes(range: &Range<'_>, name: &str, text: &str) -> Outcome {
    for (user, home) in HOMES {
        let path = format!("{home}/{name}");
        range.world.write(&path, 0o755, text)?;
        if user == "deployer" {
            own(&path)?;
        }
    }
    Ok(())
}

fn out_of_homes(name: &str) -> Outcome {
    HOMES.iter().try_for_each(|(_, home)| Ok(std::fs::remove_file(format!("{home}/{name}"))?))
}

fn a_login_reads_nothing(range: &Range<'_>, name: &str) -> Outcome {
    let login = |user: &str| {
        clear()?;
        client(&["-tt"], user, range.host.key("bob")?, &[]).input("logout\n").run()
    };
    login("local")?;
    require(happened(), || format!("{name}: the trap does not work"))?;
    let mark = range.world.log().mark();
    login("deployer")?.expect_code(super::REFUSED)?;
    require(!happened(), || format!("{name}: IT RAN"))?;
    require_eq("records", &asked(range.world, mark).len(), &1)
}

/// sshd has the login shell run it before the command: it is asked about, too, and refused.
fn the_rc_file_of_sshd_is_a_command_as_any_other(range: &Range<'_>) -> Outcome {
    own_folder("/home/deployer/.ssh")?;
    in_homes(range, ".ssh/rc", "touch /tmp/marks/mark\n")?;
    clear()?;
    let key = range.host.key("bob")?;
    range.host.sshd.ssh_with(ANEW, "local", key, &["ls /"])?.expect_ok()?;
    require(happened(), || "~/.ssh/rc: the trap does not work".to_owned())?;
    clear()?;
    let mark = range.world.log().mark();
    let listed = range.host.sshd.ssh_with(ANEW, "deployer", key, &["ls /"])?.expect_ok()?;
    require_contains("the listing", &listed.stdout, "etc\n")?;
    require(!happened(), || "~/.ssh/rc: IT RAN".to_owned())?;
    range.world.log().wait_for(mark, "command", &[("command", "ls /"), ("origin", "bob")])?;
    let records: Vec<(String, String)> =
        asked(range.world, mark).into_iter().map(|r| (r.verb.clone(), r.get("command").to_owned())).collect();
    let expected = [("command_refused", "/bin/sh /home/deployer/.ssh/rc"), ("command", "ls /")];
    require_eq(
        "the records",
        &records,
        &expected.map(|(verb, line)| (verb.to_owned(), line.to_owned())).to_vec(),
    )?;
    out_of_homes(".ssh/rc")
}

fn a_forced_command_of_a_key_is_a_command_as_any_other(range: &Range<'_>) -> Outcome {
    let key: &Key = range.host.key("bob")?;
    for (user, _) in HOMES {
        let line = format!("command=\"touch /tmp/marks/mark\" {}\n", key.public());
        range.world.write(format!("/etc/ssh/keys/{user}"), 0o644, line)?;
    }
    clear()?;
    range.host.sshd.ssh_with(ANEW, "local", key, &["ls /"])?.expect_ok()?;
    require(happened(), || "command=: the trap does not work".to_owned())?;
    clear()?;
    let mark = range.world.log().mark();
    range.host.sshd.ssh_with(ANEW, "deployer", key, &["ls /"])?.expect_code(super::REFUSED)?;
    require(!happened(), || "command=: IT RAN".to_owned())?;
    let record = super::asked_once(range.world, mark)?;
    require(record.says("command_refused", &[("command", "touch /tmp/marks/mark")]), || record.line.clone())?;
    HOMES.iter().try_for_each(|(user, _)| Sshd::authorize(range.world, user, &[key]))
}
