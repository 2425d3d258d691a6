//! The pages against the host: paths, PAM's lines, other pages.

use std::collections::BTreeSet;
use std::fs;

use crate::page::{Page, plain, words, workspace};

/// Files of svcauth that no code opens by a constant of `svcauth_host::paths`, as a package puts them in place.
const INSTALLED: &[&str] = &[
    "/etc/ssh/sshd_config.d/10-svcauth.conf",
    "/etc/svcauth/directory.ldif",
    "/run/svcauth/recorder.state",
    "/usr/bin/svcauth-shell",
    "/usr/share/authselect/vendor/svcauth",
    "/usr/share/pam-configs/svcauth",
    "/var/lib/svcauth/activation/edited",
];

/// Pages of others that every host of ours has, or that the package they are in brings.
const OTHERS: &[(&str, &str)] = &[
    ("PAM", "7"),
    ("authselect", "8"),
    ("cron", "8"),
    ("diff", "1"),
    ("getent", "1"),
    ("id", "1"),
    ("journalctl", "1"),
    ("logrotate", "8"),
    ("ls", "1"),
    ("nss", "5"),
    ("nsswitch.conf", "5"),
    ("open", "2"),
    ("pam-auth-update", "8"),
    ("pam_listfile", "8"),
    ("pam_localuser", "8"),
    ("pam_loginuid", "8"),
    ("passwd", "5"),
    ("ssh-keygen", "1"),
    ("sshd", "8"),
    ("sshd_config", "5"),
    ("tmux", "1"),
    ("sssd-ldap", "5"),
    ("sudo", "8"),
    ("systemd-journald.service", "8"),
    ("sysusers.d", "5"),
    ("tmpfiles.d", "5"),
    ("useradd", "8"),
];

/// The values of the constants of `svcauth_host::paths`.
fn paths() -> BTreeSet<String> {
    let source = fs::read_to_string(workspace().join("svcauth_host/src/paths.rs")).unwrap();
    let constants = source.lines().filter(|line| line.starts_with("pub const "));
    let values: BTreeSet<String> = constants
        .map(|line| line.split('"').nth(1).unwrap_or_else(|| panic!("{line}")).to_owned())
        .filter(|value| value.starts_with('/'))
        .collect();
    assert!(values.len() > 10, "{values:?}");
    values
}

/// The paths that pages mark as such.
fn written() -> BTreeSet<String> {
    let lines = Page::all().into_iter().flat_map(|page| page.lines);
    let marked = lines.filter_map(|line| {
        let (_, rest) =
            line.split_once("Pa ").filter(|_| line.starts_with(".Pa ") || line.contains(" Pa "))?;
        rest.split(' ').next().map(plain)
    });
    marked.collect()
}

#[test]
fn every_path_of_the_code_is_in_a_page() {
    let missing: Vec<String> = paths().difference(&written()).cloned().collect();
    assert!(missing.is_empty(), "no page says what {missing:?} is");
}

#[test]
fn no_page_names_a_file_of_ours_that_is_not_there() {
    let known: BTreeSet<String> =
        paths().into_iter().chain(INSTALLED.iter().map(ToString::to_string)).collect();
    let ours = written().into_iter().filter(|path| path.starts_with('/') && path.contains("svcauth"));
    let unknown: Vec<String> = ours.filter(|path| !known.contains(path) && !is_packaged(path)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// Whether a package has this document or example, and the tree as well.
fn is_packaged(path: &str) -> bool {
    const FOLDER: &str = "/usr/share/doc/svcauth/";
    let stage = fs::read_to_string(workspace().join("packaging/stage")).unwrap();
    let Some(name) = path.strip_prefix(FOLDER) else { return false };
    match name.strip_prefix("examples/") {
        Some(example) => workspace().join("conf").join(example).exists(),
        None => {
            let list = stage.lines().find_map(|line| line.trim().strip_prefix("for document in ")).unwrap();
            let is_staged = list.split([' ', ';']).any(|document| document == name);
            is_staged && workspace().join("docs").join(name).exists()
        }
    }
}

#[test]
fn the_lines_that_the_page_of_the_module_shows_are_those_of_the_profile() {
    let profile = fs::read_to_string(workspace().join("conf/pam-configs/svcauth")).unwrap();
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let lines: Vec<Vec<String>> = profile.lines().filter(|line| line.starts_with('\t')).map(words).collect();
    assert!(lines.len() >= 6, "{profile}");
    let page = Page::read("pam_svcauth.8");
    let shown = page.displays().iter().map(|text| words(&text.replace("\\\n", " "))).collect::<Vec<_>>();
    for line in lines {
        let is_shown = shown.iter().any(|display| display.windows(line.len()).any(|part| part == line));
        assert!(is_shown, "{line:?}");
    }
}

#[test]
fn every_page_that_is_referred_to_exists_and_every_page_of_ours_is_referred_to() {
    let pages = Page::all();
    let own: BTreeSet<(String, String)> = pages
        .iter()
        .map(|page| page.file.rsplit_once('.').unwrap())
        .map(|(name, section)| (name.to_owned(), section.to_owned()))
        .collect();
    let mut referred = BTreeSet::new();
    for page in &pages {
        for line in page.lines.iter().filter(|line| line.starts_with(".Xr ")) {
            let mut words = line.split(' ').skip(1);
            let target = (words.next().unwrap(), words.next().unwrap());
            let is_known =
                own.contains(&(target.0.to_owned(), target.1.to_owned())) || OTHERS.contains(&target);
            assert!(is_known, "{}: {line}", page.file);
            referred.insert((target.0.to_owned(), target.1.to_owned()));
        }
    }
    let alias = ("libnss_svcauth.so.2".to_owned(), "8".to_owned());
    let lonely: Vec<_> = own.difference(&referred).filter(|page| **page != alias).collect();
    assert!(lonely.is_empty(), "{lonely:?}");
}

#[test]
fn a_page_has_the_sections_that_its_readers_look_for() {
    for page in Page::all() {
        let sections =
            ["NAME", "SYNOPSIS", "DESCRIPTION", "FILES", "EXAMPLES", "SEE ALSO", "SECURITY CONSIDERATIONS"];
        for section in sections {
            assert!(!words(page.section(section)).trim().is_empty(), "{}: {section}", page.file);
        }
        let head: Vec<&str> = page.lines.iter().take(3).map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(head, [".Dd", ".Dt", ".Os"], "{}", page.file);
    }
}
