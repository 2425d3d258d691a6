//! The three packages of Debian.

use std::fs;
use std::path::PathBuf;

use super::{Scratch, package, require_golden, run};

const NAMES: &[&str] = &["svcauth", "libpam-svcauth", "libnss-svcauth"];

fn deb(name: &str) -> PathBuf {
    package(&format!("{name}_"), ".deb")
}

fn field(name: &str, field: &str) -> String {
    run(&["dpkg-deb".as_ref(), "--field".as_ref(), deb(name).as_os_str(), field.as_ref()]).text().to_owned()
}

fn unpacked(name: &str, scratch: &Scratch) -> PathBuf {
    let to = scratch.0.join(name);
    run(&["dpkg-deb".as_ref(), "--raw-extract".as_ref(), deb(name).as_os_str(), to.as_os_str()]);
    to
}

/// What differs between releases and architectures by a word that does not.
fn neutral(text: &str) -> String {
    let (version, arch) = (field("svcauth", "Version"), field("svcauth", "Architecture"));
    let triplet = run(&["dpkg-architecture", "-qDEB_HOST_MULTIARCH"]).text().to_owned();
    text.replace(&version, "VERSION").replace(&triplet, "TRIPLET").replace(&arch, "ARCH")
}

#[test]
fn each_package_holds_what_the_list_says_and_nothing_else() {
    for name in NAMES {
        let deb = deb(name);
        let list = run(&["dpkg-deb".as_ref(), "--contents".as_ref(), deb.as_os_str()]);
        let entry = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            format!("{} {} {}\n", words[0], words[1], words[5..].join(" "))
        };
        let mut entries: Vec<String> = list.text().lines().map(entry).collect();
        entries.sort_by(|a, b| a.split(' ').nth(2).cmp(&b.split(' ').nth(2)));
        require_golden(&format!("{name}.deb"), &neutral(&entries.concat()));
    }
}

#[test]
fn the_relations_keep_the_module_that_guards_beside_the_one_that_shows() {
    let mut said = String::new();
    for name in NAMES {
        for word in ["Package", "Multi-Arch", "Depends", "Recommends", "Conffiles"] {
            let value = field(name, word);
            if !value.is_empty() {
                said.push_str(&format!("{word}: {value}\n"));
            }
        }
        said.push('\n');
    }
    require_golden("relations", &neutral(&said));
}

#[test]
fn every_library_that_a_program_or_module_needs_is_in_depends() {
    let scratch = Scratch::new("needs");
    fs::create_dir(scratch.0.join("debian")).unwrap();
    fs::write(scratch.0.join("debian/control"), "").unwrap();
    let triplet = run(&["dpkg-architecture", "-qDEB_HOST_MULTIARCH"]).text().to_owned();
    let modules = format!("usr/lib/{triplet}");
    for (name, files) in [
        ("svcauth", vec!["usr/bin/svcauth".to_owned(), "usr/sbin/svcauthd".to_owned()]),
        ("libpam-svcauth", vec![format!("{modules}/security/pam_svcauth.so")]),
        ("libnss-svcauth", vec![format!("{modules}/libnss_svcauth.so.2")]),
    ] {
        let tree = unpacked(name, &scratch);
        let depends = field(name, "Depends");
        for file in files {
            let words = ["dpkg-shlibdeps", "-xlibgcc-s1", "-xlibgcc", "-O"];
            let program = svcauth_tests::program::Program::from_words(&words).unwrap();
            let ended = program.arg(tree.join(&file)).dir(&scratch.0).run().unwrap().expect_ok().unwrap();
            let needs = ended.text().lines().find_map(|line| line.strip_prefix("shlibs:Depends=")).unwrap();
            assert!(needs.contains("libc6"), "{file} needs {needs}");
            for need in needs.split(", ") {
                let covered = depends.split(", ").any(|has| has == need || covers(has, need));
                assert!(covered, "{name} has {file}, which needs {need}; Depends: {depends}");
            }
        }
    }
}

