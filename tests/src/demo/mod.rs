//! `cargo demo`: the main job of svcauth, for real, in a private world of its own.

mod story;
mod tale;

use std::process::{ExitCode, Stdio};
use std::time::Instant;

use crate::artifacts::Artifacts;
use crate::failure::{Failure, Outcome};
use crate::packages;
use crate::terminal::{say, words};
use crate::world::{self, World};

use tale::Tale;

const HELP: &str = "\
cargo demo             accounts from an LDIF file: bob may become deployer, carol may not, both are on record
cargo demo -- --ldap   the same on a real OpenLDAP server; then bob leaves the group
cargo demo -- --ad     the same on a real domain controller (Samba); then bob leaves the group

Needs root and a Debian system with a Rust toolchain. Installs missing distribution packages and says so; everything
else happens in private namespaces, and nothing is left behind.";

/// Where the accounts come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Ldif,
    Ldap,
    Ad,
}

impl Source {
    fn word(self) -> &'static str {
        match self {
            Self::Ldif => "ldif",
            Self::Ldap => "ldap",
            Self::Ad => "ad",
        }
    }
}

/// The whole of the demo's main.
pub fn main() -> ExitCode {
    if let Some(code) = world::enter(inside) {
        return code;
    }
    let args = words();
    let asked: Vec<&str> = args.iter().map(String::as_str).collect();
    let source = match asked.as_slice() {
        [] => Source::Ldif,
        ["--ldap"] => Source::Ldap,
        ["--ad"] => Source::Ad,
        ["--help" | "-h"] => return told(HELP, 0),
        _ => return told(&format!("demo: unknown words {args:?}\n\n{HELP}"), 2),
    };
    outside(source).unwrap_or_else(|why| told(&format!("demo: failed: {why}"), 1))
}

fn outside(source: Source) -> Outcome<ExitCode> {
    packages::require_root()?;
    packages::ensure(packages::NEEDED, |line| say(&format!("demo: {line}")))?;
    let artifacts = Artifacts::build(|line| say(&format!("demo: {line}")))?;
    let mut command = world::launch(Some(&artifacts), &[source.word()])?;
    let status = command.stdout(Stdio::inherit()).stderr(Stdio::inherit()).status()?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

fn inside(world: World, words: &[String]) -> ExitCode {
    let mut tale = Tale::new();
    let started = Instant::now();
    let told_it = match words.first().map(String::as_str) {
        Some("ldif") => story::with_ldif(&world, &mut tale),
        Some("ldap") => story::with_ldap(&world, &mut tale),
        Some("ad") => story::with_ad(&world, &mut tale),
        other => Err(Failure::new(format!("no story {other:?}"))),
    };
    let end = match &told_it {
        Ok(()) => {
            let (checks, seconds) = (tale.checks(), started.elapsed().as_secs_f64());
            format!(
                "demo: ok: bob is in, carol is out, both are on record ({checks} checks in {seconds:.1} s)"
            )
        }
        Err(why) => format!("demo: failed: {why}"),
    };
    tale.end(&end, told_it.is_ok());
    if told_it.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn told(text: &str, code: u8) -> ExitCode {
    say(text);
    ExitCode::from(code)
}
