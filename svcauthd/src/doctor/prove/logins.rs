//! Root and a local user, whom nothing that happens to svcauth may keep out, and the account that nobody may get into then.

use super::Step;
use super::cast::Player;
use super::fault::Done;
use super::local_ways::{self, Switch, login, login_is_here};
use super::program::find;
use super::scene::{Part, Scene, address};
use super::ssh_ways::{Client, Tried, keys_alone_do_not_do, not_listed, not_run, why};
use super::sshd::{Effective, Sshd};

/// A state of the host in which people try to get in.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    /// For the names of steps.
    pub(super) word: &'static str,
    /// For sentences; empty when nothing is wrong.
    pub(super) when: &'static str,
}

/// Root and the local user, by every program that there is.
pub(super) fn of_others<'a>(scene: &'a Scene, moment: Moment) -> Vec<Part<'a>> {
    let cast = &scene.cast;
    let mut parts: Vec<Part<'a>> = Vec::new();
    if let Some(sshd) = &scene.sshd {
        parts.push(Box::new(move || vec![by_ssh(scene, sshd, &sshd.root, &root(), moment)]));
        parts.push(Box::new(move || vec![by_ssh(scene, sshd, &sshd.local, &cast.local, moment)]));
    }
    for (program, switch) in SWITCHES {
        parts.push(Box::new(move || by_switch(scene, program, switch, moment)));
    }
    if login_is_here() {
        for (player, who) in [(root(), "root"), (cast.local.clone(), "the local user")] {
            parts.push(Box::new(move || {
                let tried = login(&player).unwrap_or_else(not_run);
                let step = format!("login_{}", short(&player));
                vec![in_step(scene, moment, &step, &format!("{who} logs in by login"), "login", &tried)]
            }));
        }
    }
    parts
}

const SWITCHES: [(&str, Switch); 4] =
    [("su", Switch::Su), ("su", Switch::SuLogin), ("sudo", Switch::Sudo), ("sudo", Switch::SudoLogin)];

/// The local user becomes root, and root the local user.
fn by_switch(scene: &Scene, program: &str, switch: Switch, moment: Moment) -> Vec<Step> {
    let (word, shown, local) = (switch.name(), switch.shown(), &scene.cast.local);
    if find(program).is_none() {
        let step = format!("{word}_root_{}", moment.word);
        return vec![Step::skipped(step, sentence(shown, moment), format!("{program} is not installed"))];
    }
    let (to_root, to_local) = (switch.attempt(Some(local), &root()), switch.attempt(None, local));
    let step = |step: String, what: String, tried: Done<Tried>| {
        in_step(scene, moment, &step, &what, program, &tried.unwrap_or_else(not_run))
    };
    vec![
        step(format!("{word}_root"), format!("the local user becomes root by {shown}"), to_root),
        step(format!("{word}_local"), format!("root becomes the local user by {shown}"), to_local),
    ]
}

/// The account, by those who may when nothing is wrong. Root may otherwise, too.
pub(super) fn of_account<'a>(
    scene: &'a Scene,
    moment: Moment,
    reason: Option<&'static str>,
) -> Vec<Part<'a>> {
    let cast = &scene.cast;
    let mut parts: Vec<Part<'a>> = Vec::new();
    if let Some(sshd) = scene.sshd.as_ref().filter(|sshd| keys_alone_do_not_do(&sshd.account).is_none()) {
        parts.push(Box::new(move || {
            let (from, mark) = (address(), scene.log.mark());
            let client =
                Client { port: sshd.port, key: &scene.keys.allowed, account: cast.account.name, from: &from };
            let tried = client.command(cast.account.uid).unwrap_or_else(not_run);
            let reason = reason.filter(|_| not_listed(scene, mark, cast.account.name).is_none());
            vec![out_step(scene, moment, "sshd", "by ssh", &tried, mark, reason)]
        }));
    }
    for (program, switch) in [("su", Switch::Su), ("sudo", Switch::Sudo)] {
        parts.push(Box::new(move || {
            if find(program).is_none() {
                return Vec::new();
            }
            let mark = scene.log.mark();
            let tried = switch.attempt(Some(&cast.allowed), &cast.account).unwrap_or_else(not_run);
            vec![out_step(scene, moment, program, &format!("by {program}"), &tried, mark, reason)]
        }));
    }
    parts
}

