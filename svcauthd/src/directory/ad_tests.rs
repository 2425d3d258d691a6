//! A controller that cuts lists as Windows does, and ones that lie about it: a list is whole, or nothing counts.

use super::scripted::{Scripted, Step};
use super::{FetchError, Fetched, fetch};
use std::time::{Duration, Instant};

type Attributes = &'static [(&'static str, &'static [&'static str])];

/// The answer to one search: its entries, then its result code.
type Answer = (&'static [(&'static str, Attributes)], u8);

const ROOT: Answer = (&[("", &[("defaultNamingContext", &["dc=x"])])], 0);
const DOMAIN: Answer = (&[("dc=x", &[("lockoutDuration", &["-18000000000"])])], 0);
const NOTHING: Answer = (&[], 0);
/// As Windows does: the bare attribute without values beside a range that is shorter than what was asked for.
const BEGUN: Answer = (
    &[("cn=g,dc=x", &[("uSNChanged", &["7"]), ("member", &[]), ("member;range=0-1", &["cn=a", "cn=b"])])],
    0,
);
const MIDDLE: Answer =
    (&[("cn=g,dc=x", &[("uSNChanged", &["7"]), ("member;range=2-3", &["cn=c", "cn=d"])])], 0);
const END: Answer = (&[("cn=g,dc=x", &[("uSNChanged", &["7"]), ("member;range=4-*", &["cn=e"])])], 0);

fn step((entries, code): Answer) -> Step {
    let attribute = |(name, values): &(&str, &[&str])| {
        ((*name).to_owned(), values.iter().map(|value| value.as_bytes().to_vec()).collect())
    };
    let found = |(dn, attributes): &(&str, Attributes)| {
        ((*dn).to_owned(), attributes.iter().map(attribute).collect())
    };
    Step { found: entries.iter().map(found).collect(), code, ..Step::default() }
}

/// What a fetch makes of a controller that gives these answers to the searches, in this order.
fn fetched(answers: &[Answer]) -> Result<Fetched, FetchError> {
    let server = Scripted::start(vec![answers.iter().copied().map(step).collect()]);
    let config = server.config("");
    let found = fetch(&config, Some("secret"), Instant::now() + Duration::from_secs(90));
    server.complaints();
    found
}

#[test]
fn a_list_that_was_cut_is_read_to_its_end() {
    let found = fetched(&[ROOT, DOMAIN, NOTHING, BEGUN, MIDDLE, END, NOTHING]).unwrap();
    let [group] = found.groups.as_slice() else { panic!("one group") };
    let members: Vec<_> = group.values("member").iter().map(|dn| String::from_utf8_lossy(dn)).collect();
    assert_eq!(members, ["cn=a", "cn=b", "cn=c", "cn=d", "cn=e"]);
    assert_eq!(found.domain.unwrap().values("lockoutduration"), [b"-18000000000".to_vec()]);
}

#[test]
fn a_range_that_never_comes_fails_the_whole_fetch() {
    const CHANGED: Answer = (&[("cn=g,dc=x", &[("uSNChanged", &["8"]), ("member;range=2-*", &["cn=c"])])], 0);
    const LEFT_OUT: Answer = (&[("cn=g,dc=x", &[("uSNChanged", &["7"])])], 0);
    const BUSY: Answer = (&[], 51);
    const LIMIT: Answer = (MIDDLE.0, 4);
    for (answer, error) in [
        (NOTHING, "went away"),
        (LEFT_OUT, "the values of member from 2 on are missing"),
        (CHANGED, "changed while it was read"),
        (END, "expected a range from 2 on"),
        (BUSY, "LDAP result 51"),
        (LIMIT, "LDAP result 4"),
    ] {
        let found = fetched(&[ROOT, DOMAIN, NOTHING, BEGUN, answer, NOTHING]).unwrap_err().to_string();
        assert!(found.contains("the search of [groups]") && found.contains(error), "{error}: {found}");
    }
}

#[test]
fn a_domain_that_may_not_be_read_is_none_and_no_domain_at_all_is_an_error() {
    for hidden in [NOTHING, (&[][..], 32), (&[][..], 50)] {
        let found = fetched(&[ROOT, hidden, NOTHING, NOTHING, NOTHING]).unwrap();
        assert_eq!(found.domain, None);
    }
    const NO_DOMAIN: Answer = (&[("", &[("namingContexts", &["dc=x"])])], 0);
    let error = fetched(&[NO_DOMAIN]).unwrap_err().to_string();
    assert!(error.contains("is it Active Directory?"), "{error}");
    let gone = fetched(&[ROOT, DOMAIN, (&[], 32)]).unwrap_err();
    assert!(matches!(gone, FetchError::NoBase { section: "accounts", .. }), "{gone}");
}
