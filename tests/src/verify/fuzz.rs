//! Builds and runs the fuzz targets with the stable compiler; cargo-fuzz is not needed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::artifacts::{cargo, workspace_folder};
use crate::failure::{Context, Failure, Outcome, require};
use crate::packages;
use crate::program::Program;
use crate::site::{list_at, text_at};
use crate::terminal::say;

/// What libFuzzer needs of the compiler: coverage counters, traced comparisons, the address sanitizer and our own
/// assertions.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-simplifycfg-branch-fold-threshold=0 \
    -Zsanitizer=address -Cdebug-assertions -Coverflow-checks -Ccodegen-units=1";

/// Runs each target for `span`; gives the number of targets that found nothing.
pub(super) fn run_all(span: Duration) -> Outcome<usize> {
    // libFuzzer itself is C++.
    packages::ensure(&["g++"], |line| say(&format!("fuzz: {line}")))?;
    let room = workspace_folder()?.join("fuzz");
    let targets = targets(&room)?;
    require(!targets.is_empty(), || "fuzz/Cargo.toml names no target".to_owned())?;
    let built = build(&room)?;
    for target in &targets {
        say(&format!("fuzz: {target} for {} s", span.as_secs()));
        run_one(&room, &built, target, span)?;
    }
    Ok(targets.len())
}

fn run_one(room: &Path, built: &Path, target: &str, span: Duration) -> Outcome {
    let (corpus, found) = (room.join("corpus").join(target), room.join("artifacts").join(target));
    std::fs::create_dir_all(&corpus)?;
    std::fs::create_dir_all(&found)?;
    // What it learns goes to a folder of its own: the corpus in the tree changes on purpose only.
    let learnt = built.join("corpus").join(target);
    std::fs::create_dir_all(&learnt)?;
    let fuzzer = Program::new(built.join(target)).arg(learnt).arg(corpus);
    let fuzzer = fuzzer
        .arg(format!("-max_total_time={}", span.as_secs()))
        .args(&["-timeout=10", "-rss_limit_mb=2048"]);
    let ended = fuzzer.arg(format!("-artifact_prefix={}/", found.display())).patience(span * 3).run()?;
    ended.expect_ok().doing(format!("fuzz target {target}")).map(drop)
}

fn build(room: &Path) -> Outcome<PathBuf> {
    let version = Program::with_own_environment("rustc").arg("-vV").run()?.expect_ok()?;
    let host = version.stdout.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.ok_or_else(|| Failure::new("rustc -vV names no host"))?;
    let target = room.join("target");
    let cargo =
        cargo().args(&["build", "--locked", "--release", "--bins", "--target", host, "--manifest-path"]);
    let cargo = cargo.arg(room.join("Cargo.toml")).arg("--target-dir").arg(&target);
    let cargo = cargo.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", FLAGS);
    cargo.patience(Duration::from_secs(1500)).run()?.expect_ok()?;
    Ok(target.join(host).join("release"))
}

fn targets(room: &Path) -> Outcome<Vec<String>> {
    let cargo = cargo().args(&["metadata", "--no-deps", "--format-version", "1", "--manifest-path"]);
    let asked = cargo.arg(room.join("Cargo.toml")).run()?.expect_ok()?;
    let metadata: Value = serde_json::from_str(&asked.stdout)?;
    Ok(binaries(&metadata))
}

fn binaries(metadata: &Value) -> Vec<String> {
    let targets = list_at(metadata, "/packages").iter().flat_map(|package| list_at(package, "/targets"));
    let binaries = targets.filter(|target| text_at(target, "/kind/0") == "bin");
    binaries.map(|target| text_at(target, "/name").to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_binary_of_the_room_is_a_target() {
        let metadata = serde_json::json!({"packages": [{"targets": [
            {"name": "snapshot", "kind": ["bin"]}, {"name": "lib", "kind": ["lib"]}, {"name": "ldif", "kind": ["bin"]}]}]});
        assert_eq!(binaries(&metadata), ["snapshot", "ldif"]);
    }
}