fn by_ssh(scene: &Scene, sshd: &Sshd, effective: &Effective, player: &Player, moment: Moment) -> Step {
    let (step, who) =
        (format!("sshd_{}", short(player)), if player.uid == 0 { "root" } else { "the local user" });
    let what = format!("{who} logs in by ssh with a key");
    let (from, mark) = (address(), scene.log.mark());
    let client = Client { port: sshd.port, key: &scene.keys.local, account: player.name, from: &from };
    let tried = client.command(player.uid).unwrap_or_else(not_run);
    if tried.worked {
        return Step::ok(format!("{step}_{}", moment.word), sentence(&what, moment), "");
    }
    let home = if player.uid == 0 { scene.cast.root_home.clone() } else { format!("/home/{}", player.name) };
    let no_file = || {
        let none = effective.keys_file(player.name, player.uid, &home).is_none();
        none.then(|| "AuthorizedKeysFile none".to_owned())
    };
    let root_may_not = || {
        let usual = ["yes", "without-password", "prohibit-password"];
        (player.uid == 0).then(|| effective.other_than("permitrootlogin", &usual)).flatten()
    };
    let forbidden = root_may_not()
        .or_else(|| keys_alone_do_not_do(effective))
        .or_else(no_file)
        .or_else(|| effective.other_than("forcecommand", &["none"]))
        .or_else(|| effective.other_than("chrootdirectory", &["none"]))
        .or_else(|| not_listed(scene, mark, player.name));
    let step = format!("{step}_{}", moment.word);
    match forbidden {
        Some(line) => {
            Step::skipped(step, sentence(&what, moment), format!("forbidden by sshd_config: {line}"))
        }
        None => Step::failed(step, sentence(&what, moment), why(scene, mark, &tried)),
    }
}

fn in_step(scene: &Scene, moment: Moment, step: &str, what: &str, program: &str, tried: &Tried) -> Step {
    let (step, what) = (format!("{step}_{}", moment.word), sentence(what, moment));
    if tried.worked {
        return Step::ok(step, what, "");
    }
    Step::failed(step, what, format!("shut out; {}", local_ways::why(scene, 0, program, tried)))
}

fn out_step(
    scene: &Scene,
    moment: Moment,
    program: &str,
    how: &str,
    tried: &Tried,
    mark: usize,
    reason: Option<&str>,
) -> Step {
    let step = format!("{program}_account_{}", moment.word);
    let what = sentence(&format!("nobody gets into the account {how}"), moment);
    if tried.worked {
        return Step::failed(step, what, "it worked");
    }
    let Some(reason) = reason else {
        return Step::ok(step, what, "");
    };
    // The daemon that writes the audit trail is stopped; the log has the same record.
    let parts = ["deny ", &format!("account={}", scene.cast.account.name), &format!("reason={reason}")];
    let service = format!("service={program}");
    if scene.log.since(mark, &parts).iter().any(|line| line.contains(&service)) {
        return Step::ok(step, what, format!("deny reason={reason} {service}"));
    }
    Step::failed(
        step,
        what,
        format!(
            "refused, but no record says reason={reason}; {}",
            local_ways::why(scene, mark, program, tried)
        ),
    )
}

fn sentence(what: &str, moment: Moment) -> String {
    if moment.when.is_empty() { what.to_owned() } else { format!("{}: {what}", moment.when) }
}

fn short(player: &Player) -> &'static str {
    if player.uid == 0 { "root" } else { "local" }
}

fn root() -> Player {
    Player { name: "root", uid: 0, gid: 0 }
}
