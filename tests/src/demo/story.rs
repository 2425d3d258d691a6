//! What the demo shows, in order.

use std::path::Path;
use std::time::Duration;

use crate::daemon::Daemon;
use crate::directory::{Schema, group_dn, person_dn};
use crate::failure::Outcome;
use crate::keys::Key;
use crate::program::{Ended, Program, wait_until};
use crate::samba::{self, Samba};
use crate::site::Site;
use crate::slapd::Slapd;
use crate::sshd::{Sshd, client};
use crate::world::World;

use super::tale::Tale;

/// The three people's keys. Only the directory ties them to names.
struct Keys {
    alice: Key,
    bob: Key,
    carol: Key,
}

/// Accounts from a file.
pub(super) fn with_ldif(world: &World, tale: &mut Tale) -> Outcome {
    tale.part("1. A host with a stock sshd, svcauth, and one LDIF file as its directory");
    let (keys, site) = prepare(world)?;
    site.install(world)?;
    let _daemon = Daemon::start(world)?;
    let _sshd = start_sshd(world, tale, &keys)?;
    main_job(world, tale, &keys)
}

/// Accounts from OpenLDAP, and a change while everything runs.
pub(super) fn with_ldap(world: &World, tale: &mut Tale) -> Outcome {
    tale.part("1. A host with a stock sshd, svcauth, and an OpenLDAP server as its directory");
    let (keys, mut site) = prepare(world)?;
    let slapd = Slapd::start(world, &site.directory, Schema::Rfc2307bis)?;
    Slapd::serve(world, &mut site)?;
    site.install(world)?;
    std::fs::remove_file(crate::site::LDIF)?;
    tale.remark("slapd serves ldaps://ldap1.example.com; its certificate is checked");
    let daemon = Daemon::start(world)?;
    let sshd = start_sshd(world, tale, &keys)?;
    main_job(world, tale, &keys)?;
    let names = (group_dn("application"), person_dn("bob"));
    bob_leaves(world, tale, &keys, names, |change| slapd.modify(change), (&daemon, &sshd))
}

/// Accounts from Active Directory, and a change while everything runs.
pub(super) fn with_ad(world: &World, tale: &mut Tale) -> Outcome {
    tale.part("1. A host with a stock sshd, svcauth, and a domain controller as its directory");
    let (keys, mut site) = prepare(world)?;
    let people = [("alice", &keys.alice), ("bob", &keys.bob), ("carol", &keys.carol)];
    let controller = Samba::start(world, &samba::example(&people, ""))?;
    Samba::serve(world, &mut site)?;
    site.install(world)?;
    std::fs::remove_file(crate::site::LDIF)?;
    tale.remark("samba serves the domain at ldaps://dc1.example.com; its certificate is checked");
    let daemon = Daemon::start(world)?;
    let sshd = start_sshd(world, tale, &keys)?;
    main_job(world, tale, &keys)?;
    let names = (samba::group_dn("application"), samba::person_dn("bob"));
    bob_leaves(world, tale, &keys, names, |change| controller.modify(change), (&daemon, &sshd))
}

fn prepare(world: &World) -> Outcome<(Keys, Site)> {
    let keys = Keys { alice: world.key("alice")?, bob: world.key("bob")?, carol: world.key("carol")? };
    let mut site = Site::example();
    for (login, key) in [("alice", &keys.alice), ("bob", &keys.bob), ("carol", &keys.carol)] {
        site.directory.key(login, key)?;
    }
    Ok((keys, site))
}

fn start_sshd(world: &World, tale: &mut Tale, keys: &Keys) -> Outcome<Sshd> {
    world.home("deployer", 7001, 7000)?;
    Sshd::authorize(world, "deployer", &[&keys.alice, &keys.bob, &keys.carol])?;
    tale.remark(
        "sshd would accept the keys of alice, bob and carol for deployer: all three are in its keys file",
    );
    Sshd::start(world, &[])
}

fn main_job(world: &World, tale: &mut Tale, keys: &Keys) -> Outcome {
    the_account_is_there(tale)?;
    bob_is_in(world, tale, keys)?;
    the_process_is_bobs(world, tale, keys)?;
    carol_is_out(world, tale, keys)?;
    the_reason_is_known(tale)
}

fn the_account_is_there(tale: &mut Tale) -> Outcome {
    tale.part("2. The account comes from the directory: no useradd, no line in any local file");
    let local = tale.types("grep deployer /etc/passwd /etc/group")?;
    tale.check("no local file knows deployer", local.code == 1 && local.stdout.is_empty())?;
    let passwd = tale.types("getent passwd deployer")?;
    let fields: Vec<&str> = passwd.text().split(':').collect();
    let right =
        matches!(fields.as_slice(), ["deployer", "*", "7001", "7000", _, "/home/deployer", "/bin/bash"]);
    tale.check("deployer has uid 7001, gid 7000 and a home", right)?;
    let id = tale.types("id deployer")?;
    tale.check(
        "id names user and group",
        id.text() == "uid=7001(deployer) gid=7000(application) groups=7000(application)",
    )?;
    let group = tale.types("getent group application")?;
    let mut members: Vec<&str> = group.text().rsplit(':').next().unwrap_or_default().split(',').collect();
    members.sort_unstable();
    tale.check("alice and bob are in the group application, carol is not", members == ["alice", "bob"])
}

