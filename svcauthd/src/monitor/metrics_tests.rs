//! The file as a strict reader sees it: what the format demands, and what `promtool check metrics` would complain of.

use std::collections::{BTreeMap, BTreeSet};

use svcauth_core::audit::AlarmKind;
use svcauth_core::policy::Reason;
use svcauth_host::decisions::{Kind, ServiceClass};

use super::{
    Counts, Duration, Extent, Facts, Failure, FailureKind, Metrics, Refresh, State, Status, Tally, Traffic,
    text,
};
use crate::control;

/// One metric.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    samples: BTreeMap<String, f64>,
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(is_name_part)
}

fn is_name_part(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'
}

/// The families of a text; panics at what is not the format, or is bad manners.
fn read(text: &str) -> BTreeMap<String, Family> {
    assert!(text.ends_with('\n') && !text.contains('\r') && text.is_ascii());
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut helped = String::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(is_name(name) && help.len() > 8 && !help.contains('\\'), "{line}");
            helped = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(name, helped, "HELP goes before TYPE");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            let new = Family { kind: kind.to_owned(), ..Family::default() };
            assert!(families.insert(name.to_owned(), new).is_none(), "{name} twice");
            current = name.to_owned();
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            check_series(series, &current, families.get(&current).map_or("", |family| &family.kind));
            let value: f64 = value.parse().unwrap();
            assert!(value.is_finite() && value >= 0.0, "{line}");
            let samples = &mut families.get_mut(&current).unwrap().samples;
            assert!(samples.insert(series.to_owned(), value).is_none(), "{series} twice");
        }
    }
    families
}

fn check_series(series: &str, family: &str, kind: &str) {
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let suffixes: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
    assert!(suffixes.iter().any(|suffix| name == format!("{family}{suffix}")), "{series} in {family}");
    let labels = labels.strip_suffix('}').unwrap();
    let mut keys = BTreeSet::new();
    for label in labels.split(',').filter(|label| !label.is_empty()) {
        let (key, value) = label.split_once("=\"").unwrap();
        let value = value.strip_suffix('"').unwrap();
        assert!(is_name(key) && keys.insert(key), "{series}");
        assert!(value.chars().all(|c| c.is_ascii_alphanumeric() || "_.+-".contains(c)), "{series}");
    }
    assert_eq!(keys.contains("le"), name.ends_with("_bucket"), "{series}");
}

fn status(age: Option<u64>) -> Status {
    Status {
        state: State::Degraded,
        generation: 42,
        age_seconds: age,
        max_stale_seconds: Some(86_400),
        directory: control::DirectoryStatus {
            kind: "ldap".to_owned(),
            changes: None,
            server: Some("ldaps://evil\"}\n\\ 1".to_owned()),
        },
        counts: control::Counts { accounts: 7, groups: 8, people: 9 },
        last_error: Some("a\"b\nsvcauth_generation 1\n".to_owned()),
        next_refresh_seconds: Some(1),
        audit_error: None,
    }
}

fn told(metrics: &Metrics, status: Status, decisions: &Counts) -> BTreeMap<String, Family> {
    let spool = Some(4096);
    read(&text(&Facts { started: 1000, now: 2000, status, spool, numbers: metrics.taken(), decisions }))
}

fn value(families: &BTreeMap<String, Family>, series: &str) -> f64 {
    let name = series.split('{').next().unwrap();
    let family = ["", "_bucket", "_sum", "_count"]
        .iter()
        .find_map(|suffix| families.get(name.strip_suffix(suffix)?))
        .unwrap_or_else(|| panic!("no metric {name}"));
    *family.samples.get(series).unwrap_or_else(|| panic!("no {series} in {family:?}"))
}

/// What the next test tells, as it is to be read.
const TOLD: &[(&str, f64)] = &[
    ("svcauth_start_time_seconds", 1000.0),
    ("svcauth_state{state=\"degraded\"}", 1.0),
    ("svcauth_state{state=\"ok\"}", 0.0),
    ("svcauth_snapshot_age_seconds", 30.0),
    ("svcauth_snapshot_confirmed_timestamp_seconds", 1970.0),
    ("svcauth_max_stale_seconds", 86_400.0),
    ("svcauth_generation", 42.0),
    ("svcauth_accounts", 7.0),
    ("svcauth_groups", 8.0),
    ("svcauth_people", 9.0),
    ("svcauth_refused_entries", 2.0),
    ("svcauth_refresh_duration_seconds_bucket{kind=\"whole\",le=\"1\"}", 0.0),
    ("svcauth_refresh_duration_seconds_bucket{kind=\"whole\",le=\"10\"}", 1.0),
    ("svcauth_refresh_duration_seconds_bucket{kind=\"changes\",le=\"0.01\"}", 1.0),
    ("svcauth_refresh_duration_seconds_bucket{kind=\"changes\",le=\"0.1\"}", 2.0),
    ("svcauth_refresh_duration_seconds_bucket{kind=\"changes\",le=\"+Inf\"}", 2.0),
    ("svcauth_refresh_duration_seconds_count{kind=\"changes\"}", 2.0),
    ("svcauth_refresh_duration_seconds_sum{kind=\"whole\"}", 2.5),
    ("svcauth_refresh_last_duration_seconds{kind=\"changes\"}", 0.005),
    ("svcauth_refresh_seconds_total{step=\"fetch\"}", 2.27),
    ("svcauth_refresh_seconds_total{step=\"publish\"}", 0.255),
    ("svcauth_refresh_total{result=\"success\"}", 3.0),
    ("svcauth_refresh_total{result=\"failure\"}", 1.0),
    ("svcauth_refresh_errors_total{kind=\"connect\"}", 1.0),
    ("svcauth_refresh_errors_total{kind=\"tls\"}", 0.0),
    ("svcauth_directory_requests_total", 5.0),
    ("svcauth_directory_bytes_total{direction=\"received\"}", 1051.0),
    ("svcauth_decisions_total{decision=\"deny\",reason=\"not_in_role\",service=\"su\"}", 2.0),
    ("svcauth_decisions_total{decision=\"allow\",reason=\"\",service=\"sshd\"}", 5.0),
    ("svcauth_decision_overflows_total", 1.0),
    ("svcauth_audit_writable", 1.0),
    ("svcauth_audit_records_total", 12.0),
    ("svcauth_audit_suppressed_total", 3.0),
    ("svcauth_audit_spool_bytes", 4096.0),
    ("svcauth_alarms_total{kind=\"refresh_failed\"}", 2.0),
];

