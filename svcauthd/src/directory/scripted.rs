//! A directory server that plays a script: which search is expected, and what comes back.

use super::{Entry, Extent, Kind, Sink};
use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use svcauth_core::config::Config;

/// One entry: its DN, and values by attribute.
pub(super) type Found = (String, Vec<(String, Vec<Vec<u8>>)>);

/// One search.
#[derive(Clone, Debug, Default)]
pub(super) struct Step {
    /// Texts that the request has in it.
    pub(super) asked: Vec<String>,
    /// Texts that it must not have in it.
    pub(super) never: Vec<String>,
    /// The entries of the answer.
    pub(super) found: Vec<Found>,
    /// Its result code.
    pub(super) code: u8,
}

/// A server on a socket of its own; it takes one connection for each list of steps.
#[derive(Debug)]
pub(super) struct Scripted {
    path: PathBuf,
    thread: JoinHandle<Vec<String>>,
}

impl Scripted {
    pub(super) fn start(connections: Vec<Vec<Step>>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("svcauth-scripted-{}-{number}", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        let play = move |steps: Vec<Step>| serve(listener.accept().unwrap().0, steps.into());
        let thread = std::thread::spawn(|| connections.into_iter().flat_map(play).collect());
        Self { path, thread }
    }

    /// A configuration of `kind = "ad"` with this server, everything at and below `dc=x`; `more` are access rules.
    pub(super) fn config(&self, more: &str) -> Config {
        let uri = self.path.to_str().unwrap().replace('/', "%2F");
        Config::parse(&format!(
            "[directory]\nkind = \"ad\"\nuris = [\"ldapi://{uri}\"]\nbind = \"simple\"\nbind_dn = \"x@x\"\n\
             bind_password_file = \"/x\"\n[accounts]\nbase = \"ou=a,dc=x\"\n[groups]\nbase = \"ou=g,dc=x\"\n\
             [people]\nbase = \"ou=p,dc=x\"\n[[access]]\naccounts = [\"*\"]\nroles = []\n{more}"
        ))
        .unwrap()
    }

    /// What went otherwise than in the script, when the client is done.
    pub(super) fn complaints(self) -> Vec<String> {
        let complaints = self.thread.join().unwrap();
        std::fs::remove_file(&self.path).unwrap();
        complaints
    }
}

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

fn entry(id: u8, (dn, attributes): &Found) -> Vec<u8> {
    let attribute = |(name, values): &(String, Vec<Vec<u8>>)| {
        let values: Vec<u8> = values.iter().flat_map(|value| element(4, value)).collect();
        element(0x30, &[element(4, name.as_bytes()), element(0x31, &values)].concat())
    };
    let attributes: Vec<u8> = attributes.iter().flat_map(attribute).collect();
    message(id, 0x64, &[element(4, dn.as_bytes()), element(0x30, &attributes)].concat())
}

/// The next request: what follows its message's header.
fn request(stream: &mut UnixStream) -> Option<Vec<u8>> {
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
    Some(body)
}

/// Ends the connection at an unbind, when the script is over, and at the first request that is not in it.
fn serve(mut stream: UnixStream, mut steps: VecDeque<Step>) -> Vec<String> {
    let mut complaints = Vec::new();
    while let Some(body) = request(&mut stream) {
        let (id, operation) = (body[2], body[3]);
        let bytes = match operation {
            0x60 => result(id, 0x61, 0),
            0x63 => {
                let Some(step) = steps.pop_front() else { break };
                let text = String::from_utf8_lossy(&body);
                if let Some(odd) = step.never.iter().find(|part| text.contains(part.as_str())) {
                    complaints.push(format!("{odd:?} is in {text:?}"));
                }
                if let Some(missing) = step.asked.iter().find(|part| !text.contains(part.as_str())) {
                    complaints.push(format!("{missing:?} is not in {text:?}"));
                    break;
                }
                let entries = step.found.iter().flat_map(|found| entry(id, found));
                entries.chain(result(id, 0x65, step.code)).collect()
            }
            _ => break,
        };
        stream.write_all(&bytes).unwrap();
    }
    complaints.extend(steps.iter().map(|step| format!("nobody asked {:?}", step.asked)));
    complaints
}

/// What a sink was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Given {
    Begin(Extent),
    Domain,
    Took(Kind, String),
    Gone(Kind, Vec<String>),
    Present(Kind, Vec<String>),
    Relisted(Vec<String>),
}

/// Remembers what it is given since the last beginning.
#[derive(Debug, Default)]
pub(super) struct Recorder(pub(super) Vec<Given>);

impl Sink for Recorder {
    fn begin(&mut self, extent: Extent) {
        self.0 = vec![Given::Begin(extent)];
    }
    fn domain(&mut self, _: &Entry) {
        self.0.push(Given::Domain);
    }
    fn take(&mut self, kind: Kind, entry: &Entry) {
        self.0.push(Given::Took(kind, entry.dn.clone()));
    }
    fn gone(&mut self, kind: Kind, mut ids: Vec<String>) {
        ids.sort_unstable();
        self.0.push(Given::Gone(kind, ids));
    }
    fn present(&mut self, kind: Kind, ids: Vec<String>) {
        self.0.push(Given::Present(kind, ids));
    }
    fn relisted(&mut self, dns: Vec<String>) {
        self.0.push(Given::Relisted(dns));
    }
}
