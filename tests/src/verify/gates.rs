//! What is loaded into other people's processes is held to lists: exported symbols, needed libraries, imports.

use std::path::{Path, PathBuf};

use crate::artifacts::{Artifacts, workspace_folder};
use crate::failure::{Context, Failure, Outcome, require};
use crate::program::Program;

/// Set it to anything to write the lists in place of checking them.
const UPDATE: &str = "UPDATE_GOLDEN";

/// Checks both modules; gives the number of lists that agreed.
pub(super) fn check(built: &Artifacts) -> Outcome<usize> {
    let lists = workspace_folder()?.join("tests/golden");
    let (nss, pam) = (built.nss_module(), built.pam_module());
    agree(&lists.join("nss.exports"), &exports(&nss)?)?;
    agree(&lists.join("nss.needed"), &needed(&nss)?)?;
    agree(&lists.join("nss.imports"), &imports(&nss)?)?;
    agree(&lists.join("pam.exports"), &exports(&pam)?)?;
    agree(&lists.join("pam.needed"), &needed(&pam)?)?;
    stays_loaded(&pam)?;
    Ok(6)
}

/// libpam unloads a module while a thread-local or an exit handler of it may still be called, unless it says no.
fn stays_loaded(module: &Path) -> Outcome {
    let dynamic = tool("readelf", &["-d"], module)?;
    require(dynamic.contains("NODELETE"), || format!("{} is not linked with -z nodelete", module.display()))
}

fn exports(module: &Path) -> Outcome<Vec<String>> {
    Ok(last_words(&tool("nm", &["-D", "--defined-only"], module)?))
}

/// Symbol versions are left out: they say which libc it was linked against.
fn imports(module: &Path) -> Outcome<Vec<String>> {
    let names = last_words(&tool("nm", &["-D", "--undefined-only"], module)?);
    let mut bare: Vec<String> =
        names.iter().filter_map(|name| name.split('@').next()).map(str::to_owned).collect();
    bare.dedup();
    Ok(bare)
}

fn needed(module: &Path) -> Outcome<Vec<String>> {
    let dynamic = tool("readelf", &["-d"], module)?;
    let name =
        |line: &str| line.contains("(NEEDED)").then(|| line.split(['[', ']']).nth(1))?.map(str::to_owned);
    let mut names: Vec<String> = dynamic.lines().filter_map(name).collect();
    names.sort_unstable();
    Ok(names)
}

fn last_words(listing: &str) -> Vec<String> {
    let mut words: Vec<String> =
        listing.lines().filter_map(|line| line.split_whitespace().last()).map(str::to_owned).collect();
    words.sort_unstable();
    words
}

fn tool(name: &str, args: &[&str], file: &Path) -> Outcome<String> {
    Ok(Program::new(name).args(args).arg(file).run()?.expect_ok()?.stdout)
}

fn agree(list: &PathBuf, found: &[String]) -> Outcome {
    let text: String = found.iter().map(|line| format!("{line}\n")).collect();
    if std::env::var_os(UPDATE).is_some() {
        return std::fs::write(list, text).doing(format!("write {}", list.display()));
    }
    let golden = std::fs::read_to_string(list).doing(format!("read {}", list.display()))?;
    if golden == text {
        return Ok(());
    }
    let known: Vec<&str> = golden.lines().collect();
    let added: Vec<_> = found.iter().filter(|name| !known.contains(&name.as_str())).collect();
    let gone: Vec<_> = known.iter().filter(|name| !found.iter().any(|f| f == *name)).collect();
    Err(Failure::new(format!(
        "{} is not what the module has now\n  new:  {added:?}\n  gone: {gone:?}\n  if that is wanted: {UPDATE}=1 cargo verify -- quick",
        list.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_gives_its_last_words_in_order() {
        let listing = "0000000000001010 T _nss_svcauth_setpwent\n0000000000001000 T _nss_svcauth_endpwent\n";
        assert_eq!(last_words(listing), ["_nss_svcauth_endpwent", "_nss_svcauth_setpwent"]);
    }
}
