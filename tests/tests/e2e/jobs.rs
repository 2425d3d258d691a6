//! Jobs of cron and at, with the real daemons: the account owns them, and nobody is behind them.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;
use std::time::Duration;

use svcauth_tests::cases;
use svcauth_tests::failure::{Failure, Outcome, require, require_eq};
use svcauth_tests::program::{Background, Program, wait_until};
use svcauth_tests::site::svcauth_json;
use svcauth_tests::world::World;

use crate::host::{Host, Plan, no_passwords};
use crate::story::{Story, registry, three_accounts};

cases!("jobs":
    a_crontab_runs_as_its_account_where_a_rule_names_cron_and_nowhere_else,
    a_job_of_at_runs_as_its_account_whatever_its_environment_says,
    jobs_of_root_and_local_users_are_left_alone,
    a_job_cannot_hand_on_anybody,
    explain_says_of_jobs_what_pam_decides,
);

/// A rule for jobs of deployer, and none for those of jenkins.
const JOBS: &str = "[[access]]\naccounts = [\"deployer\", \"jenkins\"]\nroles = [\"application\"]\n\n\
                    [[access]]\naccounts = [\"deployer\"]\nroles = [\"application\"]\nservices = [\"cron\", \"atd\"]\n";

fn start(world: &World) -> Outcome<Host> {
    let mut plan = Plan::new(world)?;
    three_accounts(&mut plan)?;
    plan.site.access(JOBS);
    let host = plan.start(world)?;
    no_passwords(world)?;
    world.write("/tmp/ran/.keep", 0o644, "")?;
    fs::set_permissions("/tmp/ran", std::os::unix::fs::PermissionsExt::from_mode(0o1777))?;
    Ok(host)
}

/// cron with this line in the crontab of each of these; `@reboot` is run at once, where /run is new.
fn cron(world: &World, owners: &[(&str, u32)], line: impl Fn(&str) -> String) -> Outcome<Background> {
    let folder = Path::new("/var/spool/cron/crontabs");
    fs::create_dir_all(folder)?;
    for old in fs::read_dir(folder)?.flatten() {
        fs::remove_file(old.path())?;
    }
    for (owner, uid) in owners {
        let path = folder.join(owner);
        world.write(&path, 0o600, format!("SUDO_USER=bob\nSVCAUTH_ORIGIN=bob\n@reboot {}\n", line(owner)))?;
        chown(&path, Some(*uid), None)?;
    }
    let _ = fs::remove_file("/run/crond.reboot");
    let _ = fs::remove_file("/run/crond.pid");
    Program::new("/usr/sbin/cron").arg("-f").start(world.log_file("cron.out")?)
}

fn wait_for_file(path: &str) -> Outcome {
    wait_until(path, Duration::from_secs(60), || Path::new(path).exists().then_some(()))
}

/// The registry's entry of deployer's job, while it waits for /tmp/ran/go.
fn entry_of_job() -> Outcome<String> {
    let found = registry()?.into_iter().find(|entry| entry.contains("\nlocal deployer\n"));
    found.ok_or_else(|| Failure::new("the registry has no job of deployer"))
}

fn a_crontab_runs_as_its_account_where_a_rule_names_cron_and_nowhere_else(world: &mut World) -> Outcome {
    let _host = start(world)?;
    let mark = world.log().mark();
    let wait =
        |owner: &str| format!("id -un > /tmp/ran/{owner}; while ! test -e /tmp/ran/go; do sleep 0.1; done");
    let _cron = cron(world, &[("deployer", 7001), ("jenkins", 7002)], wait)?;
    wait_for_file("/tmp/ran/deployer")?;
    let entry = entry_of_job()?;
    require(!entry.contains("evidence") && entry.contains("\nservice cron\n"), || entry.clone())?;
    world.write("/tmp/ran/go", 0o644, "")?;
    let story = Story::since(world, mark, "cron");
    let local = [("account", "deployer"), ("origin", "deployer"), ("origin_kind", "local"), ("uid", "7001")];
    let record = story.allowed(&local)?;
    for key in ["evidence", "key", "principal", "role", "chain"] {
        require_eq(&format!("{key} of {}", record.line), record.get(key), "")?;
    }
    story.denied(&[("account", "jenkins"), ("reason", "service_not_allowed")])?;
    require(!Path::new("/tmp/ran/jenkins").exists(), || "the job of jenkins ran".to_owned())?;
    require_eq("what the job was", fs::read_to_string("/tmp/ran/deployer")?.trim(), "deployer")
}

