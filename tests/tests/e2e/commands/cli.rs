//! `svcauth commands propose` and `replay`, `svcauth explain --command` and `svcauth replay`, on the trail of real clients.

use std::fs;

use svcauth_tests::cases;
use svcauth_tests::failure::{Outcome, require, require_contains, require_eq, require_lacks};
use svcauth_tests::program::Program;
use svcauth_tests::site::{CONFIG, list_at, svcauth, svcauth_json, text_at};
use svcauth_tests::trail;
use svcauth_tests::world::World;

use super::clients::Client;
use super::{REFUSED, limited, own_folder, program, rule};
use crate::host::Host;

cases!("commands_cli":
    what_was_learned_is_proposed_pasted_and_enforced_and_refuses_nothing,
    what_a_stricter_configuration_would_have_refused_is_listed_with_whom,
    a_line_is_explained_as_it_is_decided,
    a_recording_draws_on_a_terminal_and_does_nothing_else,
);

const NEW: &str = "/etc/svcauth/new.toml";
const LEARN: &str = "mode = \"learn\"";

/// What such a day comes to.
const PROPOSED: &[&str] = &[
    r#"["/usr/local/bin/deploy", "<re:web-[0-9]+>", '<re:v1\.[0-9]+\.[0-9]+>'],"#,
    "# 3 times by alice, bob, last on ",
    r#"["/usr/bin/id", "-un"],"#,
    r#"sftp = "write""#,
    r#"{ kind = "scp", access = "write", paths = ["/srv/data"] },"#,
    r#"{ kind = "rsync", access = "write", paths = ["/srv/data"] },"#,
    r#"{ kind = "git", access = "read", paths = ["/srv/git/shop.git"] },"#,
    "# - once by bob, last on ",
    "echo a | cat (| at byte 8 is for a shell",
    "  # { kind = \"any\" },",
];

/// A day of deployer's: what people do with it, and how many commands that is.
fn day(host: &Host) -> Outcome<usize> {
    let bob = Client::of("bob", host)?;
    for (person, line) in [
        ("bob", "deploy web-1 v1.2.3"),
        ("alice", "deploy web-2 v1.2.4"),
        ("bob", "/usr/local/bin/deploy web-1 'v1.10.0'"),
        ("bob", "id -un"),
    ] {
        host.ssh(person, "deployer", &[line])?.expect_ok()?;
    }
    let here = "/tmp/client/here";
    for client in [
        bob.sftp("deployer", &format!("put {here} /srv/data/by-sftp")),
        bob.scp("deployer", &["-O", here, ":/srv/data/by-scp"]),
        bob.rsync("deployer", &["-a", here, ":/srv/data/by-rsync"]),
        bob.rsync("deployer", &["-a", ":/srv/data/by-rsync", "/tmp/client/back"]),
        bob.git("/tmp/client", &["ls-remote", "deployer@127.0.0.1:/srv/git/shop.git"]),
    ] {
        client.run()?.expect_ok()?;
    }
    require_eq("what came back", fs::read_to_string("/tmp/client/back")?.as_str(), "here\n")?;
    Ok(9)
}

fn prepare(world: &World) -> Outcome {
    own_folder("/srv/data")?;
    program(world, "/usr/local/bin/deploy", "#!/bin/sh\necho \"deployed $*\"\n")?;
    world.write("/tmp/client/here", 0o644, "here\n")?;
    own_folder("/srv/git")?;
    let init = world.as_account(
        "deployer",
        7001,
        7000,
        &["/usr/bin/git", "init", "-q", "--bare", "/srv/git/shop.git"],
    );
    init.run()?.expect_ok().map(drop)
}

/// The configuration with other rules, in a file of its own.
fn write_new(world: &World, host: &Host, rules: &str) -> Outcome {
    let mut site = host.site.clone();
    site.access(rules);
    world.write(NEW, 0o644, &site.config)
}

