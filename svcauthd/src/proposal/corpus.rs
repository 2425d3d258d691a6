//! What was asked for: records of commands, put together.

use std::collections::{BTreeMap, BTreeSet};

use svcauth_core::audit::escape::bytes_of;
use svcauth_core::policy::Reason;

use crate::trail::Entry;

/// What somebody wanted in a session.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Asked {
    /// An interactive shell.
    Shell,
    /// A command line.
    Line(Vec<u8>),
}

/// Why nothing can be decided about a record: the line in it is not the whole line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// What there is of it.
    pub text: String,
}

/// A record of a command, as it is looked at here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What was asked for.
    pub asked: Result<Asked, Unread>,
    /// Whether it ran.
    pub ran: bool,
}

/// How often, by whom, and when last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// How many times.
    pub count: u64,
    /// Who, by login name.
    pub people: BTreeSet<String>,
    /// In microseconds since 1970.
    pub last: Option<u64>,
}

/// Everything that was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Corpus {
    /// What was asked for, each once.
    pub asked: BTreeMap<Asked, Seen>,
    /// Lines that the record has not whole.
    pub unread: BTreeMap<String, Seen>,
}

impl Record {
    /// What a record says about a command; `None` for one that is about something else, one of root, whom nothing limits, and
    /// one that was refused for another reason than what was asked for.
    #[must_use]
    pub fn of(entry: &Entry) -> Option<Self> {
        if entry.event != "command" || entry.origin_kind.as_deref() == Some("root") {
            return None;
        }
        let limits = [Reason::CommandNotAllowed, Reason::ShellNotAllowed].map(Reason::code);
        let ran = match (entry.decision.as_deref(), entry.reason.as_deref()) {
            (Some("allow"), _) => true,
            (Some("deny"), Some(reason)) if limits.contains(&reason) => false,
            _ => return None,
        };
        let asked = match entry.command.as_deref() {
            None => Ok(Asked::Shell),
            Some(text) if is_cut(text) => Err(Unread { text: text.to_owned() }),
            Some(text) => Ok(Asked::Line(bytes_of(text))),
        };
        Some(Self { asked, ran })
    }
}

/// Whether a text ends as [`svcauth_core::audit::capped`] ends one that was too long.
fn is_cut(text: &str) -> bool {
    let count = text.strip_suffix(" bytes)").and_then(|text| text.rsplit_once("...(+"));
    count.is_some_and(|(_, count)| !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit()))
}

impl Seen {
    /// One time.
    #[must_use]
    pub fn once(entry: &Entry) -> Self {
        Self { count: 1, people: entry.origin.clone().into_iter().collect(), last: entry.time }
    }

    /// Counts others, too.
    pub fn add(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.people.extend(other.people.iter().cloned());
        self.last = self.last.max(other.last);
    }
}

impl Corpus {
    /// Counts a record.
    pub fn add(&mut self, record: &Record, entry: &Entry) {
        let seen = match &record.asked {
            Ok(asked) => self.asked.entry(asked.clone()).or_default(),
            Err(cut) => self.unread.entry(cut.text.clone()).or_default(),
        };
        seen.add(&Seen::once(entry));
    }

    /// How many different ones.
    #[must_use]
    pub fn len(&self) -> usize {
        self.asked.len() + self.unread.len()
    }

    /// Whether nothing was asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::{Asked, Corpus, Entry, Record};

    fn entry(json: &str) -> Entry {
        serde_json::from_str(json).unwrap()
    }

    fn record(rest: &str) -> Option<Record> {
        Record::of(&entry(&format!("{{\"event\":\"command\",{rest}}}")))
    }

    #[test]
    fn what_ran_counts_and_what_was_refused_for_its_limits_is_known_as_that() {
        let ls = Asked::Line(b"ls /".to_vec());
        for (rest, ran) in [
            (r#""decision":"allow","command":"ls /""#, true),
            (r#""decision":"allow","reason":"command_not_allowed","command":"ls /""#, true),
            (r#""decision":"deny","reason":"command_not_allowed","command":"ls /""#, false),
        ] {
            assert_eq!(record(rest), Some(Record { asked: Ok(ls.clone()), ran }), "{rest}");
        }
        assert_eq!(record(r#""decision":"allow""#).unwrap().asked, Ok(Asked::Shell));
        for rest in [
            r#""decision":"deny","reason":"not_in_role","command":"ls /""#,
            r#""decision":"deny","reason":"audit_unavailable","command":"ls /""#,
            r#""decision":"allow","origin_kind":"root","command":"ls /""#,
            r#""command":"ls /""#,
        ] {
            assert_eq!(record(rest), None, "{rest}");
        }
        assert_eq!(Record::of(&entry(r#"{"event":"command_end","decision":"allow","command":"ls"}"#)), None);
    }

    #[test]
    fn a_line_is_had_back_byte_for_byte_or_is_known_not_to_be_whole() {
        let line = |text: &str| record(&format!(r#""decision":"allow","command":{text}"#)).unwrap().asked;
        assert_eq!(line(r#""a\\xff\\\\x""#), Ok(Asked::Line(b"a\xff\\x".to_vec())));
        assert_eq!(line(r#""a\\b\n""#), Ok(Asked::Line(b"a\\b\n".to_vec())));
        assert!(line(r#""tar cf - /...(+4711 bytes)""#).is_err());
        for whole in [r#""echo ...(+ bytes)""#, r#""echo ...(+x1 bytes)""#, r#""echo (+1 bytes) x""#] {
            assert!(line(whole).is_ok(), "{whole}");
        }
    }

    #[test]
    fn the_same_line_is_counted_with_everybody_who_asked_for_it_and_when_last() {
        let mut corpus = Corpus::default();
        for (origin, time) in [("bob", "2026-01-02"), ("ann", "2026-01-03"), ("bob", "2026-01-01")] {
            let text = format!(
                r#"{{"event":"command","decision":"allow","command":"ls","origin":"{origin}","time":"{time}T00:00:00.000000Z"}}"#
            );
            let entry = entry(&text);
            corpus.add(&Record::of(&entry).unwrap(), &entry);
        }
        assert_eq!(corpus.len(), 1);
        let seen = corpus.asked.values().next().unwrap();
        assert_eq!((seen.count, seen.people.len()), (3, 2));
        assert_eq!(seen.last, svcauth_core::audit::parse_rfc3339("2026-01-03T00:00:00Z"));
    }
}
