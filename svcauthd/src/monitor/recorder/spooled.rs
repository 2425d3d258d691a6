//! What a line of the spool is.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use svcauth_core::audit::AlarmKind;
use svcauth_core::audit::chain::SEALED_MAX;

use super::flood::Kind;

/// What the number and the hashes of a line take, with room to spare. In bytes.
const SEAL: usize = 256;

/// A line of the spool.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Spooled<'a> {
    /// A record, as it was written; of an alarm that this version knows, its kind.
    Record(&'a str, Option<AlarmKind>),
    /// A record that says that somebody was turned away, its kind and its time.
    Refusal(&'a str, Kind, Cow<'a, str>),
    /// Something else: a writer was killed in the middle of a line.
    Torn,
}

/// What decides about a line. A key that stands there twice is an error, and what the chain puts into a line is not there.
#[derive(Deserialize)]
struct Keys<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow)]
    decision: Option<Cow<'a, str>>,
    #[serde(borrow)]
    reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    account: Option<Cow<'a, str>>,
    #[serde(borrow)]
    service: Option<Cow<'a, str>>,
    #[serde(borrow)]
    time: Option<Cow<'a, str>>,
    seq: Option<IgnoredAny>,
    prev: Option<IgnoredAny>,
    hash: Option<IgnoredAny>,
}

impl Keys<'_> {
    /// As [`svcauth_core::audit::Record::is_refusal`].
    fn is_refusal(&self) -> bool {
        match &*self.event {
            "key_refused" => true,
            "decision" | "command" | "credential" => self.decision.as_deref() == Some("deny"),
            _ => false,
        }
    }

    fn alarm(&self) -> Option<AlarmKind> {
        let reason = self.reason.as_deref().filter(|_| self.event == "alarm")?;
        AlarmKind::ALL.iter().copied().find(|kind| kind.as_str() == reason)
    }
}

/// Takes a line, without its newline.
pub(super) fn read(line: &[u8]) -> Spooled<'_> {
    let text = std::str::from_utf8(line).ok().filter(|text| text.len() + SEAL <= SEALED_MAX);
    let text = text.filter(|text| text.starts_with("{\"") && text.ends_with('}'));
    let keys = text.and_then(|text| Some((text, serde_json::from_str::<Keys<'_>>(text).ok()?)));
    match keys {
        Some((_, keys)) if keys.seq.is_some() || keys.prev.is_some() || keys.hash.is_some() => Spooled::Torn,
        Some((text, keys)) if keys.is_refusal() => {
            let owned = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned);
            let kind = Kind {
                reason: owned(keys.reason),
                account: owned(keys.account),
                service: owned(keys.service),
            };
            Spooled::Refusal(text, kind, keys.time.unwrap_or_default())
        }
        Some((text, keys)) => Spooled::Record(text, keys.alarm()),
        None => Spooled::Torn,
    }
}

#[cfg(test)]
mod tests {
    use super::{AlarmKind, Spooled, read};
    use svcauth_core::audit::{Event, Record, Verdict};

    #[test]
    fn every_record_is_known_and_refusals_are_those_that_the_record_says() {
        for event in Event::ALL.iter().copied() {
            for decision in [None, Some(Verdict::Allow), Some(Verdict::Deny)] {
                let record = Record {
                    event,
                    decision,
                    time: Some(1),
                    reason: Some("not_in_role".to_owned()),
                    account: Some("a\"\n\u{202e}".to_owned()),
                    ..Record::default()
                };
                let json = record.to_json();
                match read(json.as_bytes()) {
                    Spooled::Record(text, _) => assert!(text == json && !record.is_refusal(), "{json}"),
                    Spooled::Refusal(text, kind, time) => {
                        assert!(text == json && record.is_refusal(), "{json}");
                        assert_eq!((kind.account, kind.reason), (record.account, record.reason));
                        assert_eq!(time, "1970-01-01T00:00:00.000001Z");
                    }
                    Spooled::Torn => panic!("{json}"),
                }
            }
        }
    }

    #[test]
    fn the_kind_of_an_alarm_is_known_and_nothing_else_is_an_alarm() {
        let of = |event, reason: &str| {
            let json = Record { event, reason: Some(reason.to_owned()), ..Record::default() }.to_json();
            match read(json.as_bytes()) {
                Spooled::Record(_, kind) => kind,
                other => panic!("{other:?}"),
            }
        };
        for kind in AlarmKind::ALL {
            assert_eq!(of(Event::Alarm, kind.as_str()), Some(*kind));
        }
        assert_eq!(of(Event::Alarm, "of_a_later_version"), None);
        assert_eq!(of(Event::Admin, "refresh_failed"), None);
    }

    #[test]
    fn what_is_no_record_is_torn() {
        let whole = Record { account: Some("deployer".to_owned()), ..Record::default() }.to_json();
        for length in 0..whole.len() {
            assert_eq!(read(&whole.as_bytes()[..length]), Spooled::Torn, "{length}");
        }
        for bad in [
            "{\"event\":\"alarm\",\"event\":\"alarm\"}",
            "{\"event\":\"alarm\",\"seq\":1}",
            "{\"event\":\"alarm\",\"hash\":\"\"}",
            "{\"event\":\"alarm\",\"prev\":\"\"}",
            "{\"event\":7}",
            "[]",
            "{\"a\":1}",
            "{\"event\":\"a\nb\"}",
        ] {
            assert_eq!(read(bad.as_bytes()), Spooled::Torn, "{bad}");
        }
        assert_eq!(read(b"{\"event\":\"\xff\"}"), Spooled::Torn);
        let long = format!("{{\"event\":\"{}\"}}", "x".repeat(1 << 20));
        assert_eq!(read(long.as_bytes()), Spooled::Torn);
    }
}
