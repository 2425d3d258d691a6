//! What content synchronisation adds to the messages of a search (RFC 4533, 2), read from left to right.
//!
//! The library has parsers for this, which panic on what they do not expect, and keep the ids of a list in a set. These
//! here take any bytes; the guard runs them before anything is handed on, the reader once more.

use crate::directory::guard::GuardError;
use crate::directory::shape::{BOOLEAN, ENUMERATED, Elements, OCTETS, SEQUENCE, SET, number};

/// Name of the request, in `supportedControl` of a server that offers it.
pub(super) const REQUEST: &str = "1.3.6.1.4.1.4203.1.9.1.1";
/// Name of the control of an entry.
pub(in crate::directory) const STATE: &[u8] = b"1.3.6.1.4.1.4203.1.9.1.2";
/// Name of the control of the end.
pub(in crate::directory) const DONE: &[u8] = b"1.3.6.1.4.1.4203.1.9.1.3";
/// Name of the messages between entries.
pub(in crate::directory) const INFO: &[u8] = b"1.3.6.1.4.1.4203.1.9.1.4";
/// Longest cookie in bytes: it is kept, and travels with every fetch. That of a provider with ten peers takes 450.
const MAX_COOKIE: usize = 4096;

/// An immutable id, as its 16 bytes.
pub(super) type Uuid = [u8; 16];

/// What an entry of the answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Still there, and not changed; its attributes are not sent.
    Present,
    /// New, or new to the one who asks.
    Add,
    /// Changed.
    Modify,
    /// No longer there, or no longer found.
    Delete,
}

/// The control of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stated {
    pub(super) state: State,
    pub(super) id: Uuid,
    pub(super) cookie: Option<Vec<u8>>,
}

/// A message between entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Info {
    /// Something changed that this search does not find.
    Cookie(Vec<u8>),
    /// The deletions have been named; with `last` the rest of the content is as it was, and changes follow.
    DeletesEnd { last: bool, cookie: Option<Vec<u8>> },
    /// All that is still there has been named; with `last` changes follow.
    PresentEnd { last: bool, cookie: Option<Vec<u8>> },
    /// Ids of entries that are gone.
    Gone { ids: Vec<Uuid>, cookie: Option<Vec<u8>> },
    /// Ids of entries that are still there.
    Present { ids: Vec<Uuid>, cookie: Option<Vec<u8>> },
}

/// Reads the value of the control of an entry: `SEQUENCE { state ENUMERATED, entryUUID, cookie OPTIONAL }`.
pub(in crate::directory) fn check_state(value: &[u8]) -> Result<(), GuardError> {
    state(value).map(drop)
}

/// Reads the value of the control of the end.
pub(in crate::directory) fn check_done(value: &[u8]) -> Result<(), GuardError> {
    done(value).map(drop)
}

/// Reads the value of a message between entries.
pub(in crate::directory) fn check_info(value: &[u8]) -> Result<(), GuardError> {
    info(value).map(drop)
}

pub(super) fn state(value: &[u8]) -> Result<Stated, GuardError> {
    let mut inner = only(value, SEQUENCE, "a sync state is no SEQUENCE")?;
    let state =
        match number(inner.expect(ENUMERATED, "a sync state has no state")?, "a sync state is out of range")?
        {
            0 => State::Present,
            1 => State::Add,
            2 => State::Modify,
            3 => State::Delete,
            _ => return Err(GuardError::Shape("a sync state is out of range")),
        };
    let id = uuid(inner.expect(OCTETS, "a sync state has no entryUUID")?)?;
    let cookie = cookie(&mut inner)?;
    inner.end("a sync state has an unknown element")?;
    Ok(Stated { state, id, cookie })
}

/// `SEQUENCE { cookie OPTIONAL, refreshDeletes BOOLEAN DEFAULT FALSE }`: the end of one list or the other.
pub(super) fn done(value: &[u8]) -> Result<Info, GuardError> {
    let mut inner = only(value, SEQUENCE, "a sync done is no SEQUENCE")?;
    let cookie = cookie(&mut inner)?;
    let deletes = boolean(&mut inner, false)?;
    inner.end("a sync done has an unknown element")?;
    Ok(if deletes {
        Info::DeletesEnd { last: true, cookie }
    } else {
        Info::PresentEnd { last: true, cookie }
    })
}

