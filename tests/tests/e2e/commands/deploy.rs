//! Deployments as people run them: Ansible, and what shipit and its like do over one connection with several channels.

use std::fs;
use std::path::Path;
use std::time::Duration;

use svcauth_tests::ansible;
use svcauth_tests::cases;
use svcauth_tests::failure::{Failure, Outcome, require, require_contains, require_eq};
use svcauth_tests::program::Program;
use svcauth_tests::terminal::say;
use svcauth_tests::world::World;

use super::clients::Client;
use super::transfers::repository;
use super::{asked, limited, own_folder, program, ran};
use crate::host::Host;
use crate::shared_use::OpenConnection;

cases!("commands_deploy":
    an_ansible_playbook_runs_and_each_of_its_commands_names_bob,
    a_deployment_runs_over_several_channels_of_one_connection,
    a_deployment_runs_by_rules_that_name_each_of_its_steps,
);

const PLAYBOOK: &str = r#"
- hosts: all
  gather_facts: false
  tasks:
    - ping:
    - setup: { gather_subset: "!all,min" }
      register: facts
    - file: { path: /srv/app/releases/1, state: directory, mode: "0755" }
    - copy: { src: /tmp/client/here, dest: /srv/app/releases/1/file, mode: "0644" }
    - template: { src: /tmp/client/template, dest: /srv/app/releases/1/config }
    - file: { src: /srv/app/releases/1, dest: /srv/app/current, state: link }
    - command: cat /srv/app/current/file
      register: shown
    - shell: "cat config | tr a-z A-Z; exit 3"
      args: { chdir: /srv/app/current }
      register: loud
      failed_when: loud.rc != 3
    - assert: { that: ["shown.stdout == 'here'", "loud.stdout == 'FOR DEPLOYER'", "facts.ansible_facts.ansible_user_id == 'deployer'"] }
    - fetch: { src: /srv/app/current/config, dest: /tmp/client/fetched, flat: true }
"#;

fn an_ansible_playbook_runs_and_each_of_its_commands_names_bob(world: &mut World) -> Outcome {
    let plan = limited(world, "commands = [{ kind = \"any\" }]\nsftp = \"write\"")?;
    let host = plan.start(world)?;
    world.write("/tmp/client/here", 0o644, "here\n")?;
    world.write("/tmp/client/template", 0o644, "for {{ ansible_user }}\n")?;
    world.write("/tmp/client/playbook.yml", 0o644, PLAYBOOK)?;
    let distribution = Program::new("ansible-playbook");
    play(world, &host, "the distribution's ansible", distribution)?;
    match ansible::python() {
        Some(python) => {
            let playbook = Program::new(python).args(&["-m", "ansible", "playbook"]);
            play(world, &host, "ansible from PyPI", playbook)
        }
        None => {
            say("ansible from PyPI was not here: the distribution's ran alone");
            Ok(())
        }
    }
}

fn play(world: &World, host: &Host, which: &str, playbook: Program) -> Outcome {
    own_folder("/srv/app")?;
    let _ = fs::remove_dir_all("/srv/app/releases");
    let bob = Client::of("bob", host)?;
    let line = bob.ssh_line();
    let options = line.strip_prefix("ssh ").unwrap_or_default();
    let inventory = format!(
        "web1 ansible_host=127.0.0.1 ansible_user=deployer ansible_python_interpreter=/usr/bin/python3 \
         ansible_ssh_common_args='{options}'\n"
    );
    world.write("/tmp/client/inventory", 0o644, inventory)?;
    let mark = world.log().mark();
    let run = playbook.args(&["-i", "/tmp/client/inventory", "/tmp/client/playbook.yml"]).dir("/tmp/client");
    let run = run.env("ANSIBLE_LOCAL_TEMP", "/tmp/client/ansible").env("ANSIBLE_NOCOLOR", "1");
    let ended = run.env("LC_ALL", "C.UTF-8").patience(Duration::from_secs(120)).run()?.expect_ok()?;
    require_contains(which, &ended.stdout, "ok=10")?;
    require_contains(which, &ended.stdout, "failed=0")?;
    require_eq("what was fetched", fs::read_to_string("/tmp/client/fetched")?.as_str(), "for deployer\n")?;
    let records = asked(world, mark);
    require(records.len() >= 10, || format!("{which}: {} records: {records:#?}", records.len()))?;
    let all_bob =
        records.iter().all(|record| record.says("command", &[("origin", "bob"), ("account", "deployer")]));
    require(all_bob, || format!("{which}: {records:#?}"))?;
    ran(world, mark, "/bin/sh -c*")?;
    say(&format!("{which}: {} commands, each recorded as bob's", records.len()));
    fs::remove_file("/tmp/client/fetched").map_err(Failure::from)
}

/// Programs that a server of this kind has, and the folders of an application.
fn application(world: &World) -> Outcome {
    own_folder("/srv/app")?;
    own_folder("/srv/app/releases")?;
    own_folder("/srv/app/pm2")?;
    let pm2 = "#!/bin/sh\nprintf '%s:' \"$PWD\" \"$@\" >>/srv/app/pm2/calls\necho \"[PM2] $2 reloaded\"\n";
    program(world, "/usr/local/bin/pm2", pm2)
}

