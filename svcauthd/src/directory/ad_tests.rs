//! A controller that cuts lists as Windows does, and ones that lie about it: a list is whole, or nothing counts.

use super::{FetchError, Fetched, fetch};
use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use svcauth_core::config::Config;

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

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x82], length.as_slice(), content].concat()
}

fn message(id: u8, tag: u8, operation: &[u8]) -> Vec<u8> {
    element(0x30, &[&[2, 1, id], element(tag, operation).as_slice()].concat())
}

fn result(id: u8, tag: u8, code: u8) -> Vec<u8> {
    message(id, tag, &[0x0a, 1, code, 4, 0, 4, 0])
}

fn entry(id: u8, dn: &str, attributes: Attributes) -> Vec<u8> {
    let attribute = |(name, values): &(&str, &[&str])| {
        let values: Vec<u8> = values.iter().flat_map(|value| element(4, value.as_bytes())).collect();
        element(0x30, &[element(4, name.as_bytes()), element(0x31, &values)].concat())
    };
    let attributes: Vec<u8> = attributes.iter().flat_map(attribute).collect();
    message(id, 0x64, &[element(4, dn.as_bytes()), element(0x30, &attributes)].concat())
}

/// Id and operation of the next request.
fn request(stream: &mut UnixStream) -> Option<(u8, u8)> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).ok()?;
    let mut length = usize::from(head[1]);
    if head[1] > 0x80 {
        let mut long = vec![0; usize::from(head[1] & 0x7f)];
        stream.read_exact(&mut long).ok()?;
        length = long.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((body[2], body[3]))
}

fn serve(mut stream: UnixStream, mut answers: VecDeque<Answer>) {
    while let Some((id, operation)) = request(&mut stream) {
        let bytes = if operation == 0x60 {
            result(id, 0x61, 0)
        } else {
            let Some((entries, code)) = answers.pop_front() else { return };
            let entries = entries.iter().flat_map(|(dn, attributes)| entry(id, dn, attributes));
            entries.chain(result(id, 0x65, code)).collect()
        };
        stream.write_all(&bytes).unwrap();
    }
}

/// What a fetch makes of a controller that gives these answers to the searches, in this order.
fn fetched(answers: &[Answer]) -> Result<Fetched, FetchError> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("svcauth-ad-{}-{number}", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    let answers: VecDeque<Answer> = answers.iter().copied().collect();
    let server = std::thread::spawn(move || serve(listener.accept().unwrap().0, answers));
    let uri = path.to_str().unwrap().replace('/', "%2F");
    let config = format!(
        "[directory]\nkind = \"ad\"\nuris = [\"ldapi://{uri}\"]\nbind = \"simple\"\nbind_dn = \"x@x\"\n\
         bind_password_file = \"/x\"\n[accounts]\nbase = \"dc=x\"\n[groups]\nbase = \"dc=x\"\n[people]\nbase = \"dc=x\"\n\
         [[access]]\naccounts = [\"*\"]\nroles = []\n"
    );
    let deadline = Instant::now() + Duration::from_secs(20);
    let found = fetch(&Config::parse(&config).unwrap(), Some("secret"), deadline);
    server.join().unwrap();
    std::fs::remove_file(&path).unwrap();
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
