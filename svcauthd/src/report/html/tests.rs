//! Whatever a name holds, the page is the same page with other words in it.

use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use svcauth_core::audit::escape::is_deceptive;
use svcauth_core::origin::Fingerprint;
use svcauth_core::snapshot::access::KnownPerson;

use super::{Number, SCRIPT, STYLE, Text, access, hash, keys};
use crate::report::keys::{KeyState, Keys, LocalKey, UnreadFile};
use crate::report::sample::{Names, with};
use crate::report::usage::Usage;

fn page(names: &Names) -> String {
    with(names, |sample| {
        let mut out = Vec::new();
        access::write(&mut out, &sample.about, &sample.inventory, sample.wish).unwrap();
        String::from_utf8(out).unwrap()
    })
}

/// The other page, with the same names in every place that a home or the directory fills.
fn keys_page(text: &str) -> String {
    with(&Names::all(text), |sample| {
        let usage = Usage::of_first_record(1_000_000);
        let key = |state| LocalKey {
            account: text.to_owned(),
            file: text.to_owned(),
            line: 1,
            key_type: text.to_owned(),
            fingerprint: text.to_owned(),
            state,
            owner: Some(text.to_owned()),
        };
        let unread = UnreadFile { account: text.to_owned(), file: text.to_owned(), why: text.to_owned() };
        let people: Vec<KnownPerson> = sample
            .inventory
            .people()
            .iter()
            .map(|person| KnownPerson {
                person: (*person).clone(),
                keys: vec![Fingerprint::of(b"key")],
                principals: Vec::new(),
            })
            .collect();
        let keys = Keys {
            local: vec![key(KeyState::Nobody), key(KeyState::Owned)],
            unread: vec![unread],
            inventory: &sample.inventory,
            people: &people,
            usage: &usage,
            unreadable_lines: 3,
            days: 90,
            now: 2_000_000,
        };
        let mut out = Vec::new();
        keys::write(&mut out, &sample.about, &keys).unwrap();
        String::from_utf8(out).unwrap()
    })
}

/// Every tag with the names of its attributes, as a browser reads them (HTML, section 13.2.5), and the text between.
fn skeleton(page: &str) -> (Vec<String>, String) {
    let (mut tags, mut text) = (Vec::new(), String::new());
    let mut rest = page;
    while let Some((before, tag)) = rest.split_once('<') {
        text.push_str(before);
        let (name, after) = tag_at(tag);
        rest = after;
        if let Some(raw) = ["<script>", "<style>"].into_iter().find(|raw| *raw == name) {
            let end = format!("</{}", &raw[1..]);
            let (content, after) = rest.split_once(&end).unwrap();
            assert!(content == SCRIPT || content == STYLE);
            rest = after;
        }
        tags.push(name);
    }
    (tags, text)
}

/// A tag without the values of its attributes, and what follows it.
fn tag_at(text: &str) -> (String, &str) {
    let (mut name, mut quoted) = (String::from("<"), false);
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '>' if !quoted => return (name + ">", &text[at + 1..]),
            _ if !quoted => name.push(c),
            _ => {}
        }
    }
    panic!("a tag without an end");
}

const HOSTILE: &[&str] = &[
    "</script><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "<!--",
    "]]><svg onload=alert(1)>",
    "</title></svg><script>alert(1)</script>",
    "&lt;script&gt;",
    "javascript:alert(1)",
    "a\u{202e}b\u{2066}c\u{200b}d",
    "line\nline\r\n\u{2028}line\t\0",
    "\u{1b}[2J\u{9b}31m",
    "`${alert(1)}`",
    "=HYPERLINK(\"http://192.0.2.1\")",
    "\u{feff}\u{e0041}\u{fdd0}",
];