fn what_was_learned_is_proposed_pasted_and_enforced_and_refuses_nothing(world: &mut World) -> Outcome {
    let mut host = limited(world, LEARN)?.start(world)?;
    prepare(world)?;
    let none = svcauth(&["commands", "propose", "deployer"])?.expect_code(1)?;
    require_contains("what it says", &none.stderr, "has no command or shell of deployer")?;
    let count = day(&host)?;
    host.ssh("bob", "deployer", &["echo a | cat"])?.expect_ok()?;
    trail::wait_for(&["--event", "command"], count + 1)?;

    let proposed = svcauth(&["commands", "propose", "deployer", "--days", "1"])?.expect_ok()?;
    let rules = proposed.stdout.replace("mode = \"learn\"", "mode = \"enforce\"");
    for part in PROPOSED {
        require_contains("the proposal", &rules, part)?;
    }
    write_new(world, &host, &rules)?;
    let (code, told) = svcauth_json(&["commands", "replay", NEW])?;
    require_eq("what would be refused", &(code, list_at(&told, "/rows").len()), &(1, 1))?;
    require_eq("the row", text_at(&told, "/rows/0/command"), "echo a | cat")?;
    require_eq("whose it is", text_at(&told, "/rows/0/origin"), "bob")?;
    write_new(world, &host, &rules.replace("# { kind = \"any\" }", "{ kind = \"any\" }"))?;
    svcauth(&["commands", "replay", NEW])?.expect_ok()?;

    // In earnest.
    host.site.access(&rules);
    host.site.write(world)?;
    host.daemon.reload(world)?;
    day(&host)?;
    host.ssh("bob", "deployer", &["deploy web-9 v1.0.0"])?.expect_ok()?;
    for line in ["echo a | cat", "id", "deploy web-1 v1.2.3 x", "deploy --help v1.2.3", "touch /srv/data/x"] {
        host.ssh("bob", "deployer", &[line])?.expect_code(REFUSED)?;
    }
    trail::wait_for(&["--event", "command", "--decision", "deny"], 5)?;
    let (_, json) = svcauth_json(&["commands", "propose", "deployer", "--refused"])?;
    let text = json.to_string();
    require(text.contains("touch") && text.contains("\"left_out\""), || text.clone())
}

fn what_a_stricter_configuration_would_have_refused_is_listed_with_whom(world: &mut World) -> Outcome {
    let host = limited(world, LEARN)?.start(world)?;
    for person in ["bob", "bob", "alice"] {
        host.ssh(person, "deployer", &["id -un"])?.expect_ok()?;
    }
    host.ssh("bob", "deployer", &["uptime -p"])?.expect_ok()?;
    trail::wait_for(&["--event", "command"], 4)?;
    let replay = |rules: &str| {
        write_new(world, &host, rules)?;
        svcauth(&["commands", "replay", NEW])
    };
    replay(&rule("deployer", "commands = [[\"/usr/bin/id\", \"-un\"], [\"/usr/bin/uptime\", \"<any>\"]]"))?
        .expect_ok()?;
    let stricter = rule("deployer", "mode = \"learn\"\ncommands = [[\"/usr/bin/uptime\", \"<any>\"]]");
    let shown = replay(&stricter)?.expect_code(1)?;
    let rows: Vec<Vec<&str>> = shown.stdout.lines().map(|line| line.split('\t').collect()).collect();
    let cells: Vec<(&str, &str, &str, &str)> = rows
        .iter()
        .filter_map(|row| Some((*row.first()?, *row.get(3)?, *row.get(4)?, *row.get(5)?)))
        .collect();
    let refused = "command_not_allowed";
    let expected = [("2", "bob", refused, "id -un"), ("1", "alice", refused, "id -un")];
    require_eq("the rows", &cells.as_slice(), &&expected[..])?;
    require_contains("the sum", &shown.stderr, "4 commands and shells were looked at: 3 would be refused")?;
    // A role of nobody, and no rule at all.
    let strangers = rule("deployer", "").replace("application", "no-such-group");
    let shown = replay(&strangers)?.expect_code(1)?;
    require_contains("the role", &shown.stderr, "the role no-such-group")?;
    require_contains("the reason", &shown.stdout, "not_in_role")?;
    require_contains("no rule", &replay(&rule("jenkins", ""))?.expect_code(1)?.stdout, "no_rule")?;
    // The file itself.
    let fault =
        replay("[[access]]\naccounts = [\"deployer\"]\nroles = [\"application\"]\ncommands = [[\"id\"]]")?;
    require_contains("the fault", &fault.expect_code(2)?.stderr, "/etc/svcauth/new.toml: line ")?;
    svcauth(&["commands", "replay", "/nowhere.toml"])?.expect_code(2)?;
    svcauth(&["commands", "propose", "nobody"])?.expect_code(2)?;
    let wrong = svcauth(&["commands", "propose", "deployer", "--rule", "1"])?.expect_code(2)?;
    require_contains("the rules", &wrong.stderr, "begin at the lines: ")?;
    // Nobody but root.
    let as_deployer = ["/usr/bin/svcauth", "commands", "replay", CONFIG];
    let outside = world.as_account("deployer", 7001, 7000, &as_deployer).run()?.expect_code(2)?;
    require_contains("who may", &outside.stderr, "only root")
}

