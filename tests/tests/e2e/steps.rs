//! su, sudo and the like: whom each of them proves, and that every step of a chain names who came in first, and how.

use std::fs;

use svcauth_tests::cases;
use svcauth_tests::failure::{Context as _, Outcome, require, require_eq};
use svcauth_tests::keys::Statement;
use svcauth_tests::program::{Program, wait_until};
use svcauth_tests::sshd::Sshd;
use svcauth_tests::world::World;

use crate::host::{Host, Plan, no_passwords};
use crate::kerberos::Realm;
use crate::story::{Story, no_decision_names, three_accounts};

cases!("steps":
    every_program_names_whoever_called_it,
    sudo_with_a_password_is_sudo_and_what_asks_only_is_no_session,
    root_is_root_by_every_program_and_inside_a_persons_session_the_record_says_whose,
    each_step_names_alice_and_the_key_she_came_in_with,
    each_step_names_alice_and_the_certificate_she_came_in_with,
    each_step_names_alice_and_the_ticket_she_came_in_with,
    each_step_names_alice_who_came_in_as_herself,
    without_audit_sessions_the_process_tree_says_the_same,
    a_session_that_has_ended_hands_nobody_on,
);

fn start(world: &World) -> Outcome<Host> {
    let mut plan = Plan::new(world)?;
    three_accounts(&mut plan)?;
    let host = plan.start(world)?;
    // alice is a person of the directory and has a login of her own on this host.
    Sshd::authorize(world, "alice", &[host.key("alice")?])?;
    no_passwords(world)?;
    world.write("/srv/file", 0o666, "untouched\n")?;
    Ok(host)
}

/// Each row is run by alice, logged in by ssh as herself.
fn every_program_names_whoever_called_it(world: &mut World) -> Outcome {
    let host = start(world)?;
    for (command, service) in [
        ("su deployer -c 'id -un'", "su"),
        ("su - deployer -c 'id -un'", "su-l"),
        ("sudo -n -u deployer id -un", "sudo"),
        ("sudo -n -i -u deployer id -un", "sudo-i"),
        (
            "SUDO_EDITOR='/usr/bin/tee' sudo -n -u deployer sudoedit /srv/file <<<edited >/dev/null; echo deployer",
            "sudo",
        ),
    ] {
        let mark = world.log().mark();
        let ended = host.ssh("alice", "alice", &[command])?.expect_ok()?;
        require_eq(command, ended.text(), "deployer").doing(ended.report())?;
        let said = Story::since(world, mark, service).allowed(&[
            ("account", "deployer"),
            ("origin", "alice"),
            ("origin_kind", "person"),
            ("evidence", "invoker"),
            ("role", "application"),
        ])?;
        for key in ["first_evidence", "key", "chain"] {
            require_eq(&format!("{key} of {}", said.line), said.get(key), "")?;
        }
        no_decision_names(world, mark, "root")?;
    }
    require_eq("the file that was edited", fs::read_to_string("/srv/file")?.as_str(), "edited\n")
}

fn sudo_with_a_password_is_sudo_and_what_asks_only_is_no_session(world: &mut World) -> Outcome {
    let host = start(world)?;
    // The distribution's way: the password of the caller.
    world.write("/etc/pam.d/common-auth", 0o644, "auth required pam_unix.so\n")?;
    world.write(
        "/etc/sudoers.d/password",
        0o440,
        "Defaults:alice timestamp_timeout=0\nalice ALL=(ALL:ALL) PASSWD: ALL\n",
    )?;
    Program::new("chpasswd").input("alice:open sesame\n").run()?.expect_ok()?;
    let mark = world.log().mark();
    let ended = host
        .ssh("alice", "alice", &["echo 'open sesame' | sudo -S -p '' -u deployer id -un"])?
        .expect_ok()?;
    require_eq("sudo with a password", ended.text(), "deployer")?;
    Story::since(world, mark, "sudo").allowed(&[("origin", "alice"), ("evidence", "invoker")])?;
    let mark = world.log().mark();
    for question in ["sudo -S -p '' -v", "sudo -S -p '' -l", "sudo -S -p '' -l -U deployer"] {
        host.ssh("alice", "alice", &[&format!("echo 'open sesame' | {question}")])?.expect_ok()?;
    }
    host.ssh("alice", "alice", &["echo wrong | sudo -S -p '' -u deployer id -un"])?.expect_refused()?;
    let records: Vec<String> =
        world.log().records_since(mark).into_iter().map(|record| record.line).collect();
    require_eq("records of questions", &records, &Vec::<String>::new())
}

/// runuser of the distribution with svcauth's line, as for su.
fn runuser_with_svcauth(world: &World) -> Outcome {
    for name in ["runuser", "runuser-l"] {
        let path = format!("/etc/pam.d/{name}");
        let stack = fs::read_to_string(&path)?;
        world.write(&path, 0o644, format!("session requisite pam_svcauth.so\n{stack}"))?;
    }
    Ok(())
}

