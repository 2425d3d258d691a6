//! What somebody may write who wants to be somebody else: it reaches the session, and no record and no registry entry.

use std::fs;
use std::path::Path;
use std::time::Duration;

use svcauth_tests::cases;
use svcauth_tests::failure::{Context as _, Outcome, require, require_contains, require_eq, require_lacks};
use svcauth_tests::program::wait_until;
use svcauth_tests::sshd::{Sshd, client};
use svcauth_tests::world::World;

use crate::host::{Host, Plan, no_passwords};
use crate::story::{Story, no_decision_names, registry, three_accounts};

cases!("forging":
    no_environment_of_a_login_changes_who_is_on_record,
    a_second_channel_of_a_connection_is_who_the_first_was,
    behind_pam_env_a_forged_login_is_refused_and_named_after_nobody,
    the_environment_of_su_and_sudo_says_nothing,
    what_sshd_leaves_for_the_user_to_read_is_no_evidence,
    a_login_uid_that_somebody_wrote_is_nobodys,
    a_login_uid_of_a_session_cannot_be_written,
);

const HOME: &str = "/home/deployer";
/// Generous: a slow machine is no failure.
const PATIENCE: Duration = Duration::from_secs(60);
/// What alice sets wherever she can. `LC_MARK` proves that the place is read at all.
const LIES: &[(&str, &str)] = &[
    ("SVCAUTH_ORIGIN", "bob"),
    ("SVCAUTH_SESSION", "1-2-3"),
    ("SSH_AUTH_INFO_0", "publickey BOB"),
    ("SSH_CONNECTION", "10.9.9.9 1 10.9.9.9 22"),
    ("SSH_USER_AUTH", "/tmp/forged"),
    ("SUDO_USER", "bob"),
    ("LOGNAME", "bob"),
    ("USER", "bob"),
    ("KRB5CCNAME", "/tmp/forged"),
    ("XDG_SESSION_ID", "1"),
    ("LC_MARK", "forged"),
];

/// A place for lies in a login by ssh.
struct Place {
    name: &'static str,
    /// Lines of sshd_config.
    sshd: &'static [&'static str],
    /// Where the lies stand, and how.
    write: fn(&World, &Host, &[(&str, String)]) -> Outcome,
    /// Options of the client.
    client: fn(&[(&str, String)]) -> Vec<String>,
    /// What the session shows of `$SVCAUTH_ORIGIN $LC_MARK`: the user may fool himself.
    shows: &'static str,
}

const PLACES: &[Place] = &[
    Place { name: "the client", sshd: &[], write: nowhere, client: set_env, shows: "alice forged" },
    Place {
        name: "the client, with AcceptEnv",
        sshd: &["AcceptEnv SVCAUTH_* SSH_* SUDO_* KRB5* XDG_* USER LOGNAME"],
        write: nowhere,
        client: set_env,
        shows: "alice forged",
    },
    Place {
        name: "~/.ssh/environment",
        sshd: &["PermitUserEnvironment yes"],
        write: ssh_environment,
        client: nothing,
        shows: "alice forged",
    },
    Place {
        name: "environment= of a key",
        sshd: &["PermitUserEnvironment yes"],
        write: key_options,
        client: nothing,
        shows: "alice forged",
    },
    Place {
        name: "SetEnv of sshd",
        sshd: &["SetEnv SVCAUTH_ORIGIN=bob LC_MARK=forged SSH_AUTH_INFO_0=x SUDO_USER=bob"],
        write: nowhere,
        client: nothing,
        shows: "bob forged",
    },
    Place {
        name: "~/.pam_environment",
        sshd: &[],
        write: pam_environment,
        client: nothing,
        // pam_env comes behind svcauth: the user fools himself, and nobody else.
        shows: "bob forged",
    },
    Place { name: "~/.bashrc", sshd: &[], write: bashrc, client: nothing, shows: "bob forged" },
];

fn nowhere(_: &World, _: &Host, _: &[(&str, String)]) -> Outcome {
    Ok(())
}

