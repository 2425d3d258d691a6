//! What a controller that counts says, for the tests of this folder.

use crate::directory::scripted::Given::{self, Begin, Domain, Gone, Took};
use crate::directory::scripted::{Found, Recorder, Scripted, Step};
use crate::directory::{Answer, Depth, Extent, FetchError, Kind, Mark, Request, Source, UsnMark};
use std::time::{Duration, Instant};
use svcauth_core::config::Config;

pub(super) const CONTROLLER: &str = "CN=NTDS Settings,CN=DC1";
pub(super) const NOBODY: [Found; 0] = [];

/// A source, and what its sink was given last.
pub(super) struct Client {
    pub(super) source: Source,
    pub(super) config: Config,
}

impl Client {
    pub(super) fn of(server: &Scripted) -> Self {
        Self { source: Source::default(), config: server.config("") }
    }

    pub(super) fn ask(
        &mut self,
        since: Option<&Mark>,
        depth: Depth,
    ) -> Result<(Answer, Vec<Given>), FetchError> {
        let mut sink = Recorder::default();
        let deadline = Instant::now() + Duration::from_secs(90);
        let config = &self.config;
        let request = Request { config, secret: Some("secret"), deadline, since, depth };
        let answer = self.source.fetch(&request, &mut sink)?;
        Ok((answer, sink.0))
    }

    pub(super) fn changes(&mut self, since: &Mark) -> (Answer, Vec<Given>) {
        self.ask(Some(since), Depth::Changes).unwrap()
    }
}

/// One fetch of a new worker.
pub(super) fn one(steps: Vec<Step>, since: &Mark, depth: Depth) -> (Answer, Vec<Given>) {
    let server = Scripted::start(vec![steps]);
    let mut client = Client::of(&server);
    let given = client.ask(Some(since), depth);
    drop(client);
    assert_eq!(server.complaints(), [""; 0]);
    given.unwrap()
}

pub(super) fn sid(rid: u8) -> Vec<u8> {
    [&[1, 2, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, rid, 0, 0, 0][..]].concat()
}

pub(super) fn id(rid: u8) -> String {
    format!("S-1-5-21-{rid}")
}

pub(super) fn entry(dn: &str, attributes: &[(&str, &[u8])]) -> Found {
    let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), vec![value.to_vec()]));
    (dn.to_owned(), attributes.collect())
}

/// As the search for changes finds it.
pub(super) fn changed(dn: &str, rid: u8, class: &str) -> Found {
    entry(dn, &[("objectSid", &sid(rid)), ("objectClass", class.as_bytes())])
}

pub(super) fn found(dn: &str, rid: u8) -> Found {
    entry(dn, &[("objectSid", &sid(rid))])
}

pub(super) fn step(asked: &[&str], found: &[Found]) -> Step {
    Step { asked: asked.iter().map(ToString::to_string).collect(), found: found.to_vec(), ..Step::default() }
}

pub(super) fn refused(asked: &[&str], code: u8) -> Step {
    Step { code, ..step(asked, &NOBODY) }
}

pub(super) fn count(usn: &str, controller: &str) -> Step {
    let root = [("highestCommittedUSN", usn.as_bytes()), ("dsServiceName", controller.as_bytes())];
    step(&["highestCommittedUSN", "dsServiceName"], &[entry("", &root)])
}

pub(super) fn glance(usn: u64) -> Step {
    count(&usn.to_string(), CONTROLLER)
}

/// The two requests of a new connection.
pub(super) fn greeting(usn: u64) -> Vec<Step> {
    let mut root = count(&usn.to_string(), CONTROLLER);
    root.asked.push("supportedControl".to_owned());
    let (_, attributes) = &mut root.found[0];
    attributes.push(("defaultNamingContext".to_owned(), vec![b"DC=x".to_vec()]));
    let controls = ["1.2.840.113556.1.4.417", "1.2.840.113556.1.4.1339"];
    attributes.push(("supportedControl".to_owned(), controls.map(|oid| oid.as_bytes().to_vec()).to_vec()));
    vec![root, invocation(7)]
}

pub(super) fn invocation(byte: u8) -> Step {
    step(&[CONTROLLER, "invocationId"], &[entry(CONTROLLER, &[("invocationId", &[byte; 16])])])
}

pub(super) fn domain() -> Step {
    step(&["DC=x", "lockoutDuration"], &[entry("DC=x", &[("lockoutDuration", b"-18000000000")])])
}

/// The three searches for everything; one person.
pub(super) fn everything() -> Vec<Step> {
    let people = [found("CN=alice,OU=p,DC=x", 1)];
    vec![
        domain(),
        step(&["ou=a,dc=x"], &NOBODY),
        step(&["ou=g,dc=x"], &NOBODY),
        step(&["ou=p,dc=x"], &people),
    ]
}

/// The search of the domain for whatever is above 100.
pub(super) fn moved(found: &[Found]) -> Step {
    step(&["DC=x", "uSNChanged", "101", "1.2.840.113556.1.4.417", "1.2.840.113556.1.4.1339"], found)
}

/// The three searches for what is above 100.
pub(super) fn searches(accounts: &[Found], groups: &[Found], people: &[Found]) -> Vec<Step> {
    let bases = ["ou=a,dc=x", "ou=g,dc=x", "ou=p,dc=x"].into_iter();
    let found = [accounts, groups, people];
    let search = |(base, found)| step(&[base, "uSNChanged", "101"], found);
    let searches = bases.zip(found).map(search);
    std::iter::once(domain()).chain(searches).collect()
}

pub(super) fn mark(usn: u64) -> UsnMark {
    let soon = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 600;
    UsnMark {
        server: CONTROLLER.to_owned(),
        invocation: "07".repeat(16),
        usn,
        lockout: Some("-18000000000".to_owned()),
        reconcile_at: soon,
    }
}

pub(super) fn since(usn: u64) -> Mark {
    Mark::Usn(mark(usn))
}

pub(super) fn usn(answer: &Answer) -> Option<u64> {
    match &answer.mark {
        Some(Mark::Usn(mark)) => Some(mark.usn),
        _ => None,
    }
}

pub(super) fn all_gone(ids: &[String]) -> Vec<Given> {
    Kind::ALL.map(|kind| Gone(kind, ids.to_vec())).to_vec()
}

/// What a sink is given when everything was read.
pub(super) fn whole() -> Vec<Given> {
    vec![Begin(Extent::Whole), Domain, Took(Kind::People, "CN=alice,OU=p,DC=x".to_owned())]
}