fn bob_is_in(world: &World, tale: &mut Tale, keys: &Keys) -> Outcome {
    tale.part("3. bob is in the group, so he may become deployer");
    let mark = world.log().mark();
    let ended = ssh(tale, "bob", &keys.bob, &["id"])?;
    tale.check("the command ran as uid 7001", ended.ok() && ended.stdout.starts_with("uid=7001(deployer)"))?;
    let pairs = [("account", "deployer"), ("origin", "bob"), ("key", keys.bob.fingerprint())];
    let record = world.log().wait_for(mark, "allow", &pairs)?;
    tale.quote(&record.line);
    tale.check("the log names bob, his key and the role that let him in", record.get("role") == "application")
}

fn the_process_is_bobs(world: &World, tale: &mut Tale, keys: &Keys) -> Outcome {
    tale.part("4. bob leaves a job behind and logs out: it runs as deployer, and it is still bob's");
    let job = "setsid sleep 600 </dev/null >/dev/null 2>&1 &";
    let ended = ssh(tale, "bob", &keys.bob, &[job])?;
    tale.check("bob has logged out", ended.ok())?;
    world.log().wait_for(0, "end", &[("account", "deployer"), ("origin", "bob")])?;
    let who = wait_until("the job", Duration::from_secs(10), || {
        Program::new("svcauth").arg("who").run().ok().filter(|who| who.stdout.contains("sleep 600"))
    })?;
    drop(who);
    let who = tale.types("svcauth who")?;
    let line = who.stdout.lines().find(|line| line.ends_with("sleep 600")).unwrap_or_default();
    tale.check(
        "svcauth who names bob, who is not there any more",
        line.contains("\tdeployer\tbob\tpublickey\t"),
    )
}

fn carol_is_out(world: &World, tale: &mut Tale, keys: &Keys) -> Outcome {
    tale.part("5. carol is not, and a key that sshd accepts does not help her");
    let (mark, marker) = (world.log().mark(), "/home/deployer/carol-was-here");
    let ended = ssh(tale, "carol", &keys.carol, &["touch", marker])?;
    tale.check("carol is refused", !ended.ok())?;
    tale.check("her command did not run", !Path::new(marker).exists())?;
    let accepted =
        world.log().wait_for_line(mark, &["Accepted publickey for deployer", keys.carol.fingerprint()])?;
    tale.quote(&accepted);
    let record = world.log().wait_for(mark, "deny", &[("account", "deployer"), ("origin", "carol")])?;
    tale.quote(&record.line);
    tale.check("the log names carol and the reason", record.get("reason") == "not_in_role")
}

fn the_reason_is_known(tale: &mut Tale) -> Outcome {
    tale.part("6. An administrator asks why");
    let ended = tale.types("svcauth explain carol deployer")?;
    tale.check("the answer is no", ended.code == 1)?;
    tale.check("it names the role that is missing", ended.stdout.contains("application"))
}

fn bob_leaves(
    world: &World,
    tale: &mut Tale,
    keys: &Keys,
    (group, bob): (String, String),
    modify: impl Fn(&str) -> Outcome,
    running: (&Daemon, &Sshd),
) -> Outcome {
    tale.part("7. bob leaves the group: one change in the directory, nothing restarted, no file edited");
    let pids = (running.0.pid(), running.1.pid());
    let change = format!("dn: {group}\nchangetype: modify\ndelete: member\nmember: {bob}\n");
    tale.remark("the administrator of the directory:");
    tale.quote(&change);
    modify(&change)?;
    tale.types("svcauth sync")?;
    let mark = world.log().mark();
    let refused = ssh(tale, "bob", &keys.bob, &["id"])?;
    tale.check("bob is refused now", !refused.ok() && !refused.stdout.contains("uid="))?;
    let record = world.log().wait_for(mark, "deny", &[("account", "deployer"), ("origin", "bob")])?;
    tale.quote(&record.line);
    tale.check("the log names bob and the reason", record.get("reason") == "not_in_role")?;
    let alice = ssh(tale, "alice", &keys.alice, &["id", "-u"])?;
    tale.check("alice, who stayed, is still let in", alice.ok() && alice.text() == "7001")?;
    let alive = |pid: u32| Path::new(&format!("/proc/{pid}/exe")).exists();
    tale.check("svcauthd and sshd are the same processes as before", alive(pids.0) && alive(pids.1))
}

/// Shows the line that a person would type; host keys and such are the harness's own business.
fn ssh(tale: &Tale, person: &str, key: &Key, command: &[&str]) -> Outcome<Ended> {
    let shown = format!("{person}@laptop$ ssh deployer@web1 {}", command.join(" "));
    let program: Program = client(&[], "deployer", key, command);
    tale.runs(&shown, program)
}