/// The working tree of the client, out of the repository on the host.
fn fetch_from_host(world: &World, bob: &Client<'_>) -> Outcome {
    repository("/srv/git/app.git")?;
    let url = "deployer@127.0.0.1:/srv/git/app.git";
    world.write("/tmp/client/first/app.js", 0o644, "console.log('1')\n")?;
    bob.git("/tmp/client/first", &["init", "-q", "-b", "main"]).run()?.expect_ok()?;
    bob.git("/tmp/client/first", &["add", "."]).run()?.expect_ok()?;
    bob.git("/tmp/client/first", &["commit", "-q", "-m", "1"]).run()?.expect_ok()?;
    bob.git("/tmp/client/first", &["push", "-q", url, "main"]).run()?.expect_ok()?;
    bob.git("/tmp/client", &["init", "-q", "work"]).run()?.expect_ok()?;
    bob.git("/tmp/client/work", &["remote", "add", "shipit", url]).run()?.expect_ok()?;
    bob.git("/tmp/client/work", &["fetch", "-q", "shipit", "--prune"]).run()?.expect_ok()?;
    bob.git("/tmp/client/work", &["checkout", "-q", "shipit/main"]).run()?.expect_ok().map(drop)
}

/// The steps of a deployment; `reload` is the last of them. All go over one connection that is open already.
fn deploy(world: &mut World, host: &Host, make: &[&str], reload: &str) -> Outcome {
    application(world)?;
    let open = OpenConnection::of("bob", host, world)?;
    let bob = Client::of("bob", host)?.over("/tmp/bob");
    let mark = world.log().mark();
    fetch_from_host(world, &bob)?;
    for line in make {
        open.command(&[line])?.expect_ok()?;
    }
    // Three channels at the same time.
    let waiting = bob.ssh("deployer", &["cat /srv/app/releases/fifo"]);
    Program::new("mkfifo").args(&["-m", "666", "/srv/app/releases/fifo"]).run()?.expect_ok()?;
    let waiting = std::thread::spawn(move || waiting.run());
    let to = ":/srv/app/releases/20260101/";
    bob.rsync("deployer", &["-a", "--exclude=.git", "/tmp/client/work/", to]).run()?.expect_ok()?;
    open.command(&["ln -nfs /srv/app/releases/20260101 /srv/app/current"])?.expect_ok()?;
    let reloaded = open.command(&[reload])?.expect_ok()?;
    require_eq("what pm2 says", reloaded.text(), "[PM2] app reloaded")?;
    fs::write("/srv/app/releases/fifo", "\0late\n")?;
    let waited = waiting.join().map_err(|_| Failure::new("the waiting channel"))??.expect_ok()?;
    require_eq("what the first channel got", waited.stdout.as_str(), "\0late\n")?;
    require(Path::new("/srv/app/current/app.js").exists(), || "nothing was deployed".to_owned())?;
    for line in make.iter().chain([
        &reload,
        &"git-receive-pack '/srv/git/app.git'",
        &"git-upload-pack '/srv/git/app.git'",
    ]) {
        ran(world, mark, line)?;
    }
    ran(world, mark, "rsync --server -*")?;
    let sessions: std::collections::BTreeSet<String> =
        asked(world, mark).iter().map(|record| record.get("session").to_owned()).collect();
    require(sessions.len() == 1, || format!("sessions: {sessions:?}"))
}

/// T-B.12
fn a_deployment_runs_over_several_channels_of_one_connection(world: &mut World) -> Outcome {
    let host = limited(world, "commands = [{ kind = \"any\" }]")?.start(world)?;
    let make =
        ["mkdir -p /srv/app/releases/20260101 && cd /srv/app && ls -r releases | tail -n +5 | xargs rm -rf"];
    deploy(world, &host, &make, "cd /srv/app/current && pm2 reload app")?;
    require_eq(
        "pm2",
        fs::read_to_string("/srv/app/pm2/calls")?.as_str(),
        "/srv/app/releases/20260101:reload:app:",
    )
    .or_else(|_| {
        require_eq("pm2", fs::read_to_string("/srv/app/pm2/calls")?.as_str(), "/srv/app/current:reload:app:")
    })
}

const STEPS: &str = r#"
commands = [
    ["/usr/bin/mkdir", "-p", "<re:/srv/app/releases/[0-9]+>"],
    ["/usr/bin/ln", "-nfs", "<re:/srv/app/releases/[0-9]+>", "/srv/app/current"],
    ["/usr/bin/cat", "/srv/app/releases/fifo"],
    ["/usr/local/bin/pm2", "reload", "<re:[a-z]+>"],
    { kind = "rsync", access = "write", paths = ["/srv/app/releases"] },
    { kind = "git", access = "write", paths = ["/srv/git"] },
]
"#;

fn a_deployment_runs_by_rules_that_name_each_of_its_steps(world: &mut World) -> Outcome {
    let host = limited(world, STEPS)?.start(world)?;
    deploy(world, &host, &["mkdir -p /srv/app/releases/20260101"], "pm2 reload app")?;
    // The line for a shell is none of them.
    let mark = world.log().mark();
    let line = "cd /srv/app/current && pm2 reload app";
    host.ssh("bob", "deployer", &[line])?.expect_code(super::REFUSED)?;
    let record = super::asked_once(world, mark)?;
    require(record.says("command_refused", &[("command", line), ("reason", "command_not_allowed")]), || {
        record.line.clone()
    })
}
