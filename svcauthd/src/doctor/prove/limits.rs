//! Where access rules limit accounts: somebody whose rule allows one program gets that program, and no shell.

use svcauth_core::command::SHELL_PATH;

use super::Step;
use super::cast::ALLOWED;
use super::denied::Expected;
use super::scene::{Mark, Part, Scene, address};
use super::ssh_ways::{Client, not_run, why};
use super::sshd::Sshd;

/// What the names of the steps begin with.
const NAME: &str = "sshd_limits";
/// The one program that the probe's rule allows, with one word behind it.
pub(super) const PROGRAM: &str = "/usr/bin/touch";

pub(super) fn part<'a>(scene: &'a Scene, sshd: &'a Sshd) -> Option<Part<'a>> {
    scene.cast.limited.is_some().then(|| -> Part<'a> { Box::new(move || steps(scene, sshd)) })
}

/// First what the rule allows, by the same key and in the same way.
fn steps(scene: &Scene, sshd: &Sshd) -> Vec<Step> {
    const THING: &str = "what the limits of an access rule allow";
    let Some(account) = &scene.cast.limited else { return Vec::new() };
    let ours = sshd.account.get("authorizedkeyscommand").contains("svcauth ssh-keys");
    if let Some(line) = sshd.account.other_than("forcecommand", &["none"]).filter(|_| ours) {
        return vec![Step::skipped(NAME, THING, format!("forbidden by sshd_config for everybody: {line}"))];
    }
    if !ours {
        return vec![Step::skipped(NAME, THING, "AuthorizedKeysCommand is not svcauth's")];
    }
    let (from, mark) = (address(), scene.log.mark());
    let client = Client { port: sshd.port, key: &scene.keys.allowed, account: account.name, from: &from };
    let allowed = Mark::new();
    let tried = client.ssh(&[], &format!("{PROGRAM} {}", allowed.0), "").unwrap_or_else(not_run);
    let (step, what) =
        (format!("{NAME}_command_allowed"), format!("a command that its rule allows runs by {SHELL_PATH}"));
    if !(tried.worked && allowed.belongs_to(account.uid)) {
        return vec![Step::failed(step, what, why(scene, mark, &tried))];
    }
    let step = Step::ok(step, what, "");
    [step].into_iter().chain(["command", "shell"].map(|word| refused(scene, &client, mark, word))).collect()
}

/// Another command, or a shell on a terminal, by the same key.
fn refused(scene: &Scene, client: &Client<'_>, mark: usize, word: &str) -> Step {
    let left = Mark::new();
    let asked = left.command();
    let (tried, reason, thing) = if word == "shell" {
        (client.ssh(&["-tt"], "", &format!("{asked}; exit")), "shell_not_allowed", "no shell")
    } else {
        (client.ssh(&[], &asked, ""), "command_not_allowed", "no other command")
    };
    let tried = tried.unwrap_or_else(not_run);
    let (step, what) =
        (format!("{NAME}_{word}_refused"), format!("somebody whose rule allows one program gets {thing}"));
    let record =
        Expected { event: "command", ..Expected::denial(client.account, "sshd", reason).of(ALLOWED) };
    match record.wait(0) {
        _ if tried.worked || left.is_there() => Step::failed(step, what, "it worked"),
        Ok(record) => Step::ok(step, what, record),
        Err(missing) => {
            Step::failed(step, what, format!("refused, but {missing}; {}", why(scene, mark, &tried)))
        }
    }
}