pub(super) fn info(value: &[u8]) -> Result<Info, GuardError> {
    let mut outer = Elements(value);
    let (choice, content) = outer.next()?;
    outer.end("bytes follow a sync info")?;
    if choice == 0x80 {
        return Ok(Info::Cookie(bounded(content)?));
    }
    let mut inner = Elements(content);
    let cookie = cookie(&mut inner)?;
    let info = match choice {
        0xa1 => Info::DeletesEnd { last: boolean(&mut inner, true)?, cookie },
        0xa2 => Info::PresentEnd { last: boolean(&mut inner, true)?, cookie },
        0xa3 => {
            let gone = boolean(&mut inner, false)?;
            let ids = uuids(inner.expect(SET, "a list of ids is no SET")?)?;
            if gone { Info::Gone { ids, cookie } } else { Info::Present { ids, cookie } }
        }
        _ => return Err(GuardError::Shape("a sync info is of an unknown sort")),
    };
    inner.end("a sync info has an unknown element")?;
    Ok(info)
}

fn only<'a>(value: &'a [u8], tag: u8, what: &'static str) -> Result<Elements<'a>, GuardError> {
    let mut outer = Elements(value);
    let inner = outer.expect(tag, what)?;
    outer.end("bytes follow the value of a control")?;
    Ok(Elements(inner))
}

fn cookie(inner: &mut Elements<'_>) -> Result<Option<Vec<u8>>, GuardError> {
    inner.optional(OCTETS)?.map(bounded).transpose()
}

fn bounded(cookie: &[u8]) -> Result<Vec<u8>, GuardError> {
    if cookie.len() > MAX_COOKIE {
        return Err(GuardError::Shape("a cookie is longer than 4096 bytes"));
    }
    Ok(cookie.to_vec())
}

fn boolean(inner: &mut Elements<'_>, default: bool) -> Result<bool, GuardError> {
    match inner.optional(BOOLEAN)? {
        None => Ok(default),
        Some([value]) => Ok(*value != 0),
        Some(_) => Err(GuardError::Shape("a boolean has not one byte")),
    }
}

fn uuid(bytes: &[u8]) -> Result<Uuid, GuardError> {
    bytes.try_into().map_err(|_| GuardError::Shape("an entryUUID has not 16 bytes"))
}

fn uuids(set: &[u8]) -> Result<Vec<Uuid>, GuardError> {
    let mut set = Elements(set);
    let mut ids = Vec::new();
    while !set.is_empty() {
        ids.push(uuid(set.expect(OCTETS, "an id is no octet string")?)?);
    }
    Ok(ids)
}

/// The text of an id, as the attribute `entryUUID` has it (RFC 4530).
pub(super) fn text(id: &Uuid) -> String {
    let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

/// Whether a later fetch may rely on this cookie. One of OpenLDAP says with a change sequence number how far it goes; to
/// one that does not, OpenLDAP sends everything anew *as if those were the changes*. What other servers make of theirs
/// is not relied on: 389 Directory Server is silent about entries that no longer match the filter.
pub(super) fn is_usable(cookie: &[u8]) -> bool {
    let Some(text) = std::str::from_utf8(cookie).ok().filter(|text| text.len() <= MAX_COOKIE) else {
        return false;
    };
    let mut csns = text.split(',').filter_map(|part| part.strip_prefix("csn="));
    csns.next().is_some_and(|list| list.split(';').all(is_csn))
}

/// `20261122054138.400038Z#000000#000#000000`: time, count, server, modification.
fn is_csn(text: &str) -> bool {
    let parts: Vec<&str> = text.split('#').collect();
    let [time, rest @ ..] = parts.as_slice() else { return false };
    let time_ok = time.len() == 22 && time.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'Z');
    time_ok
        && rest.iter().map(|part| part.len()).eq([6, 3, 6])
        && rest.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