fn root_is_root_by_every_program_and_inside_a_persons_session_the_record_says_whose(
    world: &mut World,
) -> Outcome {
    let host = start(world)?;
    runuser_with_svcauth(world)?;
    let rows: &[(&[&str], &str)] = &[
        (&["su", "deployer", "-c", "id -un"], "su"),
        (&["su", "-", "deployer", "-c", "id -un"], "su-l"),
        (&["sudo", "-n", "-u", "deployer", "id", "-un"], "sudo"),
        (&["runuser", "-u", "deployer", "--", "id", "-un"], "runuser"),
        (&["runuser", "-l", "deployer", "-c", "id -un"], "runuser-l"),
    ];
    for (words, service) in rows {
        let mark = world.log().mark();
        let ended = Program::from_words(words)?.run()?.expect_ok()?;
        require_eq(service, ended.text(), "deployer")?;
        let said = Story::since(world, mark, service).allowed(&[
            ("origin", "root"),
            ("origin_kind", "root"),
            ("evidence", "invoker"),
        ])?;
        require_eq(&said.line, said.get("detail"), "")?;
    }
    // The same by alice, who is in an account and becomes root on the way: root it is, inside her session.
    let mark = world.log().mark();
    let ended = host.ssh("alice", "deployer", &["sudo -n su - jenkins -c 'id -un'"])?.expect_ok()?;
    require_eq("sudo su -", ended.text(), "jenkins")?;
    let first =
        Story::since(world, mark, "sshd").allowed(&[("origin", "alice"), ("evidence", "publickey")])?;
    let said = Story::since(world, mark, "su-l").allowed(&[
        ("account", "jenkins"),
        ("origin", "root"),
        ("chain", first.get("session")),
    ])?;
    require_eq(&said.line, said.get("detail"), "root was called inside a session of alice")
}

/// alice goes on from deployer to database and from there to jenkins.
const CHAIN: &str = "sudo -n -u database su jenkins -c 'id -un'";

/// What both further steps of the chain must say of her login by ssh.
fn each_step_says(world: &World, mark: usize, shown: &[(&str, &str)]) -> Outcome {
    each_step_after(world, mark, "sshd", shown)
}

/// The same of how she became deployer, by whatever service.
fn each_step_after(world: &World, mark: usize, service: &str, shown: &[(&str, &str)]) -> Outcome {
    let first =
        Story::since(world, mark, service).allowed(&[("account", "deployer"), ("origin", "alice")])?;
    let word = first.get("evidence");
    let session = first.get("session");
    let common =
        [&[("origin", "alice"), ("evidence", "inherited"), ("first_evidence", word)], shown].concat();
    for (key, value) in shown {
        require_eq(&format!("{key} of {}", first.line), first.get(key), *value)?;
    }
    let one = [("account", "database"), ("chain", session)];
    let second = Story::since(world, mark, "sudo").allowed(&[&common[..], &one].concat())?;
    let way = format!("{session}/{}", second.get("session"));
    let two = [("account", "jenkins"), ("chain", way.as_str())];
    Story::since(world, mark, "su").allowed(&[&common[..], &two].concat()).map(drop)
}

fn each_step_names_alice_and_the_key_she_came_in_with(world: &mut World) -> Outcome {
    let host = start(world)?;
    let ended = host.ssh("alice", "deployer", &[CHAIN])?.expect_ok()?;
    require_eq("the end of the chain", ended.text(), "jenkins")?;
    each_step_says(world, 0, &[("key", host.key("alice")?.fingerprint()), ("principal", "")])?;
    // carol, who may not: the chain does not begin, and by herself she has none.
    let mark = world.log().mark();
    host.ssh("carol", "deployer", &[CHAIN])?.expect_refused()?;
    Story::since(world, mark, "sshd").denied(&[("origin", "carol"), ("reason", "not_in_role")]).map(drop)
}

fn each_step_names_alice_and_the_certificate_she_came_in_with(world: &mut World) -> Outcome {
    let mut plan = Plan::new(world)?;
    three_accounts(&mut plan)?;
    let authority = world.key("authority")?;
    world.write("/etc/svcauth/user_ca.pub", 0o644, format!("{}\n", authority.public()))?;
    let config =
        "# [certificates]\n# trusted_ca = [\"/etc/svcauth/user_ca.pub\"]\n# key_id = \"{login}@example.com\"";
    plan.site.configure(config, &config.replace("# ", ""))?;
    plan.sshd_line("TrustedUserCAKeys /etc/svcauth/user_ca.pub");
    let host = plan.start(world)?;
    no_passwords(world)?;
    let laptop = world.key("laptop")?;
    let behalf = ["extension:origin@svcauth=ci job 7"];
    let says =
        Statement { id: "alice@example.com", principals: &["deployer"], serial: u64::MAX, options: &behalf };
    let signed = laptop.signed_by(&authority, "alice", says)?;
    let ended = host.sshd.ssh("deployer", &signed, &[CHAIN])?.expect_ok()?;
    require_eq("the end of the chain", ended.text(), "jenkins")?;
    let shown = [
        ("key", laptop.fingerprint()),
        ("cert_key_id", "alice@example.com"),
        ("cert_serial", "18446744073709551615"),
        ("cert_ca", authority.fingerprint()),
        ("on_behalf_of", "ci job 7"),
    ];
    each_step_says(world, 0, &shown)
}