fn nothing(_: &[(&str, String)]) -> Vec<String> {
    Vec::new()
}

fn set_env(lies: &[(&str, String)]) -> Vec<String> {
    let words: Vec<String> = lies.iter().map(|(name, value)| format!("\"{name}={value}\"")).collect();
    vec![format!("-oSetEnv={}", words.join(" "))]
}

fn lines(lies: &[(&str, String)], line: impl Fn(&str, &str) -> String) -> String {
    lies.iter().map(|(name, value)| line(name, value) + "\n").collect()
}

fn ssh_environment(world: &World, _: &Host, lies: &[(&str, String)]) -> Outcome {
    world.write(
        format!("{HOME}/.ssh/environment"),
        0o644,
        lines(lies, |name, value| format!("{name}={value}")),
    )
}

fn key_options(world: &World, host: &Host, lies: &[(&str, String)]) -> Outcome {
    let options: Vec<String> =
        lies.iter().map(|(name, value)| format!("environment=\"{name}={value}\"")).collect();
    let line = format!("{} {}\n", options.join(","), host.key("alice")?.public());
    world.write("/etc/ssh/keys/deployer", 0o644, line)
}

fn pam_environment(world: &World, _: &Host, lies: &[(&str, String)]) -> Outcome {
    let text = lines(lies, |name, value| format!("{name} OVERRIDE=\"{value}\""));
    world.write(format!("{HOME}/.pam_environment"), 0o644, text)
}

fn bashrc(world: &World, _: &Host, lies: &[(&str, String)]) -> Outcome {
    world.write(
        format!("{HOME}/.bashrc"),
        0o644,
        lines(lies, |name, value| format!("export {name}='{value}'")),
    )
}

