//! svcauth.toml(5) against the reader of the configuration.

use std::collections::{BTreeMap, BTreeSet};

use svcauth_core::config::Config;

use crate::page::{Page, items, parts, plain, words, workspace};

const SECTIONS: [&str; 9] = [
    "[directory]",
    "[accounts]",
    "[groups]",
    "[people]",
    "[certificates]",
    "[limits]",
    "[sessions]",
    "[audit]",
    "[[access]]",
];

/// A configuration as sections and their lines, so that one line more can be put where it belongs.
type Base = BTreeMap<&'static str, Vec<String>>;

fn base(lines: &[(&'static str, &[&str])]) -> Base {
    let mut base: Base = SECTIONS.map(|section| (section, Vec::new())).into();
    for (section, lines) in lines {
        base.insert(section, lines.iter().map(ToString::to_string).collect());
    }
    base
}

/// Configurations in which, between them, every key means something.
fn bases() -> Vec<Base> {
    let rule: (&'static str, &[&str]) = ("[[access]]", &["accounts = [\"*\"]", "roles = [\"r\"]"]);
    let places: [(&'static str, &[&str]); 2] =
        [("[groups]", &["base = \"dc=x\""]), ("[people]", &["base = \"dc=x\""])];
    let accounts: (&'static str, &[&str]) = ("[accounts]", &["base = \"dc=x\""]);
    let by_sid: (&'static str, &[&str]) =
        ("[accounts]", &["base = \"dc=x\"", "id_map = \"sid\"", "id_range = \"200000-200999\""]);
    let ldap = "kind = \"ldap\"\nuris = [\"ldaps://h\"]";
    let ad = "kind = \"ad\"\nuris = [\"ldaps://h\"]\nbind = \"gssapi\"";
    vec![
        base(&[("[directory]", &["kind = \"ldif\""]), rule]),
        base(&[("[directory]", &[ldap]), accounts, places[0], places[1], rule]),
        base(&[("[directory]", &[ad]), accounts, places[0], places[1], rule]),
        base(&[("[directory]", &[ad]), by_sid, places[0], places[1], rule]),
    ]
}

/// The text, with a line more in a section. Rules come first, so that their lines are the same whatever is added.
fn text(base: &Base, more: Option<(&str, &str)>) -> String {
    let mut text = String::new();
    for section in SECTIONS.iter().rev() {
        text.push_str(&format!("{section}\n{}\n", base[section].join("\n")));
        if let Some((_, line)) = more.filter(|(place, _)| place == section) {
            text.push_str(&format!("{line}\n"));
        }
    }
    text
}

/// The words that the reader expects where it finds none of them.
fn expected(broken: &str) -> BTreeSet<String> {
    let error = Config::parse(broken).unwrap_err();
    let (_, list) = error.message().split_once("; expected ").unwrap();
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

fn keys_of_the_reader(section: &str) -> BTreeSet<String> {
    const NO_KEY: &str = "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz = 1";
    expected(&text(&bases()[0], Some((section, NO_KEY))))
}

/// The defaults of a key, as TOML.
fn defaults(body: &[String]) -> Vec<String> {
    let behind = body.iter().zip(body.iter().skip(1)).filter(|(line, _)| *line == "Default:");
    behind.map(|(_, value)| toml_of(value.strip_prefix(".Ql ").unwrap())).collect()
}

/// A value as it is shown, and the punctuation behind it.
fn toml_of(shown: &str) -> String {
    let value = shown.rsplit_once(' ').filter(|(_, mark)| matches!(*mark, "." | "," | ";"));
    let value = plain(value.map_or(shown, |(value, _)| value));
    let is_bare = value.starts_with('[') || value.bytes().all(|byte| byte.is_ascii_digit());
    if is_bare { value } else { format!("\"{value}\"") }
}

fn every_key() -> Vec<(&'static str, String, Vec<String>)> {
    let page = Page::read("svcauth.toml.5");
    let of =
        |section| items(page.part(section), "Ic").into_iter().map(move |(key, body)| (section, key, body));
    SECTIONS.into_iter().flat_map(of).collect()
}

#[test]
fn the_page_has_every_section_and_key_and_no_other() {
    let page = Page::read("svcauth.toml.5");
    let known = expected(&format!("zzzzzzzzzzzzzzzzzzzz = 1\n{}", text(&bases()[0], None)));
    assert_eq!(known, SECTIONS.iter().map(|section| section.trim_matches(['[', ']']).to_owned()).collect());
    let written = parts(page.section("DESCRIPTION"));
    assert_eq!(written, [&["Values"], &SECTIONS[..]].concat());
    for section in SECTIONS {
        let described: BTreeSet<String> = items(page.part(section), "Ic").into_keys().collect();
        assert_eq!(described, keys_of_the_reader(section), "{section}");
    }
}

#[test]
fn a_default_of_the_page_changes_nothing_when_it_is_written() {
    let mut tried = 0;
    for (section, key, body) in every_key() {
        let defaults = defaults(&body);
        let mut right = BTreeSet::new();
        for base in &bases() {
            let without = Config::parse(&text(base, None)).unwrap();
            if base[section].iter().any(|line| line.contains(&format!("{key} ="))) {
                continue;
            }
            let with = |value: &String| {
                Config::parse(&text(base, Some((section, &format!("{key} = {value}"))))).ok()
            };
            let taken: Vec<&String> = defaults.iter().filter(|value| with(value).is_some()).collect();
            let equal = taken.iter().copied().filter(|value| with(value).as_ref() == Some(&without));
            right.extend(equal.clone().cloned());
            assert!(
                taken.is_empty() || equal.count() == 1,
                "{section} {key}: none of {taken:?} is the default"
            );
        }
        assert_eq!(right, defaults.iter().cloned().collect(), "{section} {key}");
        tried += right.len();
    }
    assert!(tried > 30, "{tried}");
}

#[test]
fn a_key_has_a_default_or_the_page_says_that_it_has_none() {
    for (section, key, body) in every_key() {
        let text = words(&body);
        let said = [text.contains("Default: "), text.contains("No default"), text.contains("Required:")];
        assert_eq!(said.iter().filter(|said| **said).count(), 1, "{section} {key}: {text}");
    }
}

#[test]
fn the_bounds_of_the_page_are_taken_and_what_is_beyond_is_not() {
    let mut tried = 0;
    for (section, key, body) in every_key() {
        let bounds = bounds(&words(&body));
        for (value, is_good) in bounds {
            let tries: Vec<bool> = bases()
                .iter()
                .filter(|base| {
                    // Only where the key means something.
                    let line = format!("{key} = {}", defaults(&body)[0]);
                    Config::parse(&text(base, Some((section, &line)))).is_ok()
                })
                .map(|base| Config::parse(&text(base, Some((section, &format!("{key} = {value}"))))).is_ok())
                .collect();
            let is_slice = key.starts_with("idmap_");
            assert!(!tries.is_empty(), "{section} {key}");
            // Of the three of a slice not every value goes with the other two.
            assert!(is_slice || tries.iter().all(|ok| *ok == is_good), "{section} {key} = {value}");
            tried += 1;
        }
    }
    assert!(tried >= 8, "{tried}");
}

/// `An integer from 1 to 999`: both are good, 0 and 1000 are not. Of sizes and spans the bounds themselves.
fn bounds(text: &str) -> Vec<(String, bool)> {
    let range = |head: &str| {
        let (_, rest) = text.split_once(head)?;
        let (first, rest) = rest.split_once(" to ")?;
        let last = rest.split([' ', ':', ',']).next()?;
        Some((first.trim().to_owned(), last.trim_end_matches('.').to_owned()))
    };
    if let Some((first, last)) = range("An integer from ") {
        let number = |text: &str| text.parse::<i64>().unwrap();
        let (below, above) = (number(&first) - 1, number(&last) + 1);
        return vec![(first, true), (last, true), (below.to_string(), false), (above.to_string(), false)];
    }
    let span = range("A span of time from ").or_else(|| range("A size from "));
    span.into_iter()
        .flat_map(|(first, last)| {
            let twice = last.replacen('1', "2", 1);
            [(first, true), (last, true), (twice, false)]
        })
        .map(|(value, good)| (format!("\"{value}\""), good))
        .collect()
}

#[test]
fn the_words_that_a_key_takes_are_those_of_the_reader() {
    let mut tried = 0;
    for (section, key, body) in every_key() {
        for base in &bases() {
            let place = base[section].join("\n").replace(&format!("{key} = "), "no_key = ");
            let mut base = base.clone();
            base.insert(
                section,
                place.lines().filter(|line| !line.starts_with("no_key")).map(str::to_owned).collect(),
            );
            let line = format!("{key} = \"zzzzzzzzzzzzzzzzzzzz\"");
            let Err(error) = Config::parse(&text(&base, Some((section, &line)))) else { continue };
            let Some((_, list)) = error.message().split_once(&format!("unknown value of {key} ")) else {
                continue;
            };
            let page = words(&body);
            for word in list.split('"').skip(3).step_by(2) {
                assert!(page.split([' ', ',', ';', ':', '.']).any(|w| w == word), "{section} {key}: {word}");
                tried += 1;
            }
        }
    }
    assert!(tried > 20, "{tried}");
}

#[test]
fn every_example_of_a_configuration_is_one() {
    let mut tried = 0;
    let readme = std::fs::read_to_string(workspace().join("README.md")).unwrap();
    let of_readme =
        readme.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    let of_pages = Page::all().into_iter().flat_map(|page| page.displays());
    for example in of_pages.chain(of_readme) {
        if !example.contains("[[access]]") && !example.contains("[directory]") {
            continue;
        }
        let head = if example.contains("[directory]") { "" } else { "[directory]\nkind = \"ldif\"\n" };
        let parsed = Config::parse(&format!("{head}{example}"));
        assert!(parsed.is_ok(), "{example}\n{}", parsed.unwrap_err());
        tried += 1;
    }
    assert!(tried >= 5, "{tried}");
}

/// The keys that `conf/svcauth.toml` has in comments, `# key = value`, with their section.
fn commented_keys() -> Vec<(&'static str, String)> {
    let example = std::fs::read_to_string(workspace().join("conf/svcauth.toml")).unwrap();
    let (mut section, mut found) = ("", Vec::new());
    for line in example.lines() {
        let bare = line.strip_prefix("# ").unwrap_or(line);
        if let Some(head) = SECTIONS.iter().find(|head| bare == **head) {
            section = head;
        } else if line != bare && bare.split_once(" = ").is_some_and(|(key, _)| is_key(key)) {
            found.push((section, bare.to_owned()));
        }
    }
    found
}

fn is_key(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

#[test]
fn the_keys_that_the_example_has_in_comments_are_taken() {
    let keys = commented_keys();
    assert!(keys.len() > 25, "{keys:?}");
    for (section, line) in keys {
        let key = line.split(" = ").next().unwrap();
        let is_taken = bases().into_iter().chain(more_bases()).any(|mut base| {
            let lines = base.get_mut(section).unwrap();
            let others: Vec<&str> = lines.iter().flat_map(|line| line.lines()).collect();
            let others = others.into_iter().filter(|line| !line.starts_with(&format!("{key} = ")));
            *lines = others.map(str::to_owned).collect();
            Config::parse(&text(&base, Some((section, &line)))).is_ok()
        });
        assert!(is_taken, "{section} {line}");
    }
}

/// What an alternative of the example goes with.
fn more_bases() -> Vec<Base> {
    let [_, ldap, ad, _] = bases().try_into().unwrap();
    let with = |base: &Base, lines: &[&str]| {
        let mut base = base.clone();
        base.insert("[directory]", lines.iter().map(ToString::to_string).collect());
        base
    };
    let simple = ["bind = \"simple\"", "bind_dn = \"cn=x\"", "bind_password_file = \"/x\""];
    vec![
        with(&ldap, &[&["kind = \"ldap\"", "uris = [\"ldaps://h\"]"], &simple[..]].concat()),
        with(&ad, &["kind = \"ad\"", "bind = \"gssapi\""]),
        with(&ad, &["kind = \"ad\"", "domain = \"example.com\"", "bind = \"gssapi\""]),
        with(&ad, &[&["kind = \"ad\"", "uris = [\"ldaps://h\"]"], &simple[..]].concat()),
    ]
}

#[test]
fn a_commented_key_of_the_example_shows_the_default_or_is_one_of_the_alternatives() {
    // With several values, names of a site, or a wish of the administrator; a rule with any of the keys that limit is another
    // rule than one with none, so that none of them has a default.
    const ALTERNATIVES: &[&str] = &[
        "bind",
        "bind_dn",
        "bind_password_file",
        "ca_file",
        "commands",
        "domain",
        "forwarding",
        "from",
        "host_attribute",
        "hosts",
        "id_map",
        "key_id",
        "kind",
        "lockout_duration",
        "mode",
        "principal",
        "record",
        "sftp",
        "shell",
        "site",
        "trusted_ca",
        "uris",
    ];
    let mut shown = 0;
    for (section, line) in commented_keys() {
        let (key, rest) = line.split_once(" = ").unwrap();
        let (_, _, body) = every_key().into_iter().find(|(s, k, _)| *s == section && k == key).unwrap();
        let is_default =
            defaults(&body).iter().any(|default| rest.split("  ").next().unwrap().trim() == *default);
        assert!(is_default || ALTERNATIVES.contains(&key), "{section} {line}");
        shown += usize::from(is_default);
    }
    assert!(shown >= 15, "{shown}");
}
