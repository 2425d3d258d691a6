//! docs/audit.schema.json and docs/audit.md say what the code does.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;
use svcauth_core::audit::chain::Walk;
use svcauth_core::audit::{AlarmKind, Event, Verdict};
use svcauth_core::origin::Evidence;
use svcauth_core::policy::Reason;
use svcauth_host::sessions::SessionOrigin;

use super::tests::full_record;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/");

fn document(name: &str) -> String {
    fs::read_to_string(format!("{FOLDER}{name}")).unwrap()
}

fn schema() -> Value {
    serde_json::from_str(&document("audit.schema.json")).unwrap()
}

/// The keys of a record in their order, with those of the file around them.
fn keys() -> Vec<String> {
    let json = full_record().to_json();
    // Every string of this record is short and plain: what stands before a colon is a key.
    let inside = json.trim_matches(['{', '}']);
    let keys =
        inside.split(",\"").map(|pair| pair.trim_start_matches('"').split('"').next().unwrap().to_owned());
    ["seq", "prev"].map(str::to_owned).into_iter().chain(keys).chain(["hash".to_owned()]).collect()
}

fn words(schema: &Value, pointer: &str) -> BTreeSet<String> {
    let list = schema.pointer(pointer).and_then(Value::as_array).unwrap();
    list.iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

fn set<T: Copy>(all: &[T], word: impl Fn(T) -> &'static str) -> BTreeSet<String> {
    all.iter().map(|one| word(*one).to_owned()).collect()
}

#[test]
fn the_schema_has_the_keys_of_a_record_and_no_other_each_described() {
    let schema = schema();
    let properties = schema.pointer("/properties").and_then(Value::as_object).unwrap();
    let described: BTreeSet<&String> = properties.keys().collect();
    assert_eq!(described, keys().iter().collect());
    assert_eq!(schema.get("additionalProperties"), Some(&Value::Bool(false)));
    for (key, property) in properties {
        let text = property.get("description").and_then(Value::as_str).unwrap_or_default();
        assert!(text.len() > 10 && text.ends_with('.'), "{key}: {text:?}");
        assert!(property.get("type").is_some() || property.get("const").is_some(), "{key}");
    }
}

#[test]
fn the_words_of_the_schema_are_those_of_the_code() {
    let schema = schema();
    assert_eq!(words(&schema, "/properties/event/enum"), set(Event::ALL, Event::as_str));
    let verdicts = [Verdict::Allow, Verdict::Deny];
    assert_eq!(words(&schema, "/properties/decision/enum"), set(&verdicts, Verdict::as_str));
    let evidence = set(Evidence::ALL, Evidence::as_str);
    assert_eq!(words(&schema, "/properties/evidence/enum"), evidence);
    assert_eq!(words(&schema, "/properties/first_evidence/enum"), evidence);
    let (reasons, alarms) = (set(Reason::ALL, Reason::code), set(AlarmKind::ALL, AlarmKind::as_str));
    assert_eq!(words(&schema, "/properties/reason/enum"), &reasons | &alarms);
    let name = String::new;
    let kinds = [SessionOrigin::Person(name()), SessionOrigin::Root, SessionOrigin::Local(name())];
    let kinds: BTreeSet<String> = kinds.iter().map(|kind| kind.kind().to_owned()).collect();
    assert_eq!(words(&schema, "/properties/origin_kind/enum"), kinds);
    // The parts for single events name subsets of these.
    for rule in schema.get("allOf").and_then(Value::as_array).unwrap() {
        let event = rule.pointer("/if/properties/event/const").and_then(Value::as_str).unwrap();
        assert!(Event::ALL.iter().any(|known| known.as_str() == event), "{event}");
        if rule.pointer("/then/properties/reason").is_some() {
            let expected = if event == "alarm" { &alarms } else { &reasons };
            assert_eq!(&words(rule, "/then/properties/reason/enum"), expected, "{event}");
        }
    }
}

#[test]
fn the_manual_has_a_row_for_every_key_with_its_names_elsewhere() {
    let (manual, line) = (document("audit.md"), full_record().to_line());
    for key in keys() {
        let in_line = match key.as_str() {
            "key_fingerprint" => "key",
            "age_seconds" => "age",
            "duration_seconds" => "duration",
            other => other,
        };
        let is_in_line = line.contains(&format!(" {in_line}="));
        let is_in_file_only = matches!(key.as_str(), "seq" | "prev" | "hash");
        let journal =
            if is_in_file_only { String::new() } else { format!("`SVCAUTH_{}`", key.to_uppercase()) };
        let in_line = if is_in_line { format!("`{in_line}`") } else { String::new() };
        let row = manual.lines().find(|row| row.starts_with(&format!("| `{key}` |")));
        let cells: Vec<&str> =
            row.unwrap_or_else(|| panic!("no row for {key}")).split('|').map(str::trim).collect();
        assert_eq!((cells[3], cells[4]), (journal.as_str(), in_line.as_str()), "{key}");
    }
}

#[test]
fn the_manual_has_a_section_for_every_event_with_a_record_of_it() {
    let manual = document("audit.md");
    for event in Event::ALL {
        let section = manual.split("\n### ").find(|section| section.starts_with(&format!("{event}\n")));
        let section = section.unwrap_or_else(|| panic!("no section for {event}"));
        let example = section.lines().find(|line| line.starts_with('{')).unwrap();
        let entry: super::Entry = serde_json::from_str(example).unwrap();
        assert_eq!(entry.event, event.as_str());
        assert!(entry.seq.is_some() && entry.hash.is_some() && entry.time.is_some(), "{example}");
        let known = keys();
        let object: serde_json::Map<String, Value> = serde_json::from_str(example).unwrap();
        assert!(object.keys().all(|key| known.contains(key)), "{example}");
        assert!(section.contains(event.message_id()), "the MESSAGE_ID of {event}");
    }
}

#[test]
fn the_manual_explains_every_reason() {
    let manual = document("audit.md");
    for (code, sentence) in Reason::ALL.iter().map(|reason| (reason.code(), reason.sentence())) {
        assert!(manual.contains(&format!("| `{code}` | {sentence} |")), "| `{code}` | {sentence} |");
    }
    for kind in AlarmKind::ALL {
        let row = format!("| `{}` | {} |", kind.as_str(), kind.sentence());
        assert!(manual.contains(&row), "{row}");
    }
}

#[test]
fn the_examples_of_the_manual_are_a_file_that_verifies() {
    let manual = document("audit.md");
    let mut walk = Walk::new();
    walk.begin_file();
    let lines = || manual.lines().filter(|line| line.starts_with('{'));
    for line in lines() {
        assert!(walk.step(line.as_bytes()).is_ok(), "{line}");
    }
    assert_eq!((lines().count(), walk.last().unwrap().seq), (Event::ALL.len(), Event::ALL.len() as u64));
}