/// at keeps the environment of whoever submits; the job belongs to the account all the same.
fn a_job_of_at_runs_as_its_account_whatever_its_environment_says(world: &mut World) -> Outcome {
    let host = start(world)?;
    world.write("/etc/at.deny", 0o644, "")?;
    let mark = world.log().mark();
    let submit = "echo 'echo $SVCAUTH_ORIGIN $SUDO_USER > /tmp/ran/at; id -un >> /tmp/ran/at' | \
                  SUDO_USER=bob SVCAUTH_ORIGIN=bob at now";
    host.ssh("alice", "deployer", &[submit])?.expect_ok()?;
    Story::since(world, mark, "sshd").allowed(&[("origin", "alice")])?;
    let jenkins =
        world.as_account("jenkins", 7002, 7000, &["sh", "-c", "echo 'touch /tmp/ran/jenkins' | at now"]);
    jenkins.dir("/tmp").run()?.expect_ok()?;
    let mark = world.log().mark();
    Program::new("/usr/sbin/atd").arg("-s").run()?.expect_ok()?;
    let story = Story::since(world, mark, "atd");
    story.allowed(&[("account", "deployer"), ("origin", "deployer"), ("origin_kind", "local")])?;
    story.denied(&[("account", "jenkins"), ("reason", "service_not_allowed")])?;
    wait_for_file("/tmp/ran/at")?;
    require(!Path::new("/tmp/ran/jenkins").exists(), || "the job of jenkins ran".to_owned())?;
    for person in ["alice", "bob"] {
        crate::story::no_decision_names(world, mark, person)?;
    }
    Ok(())
}

fn jobs_of_root_and_local_users_are_left_alone(world: &mut World) -> Outcome {
    let _host = start(world)?;
    let mark = world.log().mark();
    let touch = |owner: &str| format!("touch /tmp/ran/{owner}");
    let _cron = cron(world, &[("root", 0), ("local", 1010), ("deployer", 7001)], touch)?;
    for owner in ["root", "local", "deployer"] {
        wait_for_file(&format!("/tmp/ran/{owner}"))?;
    }
    Story::since(world, mark, "cron").allowed(&[("account", "deployer")])?;
    let others: Vec<String> = world
        .log()
        .records_since(mark)
        .into_iter()
        .filter(|record| record.get("account") != "deployer")
        .map(|record| record.line)
        .collect();
    require_eq("records about others", &others, &Vec::<String>::new())
}

fn a_job_cannot_hand_on_anybody(world: &mut World) -> Outcome {
    let host = start(world)?;
    // By hand the same step works: alice is behind it.
    let step = "sudo -n -u jenkins id -un";
    require_eq("alice", host.ssh("alice", "deployer", &[step])?.expect_ok()?.text(), "jenkins")?;
    Story::since(world, 0, "sudo").allowed(&[("account", "jenkins"), ("origin", "alice")])?;
    let mark = world.log().mark();
    let steps = |_: &str| {
        "sudo -n -u jenkins touch /tmp/ran/sudo; su jenkins -c 'touch /tmp/ran/su'; touch /tmp/ran/end"
            .to_owned()
    };
    let _cron = cron(world, &[("deployer", 7001)], steps)?;
    wait_for_file("/tmp/ran/end")?;
    for service in ["sudo", "su"] {
        let record =
            Story::since(world, mark, service).denied(&[("account", "jenkins"), ("reason", "no_origin")])?;
        let detail = record.get("detail");
        require(detail.contains("a job of deployer (cron) called"), || record.line.clone())?;
        require(!Path::new("/tmp/ran").join(service).exists(), || format!("{service} ran"))?;
    }
    Ok(())
}

fn explain_says_of_jobs_what_pam_decides(world: &mut World) -> Outcome {
    let _host = start(world)?;
    for (person, account, service, code, reason) in [
        ("deployer", "deployer", "cron", 0, None),
        ("deployer", "deployer", "atd", 0, None),
        ("deployer", "deployer", "crond", 1, Some("service_not_allowed")),
        ("jenkins", "jenkins", "cron", 1, Some("service_not_allowed")),
        ("alice", "deployer", "cron", 1, Some("no_origin")),
        ("deployer", "deployer", "login", 1, Some("no_origin")),
    ] {
        let (status, told) = svcauth_json(&["explain", person, account, "--service", service])?;
        let what = format!("explain {person} {account} --service {service}: {told}");
        require_eq(&what, &status, &code)?;
        require_eq(&what, &told.pointer("/reason").and_then(serde_json::Value::as_str), &reason)?;
        if person == "jenkins" {
            let change = svcauth_tests::site::text_at(&told, "/would_flip");
            require_eq(&what, change, "add the service to an access rule of jenkins")?;
        }
    }
    Ok(())
}