#[test]
fn the_file_tells_what_the_daemon_knows_in_the_format_of_prometheus() {
    let metrics = Metrics::default();
    for (extent, fetch, publish, refused) in [
        (Extent::Whole, 2250, 250, Some(3)),
        (Extent::Changes, 16, 4, Some(2)),
        (Extent::Changes, 4, 1, None),
    ] {
        let [fetch, publish] = [fetch, publish].map(Duration::from_millis);
        metrics.refreshed(&Refresh { extent, fetch, publish, refused });
    }
    metrics.failed(&Failure::new(FailureKind::Connect, "ldaps://evil\"\n: refused"));
    metrics.asked(Traffic { requests: 4, received: 1000, sent: 200 });
    metrics.asked(Traffic { requests: 1, received: 51, sent: 70 });
    let alarms = [(AlarmKind::RefreshFailed, 2)].into();
    metrics.recorded(Some(12), &Tally { alarms, suppressed: 3 });
    let mut decisions = Counts { full: 1, ..Counts::default() };
    let deny = Kind { denied: Some(Reason::NotInRole), service: ServiceClass::Su };
    decisions.decisions.insert(deny, 2);
    decisions.decisions.insert(Kind { denied: None, service: ServiceClass::Sshd }, 5);
    let families = told(&metrics, status(Some(30)), &decisions);
    for (series, expected) in TOLD {
        assert_eq!(value(&families, series), *expected, "{series}");
    }
    assert_eq!(families["svcauth_refresh_errors_total"].samples.len(), FailureKind::ALL.len());
}

#[test]
fn without_a_snapshot_there_is_no_age_and_before_the_first_refresh_no_duration() {
    let families = told(&Metrics::default(), status(None), &Counts::default());
    for name in [
        "svcauth_snapshot_age_seconds",
        "svcauth_snapshot_confirmed_timestamp_seconds",
        "svcauth_refresh_last_duration_seconds",
    ] {
        assert!(!families.contains_key(name), "{name}");
    }
    assert_eq!(value(&families, "svcauth_refresh_duration_seconds_count{kind=\"whole\"}"), 0.0);
}

#[test]
fn an_audit_file_that_cannot_be_written_is_told_and_of_a_trail_that_has_not_begun_there_is_no_number() {
    let status = Status { audit_error: Some("No space left\n".to_owned()), ..status(Some(30)) };
    let families = told(&Metrics::default(), status, &Counts::default());
    assert_eq!(value(&families, "svcauth_audit_writable"), 0.0);
    assert!(!families.contains_key("svcauth_audit_records_total"));
    assert!(families["svcauth_alarms_total"].samples.is_empty());
}

#[test]
fn every_reason_and_service_makes_a_series_that_can_be_read() {
    let mut decisions = Counts::default();
    for denied in Reason::ALL.iter().copied().map(Some).chain([None]) {
        for service in ServiceClass::ALL {
            decisions.decisions.insert(Kind { denied, service: *service }, 1);
        }
    }
    let families = told(&Metrics::default(), status(Some(0)), &decisions);
    let expected = (Reason::ALL.len() + 1) * ServiceClass::ALL.len();
    assert_eq!(families["svcauth_decisions_total"].samples.len(), expected);
}

#[test]
fn every_metric_is_in_the_documentation() {
    const DOCUMENT: &str = include_str!("../../../docs/METRICS.md");
    let metrics = Metrics::default();
    let (fetch, publish) = (Duration::ZERO, Duration::ZERO);
    metrics.refreshed(&Refresh { extent: Extent::Whole, fetch, publish, refused: None });
    metrics.recorded(Some(1), &Tally::default());
    for name in told(&metrics, status(Some(0)), &Counts::default()).keys() {
        let documented = ["`", "{"].iter().any(|end| DOCUMENT.contains(&format!("`{name}{end}")));
        assert!(documented, "docs/METRICS.md does not name {name}");
    }
    for kind in FailureKind::ALL {
        assert!(DOCUMENT.contains(&format!("`{}`", kind.as_str())), "{kind:?}");
    }
}
