//! Trees of the distributions: installed once by debootstrap, kept in cargo's target folder, never changed afterwards.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};

use super::mirror::{self, Mirror};
use super::release::Release;
use crate::failure::{Context, Failure, Outcome};
use crate::packages;
use crate::program::Program;

/// What makes a tree, besides debootstrap.
pub const PACKAGES: &[&str] = &["debootstrap", "debian-archive-keyring", "systemd-container", "iproute2"];

/// Counted up when [`FINISH`] or the way of installing changes; the list of packages has its own part in the name.
const RECIPE: u32 = 1;

/// A slow mirror on a slow machine.
const PATIENCE: Duration = Duration::from_secs(1200);

/// What debootstrap has copied from this machine goes, and so does what could reach out of the tree.
const FINISH: &str = r#"
set -eu
echo web1 >"$1/etc/hostname"
printf '127.0.0.1 localhost web1\n::1 localhost\n' >"$1/etc/hosts"
rm -f "$1/etc/resolv.conf"
: >"$1/etc/apt/sources.list"
rm -rf "$1"/var/cache/apt/archives/*.deb "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin
"#;

/// Makes what is missing in the background. Who needs the trees calls [`ensure`], which waits for it and says what failed.
pub fn begin(releases: &'static [Release], folder: PathBuf) {
    thread::spawn(move || drop(ensure(releases, &folder, |_| {})));
}

/// Makes what is missing of the trees, all at the same time. `say` gets a line before that, and none when all are there.
pub fn ensure(releases: &[Release], folder: &Path, say: impl Fn(&str)) -> Outcome {
    let place = folder.join("machine");
    fs::create_dir_all(&place).doing(format!("make {}", place.display()))?;
    // Two runs at a time make each tree once. What lies there unfinished belongs to nobody then.
    let lock = File::create(place.join("lock"))?;
    let _held =
        Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, error)| error).doing("lock the trees")?;
    remove_unfinished(&place)?;
    let missing: Vec<Release> = releases.iter().copied().filter(|one| !path(folder, *one).is_dir()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    packages::ensure(PACKAGES, &say)?;
    let words: Vec<&str> = missing.iter().map(|release| release.suite()).collect();
    say(&format!("debootstrap {} into {}, once", words.join(" "), place.display()));
    let mirror = mirror::configured()?;
    thread::scope(|scope| {
        let make = |release: &Release| {
            let (release, mirror) = (*release, &mirror);
            scope.spawn(move || make(folder, release, mirror))
        };
        let running: Vec<_> = missing.iter().map(make).collect();
        running.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|_| Err(Failure::new("the thread of a debootstrap has panicked")))
        })
    })
}

/// Where the tree of a release is, or will be.
pub fn path(target: &Path, release: Release) -> PathBuf {
    target.join("machine").join(format!("{}-{:08x}", release.suite(), recipe(release)))
}

/// Changes with everything that decides what is in a tree (FNV-1a).
fn recipe(release: Release) -> u32 {
    let words = release.packages().join(" ");
    let all = format!("{RECIPE} {words} {FINISH}");
    all.bytes().fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

fn make(folder: &Path, release: Release, mirror: &Mirror) -> Outcome {
    let place = path(folder, release);
    let part = place.with_extension("part");
    let include = format!("--include={}", release.packages().join(","));
    // In namespaces of its own, so that an interruption leaves neither processes nor mounts behind.
    let private = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
    let mut install = Program::new("setpriv").args(&["--pdeathsig", "KILL", "--", "unshare"]);
    install = install.args(&private).arg("debootstrap");
    install = install.args(&["--variant=minbase", &include, release.suite()]).arg(&part);
    if let Some(proxy) = &mirror.proxy {
        install = install.env("http_proxy", proxy).env("https_proxy", proxy);
    }
    let done = install.arg(&mirror.address).patience(PATIENCE).run()?;
    done.expect_ok().doing(format!("install {release} into {}", part.display()))?;
    Program::new("sh").args(&["-c", FINISH, "finish"]).arg(&part).run()?.expect_ok()?;
    fs::rename(&part, &place).doing(format!("finish {}", place.display()))
}

fn remove_unfinished(place: &Path) -> Outcome {
    for entry in fs::read_dir(place)?.flatten() {
        if entry.path().extension().is_some_and(|end| end == "part") {
            fs::remove_dir_all(entry.path()).doing(format!("remove {}", entry.path().display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_release_has_a_tree_of_its_own_below_the_target_folder() {
        let [a, b] = [Release::Debian12, Release::Debian13].map(|release| path(Path::new("/t"), release));
        assert!(a != b && a.starts_with("/t/machine") && b.starts_with("/t/machine"), "{a:?} {b:?}");
    }

    #[test]
    fn a_tree_that_was_not_finished_is_removed_and_a_finished_one_stays() {
        let place = std::env::temp_dir().join(format!("svcauth-trees-{}", std::process::id()));
        for name in ["whole", "half.part/etc"] {
            fs::create_dir_all(place.join(name)).unwrap();
        }
        remove_unfinished(&place).unwrap();
        assert!(place.join("whole").is_dir() && !place.join("half.part").exists());
        fs::remove_dir_all(place).unwrap();
    }
}
