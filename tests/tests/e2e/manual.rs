//! svcauth(1) against what the commands print: the keys of `--json` are those that the page names.

use std::collections::BTreeSet;

use serde_json::Value;
use svcauth_tests::cases;
use svcauth_tests::failure::{Failure, Outcome, require};
use svcauth_tests::site::svcauth_json;
use svcauth_tests::sshd::client;
use svcauth_tests::world::World;

use crate::host::Plan;

cases!("manual":
    the_keys_that_commands_print_are_those_of_the_page,
);

/// A rule that has limits, to be shown with the others.
const LIMITED: &str = "[[access]]\naccounts = [\"deployer\"]\nroles = [\"application\"]\nshell = \"allow\"\n";
const PAGE: &str = include_str!("../../../docs/man/svcauth.1");

/// The keys that a part of the page names for `--json`.
fn written(part: &str) -> Outcome<BTreeSet<String>> {
    let missing = || Failure::new(format!("svcauth(1) has no --json in {part}"));
    let (_, rest) = PAGE.split_once(&format!("\n.Ss {part}\n")).ok_or_else(missing)?;
    let rest = rest.split("\n.Ss ").next().unwrap_or_default();
    let (_, item) = rest.split_once("\n.It Fl -json\n").ok_or_else(missing)?;
    let lines = item.lines().take_while(|line| !line.starts_with(".It ") && !line.starts_with(".El"));
    let named = lines.filter(|line| line.starts_with(".Ic ")).flat_map(|line| line.split(' ').skip(1));
    Ok(named
        .filter(|word| !matches!(*word, "," | "." | ":" | "(" | ")" | "and"))
        .map(str::to_owned)
        .collect())
}

/// The keys of an object, or of the first one of a list; and those of the objects that are `inside` it.
fn keys(value: &Value, inside: &[&str]) -> BTreeSet<String> {
    let of = |value: &Value| value.as_object().map(|object| object.keys().cloned().collect::<BTreeSet<_>>());
    let first = value.get(0).unwrap_or(value);
    let below = inside.iter().filter_map(|place| first.pointer(place).and_then(of)).flatten();
    of(first).unwrap_or_default().into_iter().chain(below).collect()
}

/// What a command prints is in the page; what is in the page and not printed is one of `sometimes`.
fn agrees(part: &str, inside: &[&str], sometimes: &[&str], args: &[&str]) -> Outcome {
    let (_, value) = svcauth_json(args)?;
    let (printed, named) = (keys(&value, inside), written(part)?);
    require(!printed.is_empty(), || format!("{args:?} printed {value}"))?;
    let named_not: Vec<&String> = printed.difference(&named).collect();
    require(named_not.is_empty(), || format!("svcauth(1), {part}: {named_not:?} is printed and not named"))?;
    let missing: Vec<&String> = named.difference(&printed).collect();
    let is_known = |key: &&String| sometimes.contains(&key.as_str());
    require(missing.iter().all(is_known), || {
        format!("svcauth(1), {part}: {missing:?} is named and not printed")
    })
}

fn the_keys_that_commands_print_are_those_of_the_page(world: &mut World) -> Outcome {
    let mut plan = Plan::new(world)?;
    plan.site.access(LIMITED);
    let host = plan.start(world)?;
    let bob = host.key("bob")?;
    let words: Vec<&str> = bob.public().split_whitespace().collect();
    let [kind, blob, ..] = words.as_slice() else { return Err(Failure::new(bob.public())) };
    let session = client(&[], "deployer", bob, &["sleep", "60"]).start(world.log_file("ssh.out")?)?;
    world.log().wait_for(0, "start", &[("origin", "bob")])?;
    for (part, inside, sometimes, args) in [
        ("status", &[][..], &["activation"][..], &["status"][..]),
        ("sync", &[], &["error"], &["sync"]),
        ("accounts", &[], &[], &["accounts"]),
        ("explain", &["/rules/0", "/rules/0/limits", "/roles/0"], &[], &["explain", "bob", "deployer"]),
        ("log verify", &[], &[], &["log", "verify"]),
        ("roles", &[], &[], &["roles"]),
        ("who", &[], &["chain"], &["who"]),
        ("doctor", &["/findings/0"], &[], &["doctor"]),
        ("setup", &[], &[], &["setup", "--check"]),
        ("ssh-keys", &[], &[], &["ssh-keys", "deployer", "x", kind, blob]),
    ] {
        agrees(part, inside, sometimes, args)?;
    }
    drop(session);
    Ok(())
}
