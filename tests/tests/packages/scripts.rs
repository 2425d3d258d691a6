//! Scripts: read by the strictest readers, and free of what only another shell knows.

use std::fs;
use std::path::PathBuf;

use svcauth_tests::program::Program;

use super::{Scratch, run, workspace};

/// Removals in a root folder that is this machine's with a layer over it. `$1`: a folder of our own; `$2`: `packaging`. What is in
/// `edited` comes from a trial that a removal ends, and `svcauth disable` has just said that it is kept there.
const EDITED: &str = r#"
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
rm -rf "$1/root/run/systemd" "$1/root/var/lib/svcauth"
state=$1/root/var/lib/svcauth
fill() {
    mkdir -p "$state/activation"
    for file in access.snap activation/journal activation/pending activation/active activation/lock; do : >"$state/$file"; done
}
script() { cp "$2" "$1/root/script"; DPKG_MAINTSCRIPT_PACKAGE=svcauth chroot "$1/root" sh /script "$3"; }
for step in 'deb/svcauth/postrm remove' 'rpm/svcauth.postun 0'; do
    rm -rf "$state"
    fill
    script "$1" "$2/${step% *}" "${step#* }"
    [ ! -e "$state/activation" ]
    fill
    mkdir "$state/activation/edited"
    echo '# mine' >"$state/activation/edited/etc_nsswitch.conf"
    script "$1" "$2/${step% *}" "${step#* }"
    [ "$(ls "$state/activation")" = edited ]
done
script "$1" "$2/deb/svcauth/postrm" purge 2>&1 | grep 'is kept in /var/lib/svcauth/activation/edited'
[ "$(cat "$state/activation/edited/etc_nsswitch.conf")" = '# mine' ]
[ "$(ls "$state")" = activation ]
rm -r "$state/activation"
fill
script "$1" "$2/deb/svcauth/postrm" purge
[ ! -e "$state" ]
"#;

#[test]
fn what_an_administrator_had_edited_outlives_the_packages_and_nothing_else_does() {
    if !nix::unistd::geteuid().is_root() {
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), "SKIPPED: a root folder takes root");
        return;
    }
    let scratch = Scratch::new("edited");
    let path = scratch.0.join("edited.sh");
    fs::write(&path, EDITED).unwrap();
    let words = ["unshare", "--mount", "--propagation", "private", "sh", "-eu"];
    let program = Program::from_words(&words).unwrap().arg(&path).arg(&scratch.0).arg(workspace("packaging"));
    program.run().unwrap().expect_ok().unwrap();
}

/// Every script below `packaging`: with a `#!` line, or a scriptlet of RPM, which has none.
pub(crate) fn scripts() -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(&workspace("packaging"), &mut found);
    found.sort();
    found
}

fn collect(folder: &std::path::Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
            continue;
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let scriptlet = [".pre", ".post", ".preun", ".postun"].iter().any(|end| name.ends_with(end));
        if scriptlet || fs::read(&path).unwrap().starts_with(b"#!") {
            found.push(path);
        }
    }
}

#[test]
fn every_script_is_one_for_any_posix_shell_and_shellcheck_has_nothing_to_say() {
    let scripts = scripts();
    let names: Vec<String> =
        scripts.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    for name in ["build", "compile", "stage", "postinst", "prerm", "postrm", "svcauth.preun", "find-requires"]
    {
        assert!(names.iter().any(|known| known == name), "{name} is not among {names:?}");
    }
    for script in scripts {
        run(&["dash".as_ref(), "-n".as_ref(), script.as_os_str()]);
        run(&["shellcheck".as_ref(), "--shell=sh".as_ref(), "--severity=style".as_ref(), script.as_os_str()]);
    }
}

#[test]
fn a_script_of_debian_ends_at_the_first_failure_it_does_not_expect() {
    for script in scripts().iter().filter(|path| path.components().any(|part| part.as_os_str() == "deb")) {
        let text = fs::read_to_string(script).unwrap();
        assert!(text.lines().any(|line| line == "set -e"), "{}", script.display());
        assert!(!text.contains("#DEBHELPER#"), "{}: nobody replaces that word", script.display());
    }
}
