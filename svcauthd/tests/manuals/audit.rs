//! svcauth-audit(5) against the words of the audit record.

use std::collections::BTreeSet;

use svcauth_core::audit::{AlarmKind, Event};
use svcauth_core::origin::Evidence;
use svcauth_core::policy::Reason;

use crate::page::{Page, items, words, workspace};

fn page() -> Page {
    Page::read("svcauth-audit.5")
}

fn described(part: &str) -> BTreeSet<String> {
    items(page().part(part), "Ic").into_keys().collect()
}

fn set<T: Copy>(all: &[T], word: impl Fn(T) -> &'static str) -> BTreeSet<String> {
    all.iter().map(|one| word(*one).to_owned()).collect()
}

#[test]
fn the_page_has_every_key_and_no_other() {
    // Tests of the trail hold the schema against the code.
    let schema = std::fs::read_to_string(workspace().join("docs/audit.schema.json")).unwrap();
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    let keys = schema.pointer("/properties").and_then(serde_json::Value::as_object).unwrap();
    assert_eq!(described("Keys"), keys.keys().cloned().collect());
    let evidence = words(&items(page().part("Keys"), "Ic")["evidence"]);
    for word in Evidence::ALL.iter().map(|one| one.as_str()) {
        assert!(evidence.contains(word), "{word}");
    }
}

#[test]
fn the_page_has_every_event_with_its_message_id_and_no_other() {
    assert_eq!(described("Events"), set(Event::ALL, Event::as_str));
    let items = items(page().part("Events"), "Ic");
    for event in Event::ALL {
        assert!(words(&items[event.as_str()]).contains(event.message_id()), "{event}");
    }
}

#[test]
fn the_page_has_every_reason_and_alarm_with_its_sentence_and_no_other() {
    assert_eq!(described("Reasons"), set(Reason::ALL, Reason::code));
    assert_eq!(described("Alarms"), set(AlarmKind::ALL, AlarmKind::as_str));
    let page = page();
    let (reasons, alarms) = (items(page.part("Reasons"), "Ic"), items(page.part("Alarms"), "Ic"));
    let known = Reason::ALL.iter().map(|reason| (&reasons, reason.code(), reason.sentence()));
    let known = known.chain(AlarmKind::ALL.iter().map(|kind| (&alarms, kind.as_str(), kind.sentence())));
    for (items, code, sentence) in known {
        assert_eq!(words(&items[code]).trim_end_matches([' ', '.']).to_lowercase(), sentence.to_lowercase());
    }
}

#[test]
fn the_page_has_every_code_of_a_broken_chain() {
    // The table of docs/audit.md: | `edited` | ...
    let manual = std::fs::read_to_string(workspace().join("docs/audit.md")).unwrap();
    let (_, rest) = manual.split_once("## Checking it").unwrap();
    let rows = rest.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let codes: Vec<&str> =
        rows.take_while(|line| line.starts_with("| `")).map(|line| line.split('`').nth(1).unwrap()).collect();
    assert!(codes.len() > 10, "{codes:?}");
    let text = words(page().part("The file"));
    for code in codes {
        assert!(text.split([' ', ',', '.']).any(|word| word == code), "{code}");
    }
}
