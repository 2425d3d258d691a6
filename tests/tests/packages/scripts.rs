//! Scripts: read by the strictest readers, and free of what only another shell knows.

use std::fs;
use std::path::PathBuf;

use super::{run, workspace};

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
