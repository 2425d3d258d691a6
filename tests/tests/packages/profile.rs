//! The profile of authselect: what it makes with the feature and without it.

use std::fs;

use super::workspace;

/// What authselect makes of a template (authselect-profiles(5)), as far as ours use it.
fn expanded(template: &str, features: &[&str]) -> String {
    let mut made = String::new();
    for line in fs::read_to_string(workspace("packaging/authselect").join(template)).unwrap().lines() {
        let mut line = line.to_owned();
        let mut is_in = true;
        while let Some((before, rest)) = line.clone().split_once('{') {
            let (inside, after) = rest.split_once('}').unwrap();
            let (question, text) = inside.split_once(':').unwrap_or((inside, ""));
            let (condition, feature) = question.split_once('"').unwrap();
            let holds = features.contains(&feature.trim_end_matches('"')) != condition.contains("not ");
            match condition.trim() {
                "include if" => is_in &= holds,
                "if" | "if not" => {}
                other => panic!("{template}: {other}"),
            }
            line = format!("{before}{}{after}", if holds { text } else { "" });
        }
        if is_in {
            made.push_str(line.trim_end());
            made.push('\n');
        }
    }
    made
}

fn ours() -> Vec<String> {
    let profile = fs::read_to_string(workspace("conf/pam-configs/svcauth")).unwrap();
    let lines = profile.lines().filter_map(|line| line.strip_prefix('\t'));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

fn of_kind(stack: &str, kind: &str) -> Vec<String> {
    let lines = stack.lines().filter(|line| line.trim_start_matches('-').starts_with(kind));
    lines.map(|line| line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn with_the_feature_the_lines_are_those_of_debian_and_the_first_of_both_phases() {
    let ours = ours();
    assert_eq!(ours.len(), 6, "three lines for each phase");
    for stack in ["system-auth", "password-auth"] {
        let made = expanded(stack, &["with-svcauth"]);
        assert_eq!(of_kind(&made, "account")[..3], ours[..3], "{stack}");
        assert_eq!(of_kind(&made, "session")[..3], ours[3..], "{stack}");
        assert!(of_kind(&made, "account").iter().any(|line| line.contains("pam_unix.so")), "{stack}");
    }
    let names = expanded("nsswitch.conf", &["with-svcauth"]);
    for database in ["passwd", "group"] {
        let line = names.lines().find(|line| line.starts_with(database)).unwrap();
        assert!(line.ends_with(" svcauth") && line.contains(" files "), "{line}");
    }
}

#[test]
fn without_the_feature_nothing_names_svcauth() {
    for stack in ["system-auth", "password-auth", "postlogin", "nsswitch.conf", "REQUIREMENTS"] {
        assert!(!expanded(stack, &[]).contains("svcauth"), "{stack}");
    }
}

#[test]
fn every_feature_is_explained_and_no_other_is_promised() {
    let readme = fs::read_to_string(workspace("packaging/authselect/README")).unwrap();
    let explained: std::collections::BTreeSet<&str> =
        readme.lines().filter_map(|line| line.strip_suffix("::")).collect();
    let mut used = std::collections::BTreeSet::new();
    let texts: Vec<String> = ["system-auth", "password-auth", "postlogin", "nsswitch.conf", "REQUIREMENTS"]
        .iter()
        .map(|name| fs::read_to_string(workspace("packaging/authselect").join(name)).unwrap())
        .collect();
    for text in &texts {
        used.extend(text.split('"').skip(1).step_by(2));
    }
    assert_eq!(explained, used);
}
