//! Which records are meant.

use super::ReadArgs;
use super::when::moment;
use crate::cli::output::Failure;
use crate::trail::Entry;

/// What a record must be like to be shown.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    person: Vec<String>,
    or_on_behalf_of: bool,
    account: Vec<String>,
    host: Vec<String>,
    decision: Option<String>,
    event: Vec<String>,
    reason: Vec<String>,
    session: Vec<String>,
    command: Vec<String>,
    /// In microseconds since 1970.
    since: Option<u64>,
    until: Option<u64>,
}

impl Filter {
    /// Understands the command line; `now` in microseconds since 1970.
    pub(super) fn new(args: &ReadArgs, now: u64) -> Result<Self, Failure> {
        let time = |option: &str, text: &Option<String>| {
            let understood = text.as_deref().map(|text| moment(text, now)).transpose();
            understood.map_err(|why| Failure::usage(format!("--{option}: {why}")))
        };
        let (since, until) = (time("since", &args.since)?, time("until", &args.until)?);
        if since.zip(until).is_some_and(|(since, until)| since > until) {
            return Err(Failure::usage("--since must be before --until"));
        }
        Ok(Self {
            person: args.person.clone(),
            or_on_behalf_of: args.on_behalf_of,
            account: args.account.clone(),
            host: args.host.clone(),
            decision: args.decision.clone(),
            event: args.event.clone(),
            reason: args.reason.clone(),
            session: args.session.clone(),
            command: args.command.clone(),
            since,
            until,
        })
    }

    /// Whether every record is meant.
    pub(super) fn is_open(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn matches(&self, entry: &Entry) -> bool {
        self.matches_person(entry)
            && one_of(&self.account, &entry.account)
            && one_of(&self.host, &entry.host)
            && one_of(&self.reason, &entry.reason)
            && one_of(&self.session, &entry.session)
            && self.matches_command(entry)
            && (self.event.is_empty() || self.event.contains(&entry.event))
            && (self.decision.is_none() || self.decision == entry.decision)
            && self.since.is_none_or(|since| entry.time.is_some_and(|time| time >= since))
            && self.until.is_none_or(|until| entry.time.is_some_and(|time| time <= until))
    }

    fn matches_command(&self, entry: &Entry) -> bool {
        let has = |text: &String| entry.command.as_ref().is_some_and(|command| command.contains(text));
        self.command.is_empty() || self.command.iter().any(has)
    }

    fn matches_person(&self, entry: &Entry) -> bool {
        one_of(&self.person, &entry.origin)
            || (self.or_on_behalf_of && one_of(&self.person, &entry.on_behalf_of))
    }
}

/// An option that was not given leaves everything through.
fn one_of(wanted: &[String], value: &Option<String>) -> bool {
    wanted.is_empty() || value.as_ref().is_some_and(|value| wanted.contains(value))
}

#[cfg(test)]
mod tests {
    use super::{Entry, Filter, ReadArgs};

    fn entry(json: &str) -> Entry {
        serde_json::from_str(json).unwrap()
    }

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|word| (*word).to_owned()).collect()
    }

    fn filter(args: ReadArgs) -> Filter {
        Filter::new(&args, 1_769_847_300_000_000).ok().unwrap()
    }

    #[test]
    fn without_options_everything_is_shown() {
        let open = filter(ReadArgs::default());
        assert!(open.is_open() && open.matches(&entry("{\"event\":\"alarm\"}")));
    }

    #[test]
    fn every_option_lets_through_what_fits_and_nothing_else() {
        let alice = entry(
            "{\"event\":\"decision\",\"time\":\"2026-01-31T08:00:00.000000Z\",\"decision\":\"deny\",\"reason\":\"not_in_role\",\
             \"account\":\"deployer\",\"origin\":\"alice\",\"host\":\"web1\",\"session\":\"s-1\",\
             \"command\":\"ls /srv\"}",
        );
        let other = entry(
            "{\"event\":\"session_end\",\"time\":\"2026-01-30T08:00:00.000000Z\",\"account\":\"jenkins\",\"origin\":\"bob\"}",
        );
        let default = ReadArgs::default;
        for args in [
            ReadArgs { person: words(&["carol", "alice"]), ..default() },
            ReadArgs { account: words(&["deployer"]), ..default() },
            ReadArgs { host: words(&["web1"]), ..default() },
            ReadArgs { decision: Some("deny".into()), ..default() },
            ReadArgs { event: words(&["decision", "alarm"]), ..default() },
            ReadArgs { reason: words(&["not_in_role"]), ..default() },
            ReadArgs { session: words(&["s-1"]), ..default() },
            ReadArgs { command: words(&["rm", "ls /s"]), ..default() },
            ReadArgs { since: Some("2026-01-31T08:00:00Z".into()), ..default() },
            ReadArgs { since: Some("20m".into()), ..default() },
        ] {
            let text = format!("{args:?}");
            let filter = filter(args);
            assert!(filter.matches(&alice) && !filter.matches(&other) && !filter.is_open(), "{text}");
        }
        let until = filter(ReadArgs { until: Some("2026-01-30T08:00:00Z".into()), ..default() });
        assert!(until.matches(&other) && !until.matches(&alice));
        let both = ReadArgs { person: words(&["alice"]), account: words(&["jenkins"]), ..default() };
        assert!(!filter(both).matches(&alice));
    }

    #[test]
    fn what_a_robot_did_for_a_person_is_the_robots_unless_asked_for() {
        let robot = entry("{\"event\":\"decision\",\"origin\":\"robot\",\"on_behalf_of\":\"alice\"}");
        let alice = || ReadArgs { person: words(&["alice"]), ..ReadArgs::default() };
        assert!(!filter(alice()).matches(&robot));
        assert!(filter(ReadArgs { on_behalf_of: true, ..alice() }).matches(&robot));
        assert!(!filter(ReadArgs { person: words(&["bob"]), on_behalf_of: true, ..alice() }).matches(&robot));
    }

    #[test]
    fn a_record_without_time_is_in_no_span() {
        let timeless = entry("{\"event\":\"alarm\"}");
        assert!(!filter(ReadArgs { since: Some("7d".into()), ..ReadArgs::default() }).matches(&timeless));
        assert!(!filter(ReadArgs { until: Some("1s".into()), ..ReadArgs::default() }).matches(&timeless));
    }

    #[test]
    fn a_span_that_ends_before_it_begins_is_a_usage_error() {
        let args = ReadArgs { since: Some("1h".into()), until: Some("2h".into()), ..ReadArgs::default() };
        assert!(Filter::new(&args, 1_769_847_300_000_000).is_err());
    }
}