#[test]
fn the_page_is_one_document_that_names_its_host_and_everybody() {
    let page = page(&Names::plain());
    for part in [
        "<!DOCTYPE html>",
        "web1.example.com",
        "deployer",
        "jenkins",
        "alice",
        "team",
        "application",
        "line 42",
    ] {
        assert!(page.contains(part), "{part}");
    }
    let (tags, text) = skeleton(&page);
    let count = |wanted: &str| tags.iter().filter(|tag| tag.starts_with(wanted)).count();
    assert_eq!((count("<h1"), count("<table"), count("<caption"), count("<svg")), (1, 3, 3, 1));
    assert_eq!(
        (count("<script>"), count("<style>"), count("<img"), count("<link"), count("<a ")),
        (1, 1, 0, 0, 0)
    );
    assert!(text.contains("the person is disabled in the directory"), "{text}");
    assert_eq!(page.matches("aria-label=\"keep ").count(), 4);
}

#[test]
fn the_page_of_keys_tells_them_apart_and_says_what_it_rests_on() {
    let (tags, text) = skeleton(&keys_page("deployer"));
    for part in [
        "belongs to nobody in the directory",
        "its owner may use this account",
        "since 1970-01-12 13:46:40 UTC",
        "3 lines",
        "never",
        "deployer0",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let count = |wanted: &str| tags.iter().filter(|tag| tag.starts_with(wanted)).count();
    // Two keys, one file, three keys of the directory, two people on two accounts.
    assert_eq!(count("<table"), 4);
    assert_eq!(tags.iter().filter(|tag| *tag == "<tr>").count(), 4 + 2 + 1 + 3 + 4);
}

#[test]
fn nothing_but_the_one_script_and_the_one_style_sheet_may_run_and_nothing_may_be_fetched() {
    let page = page(&Names::plain());
    let policy = format!("default-src 'none'; style-src {}; script-src {};", hash(STYLE), hash(SCRIPT));
    assert!(page.contains(&policy));
    assert!(!page.contains("unsafe") && !page.contains(" style=") && !page.contains(" onclick"));
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("url("));
    // printf '' | openssl dgst -sha256 -binary | base64
    assert_eq!(hash(""), "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='");
}

#[test]
fn a_name_of_100_kb_does_not_fill_the_page() {
    let long = "\u{e4}".repeat(50_000);
    let page = page(&Names::all(&long));
    assert!(page.len() < 100_000, "{}", page.len());
    assert!(page.contains("...(+99700 bytes)"));
}

#[test]
fn numbers_are_in_groups_of_three() {
    for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
        assert_eq!(Number(number).to_string(), text);
    }
}

fn hostile() -> impl Strategy<Value = String> {
    let known = proptest::sample::select(HOSTILE).prop_map(str::to_owned);
    let any_text = any::<String>();
    let mixed = proptest::collection::vec(
        prop_oneof![
            Just("<"),
            Just(">"),
            Just("\""),
            Just("'"),
            Just("&"),
            Just("/"),
            Just("script"),
            Just("\n"),
            Just("\\"),
            Just("-->")
        ],
        0..12,
    )
    .prop_map(|parts| parts.concat());
    prop_oneof![2 => known, 1 => any_text, 2 => mixed]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_name_changes_the_page_it_is_shown_on(text in hostile()) {
        let plain = page(&Names::all("x"));
        let page = page(&Names::all(&text));
        prop_assert_eq!(skeleton(&page).0, skeleton(&plain).0);
        prop_assert!(page.chars().all(|c| c == '\n' || !is_deceptive(c)));
    }

    #[test]
    fn no_name_changes_the_page_of_keys_either(text in hostile()) {
        let plain = keys_page("x");
        let page = keys_page(&text);
        prop_assert_eq!(skeleton(&page).0, skeleton(&plain).0);
        prop_assert!(page.chars().all(|c| c == '\n' || !is_deceptive(c)));
    }

    #[test]
    fn an_escaped_text_is_neither_markup_nor_the_end_of_an_attribute(text in any::<String>()) {
        let shown = Text(&text).to_string();
        prop_assert!(!shown.contains(['<', '>', '"', '\'', '`']));
        let entities = ["amp;", "lt;", "gt;", "quot;", "#39;", "#96;"];
        let is_entity = |rest: &str| entities.iter().any(|entity| rest.starts_with(entity));
        prop_assert!(shown.split('&').skip(1).all(is_entity));
    }
}