fn a_line_is_explained_as_it_is_decided(world: &mut World) -> Outcome {
    let keys = "commands = [[\"/usr/bin/id\", \"<re:-un|-gn>\"], { kind = \"rsync\", access = \"read\", paths = [\"/srv/data\"] }]";
    let host = limited(world, keys)?.start(world)?;
    prepare(world)?;
    let explain = |person: &str, line: &str| svcauth(&["explain", person, "deployer", "--command", line]);
    host.ssh("bob", "deployer", &["id -un"])?.expect_ok()?;
    let runs = explain("bob", "id '-un'")?.expect_ok()?;
    for part in [
        "allow: bob may run this",
        "[\"/usr/bin/id\", \"<re:-un|-gn>\"]",
        "without a shell: /usr/bin/id -un\n",
    ] {
        require_contains("what it says", &runs.stdout, part)?;
    }
    let files = explain("bob", "rsync --server --sender -logDtpre.iLsfxCIvu . /srv/data/")?.expect_ok()?;
    require_contains("the files", &files.stdout, "it may read below /srv/data alone")?;
    for (person, line, part) in [
        ("bob", "id -un; id", "; at byte 7 is for a shell"),
        ("bob", "id -u", "argument 1 of /usr/bin/id, -u, is not <re:-un|-gn>"),
        ("carol", "id -un", "(not_in_role)"),
    ] {
        let refused = host.ssh(person, "deployer", &[line])?.expect_refused()?;
        require_lacks("the output", &refused.stdout, "deployer")?;
        require_contains(line, &explain(person, line)?.expect_code(1)?.stdout, part)?;
    }
    let (code, json) = svcauth_json(&["explain", "bob", "deployer", "--command", "id -gn"])?;
    require_eq("the status", &code, &0)?;
    require_eq("the program", text_at(&json, "/runs/program"), "/usr/bin/id")?;
    require_eq("the words", text_at(&json, "/runs/arguments/0"), "-gn")?;
    svcauth(&["explain", "bob", "nobody", "--command", "id"])?.expect_code(2).map(drop)
}

const RECORDING: &str = "/var/log/svcauth/recordings/4d8f-1-1.cast";
const FIRST: &str = r#"{"version":2,"width":   80,"height":   24,"timestamp":1769847300,"title":"bob as deployer","svcauth":{"session":"4d8f-1","account":"deployer","origin":"bob"}}"#;

fn a_recording_draws_on_a_terminal_and_does_nothing_else(world: &mut World) -> Outcome {
    let _host = limited(world, LEARN)?.start(world)?;
    let none = svcauth(&["replay"])?.expect_ok()?;
    require_contains("nothing yet", &none.stderr, "nothing is recorded")?;
    fs::create_dir_all("/var/log/svcauth/recordings")?;
    let shown = r#"[0.1,"o","$ \u001b[1mls\u001b[0m\r\n"]"#;
    let hostile = r#"[0.2,"o","\u001b]0;pwned\u0007\u001b[6n\u001b[c\u001b]52;c;aWQK\u0007"]"#;
    let whole =
        format!("{FIRST}\n{shown}\n[0.3,\"r\",\"132x50\"]\n{hostile}\n[9000.5,\"o\",\"the end\\r\\n\"]\n");
    world.write(RECORDING, 0o600, &whole)?;
    let listed = svcauth(&["replay"])?.expect_ok()?;
    require_eq(
        "the list",
        listed.text(),
        format!("4d8f-1-1\t2026-01-31T08:15:00\t2h\tdeployer\tbob\t{}\t-", whole.len()).as_str(),
    )?;
    let piped = svcauth(&["replay", "4d8f-1"])?.expect_code(2)?;
    require_eq("what a pipe gets", piped.stdout.as_str(), "")?;
    let raw = svcauth(&["replay", "4d8f-1", "--raw"])?.expect_ok()?;
    require_contains("every byte", &raw.stdout, "\u{1b}]0;pwned\u{7}\u{1b}[6n")?;
    for wanted in ["4d8f-1", "4d8f-1-1", RECORDING] {
        let seen =
            trail::on_a_terminal(&["replay", wanted, "--idle", "0.1", "--speed", "10"])?.expect_ok()?;
        require_contains(wanted, &seen.stdout, "$ \u{1b}[1mls\u{1b}[0m")?;
        require_contains(wanted, &seen.stdout, "the end")?;
        for part in ["pwned", "\u{1b}[6n", "\u{1b}[c", "52;c"] {
            require_lacks(wanted, &seen.stdout, part)?;
        }
    }
    world.write(RECORDING, 0o600, format!("{FIRST}\n{shown}\ndamaged\n"))?;
    let damaged = trail::on_a_terminal(&["replay", "4d8f-1"])?.expect_code(1)?;
    require_contains("what was whole", &damaged.stdout, "ls")?;
    require_contains("the fault", &damaged.stdout, "4d8f-1-1.cast: line 3: it is no event")?;
    svcauth(&["replay", "4d8f-2"])?.expect_code(2)?;
    fs::set_permissions("/var/log/svcauth/recordings", std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    let words = ["/usr/bin/svcauth", "replay"];
    let outside: Program = world.as_account("deployer", 7001, 7000, &words);
    outside.run()?.expect_code(2).map(drop)
}