/// A host where sudo lets an environment through, and the lies with bob's key in them.
fn start(world: &World) -> Outcome<(Host, Vec<(&'static str, String)>)> {
    let mut plan = Plan::new(world)?;
    three_accounts(&mut plan)?;
    let host = plan.start(world)?;
    no_passwords(world)?;
    world.write("/etc/sudoers.d/everybody", 0o440, "ALL ALL=(ALL:ALL) NOPASSWD:SETENV: ALL\n")?;
    let public = host.key("bob")?.public();
    let bare = public.rsplit_once(' ').map_or(public, |(key, _comment)| key);
    let lies = LIES.iter().map(|(name, value)| (*name, value.replace("BOB", bare))).collect();
    Ok((host, lies))
}

fn no_environment_of_a_login_changes_who_is_on_record(world: &mut World) -> Outcome {
    let (mut host, lies) = start(world)?;
    for place in PLACES {
        for file in [".ssh/environment", ".pam_environment", ".bashrc"] {
            let _ = fs::remove_file(Path::new(HOME).join(file));
        }
        Sshd::authorize(world, "deployer", &[host.key("alice")?])?;
        (place.write)(world, &host, &lies)?;
        host = restart(world, host, place.sshd)?;
        is_alice(world, &host, &(place.client)(&lies), place.shows).doing(place.name)?;
    }
    Ok(())
}

/// The same host with other lines in its sshd_config.
fn restart(world: &World, host: Host, lines: &[&str]) -> Outcome<Host> {
    host.with_sshd(|old| {
        old.stop()?;
        Sshd::start(world, lines)
    })
}

/// A session of alice that stays while the registry is looked at, takes a step on, and ends.
fn is_alice(world: &World, host: &Host, options: &[String], shows: &str) -> Outcome {
    for file in ["/tmp/seen", "/tmp/hold"] {
        let _ = fs::remove_file(file);
    }
    world.write("/tmp/hold", 0o644, "")?;
    let mark = world.log().mark();
    let command = "echo $SVCAUTH_ORIGIN $LC_MARK > /tmp/now; mv /tmp/now /tmp/seen; \
                   while test -e /tmp/hold; do sleep 0.05; done; sudo -n -E -u jenkins true";
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let ssh = client(&options, "deployer", host.key("alice")?, &[command]);
    let session = ssh.start(world.log_file("alice.out")?)?;
    wait_until("the session", PATIENCE, || Path::new("/tmp/seen").exists().then_some(()))?;
    require_eq("what the session shows", fs::read_to_string("/tmp/seen")?.trim(), shows)?;
    let key = host.key("alice")?.fingerprint();
    // That of the session before goes behind the record of its end.
    let entries = wait_until("one session", PATIENCE, || registry().ok().filter(|all| all.len() == 1))?;
    let [entry] = entries.as_slice() else {
        return require_eq("sessions", &entries.len(), &1);
    };
    require_contains("the registry", entry, "\nperson alice\n")?;
    require_contains("the registry", entry, &format!("\nkey_fingerprint {key}\n"))?;
    require_contains("the registry", entry, "\nfrom 127.0.0.1\n")?;
    fs::remove_file("/tmp/hold")?;
    require_eq("the exit status", &session.wait(PATIENCE)?, &0)?;
    let proof = [("origin", "alice"), ("key", key)];
    let login = [("evidence", "publickey"), ("from", "127.0.0.1")];
    Story::since(world, mark, "sshd").allowed(&[proof, login].concat())?;
    let step = [("evidence", "inherited"), ("account", "jenkins")];
    Story::since(world, mark, "sudo").allowed(&[proof, step].concat())?;
    no_decision_names(world, mark, "bob")
}

fn a_second_channel_of_a_connection_is_who_the_first_was(world: &mut World) -> Outcome {
    let (host, lies) = start(world)?;
    let host = restart(world, host, &["AcceptEnv SVCAUTH_* SSH_* LC_*"])?;
    let path = "-oControlPath=/tmp/alice";
    // What a later channel of a connection sends is its own environment, as far as both sides of it may.
    let send = "-oSendEnv=SVCAUTH_* SSH_* LC_*";
    let master = client(&["-N", "-oControlMaster=yes", send, path], "deployer", host.key("alice")?, &[]);
    let master = master.start(world.log_file("alice.out")?)?;
    wait_until("the connection", PATIENCE, || Path::new("/tmp/alice").exists().then_some(()))?;
    for _ in 0..2 {
        let options = [path, "-oControlMaster=no", "-oProxyCommand=false", send];
        let show = ["echo $SVCAUTH_ORIGIN $LC_MARK; sudo -n -E -u jenkins true"];
        let channel = client(&options, "deployer", host.key("alice")?, &show);
        let lying = lies.iter().fold(channel, |channel, (name, value)| channel.env(name, value));
        require_eq("the second channel", lying.run()?.expect_ok()?.text(), "alice forged")?;
    }
    master.stop(nix::sys::signal::Signal::SIGTERM)?;
    Story::since(world, 0, "sshd").allowed(&[("origin", "alice")])?;
    Story::since(world, 0, "sudo").allowed(&[("origin", "alice"), ("evidence", "inherited")])?;
    no_decision_names(world, 0, "bob")
}

/// A stack in the wrong order: what ~/.pam_environment says stands where sshd's word was. It cannot hold a line end, which
/// sshd's word always has.
fn behind_pam_env_a_forged_login_is_refused_and_named_after_nobody(world: &mut World) -> Outcome {
    let (host, lies) = start(world)?;
    let stack = fs::read_to_string("/etc/pam.d/sshd")?;
    let is_ours = |line: &&str| {
        let modules = ["pam_svcauth.so", "pam_listfile.so", "pam_localuser.so"];
        line.starts_with("session") && modules.iter().any(|module| line.contains(module))
    };
    let (ours, others): (Vec<&str>, Vec<&str>) = stack.split_inclusive('\n').partition(is_ours);
    require_eq("our lines", &ours.len(), &3)?;
    world.write("/etc/pam.d/sshd", 0o644, others.concat() + &ours.concat())?;
    host.ssh("alice", "deployer", &["true"])?.expect_ok()?;
    Story::since(world, 0, "sshd").allowed(&[("origin", "alice")])?;
    let plain = lies.iter().find(|(name, _)| *name == "SSH_AUTH_INFO_0").map_or("", |(_, value)| value);
    for forged in [
        plain.to_owned(),
        format!("{plain}\\n"),
        // What sshd said, its line end included, behind the lie.
        format!("{plain} ${{SSH_AUTH_INFO_0}}"),
        format!("{plain}${{SSH_AUTH_INFO_0}}"),
        "password ${SSH_AUTH_INFO_0}".to_owned(),
        String::new(),
    ] {
        let mark = world.log().mark();
        pam_environment(world, &host, &[("SSH_AUTH_INFO_0", forged.clone()), ("LC_MARK", "x".to_owned())])?;
        let ended = host.ssh("alice", "deployer", &["id -un"])?;
        // pam_env refuses some of these itself, and leaves sshd's word.
        if ended.ok() {
            Story::since(world, mark, "sshd").allowed(&[("origin", "alice")]).doing(&forged)?;
        } else {
            let record = Story::since(world, mark, "sshd").denied(&[("account", "deployer")])?;
            require(["no_origin", "unknown_key"].contains(&record.get("reason")), || record.line.clone())?;
        }
        no_decision_names(world, mark, "bob").doing(&forged)?;
        if forged == plain {
            ended.expect_refused()?;
        }
    }
    Ok(())
}

fn the_environment_of_su_and_sudo_says_nothing(world: &mut World) -> Outcome {
    let (_host, lies) = start(world)?;
    let show = "echo $SVCAUTH_ORIGIN $LC_MARK";
    let rows: &[(&[&str], &str, &str)] = &[
        (&["sudo", "-n", "-E", "-u", "deployer", "sh", "-c", show], "sudo", "bob forged"),
        (&["sudo", "-n", "SVCAUTH_ORIGIN=bob", "-u", "deployer", "sh", "-c", show], "sudo", "alice forged"),
        (&["su", "deployer", "-c", show], "su", "alice forged"),
        (&["su", "-p", "deployer", "-c", show], "su", "alice forged"),
        (&["su", "-w", "LC_MARK,SVCAUTH_ORIGIN", "-", "deployer", "-c", show], "su-l", "alice forged"),
    ];
    for (words, service, shows) in rows {
        let lying = |user: &str| {
            lies.iter().fold(world.as_user(user, words), |program, (name, value)| program.env(name, value))
        };
        let mark = world.log().mark();
        let ended = lying("alice").run()?.expect_ok()?;
        require_eq(&words.join(" "), ended.text(), *shows)?;
        let person = [("origin", "alice"), ("evidence", "invoker"), ("account", "deployer")];
        let record = Story::since(world, mark, service).allowed(&person)?;
        require_eq(&record.line, record.get("key"), "")?;
        lying("carol").run()?.expect_refused()?;
        let person = [("origin", "carol"), ("reason", "not_in_role")];
        Story::since(world, mark, service).denied(&person)?;
        no_decision_names(world, mark, "bob")?;
    }
    Ok(())
}

fn what_sshd_leaves_for_the_user_to_read_is_no_evidence(world: &mut World) -> Outcome {
    let (host, lies) = start(world)?;
    let host = restart(world, host, &["ExposeAuthInfo yes"])?;
    let forged = lies.iter().find(|(name, _)| *name == "SSH_AUTH_INFO_0").map_or("", |(_, value)| value);
    let command = format!(
        "cat $SSH_USER_AUTH; printf '%s\\n' '{forged}' > $SSH_USER_AUTH; cat $SSH_USER_AUTH; \
         SUDO_USER=bob sudo -n -u jenkins id -un"
    );
    let ended = host.ssh("alice", "deployer", &[&command])?.expect_ok()?;
    let said: Vec<&str> = ended.stdout.lines().collect();
    let [before, after, account] = said.as_slice() else {
        return Err(svcauth_tests::failure::Failure::new(ended.report()));
    };
    require_lacks("what sshd said", before, forged)?;
    require_eq("what alice made of it", *after, forged)?;
    require_eq("the account", *account, "jenkins")?;
    let key = host.key("alice")?.fingerprint();
    Story::since(world, 0, "sudo").allowed(&[
        ("origin", "alice"),
        ("first_evidence", "publickey"),
        ("key", key),
    ])?;
    no_decision_names(world, 0, "bob")
}

/// As long as it is unset, every process may write its login uid once (pam_loginuid does it for a login).
fn forged_login_uid(command: &str) -> String {
    format!("echo 1002 > /proc/self/loginuid && cat /proc/self/loginuid && echo && exec {command}")
}

fn a_login_uid_that_somebody_wrote_is_nobodys(world: &mut World) -> Outcome {
    let (host, _) = start(world)?;
    let unset = fs::read_to_string("/proc/self/loginuid")?;
    require_eq("the login uid of this test", unset.as_str(), "4294967295")?;
    // bob has a session as deployer, and his own uid is 1002.
    host.ssh("bob", "deployer", &["sudo -n -u jenkins true"])?.expect_ok()?;
    Story::since(world, 0, "sudo").allowed(&[("origin", "bob"), ("account", "jenkins")])?;
    for service in ["su", "sudo"] {
        let step = if service == "su" { "su jenkins -c 'id -un'" } else { "sudo -n -u jenkins id -un" };
        let mark = world.log().mark();
        let words = ["sh", "-c", &forged_login_uid(step)];
        let ended = world.as_account("deployer", 7001, 7000, &words).run()?.expect_refused()?;
        require_contains("the login uid that was written", &ended.stdout, "1002")?;
        Story::since(world, mark, service).denied(&[("account", "jenkins"), ("reason", "no_origin")])?;
        no_decision_names(world, mark, "bob")?;
    }
    // A person who does it is still that person.
    for (person, allowed) in [("alice", true), ("carol", false)] {
        let mark = world.log().mark();
        let words = ["sh", "-c", &forged_login_uid("su deployer -c 'id -un'")];
        let ended = world.as_user(person, &words).run()?;
        require_contains("the login uid that was written", &ended.stdout, "1002")?;
        require_eq(&ended.report(), &ended.ok(), &allowed)?;
        let story = Story::since(world, mark, "su");
        let named = [("origin", person), ("evidence", "invoker"), ("account", "deployer")];
        if allowed {
            story.allowed(&named)?
        } else {
            story.denied(&named)?
        };
        no_decision_names(world, mark, "bob")?;
    }
    Ok(())
}

fn a_login_uid_of_a_session_cannot_be_written(world: &mut World) -> Outcome {
    let (host, _) = start(world)?;
    let command = "echo 1002 > /proc/self/loginuid; cat /proc/self/loginuid; echo; sudo -n -u jenkins id -un";
    let ended = host.ssh("alice", "deployer", &[command])?.expect_ok()?;
    require_eq("login uid and account", ended.text(), "7001\njenkins")?;
    Story::since(world, 0, "sudo").allowed(&[("origin", "alice"), ("evidence", "inherited")])?;
    no_decision_names(world, 0, "bob")?;
    // Without pam_loginuid it is free to be written: who does it has left the session, and is nobody.
    let stack = fs::read_to_string("/etc/pam.d/sshd")?;
    let kept: Vec<&str> = stack.lines().filter(|line| !line.contains("pam_loginuid.so")).collect();
    world.write("/etc/pam.d/sshd", 0o644, kept.join("\n") + "\n")?;
    host.ssh("alice", "deployer", &["sudo -n -u jenkins true"])?.expect_ok()?;
    let mark = world.log().mark();
    let command = format!("sh -c \"{}\"", forged_login_uid("sudo -n -u jenkins id -un"));
    let ended = host.ssh("alice", "deployer", &[&command])?.expect_refused()?;
    require_contains("the login uid that was written", &ended.stdout, "1002")?;
    Story::since(world, mark, "sudo").denied(&[("account", "jenkins"), ("reason", "no_origin")])?;
    no_decision_names(world, mark, "bob")
}
