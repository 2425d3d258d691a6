//! The two packages of RHEL: their lists, and their life in a root folder that is this machine's with a layer over it.

use std::fs;
use std::path::PathBuf;

use svcauth_tests::program::{Ended, Program};

use super::{Scratch, package, require_golden, run, workspace};

fn rpm(name: &str) -> PathBuf {
    package(&format!("{name}-{}", env!("CARGO_PKG_VERSION")), ".rpm")
}

fn query(name: &str, words: &[&str]) -> String {
    let base = ["rpm", "--query", "--package", "--nosignature"];
    let program = Program::from_words(&base).unwrap().args(words).arg(rpm(name));
    program.run().unwrap().expect_ok().unwrap().stdout
}

fn neutral(text: &str) -> String {
    text.replace(concat!(env!("CARGO_PKG_VERSION"), "-1"), "VERSION")
}

#[test]
fn each_package_holds_what_the_list_says_and_nothing_else() {
    for name in ["svcauth", "svcauth-client"] {
        let format = "[%{FILEMODES:perms} %{FILEUSERNAME}/%{FILEGROUPNAME} %{FILENAMES}\n]";
        require_golden(&format!("{name}.rpm"), &query(name, &["--queryformat", format]));
    }
}

#[test]
fn the_relations_are_those_of_rhel_9() {
    let mut said = String::new();
    for name in ["svcauth", "svcauth-client"] {
        let ours = |line: &&str| !line.starts_with("rpmlib(") && !line.contains(".so");
        let mut needs: Vec<String> = query(name, &["--requires"]).lines().filter(ours).map(neutral).collect();
        needs.sort();
        needs.dedup();
        said.push_str(&format!("{name}\nrequires {}\n", needs.join(", ")));
        said.push_str(&format!(
            "recommends {}\n\n",
            query(name, &["--recommends"]).trim().replace('\n', ", ")
        ));
    }
    require_golden("relations.rpm", &said);
    // RHEL 9 has glibc 2.34.
    let needs = query("svcauth", &["--requires"]) + &query("svcauth-client", &["--requires"]);
    let versions: Vec<u32> = needs.lines().filter_map(glibc).collect();
    assert!(versions.contains(&34) && versions.iter().all(|minor| *minor <= 34), "{versions:?}");
}

fn glibc(need: &str) -> Option<u32> {
    let version = need.strip_prefix("libc.so.6(GLIBC_2.")?.split(')').next()?;
    version.split('.').next()?.parse().ok()
}

#[test]
fn the_scriptlets_are_the_files_of_the_source() {
    for (name, scriptlets) in
        [("svcauth", &["pre", "post", "preun", "postun"][..]), ("svcauth-client", &["preun"])]
    {
        let said = query(name, &["--scripts"]);
        for scriptlet in scriptlets {
            let source = fs::read_to_string(workspace(&format!("packaging/rpm/{name}.{scriptlet}"))).unwrap();
            assert!(said.contains(source.trim()), "{name}.{scriptlet} is not in\n{said}");
        }
        assert_eq!(said.matches("scriptlet (using /bin/sh)").count(), scriptlets.len(), "{said}");
    }
}

/// A shell script as root, with a layer over this machine's root folder in `$root`; all is gone with it.
fn in_a_root(name: &str, script: &str) -> Option<Ended> {
    if !nix::unistd::geteuid().is_root() {
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), "SKIPPED {name}: a root folder takes root");
        return None;
    }
    let scratch = Scratch::new(name);
    let path = scratch.0.join("life.sh");
    fs::write(&path, [include_str!("life.sh"), script].concat()).unwrap();
    let words = ["unshare", "--mount", "--propagation", "private", "sh", "-eu"];
    let program = Program::from_words(&words).unwrap().arg(&path).arg(&scratch.0);
    let program = program.arg(rpm("svcauth")).arg(rpm("svcauth-client"));
    Some(program.run().unwrap())
}

#[test]
fn what_is_installed_changes_no_login_and_what_is_erased_leaves_nothing() {
    let Some(ended) = in_a_root("life", "install; activate; erase; require_as_before") else { return };
    ended.expect_ok().unwrap();
}

#[test]
fn a_stack_that_would_name_a_module_that_is_gone_keeps_the_module() {
    let Some(ended) = in_a_root("named", "install; name_it_by_hand; ! erase; require_module; unname; erase")
    else {
        return;
    };
    let ended = ended.expect_ok().unwrap();
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(said.contains("/etc/pam.d/sshd:") && said.contains("take them out"), "{said}");
}

#[test]
fn the_scriptlets_can_be_run_again() {
    let script =
        "install; for part in pre post; do run_scriptlet $part 2; run_scriptlet $part 2; done; activate
        run_scriptlet preun 0; run_scriptlet preun 0; erase; run_scriptlet postun 0; require_as_before";
    let Some(ended) = in_a_root("again", script) else { return };
    ended.expect_ok().unwrap();
}

#[test]
fn an_upgrade_takes_nothing_back() {
    let script = "install; activate; upgrade; require_active; erase; require_as_before";
    let Some(ended) = in_a_root("upgrade", script) else { return };
    ended.expect_ok().unwrap();
}

#[test]
fn the_lists_are_not_looked_up_in_vain() {
    let found = run(&["rpm", "--version"]);
    assert!(found.text().starts_with("RPM version 4."), "{}", found.text());
}
