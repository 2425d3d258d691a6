//! Setup by those who type nothing: the role for Ansible, and the example for cloud-init, of `conf/`.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use svcauth_tests::cases;
use svcauth_tests::daemon::Daemon;
use svcauth_tests::directory::{Directory, Schema};
use svcauth_tests::failure::{Context, Failure, Outcome, require, require_contains, require_eq};
use svcauth_tests::program::{Ended, Program};
use svcauth_tests::site::{CONFIG, Site, list_at, svcauth, svcauth_json, text_at};
use svcauth_tests::slapd::Slapd;
use svcauth_tests::sshd::Sshd;
use svcauth_tests::world::World;

use super::{READER, SECRET, empty, fresh, mode};

cases!("setup_automation":
    the_role_sets_a_host_up_and_changes_nothing_the_second_time,
    what_the_cloud_does_at_the_first_boot_works_as_it_is_written,
);

/// Where the copy of the role is that a world can read.
const PLAY: &str = "/run/world/play";

/// The files of `conf/ansible`; one that is missing here is missing for the role, too.
const ROLE: &[(&str, &str)] = &[
    ("site.yml", include_str!("../../../../conf/ansible/site.yml")),
    ("defaults/main.yml", include_str!("../../../../conf/ansible/roles/svcauth/defaults/main.yml")),
    ("handlers/main.yml", include_str!("../../../../conf/ansible/roles/svcauth/handlers/main.yml")),
    ("meta/main.yml", include_str!("../../../../conf/ansible/roles/svcauth/meta/main.yml")),
    ("tasks/main.yml", include_str!("../../../../conf/ansible/roles/svcauth/tasks/main.yml")),
    ("tasks/setup.yml", include_str!("../../../../conf/ansible/roles/svcauth/tasks/setup.yml")),
    ("tasks/enable.yml", include_str!("../../../../conf/ansible/roles/svcauth/tasks/enable.yml")),
    (
        "templates/answers.toml.j2",
        include_str!("../../../../conf/ansible/roles/svcauth/templates/answers.toml.j2"),
    ),
];
/// The example for cloud-init.
const CLOUD: &str = include_str!("../../../../conf/cloud-init.yaml");

fn copy_role(world: &World) -> Outcome {
    for (name, text) in ROLE {
        let folder = if *name == "site.yml" { "" } else { "roles/svcauth/" };
        world.write(format!("{PLAY}/{folder}{name}"), 0o644, text)?;
    }
    Ok(())
}

/// What a site would say in its play, about the slapd of the harness.
fn variables() -> Value {
    json!({
        "svcauth_packages": [],
        "svcauth_password": "reader of the directory",
        "svcauth_enable": false,
        "svcauth_answers": {
            "kind": "ldap", "uri": ["ldaps://ldap1.example.com"], "bind": "simple", "bind_dn": READER,
            "ca_file": "/run/world/slapd/ca.pem", "id_range": "7000-7999",
            "account": ["deployer"], "role": ["application"],
        },
    })
}

/// Runs the play over ssh, as root of this very host.
fn play(world: &World, variables: &Value) -> Outcome<Ended> {
    world.write(format!("{PLAY}/vars.json"), 0o600, variables.to_string())?;
    let run = Program::new("ansible-playbook").args(&["-i", "127.0.0.1,", "-u", "root"]);
    let run = run.args(&["--private-key", "/run/world/keys/root", "-e", "@vars.json", "site.yml"]).dir(PLAY);
    let run = run.env("ANSIBLE_HOST_KEY_CHECKING", "false").env("ANSIBLE_LOCAL_TEMP", "/run/world/play/tmp");
    let run = run.env("ANSIBLE_REMOTE_TMP", "/run/world/play/remote").env("ANSIBLE_NOCOLOR", "1");
    let run = run.env("ANSIBLE_SSH_ARGS", "-F/dev/null -oUserKnownHostsFile=/dev/null -oControlMaster=auto -oControlPersist=60s -oIdentitiesOnly=yes");
    let run = run
        .env("ANSIBLE_SSH_CONTROL_PATH_DIR", "/run/world/play/cp")
        .env("ANSIBLE_HOME", "/run/world/play/home");
    run.env("ANSIBLE_PYTHON_INTERPRETER", "/usr/bin/python3").patience(Duration::from_secs(180)).run()
}

/// `ok=5 changed=2 ... failed=0` of the recap.
fn require_recap(ended: &Ended, part: &str) -> Outcome {
    let recap = ended.stdout.lines().find(|line| line.contains("ok=") && line.contains("changed="));
    require(recap.is_some_and(|line| line.contains(part)), || format!("no {part}\n{}", ended.report()))
}

