//! Every crate that is linked, or runs while building, has one of the licences in `deny.toml`.
//!
//! Needs no network: cargo has fetched whatever it lists before it could build this test. Which crates each module links is
//! held by its own `gates.rs`.

use std::collections::BTreeSet;

use svcauth_tests::artifacts::{cargo, workspace_folder};
use svcauth_tests::failure::{Context, Outcome, require};

#[test]
fn every_crate_that_is_not_for_tests_alone_has_an_allowed_licence() -> Outcome {
    let deny = std::fs::read_to_string(workspace_folder()?.join("deny.toml"))?;
    let allowed = allowed(&deny);
    require(allowed.contains("MIT") && !allowed.contains("LGPL-3.0"), || {
        format!("deny.toml allows {allowed:?}")
    })?;
    let listed = list(&["--workspace", "--edges", "normal,build", "--format", "{p}\t{l}"])?;
    let foreign: Vec<(&str, &str)> = listed.iter().filter_map(|line| line.split_once('\t')).collect();
    require(foreign.iter().any(|(name, _)| name.starts_with("libc ")), || format!("odd list: {listed:?}"))?;
    let refused: Vec<_> = foreign.iter().filter(|(_, licence)| !is_allowed(licence, &allowed)).collect();
    require(refused.is_empty(), || format!("licences that deny.toml does not allow: {refused:?}"))
}

#[test]
fn a_licence_expression_is_read_as_spdx_means_it() -> Outcome {
    let allowed: BTreeSet<String> = ["MIT", "ISC", "A WITH B"].map(str::to_owned).into();
    for good in ["MIT", "MIT OR GPL-3.0", "GPL-3.0/MIT", "(X OR MIT) AND ISC", "A WITH B OR X"] {
        require(is_allowed(good, &allowed), || format!("{good} is refused"))?;
    }
    for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR X) AND GPL-3.0", "X AND (MIT OR ISC)", "A"] {
        require(!is_allowed(bad, &allowed), || format!("{bad} is allowed"))?;
    }
    Ok(())
}

/// The lines that `cargo tree` gives, each once, in order.
fn list(words: &[&str]) -> Outcome<Vec<String>> {
    let all = ["tree", "--offline", "--locked", "--prefix", "none", "--no-dedupe"];
    let ended = cargo().args(&all).args(words).dir(workspace_folder()?).run()?;
    let ended =
        ended.expect_ok().doing("a crate that was never built here is missing; run cargo fetch --locked")?;
    let lines: BTreeSet<String> = ended.stdout.lines().map(str::to_owned).collect();
    Ok(lines.into_iter().filter(|line| !line.is_empty()).collect())
}

/// The list `allow` of `deny.toml`.
fn allowed(deny: &str) -> BTreeSet<String> {
    let lines = deny.lines().skip_while(|line| *line != "allow = [").skip(1).take_while(|line| *line != "]");
    lines.map(|line| line.trim().trim_matches(['"', ',']).to_owned()).collect()
}

/// Whether an SPDX expression (or the old form `MIT/Apache-2.0`) can be met by allowed licences alone.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    either(&mut words.as_slice(), allowed)
}

fn either(words: &mut &[&str], allowed: &BTreeSet<String>) -> bool {
    let mut met = both(words, allowed);
    while let Some((&"OR", rest)) = words.split_first() {
        *words = rest;
        met |= both(words, allowed);
    }
    met
}

fn both(words: &mut &[&str], allowed: &BTreeSet<String>) -> bool {
    let mut met = one(words, allowed);
    while let Some((&"AND", rest)) = words.split_first() {
        *words = rest;
        met &= one(words, allowed);
    }
    met
}

fn one(words: &mut &[&str], allowed: &BTreeSet<String>) -> bool {
    match **words {
        ["(", ref rest @ ..] => {
            *words = rest;
            let met = either(words, allowed);
            *words = words.split_first().map_or(&[], |(_, rest)| rest);
            met
        }
        [name, "WITH", exception, ref rest @ ..] => {
            *words = rest;
            allowed.contains(&format!("{name} WITH {exception}"))
        }
        [name, ref rest @ ..] => {
            *words = rest;
            allowed.contains(name)
        }
        [] => false,
    }
}
