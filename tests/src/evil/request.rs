//! What a client asks.

use std::io::{self, Read};

use super::PAGING;
use super::ber::{Reader, header};

/// Longest request that is taken.
const LONGEST: usize = 1 << 20;
/// The name of StartTLS.
const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Which connection since the script was set, from 0.
    pub connection: usize,
    /// Which request of its connection, from 0.
    pub place: usize,
    /// The message id.
    pub id: u32,
    /// What is asked.
    pub operation: Operation,
    /// The names of the controls, and their values.
    pub controls: Vec<(String, Vec<u8>)>,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// A bind.
    Bind,
    /// The end.
    Unbind,
    /// A search.
    Search(Search),
    /// Protection from here on.
    StartTls,
    /// Anything else, by its tag.
    Other(u8),
}

/// A search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// The base.
    pub base: String,
    /// 0: the base alone, 1: its children, 2: all below.
    pub scope: u32,
    /// Tag and content of the filter.
    pub filter: (u8, Vec<u8>),
    /// The attributes.
    pub attributes: Vec<String>,
    /// Size and cookie of the page; `None`: everything at once.
    pub page: Option<(u32, Vec<u8>)>,
}

impl Request {
    /// Whether it is a search whose base begins so.
    pub fn searches(&self, base: &str) -> bool {
        self.search().is_some_and(|search| search.base.to_lowercase().starts_with(base))
    }

    /// The search that it is.
    pub fn search(&self) -> Option<&Search> {
        match &self.operation {
            Operation::Search(search) => Some(search),
            _ => None,
        }
    }

    /// Whether a control of this name is there.
    pub fn has_control(&self, oid: &str) -> bool {
        self.controls.iter().any(|(known, _)| known == oid)
    }

    /// Reads the next one; `None` when the client has gone.
    pub(super) fn read(stream: &mut dyn Read, connection: usize, place: usize) -> io::Result<Option<Self>> {
        let Some(bytes) = message(stream)? else {
            return Ok(None);
        };
        let odd = || io::Error::new(io::ErrorKind::InvalidData, "the client sends no LDAP");
        decode(&bytes, connection, place).map(Some).ok_or_else(odd)
    }
}

/// The bytes of one message.
fn message(stream: &mut dyn Read) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    loop {
        if let Some((_, size, length)) = header(&bytes) {
            let missing = (size + length).min(LONGEST).saturating_sub(bytes.len());
            let mut rest = vec![0; missing];
            stream.read_exact(&mut rest)?;
            bytes.extend(rest);
            return Ok(Some(bytes));
        }
        let mut next = [0];
        if stream.read(&mut next)? == 0 {
            return Ok(None);
        }
        bytes.extend(next);
    }
}

fn decode(bytes: &[u8], connection: usize, place: usize) -> Option<Request> {
    let (_, content) = Reader(bytes).next()?;
    let mut parts = Reader(content);
    let id = as_number(parts.next()?.1);
    let (tag, content) = parts.next()?;
    let controls = parts.next().map(|(_, list)| controls(Reader(list))).unwrap_or_default();
    let operation = match tag {
        0x60 => Operation::Bind,
        0x42 => Operation::Unbind,
        0x63 => Operation::Search(search(Reader(content), &controls)?),
        0x77 if Reader(content).next()?.1 == START_TLS => Operation::StartTls,
        other => Operation::Other(other),
    };
    Some(Request { connection, place, id, operation, controls })
}

fn search(mut parts: Reader<'_>, controls: &[(String, Vec<u8>)]) -> Option<Search> {
    let base = as_text(parts.next()?.1);
    let scope = as_number(parts.next()?.1);
    // Dereferencing, size limit, time limit, types only.
    for _ in 0..4 {
        parts.next()?;
    }
    let (tag, filter) = parts.next()?;
    let attributes = Reader(parts.next()?.1).map(|(_, name)| as_text(name)).collect();
    let page = controls.iter().find(|(oid, _)| oid == PAGING).and_then(|(_, value)| {
        let mut parts = Reader(Reader(value).next()?.1);
        Some((as_number(parts.next()?.1), parts.next()?.1.to_vec()))
    });
    Some(Search { base, scope, filter: (tag, filter.to_vec()), attributes, page })
}

fn controls(list: Reader<'_>) -> Vec<(String, Vec<u8>)> {
    let control = |(_, content)| {
        let mut parts = Reader(content);
        let oid = as_text(parts.next()?.1);
        let value = parts.find(|(tag, _)| *tag == 0x04);
        Some((oid, value.map(|(_, value)| value.to_vec()).unwrap_or_default()))
    };
    list.filter_map(control).collect()
}

fn as_number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}

fn as_text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