fn the_role_sets_a_host_up_and_changes_nothing_the_second_time(world: &mut World) -> Outcome {
    Site::example().install_switched_off(world)?;
    empty()?;
    copy_role(world)?;
    let _slapd = Slapd::start(world, &Directory::example(), Schema::Rfc2307bis)?;
    Sshd::authorize(world, "root", &[&world.key("root")?])?;
    let _sshd = Sshd::start(world, &[])?;
    // A directory that does not fit is an error, the words are those of setup, and the next run tries again.
    let mut wrong = variables();
    set(&mut wrong, "/svcauth_answers/role", json!(["nobody-has-it"]))?;
    let failed = play(world, &wrong)?.expect_code(2)?;
    require_contains("a failed play", &failed.stdout, "the directory has no group nobody-has-it")?;
    require(!std::path::Path::new(CONFIG).exists(), || "a configuration was written".to_owned())?;
    let first = play(world, &variables())?.expect_ok()?;
    require_recap(&first, "failed=0")?;
    require_contains("the configuration", &fs::read_to_string(CONFIG)?, "roles = [\"application\"]")?;
    require_eq("the password's file", mode(SECRET)?.as_str(), "600 root")?;
    let daemon = Daemon::start(world)?;
    require_recap(&play(world, &variables())?.expect_ok()?, "changed=0 ")?;
    let mut other = variables();
    set(&mut other, "/svcauth_answers/id_range", json!("7000-7500"))?;
    require_recap(&play(world, &other)?.expect_ok()?, "changed=2 ")?;
    require_contains("the configuration", &fs::read_to_string(CONFIG)?, "id_range = \"7000-7500\"")?;
    require_recap(&play(world, &other)?.expect_ok()?, "changed=0 ")?;
    is_switched_on(world, &other)?;
    daemon.stop().map(drop)
}

/// The trial is confirmed from a connection that the role opens, and nothing is done again afterwards.
fn is_switched_on(world: &World, variables: &Value) -> Outcome {
    let deployer = Program::new("getent").args(&["passwd", "deployer"]);
    deployer.run()?.expect_code(2)?;
    let mut on = variables.clone();
    set(&mut on, "/svcauth_enable", json!(true))?;
    require_recap(&play(world, &on)?.expect_ok()?, "changed=2 ")?;
    let (_, enabled) = svcauth_json(&["enable", "--dry-run"])?;
    require_eq("the state", text_at(&enabled, "/state"), "on")?;
    Program::new("getent").args(&["passwd", "deployer"]).run()?.expect_ok()?;
    require_recap(&play(world, &on)?.expect_ok()?, "changed=0 ")
}

fn set(value: &mut Value, pointer: &str, to: Value) -> Outcome {
    let place = value.pointer_mut(pointer).ok_or_else(|| Failure::new(format!("no {pointer}")))?;
    *place = to;
    Ok(())
}

/// The example as cloud-init reads it: YAML.
fn cloud_config() -> Outcome<Value> {
    require(CLOUD.starts_with("#cloud-config\n"), || "no cloud-config".to_owned())?;
    let program = "import sys, yaml, json; print(json.dumps(yaml.safe_load(sys.stdin)))";
    let read = Program::new("python3").args(&["-c", program]).input(CLOUD).run()?.expect_ok()?;
    serde_json::from_str(&read.stdout).doing("read the YAML")
}

fn what_the_cloud_does_at_the_first_boot_works_as_it_is_written(world: &mut World) -> Outcome {
    let cloud = cloud_config()?;
    let keys: Vec<String> = cloud.as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect();
    require_eq("what it says", &keys.join(" ").as_str(), &"packages runcmd write_files")?;
    fresh(world)?;
    let _slapd = Slapd::start(world, &Directory::example(), Schema::Rfc2307bis)?;
    world.copy("/run/world/slapd/ca.pem", "/etc/svcauth/ca.pem", 0o644)?;
    world.write(SECRET, 0o600, "reader of the directory\n")?;
    for file in list_at(&cloud, "/write_files") {
        require_eq("an owner", &text_at(file, "/owner"), &"root:root")?;
        let mode = u32::from_str_radix(text_at(file, "/permissions"), 8).doing("a mode")?;
        world.write(text_at(file, "/path"), mode, text_at(file, "/content"))?;
    }
    let commands = list_at(&cloud, "/runcmd");
    require_eq("commands", &commands.len(), &2)?;
    let words = |command: &Value| -> Vec<String> {
        list_at(command, "").iter().filter_map(|word| Some(word.as_str()?.to_owned())).collect()
    };
    let setup = commands.first().map(words).unwrap_or_default();
    Program::from_words(&setup)?.run()?.expect_ok()?;
    let daemon = Daemon::start(world)?;
    svcauth(&["explain", "bob", "deployer"])?.expect_ok()?;
    svcauth(&["explain", "carol", "deployer"])?.expect_code(1)?;
    daemon.stop().map(drop)
}