/// Whether `libc6 (>= 2.34)` is enough for `libc6 (>= 2.33)`.
fn covers(has: &str, need: &str) -> bool {
    let split = |word: &str| {
        let (name, version) = word.trim_end_matches(')').split_once(" (>= ")?;
        Some((name.to_owned(), version.to_owned()))
    };
    match (split(has), split(need)) {
        (Some((name, version)), Some((wanted, least))) if name == wanted => {
            let words = ["dpkg", "--compare-versions", &version, "ge", &least];
            svcauth_tests::program::Program::from_words(&words).unwrap().run().unwrap().ok()
        }
        _ => false,
    }
}

#[test]
fn the_shell_is_linked_statically_and_is_no_shell_that_may_be_chosen() {
    let scratch = Scratch::new("static");
    let tree = unpacked("svcauth", &scratch);
    let interpreter = |file: &str| {
        let headers = run(&["readelf".as_ref(), "-lW".as_ref(), tree.join(file).as_os_str()]);
        headers.text().contains(" INTERP ")
    };
    assert!(interpreter("usr/bin/svcauth"), "a program that is linked dynamically has an interpreter");
    assert!(!interpreter("usr/bin/svcauth-shell"));
    // In /etc/shells it would let `su -s` choose another one in its place (su(1)).
    let lists = Scratch::new("lists");
    for name in NAMES {
        let tree = unpacked(name, &lists);
        assert!(!tree.join("usr/share/debianutils").exists(), "{name} has a list of shells");
    }
    for script in super::scripts::scripts() {
        let text = fs::read_to_string(&script).unwrap();
        assert!(!text.contains("add-shell") && !text.contains("/etc/shells"), "{}", script.display());
    }
}

#[test]
fn lintian_finds_neither_an_error_nor_a_warning() {
    let mut words = vec!["lintian".to_owned(), "--allow-root".to_owned()];
    words.extend(["--fail-on".to_owned(), "error,warning".to_owned(), "--tag-display-limit".to_owned()]);
    words.push("0".to_owned());
    words.extend(NAMES.iter().map(|name| deb(name).display().to_string()));
    run(&words);
}

#[test]
fn lintian_is_asked_at_all() {
    let scratch = Scratch::new("lintian");
    let tree = unpacked("libnss-svcauth", &scratch);
    fs::remove_file(tree.join("usr/share/doc/libnss-svcauth/copyright")).unwrap();
    let bad = scratch.0.join("bad.deb");
    run(&["dpkg-deb".as_ref(), "--build".as_ref(), tree.as_os_str(), bad.as_os_str()]);
    let words = ["lintian", "--allow-root", "--fail-on", "error,warning"];
    let ended = svcauth_tests::program::Program::from_words(&words).unwrap().arg(&bad).run().unwrap();
    assert!(!ended.ok() && ended.stdout.contains("no-copyright-file"), "{}", ended.report());
}

#[test]
fn nothing_in_a_package_names_a_folder_of_who_built_it() {
    let scratch = Scratch::new("paths");
    let home = std::env::var("HOME").unwrap_or_else(|_| "/root".to_owned());
    let cargo = std::env::var("CARGO_HOME").unwrap_or_else(|_| format!("{home}/.cargo"));
    let own = super::workspace("").display().to_string();
    let target = svcauth_tests::artifacts::target_folder().unwrap().display().to_string();
    for name in NAMES {
        let tree = unpacked(name, &scratch);
        for folder in [cargo.as_str(), own.trim_end_matches('/'), &target] {
            let words = ["grep", "-rlaF", "-e", folder];
            let ended =
                svcauth_tests::program::Program::from_words(&words).unwrap().arg(&tree).run().unwrap();
            assert_eq!((ended.code, ended.text()), (1, ""), "{name} names {folder}");
        }
    }
    // The names that stand in their place are there, so the search finds what it looks for.
    let words = ["grep", "-rlaF", "-e", "/crates/clap"];
    let found = svcauth_tests::program::Program::from_words(&words).unwrap().arg(&scratch.0).run().unwrap();
    assert!(found.text().contains("usr/bin/svcauth"), "{}", found.report());
}

#[test]
fn the_changelog_has_the_version_that_cargo_has() {
    let version = field("svcauth", "Version");
    assert_eq!(version, format!("{}-1", env!("CARGO_PKG_VERSION")));
    let log = fs::read_to_string(super::workspace("packaging/deb/changelog")).unwrap();
    assert!(log.starts_with(&format!("svcauth ({version}) ")), "{}", log.lines().next().unwrap_or_default());
}