fn each_step_names_alice_and_the_ticket_she_came_in_with(world: &mut World) -> Outcome {
    let realm = Realm::start(world)?;
    no_passwords(world)?;
    let methods = "gssapi-with-mic";
    let _sshd = Realm::sshd(world, methods)?;
    let ended = realm.client(world, methods, "alice@EXAMPLE.COM", None, &[CHAIN])?.run()?.expect_ok()?;
    require_eq("the end of the chain", ended.text(), "jenkins")?;
    each_step_says(world, 0, &[("principal", "alice@EXAMPLE.COM"), ("key", "")])
}

/// Her own login is no session of an account: what is behind the chain is that she called.
fn each_step_names_alice_who_came_in_as_herself(world: &mut World) -> Outcome {
    let host = start(world)?;
    let command = format!("su deployer -c \"{CHAIN}\"");
    let ended = host.ssh("alice", "alice", &[&command])?.expect_ok()?;
    require_eq("the end of the chain", ended.text(), "jenkins")?;
    each_step_after(world, 0, "su", &[("key", ""), ("from", "")])?;
    let first = Story::since(world, 0, "su").allowed(&[("account", "deployer")])?;
    require_eq(&first.line, first.get("evidence"), "invoker")
}

/// A host whose stacks open no audit session: the openers among a process's ancestors are all there is.
fn without_loginuid(world: &World) -> Outcome {
    for name in ["sshd", "cron", "login"] {
        let path = format!("/etc/pam.d/{name}");
        let stack = fs::read_to_string(&path)?;
        let lines: Vec<&str> = stack.lines().filter(|line| !line.contains("pam_loginuid.so")).collect();
        require(lines.len() < stack.lines().count(), || format!("{path} has no pam_loginuid"))?;
        world.write(&path, 0o644, lines.join("\n") + "\n")?;
    }
    Ok(())
}

fn without_audit_sessions_the_process_tree_says_the_same(world: &mut World) -> Outcome {
    let host = start(world)?;
    let audited = host.ssh("alice", "deployer", &["cat /proc/self/sessionid"])?.expect_ok()?;
    require(audited.text() != "4294967295", || "this kernel has no audit sessions".to_owned())?;
    without_loginuid(world)?;
    let outside = host.ssh("alice", "deployer", &["cat /proc/self/sessionid"])?.expect_ok()?;
    require_eq("the audit session", outside.text(), "4294967295")?;
    let mark = world.log().mark();
    let ended = host.ssh("alice", "deployer", &[CHAIN])?.expect_ok()?;
    require_eq("the end of the chain", ended.text(), "jenkins")?;
    each_step_says(world, mark, &[("key", host.key("alice")?.fingerprint())])?;
    // Who has left the tree has nobody behind them any more, and is refused.
    let mark = world.log().mark();
    let left = "setsid -f sh -c 'exec >/dev/null 2>&1; until [ -e /srv/go ]; do sleep 0.1; done; sudo -n -u jenkins touch /tmp/left'";
    host.ssh("alice", "deployer", &[left])?.expect_ok()?;
    world.log().wait_for(mark, "end", &[("account", "deployer"), ("origin", "alice")])?;
    world.write("/srv/go", 0o644, "")?;
    Story::since(world, mark, "sshd").allowed(&[("origin", "alice")])?;
    let refused =
        Story::since(world, mark, "sudo").denied(&[("account", "jenkins"), ("reason", "no_origin")])?;
    require(!std::path::Path::new("/tmp/left").exists(), || refused.line)
}

fn a_session_that_has_ended_hands_nobody_on(world: &mut World) -> Outcome {
    let host = start(world)?;
    let next = "sudo -n -u jenkins id -un";
    let mark = world.log().mark();
    require_eq("the step", host.ssh("alice", "deployer", &[next])?.expect_ok()?.text(), "jenkins")?;
    // sshd closes the session after its client has gone.
    world.log().wait_for(mark, "end", &[("account", "deployer"), ("origin", "alice")])?;
    let mark = world.log().mark();
    // The audit session of alice is over; the account's own processes outside of it are nobody.
    let outside = world.as_account("deployer", 7001, 7000, &["sudo", "-n", "-u", "jenkins", "id", "-un"]);
    outside.run()?.expect_refused()?;
    Story::since(world, mark, "sudo").denied(&[("account", "jenkins"), ("reason", "no_origin")])?;
    no_decision_names(world, mark, "alice")?;
    wait_until("an empty registry", std::time::Duration::from_secs(60), || {
        crate::story::registry().ok().filter(Vec::is_empty).map(drop)
    })
}
